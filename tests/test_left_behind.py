"""A signal ends the wait for a write, which goes on: no other process gets in before it ends."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import obstore
import pytest

from demo.servers import S3Server
from landing.catalog.settings import bucket_settings
from landing.catalog.workspace import Workspace
from landing.errors import LeaseHeld
from landing.extraction.interruption import Interrupted
from landing.zone import lease as lease_module
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths
from landing.zone.lease import Lease
from landing.zone.waiting import writes_end
from tests.kit import Kit, Zone
from tests.servers.proxy import Proxy, Request, late, serve_proxy

PATHS = StreamPaths("shop", "orders")


class Late:
    """A write that has begun, during which a signal comes, and which ends when it may."""

    def __init__(self) -> None:
        self.may_arrive = threading.Event()

    def interrupt(self) -> None:
        os.kill(os.getpid(), signal.SIGUSR1)


@pytest.fixture
def write() -> Iterator[Late]:
    def interrupt(*_: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGUSR1, interrupt)
    begun = Late()
    yield begun
    signal.signal(signal.SIGUSR1, before)
    begun.may_arrive.set()
    assert writes_end(10)


def opened(kit: Kit) -> Bucket:
    return Bucket(bucket_settings(Workspace(kit.root)))


def test_a_write_in_a_folder_keeps_its_lock(
    kit: Kit, folder_zone: Zone, write: Late, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a network file system that answers slowly."""
    bucket = opened(kit)
    bucket.put(PATHS.state, b"first")
    seen = bucket.get(PATHS.state)
    assert seen is not None
    put = obstore.put

    def slow(store: Any, path: str, content: Any, **options: Any) -> Any:
        if content == b"late":
            write.interrupt()
            write.may_arrive.wait()
        return put(store, path, content, **options)

    monkeypatch.setattr(obstore, "put", slow)
    with pytest.raises(Interrupted):
        bucket.replace(PATHS.state, b"late", seen)
    written: list[object] = []
    other = threading.Thread(
        target=lambda: written.append(opened(kit).replace(PATHS.state, b"newer", seen))
    )
    other.start()
    other.join(0.2)
    assert other.is_alive(), "it waits for the lock"
    write.may_arrive.set()
    other.join()
    assert written == [None], "it sees that the object has changed"
    assert folder_zone.read(PATHS.state) == b"late"


@pytest.fixture
def proxy(s3: S3Server, zone: Zone) -> Iterator[Proxy]:
    with serve_proxy(s3.endpoint) as running:
        yield running


def _writes_state(request: Request) -> bool:
    return request.method == "PUT" and request.path.endswith(PATHS.state)


@pytest.mark.parametrize("ends_in_time", [True, False])
def test_the_lease_stays_until_a_write_has_ended(
    kit: Kit,
    zone: Zone,
    proxy: Proxy,
    write: Late,
    monkeypatch: pytest.MonkeyPatch,
    ends_in_time: bool,
) -> None:
    within = 10.0 if ends_in_time else 0.2
    monkeypatch.setattr(lease_module, "RELEASED_WITHIN", timedelta(seconds=within))
    with monkeypatch.context() as patch:
        patch.setenv("S3_ENDPOINT", proxy.endpoint)
        slow = opened(kit)
        slow.settle()
    slow.put(PATHS.state, b"first")
    seen = slow.get(PATHS.state)
    assert seen is not None
    arrives = late(write.may_arrive)

    def interrupts(exchange: Any) -> None:
        write.interrupt()
        arrives(exchange)

    proxy.spoil(interrupts, when=_writes_state)
    if ends_in_time:
        threading.Timer(0.3, write.may_arrive.set).start()
    with pytest.raises(Interrupted), Lease(slow, PATHS.lease, "shop/orders"):
        slow.replace(PATHS.state, b"late", seen)
    assert zone.is_released("shop", "orders") == ends_in_time
    if not ends_in_time:
        assert zone.read(PATHS.state) == b"first"
        with pytest.raises(LeaseHeld):
            Lease(opened(kit), PATHS.lease, "shop/orders").__enter__()
        write.may_arrive.set()
        assert writes_end(10)
        monkeypatch.setattr(lease_module, "EXPIRES_AFTER", timedelta(0))
    with Lease(opened(kit), PATHS.lease, "shop/orders"):
        assert zone.read(PATHS.state) == b"late"


def test_an_upload_of_a_part_keeps_no_lease(
    kit: Kit, zone: Zone, proxy: Proxy, write: Late, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may take minutes, and can't appear once its load is sealed."""
    with monkeypatch.context() as patch:
        patch.setenv("S3_ENDPOINT", proxy.endpoint)
        slow = opened(kit)
        slow.settle()
    part = kit.root / "part"
    part.write_bytes(b"rows")

    def interrupts(exchange: Any) -> None:
        write.interrupt()
        late(write.may_arrive)(exchange)

    proxy.spoil(interrupts, when=lambda request: request.path.endswith(".parquet"))
    began = time.monotonic()
    with pytest.raises(Interrupted), Lease(slow, PATHS.lease, "shop/orders") as lease:
        slow.put_new(PATHS.part("1769000000.123456", 0), part, lease.check)
    assert zone.is_released("shop", "orders")
    assert time.monotonic() - began < lease_module.RELEASED_WITHIN.total_seconds()
