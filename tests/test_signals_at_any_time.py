"""Signals at the moments when a run takes or releases its lease, or starts its threads."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import obstore
import pytest

from landing.catalog.settings import bucket_settings
from landing.catalog.workspace import Workspace
from landing.extraction.side_by_side import Stop, side_by_side
from landing.zone.bucket import Bucket
from landing.zone.lease import Lease
from tests.kit import Zone

_PATH = "_dlt/shop/orders/lease.json"


@pytest.fixture
def lease(folder_zone: Zone, tmp_path: Path) -> Lease:
    return Lease(Bucket(bucket_settings(Workspace(tmp_path))), _PATH, "shop/orders")


@pytest.fixture
def alarm() -> Iterator[None]:
    """SIGALRM raises KeyboardInterrupt in this thread."""
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    yield
    signal.signal(signal.SIGALRM, before)


def is_released(zone: Zone) -> bool:
    return bool(json.loads(zone.read(_PATH))["released"])


def test_a_lease_that_is_granted_after_a_signal_is_released(
    lease: Lease, folder_zone: Zone, alarm: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, signals = obstore.put, [signal.SIGALRM]

    def late(*arguments: Any, **named: Any) -> Any:
        while signals:
            os.kill(os.getpid(), signals.pop())
            time.sleep(0.1)
        return put(*arguments, **named)

    monkeypatch.setattr(obstore, "put", late)
    with pytest.raises(KeyboardInterrupt), lease:
        pass
    assert is_released(folder_zone)


@pytest.mark.parametrize("moment", ["start", "join"])
def test_a_signal_while_the_renewals_start_or_end_releases_the_lease(
    lease: Lease, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    renewal, signals = lease._renewal, [KeyboardInterrupt()]
    method = getattr(renewal, moment)

    def interrupted(*arguments: Any) -> None:
        method(*arguments)
        if signals:
            raise signals.pop()

    monkeypatch.setattr(renewal, moment, interrupted)
    with pytest.raises(KeyboardInterrupt), lease:
        pass
    assert is_released(folder_zone)
    assert not renewal.is_alive()


def test_a_signal_while_threads_are_started_ends_those_that_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    has_begun, ended = threading.Event(), []
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        if thread.name.startswith("landing-stream"):
            has_begun.wait(2)
            raise KeyboardInterrupt

    def stream(name: str, stop: Stop) -> None:
        has_begun.set()
        try:
            for _ in range(100):
                stop.check()
                time.sleep(0.01)
        finally:
            ended.append(name)

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        side_by_side(stream, ["orders", "products"], 2)
    assert ended == ["orders"]
