"""Generated secrets, spelled in every way, through everything that a run prints or writes."""

from __future__ import annotations

import argparse
import base64
import html
import io
import json
import logging
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from types import SimpleNamespace
from urllib.parse import quote, quote_plus, unquote_plus

from landing import secrets
from landing.cli.text.output import complain, print_failed
from landing.errors import StreamError
from landing.observe.logs import JsonLog
from landing.operations.doctor.findings import wrong
from landing.operations.recordings.scrubbing import Scrubber, UnscrubbedSecret
from torture.figures import Section, Tally

VARIABLE = "TORTURE_API_TOKEN"
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_MARKS = "/+=&<>\"'\\%?#:@$ \t\n~`|{}[]()*.,;!^_-"
_OTHERS = "äßñéøλжה中語🙂\u00a0\u202e"

Spelling = Callable[[str], str]
SPELLINGS: dict[str, Spelling] = {
    "as it is": str,
    "in a URL": lambda s: quote(s, safe=""),
    "in a form": quote_plus,
    "in a URL within a URL": lambda s: quote(quote(s, safe=""), safe=""),
    "in JSON": lambda s: json.dumps(s)[1:-1],
    "in JSON with escaped slashes": lambda s: json.dumps(s)[1:-1].replace("/", "\\/"),
    "in JSON of a browser": lambda s: json.dumps(s)[1:-1].replace("&", "\\u0026"),
    "in JSON within JSON": lambda s: json.dumps(json.dumps(s)),
    "in Python": lambda s: repr(s)[1:-1],
    "as Python's bytes": lambda s: repr(s.encode())[2:-1],
    "in HTML": html.escape,
    "in HTML by numbers": lambda s: "".join(c if c.isalnum() else f"&#{ord(c)};" for c in s),
    "in hexadecimal": lambda s: s.encode().hex(),
    "in Basic": lambda s: base64.b64encode(f"user:{s}".encode()).decode(),
    "in a token for URLs": lambda s: base64.urlsafe_b64encode(f"{s}:x".encode()).decode(),
}
_DECODED: tuple[Callable[[str], str], ...] = (
    str,
    unquote_plus,
    lambda text: unquote_plus(unquote_plus(text)),
    html.unescape,
    lambda text: text.replace("\\/", "/").replace('\\"', '"').replace("\\\\", "\\"),
)


def _message(text: str) -> str:
    return _printed(lambda: complain(StreamError(text, remedy=text), _options()))


def _traceback(text: str) -> str:
    try:
        raise ValueError(text)
    except ValueError as cause:
        error = StreamError("failed")
        error.__cause__ = cause
    return _printed(lambda: complain(error, _options(debug=True)))


def _document(text: str) -> str:
    return _printed(lambda: print_failed(StreamError(text), 1))


def _log_line(text: str) -> str:
    log = JsonLog("shop")
    try:
        return _printed(lambda: log.write("error", "stream_failed", text, "orders", cause=text))
    finally:
        logging.captureWarnings(False)
        logging.getLogger().removeHandler(log._libraries)


def _library(text: str) -> str:
    record = logging.LogRecord("dlt", logging.WARNING, "", 1, "got %s", (text,), None)
    secrets._redaction.filter(record)
    return record.getMessage()


def _finding(text: str) -> str:
    found = wrong("bucket", text, text)
    return f"{found.found} {found.remedy}"


def _recording(text: str) -> str:
    """A recorded answer; nothing if it is refused because a secret would be left in it."""
    scrubber = Scrubber({VARIABLE: os.environ[VARIABLE]})
    request = SimpleNamespace(uri="http://api/orders", method="GET", headers={}, body=b"")
    answer = {
        "status": {"code": 200, "message": "OK"},
        "headers": {"Content-Type": ["application/json"], "X-Note": [quote(text)]},
        "body": {"string": json.dumps({"note": text}).encode()},
    }
    scrubber.learn(request, answer)
    try:
        scrubbed = scrubber.response(request, answer)
        scrubber.refuse_secrets(request, scrubbed)
    except UnscrubbedSecret:
        return ""
    return str(scrubbed["body"]["string"]) + str(scrubbed["headers"])


OUTPUTS: dict[str, Callable[[str], str]] = {
    "messages": _message,
    "tracebacks": _traceback,
    "documents of --json": _document,
    "log lines in JSON": _log_line,
    "what libraries log": _library,
    "findings of doctor": _finding,
    "recordings": _recording,
}


def leaks(count: int) -> Section:
    """So many secrets, each in every spelling, through each output."""
    chance = random.Random(count)
    tallies = {name: Tally(name) for name in OUTPUTS}
    for number in range(count):
        secret = generated(chance)
        with _variable(secret):
            for tally, output in zip(tallies.values(), OUTPUTS.values(), strict=True):
                _try(secret, number, output, tally)
    note = (
        f"{count:,} secrets, each in {len(SPELLINGS)} spellings. A secret that is left in an "
        "output, in any spelling, counts as lost."
    )
    return Section("Edge: secrets", list(tallies.values()), notes=[note])


def _try(secret: str, number: int, output: Callable[[str], str], tally: Tally) -> None:
    """All spellings in one text; one by one where something of it is left."""
    spelled = {name: spell(secret) for name, spell in SPELLINGS.items()}
    tally.times += len(spelled)
    if not is_left(output(f"{number} " + " and ".join(spelled.values())), secret):
        return
    for name, text in spelled.items():
        if is_left(output(f"{number} {text}"), secret):
            tally.lost += 1
            tally.problems.append(f"secret {number} {name}")


def is_left(said: str, secret: str) -> bool:
    if any(secret in decoded(said) for decoded in _DECODED) or secrets.is_in(said, secret):
        return True
    return any(spell(secret) in said for spell in SPELLINGS.values())


def generated(chance: random.Random) -> str:
    """As keys, passwords and tokens look, and as they hardly ever do."""
    alphabet = chance.choice(
        [_LETTERS, _LETTERS + _MARKS, _MARKS + _LETTERS[:8], _OTHERS + _LETTERS]
    )
    while True:
        secret = "".join(chance.choices(alphabet, k=chance.randint(8, 48))).strip()
        if len(secret) >= 8:
            return secret


@contextmanager
def _variable(secret: str) -> Iterator[None]:
    os.environ[VARIABLE] = secret
    try:
        yield
    finally:
        del os.environ[VARIABLE]


def _options(*, debug: bool = False) -> argparse.Namespace:
    return argparse.Namespace(debug=debug, json=False)


def _printed(call: Callable[[], object]) -> str:
    heard = io.StringIO()
    with redirect_stdout(heard), redirect_stderr(heard):
        call()
    return heard.getvalue()
