"""A run that stops in mid-publication can't publish below what has landed meanwhile."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from msgspec.structs import replace

from demo.servers import S3Server
from landing.catalog.settings import bucket_settings, part_bytes
from landing.catalog.workspace import Workspace
from landing.errors import LeaseHeld, SettingsError
from landing.operations.backfill import Records
from landing.operations.backfill.record import Backfill
from landing.operations.backfill.windows import Request as Asked
from landing.zone import lease as lease_module
from landing.zone.bucket import Bucket
from landing.zone.holder import lease_holder
from landing.zone.layout import StreamPaths, compacted_path, load_id_after, load_id_of
from landing.zone.lease import Lease
from landing.zone.lineage import with_lineage
from landing.zone.parts import Part
from landing.zone.publication import Load
from landing.zone.sealing import seals
from landing.zone.state import StateFile
from tests.feeders import Feeder
from tests.kit import Kit, Zone
from tests.servers.api import Api
from tests.servers.proxy import answer_lost, reset_in_mid_upload, serve_proxy
from tests.test_compaction import FIRST_DAY
from tests.test_compaction import compact as compacted
from tests.test_compaction import put as put_landed
from tests.test_status import FIELDS, ORDER, STREAMS, configure
from torture.stops import CAUSES, PLACES, stops

PATHS = StreamPaths("shop", "orders")
COLUMNS = pa.schema(
    [
        pa.field("id", pa.int64()),
        pa.field("tags", pa.list_(pa.string())),
        pa.field("_dlt_load_id", pa.string(), nullable=False),
        pa.field("_dlt_id", pa.string(), nullable=False),
    ]
)


@pytest.fixture(params=["s3", "folder"])
def landed(request: pytest.FixtureRequest, kit: Kit) -> Zone:
    zone: Zone = request.getfixturevalue("zone" if request.param == "s3" else "folder_zone")
    return zone


@pytest.fixture
def bucket(kit: Kit, landed: Zone) -> Bucket:
    return Bucket(bucket_settings(Workspace(kit.root)))


def lease_of(bucket: Bucket) -> Lease:
    return Lease(bucket, PATHS.lease, "shop/orders")


def load_of(bucket: Bucket, lease: Lease, folder: Path, parts: int = 3) -> Load:
    load = Load(bucket, PATHS, lease)
    load_id = load.begin()
    for number in range(parts):
        table = pa.table({"id": [number], "tags": [["a"]]})
        file = folder / f"{load_id}.{number}"
        pq.write_table(with_lineage(table, load_id).cast(COLUMNS), file)
        load.parts.append(Part(file, 1, file.stat().st_size))
    return load


@contextmanager
def expired(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leases have no time to live meanwhile."""
    with patch.context() as within:
        within.setattr(lease_module, "EXPIRES_AFTER", timedelta(0))
        yield


def table_at(zone: Zone, path: str) -> pa.Table:
    return pq.read_table(pa.BufferReader(zone.read(path)))


@pytest.mark.timeout(400)
def test_a_run_that_lost_its_lease_publishes_nothing_more_and_says_so(s3: S3Server) -> None:
    section = stops(s3, len(CAUSES) * len(PLACES), lanes=2, waits=False)
    assert section.problems == []
    assert all(tally.is_good for tally in section.tallies)


@pytest.mark.parametrize("there", [0, 1, 2])
def test_a_load_is_sealed_after_the_parts_that_are_there(
    bucket: Bucket, landed: Zone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: int
) -> None:
    with lease_of(bucket) as stopped:
        load = load_of(bucket, stopped, tmp_path)
        assert load.load_id is not None
        stopped.publishing(load.load_id, COLUMNS)
        for number in range(there):
            load._put_part(PATHS.part(load.load_id, number), load.parts[number])
        with expired(monkeypatch), lease_of(bucket) as taken:
            taken.check()
            seal = PATHS.part(load.load_id, there)
            assert landed.parts("shop", "orders")[-1] == seal
            assert table_at(landed, seal).num_rows == 0
            assert table_at(landed, seal).schema.equals(COLUMNS)
            assert [one.path for one in seals(bucket, PATHS)] == [seal]
            later = Load(bucket, PATHS, taken).begin()
            assert PATHS.part(later, 0) > seal
            with pytest.raises(LeaseHeld, match="lost its lease, which another process took"):
                load._put_part(seal, load.parts[there])
    assert landed.parts("shop", "orders")[-1] == seal


def test_a_part_that_arrives_just_before_the_seal_moves_it_on(
    bucket: Bucket, landed: Zone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lease_of(bucket) as stopped:
        load = load_of(bucket, stopped, tmp_path)
        assert load.load_id is not None
        stopped.publishing(load.load_id, COLUMNS)
        create, names = bucket.create, [PATHS.part(load.load_id, number) for number in range(3)]

        def raced(path: str, content: bytes, attempts: int = 1) -> Any:
            if path == names[0]:
                assert bucket.put_new(path, load.parts[0].file, stopped.check)
            return create(path, content, attempts)

        with expired(monkeypatch), monkeypatch.context() as within:
            within.setattr(bucket, "create", raced)
            with lease_of(bucket):
                pass
    assert landed.parts("shop", "orders") == names[:2]
    assert [table_at(landed, path).num_rows for path in names[:2]] == [1, 0]


def test_a_load_that_is_complete_is_not_sealed(
    bucket: Bucket, landed: Zone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lease_of(bucket) as slow:
        load_of(bucket, slow, tmp_path).publish()
        with expired(monkeypatch), lease_of(bucket):
            pass
    assert len(landed.parts("shop", "orders")) == 3
    assert seals(bucket, PATHS) == []


def test_a_process_that_dies_before_it_has_sealed_leaves_it_to_the_next(
    bucket: Bucket, landed: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lease_of(bucket) as stopped:
        stopped.publishing("1795923623.011052", COLUMNS)
        with expired(monkeypatch):
            dies = lease_of(bucket)
            dies._take()
            assert landed.parts("shop", "orders") == []
            with lease_of(bucket):
                pass
    assert landed.parts("shop", "orders") == [PATHS.part("1795923623.011052", 0)]


def test_a_run_that_fails_in_mid_publication_leaves_its_lease_free_and_its_load_to_seal(
    bucket: Bucket, landed: Zone, tmp_path: Path
) -> None:
    with suppress(OSError), lease_of(bucket) as failing:
        load = load_of(bucket, failing, tmp_path)
        assert load.load_id is not None
        failing.publishing(load.load_id, COLUMNS)
        raise OSError("as a bucket that does not answer")
    assert lease_holder(bucket, PATHS.lease) is None
    with lease_of(bucket):  # at once: it does not have to expire
        assert landed.parts("shop", "orders") == [PATHS.part(load.load_id, 0)]
    assert landed.is_released("shop", "orders")
    with lease_of(bucket):
        assert len(landed.parts("shop", "orders")) == 1


def test_the_state_is_written_only_over_the_one_that_was_read(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):  # without a state, and with one
        with lease_of(bucket) as stopped:
            outrun = StateFile(bucket, PATHS, stopped)
            outrun.state["sources"] = {"of": "the first"}
            with expired(monkeypatch), lease_of(bucket) as taken:
                other = StateFile(bucket, PATHS, taken)
                other.state["sources"] = {"of": f"the second {other.state['_state_version']}"}
                other.write()
            monkeypatch.setattr(stopped, "confirm", lambda: None)  # it stopped right after that
            with pytest.raises(LeaseHeld, match="another process has written the stream's state"):
                outrun.write()


def test_a_backfills_record_is_written_only_over_the_one_that_was_read(bucket: Bucket) -> None:
    backfill = Backfill(
        id="1795923623.011052-a",
        request=Asked(),
        start=None,
        end=None,
        first_row_version="1795923623.001052",
        started=datetime.now(UTC),
    )
    with lease_of(bucket) as lease:
        Records(bucket, PATHS).put(backfill, lease)
        stopped, other = Records(bucket, PATHS), Records(bucket, PATHS)
        read = stopped.get(backfill.id)
        other.put(replace(other.get(backfill.id), rows=7), lease)
        with pytest.raises(LeaseHeld, match="another process has written the backfill's record"):
            stopped.put(read, lease)
        assert Records(bucket, PATHS).get(backfill.id).rows == 7


def test_an_upload_that_was_cut_is_repeated_and_one_without_a_response_is_recognized(
    kit: Kit, zone: Zone, s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "part"
    file.write_bytes(b"x" * 3_000_000)
    with serve_proxy(s3.endpoint) as proxy:
        monkeypatch.setenv("S3_ENDPOINT", proxy.endpoint)
        bucket = Bucket(bucket_settings(Workspace(kit.root)))
        for number, fault in enumerate([reset_in_mid_upload, answer_lost]):
            spoiled = proxy.spoil(fault, when=lambda request: request.method == "PUT")
            assert bucket.put_new(f"a/{number}", file, lambda: None)
            assert spoiled.hits == 1
            assert zone.read(f"a/{number}") == file.read_bytes()
        file.write_bytes(b"y" * 3_000_000)
        assert not bucket.put_new("a/0", file, lambda: None)
        assert zone.read("a/0")[:1] == b"x"


def test_a_file_that_one_request_can_not_hold_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LANDING_FILE_MB", "4097")
    with pytest.raises(SettingsError, match=r"LANDING_FILE_MB is 4097: at most 4,096"):
        part_bytes()


def sealed_day(hours: list[int], kit: Kit, patch: pytest.MonkeyPatch) -> list[str]:
    """A load of each of these hours of a past day that was sealed before its first part."""
    bucket = Bucket(bucket_settings(Workspace(kit.root)))
    columns = COLUMNS.remove(1)
    found = []
    for hour in hours:
        load_id = f"{(FIRST_DAY + timedelta(hours=hour)).timestamp():017.6f}"
        with lease_of(bucket) as stopped:
            stopped.publishing(load_id, columns)
            with expired(patch), lease_of(bucket):
                pass
        found.append(PATHS.part(load_id, 0))
    return found


def test_compaction_leaves_sealed_loads_as_they_are(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = sealed_day([1, 4], kit, monkeypatch)
    assert "nothing" in compacted(kit)
    for hour in (2, 3):
        last = put_landed(folder_zone, FIRST_DAY + timedelta(hours=hour), pa.table({"id": [hour]}))
    compacted(kit)
    assert folder_zone.parts("shop", "orders") == [empty[0], compacted_path(last), empty[1]]
    assert folder_zone.count("shop", "orders") == 2


def shop(kit: Kit, api: Api, use: Callable[[Api], None], **keys: Any) -> None:
    use(api)
    api.set_rows("orders", api.rows()[:20])
    kit.add_source("shop", STREAMS)
    configure(kit, primary_key=[["id"]], **keys)


@pytest.fixture
def sealed(
    kit: Kit, api: Api, folder_zone: Zone, use: Callable[[Api], None], monkeypatch: Any
) -> str:
    """A stream whose second load was sealed and whose third has one row; the seal's path."""
    shop(kit, api, use)
    assert kit.run("shop", "orders").code == 0
    bucket = Bucket(bucket_settings(Workspace(kit.root)))
    columns = pq.read_schema(
        pa.BufferReader(folder_zone.read(folder_zone.parts("shop", "orders")[0]))
    )
    with lease_of(bucket) as stopped:
        load_id = Load(bucket, PATHS, stopped).begin()
        stopped.publishing(load_id, columns)
        with expired(monkeypatch):
            api.add("orders", {**ORDER, "id": 9_001})
            assert kit.run("shop", "orders").code == 0
    return PATHS.part(load_id, 0)


def verified(kit: Kit) -> dict[str, dict[str, Any]]:
    done = kit.landing("verify", "shop", "orders", "--json")
    return {one["check"]: one for one in json.loads(done.out)}


def test_verify_knows_a_seal(kit: Kit, folder_zone: Zone, sealed: str) -> None:
    assert folder_zone.parts("shop", "orders")[1] == sealed
    found = verified(kit)
    assert {one["status"] for one in found.values()} == {"passed"}
    assert found["files"]["message"] == "3 files of 2 loads"
    assert "1 load that a process left unfinished" in found["order"]["notes"][-1]


@pytest.mark.parametrize("number", [0, 1])
def test_verify_fails_on_a_part_that_appeared_after_the_seal(
    kit: Kit, folder_zone: Zone, sealed: str, number: int
) -> None:
    """As in a bucket that does not keep to the condition."""
    path = sealed.replace(".00000.", f".{number:05d}.")
    obstore.put(folder_zone.store, path, folder_zone.read(folder_zone.parts("shop", "orders")[0]))
    found = verified(kit)
    if number:
        (finding,) = found["order"]["findings"]
        assert finding["what"] == f"{path} appeared after its load had been sealed with {sealed}"
    else:
        assert found["files"]["status"] == "failed"


def test_verify_fails_on_a_file_of_an_interrupted_load_that_appeared_late(
    kit: Kit, api: Api, folder_zone: Zone, use: Callable[[Api], None]
) -> None:
    """Without a seal, as an older version left it."""
    shop(kit, api, use)
    assert kit.run("shop", "orders").code == 0
    (first,) = folder_zone.parts("shop", "orders")
    time.sleep(1.2)  # as some buckets keep times in whole seconds
    path = PATHS.part(load_id_after(load_id_of(first) or "", by=Decimal(-30)), 0)
    obstore.put(folder_zone.store, path, folder_zone.read(first))
    (finding, *_) = verified(kit)["order"]["findings"]
    assert f"sorts after {path}, but was published before it" in finding["what"]


def test_a_table_takes_an_empty_file_along(
    kit: Kit,
    api: Api,
    folder_zone: Zone,
    use: Callable[[Api], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("LANDING_TABLES_URL", (tmp_path / "tables").as_uri())
    shop(kit, api, use, destination_sync_mode="merge", table_format="delta")
    assert kit.run("shop", "orders").code == 0
    bucket = Bucket(bucket_settings(Workspace(kit.root)))
    first = folder_zone.parts("shop", "orders")[0]
    columns = table_at(folder_zone, first).schema
    for add in (False, True):
        with lease_of(bucket) as stopped:
            stopped.publishing(Load(bucket, PATHS, stopped).begin(), columns)
            with expired(monkeypatch):
                if add:
                    api.add("orders", {**ORDER, "id": 9_001})
                done = kit.run("shop", "orders")
                assert done.code == 0, done.text
    rows = DeltaTable((tmp_path / "tables" / "shop" / "orders").as_uri()).to_pyarrow_table()
    assert rows.num_rows == 21
    assert len(FIELDS) <= rows.num_columns


def test_doctor_tries_both_conditions(kit: Kit, landed: Zone) -> None:
    told = kit.landing("doctor").out
    assert "made only once, replaced only in the version that was read" in " ".join(told.split())
    assert landed.paths("_dlt/_doctor") == []


@pytest.mark.parametrize(
    ("verb", "what"),
    [("create", "could be created twice"), ("replace", "in a version that was no longer there")],
)
def test_doctor_finds_a_bucket_that_does_not_keep_to_a_condition(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch, verb: str, what: str
) -> None:
    def unconditional(self: Bucket, path: str, content: bytes, *_: object) -> Any:
        self.put(path, content)
        return self.get(path)

    monkeypatch.setattr(Bucket, verb, unconditional)
    done = kit.landing("doctor")
    assert done.code == 1
    assert what in " ".join(done.out.split())


def test_a_feeder_takes_an_empty_file_along(
    kit: Kit, sealed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    feeder = Feeder(
        kit, f"sqlite:{tmp_path}/lake.sqlite", (tmp_path / "lake").as_uri(), monkeypatch
    )
    try:
        fed = feeder.feed("shop/orders")
        assert (fed["files"], fed["rows"]) == (3, 21)
        assert len(feeder.rows("shop/orders")) == 21
    finally:
        feeder.close()
