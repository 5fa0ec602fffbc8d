"""A cursor value beyond the source's time, as everyone who watches a stream sees it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from landing.catalog.settings import bucket_settings
from landing.catalog.workspace import Workspace
from landing.dagster import definitions
from landing.observe.lag import moment_of
from tests.kit import Kit, Zone
from tests.test_cursor import BODIES, Ledger, add_source, ledger_of, serving
from tests.test_observability import Received, gauges, receiving

FUTURE = "2999-01-01T00:00:00.000000Z"
KEY = ("ledger", "rows")


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Received]:
    with receiving() as received:
        monkeypatch.setenv("LANDING_ALERT_WEBHOOK", f"{received.url}/hook")
        monkeypatch.setenv("LANDING_ALERT_FORMAT", "json")
        yield received


@pytest.fixture
def ledger(kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """It has one record of the year 2999."""
    found = ledger_of("iso")
    found.put(61, datetime(2999, 1, 1, tzinfo=UTC))
    add_source(kit, found, BODIES["by key"])
    with serving(found, monkeypatch):
        yield found


def move_cursor(kit: Kit, to: str = FUTURE) -> str:
    """As a version that had no bound left it."""
    done = kit.landing("state", "set", "ledger", "rows", "--cursor", to, "--yes")
    assert done.code == 0, done.text
    return done.out


def an_hour_ago() -> str:
    return f"{datetime.now(UTC) - timedelta(hours=1):%Y-%m-%dT%H:%M:%S.%fZ}"


def warnings(hook: Received) -> list[list[tuple[str, str]]]:
    return [
        [(one["stream"], one["kind"]) for one in json.loads(body)["warnings"]]
        for body in hook.at("/hook")
    ]


def run(kit: Kit) -> dict[str, Any]:
    done = kit.run("ledger", "rows", "--json")
    assert done.code == 0, done.text
    (result,) = json.loads(done.out)
    return dict(result)


def test_a_record_ahead_is_in_the_result_of_each_run_and_alerted_once(
    kit: Kit, ledger: Ledger, hook: Received
) -> None:
    told = {"field": "at", "value": FUTURE, "is_cursor": False, "parent": None}
    assert run(kit)["ahead"] == {**told, "is_new": True}
    ledger.put(7)
    assert run(kit)["ahead"] == {**told, "is_new": False}
    assert warnings(hook) == [[("ledger/rows", "ahead")]]
    ledger.put(61, datetime.now(UTC) - timedelta(minutes=2))
    assert run(kit)["ahead"] is None
    assert kit.landing("status", "ledger").code == 0


def test_a_cursor_ahead_is_alerted_with_the_command_that_puts_it_back(
    kit: Kit, ledger: Ledger, hook: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANDING_ALERT_REPEAT_HOURS", "0")
    run(kit)
    move_cursor(kit)
    hook.bodies.clear()
    for _ in range(2):
        assert run(kit)["ahead"]["is_cursor"] is True
    assert warnings(hook) == [[("ledger/rows", "ahead")]] * 2
    body = json.loads(hook.at("/hook")[0])
    assert "landing state set ledger rows --cursor VALUE" in body["warnings"][0]["remedy"]
    shown = kit.run("ledger", "rows")
    assert "`landing state set ledger rows --cursor VALUE` puts the cursor back" in shown.err
    move_cursor(kit, an_hour_ago())
    ledger.put(8)
    after = run(kit)
    assert after["rows"] >= 1
    assert after["ahead"]["is_cursor"] is False


def test_slack_gets_a_line_for_it(
    kit: Kit, ledger: Ledger, hook: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANDING_ALERT_FORMAT", "slack")
    run(kit)
    (body,) = hook.at("/hook")
    assert f":warning: *ledger/rows* ahead: a record has at {FUTURE}" in json.loads(body)["text"]


def test_fresh_lists_both_and_alerts_of_the_cursor(
    kit: Kit, ledger: Ledger, hook: Received
) -> None:
    run(kit)
    hook.bodies.clear()
    done = kit.landing("fresh", "ledger")
    assert done.code == 1
    assert f"ledger/rows: a record has at {FUTURE}, beyond now" in done.out
    assert hook.bodies == []
    move_cursor(kit)
    listed = kit.landing("fresh", "ledger", "--json")
    assert listed.code == 1
    (one,) = json.loads(listed.out)
    assert (one["kind"], one["due"]) == ("ahead", None)
    assert one["message"].startswith(f"the cursor at is at {FUTURE}, beyond now")
    assert "--cursor VALUE" in one["remedy"]
    assert warnings(hook) == [[("ledger/rows", "ahead")]]


def test_a_damaged_state_does_not_hide_the_others(kit: Kit, ledger: Ledger) -> None:
    run(kit)
    kit.configure("ledger", "broken", fields={"id": {"type": "integer"}})
    url = bucket_settings(Workspace(kit.root)).url
    state = Path(url.removeprefix("file://")) / "_dlt/ledger/broken/state.json"
    state.parent.mkdir(parents=True)
    state.write_text("{")
    listed = json.loads(kit.landing("fresh", "ledger", "--json").out)
    assert [one["stream"] for one in listed] == ["rows"]


def test_metrics_know_it(kit: Kit, ledger: Ledger, tmp_path: Path) -> None:
    def measured() -> tuple[float, float]:
        file = tmp_path / "landing.prom"
        assert kit.run("ledger", "rows", "--metrics-file", str(file)).code == 0
        found = gauges(file.read_text())
        return found["landing_cursor_ahead"][KEY], found["landing_record_ahead"][KEY]

    assert measured() == (0, 1)
    assert "that is beyond now: what is new is not requested until then" in move_cursor(kit)
    assert measured() == (1, 0)
    assert "beyond now" not in move_cursor(kit, an_hour_ago())
    ledger.put(61, datetime.now(UTC) - timedelta(minutes=2))
    assert measured() == (0, 0)


def test_opentelemetry_knows_it(kit: Kit, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
        run(kit)
    found = {}
    for body in collector.at("/v1/metrics"):
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            for metric in (one for scope in resource.scope_metrics for one in scope.metrics):
                if metric.name == "landing.ahead":
                    for point in metric.gauge.data_points:
                        labels = {one.key: one.value.string_value for one in point.attributes}
                        found[labels["of"]] = point.as_int
    assert found == {"cursor": 0, "record": 1}


def test_the_log_in_json_and_the_report_know_it(kit: Kit, ledger: Ledger) -> None:
    lines = map(json.loads, kit.run("ledger", "rows", "--log-format", "json").err.splitlines())
    (landed,) = [line for line in lines if line["event"] == "stream_landed"]
    assert landed["ahead"] == FUTURE
    done = kit.landing("report", "ledger", "--json")
    (stream,) = json.loads(done.out)["streams"]
    assert stream["status"]["status"] == "ahead"
    assert stream["status"]["ahead"]["value"] == FUTURE
    page = kit.repository / "report.html"
    assert kit.landing("report", "ledger", "--output", str(page)).code == 0
    assert f"a record has at {FUTURE}, beyond now" in page.read_text()


def test_dagsters_checks_and_metadata_know_it(kit: Kit, ledger: Ledger) -> None:
    def materialized() -> tuple[bool, dg.AssetCheckSeverity, Any]:
        assets = [
            one
            for one in definitions(kit.root).assets or []
            if dg.AssetKey(["ledger", "rows"]) in one.keys  # type: ignore[union-attr,operator]
        ]
        done = dg.materialize(assets)
        (event,) = done.get_asset_materialization_events()
        found = {one.check_name: one for one in done.get_asset_check_evaluations()}
        ahead = event.materialization.metadata["ahead"].value
        return found["cursor"].passed, found["cursor"].severity, ahead

    assert materialized() == (False, dg.AssetCheckSeverity.WARN, FUTURE)
    move_cursor(kit)
    assert materialized() == (False, dg.AssetCheckSeverity.ERROR, FUTURE)


def test_dagsters_freshness_fails_while_the_cursor_is_ahead(kit: Kit, ledger: Ledger) -> None:
    file = kit.config_file("ledger", "rows")
    file.write_text(json.dumps({**json.loads(file.read_text()), "schedule": "@yearly"}))
    run(kit)

    def checked() -> tuple[bool, str]:
        selection = dg.AssetSelection.checks(
            dg.AssetCheckKey(dg.AssetKey(["ledger", "rows"]), "freshness")
        )
        graph = definitions(kit.root).resolve_asset_graph()
        job = dg.define_asset_job("look", selection=selection).resolve(asset_graph=graph)
        (found,) = job.execute_in_process().get_asset_check_evaluations()
        return found.passed, found.description or ""

    assert checked() == (True, "landed since it was due")
    move_cursor(kit)
    passed, why = checked()
    assert not passed
    assert f"the cursor at is at {FUTURE}, beyond now" in why


@pytest.mark.parametrize(("kind", "there"), [("seconds", "32472144000"), ("milliseconds", "9e15")])
def test_a_number_that_is_a_time_is_known_to_be_ahead(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch, kind: str, there: str
) -> None:
    ledger = ledger_of(kind)
    add_source(kit, ledger, BODIES["by key"])
    with serving(ledger, monkeypatch):
        run(kit)
        (status,) = json.loads(kit.landing("status", "ledger", "--json").out)
        assert 0 < status["lag_seconds"] < 20_000
        assert "beyond now" in move_cursor(kit, str(int(float(there))))
        (status,) = json.loads(kit.landing("status", "ledger", "--json").out)
        assert status["status"] == "ahead"


def test_numbers_are_times_only_by_their_unit() -> None:
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    assert moment_of(1_704_067_200, "s") == moment
    assert moment_of(1_704_067_200_000, "ms") == moment
    assert moment_of(1_704_067_200) is None
    assert moment_of(10**20, "s") == datetime.max.replace(tzinfo=UTC)
    assert moment_of(-(10**20), "s") is None
