"""Reviewer's proofs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from landing.bucket import Bucket
from tests.kit import Kit, Zone
from tests.test_together import FIELDS, Shop, row

STREAMS = """\
import json
from pathlib import Path
import dlt

FILE = Path(__file__).parents[4] / "rows.json"

def pages():
    for row in json.loads(FILE.read_text()):
        yield [row]

@dlt.resource(primary_key="id", columns={"gone": {"hard_delete": True, "data_type": "bool"}})
def changes(at: dlt.sources.incremental[str] = dlt.sources.incremental("at")):
    yield from pages()

@dlt.resource(primary_key="id", columns={"gone": {"hard_delete": True, "data_type": "bool"}})
def whole():
    yield from pages()

@dlt.resource(primary_key="id")
def stock():
    yield from pages()

@dlt.resource(primary_key="id")
def plain(at: dlt.sources.incremental[str] = dlt.sources.incremental("at")):
    yield from pages()

@dlt.resource(primary_key="id")
def sliced(at: dlt.sources.incremental[str] = dlt.sources.incremental("at", row_order="asc", initial_value="2024-01-01T00:00:00Z")):
    for one in json.loads(FILE.read_text()):
        if one["id"] < 0:
            import time
            time.sleep(5)
            raise RuntimeError("the API is down")
        many = [
            {**one, "id": one["id"] * 100000 + n, "at": one["at"][:11] + f"{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}Z"}
            for n in range(20000)
        ]
        many = [r for r in many if r["at"] >= at.last_value]
        if many:
            yield many
"""


@pytest.fixture
def shop(kit: Kit, folder_zone: Zone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    tables = tmp_path / "tables"
    monkeypatch.setenv("LANDING_TABLES_URL", tables.as_uri())
    import tests.test_together as together

    monkeypatch.setattr(together, "STREAMS", STREAMS)
    return Shop(kit, tables)


class Killed(BaseException):
    pass


def die_before_state(monkeypatch: pytest.MonkeyPatch) -> Any:
    patch = pytest.MonkeyPatch()
    original = Bucket.put

    def put(self: Bucket, path: str, *more: Any, **kw: Any) -> Any:
        if path.endswith("state.json"):
            raise RuntimeError("killed")
        return original(self, path, *more, **kw)

    patch.setattr(Bucket, "put", put)
    return patch


OVERWRITE = dict(
    sync_mode="full_refresh", destination_sync_mode="overwrite", primary_key=[["id"]], fields=FIELDS
)


def test_a_refresh_that_died_before_its_state_is_taken_in_by_half(shop, monkeypatch) -> None:
    shop.kit.configure("shop", "stock", **OVERWRITE, deletes="snapshot")
    shop.lands("stock", row(1, 1, 10), row(2, 1, 20))
    patch = die_before_state(monkeypatch)
    shop.has(row(1, 1, 1), row(2, 1, 2), row(1, 1, 11), row(3, 1, 3))
    assert shop.kit.run("shop", "stock").code == 1
    patch.undo()
    shop.does("rebuild", "shop", "stock", "--yes")
    assert shop.table("stock") in (
        [(1, 10), (2, 20)],
        [(1, 11), (2, 2), (3, 3)],
    )


def test_a_tombstone_of_the_same_refresh_counts_in_an_overwritten_table(shop) -> None:
    shop.kit.configure("shop", "whole", **OVERWRITE)
    shop.lands("whole", row(1, 1, 1), row(2, 1, 2), row(1, 2, 1, gone=True))
    assert shop.table("whole") == [(2, 2)]


def test_records_deleted_by_word_are_not_known_to_the_comparison(shop) -> None:
    shop.kit.configure(
        "shop",
        "whole",
        **{**OVERWRITE, "destination_sync_mode": "append"},
        deletes="snapshot",
        deletes_limit=0.3,
    )
    shop.lands("whole", *(row(n, 1, n) for n in range(4)))
    shop.lands(
        "whole", row(0, 1, 0), row(1, 1, 1), row(2, 1, 2, gone=True), row(3, 1, 3, gone=True)
    )
    shop.lands("whole", row(0, 1, 0), row(1, 1, 1))


def test_an_empty_refresh_that_died_and_a_clock_behind(shop, monkeypatch) -> None:
    shop.kit.configure("shop", "stock", **OVERWRITE)
    shop.lands("stock", row(1, 1, 10))
    from datetime import datetime, timedelta

    import landing.landing as module

    patch = die_before_state(monkeypatch)

    class Ahead(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(hours=1)

    patch.setattr(module, "datetime", Ahead)
    shop.has()
    assert shop.kit.run("shop", "stock").code == 1
    patch.undo()
    shop.lands("stock", row(1, 1, 12), row(2, 1, 20))
    assert shop.table("stock") == [(1, 12), (2, 20)]


def test_fields_backfill_of_a_stream_that_says_what_is_gone(shop, folder_zone) -> None:
    keys = dict(cursor_field=["at"], primary_key=[["id"]])
    fields = {**FIELDS, "note": {"type": "string"}, "more": {"type": "string"}}
    shop.kit.configure("shop", "changes", **keys, fields=fields)
    shop.lands("changes", row(1, 1, 1, note="a", more="m"), row(2, 1, 2, note="b", more="m"))
    shop.has(row(1, 2, 1, gone=True), row(2, 1, 2, note="b", more="m"))
    told = shop.does("backfill", "shop", "changes", "--fields", "note")
    rows = folder_zone.query(
        "shop",
        "changes",
        "SELECT id, note, _deleted_at IS NOT NULL FROM landed ORDER BY id, _dlt_load_id",
    )
    assert rows == [(1, "a", False), (2, "b", False)], rows


def test_fields_backfill_lands_what_is_private_now(shop, folder_zone, monkeypatch) -> None:
    keys = dict(cursor_field=["at"], primary_key=[["id"]])
    fields = {**FIELDS, "mail": {"type": "string"}}
    shop.kit.configure("shop", "plain", **keys, fields=fields)
    shop.lands("plain", row(1, 1, 1, mail="a@b.c", note="x"))
    monkeypatch.setenv("LANDING_PRIVACY_KEY", "k" * 40)
    fields = {**FIELDS, "mail": {"type": "string", "privacy": "hash"}, "note": {"type": "string"}}
    shop.kit.configure("shop", "plain", **keys, fields=fields)
    shop.does("backfill", "shop", "plain", "--fields", "note")
    rows = folder_zone.query(
        "shop", "plain", "SELECT mail, note FROM landed WHERE note IS NOT NULL", union_by_name=True
    )
    assert len(rows) == 1
    assert rows[0][0] != "a@b.c"


def test_reset_in_the_middle_of_a_resync(shop, folder_zone, monkeypatch) -> None:
    keys = dict(cursor_field=["at"], primary_key=[["id"]], fields=FIELDS)
    shop.kit.configure("shop", "sliced", **keys)
    days = [row(n, n, n) for n in range(1, 9)]
    shop.lands("sliced", *days)
    monkeypatch.setenv("LANDING_SLICE_MB", "0.01")
    monkeypatch.setenv("LANDING_SLICE_MINUTES", "0.000001")
    shop.kit.configure("shop", "sliced", **keys, backfill=True)
    shop.has(*days[:5], {**row(-1, 6, 0)}, *days[5:])
    out = shop.kit.run("shop", "sliced")
    print(out.text)
    assert out.code == 1
    before = folder_zone.count("shop", "sliced")
    print(before)
    print(shop.does("state", "shop", "sliced"))
    import os

    from landing.layout import StreamPaths
    from landing.state import stored_by_us
    from landing.workspace import BucketSettings

    b = Bucket(BucketSettings(os.environ["DLT_BUCKET_URL"], None, False))
    print(stored_by_us(b, StreamPaths("shop", "sliced")))
    shop.does("state", "reset", "shop", "sliced", "--yes")
    monkeypatch.delenv("LANDING_SLICE_MB")
    monkeypatch.delenv("LANDING_SLICE_MINUTES")
    print(shop.lands("sliced", *days))
    assert folder_zone.count("shop", "sliced") - before == 160000


def test_set_back_in_the_middle_of_a_resync(shop, folder_zone, monkeypatch) -> None:
    keys = dict(cursor_field=["at"], primary_key=[["id"]], fields=FIELDS)
    shop.kit.configure("shop", "sliced", **keys)
    days = [row(n, n, n) for n in range(1, 9)]
    shop.lands("sliced", *days)
    monkeypatch.setenv("LANDING_SLICE_MB", "0.01")
    monkeypatch.setenv("LANDING_SLICE_MINUTES", "0.000001")
    shop.kit.configure("shop", "sliced", **keys, backfill=True)
    shop.has(*days[:5], {**row(-1, 6, 0)}, *days[5:])
    assert shop.kit.run("shop", "sliced").code == 1
    before = folder_zone.count("shop", "sliced")
    shop.does("state", "set", "shop", "sliced", "--cursor", "2024-03-02T00:00:00Z", "--yes")
    print(shop.lands("sliced", *days))
    assert folder_zone.count("shop", "sliced") - before >= 140000


def test_no_table_any_more_and_compaction(shop, folder_zone) -> None:
    keys = dict(cursor_field=["at"], primary_key=[["id"]], fields=FIELDS)
    shop.kit.configure("shop", "plain", **keys, destination_sync_mode="merge")
    shop.lands("plain", row(1, 1, 1))
    shop.kit.configure("shop", "plain", **keys)
    shop.lands("plain", row(2, 2, 1))
    shop.lands("plain", row(3, 3, 1))
    out = shop.kit.landing("compact", "shop", "plain", "--older-than", "0d", "--dry-run")
    import os
    from datetime import UTC, datetime, timedelta

    from landing.compaction import Terms, plan_compaction
    from landing.layout import StreamPaths
    from landing.workspace import BucketSettings

    bucket = Bucket(BucketSettings(os.environ["DLT_BUCKET_URL"], None, False))
    plan = plan_compaction(
        bucket, StreamPaths("shop", "plain"), Terms(datetime.now(UTC) + timedelta(days=3), 10**9)
    )
    assert plan.left == [] and len(plan.groups) == 1, plan


def test_a_window_that_waited_long_for_a_run_waits_for_another_window_too(
    folder_zone, monkeypatch
) -> None:
    import os
    import threading
    import time
    from datetime import timedelta

    from landing import lease as module
    from landing.workspace import BucketSettings

    monkeypatch.setattr(module, "PATIENCE", timedelta(seconds=1))
    bucket = Bucket(BucketSettings(os.environ["DLT_BUCKET_URL"], None, False))
    run = module.Lease(bucket, "_dlt/a/b/lease.json", "a/b")
    other = module.Lease(bucket, "_dlt/a/b/lease.json", "a/b", "publication", waits_for_runs=True)
    failed = []
    taken = []

    def window():
        try:
            with module.Lease(
                bucket, "_dlt/a/b/lease.json", "a/b", "publication", waits_for_runs=True
            ):
                taken.append(1)
                time.sleep(0.6)
        except Exception as error:
            failed.append(error)

    with run:
        threads = [threading.Thread(target=window) for _ in range(3)]
        for t in threads:
            t.start()
        time.sleep(1.5)
    for t in threads:
        t.join()
    assert not failed, failed


def test_a_schema_that_only_a_backfill_had_is_left_again(shop) -> None:
    keys = dict(cursor_field=["at"], primary_key=[["id"]])
    shop.kit.configure("shop", "plain", **keys, fields=FIELDS)
    shop.lands("plain", row(1, 1, 1, note="x"))
    shop.kit.configure("shop", "plain", **keys, fields={**FIELDS, "note": {"type": "string"}})
    shop.does("backfill", "shop", "plain", "--from", "2024-03-01", "--to", "2024-04-01")
    shop.kit.configure("shop", "plain", **keys, fields=FIELDS)
    shop.lands("plain", row(2, 9, 1))
    out = shop.does("schema", "shop", "plain")
    assert "note" not in out, out


def test_a_rebuild_after_a_stream_was_incremental_meanwhile(shop) -> None:
    full = {**OVERWRITE}
    shop.kit.configure("shop", "plain", **full)
    shop.lands("plain", row(1, 1, 1), row(2, 2, 2))
    shop.kit.configure("shop", "plain", cursor_field=["at"], primary_key=[["id"]], fields=FIELDS)
    shop.lands("plain", row(1, 5, 5), row(3, 5, 5))
    shop.kit.configure("shop", "plain", **full)
    shop.does("rebuild", "shop", "plain", "--yes")
    assert shop.table("plain") == [(1, 1), (2, 2)]


def test_of_one_key_in_a_refresh_the_last_is_kept(shop) -> None:
    shop.kit.configure("shop", "stock", **OVERWRITE, cursor_field=["at"])
    shop.lands("stock", row(1, 5, 5), row(1, 1, 1))
    assert shop.table("stock") == [(1, 1)]


def test_files_compacted_while_fields_are_read(shop, folder_zone, monkeypatch) -> None:
    keys = dict(cursor_field=["at"], primary_key=[["id"]])
    shop.kit.configure("shop", "plain", **keys, fields=FIELDS)
    shop.lands("plain", row(1, 1, 1))
    shop.lands("plain", row(2, 2, 1))
    shop.kit.configure("shop", "plain", **keys, fields={**FIELDS, "note": {"type": "string"}})
    shop.has(row(1, 1, 1, note="x"), row(2, 2, 1, note="y"))
    from datetime import UTC, datetime, timedelta

    from landing.backfill import fields as module
    from landing.compaction import Terms, compact
    from landing.layout import StreamPaths

    original = module._read

    def read(of, *more):
        done = original(of, *more)
        result = compact(
            of.bucket,
            StreamPaths("shop", "plain"),
            Terms(datetime.now(UTC) + timedelta(days=3), 10**9),
            5,
        )
        assert result.files_before == 2, result
        return done

    monkeypatch.setattr(module, "_read", read)
    shop.does("backfill", "shop", "plain", "--fields", "note")


def test_compact_that_shall_not_wait(shop, folder_zone, monkeypatch) -> None:
    import os
    import time
    from datetime import UTC, datetime, timedelta

    from landing import lease as module
    from landing.compaction import Terms, compact
    from landing.layout import StreamPaths
    from landing.workspace import BucketSettings

    monkeypatch.setattr(module, "PATIENCE", timedelta(seconds=6))
    shop.kit.configure("shop", "plain", cursor_field=["at"], primary_key=[["id"]], fields=FIELDS)
    shop.lands("plain", row(1, 1, 1))
    shop.lands("plain", row(2, 2, 1))
    bucket = Bucket(BucketSettings(os.environ["DLT_BUCKET_URL"], None, False))
    paths = StreamPaths("shop", "plain")
    with module.Lease(bucket, paths.lease, "a/b", "publication"):
        begun = time.monotonic()
        result = compact(bucket, paths, Terms(datetime.now(UTC) + timedelta(days=3), 10**9), 0)
        took = time.monotonic() - begun
    assert result.failure is not None
    assert took < 3, took


def test_a_run_beside_a_compaction_gets_the_lease(shop, folder_zone, monkeypatch) -> None:
    import os
    import threading
    import time
    from datetime import UTC, datetime, timedelta

    from landing import lease as module
    from landing.compaction import Terms, compact
    from landing.layout import StreamPaths
    from landing.workspace import BucketSettings

    shop.kit.configure("shop", "plain", cursor_field=["at"], primary_key=[["id"]], fields=FIELDS)
    shop.lands("plain", *(row(n, 1, n) for n in range(5)))
    (path,) = folder_zone.parts("shop", "plain")
    data = folder_zone.read(path)
    import obstore

    for n in range(60):
        obstore.put(
            folder_zone.store,
            f"shop/plain/year=2020/month=01/day={1 + n // 4:02}/15{n:08}.000000.00000.parquet",
            data,
        )
    bucket = Bucket(BucketSettings(os.environ["DLT_BUCKET_URL"], None, False))
    paths = StreamPaths("shop", "plain")
    done = {}
    begun = time.monotonic()

    def run():
        time.sleep(0.05)
        with module.Lease(bucket, paths.lease, "a/b"):
            done["run"] = time.monotonic() - begun

    thread = threading.Thread(target=run)
    thread.start()
    compact(bucket, paths, Terms(datetime.now(UTC) - timedelta(days=3), 10**9), 20)
    done["compaction"] = time.monotonic() - begun
    thread.join()
    print(done)
    assert done["run"] < done["compaction"]


def test_two_backfills_of_other_fields_at_once(shop, folder_zone, monkeypatch) -> None:
    keys = dict(cursor_field=["at"], primary_key=[["id"]], destination_sync_mode="merge")
    shop.kit.configure("shop", "plain", **keys, fields=FIELDS)
    shop.lands("plain", row(1, 1, 1))
    shop.kit.configure(
        "shop", "plain", **keys, fields={**FIELDS, "a": {"type": "string"}, "b": {"type": "string"}}
    )
    shop.has(row(1, 1, 1, a="A", b="B"))
    from landing.backfill import fields as module

    original = module._read

    def read(of, backfill, *more):
        if backfill.request.fields == ("b",):
            monkeypatch.setattr(module, "_read", original)
            done = original(of, backfill, *more)
            shop.does("backfill", "shop", "plain", "--fields", "a")
            return done
        return original(of, backfill, *more)

    monkeypatch.setattr(module, "_read", read)
    out = shop.kit.landing("backfill", "shop", "plain", "--fields", "b")
    print(out.text)
    rows = folder_zone.query(
        "shop", "plain", "SELECT a, b, _dlt_load_id FROM landed", union_by_name=True
    )
    table = DeltaTable(str(shop._tables / "shop" / "plain")).to_pyarrow_table().to_pylist()
    assert out.code != 0 or [(r["a"], r["b"]) for r in table] == [("A", "B")], (rows, table)


def test_a_key_that_is_hashed_from_now_on(shop, monkeypatch) -> None:
    keys = dict(cursor_field=["at"], primary_key=[["id"]], destination_sync_mode="merge")
    shop.kit.configure("shop", "plain", **keys, fields={**FIELDS, "id": {"type": "string"}})
    shop.lands("plain", row("anna@x.org", 1, 1))
    monkeypatch.setenv("LANDING_PRIVACY_KEY", "k" * 40)
    shop.kit.configure(
        "shop", "plain", **keys, fields={**FIELDS, "id": {"type": "string", "privacy": "hash"}}
    )
    shop.has(row("anna@x.org", 2, 2))
    out = shop.kit.run("shop", "plain")
    rows = DeltaTable(str(shop._tables / "shop" / "plain")).to_pyarrow_table().to_pylist()
    assert out.code == 2 or len(rows) == 1, rows


def test_a_run_beside_a_long_compaction_gets_the_lease(shop, folder_zone, monkeypatch) -> None:
    import os
    import threading
    import time
    from datetime import UTC, datetime, timedelta

    from landing import lease as module
    from landing.compaction import Terms, compact
    from landing.layout import StreamPaths
    from landing.workspace import BucketSettings

    shop.kit.configure("shop", "plain", cursor_field=["at"], primary_key=[["id"]], fields=FIELDS)
    shop.lands("plain", *(row(n, 1, n) for n in range(5)))
    (path,) = folder_zone.parts("shop", "plain")
    data = folder_zone.read(path)
    import obstore

    for n in range(600):
        obstore.put(
            folder_zone.store,
            f"shop/plain/year=20{10 + n // 100}/month=01/day={1 + n % 100 // 4:02}/15{n:08}.000000.00000.parquet",
            data,
        )
    bucket = Bucket(BucketSettings(os.environ["DLT_BUCKET_URL"], None, False))
    paths = StreamPaths("shop", "plain")
    done = {}
    begun = time.monotonic()

    def run():
        time.sleep(0.05)
        with module.Lease(bucket, paths.lease, "a/b"):
            done["run"] = time.monotonic() - begun

    thread = threading.Thread(target=run)
    thread.start()
    compact(bucket, paths, Terms(datetime.now(UTC) - timedelta(days=3), 10**9), 20)
    done["compaction"] = time.monotonic() - begun
    thread.join()
    print(done)
    assert done["run"] < done["compaction"] / 2, done


def test_a_version_in_quarantine_and_the_same_record_filled_in(shop, folder_zone) -> None:
    keys = dict(cursor_field=["at"], primary_key=[["id"]])
    shop.kit.configure("shop", "plain", **keys, fields=FIELDS)
    shop.lands("plain", row(1, 1, 1), row(1, 2, "many"))
    shop.kit.configure("shop", "plain", **keys, fields={**FIELDS, "note": {"type": "string"}})
    shop.has(row(1, 2, "many", note="x"))
    shop.does("backfill", "shop", "plain", "--fields", "note")
    shop.kit.configure(
        "shop",
        "plain",
        **keys,
        fields={**FIELDS, "n": {"type": "string"}, "note": {"type": "string"}},
    )
    shop.does("quarantine", "land", "shop", "plain")
    rows = folder_zone.query(
        "shop",
        "plain",
        'SELECT "at"::text, n::text, note, _dlt_load_id FROM landed ORDER BY 4',
        union_by_name=True,
    )
    assert rows[-1][3] != rows[-2][3], rows


def test_compaction_beside_what_a_dead_one_left(shop, folder_zone, monkeypatch) -> None:
    import os
    from datetime import UTC, datetime, timedelta

    from landing.compaction import Terms, compact
    from landing.layout import StreamPaths
    from landing.workspace import BucketSettings

    bucket = Bucket(BucketSettings(os.environ["DLT_BUCKET_URL"], None, False))
    paths = StreamPaths("shop", "plain")
    terms = Terms(datetime.now(UTC) + timedelta(days=3), 10**9)
    keys = dict(cursor_field=["at"], primary_key=[["id"]])
    shop.kit.configure("shop", "plain", **keys, fields=FIELDS)
    shop.lands("plain", row(1, 1, 1))
    shop.lands("plain", row(2, 2, 2))
    patch = pytest.MonkeyPatch()

    def dies(self, paths):
        raise RuntimeError("killed")

    patch.setattr(Bucket, "delete_all", dies)
    with pytest.raises(RuntimeError):
        compact(bucket, paths, terms, 5)
    patch.undo()
    # As the message of a damaged one says.
    bucket.delete(paths.pending_compaction)
    shop.kit.configure("shop", "plain", **keys, fields={**FIELDS, "n": {"type": "string"}})
    shop.lands("plain", row(3, 3, "3"))
    shop.lands("plain", row(4, 4, "4"))
    ids = "SELECT DISTINCT id FROM landed ORDER BY 1"
    assert folder_zone.query("shop", "plain", ids, union_by_name=True) == [(1,), (2,), (3,), (4,)]
    print(folder_zone.parts("shop", "plain"))
    print(compact(bucket, paths, terms, 5))
    print(folder_zone.parts("shop", "plain"))
    assert folder_zone.query("shop", "plain", ids, union_by_name=True) == [(1,), (2,), (3,), (4,)]


def test_a_resync_of_another_cursor(shop, folder_zone, monkeypatch) -> None:
    keys = dict(primary_key=[["id"]])
    shop.kit.configure(
        "shop", "stock", **keys, cursor_field=["at"], sync_mode="incremental", fields=FIELDS
    )
    shop.lands("stock", row(1, 1, 1))


def test_a_rebuild_that_dies_of_a_table_of_a_newer_protocol(shop) -> None:
    shop.kit.configure("shop", "stock", **OVERWRITE)
    shop.lands("stock", row(1, 1, 1))
    log = shop._tables / "shop" / "stock" / "_delta_log"
    import landing.tables.snapshot as module

    first = sorted(log.glob("*.json"))[0]
    first.write_text(first.read_text().replace('"minReaderVersion":1', '"minReaderVersion":9'))
    patch = pytest.MonkeyPatch()

    def dies(self):
        raise RuntimeError("killed")

    patch.setattr(module.Snapshot, "_current", dies)
    out = shop.kit.landing("rebuild", "shop", "stock", "--yes")
    patch.undo()
    print(out.text)
    assert list(log.glob("*.json"))
