"""What a command imports, and how many requests it makes for each of a source's streams."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from landing import events
from landing.catalog.workspace import Workspace
from landing.errors import LandingError
from landing.observe import in_time, observers, receivers
from landing.results import StreamResult, Traffic
from tests.kit import Kit, Zone
from tests.servers.proxy import Request, serve_proxy

STREAMS = """\
import dlt


def read(at=dlt.sources.incremental("at")):
    if at.last_value is None:
        yield [{"id": 1, "at": 1, "gained": "x"}, {"id": "no number", "at": 1}]


a, b, c = (dlt.resource(read, name=name, primary_key="id") for name in "abc")
__all__ = ["a", "b", "c"]
"""
NAMES = ("a", "b", "c")
HEAVY = {"dlt", "pandas", "pyarrow", "numpy", "requests", "duckdb", "sqlglot"}
VERBS = (["--help"], ["status"], ["state", "shop", "a"], ["fresh"], ["env", "shop"])


@pytest.fixture
def shop(kit: Kit) -> Kit:
    kit.add_source("shop", STREAMS)
    for name in NAMES:
        kit.configure(
            "shop",
            name,
            fields={"id": {"type": "integer"}, "at": {"type": "integer"}},
            cursor_field=["at"],
            primary_key=[["id"]],
            schedule="0 * * * *",
        )
    return kit


def imported(kit: Kit, words: list[str]) -> tuple[set[str], str]:
    """What a command imports in a process of its own, and what it prints."""
    code = (
        "import sys\n"
        "from landing.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "print(','.join(sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=kit.root,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(done.stderr.splitlines()[-1].split(",")), done.stdout


def test_whoever_runs_no_source_does_not_wait_for_dlt(shop: Kit, folder_zone: Zone) -> None:
    assert shop.run("shop", "--all").code == 0
    for words in VERBS:
        modules, out = imported(shop, words)
        assert HEAVY & modules == set(), words
        assert out, words
    _, told = imported(shop, ["status"])
    assert "quarantine" in told
    assert "gained (string)" in told


def test_state_imports_a_source_again_once_a_file_of_it_has_changed(
    shop: Kit, folder_zone: Zone
) -> None:
    imported(shop, ["state", "shop", "a"])
    assert "dlt" not in imported(shop, ["state", "shop", "a"])[0]
    (shop.root / "dlt" / "sources" / "shop" / "settings.yaml").write_text("lag: 5")
    assert "dlt" in imported(shop, ["state", "shop", "a"])[0]


def test_what_the_code_says_of_a_start_is_shown_by_state(kit: Kit, folder_zone: Zone) -> None:
    kit.add_source("shop", STREAMS.replace('incremental("at")', 'incremental("at", lag=5)'))
    fields = {"id": {"type": "integer"}, "at": {"type": "integer"}}
    kit.configure("shop", "a", fields=fields, cursor_field=["at"])
    for _ in range(2):
        assert "dlt" in imported(kit, ["state", "shop", "a"])[0]


class Requests:
    def __init__(self) -> None:
        self._seen: list[tuple[str, str]] = []
        self._lock = threading.Lock()

    def see(self, request: Request) -> bool:
        with self._lock:
            self._seen.append((request.method, request.target))
        return False

    def taken(self) -> Counter[str]:
        """By the stream whose object they ask for; listings and others under ''."""
        seen, self._seen = self._seen, []
        found: Counter[str] = Counter()
        for _, target in seen:
            path = target.partition("?")[0]
            found[next((name for name in NAMES if f"/shop/{name}/" in path), "")] += 1
        return found


@pytest.fixture
def requests(zone: Zone, monkeypatch: pytest.MonkeyPatch) -> Iterator[Requests]:
    counted = Requests()
    with serve_proxy(os.environ["S3_ENDPOINT"].removeprefix("http://")) as proxy:
        proxy.spoil(lambda exchange: None, when=counted.see)
        monkeypatch.setenv("S3_ENDPOINT", proxy.url)
        yield counted


def test_requests_for_each_stream_are_few(shop: Kit, requests: Requests) -> None:
    """Objects that exist, and one listing of a kind for all streams."""
    assert shop.run("shop", "--all").code == 0
    requests.taken()
    expected = {
        # The lease, read, taken and released; the state, read and renewed; the rows read again.
        ("run", "shop", "--all"): (6, 0),
        # The lease, the state, the last load's record, and the records in quarantine.
        ("status",): (4, 3),
        ("doctor",): (0, 9),
        ("fresh",): (1, 1),
        # As status, and the records of loads, the schema, and the newest file.
        ("report", "--output", str(shop.repository / "report.html")): (7, 3),
    }
    for words, (for_each, others) in expected.items():
        shop.landing(*words)
        found = requests.taken()
        assert max(found[name] for name in NAMES) <= for_each, (words, found)
        assert found[""] <= others, (words, found)


@pytest.mark.parametrize("has_failed", [False, True])
def test_a_silent_server_delays_a_run_by_less_than_a_second_unless_there_is_a_problem_to_report(
    shop: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch, has_failed: bool
) -> None:
    assert in_time.SENT_WITHIN < 0.7
    assert sum(receivers._TIMEOUT) < in_time.PROBLEMS_SENT_WITHIN
    monkeypatch.setattr(in_time, "PROBLEMS_SENT_WITHIN", 1.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        webhook, *others = (
            "LANDING_ALERT_WEBHOOK",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "LANDING_PUSHGATEWAY_URL",
        )
        for name in (webhook, *others):
            monkeypatch.setenv(name, url)
        warnings: list[str] = []

        def person(event: events.Event) -> None:
            if isinstance(event, events.RunWarning):
                warnings.append(event.text)

        consumers = observers(Workspace(shop.root), "shop", None, late=tuple)
        emit = events.FanOut([*consumers, person])
        emit(events.StreamStarted("a", "shop", "incremental", None, None))
        ended = StreamResult(source="shop", stream="a", seconds=1.0, location="", traffic=Traffic())
        error = LandingError("no luck")
        emit(events.StreamFailed("a", error) if has_failed else events.StreamLanded("a", ended))
        begun = time.monotonic()
        emit(events.RunEnded())
        seconds = time.monotonic() - begun
        (told,) = warnings
        limit, silent = ("1.2 s", [webhook, *others]) if has_failed else ("0.6 s", others)
        assert 0 <= seconds - float(limit.split()[0]) < 3
        assert sorted(told.split("; ")) == sorted(f"{one}: gave up after {limit}" for one in silent)
