"""The reference feeder: what it makes of the landing zone is what the API has."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import time_machine

from demo.servers import S3Server
from landing.zone.layout import StreamPaths
from tests.feeders import FEEDER, Feeder, program, quiet_home
from tests.kit import REPOSITORY, Kit, Zone
from tests.servers.api import Api
from tests.servers.proxy import Exchange, serve_proxy

RUN_AT = REPOSITORY / "torture" / "programs" / "run_at.py"
DAY = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
ORDERS = {
    "id": {"type": "integer"},
    "name": {"type": "string"},
    "updated_at": {"type": "string", "format": "date-time"},
    "total": {"type": "number"},
    "customer": {
        "type": "object",
        "encoding": "native",
        "properties": {"id": {"type": "integer"}, "name": {"type": "string"}},
    },
    "tags": {"type": "array", "encoding": "native", "items": {"type": "string"}},
}
KEYED = {"sync_mode": "incremental", "cursor_field": ["at"], "primary_key": [["id"]]}
FIELDS = {"id": {"type": "integer"}, "at": {"type": "integer"}, "n": {"type": "integer"}}


@pytest.fixture
def feeder(
    kit: Kit, zone: Zone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Feeder]:
    """On S3, and its lake, too."""
    data = os.environ["LANDING_TABLES_URL"].replace("tables", "lake")
    made = Feeder(kit, f"sqlite:{tmp_path}/lake.sqlite", data, monkeypatch)
    yield made
    made.close()


@pytest.fixture
def local(
    kit: Kit, folder_zone: Zone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Feeder]:
    """In folders, for what does not depend on the kind of bucket."""
    data = (tmp_path / "a lake").as_uri()
    made = Feeder(kit, f"sqlite:{tmp_path}/lake.sqlite", data, monkeypatch)
    yield made
    made.close()


class Polling(threading.Thread):
    """The daemon's part: asks the sensor all the time, and starts the run that it asks for."""

    def __init__(self, feeder: Feeder, path: str) -> None:
        super().__init__(daemon=True)
        self.resting = threading.Lock()
        self.runs = 0
        self.problems: list[Exception] = []
        self._feeder, self._path = feeder, path
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(1):
            with self.resting:
                self.poll()

    def poll(self) -> None:
        try:
            if self._feeder.asked(self._path):
                self._feeder.feed(self._path)
                self.runs += 1
        except Exception as error:
            self.problems.append(error)

    def end(self) -> None:
        self._ended.set()
        self.join()
        self.poll()


def test_a_day_of_hourly_runs_with_two_kills_is_what_the_api_has(
    kit: Kit,
    api: Api,
    use: Callable[[Api], None],
    zone: Zone,
    s3: S3Server,
    feeder: Feeder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use(api)
    kit.add_founding_source()
    kit.configure(
        "my_source",
        "orders",
        sync_mode="incremental",
        cursor_field=["updated_at"],
        primary_key=[["id"]],
        fields=ORDERS,
    )
    monkeypatch.setenv("LANDING_FILE_MB", "0.01")
    path = "my_source/orders"
    feeder.load()
    polling = Polling(feeder, path)
    polling.start()
    for hour in range(24):
        change(api, hour)
        if hour == 7:
            killed_landing(kit, zone, s3, DAY + hour * HOUR)
            continue
        if hour == 13:
            with polling.resting:
                land(kit, DAY + hour * HOUR)
                killed_feeding(feeder, s3, path, tmp_path)
            continue
        land(kit, DAY + hour * HOUR)
    polling.end()
    assert polling.problems == []
    assert polling.runs >= 2, "it was fed in between"
    rows = feeder.rows(path)
    in_api = [api_row(row) for row in api.rows()]
    assert len(rows) == len(in_api) > 2_350
    assert sorted(map(lake_row, rows)) == sorted(in_api)
    assert zone.count("my_source", "orders") > len(rows) + 24 * 20, "versions and repeats"
    assert len({path.split("/")[4] for path in zone.parts("my_source", "orders")}) == 1
    assert feeder.asked(path) is None


def change(api: Api, hour: int) -> None:
    """New orders, and old ones that change; some again and again."""
    newest = len(api.rows())
    for number in range(5):
        row = {**api.rows()[number], "id": newest + number + 1}
        api.add("orders", row)
        api.update("orders", newest + number + 1, name=f"new at {hour}")
    for number in range(20):
        api.update("orders", 1 + (hour * 7 + number * 3) % newest, total=hour + number / 8)


def land(kit: Kit, moment: datetime) -> None:
    with time_machine.travel(moment, tick=True):
        done = kit.run("my_source", "orders")
    assert done.code == 0, done.text


def killed_landing(kit: Kit, zone: Zone, s3: S3Server, moment: datetime) -> None:
    """After one of its files is there, and before its cursor has moved."""
    script = kit.root / "dlt" / "pipeline.py"
    command = [str(RUN_AT), moment.isoformat(), str(script), "my_source", "orders"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    before, prefix = zone.parts("my_source", "orders"), os.environ["DLT_BUCKET_URL"].split("/")[-1]
    killed_at_put([sys.executable, *command], s3, environment, f"/{prefix}/")
    assert len(zone.parts("my_source", "orders")) == len(before) + 1
    zone.delete("_dlt/my_source/orders/lease.json")


def killed_feeding(feeder: Feeder, s3: S3Server, path: str, tmp_path: Path) -> None:
    """In the middle of a batch: its rows are in the lake's bucket, and not in its catalog."""
    before = feeder.rows(path), feeder.snapshots()
    command = program("asset", "materialize", "-f", "feeder.py", "--select", f"key:lake/{path}")
    home = quiet_home(tmp_path / "dagster")
    killed_at_put(command, s3, home, "/lake-", cwd=feeder.file.parent)
    assert (feeder.rows(path), feeder.snapshots()) == before
    assert feeder.asked(path) is not None


def killed_at_put(
    command: list[str],
    s3: S3Server,
    environment: dict[str, str],
    place: str,
    cwd: Path | None = None,
) -> None:
    killed = threading.Event()

    def kill(exchange: Exchange) -> None:
        exchange.forward()
        os.kill(process.pid, signal.SIGKILL)
        killed.set()
        exchange.reset()

    with serve_proxy(s3.endpoint) as proxy:
        proxy.spoil(
            kill,
            when=lambda request: (
                request.method in ("PUT", "POST")
                and place in request.path
                and request.path.endswith(".parquet")
            ),
        )
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**environment, "S3_ENDPOINT": proxy.endpoint},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        output, _ = process.communicate(timeout=200)
    assert killed.is_set(), output.decode()
    assert process.returncode == -signal.SIGKILL


def api_row(row: dict[str, Any]) -> tuple[Any, ...]:
    customer = {name: row["customer"][name] for name in ("id", "name")}
    at = str(datetime.fromisoformat(row["updated_at"]).replace(tzinfo=UTC))
    return row["id"], row["name"], at, float(row["total"]), str(customer), row["tags"]


def lake_row(row: dict[str, Any]) -> tuple[Any, ...]:
    at = str(row["updated_at"].astimezone(UTC))
    return row["id"], row["name"], at, row["total"], str(row["customer"]), row["tags"]


# What is hard to bring about with real runs is written as they would write it.

GONE = datetime(2026, 3, 1, 12, tzinfo=UTC)
TYPES = {"at": pa.int64(), "n": pa.int64(), "_deleted_at": pa.timestamp("us", "UTC")}


def load_id(hour: float) -> str:
    return f"{(DAY + hour * HOUR).timestamp():.6f}"


def lands(
    zone: Zone,
    hour: float,
    *rows: tuple[Any, ...],
    row_version: float | None = None,
    columns: str = "id n",
    stream: str = "shop/orders",
    **types: pa.DataType,
) -> str:
    """A file of a run at this hour, with the load id of `stamp` in its rows."""
    names = [*columns.split(), "_dlt_load_id", "_dlt_id"]
    lineage = [
        (load_id(hour if row_version is None else row_version), f"{hour}-{n}")
        for n in range(len(rows))
    ]
    records = [
        dict(zip(names, (*row, *line), strict=True))
        for row, line in zip(rows, lineage, strict=True)
    ]
    kinds = {"id": pa.int64(), **TYPES, **types}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in names])
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(records, schema), file)
    path = StreamPaths(*stream.split("/")).part(load_id(hour), 0)
    obstore.put(zone.store, path, file.getvalue())
    return path


def current(feeder: Feeder, path: str = "shop/orders") -> dict[Any, Any]:
    rows = feeder.rows(path)
    found = {row["id"]: row["n"] for row in rows}
    assert len(found) == len(rows), "one row per key"
    return found


def story(kit: Kit, zone: Zone, feeder: Feeder, text: str = "") -> dict[Any, Any]:
    """Newer and older versions, and deletes, in every order; polled after each file or two."""
    kit.configure("shop", "orders", fields=FIELDS, **KEYED)
    module = feeder.load(text)
    module.BATCH_FILES = 2
    deletes = "id n _deleted_at"
    lands(zone, 1, (1, 10), (2, 20), (3, 30), (4, 40))
    lands(zone, 2, (1, 11), (1, 12), (5, 50), row_version=1.5)
    feeder.feed()
    lands(zone, 3, (2, None, GONE), (6, 60, None), columns=deletes)
    feeder.feed()
    lands(zone, 4, (1, 9), (2, 19), (3, 29), row_version=0.5)  # from quarantine: as old as they are
    lands(zone, 5, (3, None, GONE), columns=deletes, row_version=0.5)  # and so is a delete
    lands(zone, 6, (4, None, GONE), (5, 51, None), columns=deletes)
    lands(zone, 7, (4, 41, None), columns=deletes)
    lands(zone, 8, (6, None, GONE), (6, 61, None), columns=deletes)  # the tombstone has the say
    lands(zone, 9, (7, 70), (8, 80))
    feeder.feed()
    assert feeder.asked() is None
    return current(feeder)


def has_the_newest(found: dict[Any, Any]) -> bool:
    return found.pop(1, None) in (11, 12) and found == {3: 30, 4: 41, 5: 51, 7: 70, 8: 80}


def test_whatever_order_versions_and_deletes_land_in_the_newest_counts(
    kit: Kit, folder_zone: Zone, local: Feeder
) -> None:
    assert has_the_newest(story(kit, folder_zone, local))


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('((stream.rows, ">"), (stream.gone, ">="))', '((stream.gone, ">="),)'),
        ('((stream.rows, ">"), (stream.gone, ">="))', '((stream.rows, ">"),)'),
        ("move(lake, stream, paths[-1])", "move(lake, stream, last_of(new_files(stream, at)))"),
        ("_deleted_at IS NULL, file_index", "file_index"),
    ],
    ids=["older replaces newer", "deleted comes back", "cursor ahead of rows", "tombstone loses"],
)
def test_a_broken_feeder_would_be_noticed(
    kit: Kit, folder_zone: Zone, local: Feeder, right: str, wrong: str
) -> None:
    text = FEEDER.read_text()
    assert text.count(right) == 1
    assert not has_the_newest(story(kit, folder_zone, local, text.replace(right, wrong)))


def test_a_batch_is_one_transaction_and_ends_where_the_columns_change(
    kit: Kit, folder_zone: Zone, local: Feeder
) -> None:
    kit.configure("shop", "orders", fields=FIELDS, **KEYED)
    module = local.load()
    module.BATCH_FILES = 2
    for hour in range(5):
        lands(folder_zone, hour, (hour, hour))
    told: list[str] = []
    fed = module.feed(local.stream("shop/orders"), told.append)
    assert fed["files"] == fed["rows"] == 5
    assert len(told) == 3
    assert local.snapshots() == 1 + 3, "that of the new lake, and one for each batch"
    last = lands(folder_zone, 6, (5, 5, "new"), columns="id n note")
    lands(folder_zone, 5, (4, 44))
    assert local.feed() == {
        **dict.fromkeys(("deleted", "without_key"), 0),
        **{"rows": 2, "files": 2, "cursor": last},
        "bytes": sum(len(folder_zone.read(path)) for path in folder_zone.paths("shop")[5:]),
    }
    assert local.snapshots() == 1 + 3 + 2
    lands(folder_zone, 7, (5, 6))  # without the column, so the newest version has no value in it
    local.feed()
    notes = {row["id"]: (row["n"], row["note"]) for row in local.rows()}
    assert notes == {
        0: (0, None),
        1: (1, None),
        2: (2, None),
        3: (3, None),
        4: (44, None),
        5: (6, None),
    }
    module.BATCH_BYTES = 1
    for hour in range(8, 11):
        lands(folder_zone, hour, (hour, hour))
    told.clear()
    assert module.feed(local.stream("shop/orders"), told.append)["files"] == len(told) == 3


def test_a_type_that_changes_is_an_error_until_the_table_is_brought_to_it(
    kit: Kit, folder_zone: Zone, local: Feeder
) -> None:
    kit.configure("shop", "orders", fields=FIELDS, **KEYED)
    lands(folder_zone, 1, (1, 10))
    lands(folder_zone, 2, (2, "20"), n=pa.string())
    lands(folder_zone, 3, (3, "30"), n=pa.string())
    with pytest.raises(local.load().FeederError) as failure:
        local.feed()
    assert 'lake."shop"."orders": n is BIGINT in the table, and VARCHAR in files' in str(
        failure.value
    )
    assert current(local) == {1: 10}, "what came before is there"
    failed = local.materialize()
    assert not failed.success
    recipe = documented("sql")
    with local.module.transaction() as lake:
        lake.execute(recipe)
    local.feed()
    assert current(local) == {1: "10", 2: "20", 3: "30"}


def documented(language: str) -> str:
    """The one block of this language in the docs that changes a table."""
    text = (REPOSITORY / "docs" / "feeder.md").read_text()
    blocks = [block.split("\n", 1) for block in text.split("```")[1::2]]
    (found,) = (code for kind, code in blocks if kind == language and "RENAME" in code)
    return found


def test_rows_without_a_key_are_appended_once(kit: Kit, folder_zone: Zone, local: Feeder) -> None:
    kit.configure("shop", "orders", fields=FIELDS, sync_mode="incremental", cursor_field=["at"])
    lands(folder_zone, 1, (1, 10), (1, 10), (None, 10))
    lands(folder_zone, 2, (1, 10))
    assert local.feed()["rows"] == 4
    # A compaction has put both into one file, while the feeder was between them.
    copied = folder_zone.read(lands(folder_zone, 1, (1, 10), (1, 10), (None, 10)))
    path = lands(folder_zone, 3, (2, 20))
    obstore.put(folder_zone.store, path.replace(".parquet", ".compacted.parquet"), copied)
    local.feed()
    assert sorted(str(row["id"]) for row in local.rows()) == ["1", "1", "1", "2", "None"]


def test_rows_that_lack_their_key_are_counted_and_in_no_table(
    kit: Kit, folder_zone: Zone, local: Feeder
) -> None:
    kit.configure("shop", "orders", fields=FIELDS, **KEYED)
    lands(folder_zone, 1, (1, 10), (None, 20), (None, 30))
    done = local.load() and local.materialize()
    assert done.success
    (made,) = done.asset_materializations_for_node("lake__shop__orders")
    assert {name: made.metadata[name].value for name in ("rows", "without_key", "files")} == {
        **{"rows": 1, "without_key": 2, "files": 1}
    }
    assert str(made.metadata["cursor"].value).startswith("shop/orders/year=2026/month=03/day=01/")
    assert current(local) == {1: 10}


STREAMS = """\
import json, os
from pathlib import Path
import dlt

def pages():
    yield from json.loads((Path(__file__).parents[4] / "rows.json").read_text())

@dlt.resource(primary_key="id", columns={"gone": {"hard_delete": True, "data_type": "bool"}})
def orders(at=dlt.sources.incremental("at", initial_value=0, row_order="asc")):
    yield from pages()

@dlt.resource(primary_key="id")
def stock():
    yield from pages()
"""


class Shop:
    """A source whose rows a test says, landed by real runs."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        kit.add_source("shop", STREAMS)

    def has(self, *rows: tuple[Any, ...], gone: tuple[int, ...] = ()) -> None:
        page = [{"id": key, "at": at, "n": n, "gone": key in gone} for key, at, n in rows]
        (self.kit.repository / "rows.json").write_text(json.dumps([page]))

    def does(self, *words: str, hour: float = 0) -> str:
        with time_machine.travel(DAY + hour * HOUR, tick=True):
            done = self.kit.landing(*words)
        assert done.code == 0, done.text
        return done.out


def test_quarantine_backfills_and_compaction_under_a_feeder(
    kit: Kit, folder_zone: Zone, local: Feeder
) -> None:
    shop = Shop(kit)
    kit.configure("shop", "orders", fields=FIELDS, **KEYED)
    local.load()
    shop.has((1, 1, 10), (2, 2, "twenty"), (3, 3, 30), (4, 4, "forty"))
    shop.does("run", "shop", "orders", hour=1)
    shop.has((1, 5, 11), (4, 6, 40), gone=(4,))
    shop.does("run", "shop", "orders", hour=2)
    local.feed()
    assert current(local) == {1: 11, 3: 30}
    kit.configure("shop", "orders", fields={**FIELDS, "n": {"type": "string"}}, **KEYED)
    shop.has((2, 2, "twenty"), (3, 3, 30), (5, 4, 50), (1, 5, 11))
    columns = "SELECT * REPLACE (CAST(n AS VARCHAR) AS n) FROM lake.shop.orders"
    with local.module.transaction() as lake:
        lake.execute(f"CREATE TABLE lake.shop.remade AS {columns}; DROP TABLE lake.shop.orders")
        lake.execute("ALTER TABLE lake.shop.remade RENAME TO orders")
    shop.does("quarantine", "land", "shop", "orders", hour=3)
    windows = ("--from", "0", "--to", "5", "--by", "ids", "--step", "2")
    shop.does("backfill", "shop", "orders", *windows, hour=4)
    files = folder_zone.parts("shop", "orders")
    local.module.BATCH_FILES = 1
    feed_until(local, files[2])
    shop.has((3, 7, 31))
    shop.does("run", "shop", "orders", hour=5)
    shop.does("compact", "shop", "orders", hour=24 * 30)
    assert len(folder_zone.parts("shop", "orders")) < len(files)
    local.feed()
    assert current(local) == {1: "11", 2: "twenty", 3: "31", 5: "50"}


def feed_until(feeder: Feeder, path: str) -> None:
    """As one that is killed there."""
    stream = feeder.stream("shop/orders")
    while True:
        with feeder.module.transaction() as lake:
            at = feeder.module.position(lake, stream)
            if at == path:
                return
            assert feeder.module.merge(lake, stream, at)


def test_a_full_refresh_takes_the_place_of_the_last_once_it_is_whole(
    kit: Kit, folder_zone: Zone, local: Feeder
) -> None:
    shop, path = Shop(kit), "shop/stock"
    refreshed = {"sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}
    kit.configure(
        "shop", "stock", fields=FIELDS, primary_key=[["id"]], table_format="delta", **refreshed
    )
    local.load()
    assert local.asked(path) is None
    shop.has((1, 1, 10), (2, 1, 20))
    shop.does("run", "shop", "stock", hour=1)
    local.feed(path)
    assert current(local, path) == {1: 10, 2: 20}
    half = lands(folder_zone, 2, (3, 30), stream=path)
    assert local.asked(path) is None, "it has no record, so its run has died or goes on"
    shop.has((1, 1, 11), (4, 1, "four"))
    shop.does("run", "shop", "stock", hour=3)
    assert local.asked(path) is not None
    local.feed(path)
    assert current(local, path) == {1: 11}
    fixed = {**FIELDS, "n": {"type": "string"}}
    kit.configure(
        "shop", "stock", fields=fixed, primary_key=[["id"]], allow_empty=True, **refreshed
    )
    shop.does("rebuild", "shop", "stock", "--yes", hour=4)
    shop.does("quarantine", "land", "shop", "stock", hour=4)
    local.feed(path)
    assert current(local, path) == {1: "11", 4: "four"}, "one refresh, in the new type"
    shop.has()
    shop.does("run", "shop", "stock", hour=5)
    local.feed(path)
    assert current(local, path) == {}
    assert half in folder_zone.parts("shop", "stock")


def test_the_sensor_lists_from_its_position_on_and_asks_once(
    kit: Kit, zone: Zone, s3: S3Server, feeder: Feeder, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.configure("shop", "orders", fields=FIELDS, **KEYED)
    feeder.load()
    assert feeder.asked() is None
    for hour in range(5):
        last = lands(zone, hour, (hour, hour))
    first = feeder.asked()
    assert first is not None
    assert first.run_key is not None
    assert first.run_key.startswith(last)
    assert first.run_key in (feeder.asked() or first).run_key
    feeder.feed()
    lands(zone, 30, (30, 30))
    listed: list[dict[str, str]] = []

    def note(exchange: Exchange) -> None:
        response = exchange.forward()
        if exchange.request.query.get("list-type"):
            listed.append({**exchange.request.query, "body": response.body.decode()})
        exchange.answer(response)

    with serve_proxy(s3.endpoint) as proxy:
        proxy.spoil(note, times=float("inf"))
        monkeypatch.setenv("S3_ENDPOINT", proxy.endpoint)
        assert feeder.asked() is not None
    (asked,) = listed
    assert asked["start-after"].endswith(last)
    assert asked["body"].count("<Key>") == 1
    monkeypatch.setenv("S3_ENDPOINT", s3.endpoint)
    assert feeder.feed()["rows"] == 1
    assert feeder.asked() is None


def test_mistakes_are_reported(
    kit: Kit, folder_zone: Zone, local: Feeder, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = kit.configure("shop", "orders", fields=FIELDS, **KEYED)
    lands(folder_zone, 1, (1, 10))
    module = local.load()
    for name, value, told in (
        ("DLT_BUCKET_URL", "", "DLT_BUCKET_URL is not set; it is the landing zone"),
        ("DLT_BUCKET_URL", "gs://landing", "DLT_BUCKET_URL has to be s3://… or file:///…"),
        ("FEEDER_CATALOG", "", "FEEDER_CATALOG is not set; it is the lake's catalog"),
        ("FEEDER_CATALOG", "lake.duckdb", "FEEDER_CATALOG has to be sqlite:/… or postgres:…"),
        ("FEEDER_DATA_URL", "", "FEEDER_DATA_URL is not set"),
        ("FEEDER_DATA_URL", os.environ["DLT_BUCKET_URL"] + "/lake", "outside of DLT_BUCKET_URL"),
        ("DLT_BUCKET_URL", "s3://landing/raw", "S3_ACCESS_KEY_ID is not set"),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            with pytest.raises(module.FeederError) as failure:
                local.feed()
        assert told in str(failure.value)
    local.feed()
    kit.configure("shop", "orders", fields=FIELDS, **{**KEYED, "primary_key": [["at"], ["id"]]})
    lands(folder_zone, 2, (1, 10, 5), columns="id n at")
    with pytest.raises(module.FeederError, match="another primary key than at, id"):
        local.feed()
    file.write_text("{")
    with pytest.raises(module.FeederError, match=r"orders\.json is no stream config"):
        module.streams()
    file.unlink()
    kit.configure("shop", "other", connector="airbyte")
    kit.configure("shop", "_draft")
    kit.configure("shop", "left_out", selected=False)
    assert module.streams() == []
    monkeypatch.setenv("FEEDER_STREAMS", str(kit.root / "none"))
    with pytest.raises(module.FeederError, match=r"there is no folder .*none: set FEEDER_STREAMS"):
        module.streams()
