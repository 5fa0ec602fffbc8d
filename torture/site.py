"""An API and a bucket that several machines can reach, and a backfill of the one into the other."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import obstore
import requests
from obstore.exceptions import PreconditionError

from benchmarks.contents import spelled
from benchmarks.process import environment
from benchmarks.records import KEPT, STREAM
from benchmarks.server import serve
from benchmarks.workspace import set_up
from demo.servers import S3Server
from tests.kit import Zone
from torture.feeding import Feeder
from torture.fleet import store_of
from torture.machines import Machine

SOURCE = "windows"
DELAY = 0.05
PAGE = 100
_LARGE_PAGE = 1_000
_POLL_SECONDS = 0.02
_LANDING = "from landing.cli import main; import sys; sys.exit(main())"
_BY_ANOTHER = "by another process"
_WINDOW = re.compile(r"^  \S+ … \S+: [\d,]+ rows?(.*?)  \(", re.MULTILINE)
_TYPES = {
    "integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN", "text": "VARCHAR",
    "date-time": "VARCHAR", "date": "DATE", "json": "JSON",
}  # fmt: skip


class Failed(RuntimeError):
    """Something was lost, or a process did not do what it should."""


@dataclass(frozen=True)
class Site:
    s3: S3Server
    api: dict[str, str]
    image: Path
    """What a machine's disk begins with: the workspace."""
    rows: Path
    """What the API has, as lines of JSON."""
    folder: Path
    records: int
    step: int

    @property
    def windows(self) -> int:
        return self.records // self.step


@contextmanager
def serve_site(s3: S3Server, folder: Path, records: int, pages: int, host: str) -> Iterator[Site]:
    """So many records, of which a window has so many pages."""
    with serve(records, DELAY, PAGE, host) as api:
        set_up(folder / "image", SOURCE, api.env)
        rows = folder / "api.jsonl"
        _read_all(api.env, records, rows)
        yield Site(s3, api.env, folder / "image", rows, folder, records, pages * PAGE)


def _read_all(api: dict[str, str], records: int, file: Path) -> None:
    with requests.Session() as session, file.open("w") as out:
        session.headers["Authorization"] = f"Bearer {api['MY_API_KEY']}"
        for offset in range(0, records, _LARGE_PAGE):
            query = {"limit": _LARGE_PAGE, "offset": offset}
            page = session.get(f"{api['MY_API_URL']}/bench", params=query).json()["data"]
            out.writelines(f"{json.dumps(row)}\n" for row in page)


@dataclass(frozen=True)
class Job:
    """The command on one machine."""

    machine: Machine
    process: subprocess.Popen[bytes]
    output: Path

    def end(self) -> None:
        if code := self.process.wait():
            said = self.output.read_text(errors="replace")[-2_000:]
            raise Failed(f"the backfill on {self.machine.name} ended with code {code}\n{said}")

    def windows(self) -> int:
        """That this process landed, by what it said."""
        told = _WINDOW.findall(self.output.read_text())
        return sum(_BY_ANOTHER not in rest for rest in told)


def awaited(condition: Callable[[], bool], *jobs: Job) -> None:
    """Wait for something to come to be before one of the jobs ends."""
    while not condition():
        if any(job.process.poll() is not None for job in jobs) and not condition():
            raise Failed("the backfill ended before a machine could be lost in its middle")
        time.sleep(_POLL_SECONDS)


class Backfill:
    """One of the site's records into a prefix of its own."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._prefix = f"raw-{uuid.uuid4().hex}"
        self._folder = site.folder / self._prefix
        self._folder.mkdir()
        self._zone = Zone(store_of(site.s3, self._prefix), self._folder / "copies")
        self._paths = f"_dlt/{SOURCE}/{STREAM}"
        self._lease = f"{self._paths}/lease.json"
        self._tag: str | None = None
        """Of the lease, while it is held here."""
        self._jobs: list[Job] = []

    def start(self, machine: Machine, workers: int) -> Job:
        bucket = {
            **self._site.s3.env(),
            "DLT_BUCKET_URL": f"s3://{self._site.s3.bucket}/{self._prefix}",
        }
        words = ["backfill", SOURCE, STREAM, "--from", "0", "--to", str(self._site.records)]
        words += ["--step", str(self._site.step), "--workers", str(workers)]
        command = [sys.executable, "-c", _LANDING, *words]
        env = environment({**self._site.api, **bucket})
        output = self._folder / f"{machine.name}.txt"
        folder = "/tmp/orchestration/dlt"
        self._jobs.append(Job(machine, machine.start(command, env, folder, output), output))
        return self._jobs[-1]

    def hold_until_begun(self, count: int) -> None:
        """Have nothing published until so many machines have begun a window, as the holder of the
        lease: however late the last one starts, each has its part in it."""
        jobs = self._jobs
        awaited(lambda: bool(self._records()), *jobs)
        awaited(self._takes_lease, *jobs)
        try:
            awaited(lambda: self._begun() >= count, *jobs)
        finally:
            self._give_lease_back()

    def _takes_lease(self) -> bool:
        found = obstore.get(self._zone.store, self._lease)
        if not json.loads(bytes(found.bytes()))["released"]:
            return False
        self._tag = found.meta["e_tag"]
        return self._puts_lease(is_released=False)

    def _give_lease_back(self) -> None:
        """Unless it has expired, and a machine has taken it."""
        self._puts_lease(is_released=True)

    def _puts_lease(self, *, is_released: bool) -> bool:
        held = {"purpose": "publication", "host": "torture", "released": is_released}
        text = json.dumps(held).encode()
        try:
            put = obstore.put(self._zone.store, self._lease, text, mode={"e_tag": self._tag})
        except PreconditionError:
            return False
        self._tag = put["e_tag"]
        return True

    def _begun(self) -> int:
        """Each machine begins one window after the other."""
        paths = self._zone.paths(f"{self._paths}/backfills")
        return sum(path.endswith(".begun") for path in paths)

    def done(self) -> int:
        return sum(len(record["done"]) for record in self._records())

    def _records(self) -> list[Any]:
        paths = self._zone.paths(f"{self._paths}/backfills")
        return [json.loads(self._zone.read(path)) for path in paths if path.endswith(".json")]

    def lease_holder(self) -> str | None:
        """The machine that publishes just now."""
        with suppress(FileNotFoundError):
            lease = json.loads(self._zone.read(self._lease))
            return None if lease.get("released") else str(lease["host"])
        return None

    @contextmanager
    def fed(self) -> Iterator[None]:
        """Raises Failed if a feeder that polls meanwhile missed a file."""
        feeder = Feeder(self._zone, f"{SOURCE}/{STREAM}")
        feeder.start()
        try:
            yield
        finally:
            feeder.end()
        missed = set(self._zone.parts(SOURCE, STREAM)) - set(feeder.taken)
        if missed:
            raise Failed(f"a feeder missed {', '.join(sorted(missed))}")

    def check(self) -> int:
        """How many rows landed more than once.

        Raises Failed unless all windows are done, and the newest row of each key is the API's for
        all keys.
        """
        (record,) = self._records()
        undone = set(range(self._site.windows)) - set(map(int, record["done"]))
        if undone or not record["finished"]:
            raise Failed(f"windows {sorted(undone)} are not done, finished: {record['finished']}")
        columns = {name: _TYPES[kind] for name, kind in KEPT.items()}
        row = ", ".join(spelled(name, kind) for name, kind in KEPT.items())
        lines = f"'{self._site.rows}', format = 'newline_delimited', columns = {columns}"
        sql = f"""
            WITH api AS (
                SELECT to_json([{row}])::VARCHAR AS row FROM read_json({lines})
            ), newest AS (
                SELECT to_json([{row}])::VARCHAR AS row FROM (
                    FROM landed
                    QUALIFY row_number() OVER (PARTITION BY id ORDER BY _dlt_load_id DESC) = 1
                )
            )
            SELECT (SELECT count(*) FROM api), (SELECT count(*) FROM newest),
                (SELECT count(*) FROM (FROM api EXCEPT FROM newest)),
                (SELECT count(*) - count(DISTINCT id) FROM landed)
        """
        there, landed, lost, again = self._zone.query(SOURCE, STREAM, sql)[0]
        if lost or landed != there:
            raise Failed(f"of {there} rows, {lost} are not the newest landed; {landed} are there")
        return int(again)
