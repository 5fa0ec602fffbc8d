"""What was done to a landing zone behind the engine's back is found; what is normal is not."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import time_machine

from landing.catalog.settings import bucket_settings
from landing.catalog.workspace import Workspace
from landing.errors import BucketUnusable
from landing.operations.verify import CHECKS
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths
from landing.zone.lease import Lease
from landing.zone.lineage import with_lineage
from tests.kit import Kit, Zone
from tests.servers.api import Api
from tests.test_status import FIELDS, ORDER, STREAMS, configure

PATHS = StreamPaths("shop", "orders")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where what `landed` landed is kept, for the tests after the first."""
    return tmp_path_factory.mktemp("kept") / "zone"


@pytest.fixture
def landed(kit: Kit, api: Api, folder_zone: Zone, use: Callable[[Api], None], kept: Path) -> Kit:
    """A stream with two loads of one file each."""
    prepare(kit, api, use)
    folder = kit.repository.parent / "zone"
    if kept.exists():
        api.add("orders", {**ORDER, "id": 9_001})
        shutil.copytree(kept, folder, dirs_exist_ok=True)
    else:
        land_twice(kit, api)
        shutil.copytree(folder, kept)
    return kit


def prepare(kit: Kit, api: Api, use: Callable[[Api], None]) -> None:
    use(api)
    api.set_rows("orders", api.rows()[:20])
    kit.add_source("shop", STREAMS)
    configure(kit, primary_key=[["id"]])


def land_twice(kit: Kit, api: Api) -> None:
    assert kit.run("shop", "orders").code == 0
    land_one_more(kit, api, 9_001, ORDER["updated_at"])


def land_one_more(kit: Kit, api: Api, key: int, updated_at: str) -> None:
    api.add("orders", {**ORDER, "id": key, "updated_at": updated_at})
    assert kit.run("shop", "orders").code == 0


def verified(kit: Kit, *words: str) -> dict[str, dict[str, Any]]:
    """The results by check; the exit code is 1 exactly if one has failed."""
    done = kit.landing("verify", "shop", "orders", "--json", *words)
    found = {one["check"]: one for one in json.loads(done.out)}
    assert list(found) == list(CHECKS)
    assert done.code == int(any(one["status"] == "failed" for one in found.values()))
    return found


def failed(kit: Kit) -> dict[str, str]:
    """The first finding of each check that failed; each says what to do."""
    found = {}
    for check, one in verified(kit).items():
        if one["status"] == "failed":
            assert all(finding["remedy"] for finding in one["findings"])
            found[check] = str(one["findings"][0]["what"])
    return found


def put(zone: Zone, path: str, table: pa.Table) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    obstore.put(zone.store, path, sink.getvalue().to_pybytes())


def read(zone: Zone, path: str) -> pa.Table:
    return pq.ParquetFile(pa.BufferReader(zone.read(path))).read()


def test_what_runs_landed_on_s3_is_verified(
    kit: Kit, api: Api, zone: Zone, use: Callable[[Api], None]
) -> None:
    prepare(kit, api, use)
    land_twice(kit, api)
    found = verified(kit)
    assert {one["status"] for one in found.values()} == {"passed"}
    assert found["files"]["message"] == "2 files of 2 loads"
    assert found["rows"]["message"].startswith("21 rows by the footers of 2 files")
    assert found["newest"]["message"].startswith("21 values of id")
    told = kit.landing("verify", "shop")
    assert told.code == 0
    assert "7 checks passed or skipped, 0 failed" in told.out
    assert verified(kit, "--quick")["newest"]["status"] == "skipped"
    assert "shop/orders\n" in kit.landing("verify", "--all", "--quick").out


def test_a_file_that_is_gone_is_found(landed: Kit, folder_zone: Zone) -> None:
    first = folder_zone.parts("shop", "orders")[0]
    folder_zone.delete(first)
    assert failed(landed) == {"files": f"{first} is gone, with 20 rows"}
    told = landed.landing("verify", "shop", "orders")
    assert f"    ! {first} is gone" in told.out
    assert "→ put it back from a version or copy" in told.out


def test_a_file_that_was_changed_is_found(landed: Kit, folder_zone: Zone) -> None:
    first = folder_zone.parts("shop", "orders")[0]
    table = read(folder_zone, first)
    put(folder_zone, first, table.slice(0, 5).rename_columns(["key", *table.column_names[1:]]))
    found = failed(landed)
    assert " bytes, not the " in found["files"]
    assert "has 5 rows, and its record 20" in found["rows"]
    assert "id (int64 → not there), key (not there → int64)" in found["columns"]
    obstore.put(folder_zone.store, first, b"no parquet")
    assert "is no parquet file" in failed(landed)["rows"]


def test_a_file_that_nobody_knows_is_found(landed: Kit, folder_zone: Zone) -> None:
    own = folder_zone.parts("shop", "orders")[0]
    other = own.replace(".00000.parquet", ".00001.parquet")
    put(folder_zone, other, read(folder_zone, own))
    assert "is not in the record of its load" in failed(landed)["files"]


def test_what_another_tool_landed_before_is_counted_and_no_failure(
    landed: Kit, folder_zone: Zone
) -> None:
    """As plain dlt leaves it, in the dataset's folder and in the stream's."""
    own = folder_zone.parts("shop", "orders")[0]
    older = "shop/orders/year=2020/month=01/day=01/1577836800.1.0a1b2c3d4e.parquet"
    put(folder_zone, older, read(folder_zone, own))
    for path in ("shop/init", "shop/_dlt_loads/shop__1577836800.1.jsonl", "shop/orders/notes.txt"):
        obstore.put(folder_zone.store, path, b"{}")
    assert failed(landed) == {}
    assert (
        "2 files of other tools, such as shop/orders/notes.txt"
        in landed.landing("verify", "shop", "orders").out
    )


@pytest.mark.parametrize("name", ["part_0.parquet", "999999999999.parquet"])
def test_a_file_of_another_tool_that_sorts_after_ours_is_found(
    landed: Kit, folder_zone: Zone, name: str
) -> None:
    own = folder_zone.parts("shop", "orders")[-1]
    foreign = f"{own.rpartition('/')[0]}/{name}"
    put(folder_zone, foreign, read(folder_zone, own))
    assert f"{foreign} is another tool's file and sorts after" in failed(landed)["files"]


def test_a_load_that_was_cut_off_counts_until_the_next_run(
    landed: Kit, api: Api, folder_zone: Zone
) -> None:
    moment = datetime.now(UTC)
    table = read(folder_zone, folder_zone.parts("shop", "orders")[0]).drop_columns(
        ["_dlt_load_id", "_dlt_id"]
    )
    load_id = f"{moment.timestamp():017.6f}"
    put(folder_zone, PATHS.part(load_id, 0), with_lineage(table, load_id))
    with Lease(Bucket(bucket_settings(Workspace(landed.root))), PATHS.lease, "shop/orders"):
        assert failed(landed) == {}, "somebody is publishing it"
    assert "belongs to an interrupted load, and nothing has landed since" in failed(landed)["files"]
    land_one_more(landed, api, 9_002, "2024-06-02 00:00:00")
    found = verified(landed)["files"]
    assert found["status"] == "passed"
    assert found["notes"][0].startswith("1 further file of loads that died, such as shop/orders/")


def test_compacted_files_stand_for_those_they_were_made_of(
    kit: Kit, api: Api, folder_zone: Zone, use: Callable[[Api], None]
) -> None:
    # Of one load, whose files compaction may replace once its day is over.
    prepare(kit, api, use)
    with time_machine.travel(datetime.now(UTC) - timedelta(days=9)):
        land_twice(kit, api)
    before = {path: folder_zone.read(path) for path in folder_zone.parts("shop", "orders")}
    assert kit.landing("compact", "shop", "orders").code == 0
    found = verified(kit)
    assert {one["status"] for one in found.values()} == {"passed"}
    assert found["files"]["message"] == "1 file of 2 loads, 1 of them compacted"
    assert "21 rows" in found["rows"]["message"]

    first = min(before)
    obstore.put(folder_zone.store, first, before[first])
    assert "exists beside the file that it was or will be compacted into" in failed(kit)["files"]
    folder_zone.delete(first)
    compacted = folder_zone.parts("shop", "orders")[0]
    folder_zone.delete(compacted)
    assert failed(kit)["files"] == f"{compacted} is gone, with 21 rows"


def test_names_against_the_order_of_publication_are_found(landed: Kit, folder_zone: Zone) -> None:
    first, second = folder_zone.parts("shop", "orders")
    folder = Path(landed.repository.parent / "zone")
    was = (folder / first).stat().st_mtime
    os.utime(folder / second, (was - 60, was - 60))
    assert f"{second} sorts after {first}, but was published before it" in failed(landed)["order"]
    # A copy of a bucket has the times of copying, which say nothing.
    os.utime(folder / second, (was + 90_000, was + 90_000))
    found = verified(landed)["order"]
    assert found["status"] == "passed"
    assert found["notes"] == ["1 file compacted, copied here or interrupted: no order is known"]


def test_a_gap_between_cursors_is_found_unless_a_person_made_it(
    landed: Kit, api: Api, folder_zone: Zone
) -> None:
    words = ["state", "set", "shop", "orders", "--yes", "--cursor"]
    assert landed.landing(*words, "2024-07-01 00:00:00").code == 0
    land_one_more(landed, api, 9_002, "2024-07-02 00:00:00")
    found = verified(landed)["cursor"]
    assert found["status"] == "passed"
    assert (
        "went from 2024-06-01 00:00:00 to 2024-07-01 00:00:00: `landing state` moved it"
        in (found["notes"][0])
    )
    for path in folder_zone.paths("_dlt/shop/orders/states"):
        folder_zone.delete(path)
    assert "no run has read that" in failed(landed)["cursor"]
    told = landed.landing("verify", "shop", "orders").out
    assert "`landing backfill shop orders --from '2024-06-01 00:00:00' --to '2024-07-01" in told


def test_a_run_with_nothing_new_that_moves_the_cursor_leaves_no_gap(
    landed: Kit, api: Api, folder_zone: Zone
) -> None:
    began = datetime(2026, 11, 1, 12)
    for key, minutes in ((9_002, 0), (None, 4), (None, 5), (9_003, 9)):
        now = began + timedelta(minutes=minutes)
        with time_machine.travel(now.replace(tzinfo=UTC)):
            if key is None:
                assert "nothing new" in landed.run("shop", "orders").out
            else:
                land_one_more(landed, api, key, str(now - timedelta(seconds=5)))
    found = verified(landed)["cursor"]
    assert (found["status"], found["notes"]) == ("passed", [])

    path = folder_zone.paths(PATHS.load_records)[-1]
    record = json.loads(folder_zone.read(path))
    assert record["cursor_of_last_load"] < record["cursor_before"]
    record["cursor_of_last_load"] = None
    obstore.put(folder_zone.store, path, json.dumps(record).encode())
    assert "no run has read that" in failed(landed)["cursor"]
    told = landed.landing("verify", "shop", "orders").out
    (remedy,) = re.findall("`landing (backfill [^`]+)`", told)
    wider = re.sub("--from '[^']+'", "--by month --from 2024-01-01", remedy)
    assert landed.landing(*shlex.split(wider)).code == 0
    assert "`landing backfill` has read that" in verified(landed)["cursor"]["notes"][0]


def test_a_state_that_is_gone_or_behind_is_found(landed: Kit, folder_zone: Zone) -> None:
    document = folder_zone.read(PATHS.state)
    folder_zone.delete(PATHS.state)
    assert "state.json is gone: the next run reads from the start" in failed(landed)["state"]
    obstore.put(folder_zone.store, PATHS.state, document)
    assert failed(landed) == {}
    record = json.loads(folder_zone.read(folder_zone.paths(PATHS.load_records)[-1]))
    later = f"{float(record['load_id']) + 60:.6f}"
    record = {**record, "load_id": later, "rows": 0, "files": []}
    obstore.put(folder_zone.store, PATHS.load_record(later), json.dumps(record).encode())
    assert f"before the last recorded one, {later}" in failed(landed)["state"]


def test_a_key_that_does_not_tell_records_apart_is_found(landed: Kit, api: Api) -> None:
    for total in (1, 2):
        row = {**ORDER, "id": 9_002, "total": total, "updated_at": "2024-08-01 00:00:00"}
        api.add("orders", row)
    assert landed.run("shop", "orders").code == 0
    assert failed(landed) == {}, "the engine gave the second version a later load id"
    api.add("orders", *({**ORDER, "id": key, "name": "same"} for key in (9_003, 9_004)))
    api.update("orders", 9_003)
    api.update("orders", 9_004, updated_at="2024-08-02 00:00:00")
    assert landed.run("shop", "orders").code == 0
    configure(landed, primary_key=[["name"]])
    told = failed(landed)["newest"]
    assert "with the same _dlt_load_id, such as " in told
    assert "same" in told


def test_keys_that_can_not_be_compared_hide_no_other_check(
    landed: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = folder_zone.parts("shop", "orders")[0]
    table = read(folder_zone, first).slice(0, 5)
    ids = pa.array([b"\xff"] * 5)  # no text
    put(folder_zone, first, table.set_column(table.column_names.index("id"), "id", ids))
    found = failed(landed)
    assert "has 5 rows, and its record 20" in found["rows"]
    assert "id (int64 → binary)" in found["columns"]
    assert "Invalid UTF8" in found["newest"]
    done = landed.landing("verify", "shop", "orders")
    assert done.code == 1
    assert "the keys could not be compared" in done.out
    assert "Traceback" not in done.text

    def refused(*arguments: object) -> None:
        raise BucketUnusable("the bucket refuses to read")

    monkeypatch.setattr(Bucket, "file", refused)
    assert "the bucket refuses to read" in landed.landing("verify", "shop", "orders").err


def test_streams_whose_config_changed_have_each_file_with_its_version(
    landed: Kit, api: Api
) -> None:
    for key, fields in ((9_002, {**FIELDS, "note": {"type": "string"}}), (9_003, FIELDS)):
        configure(landed, primary_key=[["id"]], fields=fields)
        land_one_more(landed, api, key, f"2024-06-0{key - 9_000} 00:00:00")
    found = verified(landed)
    assert {one["status"] for one in found.values()} == {"passed"}
    assert found["columns"]["message"] == "4 files with those of the schema history, 3 versions"


def test_backfills_quarantine_and_full_refreshes_are_verified_like_runs(
    landed: Kit, api: Api
) -> None:
    api.add("orders", {**ORDER, "id": "A-17", "updated_at": "2024-06-05 00:00:00"})
    assert landed.run("shop", "orders").code == 0
    words = ["--from", "2024-01-01", "--to", "2024-01-03", "--by", "day"]
    assert landed.landing("backfill", "shop", "orders", *words).code == 0
    text = {**FIELDS, "id": {"type": "string"}}
    configure(landed, primary_key=[["id"]], fields=text)
    assert landed.landing("quarantine", "land", "shop", "orders").code == 0
    configure(landed, primary_key=[["id"]], fields=text, sync_mode="full_refresh")
    assert landed.run("shop", "orders").code == 0
    kinds = [one["kind"] for one in json.loads(history(landed))]
    assert {"run", "backfill", "quarantine"} == set(kinds)
    assert failed(landed) == {}


def history(kit: Kit) -> str:
    return kit.landing("history", "shop", "orders", "--json").out


def test_a_damaged_record_ends_with_its_name_and_the_other_streams_are_verified(
    landed: Kit, folder_zone: Zone
) -> None:
    for path in folder_zone.paths("_dlt/shop/orders/loads"):
        obstore.put(folder_zone.store, path.replace("orders", "copies"), b"{")
    done = landed.landing("verify", "shop")
    assert done.code == 1
    assert ".json is damaged (" in done.err
    assert "shop/orders\n" in done.out
    assert "7 checks passed or skipped, 0 failed" in done.out


def test_verify_needs_a_source_or_all(kit: Kit, folder_zone: Zone) -> None:
    assert "name a SOURCE, or use --all" in kit.landing("verify").err
    assert kit.landing("verify", "shp").code == 2
    assert "nothing has landed yet" in kit.landing("verify", "--all").out
