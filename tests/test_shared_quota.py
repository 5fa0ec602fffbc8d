"""A limit per day that pods share through the bucket, whose disks are empty when they begin."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine

from landing.errors import SettingsError
from landing.http import Pace
from landing.http.pacing.shared_quota import SharedQuota
from landing.zone.bucket import Bucket
from landing.zone.shared_objects import share_bucket
from tests.kit import Zone
from tests.servers.scripted import Server, serve

DAY = 86_400.0


@pytest.fixture(autouse=True)
def shared() -> None:
    """What `landing` does before it reads a source."""
    share_bucket()


ASKING = """\
import sys
from landing.http import Pace, Session
from landing.zone.shared_objects import share_bucket
share_bucket()
session = Session(pace=Pace(per_day=30, in_bucket=True, key="shop", longest_wait=1))
for _ in range(int(sys.argv[2])):
    session.get(sys.argv[1])
"""


def pod(server: Server, requests: int, disk: Path) -> str:
    """What a process says that has nothing on its disk."""
    disk.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", ASKING, server.url, str(requests)],
        env={**os.environ, "TMPDIR": str(disk)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr


def taken(zone: Zone) -> int:
    (path,) = zone.paths("_dlt/_paces")
    return sum(permits for _, permits in json.loads(zone.read(path))["taken"].values())


def use_up(quota: SharedQuota, most: int = 10_000) -> int:
    """How many permits it gives before it says to wait."""
    return next((count for count in range(most) if quota.take(1)), most)


def test_pods_on_empty_disks_keep_to_one_limit_a_day(zone: Zone, tmp_path: Path) -> None:
    with serve(lambda exchange: exchange.reply(200, b"[]")) as server:
        assert pod(server, 12, tmp_path / "first") == ""
        assert taken(zone) == 12, "what it did not use was given back"
        assert "the limit of shop is used up for another" in pod(server, 99, tmp_path / "second")
    assert len(server.seen) == 30


def test_all_that_take_at_once_take_no_more_than_the_limit(zone: Zone) -> None:
    quotas = [SharedQuota("shop", 300, DAY) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        counts = list(threads.map(use_up, quotas))
    assert sum(counts) == taken(zone) == 300
    assert quotas[0].take(1) > DAY


def test_of_a_process_that_was_killed_its_lot_counts(folder_zone: Zone) -> None:
    killed = SharedQuota("shop", 100, DAY)
    killed.take(1)
    assert use_up(SharedQuota("shop", 100, DAY)) == 84


def test_what_was_not_used_is_given_back(folder_zone: Zone) -> None:
    ended = SharedQuota("shop", 100, DAY)
    ended.take(1)
    ended.give_back()
    ended.give_back()
    assert use_up(SharedQuota("shop", 100, DAY)) == 99


def test_a_day_later_there_is_as_much_again(folder_zone: Zone) -> None:
    quota = SharedQuota("shop", 50, DAY)
    with time_machine.travel(0, tick=False) as clock:
        assert use_up(quota) == 50
        wait = quota.take(1)
        clock.shift(timedelta(seconds=wait - 1))
        assert use_up(quota) == 0
        clock.shift(timedelta(seconds=2))
        assert use_up(quota) == 50


def test_a_request_may_cost_more_than_a_lot(folder_zone: Zone) -> None:
    quota = SharedQuota("shop", 100, DAY)
    assert quota.take(60) == 0
    assert quota.take(41) > 0
    assert quota.take(40) == 0


def test_the_bucket_is_rarely_written(folder_zone: Zone, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[str] = []
    replace = Bucket.replace
    monkeypatch.setattr(
        Bucket,
        "replace",
        lambda bucket, path, *rest: writes.append(path) or replace(bucket, path, *rest),
    )
    assert use_up(SharedQuota("shop", 50_000, DAY), 60_000) == 50_000
    assert len(writes) < 70


def test_a_damaged_object_is_written_anew(folder_zone: Zone, tmp_path: Path) -> None:
    SharedQuota("shop", 10, DAY).take(1)
    (path,) = folder_zone.paths("_dlt/_paces")
    (tmp_path / "zone" / path).write_text("{")
    assert use_up(SharedQuota("shop", 10, DAY)) == 10


def test_without_a_bucket_or_a_limit_a_day_it_is_a_mistake() -> None:
    with pytest.raises(SettingsError, match="DLT_BUCKET_URL is not set, where Pace"):
        SharedQuota("shop", 10, DAY).take(1)
    with pytest.raises(ValueError, match="needs per_day"):
        Pace(per_second=1, in_bucket=True)
