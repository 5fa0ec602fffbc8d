"""The reference feeder: what it makes of the landing zone is what the API has."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import time_machine

from demo.servers import S3Server
from landing.layout import StreamPaths
from tests.feeders import FEEDER, Feeder, program, quiet_home
from tests.kit import REPOSITORY, Kit, Zone
from tests.servers.api import Api
from tests.servers.proxy import Exchange, serve_proxy

RUN_AT = REPOSITORY / "torture" / "programs" / "run_at.py"
DAY = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
ORDERS = {
    "id": {"type": "integer"},
    "name": {"type": "string"},
    "updated_at": {"type": "string", "format": "date-time"},
    "total": {"type": "number"},
    "customer": {
        "type": "object",
        "encoding": "native",
        "properties": {"id": {"type": "integer"}, "name": {"type": "string"}},
    },
    "tags": {"type": "array", "encoding": "native", "items": {"type": "string"}},
}
KEYED = {"sync_mode": "incremental", "cursor_field": ["at"], "primary_key": [["id"]]}
FIELDS = {"id": {"type": "integer"}, "at": {"type": "integer"}, "n": {"type": "integer"}}


@pytest.fixture
def feeder(
    kit: Kit, zone: Zone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Feeder]:
    """On S3, and its lake, too."""
    data = os.environ["LANDING_TABLES_URL"].replace("tables", "lake")
    made = Feeder(kit, f"sqlite:{tmp_path}/lake.sqlite", data, monkeypatch)
    yield made
    made.close()


@pytest.fixture
def local(
    kit: Kit, folder_zone: Zone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Feeder]:
    """In folders, for what does not depend on the kind of bucket."""
    data = (tmp_path / "a lake").as_uri()
    made = Feeder(kit, f"sqlite:{tmp_path}/lake.sqlite", data, monkeypatch)
    yield made
    made.close()


class Polling(threading.Thread):
    """The daemon's part: asks the sensor all the time, and starts the run that it asks for."""

    def __init__(self, feeder: Feeder, path: str) -> None:
        super().__init__(daemon=True)
        self.resting = threading.Lock()
        self.runs = 0
        self.problems: list[Exception] = []
        self._feeder, self._path = feeder, path
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(0.3):
            with self.resting:
                self.poll()

    def poll(self) -> None:
        try:
            if self._feeder.asked(self._path):
                self._feeder.feed(self._path)
                self.runs += 1
        except Exception as error:
            self.problems.append(error)

    def end(self) -> None:
        self._ended.set()
        self.join()
        self.poll()


def test_a_day_of_hourly_runs_with_two_kills_is_what_the_api_has(
    kit: Kit,
    api: Api,
    use: Callable[[Api], None],
    zone: Zone,
    s3: S3Server,
    feeder: Feeder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use(api)
    kit.add_founding_source()
    kit.configure(
        "my_source",
        "orders",
        sync_mode="incremental",
        cursor_field=["updated_at"],
        primary_key=[["id"]],
        fields=ORDERS,
    )
    monkeypatch.setenv("LANDING_FILE_MB", "0.01")
    path = "my_source/orders"
    feeder.load()
    polling = Polling(feeder, path)
    polling.start()
    for hour in range(24):
        change(api, hour)
        if hour == 7:
            killed_landing(kit, zone, s3, DAY + hour * HOUR)
            continue
        if hour == 13:
            with polling.resting:
                land(kit, DAY + hour * HOUR)
                killed_feeding(feeder, s3, path, tmp_path)
            continue
        land(kit, DAY + hour * HOUR)
    polling.end()
    assert polling.problems == []
    assert polling.runs > 2, "it was fed in between"
    rows = feeder.rows(path)
    in_api = [api_row(row) for row in api.rows()]
    assert len(rows) == len(in_api) > 2_350
    assert sorted(map(lake_row, rows)) == sorted(in_api)
    assert zone.count("my_source", "orders") > len(rows) + 24 * 20, "versions and repeats"
    assert len({path.split("/")[4] for path in zone.parts("my_source", "orders")}) == 1
    assert feeder.asked(path) is None


def change(api: Api, hour: int) -> None:
    """New orders, and old ones that change; some again and again."""
    newest = len(api.rows())
    for number in range(5):
        row = {**api.rows()[number], "id": newest + number + 1}
        api.add("orders", row)
        api.update("orders", newest + number + 1, name=f"new at {hour}")
    for number in range(20):
        api.update("orders", 1 + (hour * 7 + number * 3) % newest, total=hour + number / 8)


def land(kit: Kit, moment: datetime) -> None:
    with time_machine.travel(moment, tick=True):
        done = kit.run("my_source", "orders")
    assert done.code == 0, done.text


def killed_landing(kit: Kit, zone: Zone, s3: S3Server, moment: datetime) -> None:
    """After one of its files is there, and before its cursor has moved."""
    script = kit.root / "dlt" / "pipeline.py"
    command = [str(RUN_AT), moment.isoformat(), str(script), "my_source", "orders"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    before, prefix = zone.parts("my_source", "orders"), os.environ["DLT_BUCKET_URL"].split("/")[-1]
    killed_at_put([sys.executable, *command], s3, environment, f"/{prefix}/")
    assert len(zone.parts("my_source", "orders")) == len(before) + 1
    zone.delete("_dlt/my_source/orders/lease.json")


def killed_feeding(feeder: Feeder, s3: S3Server, path: str, tmp_path: Path) -> None:
    """In the middle of a batch: its rows are in the lake's bucket, and not in its catalog."""
    before = feeder.rows(path), feeder.snapshots()
    command = program("asset", "materialize", "-f", "feeder.py", "--select", f"key:lake/{path}")
    home = quiet_home(tmp_path / "dagster")
    killed_at_put(command, s3, home, "/lake-", cwd=feeder.file.parent)
    assert (feeder.rows(path), feeder.snapshots()) == before
    assert feeder.asked(path) is not None


def killed_at_put(
    command: list[str],
    s3: S3Server,
    environment: dict[str, str],
    place: str,
    cwd: Path | None = None,
) -> None:
    killed = threading.Event()

    def kill(exchange: Exchange) -> None:
        exchange.forward()
        os.kill(process.pid, signal.SIGKILL)
        killed.set()
        exchange.reset()

    with serve_proxy(s3.endpoint) as proxy:
        proxy.spoil(
            kill,
            when=lambda request: (
                request.method in ("PUT", "POST")
                and place in request.path
                and request.path.endswith(".parquet")
            ),
        )
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**environment, "S3_ENDPOINT": proxy.endpoint},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        output, _ = process.communicate(timeout=200)
    assert killed.is_set(), output.decode()
    assert process.returncode == -signal.SIGKILL


def api_row(row: dict[str, Any]) -> tuple[Any, ...]:
    customer = {name: row["customer"][name] for name in ("id", "name")}
    at = str(datetime.fromisoformat(row["updated_at"]).replace(tzinfo=UTC))
    return row["id"], row["name"], at, float(row["total"]), str(customer), row["tags"]


def lake_row(row: dict[str, Any]) -> tuple[Any, ...]:
    at = str(row["updated_at"].astimezone(UTC))
    return row["id"], row["name"], at, row["total"], str(row["customer"]), row["tags"]
