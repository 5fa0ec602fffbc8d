"""Generated secrets, spelled in every way, through everything that a run prints or writes."""

from __future__ import annotations

import argparse
import codecs
import html
import io
import json
import logging
import os
import random
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, unquote_plus

import msgspec
import requests
from dagster import AssetKey, RetryPolicy
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

from landing import events, secrets
from landing.catalog.settings import BucketSettings
from landing.catalog.workspace import Workspace
from landing.cli.text.console import grid, put, say
from landing.cli.text.output import complain, print_failed, print_json
from landing.cli.text.run import Terminal
from landing.dagster.metadata import _table
from landing.dagster.outcomes import _outcome
from landing.dagster.reporting import RunLog
from landing.dagster.results import COLUMNS, _check, _volume
from landing.errors import StreamError
from landing.http.captured import captured
from landing.observe.alert import failed, problem
from landing.observe.failed import FailedRuns
from landing.observe.lineage import error_facet
from landing.observe.logs import JsonLog
from landing.observe.otel import Telemetry, _Stream
from landing.observe.problems import Problem
from landing.observe.receivers import BODIES, pagerduty_event
from landing.operations.doctor.findings import wrong
from landing.operations.recordings.scrubbing import Scrubber, UnscrubbedSecret
from landing.page import profiles
from landing.page.html import _environment
from landing.scaffold.render import _comment, _harmless
from landing.secrets.logs import REDACTION
from landing.zone.bucket import Bucket
from torture.figures import Section, Tally
from torture.spellings import SPELLINGS, generated

VARIABLE = "TORTURE_API_TOKEN"
_BETWEEN = " and "
_HALF = 8
"""Characters. A shorter piece may be in a text by chance."""
_PAGE = _environment()
_TRACER = TracerProvider().get_tracer("torture")
_DECODED: tuple[Callable[[str], str], ...] = (
    str,
    unquote_plus,
    lambda text: unquote_plus(unquote_plus(text)),
    html.unescape,
    lambda text: html.unescape(html.unescape(text)),
    lambda text: text.replace("\\/", "/").replace('\\"', '"').replace("\\\\", "\\"),
    lambda text: codecs.decode(text.encode(errors="replace"), "unicode_escape", "replace"),
    lambda text: "".join(text.split()),
)
"""What a reader could undo with Python's own means."""


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


def _lines(text: str) -> str:
    """Of a command, of a run that goes on, and a table."""

    def show() -> None:
        put(text)
        say(text, mark=text)
        Terminal("shop")(events.Note("orders", text))
        for line in grid([text], [[piece] for piece in text.split(_BETWEEN)], None):
            put(line)

    return _printed(show)


def _values(text: str) -> str:
    """A document with a secret in lists and at some depth."""
    return _printed(lambda: print_json({"notes": [text, {"note": text}], "rows": 1.5}))


def _log_line(text: str) -> str:
    log = JsonLog("shop")
    fields = {"cause": text, "unexpected": [text]}
    try:
        return _printed(lambda: log.write("error", "stream_failed", text, "orders", **fields))
    finally:
        logging.getLogger().removeHandler(log._libraries)


def _library(text: str) -> str:
    """What a library logs, what one logs that nobody knows, and a warning."""
    record = logging.LogRecord("dlt", logging.WARNING, "", 1, "got %s", (text,), None)
    REDACTION.filter(record)

    def say_more() -> None:
        logging.getLogger("shop").warning("got %s", text)
        warnings.warn(text, stacklevel=1)

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)  # or they stay with whoever has captured them since
        secrets.log_no_secrets("dlt")
        return record.getMessage() + _printed(say_more)


def _finding(text: str) -> str:
    found = wrong("bucket", text, text)
    return f"{found.found} {found.remedy}"


def _recording(text: str) -> str:
    """A recorded answer; nothing if it is refused because a secret would be left in it."""
    scrubber = Scrubber({VARIABLE: os.environ[VARIABLE]})
    uri = f"http://api/orders?note={quote(text)}"
    headers = {"Accept": quote(text), "X-Api-Key": os.environ[VARIABLE]}
    body = json.dumps({"note": text}).encode()
    request = SimpleNamespace(uri=uri, method="POST", headers=headers, body=body)
    answer = {
        "status": {"code": 200, "message": text},
        "headers": {"Content-Type": ["application/json"], "X-Note": [quote(text)]},
        "body": {"string": body},
    }
    scrubber.learn(request, answer)
    try:
        sent = scrubber.request(request)
        scrubbed = scrubber.response(request, answer)
        scrubber.refuse_secrets(sent, scrubbed)
    except UnscrubbedSecret:
        return ""
    return f"{sent.uri}{sent.headers}{sent.body.decode()}{scrubbed['body']['string']}{scrubbed}"


def _failed_run(text: str) -> str:
    """The record of a failed run in the bucket."""
    log = FailedRuns(Workspace(Path()), "shop")
    record = log._failed_run("orders", StreamError(text, remedy=text))
    return msgspec.json.encode(record).decode()


def _alert(form: str) -> Callable[[str], str]:
    def said(text: str) -> str:
        error = failed("shop", "orders", StreamError(text, remedy=text))
        concern = problem("shop", "orders", "ahead", Problem("ahead", text, text))
        if form == "pagerduty":
            return json.dumps(
                [pagerduty_event(one) for one in (error, concern)], ensure_ascii=False
            )
        body = BODIES[form]([error, concern], [])
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


def _dagster_log(text: str) -> str:
    """What a run logs to Dagster, and the checks of a stream that landed."""
    heard = io.StringIO()
    logger = logging.Logger("dagster")
    logger.addHandler(logging.StreamHandler(heard))
    log = RunLog(logger)
    log(events.DriftNote("orders", text))
    log(events.RunWarning(text))
    key = AssetKey("orders")
    columns = _check(key, COLUMNS, passed=False, message="\n".join(log.drift))
    checks = (columns, _volume(key, _result(text)))
    return heard.getvalue() + "".join(str(check.description) for check in checks)


def _result(text: str) -> Any:
    return SimpleNamespace(unexpected=[text], rows=1)


def _new_source(text: str) -> str:
    """A description of an API in the source that `landing new` writes."""
    return _comment(text) + _harmless(text)


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
    "values in documents": _values,
    "lines and tables": _lines,
    "log lines in JSON": _log_line,
    "logs of libraries, warnings": _library,
    "findings of doctor": _finding,
    "recordings": _recording,
    "records of failed runs": _failed_run,
    "alerts to Slack": _alert("slack"),
    "alerts in JSON": _alert("json"),
    "alerts to PagerDuty": _alert("pagerduty"),
    "events of OpenLineage": lambda text: error_facet(StreamError(text)).message,
    "pages of landing report": _page,
    "Dagster's tables and failures": _dagster,
    "Dagster's log and checks": _dagster_log,
    "spans of OpenTelemetry": _span,
    "sources of landing new": _new_source,
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
    spelled = _spelled(secret)
    tally.times += len(spelled)
    if not is_left(output(f"{number} " + _BETWEEN.join(spelled.values())), secret):
        return
    for name, text in spelled.items():
        if is_left(output(f"{number} {text}"), secret):
            tally.lost += 1
            tally.problems.append(f"secret {number} {name}")


@lru_cache(maxsize=4)
def _spelled(secret: str) -> Mapping[str, str]:
    return {name: spell(secret) for name, spell in SPELLINGS.items()}


def is_left(said: str, secret: str) -> bool:
    """Whether a text has the secret in any spelling, or half of it."""
    decoded = [decode(said) for decode in _DECODED]
    half = len(secret) // 2
    halves = [secret[:half], secret[half:]] if half >= _HALF else []
    if any(piece in text for piece in (secret, *halves) for text in decoded):
        return True
    return any(text in said for text in _spelled(secret).values()) or secrets.is_in(said, secret)


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
