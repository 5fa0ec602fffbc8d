"""What a feeder sees: names that only ever ascend, loads that are whole, one run at a time."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import obstore
import pytest

from landing.catalog.settings import bucket_settings
from landing.catalog.workspace import Workspace
from landing.columns.conversion import RowError
from landing.errors import LandingError
from landing.extraction.kept_rows import kept_line, row_json
from landing.zone import lease
from landing.zone import publication as landing
from landing.zone.bucket import Bucket, StoredObject
from landing.zone.lease import Lease
from tests.kit import REPOSITORY, Kit, Zone, natural
from tests.servers.api import Api

FIELDS = {
    "id": {"type": "integer"},
    "total": {"type": "number"},
    "updated_at": {"type": "string", "format": "date-time"},
}


@pytest.fixture
def orders(kit: Kit, api: Api, use: Callable[[Api], None]) -> Kit:
    use(api)
    kit.add_founding_source()
    kit.configure("my_source", "orders", cursor_field=["updated_at"], fields=FIELDS)
    return kit


def clock_at(monkeypatch: pytest.MonkeyPatch, moment: datetime) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return moment

    monkeypatch.setattr(landing, "datetime", Clock)


def test_names_ascend_across_midnight_and_with_a_clock_that_is_a_day_behind(
    orders: Kit, api: Api, zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    midnight = datetime(2026, 3, 1, tzinfo=UTC)
    seen: list[str] = []
    moments = [midnight - timedelta(microseconds=1), midnight, midnight - timedelta(days=1)]
    for number, moment in enumerate(moments):
        clock_at(monkeypatch, moment)
        api.update("orders", 1, total=number)
        assert orders.run("my_source", "orders").code == 0
        new = [path for path in zone.parts("my_source", "orders") if path not in seen]
        assert all(natural(path) > natural(seen[-1]) for path in new if seen)
        seen.extend(new)
    assert ["/month=02/day=28/" in path for path in seen] == [True, False, False]
    loads = zone.query("my_source", "orders", "SELECT DISTINCT _dlt_load_id FROM landed ORDER BY 1")
    assert [row[0] for row in loads] == [
        "1772323199.999999",
        "1772323200.001000",
        "1772323200.002001",
    ]


def test_a_load_after_one_that_died_sorts_after_what_it_left(
    orders: Kit, api: Api, zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The died run's clock was ahead, and no state tells of it: only its files do."""
    import obstore

    left = "my_source/orders/year=2031/month=01/day=01/1925000000.000000.00002.parquet"
    orders.run("my_source", "orders")
    first = zone.parts("my_source", "orders")[0]
    obstore.put(zone.store, left, zone.read(first))
    api.update("orders", 3, total=0.5)
    orders.run("my_source", "orders")
    assert zone.parts("my_source", "orders")[-1].endswith("/1925000001.001001.00000.parquet")


def test_rows_after_a_run_that_left_only_its_quarantine_are_newer_than_those(
    orders: Kit, api: Api, zone: Zone
) -> None:
    """It died before it moved the state, and its clock was ahead."""
    import obstore

    orders.run("my_source", "orders")
    died = "1925000000.000000"
    row = {"id": 3, "total": "much"}
    error = RowError(0, row, "total", "text where a number is configured")
    left = kept_line(row_json(row), error, died, died)
    obstore.put(zone.store, f"_quarantine/my_source/orders/{died}.jsonl", left)
    api.update("orders", 3, total=0.5)
    orders.run("my_source", "orders")
    newest = zone.query("my_source", "orders", "SELECT max(_dlt_load_id) FROM landed")
    assert newest > [(died,)]


def test_the_state_is_the_last_thing_a_run_writes(orders: Kit, zone: Zone) -> None:
    orders.run("my_source", "orders")
    written = {}
    import obstore

    for page in obstore.list(zone.store):
        for entry in page:
            written[entry["path"]] = entry["last_modified"]
    state = written.pop("_dlt/my_source/orders/state.json")
    released = written.pop("_dlt/my_source/orders/lease.json")
    assert all(moment <= state for moment in written.values())
    assert state <= released
    assert zone.is_released("my_source", "orders")


def test_a_load_leaves_a_record_of_itself(orders: Kit, zone: Zone) -> None:
    orders.run("my_source", "orders")
    record = json.loads(zone.read(zone.paths("_dlt/my_source/orders/loads")[0]))
    assert record["rows"] == 2_350
    assert [file["path"] for file in record["files"]] == zone.parts("my_source", "orders")
    assert record["cursor_before"] == "2020-01-01 00:00:00"


@pytest.fixture(params=["s3", "folder"])
def bucket(request: pytest.FixtureRequest, kit: Kit) -> Bucket:
    request.getfixturevalue("zone" if request.param == "s3" else "folder_zone")
    return Bucket(bucket_settings(Workspace(kit.root)))


def test_a_second_run_says_who_holds_the_lease(bucket: Bucket) -> None:
    with (
        Lease(bucket, "_dlt/a/b/lease.json", "a/b"),
        pytest.raises(LandingError) as refused,
        Lease(bucket, "_dlt/a/b/lease.json", "a/b"),
    ):
        pass
    assert f"process {os.getpid()}" in str(refused.value)
    assert str(datetime.now(UTC).year) in str(refused.value)
    with Lease(bucket, "_dlt/a/b/lease.json", "a/b"):
        pass


def test_the_lease_of_a_dead_run_expires(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = Lease(bucket, "_dlt/a/b/lease.json", "a/b")
    assert bucket.create("_dlt/a/b/lease.json", dead._content())
    monkeypatch.setattr(lease, "EXPIRES_AFTER", timedelta(0))
    with Lease(bucket, "_dlt/a/b/lease.json", "a/b"):
        pass


def test_one_that_waits_asks_for_the_buckets_time_once_and_before_it_takes_over(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "EXPIRES_AFTER", timedelta(seconds=3))
    dead = Lease(bucket, "_dlt/a/b/lease.json", "a/b", "publication")
    assert bucket.create("_dlt/a/b/lease.json", dead._content())
    tries: list[str] = []
    probes: list[str] = []
    put = bucket.put

    def probed(path: str, content: bytes | Path) -> None:
        probes.append(path)
        put(path, content)

    monkeypatch.setattr(bucket, "put", probed)
    with Lease(bucket, "_dlt/a/b/lease.json", "a/b", waiting=tries.append):
        pass
    assert len(tries) > 4
    assert len(probes) <= 4  # a bucket may tell its time in whole seconds


def test_only_one_of_many_takes_an_expired_lease(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = Lease(bucket, "_dlt/a/b/lease.json", "a/b")
    found = None
    assert bucket.create("_dlt/a/b/lease.json", dead._content())
    found = bucket.get("_dlt/a/b/lease.json")
    assert found is not None
    contenders = [Lease(bucket, "_dlt/a/b/lease.json", "a/b") for _ in range(8)]
    replaced: list[StoredObject | None] = []
    threads = [
        threading.Thread(
            target=lambda c=contender: replaced.append(
                bucket.replace("_dlt/a/b/lease.json", c._content(), found)
            )
        )
        for contender in contenders
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(replaced) - replaced.count(None) == 1


def test_a_run_whose_lease_was_taken_publishes_no_more(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "RENEWED_EVERY", timedelta(milliseconds=20))
    with Lease(bucket, "_dlt/a/b/lease.json", "a/b") as frozen:
        frozen.check()
        bucket.put("_dlt/a/b/lease.json", b'{"token": "somebody else"}')
        assert frozen._lost.wait(5)
        with pytest.raises(LandingError, match="lost its lease"):
            frozen.check()
    stored = bucket.get("_dlt/a/b/lease.json")
    assert stored is not None, "another's lease is not given back"


def test_a_run_that_can_not_renew_its_lease_publishes_no_more(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the renewal waits for, the publishing thread goes by its own timer."""
    with Lease(bucket, "_dlt/a/b/lease.json", "a/b") as frozen:
        frozen.check()
        monkeypatch.setattr(lease, "TRUSTED_FOR", timedelta(0))
        with pytest.raises(LandingError, match="lost its lease"):
            frozen.check()


def test_a_renewed_lease_is_not_taken_for_the_one_seen_before(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "RENEWED_EVERY", timedelta(milliseconds=20))
    with Lease(bucket, "_dlt/a/b/lease.json", "a/b"):
        seen = bucket.get("_dlt/a/b/lease.json")
        assert seen is not None
        time.sleep(0.3)
        assert bucket.replace("_dlt/a/b/lease.json", b"mine", seen) is None


def test_two_runs_at_once_exit_with_a_code_of_its_own(orders: Kit, api: Api, zone: Zone) -> None:
    api.delay = 0.15
    process = orders.start("pipeline.py", "my_source", "orders")
    deadline = time.monotonic() + 30
    while not zone.paths("_dlt/my_source") and time.monotonic() < deadline:
        time.sleep(0.02)
    second = orders.run("my_source", "orders")
    assert second.code == 3, second.text
    assert f"process {process.pid}" in second.err
    out, _ = process.communicate(timeout=60)
    assert "2,350 rows" in out


def test_the_default_bucket_is_a_folder_and_the_run_says_so(
    orders: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders.run("my_source", "orders", "--dry-run")
    assert not (orders.repository / "landing-zone").exists()
    done = orders.run("my_source", "orders")
    assert done.code == 0, done.text
    assert "DLT_BUCKET_URL is not set: landing in file://" in done.out
    assert list((orders.repository / "landing-zone" / "my_source").rglob("*.parquet"))


def test_two_workspaces_on_one_machine_do_not_meet(
    orders: Kit, tmp_path: Path, zone: Zone, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Kit(tmp_path / "another", capsys)
    other.add_source("my_source", "import dlt\n@dlt.resource\ndef mine():\n    yield {'n': 1}\n")
    done = other.forked("pipeline.py", "my_source", "orders", cwd=orders.root)
    assert done.code == 2
    assert "it has: mine" in done.err
    assert REPOSITORY.name not in done.err


@pytest.mark.parametrize("name", ["part_0.parquet", "99999999999.parquet"])
def test_a_load_that_another_tools_file_would_hide_is_refused(
    orders: Kit, folder_zone: Zone, name: str
) -> None:
    today = datetime.now(UTC).strftime("year=%Y/month=%m/day=%d")
    foreign = f"my_source/orders/{today}/{name}"
    obstore.put(folder_zone.store, foreign, b"theirs")
    done = orders.run("my_source", "orders")
    assert done.code == 1
    assert f"{foreign} is another tool's file and sorts after those of this run" in done.err
    assert folder_zone.parts("my_source", "orders") == [foreign]
    folder_zone.delete(foreign)
    older = "my_source/orders/year=2020/month=01/day=01/part_0.parquet"
    obstore.put(folder_zone.store, older, b"theirs")
    assert orders.run("my_source", "orders").code == 0
