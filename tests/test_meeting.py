"""Refreshes, backfills, compactions and tables of one stream that meet, and those that die."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import obstore
import pytest
import time_machine

import landing.zone.publication as landing_module
from landing.catalog.settings import bucket_settings
from landing.catalog.workspace import Workspace
from landing.operations import compaction as compaction_module
from landing.operations.backfill import fields as fields_module
from landing.operations.compaction import compact
from landing.operations.compaction_plan import Terms
from landing.zone import lease as lease_module
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths
from landing.zone.lease import Lease
from tests.kit import Kit, Zone
from tests.test_together import FIELDS, Shop, row

STREAMS = """\
import json
from pathlib import Path
import dlt

FILE = Path(__file__).parents[4] / "rows.json"
GONE = {"gone": {"hard_delete": True, "data_type": "bool"}}

def rows():
    return json.loads(FILE.read_text())

def pages():
    for row in rows():
        yield [row]

@dlt.resource(primary_key="id", columns=GONE)
def changes(at: dlt.sources.incremental[str] = dlt.sources.incremental("at")):
    yield from pages()

@dlt.resource(primary_key="id", columns=GONE)
def whole():
    yield from pages()

@dlt.resource(primary_key="id")
def stock():
    yield from pages()

@dlt.resource(primary_key="id")
def plain(at: dlt.sources.incremental[str] = dlt.sources.incremental("at")):
    yield from pages()

@dlt.resource(primary_key="id")
def sliced(
    at: dlt.sources.incremental[str] = dlt.sources.incremental(
        "at", row_order="asc", initial_value="2024-01-01T00:00:00Z"
    ),
):
    for row in rows():
        if row["id"] < 0:
            raise RuntimeError("the API is down")
        day = row["at"][:11]
        many = [
            {**row, "id": row["id"] * 10000 + n, "at": f"{day}{n // 60:02}:{n % 60:02}:00Z"}
            for n in range(1000)
        ]
        yield [row for row in many if row["at"] >= at.last_value]
"""
REFRESH: dict[str, Any] = {
    "sync_mode": "full_refresh",
    "destination_sync_mode": "overwrite",
    "primary_key": [["id"]],
    "fields": FIELDS,
}
KEYS: dict[str, Any] = {"cursor_field": ["at"], "primary_key": [["id"]]}
NOTE = {"note": {"type": "string"}}
PLAIN = StreamPaths("shop", "plain")


@pytest.fixture
def shop(kit: Kit, folder_zone: Zone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    tables = tmp_path / "tables"
    monkeypatch.setenv("LANDING_TABLES_URL", tables.as_uri())
    return Shop(kit, tables, STREAMS)


@pytest.fixture
def bucket(shop: Shop) -> Bucket:
    return Bucket(bucket_settings(Workspace(shop.kit.root)))


def all_days() -> Terms:
    return Terms(datetime.now(UTC) + timedelta(days=3), 10**9)


def the_run_dies_before_its_state(shop: Shop, stream: str) -> None:
    original = Bucket.put

    def put(self: Bucket, path: str, *content: Any) -> Any:
        if path.endswith("state.json"):
            raise RuntimeError("killed")
        return original(self, path, *content)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Bucket, "put", put)
        assert shop.kit.run("shop", stream).code == 1


def test_a_table_has_no_half_of_a_refresh_that_died_before_its_state(shop: Shop) -> None:
    shop.kit.configure("shop", "stock", **REFRESH, deletes="snapshot")
    shop.lands("stock", row(1, 1, 10), row(2, 1, 20))
    shop.has(row(1, 1, 1), row(2, 1, 2), row(1, 1, 11), row(3, 1, 3))
    the_run_dies_before_its_state(shop, "stock")
    shop.does("rebuild", "shop", "stock", "--yes")
    assert shop.table("stock") in ([(1, 10), (2, 20)], [(1, 11), (2, 2), (3, 3)])


def test_an_empty_refresh_that_died_with_a_clock_ahead_is_followed_by_the_next(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ahead(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + timedelta(hours=1)

    shop.kit.configure("shop", "stock", **REFRESH)
    shop.lands("stock", row(1, 1, 10))
    shop.has()
    with monkeypatch.context() as patch:
        patch.setattr(landing_module, "datetime", Ahead)
        the_run_dies_before_its_state(shop, "stock")
    shop.lands("stock", row(1, 1, 12), row(2, 1, 20))
    assert shop.table("stock") == [(1, 12), (2, 20)]


def test_a_deletion_counts_in_the_refresh_that_it_comes_with(shop: Shop) -> None:
    shop.kit.configure("shop", "whole", **REFRESH)
    shop.lands("whole", row(1, 1, 1), row(2, 1, 2), row(1, 2, 1, gone=True))
    assert shop.table("whole") == [(2, 2)]


def test_records_that_the_stream_marked_as_deleted_are_not_detected_again(shop: Shop) -> None:
    config = REFRESH | {"destination_sync_mode": "append", "deletes": "snapshot"}
    shop.kit.configure("shop", "whole", **config, deletes_limit=0.3)
    shop.lands("whole", *(row(key, 1, key) for key in range(4)))
    gone = (row(2, 1, 2, gone=True), row(3, 1, 3, gone=True))
    shop.lands("whole", row(0, 1, 0), row(1, 1, 1), *gone)
    shop.lands("whole", row(0, 1, 0), row(1, 1, 1))


def test_a_rebuild_takes_the_last_refresh_though_runs_were_incremental_since(shop: Shop) -> None:
    shop.kit.configure("shop", "plain", **REFRESH)
    shop.lands("plain", row(1, 1, 1), row(2, 2, 2))
    shop.kit.configure("shop", "plain", **KEYS, fields=FIELDS)
    shop.lands("plain", row(1, 5, 5), row(3, 5, 5))
    shop.kit.configure("shop", "plain", **REFRESH)
    shop.does("rebuild", "shop", "plain", "--yes")
    assert shop.table("plain") == [(1, 1), (2, 2)]


def test_fields_of_a_deleted_record_are_not_filled_in(shop: Shop, folder_zone: Zone) -> None:
    fields = {**FIELDS, **NOTE, "more": {"type": "string"}}
    shop.kit.configure("shop", "changes", **KEYS, fields=fields)
    shop.lands("changes", row(1, 1, 1, note="a", more="m"), row(2, 1, 2, note="b", more="m"))
    shop.has(row(1, 2, 1, gone=True), row(2, 1, 2, note="b", more="m"))
    shop.does("backfill", "shop", "changes", "--fields", "note")
    landed = "SELECT id, note, _deleted_at IS NOT NULL FROM landed ORDER BY id, _dlt_load_id"
    assert folder_zone.query("shop", "changes", landed) == [(1, "a", False), (2, "b", False)]


def test_rows_that_land_again_have_nothing_open_that_is_private_by_now(
    shop: Shop, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.kit.configure("shop", "plain", **KEYS, fields={**FIELDS, "mail": {"type": "string"}})
    shop.lands("plain", row(1, 1, 1, mail="a@b.c", note="x"))
    monkeypatch.setenv("LANDING_PRIVACY_KEY", "k" * 40)
    private = {"mail": {"type": "string", "privacy": "hash"}}
    shop.kit.configure("shop", "plain", **KEYS, fields={**FIELDS, **private, **NOTE})
    shop.does("backfill", "shop", "plain", "--fields", "note")
    landed = "SELECT mail FROM landed WHERE note IS NOT NULL"
    ((mail,),) = folder_zone.query("shop", "plain", landed, union_by_name=True)
    assert mail != "a@b.c"


def test_a_key_that_is_hashed_from_now_on_is_not_a_second_record(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {**KEYS, "destination_sync_mode": "merge"}
    shop.kit.configure("shop", "plain", **keys, fields={**FIELDS, "id": {"type": "string"}})
    shop.lands("plain", {**row(1, 1, 1), "id": "anna"})
    monkeypatch.setenv("LANDING_PRIVACY_KEY", "k" * 40)
    private = {"id": {"type": "string", "privacy": "hash"}}
    shop.kit.configure("shop", "plain", **keys, fields={**FIELDS, **private})
    shop.has({**row(2, 2, 2), "id": "anna"})
    refused = shop.kit.run("shop", "plain")
    assert refused.code == 2
    assert "fields.id.privacy" in refused.err
    assert len(shop.table_rows("plain")) == 1


def test_two_backfills_of_other_fields_at_once_lose_neither(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {**KEYS, "destination_sync_mode": "merge"}
    shop.kit.configure("shop", "plain", **keys, fields=FIELDS)
    shop.lands("plain", row(1, 1, 1))
    gained = {"a": {"type": "string"}, "b": {"type": "string"}}
    shop.kit.configure("shop", "plain", **keys, fields={**FIELDS, **gained})
    shop.has(row(1, 1, 1, a="A", b="B"))
    original = fields_module._read

    def read(*arguments: Any) -> Any:
        monkeypatch.setattr(fields_module, "_read", original)
        done = original(*arguments)
        shop.does("backfill", "shop", "plain", "--fields", "a")
        return done

    monkeypatch.setattr(fields_module, "_read", read)
    refused = shop.kit.landing("backfill", "shop", "plain", "--fields", "b")
    assert refused.code == 1
    assert "start it again" in refused.err
    shop.does("backfill", "shop", "plain", "--fields", "b")
    assert [(found["a"], found["b"]) for found in shop.table_rows("plain")] == [("A", "B")]


@contextmanager
def small_slices() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LANDING_SLICE_MB", "0.0001")
        patch.setenv("LANDING_SLICE_MINUTES", "0.000001")
        yield


def resync_dies(shop: Shop, days: list[dict[str, Any]]) -> None:
    """A stream that has landed is read anew, and the API fails after a part of it."""
    shop.kit.configure("shop", "sliced", **KEYS, fields=FIELDS)
    shop.lands("sliced", *days)
    shop.kit.configure("shop", "sliced", **KEYS, fields=FIELDS, backfill=True)
    shop.has(*days[:5], row(-1, 6, 0), *days[5:])
    with small_slices():
        assert shop.kit.run("shop", "sliced").code == 1


def test_a_reset_in_the_middle_of_a_resync_reads_all_again(shop: Shop, folder_zone: Zone) -> None:
    days = [row(day, day, day) for day in range(1, 9)]
    resync_dies(shop, days)
    before = folder_zone.count("shop", "sliced")
    assert before > 8000, "a part of the resync has landed"
    shop.does("state", "reset", "shop", "sliced", "--yes")
    shop.lands("sliced", *days)
    assert folder_zone.count("shop", "sliced") - before == 8000


def test_a_cursor_set_back_in_the_middle_of_a_resync_is_where_it_reads_from(
    shop: Shop, folder_zone: Zone
) -> None:
    days = [row(day, day, day) for day in range(1, 9)]
    resync_dies(shop, days)
    before = folder_zone.count("shop", "sliced")
    assert before > 8000, "a part of the resync has landed"
    back = ("--cursor", "2024-03-02T00:00:00Z", "--yes")
    shop.does("state", "set", "shop", "sliced", *back)
    shop.lands("sliced", *days)
    assert folder_zone.count("shop", "sliced") - before >= 7000


def test_windows_that_wait_long_for_a_run_wait_for_each_other_too(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_module, "PATIENCE", timedelta(seconds=0.2))
    failures: list[Exception] = []
    taken: list[int] = []

    def window(number: int) -> None:
        try:
            with Lease(bucket, PLAIN.lease, "shop/plain", "publication", waits_for_runs=True):
                taken.append(number)
                time.sleep(0.3)
        except Exception as error:
            failures.append(error)

    windows = [threading.Thread(target=window, args=(number,)) for number in range(3)]
    with Lease(bucket, PLAIN.lease, "shop/plain"):
        for thread in windows:
            thread.start()
        time.sleep(0.5)
    for thread in windows:
        thread.join()
    assert failures == []
    assert sorted(taken) == [0, 1, 2]


def test_a_compaction_that_shall_not_wait_does_not(
    shop: Shop, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_module, "PATIENCE", timedelta(seconds=20))
    shop.kit.configure("shop", "plain", **KEYS, fields=FIELDS)
    shop.lands("plain", row(1, 1, 1))
    shop.lands("plain", row(2, 2, 1))
    with Lease(bucket, PLAIN.lease, "shop/plain", "publication"):
        begun = time.monotonic()
        assert compact(bucket, PLAIN, all_days(), 0).error is not None
        assert time.monotonic() - begun < 10


def test_files_that_a_dead_compaction_left_beside_their_own_become_no_loss(
    shop: Shop, bucket: Bucket, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.kit.configure("shop", "plain", **KEYS, fields=FIELDS)
    shop.lands("plain", row(1, 1, 1))
    shop.lands("plain", row(2, 2, 2))

    def dies(self: Bucket, paths: Any) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(Bucket, "delete_all", dies)
        with pytest.raises(RuntimeError, match="killed"):
            compact(bucket, PLAIN, all_days(), 5)
    # As the message of a damaged one says.
    bucket.delete(PLAIN.pending_compaction)
    shop.kit.configure("shop", "plain", **KEYS, fields={**FIELDS, "n": {"type": "string"}})
    shop.lands("plain", {**row(3, 3, 3), "n": "3"})
    shop.lands("plain", {**row(4, 4, 4), "n": "4"})
    ids = "SELECT DISTINCT id FROM landed ORDER BY 1"
    expected = [(1,), (2,), (3,), (4,)]
    assert folder_zone.query("shop", "plain", ids, union_by_name=True) == expected
    compact(bucket, PLAIN, all_days(), 5)
    assert folder_zone.query("shop", "plain", ids, union_by_name=True) == expected


def test_a_stream_that_keeps_no_table_any_more_is_compacted(shop: Shop) -> None:
    keys = {**KEYS, "fields": FIELDS}
    shop.kit.configure("shop", "plain", **keys, destination_sync_mode="merge")
    shop.lands("plain", row(1, 1, 1))
    shop.kit.configure("shop", "plain", **keys)
    shop.lands("plain", row(2, 2, 1))
    shop.lands("plain", row(3, 3, 1))
    words = ("compact", "shop", "plain", "--older-than", "1d", "--dry-run")
    with time_machine.travel(datetime.now(UTC) + timedelta(days=3), tick=True):
        assert "1 day, 3 files" in shop.does(*words)
        shop.kit.configure("shop", "plain", **keys, destination_sync_mode="merge")
        assert "does not include all of it yet" in shop.does(*words)


def test_a_config_with_a_mistake_keeps_no_other_stream_from_being_compacted(shop: Shop) -> None:
    shop.kit.configure("shop", "plain", '{"destination_sync_mode": "upsert"}')
    shop.kit.configure("shop", "stock", **REFRESH)
    done = shop.kit.landing("compact", "shop", "--all")
    assert done.code == 2
    assert "destination_sync_mode" in done.err
    assert "shop/stock: nothing to compact" in done.out


def test_a_run_beside_a_compaction_gets_the_lease_before_it_ends(
    shop: Shop, bucket: Bucket, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction_module, "_FREE_EVERY", 0.0)
    monkeypatch.setattr(compaction_module, "_RETRY_SECONDS", 0.1)
    shop.kit.configure("shop", "plain", **KEYS, fields=FIELDS)
    shop.lands("plain", row(1, 1, 1))
    (path,) = folder_zone.parts("shop", "plain")
    for number in range(8):
        copy = PLAIN.part(f"{1577836800 + number * 43200:010}.000000", 0)
        obstore.put(folder_zone.store, copy, folder_zone.read(path))
    files_left: list[int] = []

    def run() -> None:
        while len(folder_zone.parts("shop", "plain")) == 9:
            time.sleep(0.01)
        with Lease(bucket, PLAIN.lease, "shop/plain"):
            files_left.append(len(folder_zone.parts("shop", "plain")))

    waiting = threading.Thread(target=run, daemon=True)
    waiting.start()
    assert compact(bucket, PLAIN, all_days(), 20).error is None
    waiting.join()
    assert files_left > [5]
    assert len(folder_zone.parts("shop", "plain")) == 5


def test_columns_that_only_a_backfill_had_are_not_those_of_the_next_run(shop: Shop) -> None:
    shop.kit.configure("shop", "plain", **KEYS, fields=FIELDS)
    shop.lands("plain", row(1, 1, 1, note="x"))
    shop.kit.configure("shop", "plain", **KEYS, fields={**FIELDS, **NOTE})
    shop.does("backfill", "shop", "plain", "--from", "2024-03-01", "--to", "2024-04-01")
    assert "note" in shop.does("schema", "shop", "plain")
    shop.kit.configure("shop", "plain", **KEYS, fields=FIELDS)
    shop.lands("plain", row(1, 1, 1))
    shop.lands("plain", row(2, 9, 1))
    assert "version 3" in (told := shop.does("schema", "shop", "plain"))
    assert "note" not in told


def test_of_a_key_that_comes_twice_in_a_refresh_the_last_is_kept(shop: Shop) -> None:
    shop.kit.configure("shop", "stock", **REFRESH, cursor_field=["at"])
    shop.lands("stock", row(1, 5, 5), row(1, 1, 1))
    assert shop.table("stock") == [(1, 1)]


def test_a_table_of_a_newer_protocol_is_refused_and_stays(shop: Shop) -> None:
    shop.kit.configure("shop", "stock", **REFRESH)
    shop.lands("stock", row(1, 1, 1))
    log = shop.table_folder("stock") / "_delta_log"
    first = min(log.glob("*.json"))
    first.write_text(first.read_text().replace('"minReaderVersion":1', '"minReaderVersion":9'))
    before = {file: file.read_bytes() for file in log.iterdir()}
    refused = shop.kit.landing("rebuild", "shop", "stock", "--yes")
    assert refused.code == 1
    assert "Unsupported minimum reader version 9" in refused.err
    assert {file: file.read_bytes() for file in log.iterdir()} == before


def test_fields_are_filled_in_though_files_are_compacted_meanwhile(
    shop: Shop, bucket: Bucket, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.kit.configure("shop", "plain", **KEYS, fields=FIELDS)
    shop.lands("plain", row(1, 1, 1))
    shop.lands("plain", row(2, 2, 1))
    shop.kit.configure("shop", "plain", **KEYS, fields={**FIELDS, **NOTE})
    shop.has(row(1, 1, 1, note="x"), row(2, 2, 1, note="y"))
    original = fields_module._read

    def read(*arguments: Any) -> Any:
        done = original(*arguments)
        assert compact(bucket, PLAIN, all_days(), 5).files_before == 2
        return done

    monkeypatch.setattr(fields_module, "_read", read)
    shop.does("backfill", "shop", "plain", "--fields", "note")
    landed = "SELECT id, note FROM landed WHERE note IS NOT NULL ORDER BY id"
    assert folder_zone.query("shop", "plain", landed, union_by_name=True) == [(1, "x"), (2, "y")]


def test_fields_are_not_filled_in_from_files_that_have_newer_versions_too(
    shop: Shop, bucket: Bucket, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.kit.configure("shop", "plain", **KEYS, fields=FIELDS)
    shop.lands("plain", row(1, 1, 1))
    shop.kit.configure("shop", "plain", **KEYS, fields={**FIELDS, **NOTE})
    shop.has(row(1, 1, 1, note="old"))
    original = fields_module._read

    def read(*arguments: Any) -> Any:
        done = original(*arguments)
        monkeypatch.setattr(fields_module, "_read", original)
        shop.lands("plain", row(1, 2, 1, note="new"))
        (first, second) = folder_zone.parts("shop", "plain")
        # As if both had the same columns, so that they become one file.
        obstore.put(folder_zone.store, first, folder_zone.read(second))
        assert compact(bucket, PLAIN, all_days(), 5).files_before == 2
        return done

    monkeypatch.setattr(fields_module, "_read", read)
    refused = shop.kit.landing("backfill", "shop", "plain", "--fields", "note")
    assert refused.code == 1
    assert "run again" in refused.err
    notes = "SELECT DISTINCT note FROM landed"
    assert folder_zone.query("shop", "plain", notes) == [("new",)]
