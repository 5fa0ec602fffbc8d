"""`expect` in a stream config: how many rows there have to be, and who is told if there are not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import time_machine

from landing.catalog.stream_config import Expect, StreamConfig
from landing.catalog.workspace import Workspace
from landing.dagster import definitions
from landing.extraction.sources import load_source
from landing.extraction.volume import Volume, VolumeState
from tests.kit import Kit, Zone
from tests.servers.scripted import serve
from tests.test_observability import Received, gauges, receiving

STREAM = """
import os
import dlt, requests

@dlt.resource(primary_key="id")
def rows():
    yield requests.get(os.environ["COUNTER"]).json()

@dlt.resource(primary_key="id")
def changes(id=dlt.sources.incremental("id")):
    yield requests.get(os.environ["COUNTER"]).json()
"""
FIELDS = {"id": {"type": "integer"}}
FILE = "orchestration/dag/streams/counter/rows.json"


class Counter:
    """An API that has as many records as it is told."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.count = 10
        kit.add_source("counter", STREAM)

    def configure(self, stream: str = "rows", **keys: Any) -> None:
        self.kit.configure("counter", stream, fields=FIELDS, **keys)

    def run(self, stream: str = "rows", code: int = 0) -> dict[str, Any]:
        done = self.kit.run("counter", stream, "--json")
        assert done.code == code, done.text
        return dict(json.loads(done.out)[0])

    def status(self, stream: str = "rows") -> dict[str, Any]:
        found = json.loads(self.kit.landing("status", "counter", "--json").out)
        return next(dict(one) for one in found if one["stream"] == stream)


@pytest.fixture
def counter(kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter]:
    made = Counter(kit)

    def body() -> bytes:
        return json.dumps([{"id": n} for n in range(made.count)]).encode()

    with serve(lambda exchange: exchange.reply(200, body())) as server:
        monkeypatch.setenv("COUNTER", server.url)
        yield made


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Received]:
    with receiving() as received:
        monkeypatch.setenv("LANDING_ALERT_WEBHOOK", f"{received.url}/hook")
        monkeypatch.setenv("LANDING_ALERT_FORMAT", "json")
        yield received


def test_too_few_rows_land_and_are_reported_everywhere(
    counter: Counter, hook: Received, tmp_path: Path
) -> None:
    counter.configure(expect={"rows_per_run": 100})
    file = tmp_path / "counter.prom"
    done = counter.kit.run("counter", "rows", "--metrics-file", str(file))
    assert done.code == 0
    text = f"the run has 10 rows; expect.rows_per_run of {FILE} is 100"
    assert f"counter/rows: {text}" in done.out
    assert "10 rows in" in done.out
    assert gauges(file.read_text())["landing_last_run_unexpected"] == {("counter", "rows"): 1}
    (alert,) = map(json.loads, hook.at("/hook"))
    assert [(one["kind"], one["message"]) for one in alert["warnings"]] == [("volume", text)]
    status = counter.status()
    assert status["status"] == "volume"
    assert status["problems"][0]["message"] == text
    assert counter.kit.landing("status", "counter").code == 1
    page = counter.kit.repository / "report.html"
    assert counter.kit.landing("report", "counter", "--output", str(page)).code == 0
    assert text in page.read_text()

    counter.count = 100
    assert counter.run()["unexpected"] == []
    assert counter.status()["status"] == "ok"


def test_dagster_has_a_check_of_the_number_of_rows(counter: Counter) -> None:
    def volume(stream: str = "rows") -> dg.AssetCheckEvaluation | None:
        key = dg.AssetKey(["counter", stream])
        assets = [
            one
            for one in definitions(counter.kit.root).assets or []
            if key in one.keys  # type: ignore[union-attr,operator]
        ]
        found = dg.materialize(assets).get_asset_check_evaluations()
        return next((one for one in found if one.check_name == "volume"), None)

    counter.configure(expect={"rows_per_run": 100})
    few = volume()
    assert few is not None
    assert (few.passed, few.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "expect.rows_per_run" in (few.description or "")
    counter.count = 100
    enough = volume()
    assert enough is not None
    assert enough.passed
    counter.configure("changes", cursor_field=["id"])
    assert volume("changes") is None, "there is nothing that it would have to be"


@pytest.mark.parametrize("expect", [{"rows_per_run": 5}, {"change": 0.5}])
def test_rows_that_would_be_replaced_by_too_few_stay(
    counter: Counter, folder_zone: Zone, expect: dict[str, Any]
) -> None:
    modes = {"sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}
    counter.configure(expect=expect, **modes)
    assert counter.run()["rows"] == 10
    before = folder_zone.paths_but_failures()
    counter.count = 4
    for _ in range(2):
        failed = counter.run(code=1)
        assert "the run has 4 rows" in failed["error"]["message"]
        assert (
            f"nothing was changed. If the number is right, change {FILE}"
            in (failed["error"]["message"])
        )
        assert folder_zone.paths_but_failures() == before
    assert counter.status()["status"] == "failing"
    counter.count = 9
    assert counter.run()["rows"] == 9


def test_too_few_rows_do_not_delete_the_others(counter: Counter, folder_zone: Zone) -> None:
    counter.configure(
        expect={"change": 0.3}, sync_mode="full_refresh", primary_key=[["id"]], deletes="snapshot"
    )
    counter.run()
    counter.count = 5
    message = counter.run(code=1)["error"]["message"]
    assert "the run has 5 rows, 50% less than the 10 that the last one had" in message
    counter.count = 8
    done = counter.run()
    assert done["deleted"] == 2


def test_a_full_refresh_is_compared_with_the_one_before(counter: Counter) -> None:
    counter.configure(expect={"change": 0.5})
    assert counter.run()["unexpected"] == []
    counter.count = 16
    (more,) = counter.run()["unexpected"]
    assert more == (
        "the run has 16 rows, 60% more than the 10 that the last one had; expect.change of "
        f"{FILE} is 0.5"
    )
    assert counter.run()["unexpected"] == [], "it is usual by now"


def test_an_empty_refresh_where_there_were_rows_is_reported_without_expect(
    counter: Counter,
) -> None:
    counter.configure()
    assert counter.run()["unexpected"] == []
    counter.count = 0
    for _ in range(2):
        (text,) = counter.run()["unexpected"]
        assert text == "the run has 0 rows, but the last one that had any had 10"
    status = counter.status()
    assert status["status"] == "volume"
    assert 'if the number is right, set "allow_empty": true' in status["problems"][0]["remedy"]
    counter.configure(allow_empty=True)
    assert counter.run()["unexpected"] == []
    assert counter.status()["status"] == "ok"


def test_an_incremental_stream_that_finds_nothing_new_is_as_it_should_be(counter: Counter) -> None:
    counter.configure("changes", cursor_field=["id"])
    counter.run("changes")
    done = counter.run("changes")
    assert (done["status"], done["unexpected"]) == ("nothing_new", [])


def test_the_rows_of_a_day_are_those_of_all_its_runs_and_status_counts_them_alone(
    counter: Counter,
) -> None:
    counter.configure("changes", cursor_field=["id"], expect={"rows_per_day": 15})
    now = datetime.now(UTC)
    assert counter.run("changes")["unexpected"] == [], "there was no whole day"
    with time_machine.travel(now + timedelta(hours=30)):
        counter.count = 20
        (text,) = counter.run("changes")["unexpected"]
        assert text.startswith("the runs of the last 24 hours have landed 10 rows; expect.rows_per")
        counter.count = 26
        assert counter.run("changes")["unexpected"] == []
        assert counter.status("changes")["status"] == "ok"
    with time_machine.travel(now + timedelta(hours=60)):
        status = counter.status("changes")
        assert status["status"] == "volume"
        assert "have landed 0 rows" in status["problems"][0]["message"]


def volume_of(counter: Counter, expect: Expect, state: VolumeState, now: datetime) -> Volume:
    counter.configure("changes", cursor_field=["id"], expect={"change": 1})
    config: StreamConfig = load_source(Workspace(counter.kit.root), "counter").config("changes")
    return Volume(replace(config, expect=expect), state, now)


def test_an_incremental_streams_day_is_compared_with_its_usual_one(counter: Counter) -> None:
    now = datetime(2026, 1, 21, 12, 30, tzinfo=UTC)
    hour = int(now.timestamp()) // 3600
    days = [40, 100, 110, 90, 1_000, 105, 95, 100]
    state = VolumeState(since=hour - 8 * 24, hours={})
    for day, rows in enumerate(days):
        state["hours"] |= {
            str(hour - 24 * day - 3): rows // 2,
            str(hour - 24 * day - 20): rows // 2,
        }

    def said(change: float, state: VolumeState = state) -> list[str]:
        return volume_of(counter, Expect(change=change), state, now).of_day()

    (text,) = said(0.5)
    assert "have landed 40 rows, 60% less than the 100 that a usual day has" in text
    assert said(0.6) == []
    assert said(0.5, VolumeState(state, since=hour - 3 * 24)) == [], "too few days to compare with"
    quiet = VolumeState(state, hours={**state["hours"], str(hour): 200})
    assert "140% more" in said(0.5, quiet)[0]


def test_hours_that_no_rule_needs_are_not_kept(counter: Counter) -> None:
    now = datetime.now(UTC)
    hour = int(now.timestamp()) // 3600
    state = VolumeState(since=hour - 5_000, hours={str(hour - 4_000): 3, str(hour - 2): 5})
    volume = volume_of(counter, Expect(change=0.5), state, now)
    volume.add(7)
    kept = volume.state(7, [])
    assert kept["hours"] == {str(hour - 2): 5, str(hour): 7}
    assert kept["since"] > hour - 5_000
    assert volume_of(counter, Expect(rows_per_run=1), state, now).state(7, []) == {}


@pytest.mark.parametrize(
    ("expect", "message"),
    [
        ({}, "expect: is empty; set rows_per_run, rows_per_day or change, or leave it out"),
        ({"rows_per_rn": 1}, "expect: unknown key 'rows_per_rn'; did you mean 'rows_per_run'?"),
        ({"rows_per_run": 0}, "expect.rows_per_run: "),
        ({"rows_per_day": "many"}, "expect.rows_per_day: expected a whole number"),
        ({"change": 0}, "expect.change: "),
        ({"change": "50%"}, "write it as 0.5 for at most 50 % less or more rows than usual"),
        (100, "expect: expected an object"),
    ],
)
def test_mistakes_are_reported_with_their_place(
    counter: Counter, expect: Any, message: str
) -> None:
    counter.configure(expect=expect)
    done = counter.kit.run("counter", "rows")
    assert done.code == 2
    assert message in done.err
