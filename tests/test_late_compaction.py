"""A compaction stops, another one goes on and dies, and what the first had sent arrives late."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count

import obstore
import pyarrow as pa
import pytest

from demo.servers import S3Server
from landing.catalog.settings import bucket_settings
from landing.catalog.workspace import Workspace
from landing.errors import LeaseHeld
from landing.operations.compaction import Compacted, compact
from landing.operations.compaction_plan import Terms
from landing.zone import lease as lease_module
from landing.zone.bucket import Bucket
from landing.zone.layout import compacted_path
from tests.kit import Kit, Zone
from tests.servers.proxy import Exchange, Proxy, Request, Response, serve_proxy
from tests.test_compaction import FIRST_DAY, PATHS, all_ids, hourly, put

pytestmark = pytest.mark.timeout(200)


class Late:
    """A compaction of which one write reaches the bucket late: in a thread, over a proxy."""

    def __init__(self, kit: Kit, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, write: int) -> None:
        with monkeypatch.context() as patch:
            patch.setenv("S3_ENDPOINT", proxy.endpoint)
            self._bucket = Bucket(bucket_settings(Workspace(kit.root)))
            self._bucket.settle()
        self._reached, self._may_arrive = threading.Event(), threading.Event()
        self.request = ""
        self.result: Compacted | None = None
        proxy.spoil(self._late, when=_writes, after=write)
        self._thread = threading.Thread(target=self._compact)
        self._thread.start()

    def _compact(self) -> None:
        self.result = compact(self._bucket, PATHS, everything(), 0)
        self._reached.set()

    def _late(self, exchange: Exchange) -> None:
        self.request = f"{exchange.request.method} {exchange.request.path}"
        self._reached.set()
        self._may_arrive.wait()
        exchange.answer(exchange.forward())

    def is_stopped(self) -> bool:
        """Whether it had so many writes."""
        self._reached.wait()
        return self.request != ""

    def go_on(self) -> None:
        self._may_arrive.set()
        self._thread.join()


def _writes(request: Request) -> bool:
    """What a compaction writes, apart from its lease."""
    return request.method in ("PUT", "POST", "DELETE") and "/lease.json" not in request.path


def _reads_back(request: Request) -> bool:
    return request.method == "GET" and request.path.endswith(".compacted.parquet")


def everything() -> Terms:
    return Terms(closed_before=datetime.now(UTC), file_bytes=2**30)


@pytest.fixture
def bucket(kit: Kit, zone: Zone) -> Bucket:
    return Bucket(bucket_settings(Workspace(kit.root)))


@pytest.fixture
def proxy(s3: S3Server) -> Iterator[Proxy]:
    with serve_proxy(s3.endpoint) as running:
        yield running


@pytest.mark.parametrize("misreads", [False, True])
def test_what_arrives_late_undoes_nothing_of_a_compaction_that_died(
    kit: Kit,
    zone: Zone,
    bucket: Bucket,
    proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
    misreads: bool,
) -> None:
    """Each write of the first one is late once. With `misreads`, it read other rows back."""
    requests = []
    for write in count():
        wanted = all_ids(zone, hourly(zone, days=1, a_day=3))
        if misreads:
            other = Response(200, zone.read(zone.parts("shop", "orders")[0]))
            proxy.spoil(partial(_answers, other), when=_reads_back)
        first = Late(kit, proxy, monkeypatch, write)
        if first.is_stopped():
            requests.append(first.request)
            wanted += _another_dies(zone, bucket, monkeypatch)
        first.go_on()
        proxy.fix()
        for _ in range(2):  # a misread file is an error once
            last = compact(bucket, PATHS, everything(), 0)
        assert last.error is None, (first.request, last.error)
        assert sorted(all_ids(zone, zone.parts("shop", "orders"))) == sorted(wanted), first.request
        obstore.delete(zone.store, zone.paths())
        if not first.request:
            break
    steps = ["pending", "into", "pending", "into" if misreads else "record", "record", "pending"]
    if not misreads:
        steps[4] = "removal"
    assert [_step(request) for request in requests] == steps


def test_an_empty_file_that_arrives_late_replaces_no_good_one(
    kit: Kit, zone: Zone, bucket: Bucket, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody has deleted the file that was misread, and another file got its name."""
    before = hourly(zone, days=1, a_day=3)
    other = Response(200, zone.read(before[0]))
    proxy.spoil(partial(_answers, other), when=_reads_back)
    first = Late(kit, proxy, monkeypatch, write=3)
    assert first.is_stopped()
    assert _step(first.request) == "into"
    monkeypatch.setattr(lease_module, "EXPIRES_AFTER", timedelta(0))
    compact(bucket, PATHS, everything(), 0)
    into = compacted_path(before[-1])
    zone.delete(into)
    before.insert(1, put(zone, FIRST_DAY + timedelta(hours=1), pa.table({"id": [1, 2]})))
    wanted = all_ids(zone, before)
    assert compact(bucket, PATHS, everything(), 0).error is None
    assert zone.parts("shop", "orders") == [into]
    first.go_on()
    assert first.result is not None
    assert isinstance(first.result.error, LeaseHeld)
    assert all_ids(zone, [into]) == wanted


def _answers(response: Response, exchange: Exchange) -> None:
    exchange.answer(response)


def _step(request: str) -> str:
    if request.startswith("POST"):
        return "removal"
    if request.endswith("pending.json"):
        return "pending"
    return "record" if request.endswith(".json") else "into"


def _another_dies(zone: Zone, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Complete what the first one has begun, and die in the next compaction, before its files are
    removed; the ids of another day's rows."""
    with monkeypatch.context() as patch:
        patch.setattr(lease_module, "EXPIRES_AFTER", timedelta(0))
        compact(bucket, PATHS, everything(), 0)
        moments = [FIRST_DAY + timedelta(days=1, hours=hour) for hour in range(3)]
        files = [put(zone, moment, pa.table({"id": [1, 2]})) for moment in moments]
        ids = all_ids(zone, files)
        patch.setattr(bucket, "delete_all", _dies)
        with pytest.raises(RuntimeError, match="killed"):
            compact(bucket, PATHS, everything(), 0)
    return ids


def _dies(*_: object) -> None:
    raise RuntimeError("killed")
