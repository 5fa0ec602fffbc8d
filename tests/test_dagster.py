"""Streams as assets of Dagster, run in this process against real servers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any

import dagster as dg
import pytest

from landing.catalog.settings import bucket_settings
from landing.catalog.workspace import Workspace
from landing.dagster import StreamAsset, StreamTranslator, definitions, outcomes
from landing.errors import BucketError
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths
from landing.zone.lease import Lease
from tests.kit import REPOSITORY, Kit, Zone
from tests.servers.api import HOST, Api

FIELDS = {
    "id": {"type": "integer"},
    "name": {"type": "string"},
    "updated_at": {"type": "string", "format": "date-time", "description": "of the last change"},
    "total": {"type": "number"},
}
OTHERS = ("created_on", "paid", "note", "customer", "tags", "lines")
SOON = dg.RetryPolicy(max_retries=1, delay=0.01)
STREAMS = '''\
import dlt
from .client import MyAPI

@dlt.resource(primary_key="id")
def orders(updated_at: dlt.sources.incremental[str] = dlt.sources.incremental(
    "updated_at", initial_value="2020-01-01 00:00:00"
)):
    """Orders, up to where a backfill's window ends."""
    api, offset = MyAPI(), 0
    while batch := api.get("orders", {
        "limit": 500, "offset": offset, "since": updated_at.last_value,
        "until": updated_at.end_value,
    }):
        yield batch
        offset += 500
'''


@pytest.fixture
def shop(kit: Kit, api: Api, use: Callable[[Api], None]) -> Kit:
    folder = kit.add_founding_source()
    (folder / "streams.py").write_text(STREAMS)
    configure(kit)
    discovered = kit.discovered_file("my_source", "orders")
    discovered.parent.mkdir(parents=True)
    known = {**FIELDS, **{name: {"type": "string"} for name in OTHERS}}
    known |= {"paid": {"type": "boolean"}, "customer": {"type": "object"}}
    known |= {"tags": {"type": "array"}, "lines": {"type": "array"}}
    options = {"sync_modes": ["incremental"], "destination_sync_modes": ["append"]}
    discovered.write_text(json.dumps({"stream": "orders", "options": options, "fields": known}))
    use(api)
    return kit


def configure(kit: Kit, stream: str = "orders", **keys: Any) -> Path:
    keys = {"cursor_field": ["updated_at"], "primary_key": [["id"]], "fields": FIELDS, **keys}
    return kit.configure("my_source", stream, **keys)


class Ran:
    """A run in this process, of one asset or of checks alone."""

    def __init__(self, result: dg.ExecuteInProcessResult, log: str) -> None:
        self.result = result
        self.log = log

    @property
    def facts(self) -> dict[str, Any]:
        (event,) = self.result.get_asset_materialization_events()
        return {k: v.value for k, v in event.materialization.metadata.items()}

    @property
    def data_version(self) -> str:
        (event,) = self.result.get_asset_materialization_events()
        assert event.materialization.tags is not None
        return event.materialization.tags["dagster/data_version"]

    @property
    def checks(self) -> dict[str, tuple[bool, str]]:
        found = self.result.get_asset_check_evaluations()
        return {one.check_name: (one.passed, one.description or "") for one in found}

    @property
    def events(self) -> list[str]:
        return [event.event_type_value for event in self.result.all_events]

    @property
    def failure(self) -> str:
        (event,) = [event for event in self.result.all_events if event.is_step_failure]
        data = event.step_failure_data
        assert data.user_failure_data is not None, data.error
        return data.user_failure_data.description or ""

    @property
    def everything(self) -> str:
        """What Dagster's database would have of it, and what its log shows."""
        return "\n".join([*map(repr, self.result.all_events), self.log])


@pytest.fixture
def materialize(shop: Kit, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    def run(*more: str, stream: str = "orders", partition: str | None = None, **keys: Any) -> Ran:
        capsys.readouterr()
        defs = definitions(shop.root, retries=SOON, **keys)
        key = dg.AssetKey(["my_source", stream, *more])
        assets = [one for one in defs.assets or [] if key in one.keys]  # type: ignore[union-attr,operator]
        assert assets, f"no asset {key}"
        done = dg.materialize(assets, partition_key=partition, raise_on_error=False)
        return Ran(done, "".join(capsys.readouterr()))

    return run


@pytest.fixture
def look(shop: Kit, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """The checks of freshness alone, as their schedule has them run."""

    def run(stream: str = "orders") -> Ran:
        defs = definitions(shop.root, retries=SOON)
        key = dg.AssetCheckKey(dg.AssetKey(["my_source", stream]), "freshness")
        chosen = dg.AssetSelection.checks(key)
        job = dg.define_asset_job("look", selection=chosen).resolve(
            asset_graph=defs.resolve_asset_graph()
        )
        return Ran(job.execute_in_process(raise_on_error=False), "".join(capsys.readouterr()))

    return run


def test_materializing_an_asset_lands_what_is_new(
    materialize: Callable[..., Ran], api: Api, zone: Zone
) -> None:
    first = materialize()
    told = first.facts
    assert told["rows"] == len(api.rows()) == zone.count("my_source", "orders")
    assert (told["files"], told["quarantined"]) == (1, 0)
    assert told["cursor_before"] == "2020-01-01 00:00:00"
    assert told["cursor_after"] == max(row["updated_at"] for row in api.rows())
    assert told["location"] == f"{os.environ['DLT_BUCKET_URL']}/my_source/orders"
    schema = told["dagster/column_schema"]
    assert [column.name for column in schema.columns] == [*FIELDS, "_dlt_load_id", "_dlt_id"]
    lines = told["preview"].splitlines()
    assert len(lines) == 2 + 10
    assert lines[0].startswith("| id | name | updated\\_at | total |")
    assert {name: passed for name, (passed, _) in first.checks.items()} == {
        "quarantine": True,
        "columns": True,
        "keys": True,
        "cursor": True,
    }
    assert "orders: 500 rows read" in first.log, "of the first page; more is due later"

    api.update("orders", 7, name="a|b <script>")
    again = materialize()
    assert again.facts["rows"] == 1
    assert r"a\|b \<script\>" in again.facts["preview"]
    assert again.facts["cursor_before"] == told["cursor_after"]

    nothing = materialize()
    assert nothing.facts["rows"] == 0
    assert "preview" not in nothing.facts
    assert nothing.checks["keys"] == (True, "nothing landed")
    versions = [ran.data_version for ran in (first, again, nothing)]
    assert versions[0] != versions[1] == versions[2], "what reads it is not outdated by no rows"


def test_the_checks_of_a_run_fail_where_they_should(
    materialize: Callable[..., Ran], shop: Kit, api: Api, folder_zone: Zone
) -> None:
    configure(shop, sync_mode="full_refresh", fields={**FIELDS, "coupon": {"type": "string"}})
    row = api.rows()[0]
    api.add("orders", {**row, "name": "twice"})
    api.add("orders", {**row, "id": "A-17", "updated_at": "2024-02-01 00:00:00"})
    api.add("orders", {**row, "id": None, "updated_at": "2024-02-02 00:00:00"})
    ran = materialize()
    assert ran.result.success
    passed, told = ran.checks["keys"]
    assert not passed
    assert "1 have the key of another row, 1 lack a value in their key" in told
    passed, told = ran.checks["quarantine"]
    assert not passed
    assert told == "1 of 2,353 records went to quarantine (0.04%)"
    passed, told = ran.checks["columns"]
    assert not passed
    assert "no record had coupon" in told
    assert "1 of 2,353 records" in ran.log


def test_a_file_that_cannot_be_read_fails_the_check_of_keys(
    materialize: Callable[..., Ran], folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that a bucket damages: the run's rows are landed all the same."""

    def damaged(*_: Any) -> Any:
        raise BucketError("it answered 500")

    monkeypatch.setattr(Bucket, "file", damaged)
    ran = materialize()
    assert ran.facts["rows"] == 2350
    assert ran.checks["keys"] == (False, "the newest load can't be read: it answered 500")
    assert "no preview: it answered 500" in ran.log


def test_a_mistake_fails_at_once_in_one_sentence(
    materialize: Callable[..., Ran], folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MY_API_KEY")
    ran = materialize()
    assert ran.failure.startswith("MY_API_KEY is not set, but source 'my_source' needs it")
    assert "STEP_UP_FOR_RETRY" not in ran.events
    assert "Traceback" not in ran.failure


def test_a_failure_that_may_pass_is_tried_again(
    materialize: Callable[..., Ran], api: Api, folder_zone: Zone
) -> None:
    api.fail_next(1, status=503)
    ran = materialize()
    assert ran.facts["rows"] == 2350
    assert ran.events.count("STEP_UP_FOR_RETRY") == 1
    assert "answered 503" in ran.log
    assert "Retry in 0 s (1 of 1)" in ran.log

    api.fail_next(2, status=503)
    assert "answered 503" in materialize().failure


def test_a_run_beside_another_one_says_so_and_comes_back(
    materialize: Callable[..., Ran],
    shop: Kit,
    folder_zone: Zone,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outcomes, "WHILE_HELD", SOON)
    paths = StreamPaths("my_source", "orders")
    bucket = Bucket(bucket_settings(Workspace(shop.root)))
    with Lease(bucket, paths.lease, "my_source/orders"):
        ran = materialize()
    assert ran.events.count("STEP_UP_FOR_RETRY") == 1
    assert "another run is under way" in ran.failure
    assert str(os.getpid()) in ran.failure
    assert materialize().result.success


def test_secrets_are_in_no_event_and_no_log(
    materialize: Callable[..., Ran],
    shop: Kit,
    api: Api,
    folder_zone: Zone,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    api.update("orders", 7, name=f"a source that echoes {api.token}")
    client = shop.root / "dlt" / "sources" / "my_source" / "client.py"
    text = client.read_text()
    ran = materialize()
    assert api.token not in ran.everything
    shown = [row for row in ran.facts["preview"].splitlines() if "echoes" in row]
    assert all("***" in row for row in shown)

    raising = 'raise RuntimeError(f"could not log in with {self.api_key}")'
    client.write_text(text.replace("response = ", f"{raising}\n        response = "))
    forget_sources()
    ran = materialize()
    assert "could not log in with ***" in ran.failure
    assert api.token not in ran.everything


def test_a_bug_is_reported_with_its_traceback_and_without_secrets(
    materialize: Callable[..., Ran], api: Api, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise AssertionError(f"with {api.token}")

    monkeypatch.setattr("landing.dagster.results.results", broken)
    ran = materialize()
    assert "AssertionError: with ***" in ran.failure
    assert "Traceback" in ran.failure
    assert api.token not in ran.everything


def test_a_broken_config_is_seen_and_stops_no_other(
    materialize: Callable[..., Ran], look: Callable[..., Ran], shop: Kit, folder_zone: Zone
) -> None:
    shop.configure("my_source", "refunds", '{"stream": "refunds", "fieldz": {}}')
    configure(shop, schedule="61 * * * *")
    shop.configure("my_source", "unselected", selected=False, fields=FIELDS)
    shop.configure("elsewhere", "things", fields=FIELDS)
    shop.configure("my_source", "theirs", connector="airbyte", fields=FIELDS)

    specs = {
        spec.key.to_user_string(): spec for spec in definitions(shop.root).resolve_all_asset_specs()
    }
    assert set(specs) == {"my_source/orders", "my_source/orders/backfill", "my_source/refunds"}
    assert "fieldz" in (specs["my_source/refunds"].description or "")
    assert "minute '61'" in (specs["my_source/orders"].description or "")
    assert specs["my_source/orders"].automation_condition is None
    assert materialize().result.success
    assert "refunds.json" in materialize(stream="refunds").failure
    passed, told = look("refunds").checks["freshness"]
    assert not passed
    assert "fieldz" in told


def test_freshness_is_the_schedules(
    materialize: Callable[..., Ran], look: Callable[..., Ran], shop: Kit, folder_zone: Zone
) -> None:
    configure(shop, schedule="@hourly")
    spec = next(spec for spec in specs_of(shop) if spec.key.path[-1] == "orders")
    assert spec.automation_condition is not None
    assert spec.automation_condition.get_label() == "0 * * * * (UTC)"
    with webhook() as posted:
        passed, told = look().checks["freshness"]
        assert not passed
        assert "landed never, but was due at" in told
        assert [late["stream"] for late in posted[-1]["late"]] == ["my_source/orders"]
        assert materialize().result.success
        assert look().checks["freshness"] == (True, "landed since it was due")
        assert [len(one["late"]) for one in posted] == [1, 0]
        assert [one["kind"] for one in posted[1]["recovered"]] == ["late"]

    state = folder_zone_file(folder_zone, "_dlt/my_source/orders/state.json")
    long_ago = time.time() - 3 * 3600
    os.utime(state, (long_ago, long_ago))
    assert not look().checks["freshness"][0]


def test_an_alert_is_for_what_is_not_tried_again(
    materialize: Callable[..., Ran], api: Api, folder_zone: Zone
) -> None:
    with webhook() as posted:
        api.fail_next(1, status=503)
        assert materialize().result.success
        assert posted == []
        api.fail_next(2, status=503)
        assert not materialize().result.success
    (alert,) = posted
    assert [one["stream"] for one in alert["failed"]] == ["my_source/orders"]


def test_the_run_of_dagster_is_the_parent_in_openlineage(
    materialize: Callable[..., Ran],
    api: Api,
    folder_zone: Zone,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log, file = tmp_path / "lineage.jsonl", tmp_path / "openlineage.yml"
    file.write_text(f"transport: {{type: file, log_file_path: {log}, append: true}}")
    monkeypatch.setenv("OPENLINEAGE_CONFIG", str(file))
    ran = materialize().result
    assert ran.success
    start, complete = map(json.loads, log.read_text().splitlines())
    assert (start["eventType"], complete["eventType"]) == ("START", "COMPLETE")
    parent = complete["run"]["facets"]["parent"]
    assert parent["run"]["runId"] == parent["root"]["run"]["runId"] == ran.run_id
    assert complete["job"]["name"] == "my_source.orders"


def test_a_partition_is_a_window_of_the_past(
    materialize: Callable[..., Ran], shop: Kit, api: Api, zone: Zone
) -> None:
    configure(shop, initial_value="2023-11-30T22:00:00Z")
    api.update("orders", 5, updated_at="2023-12-05 10:00:00")
    api.update("orders", 6, updated_at="2023-11-05 10:00:00")
    cursor = materialize().facts["cursor_after"]
    first = materialize("backfill", partition="2023-12-01")
    assert first.facts["rows"] == 1
    assert "WARNING" not in first.log
    assert (first.facts["from"], first.facts["to"]) == (
        "2023-12-01T00:00:00+00:00",
        "2024-01-01T00:00:00+00:00",
    )
    landed = zone.count("my_source", "orders")
    again = materialize("backfill", partition="2023-12-01")
    assert again.facts["rows"] == 1
    assert zone.count("my_source", "orders") == landed + 1
    assert again.facts["load_id"] > first.facts["load_id"]
    nothing = materialize("backfill", partition="2023-11-01")
    assert nothing.facts["rows"] == 1, "the month of the initial value is a partition as a whole"
    assert materialize().facts["cursor_before"] == cursor

    past = next(
        spec
        for spec in definitions(shop.root).resolve_all_asset_specs()
        if "backfill" in spec.key.path
    )
    assert past.partitions_def is not None
    assert past.partitions_def.get_first_partition_key() == "2023-11-01"
    assert past.group_name == "my_source_backfills", "the streams' group has no partitions"


class Renamed(StreamTranslator):
    def get_asset_spec(self, data: StreamAsset) -> dg.AssetSpec:
        spec = super().get_asset_spec(data)
        spec = spec.replace_attributes(key=spec.key.with_prefix("raw"), owners=["team:shop"])
        return spec.merge_attributes(deps=["shop_app"], tags={"sync": str(data.is_backfill)})


def test_a_translator_changes_how_streams_appear(shop: Kit, folder_zone: Zone) -> None:
    configure(shop, schedule="@hourly", initial_value="2023-11-30T22:00:00Z")
    defs = definitions(shop.root, translator=Renamed())
    specs = {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}
    orders = specs["raw/my_source/orders"]
    assert (orders.owners, orders.tags["sync"]) == (["team:shop"], "False")
    assert [dep.asset_key for dep in orders.deps] == [dg.AssetKey("shop_app")]
    assert specs["raw/my_source/orders/backfill"].tags["sync"] == "True"
    assert landed_by(defs, orders.key) == {"quarantine", "columns", "keys", "cursor", "freshness"}


def test_specs_may_be_mapped_as_of_any_definitions(shop: Kit, folder_zone: Zone) -> None:
    defs = definitions(shop.root).map_asset_specs(
        func=lambda spec: spec.replace_attributes(group_name="landing", owners=["team:shop"])
    )
    assert {spec.group_name for spec in defs.resolve_all_asset_specs()} == {"landing"}
    key = dg.AssetKey(["my_source", "orders"])
    assert landed_by(defs, key) == {"quarantine", "columns", "keys", "cursor"}


def landed_by(defs: dg.Definitions, key: dg.AssetKey) -> set[str]:
    """The checks of a run of the asset."""
    job = dg.define_asset_job("one", selection=dg.AssetSelection.assets(key))
    done = job.resolve(asset_graph=defs.resolve_asset_graph()).execute_in_process()
    (event,) = done.get_asset_materialization_events()
    assert event.asset_key == key
    return {one.check_name for one in done.get_asset_check_evaluations()}


def test_loading_imports_no_source_and_asks_nothing(shop: Kit, folder_zone: Zone) -> None:
    """Nor the engine: `dagster dev` loads it with each reload, and each step's process does."""
    (shop.root / "dlt" / "sources" / "my_source" / "__init__.py").write_text("raise SystemExit(9)")
    (shop.root / "definitions.py").write_text(
        (REPOSITORY / "orchestration/definitions.py").read_text()
    )
    script = (
        "import runpy, sys, socket\n"
        "socket.socket.connect = None\n"
        "runpy.run_path('definitions.py')['defs'].get_repository_def()\n"
        "print({'dlt', 'requests', 'sources'} & set(sys.modules))\n"
    )
    done = python(shop.root, "-c", script)
    assert (done.stdout, done.returncode) == ("set()\n", 0), done.stderr


def test_a_terminated_run_gives_its_lease_back_and_loses_nothing(
    shop: Kit, api: Api, folder_zone: Zone
) -> None:
    """It was started in the workspace, with a `dlt/` there that could hide the library."""
    (shop.root / "dlt" / "__init__.py").touch()
    locate(shop)
    words = ["-m", "dagster", "asset", "materialize", "-f", "definitions.py", "--select"]
    api.delay = 2.0
    with subprocess.Popen(
        [sys.executable, *words, "my_source/orders"],
        cwd=shop.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        for _ in range(2_000):
            if api.requests or process.poll() is not None:
                break
            time.sleep(0.1)
        lease = Bucket(bucket_settings(Workspace(shop.root))).get(
            "_dlt/my_source/orders/lease.json"
        )
        process.terminate()
        out = process.communicate(timeout=200)[0]
    assert lease is not None, out
    assert "STEP_UP_FOR_RETRY" not in out, "what a person ends is not tried again"
    assert folder_zone.paths_but_released() == [], "no half of a load"
    (record,) = folder_zone.paths(StreamPaths("my_source", "orders").failed_runs)
    assert json.loads(folder_zone.read(record))["error"] == "Interrupted"
    api.delay = 0.0
    assert shop.run("my_source", "orders").code == 0
    assert folder_zone.count("my_source", "orders") == 2350


def test_a_folder_in_the_librarys_place_is_reported(
    materialize: Callable[..., Ran],
    shop: Kit,
    folder_zone: Zone,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hidden = ModuleType("dlt")
    hidden.__file__ = str(shop.root / "dlt" / "__init__.py")
    monkeypatch.setitem(sys.modules, "dlt", hidden)
    told = materialize().failure
    assert "orchestration/dlt was imported in place of the library dlt: delete its" in told


def specs_of(kit: Kit) -> list[dg.AssetSpec]:
    return list(definitions(kit.root).resolve_all_asset_specs())


def locate(kit: Kit) -> Path:
    """The repository's own code location, in the workspace."""
    file = kit.root / "definitions.py"
    file.write_text((REPOSITORY / "orchestration" / "definitions.py").read_text())
    return file


def python(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={**os.environ, "DAGSTER_DISABLE_TELEMETRY": "1"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


@contextmanager
def webhook() -> Iterator[list[dict[str, Any]]]:
    """What is posted to LANDING_ALERT_WEBHOOK."""
    posted: list[dict[str, Any]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer((HOST, 0), Hook) as server:
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        os.environ["LANDING_ALERT_WEBHOOK"] = f"http://{HOST}:{server.server_address[1]}/hook"
        os.environ["LANDING_ALERT_FORMAT"] = "json"
        yield posted
        server.shutdown()
        del os.environ["LANDING_ALERT_WEBHOOK"], os.environ["LANDING_ALERT_FORMAT"]


def forget_sources() -> None:
    """An edited source is imported anew, as by a run's own process."""
    for name in [name for name in sys.modules if name.split(".")[0] == "sources"]:
        del sys.modules[name]


def folder_zone_file(zone: Zone, path: str) -> Path:
    return Path(os.environ["DLT_BUCKET_URL"].removeprefix("file://")) / path
