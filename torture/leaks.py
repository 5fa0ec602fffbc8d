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
import re
import shlex
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, quote_plus, unquote_plus

import msgspec
import requests
from dagster import RetryPolicy
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

from landing import events, secrets
from landing.catalog.workspace import BucketSettings, Workspace
from landing.cli.text.output import complain, print_failed
from landing.dagster.metadata import _table
from landing.dagster.outcomes import _outcome
from landing.errors import StreamError
from landing.http.captured import captured
from landing.observe.alerts import _BODIES, Concern
from landing.observe.failed import FailedRuns
from landing.observe.logs import JsonLog
from landing.observe.otel import Telemetry, _Stream
from landing.observe.problems import Problem
from landing.operations.doctor.findings import wrong
from landing.operations.recordings.scrubbing import Scrubber, UnscrubbedSecret
from landing.page import profiles
from landing.page.html import _environment
from landing.zone.bucket import Bucket
from torture.figures import Section, Tally

VARIABLE = "TORTURE_API_TOKEN"
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_MARKS = "/+=&<>\"'\\%?#:@$ \t\n~`|{}[]()*.,;!^_-"
_OTHERS = "äßñéøλжה中語🙂\u00a0\u202e"

_BETWEEN = " and "
_PAGE = _environment()
_TRACER = TracerProvider().get_tracer("torture")
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
    "in hexadecimal, upper case": lambda s: s.encode().hex().upper(),
    "in a URL, lower case": lambda s: re.sub("%..", lambda m: m[0].lower(), quote(s, safe="")),
    "for a shell": shlex.quote,
    "in a form within JSON": lambda s: json.dumps(quote_plus(s))[1:-1],
    "in a dictionary of Python": lambda s: repr({"note": [s]}),
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


def _failed_run(text: str) -> str:
    """The record of a failed run in the bucket."""
    log = FailedRuns(Workspace(Path()), "shop")
    record = log._failed_run("orders", StreamError(text, remedy=text))
    return msgspec.json.encode(record).decode()


def _alert(form: str) -> Callable[[str], str]:
    def said(text: str) -> str:
        concern = Concern("shop/orders", Problem("ahead", text, text))
        body = _BODIES[form]({"shop/orders": StreamError(text)}, [], [concern])
        return json.dumps(body, ensure_ascii=False)

    return said


def _page(text: str) -> str:
    """A value in a page of `landing report`, and one of a column's profile."""
    page = _PAGE.from_string("<p title='{{ text }}'>{{ text }}</p>")
    values = map(profiles._text, text.split(_BETWEEN))
    return page.render(text=text) + " ".join(values)


def _dagster(text: str) -> str:
    """A table of rows, and the failure of an asset."""
    context: Any = SimpleNamespace(retry_number=0, log=logging.getLogger("none"))
    failure = _outcome(context, StreamError(text), RetryPolicy(max_retries=0))
    cells = [{text: piece} for piece in text.split(_BETWEEN)]
    return _table([text], cells) + str(failure.description)


def _span(text: str) -> str:
    """A span of a stream with a note and a failure, as it would go to a collector."""
    span = _TRACER.start_span("orders")
    telemetry = Telemetry.__new__(Telemetry)  # without the connection of its exporters
    telemetry._streams, telemetry._run = {"orders": _Stream(span, 0)}, span
    telemetry(events.Note("orders", text))
    telemetry(events.RunAborted(["orders"], StreamError(text)))
    return str(span.to_json()) if isinstance(span, ReadableSpan) else ""


def _captured(text: str) -> str:
    """What `landing plan` and `check` show of a request."""
    request = requests.Request(
        "POST", "http://api/orders", params={"note": text}, json={"note": text}
    )
    return repr(captured(request.prepare()))


def _of_bucket(text: str) -> str:
    """What a bucket's library says."""
    settings = BucketSettings("s3://landing", None, is_default=False)
    return str(Bucket(settings).failure("read", "a", text))


OUTPUTS: dict[str, Callable[[str], str]] = {
    "messages": _message,
    "tracebacks": _traceback,
    "documents of --json": _document,
    "log lines in JSON": _log_line,
    "what libraries log": _library,
    "findings of doctor": _finding,
    "recordings": _recording,
    "records of failed runs": _failed_run,
    "alerts to Slack": _alert("slack"),
    "alerts in JSON": _alert("json"),
    "pages of landing report": _page,
    "Dagster's tables and failures": _dagster,
    "spans of OpenTelemetry": _span,
    "requests that are shown": _captured,
    "errors of the bucket": _of_bucket,
}


def leaks(count: int, processes: int = 1) -> Section:
    """So many secrets, each in every spelling, through each output."""
    shares = [range(first, count, processes) for first in range(processes)]
    if processes == 1:
        found = [_tallies(shares[0])]
    else:
        with ProcessPoolExecutor(processes) as pool:
            found = list(pool.map(_tallies, shares))
    tallies = {name: Tally(name) for name in OUTPUTS}
    for own in found:
        for tally in own:
            tallies[tally.what].add(tally)
    note = (
        f"{count:,} secrets, each in {len(SPELLINGS)} spellings. A secret that is left in an "
        "output, in any spelling, counts as lost."
    )
    return Section("Edge: secrets", list(tallies.values()), notes=[note])


def _tallies(numbers: range) -> list[Tally]:
    tallies = {name: Tally(name) for name in OUTPUTS}
    with _environment_without_others():
        for number in numbers:
            secret = generated(random.Random(number))
            with _variable(secret):
                for tally, output in zip(tallies.values(), OUTPUTS.values(), strict=True):
                    _try(secret, number, output, tally)
    return list(tallies.values())


def _try(secret: str, number: int, output: Callable[[str], str], tally: Tally) -> None:
    """All spellings in one text; one by one where something of it is left."""
    spelled = {name: spell(secret) for name, spell in SPELLINGS.items()}
    tally.times += len(spelled)
    if not is_left(output(f"{number} " + _BETWEEN.join(spelled.values())), secret):
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
def _environment_without_others() -> Iterator[None]:
    """Each output looks for secrets in all variables, which takes most of its time."""
    others = dict(os.environ)
    os.environ.clear()
    try:
        yield
    finally:
        os.environ.update(others)


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
