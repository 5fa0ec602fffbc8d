"""Many small files become few, and no reader, feeder or run is the worse for it."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import time_machine

from demo.servers import S3Server
from landing.catalog.settings import bucket_settings
from landing.catalog.workspace import Workspace
from landing.operations.rewriting import Copy, Merged, NotEqual, check_equal
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths, compacted_path
from landing.zone.lease import Lease
from landing.zone.lineage import with_lineage
from tests.command import Program
from tests.kit import Kit, Zone, natural
from tests.servers.proxy import Exchange, Proxy, Request, passed_on, serve_proxy

PATHS = StreamPaths("shop", "orders")
FIELDS = {"id": {"type": "integer"}}
FIRST_DAY = datetime(2025, 3, 1, tzinfo=UTC)
RESULTS = (
    "SELECT count(*), count(DISTINCT _dlt_id), sum(id), sum(total), min(moment), "
    "max(moment) FROM known",
    "SELECT year, month, day, count(*) FROM known GROUP BY ALL ORDER BY ALL",
    "SELECT id, total, _dlt_id FROM known "
    "QUALIFY row_number() OVER (PARTITION BY id ORDER BY _dlt_load_id DESC) = 1 ORDER BY id",
    "SELECT * FROM known WHERE _dlt_load_id = (SELECT max(_dlt_load_id) FROM known) ORDER BY id",
)


def hourly(zone: Zone, days: int, a_day: int = 24, rows: int = 5) -> list[str]:
    """The files of so many days of runs, each with new versions of rows that came before."""
    paths = []
    for number in range(days * a_day):
        day, hour = divmod(number, a_day)
        moment = FIRST_DAY + timedelta(days=day, minutes=hour * (1440 // a_day))
        ids = [(number * 3 + row) % 500 for row in range(rows)]
        at = pa.array([moment + timedelta(seconds=row) for row in range(rows)])
        table = pa.table(
            {"id": ids, "total": [number + row / 8 for row in range(rows)], "moment": at}
        )
        paths.append(put(zone, moment, table))
    return paths


def put(zone: Zone, moment: datetime, table: pa.Table, part: int = 0) -> str:
    load_id = f"{moment.timestamp():017.6f}"
    sink = pa.BufferOutputStream()
    pq.write_table(with_lineage(table, load_id), sink)
    path = PATHS.part(load_id, part)
    obstore.put(zone.store, path, sink.getvalue().to_pybytes())
    return path


def read(zone: Zone, path: str) -> pa.Table:
    return pq.read_table(pa.BufferReader(zone.read(path)))


def results(zone: Zone) -> list[Any]:
    lists = ", ".join(f"(SELECT list(found) FROM ({sql}) AS found)" for sql in RESULTS)
    once = "WITH known AS MATERIALIZED (FROM landed)"
    return zone.query("shop", "orders", f"{once} SELECT {lists}")


def compact(kit: Kit, *words: str) -> str:
    done = kit.landing("compact", "shop", "orders", "--wait", "0", *words)
    assert done.code == 0, done.text
    return done.out


def test_a_days_files_become_one_with_their_rows_in_order(kit: Kit, folder_zone: Zone) -> None:
    before = hourly(folder_zone, days=3)
    rows = [read(folder_zone, path) for path in before]
    expected = results(folder_zone)
    told = compact(kit)
    assert "3 days, 72 files" in told
    assert "became 3 files" in told
    after = folder_zone.parts("shop", "orders")
    assert after == [compacted_path(before[day * 24 + 23]) for day in range(3)]
    assert pa.concat_tables(read(folder_zone, path) for path in after) == pa.concat_tables(rows)
    assert results(folder_zone) == expected
    assert "nothing to compact" in compact(kit)


def test_days_that_are_not_over_are_named(kit: Kit, folder_zone: Zone) -> None:
    now = datetime.now(UTC)
    for part in range(2):
        put(folder_zone, now, pa.table({"id": [part]}), part)
    recent = compact(kit, "--older-than", "1s")
    assert f"nothing to compact before {now:%Y-%m-%d}, which has not ended yet" in recent
    earlier = compact(kit, "--older-than", "3d")
    day = now.date() - timedelta(days=3)
    assert f"nothing to compact before {day}, which has not ended so long ago" in earlier


def test_a_dry_run_says_what_would_be_done(kit: Kit, folder_zone: Zone) -> None:
    hourly(folder_zone, days=2)
    before = folder_zone.paths()
    assert "2 days, 48 files" in compact(kit, "--dry-run")
    (result,) = json.loads(compact(kit, "--dry-run", "--json"))
    assert (result["files_before"], result["files_after"]) == (48, 2)
    assert result["days"] == ["2025-03-01", "2025-03-02"]
    assert folder_zone.paths() == before


def test_all_configured_streams_are_compacted(kit: Kit, folder_zone: Zone) -> None:
    hourly(folder_zone, days=1)
    for stream in ("orders", "never_ran"):
        kit.configure("shop", stream, fields=FIELDS)
    done = kit.landing("compact", "shop", "--all", "--json")
    assert [(r["stream"], r["files_after"]) for r in json.loads(done.out)] == [
        ("never_ran", 0),
        ("orders", 1),
    ]


def test_only_days_that_ended_long_enough_ago_are_touched(kit: Kit, folder_zone: Zone) -> None:
    now = datetime.now(UTC)
    table = pa.table({"id": [1]})
    for days in (0, 1, 6, 9):
        for second in (1, 2):
            midnight = (now - timedelta(days=days)).replace(hour=0, minute=0, second=second)
            put(folder_zone, midnight, table)
    assert "1 day, 2 files" in compact(kit)
    assert "2 days, 4 files" in compact(kit, "--older-than", "1h", "--dry-run")


def test_a_name_sorts_right_before_the_last_file_it_replaces(tmp_path: Path) -> None:
    last = PATHS.part("1769000000.123456", 3)
    once = compacted_path(last)
    around = [PATHS.part("1769000000.123456", 2), compacted_path(once), once, last]
    around += [PATHS.part("1769000000.123456", 4)]
    assert sorted(around) == around
    assert sorted(around, key=natural) == around
    done = subprocess.run(
        ["sort", "--version-sort"],
        input="\n".join(reversed(around)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == around


def test_files_are_as_large_as_the_setting_says(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = hourly(folder_zone, days=1)
    size = len(folder_zone.read(before[0]))
    monkeypatch.setenv("LANDING_FILE_MB", str(8.5 * size / 1024 / 1024))
    expected = results(folder_zone)
    assert "24 files" in compact(kit)
    after = [compacted_path(before[number]) for number in (7, 15, 23)]
    assert folder_zone.parts("shop", "orders") == after
    assert results(folder_zone) == expected
    monkeypatch.delenv("LANDING_FILE_MB")
    assert "nothing to compact" in compact(kit), "a late upload would find a name free again"
    assert folder_zone.parts("shop", "orders") == after


def test_a_day_that_the_feeder_is_not_past_stays(kit: Kit, folder_zone: Zone) -> None:
    before = hourly(folder_zone, days=3)
    url = os.environ["DLT_BUCKET_URL"]
    told = compact(kit, "--feeder-at", f"{url}/{before[30]}")
    assert "1 day, 24 files" in told
    assert "stays  2025-03-02: the feeder has not read all of it yet" in told
    assert folder_zone.parts("shop", "orders")[1:] == before[24:]
    assert "2 days, 48 files" in compact(kit, "--feeder-at", before[-1])


def test_a_day_that_the_streams_table_has_not_taken_in_stays(kit: Kit, folder_zone: Zone) -> None:
    before = hourly(folder_zone, days=2)
    marker = json.dumps({"path": before[23]}).encode()
    obstore.put(folder_zone.store, PATHS.table_marker, marker)
    told = compact(kit)
    assert "1 day, 24 files" in told
    assert "2025-03-02: the current-state table does not include all of it yet" in told


def test_files_of_other_columns_are_united_without_changing_a_value(
    kit: Kit, folder_zone: Zone
) -> None:
    day = FIRST_DAY
    old = [
        put(folder_zone, day.replace(hour=n), pa.table({"id": [n], "gone": ["x"]})) for n in (1, 2)
    ]
    new = [
        put(folder_zone, day.replace(hour=n), pa.table({"new": [0.5], "id": [n]})) for n in (3, 4)
    ]
    text = [put(folder_zone, day.replace(hour=n), pa.table({"id": [f"A{n}"]})) for n in (5, 6)]
    alone = put(folder_zone, day.replace(hour=7), pa.table({"id": [7]}))
    assert "7 files" in compact(kit, "--dry-run")
    assert "6 files" in compact(kit)
    one, two = compacted_path(new[1]), compacted_path(text[1])
    assert folder_zone.parts("shop", "orders") == [one, two, alone]
    assert old[0] not in folder_zone.paths()
    united = read(folder_zone, one)
    assert united.column_names == ["new", "id", "gone", "_dlt_load_id", "_dlt_id"]
    assert united.select(["id", "gone", "new"]).to_pylist() == [
        {"id": 1, "gone": "x", "new": None},
        {"id": 2, "gone": "x", "new": None},
        {"id": 3, "gone": None, "new": 0.5},
        {"id": 4, "gone": None, "new": 0.5},
    ]
    assert read(folder_zone, two)["id"].to_pylist() == ["A5", "A6"]


def test_values_of_every_kind_are_the_same_after(kit: Kit, folder_zone: Zone) -> None:
    table = pa.table(
        {
            "id": pa.array([1, None, 3], pa.int64()),
            "number": pa.array([math.nan, -0.0, None], pa.float64()),
            "flag": [True, None, False],
            "text": ["", None, "žluťoučký\x00kůň"],
            "moment": pa.array([FIRST_DAY, None, FIRST_DAY], pa.timestamp("us", "UTC")),
            "day": pa.array([FIRST_DAY.date(), None, None], pa.date32()),
            "tags": pa.array([["a", None], [], None], pa.list_(pa.string())),
            "who": pa.array([{"n": 1.5, "x": math.nan}, None, {"n": None, "x": 1.0}]),
        }
    )
    for hour in range(3):
        put(folder_zone, FIRST_DAY.replace(hour=hour), table)
    before = [read(folder_zone, path) for path in folder_zone.parts("shop", "orders")]
    compact(kit)
    (path,) = folder_zone.parts("shop", "orders")
    after = read(folder_zone, path)
    assert after.schema.equals(before[0].schema)
    assert repr(after.to_pylist()) == repr(pa.concat_tables(before).to_pylist())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda table: table.slice(1), "it has 5 rows and not all"),
        (lambda table: table.slice(0, 5), "it has 5 rows and not all"),
        (lambda table: pa.concat_tables([table, table]), "more than 6 rows"),
        (lambda table: table.drop_columns(["total"]), "column total is missing"),
        (lambda table: table.take([1, 0, 2, 3, 4, 5]), "column id differs"),
        (lambda table: table.set_column(1, "total", [[0.5] * 6]), "column total differs"),
        (lambda table: table.cast(pa.schema([("id", pa.int32()), ("total", pa.float64())])), "id"),
    ],
)
def test_any_difference_is_noticed(tmp_path: Path, change: Any, told: str) -> None:
    table = pa.table({"id": [1, 2, 3, 4, 5, 6], "total": [None, 1.5, 2.5, None, 4.5, 5.5]})
    files = [tmp_path / "1.parquet", tmp_path / "2.parquet"]
    pq.write_table(table.slice(0, 3), files[0])
    pq.write_table(table.slice(3), files[1])
    one = tmp_path / "one.parquet"
    pq.write_table(table, one, row_group_size=2)
    merged = Merged(list(map(Copy.of, files)), table.schema)
    check_equal(merged, one)
    pq.write_table(change(table), one)
    with pytest.raises(NotEqual, match=told):
        check_equal(merged, one)


def test_the_record_says_where_rows_went(kit: Kit, folder_zone: Zone) -> None:
    before = hourly(folder_zone, days=1)
    compact(kit)
    path, pending = folder_zone.paths("_dlt/shop/orders/compactions")
    assert (pending, "done" in json.loads(folder_zone.read(pending))) == (
        PATHS.pending_compaction,
        True,
    )
    record = json.loads(folder_zone.read(path))
    assert path.endswith(before[-1].split("/")[-1].replace(".parquet", ".compacted.json"))
    assert record["into"] == compacted_path(before[-1])
    assert [file["path"] for file in record["files"]] == before
    assert record["rows"] == sum(file["rows"] for file in record["files"]) == 120


def test_a_stream_with_a_run_under_way_is_left_for_later_and_others_are_done(
    kit: Kit, folder_zone: Zone
) -> None:
    before = hourly(folder_zone, days=1)
    kit.configure("shop", "other", fields=FIELDS)
    bucket = Bucket(bucket_settings(Workspace(kit.root)))
    with Lease(bucket, PATHS.lease, "shop/orders"):
        done = kit.landing("compact", "shop", "orders", "other", "--wait", "0")
    assert done.code == 3
    assert "shop/other: nothing to compact" in done.out
    assert "shop/orders: another run is under way" in done.err
    assert folder_zone.parts("shop", "orders") == before


def test_a_mistake_is_reported(kit: Kit, folder_zone: Zone) -> None:
    kit.configure("shop", "orders", fields=FIELDS)
    for words, told in (
        (["shop"], "name the streams to compact, or use --all"),
        (["shop", "orders", "--all"], "not both"),
        (["shop", "../orders"], "is not a stream name"),
        (["shop", "orders", "--older-than", "soon"], "has to be a duration"),
        (["shop", "orders", "--wait", "-1"], "is not a number of minutes"),
        (["shop", "orders", "items", "--feeder-at", "x"], "name only that stream"),
        (["shop", "orders", "--feeder-at", "shop/items/1"], "is not a file of shop/orders"),
    ):
        done = kit.landing("compact", *words)
        assert done.code == 2
        assert told in done.err
    assert folder_zone.paths() == []


STREAM = """\
import json
from pathlib import Path
import dlt

@dlt.resource(primary_key="id")
def orders(id: dlt.sources.incremental[int] = dlt.sources.incremental("id")):
    given = json.loads((Path(__file__).parents[4] / "rows.json").read_text())
    yield [row for row in given if id.last_value is None or row["id"] > id.last_value]
"""


def land(kit: Kit, moment: datetime, number: int) -> None:
    rows = [{"id": number, "total": 0.5}, {"id": number + 1, "total": "?"}]
    (kit.repository / "rows.json").write_text(json.dumps(rows))
    with time_machine.travel(moment, tick=True):
        done = kit.run("shop", "orders")
    assert "1 row in" in done.out, done.text


def test_runs_and_quarantine_go_on_after_a_compaction(kit: Kit, folder_zone: Zone) -> None:
    kit.add_source("shop", STREAM)
    fields: dict[str, Any] = {"id": {"type": "integer"}, "total": {"type": "number"}}
    kit.configure("shop", "orders", cursor_field=["id"], fields=fields)
    for hour in range(4):
        land(kit, FIRST_DAY + timedelta(hours=hour), 10 * hour)
    # A run that died has left a file that the state does not tell of, in the clock's future.
    ahead = datetime.now(UTC) - timedelta(days=20)
    for second in range(2):
        put(folder_zone, ahead.replace(hour=3, second=second), pa.table({"id": [99]}))
    assert "2 days, 6 files" in compact(kit)
    left = folder_zone.parts("shop", "orders")
    assert len(left) == 2
    land(kit, FIRST_DAY + timedelta(hours=9), 90)
    assert natural(folder_zone.parts("shop", "orders")[2]) > natural(left[1])
    fields["total"] = {"type": "string"}
    kit.configure("shop", "orders", cursor_field=["id"], fields=fields)
    assert "5 rows" in kit.landing("quarantine", "land", "shop", "orders").out
    after = folder_zone.parts("shop", "orders")
    assert after[:2] == left
    assert len(after) == 4
    sql = "SELECT count(*), count(DISTINCT id) FROM landed"
    assert folder_zone.query("shop", "orders", sql, union_by_name=True) == [(12, 11)]


class RowFeeder(threading.Thread):
    """Takes each file whole, and remembers the last; lists again where one is gone."""

    def __init__(self, zone: Zone, after: str | None = None) -> None:
        super().__init__(daemon=True)
        self._zone = zone
        self._ended = threading.Event()
        self.at = after
        self.ids: list[str] = []
        self.files = 0

    def run(self) -> None:
        while not self._ended.wait(0.01):
            self.poll()

    def poll(self) -> None:
        pages = obstore.list(self._zone.store, PATHS.data, offset=self.at)
        found = [entry["path"] for page in pages for entry in page]
        for path in sorted(found, key=natural):
            if self.at is not None and natural(path) <= natural(self.at):
                continue
            try:
                table = read(self._zone, path)
            except FileNotFoundError:
                return
            self.ids += table["_dlt_id"].to_pylist()
            self.at = path
            self.files += 1

    def end(self) -> None:
        self._ended.set()
        self.join()
        self.poll()


class Reader(threading.Thread):
    """Reads all that there is, again and again; a reading of which a file goes begins anew."""

    def __init__(self, zone: Zone, wanted: set[str]) -> None:
        super().__init__(daemon=True)
        self._zone = zone
        self._wanted = wanted
        self._ended = threading.Event()
        self.readings = 0
        self.incomplete = 0

    def run(self) -> None:
        while not self._ended.wait(0.01):
            try:
                tables = [read(self._zone, path) for path in self._zone.parts("shop", "orders")]
            except FileNotFoundError:
                continue
            ids = {id_ for table in tables for id_ in table["_dlt_id"].to_pylist()}
            self.readings += 1
            self.incomplete += ids != self._wanted

    def end(self) -> None:
        self._ended.set()
        self.join()


@pytest.fixture
def proxy(s3: S3Server, zone: Zone, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    with serve_proxy(s3.endpoint) as running:
        monkeypatch.setenv("S3_ENDPOINT", running.endpoint)
        yield running


@contextmanager
def compacting(kit: Kit, *words: str) -> Iterator[Program]:
    command = ["compact", "shop", "orders", "--wait", "0", *words]
    process = Program(kit.root, os.environ, command)
    try:
        yield process
    finally:
        process.kill()


def killed_at(kit: Kit, proxy: Proxy, zone: Zone, write: int, *, is_done: bool) -> str | None:
    """Kill a compaction at that one of its writes, once it is done or instead; what it was, or
    None if there were not so many."""
    killed: list[str] = []
    with compacting(kit) as process:

        def kill(exchange: Exchange) -> None:
            if is_done:
                exchange.forward()
            os.kill(process.pid, signal.SIGKILL)
            killed.append(f"{exchange.request.method} {exchange.request.path}")
            exchange.reset()

        proxy.spoil(kill, when=_writes, after=write)
        out, _ = process.communicate(timeout=100)
    proxy.fix()
    assert process.returncode == (-signal.SIGKILL if killed else 0), out
    if PATHS.lease in zone.paths("_dlt"):
        zone.delete(PATHS.lease)
    return killed[0] if killed else None


def _writes(request: Request) -> bool:
    return request.method in ("PUT", "POST", "DELETE")


def all_ids(zone: Zone, paths: Sequence[str]) -> list[str]:
    return [id_ for path in paths for id_ in read(zone, path)["_dlt_id"].to_pylist()]


@pytest.mark.timeout(400)
def test_a_thousand_files_compacted_under_kills_change_no_result_and_lose_no_feeder_a_row(
    kit: Kit, proxy: Proxy, zone: Zone
) -> None:
    before = hourly(zone, days=40, a_day=25)
    assert len(before) == 1_000
    expected = results(zone)
    ids = all_ids(zone, before)
    inside = 20 * 25 + 12
    new, behind, past = (
        RowFeeder(zone),
        RowFeeder(zone, before[inside]),
        RowFeeder(zone, before[-1]),
    )
    feeders = (new, behind, past)
    for feeder in feeders:
        feeder.start()
    kills = [
        killed_at(kit, proxy, zone, write, is_done=write % 2 == 0) for write in (7, 10, 13, 18)
    ]
    with compacting(kit) as process:
        out, _ = process.communicate(timeout=200)
    assert process.returncode == 0, out
    for feeder in feeders:
        feeder.end()
    assert all(kills)
    assert len(zone.parts("shop", "orders")) == 40
    assert results(zone) == expected
    assert set(new.ids) == set(ids)
    assert set(behind.ids) >= set(ids[(inside + 1) * 5 :])
    assert past.files == 0
    late = RowFeeder(zone, before[inside])
    late.poll()
    # It gets the whole of the day that it was in the middle of.
    assert late.ids == ids[20 * 25 * 5 :]


@pytest.mark.timeout(400)
def test_a_compaction_may_be_killed_at_every_step(kit: Kit, proxy: Proxy, zone: Zone) -> None:
    steps: list[str] = []
    write = 0
    while True:
        zone_is_new = hourly(zone, days=1, a_day=6)
        wanted = all_ids(zone, zone_is_new)
        reader = Reader(zone, set(wanted))
        reader.start()
        step = killed_at(kit, proxy, zone, write, is_done=write % 2 == 1)
        assert set(all_ids(zone, zone.parts("shop", "orders"))) == set(wanted)
        compact(kit)
        reader.end()
        assert (reader.incomplete, reader.readings > 0) == (0, True)
        assert zone.parts("shop", "orders") == [compacted_path(zone_is_new[-1])]
        assert all_ids(zone, zone.parts("shop", "orders")) == wanted
        assert "done" in json.loads(zone.read(PATHS.pending_compaction))
        obstore.delete(zone.store, zone.paths())
        if step is None:
            break
        steps.append(step)
        write += 1
    told = "\n".join(steps)
    for part in ("lease.json", "pending.json", ".compacted.parquet", ".compacted.json", "POST"):
        assert part in told, told


def test_what_does_not_read_back_equal_replaces_nothing(kit: Kit, proxy: Proxy, zone: Zone) -> None:
    before = hourly(zone, days=1, a_day=4)
    other = zone.read(before[0])

    def is_read_back(request: Request) -> bool:
        return request.method == "GET" and request.path.endswith(".compacted.parquet")

    def another(exchange: Exchange) -> None:
        obstore.put(zone.store, compacted_path(before[-1]), other)
        passed_on(exchange)

    proxy.spoil(another, when=is_read_back)
    done = kit.landing("compact", "shop", "orders", "--wait", "0")
    assert done.code == 1
    assert "did not read back as the files that it should replace: it has 5 rows" in done.err
    into = compacted_path(before[-1])
    assert zone.parts("shop", "orders") == [*before[:-1], into, before[-1]]
    assert read(zone, into).num_rows == 0
    told = compact(kit)
    assert f"{into} exists beside the file that it was to replace" in told
    assert "1 day, 3 files" in told, "its name is not used again, but the others may be compacted"
    assert zone.parts("shop", "orders") == [compacted_path(before[-2]), into, before[-1]]


def test_a_pending_compaction_whose_files_are_gone_is_reported(kit: Kit, folder_zone: Zone) -> None:
    before = hourly(folder_zone, days=1, a_day=4)
    pending = {
        "into": compacted_path(before[-1]),
        "rows": 20,
        "bytes": 1,
        "begun": str(datetime.now(UTC)),
        "files": [{"path": path, "rows": 5, "bytes": 1} for path in before],
    }
    obstore.put(folder_zone.store, PATHS.pending_compaction, json.dumps(pending).encode())
    folder_zone.delete(before[1])
    done = kit.landing("compact", "shop", "orders", "--wait", "0")
    assert done.code == 1
    assert "names files to compact into" in done.err
    obstore.put(folder_zone.store, PATHS.pending_compaction, b"?")
    damaged = kit.landing("compact", "shop", "orders")
    assert "pending.json is damaged" in damaged.err
    assert "put an earlier version of it back, or delete it" in damaged.text
    assert folder_zone.parts("shop", "orders") == [before[0], *before[2:]]
