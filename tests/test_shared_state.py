"""What the threads of a process share: streams that run at the same time, and what observes them.

Each test brings two threads to the place where they would meet once in some thousand runs.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from io import StringIO
from multiprocessing import Pipe
from pathlib import Path
from typing import Any, cast

import pytest
import requests
from openlineage.client import OpenLineageClient
from opentelemetry.sdk.metrics.export import MetricsData
from requests import models

from landing.catalog.workspace import Workspace
from landing.dagster import engine
from landing.errors import StreamError
from landing.events import ReadCounts, RunEnded, StreamFailed
from landing.extraction import tuning
from landing.http import answers, traffic
from landing.http.auth.oauth import OAuth2ClientCredentials, OAuth2RefreshToken
from landing.http.auth.token_store import Tokens
from landing.http.pacing.pace import Pace
from landing.observe import lineage
from landing.observe.in_time import AtEnd, Work
from landing.observe.logs import JsonLog
from landing.observe.otel import _Figures, _Spans
from landing.operations import child_process
from landing.secrets import redacted, registry
from tests.servers.scripted import Exchange, Server, serve

_SOON = 10.0
"""Seconds after which a thread that waits for another is stuck."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    def answer(exchange: Exchange) -> None:
        if exchange.seen.path == "/token":
            exchange.reply(200, json.dumps({"access_token": "a" * 20, "expires_in": 3600}).encode())
        else:
            exchange.reply(200, b"[]")

    with serve(answer) as running:
        yield running


class _Slow(type):
    """A class at which threads meet that look whether it is in a set."""

    meeting: threading.Barrier | None = None

    def __hash__(cls) -> int:
        if cls.meeting is not None:
            with suppress(threading.BrokenBarrierError):
                cls.meeting.wait(0.1)
        return super().__hash__()


def test_streams_that_begin_together_see_each_answer_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Client(metaclass=_Slow):
        status_code = 200
        headers: Mapping[str, str] = {}

        def begin(self) -> None: ...

    found = answers.Answers()
    monkeypatch.setattr(answers, "_receivers", lambda: ([found], True))
    monkeypatch.setattr(answers, "_wrapped", set())
    with monkeypatch.context() as slow:
        slow.setattr(_Slow, "meeting", threading.Barrier(2))
        _twice_at_once(lambda: answers._wrap(Client, "begin", is_answer=True))
    Client().begin()
    assert found.count == 1


@dataclass
class _Memory:
    """A token store."""

    name: str = "shop"
    tokens: Tokens | None = None

    def read(self) -> Tokens | None:
        return self.tokens

    def update(self, renew: Callable[[Tokens | None], Tokens]) -> Tokens:
        self.tokens = renew(self.tokens)
        return self.tokens


def test_an_answer_to_a_login_or_to_an_observer_is_none_of_a_stream(server: Server) -> None:
    """A cursor that is a number moves by the first answer, which has to be one with records."""
    url, before = f"{server.url}/token", len(server.seen)
    with traffic.counting():
        found = traffic.current().answers
        Work(lambda: requests.get(server.url, timeout=9), "a collector").wait()
        with ThreadPoolExecutor(1) as of_opentelemetry:
            of_opentelemetry.submit(_Spans(server.url).export, ()).result()
            of_opentelemetry.submit(_Figures(server.url).export, MetricsData(())).result()
        for auth in (
            OAuth2ClientCredentials(url, "id", "the secret of it"),
            OAuth2RefreshToken(url, "id", store=_Memory(), refresh_token="granted once"),
        ):
            auth(requests.Request("GET", server.url).prepare())
        assert [seen.path for seen in server.seen[before:]] == ["/", "/", "/", "/token", "/token"]
        assert found.count == 0
        with ThreadPoolExecutor(1) as of_the_source:
            of_the_source.submit(requests.get, server.url, timeout=9).result()
        assert found.count == 1


def test_a_stream_may_begin_while_a_process_reads_its_counts() -> None:
    """`--processes` with several workers; otherwise a stream fails whose event is sent then."""
    ours, theirs = Pipe()
    parent = child_process.Parent(theirs)

    class Counts:
        rows = 7

        @property
        def pages(self) -> int:
            parent._counts["products"] = ReadCounts()
            return 2

    parent._counts["orders"] = cast(ReadCounts, Counts())
    assert parent._new_counts() == {"orders": (2, 7)}
    parent.close()
    ours.close()


def test_a_failure_is_not_lost_to_another_streams_event() -> None:
    at_end = AtEnd()
    failed = [StreamFailed("orders", StreamError("broken"))]

    class Event:
        @property
        def __class__(self) -> type:  # looked at by isinstance
            while failed:
                at_end(failed.pop())
            return Event

    at_end(cast(Any, Event()))
    assert at_end._has_failed


def test_a_destructor_may_log_while_a_secret_is_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """As aiohttp's does for a session that was not closed. It runs wherever there is garbage."""
    monkeypatch.setattr(registry, "_lock", type(registry._lock)())  # a stuck one is left behind

    class Value(str):
        def __hash__(self) -> int:
            assert redacted("nothing secret") == "nothing secret"
            return super().__hash__()

    _ended(lambda: registry.register(Value("a token of twenty")))


def test_a_destructor_may_log_while_a_line_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stderr(StringIO):
        def write(self, text: str) -> int:
            if "the first" in text:
                logging.getLogger("aiohttp").warning("a session was not closed")
            return super().write(text)

    shown = Stderr()
    monkeypatch.setattr(sys, "stderr", shown)
    log = JsonLog("shop")
    try:
        _ended(lambda: log.write("info", "note", "the first"))
    finally:
        log(RunEnded())
    assert "a session was not closed" in shown.getvalue()


def test_clients_that_differ_in_a_lambda_share_a_limiter() -> None:
    """Each limiter has a connection to SQLite, with three open files."""
    one, other = (
        Pace(per_second=50, cost=lambda request: 2).limiter("http://127.0.0.1:9/") for _ in range(2)
    )
    assert one is other


def test_the_decoder_is_replaced_once_however_many_runs_there_are() -> None:
    """The replaced one calls the one before, which ends after a thousand runs."""
    tuning._decode_faster()
    first = vars(models)["complexjson"]
    tuning._decode_faster()
    assert vars(models)["complexjson"] is first


def test_openlineages_client_leaves_the_environment_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A request in another thread, which reads all variables, fails if one is removed meanwhile."""
    resolve = OpenLineageClient._resolve_transport

    def resolved(client: OpenLineageClient, **options: Any) -> Any:
        seen.append(dict(os.environ))
        return resolve(client, **options)

    monkeypatch.setattr(OpenLineageClient, "_resolve_transport", resolved)
    monkeypatch.setenv("OPENLINEAGE_URL", "http://127.0.0.1:9")
    seen = [dict(os.environ)]
    transport = lineage._client().config.transport
    assert transport == {
        "transports": {"default_http": {"type": "http", "url": "http://127.0.0.1:9"}}
    }
    assert len(seen) == 2
    assert seen[0] == seen[1]


def test_a_step_leaves_the_path_of_other_threads_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the engine is imported, as by an earlier step of the process."""
    import dlt  # noqa: F401

    monkeypatch.setattr(engine, "_tune", lambda: None)
    monkeypatch.delattr(engine, "_off_the_path")
    engine.import_engine(Workspace(Path("/nowhere")))


def _twice_at_once(call: Callable[[], object]) -> None:
    with ThreadPoolExecutor(2) as threads:
        for under_way in [threads.submit(call) for _ in range(2)]:
            under_way.result(_SOON)


def _ended(call: Callable[[], object]) -> None:
    """Raises LandingError if it gets stuck."""
    Work(call, "a thread that waits for itself").wait(_SOON)
