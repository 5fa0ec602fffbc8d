"""What an API says reaches no terminal as it is, and with --json only documents are on stdout."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from dagster import AssetKey, RetryPolicy

from landing import events
from landing.cli.text.console import grid, put, say
from landing.dagster.metadata import _cell
from landing.dagster.outcomes import _outcome
from landing.dagster.reporting import RunLog
from landing.dagster.results import _volume
from landing.errors import StreamError, printable, printable_lines
from landing.observe.alert import failed, problem
from landing.observe.problems import Problem
from landing.observe.receivers import BODIES
from landing.page.html import _environment
from landing.secrets.logs import REDACTION
from landing.tables.sync import TableSync
from tests.kit import REPOSITORY, Kit, Zone
from tests.servers.scripted import Exchange, serve

EVIL = "a\x1b[2J\rb\x07c\u202ed\x9be\nerror: forged"
FAILED = failed("shop", "orders", StreamError(EVIL))
CONCERN = problem("shop", "orders", "ahead", Problem("ahead", EVIL, EVIL))
BAD = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
COMMAND = [sys.executable, "-c", "from landing.cli import main; raise SystemExit(main())"]


def assert_printable(text: str) -> None:
    assert BAD.findall(text) == []
    assert not any(line.startswith("error: forged") for line in text.split("\n"))


@pytest.mark.parametrize("make", [printable, printable_lines])
def test_odd_characters_are_spelled_as_in_json(make: Any) -> None:
    assert make("naïve 日本 text") == "naïve 日本 text"
    assert make("a\x1b[0m\r\u202e\U000e0001") == "a\\u001b[0m\\u000d\\u202e\\udb40\\udc01"
    assert_printable(make(EVIL))


def test_lines_and_tables_are_printable(capsys: pytest.CaptureFixture[str]) -> None:
    put(EVIL)
    say(EVIL, mark="  ! \x1b")
    for line in grid([EVIL], [[EVIL]], None):
        put(line)
    assert_printable(capsys.readouterr().out)


def test_only_the_console_prints() -> None:
    """Other modules print by its functions. A log writes JSON, which has no odd characters."""
    own = {
        "cli/text/console.py",
        "cli/main.py",  # one constant word
        "cli/verbs/completion.py",  # a script of our own
        "observe/logs.py",
        "operations/child_process.py",  # has no console; its text is made printable
        "operations/checks/interruption.py",  # captured, and shown by the console
    }
    found = {
        str(file.relative_to(REPOSITORY / "src" / "landing"))
        for file in (REPOSITORY / "src" / "landing").rglob("*.py")
        if re.search(r"^\s+print\(|sys\.std(out|err)\.write", file.read_text(), re.MULTILINE)
    }
    assert found <= own


RESULT: Any = SimpleNamespace(unexpected=[EVIL], rows=1)


def _dagster_log() -> str:
    heard = io.StringIO()
    logger = logging.Logger("dagster")
    logger.addHandler(logging.StreamHandler(heard))
    RunLog(logger)(events.RunWarning(EVIL))
    return heard.getvalue()


def _failure() -> str:
    context: Any = SimpleNamespace(retry_number=0)
    failure = _outcome(context, StreamError(EVIL), RetryPolicy(max_retries=0))
    return str(failure.description)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "face",
    [
        lambda: BODIES["slack"]([FAILED, CONCERN], [])["text"],
        lambda: "\n".join(_texts(BODIES["json"]([FAILED, CONCERN], []))),
        lambda: _environment().from_string("<p>{{ text }}</p>").render(text=EVIL),
        lambda: _cell(EVIL),
        lambda: str(_volume(AssetKey("orders"), RESULT).description),
        _dagster_log,
        _failure,
    ],
    ids=["Slack", "JSON alert", "report", "cell", "check", "log of Dagster", "failure"],
)
def test_what_an_api_says_forges_no_line_elsewhere(face: Callable[[], str]) -> None:
    assert_printable(face())


def _texts(body: dict[str, Any]) -> list[str]:
    found = [*body["failed"], *body["warnings"]]
    return [value for one in found for value in one.values()]


STREAMS = """\
import os
import subprocess
import sys

import dlt
import requests


@dlt.resource(primary_key="id")
def rows(at=dlt.sources.incremental("at", initial_value="")):
    print("the source says hello")
    subprocess.run([sys.executable, "-c", "print('so does its program')"], check=True)
    response = requests.get(os.environ["EVIL_URL"])
    response.raise_for_status()
    yield response.json()


@dlt.resource
def fails():
    raise ValueError(os.environ["EVIL_TEXT"])
    yield
"""
FIELDS = {"id": {"type": "integer"}, "at": {"type": "string"}}


@pytest.fixture
def evil(kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch) -> Kit:
    kit.add_source("evil", STREAMS)
    kit.configure("evil", "rows", primary_key=[["id"]], cursor_field=["at"], fields=FIELDS)
    kit.configure("evil", "fails", fields={"id": {"type": "integer"}})
    monkeypatch.setenv("EVIL_TEXT", EVIL)
    return kit


def answer_rows(exchange: Exchange) -> None:
    body = json.dumps([{"id": 1, "at": EVIL}]).encode()
    exchange.reply(200, body, Content_Type="application/json")


def answer_reason(exchange: Exchange) -> None:
    handler = exchange.handler
    handler.wfile.write(b"HTTP/1.1 400 Bad\x1b[2J\x07\xe2\x80\xae\r\n")
    handler.wfile.write(b"Content-Type: text/plain\x1b[31m\r\nContent-Length: 7\r\n\r\n")
    handler.wfile.write(b"no\x1b[2J\rx")


@pytest.mark.parametrize("answer", [answer_rows, answer_reason])
def test_what_an_api_says_does_not_steer_the_terminal(
    evil: Kit, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    with serve(answer) as server:
        monkeypatch.setenv("EVIL_URL", server.url)
        for words in (
            ("run", "evil", "rows", "--dry-run"),
            ("run", "evil", "rows"),
            ("run", "evil", "fails"),
            ("run", "evil", "fails", "--debug"),
            ("run", "evil", "fails", "--json"),
            ("run", "evil", "rows", "--log-format", "json"),
            ("check", "evil", "rows"),
            ("discover", "evil", "rows"),
            ("status",),
            ("status", "--json"),
            ("history", "evil", "rows"),
            ("history", "evil", "fails", "--json"),
            ("state", "evil", "rows"),
            ("show", "evil", "rows"),
            ("show", "evil", "rows", "--json"),
            ("verify", "evil", "rows"),
        ):
            assert_printable(evil.landing(*words).text)


def test_what_libraries_log_is_printable() -> None:
    record = logging.LogRecord("dlt", logging.WARNING, "", 1, "%s", (EVIL,), None)
    assert REDACTION.filter(record)
    assert_printable(record.getMessage())
    assert "\n  error: forged" in record.getMessage()


@pytest.mark.parametrize("words", [("rows",), ("rows", "fails"), ("rows", "--dry-run")])
def test_a_source_that_prints_leaves_standard_output_to_the_document(
    evil: Kit, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """As a process of its own: what a source's program prints goes there, too."""
    with serve(answer_rows) as server:
        done = subprocess.run(
            [*COMMAND, "run", "evil", *words, "--json"],
            env={**os.environ, "EVIL_URL": server.url},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    assert json.loads(done.stdout), done.stderr
    assert "the source says hello\n" in done.stderr
    assert "so does its program\n" in done.stderr
    assert_printable(done.stdout)


def test_a_document_that_nobody_reads_to_its_end_is_no_error(evil: Kit) -> None:
    command = f"{sys.executable} -c 'from landing.cli import main; raise SystemExit(main())'"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} run evil fails --json | true"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert "Traceback" not in done.stderr


def test_a_captured_source_that_prints_leaves_the_document_alone(
    evil: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(answer_rows) as server:
        monkeypatch.setenv("EVIL_URL", server.url)
        done = evil.landing("discover", "evil", "rows", "--json")
    assert json.loads(done.out)
    assert "the source says hello" in done.err


def test_a_bug_in_a_table_update_is_reported_as_a_bug_and_debug_shows_it(
    evil: Kit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LANDING_TABLES_URL", (tmp_path / "tables").as_uri())
    evil.configure(
        "evil",
        "rows",
        primary_key=[["id"]],
        cursor_field=["at"],
        fields=FIELDS,
        destination_sync_mode="merge",
        table_format="delta",
    )

    def buggy(self: TableSync, *_: object) -> Any:
        return self._config.no_such_thing  # type: ignore[attr-defined]

    buggy.__globals__["__name__"] = "landing.tables.sync"
    monkeypatch.setattr(TableSync, "_made", buggy)
    try:
        with serve(answer_rows) as server:
            monkeypatch.setenv("EVIL_URL", server.url)
            done = evil.landing("run", "evil", "rows")
            shown = evil.landing("run", "evil", "rows", "--debug")
    finally:
        buggy.__globals__["__name__"] = __name__
    assert done.code == 1
    assert "because of a bug in dlt-landing (AttributeError: " in done.err
    assert "nothing of yours is wrong" in done.err
    assert "is damaged" not in done.err
    assert "Traceback" not in done.err
    assert "self._config.no_such_thing" in shown.err
    assert "AttributeError" in shown.err
