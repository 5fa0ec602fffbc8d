"""Operations that are stopped, cut off or killed while something else lands or writes.

A window of a backfill, rows from quarantine and a compaction are stopped in mid-upload, the update
of a table at each of its requests. Another process takes the lease once it has expired, does the
same or runs the stream, and then the first goes on. In the end every row has to be there once: none
lost, none twice.
"""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import obstore
import pyarrow as pa
import pyarrow.parquet as pq

from demo.servers import S3Server
from landing.tables.place import CATALOG_VARIABLE
from landing.zone.layout import StreamPaths, is_compacted, load_id_of
from tests.current_tables import table_rows
from tests.servers.postgres import serve_postgres
from tests.servers.proxy import Request
from torture.feeding import Feeder
from torture.figures import Search, Section, Tally
from torture.fleet import PYTHON, Ended, Fleet, Gate, Running, serve_fleet
from torture.sources import EXACT
from torture.stopped import PATIENT, Cause, Moment, Place, Stopped
from torture.stops import CAUSES, IMPATIENT, ROWS, STREAM

_EDITS = 160
_MOMENTS: tuple[Moment, ...] = ("half", "before", "after")
_TABLES = "tables"
_DAY = datetime(2025, 3, 1, tzinfo=UTC)
_ENDS = {0, 1, 3}
"""Exit codes of one that was outrun: all was done, it could not complete, it lost its lease."""


@dataclass(frozen=True)
class Operation:
    what: str
    words: Callable[[Fleet], tuple[str, ...]]
    is_upload: Callable[[Request], bool]
    prepare: Callable[[Fleet, int], None] = lambda *_: None
    check: Callable[[Fleet], list[str]] = lambda _: []
    keys: Mapping[str, Any] = field(default_factory=dict)
    """Of the stream config."""
    causes: tuple[Cause, ...] = CAUSES
    is_at_each: bool = False
    """Whether it is stopped at each of its uploads, one after the other."""

    def start(self, fleet: Fleet, program: tuple[str, ...] = PYTHON, **env: str) -> Running:
        words = self.words(fleet)
        return fleet.start_landing(*words, program=program, **_env(fleet), **env)


def _is_part(request: Request) -> bool:
    return request.method == "PUT" and f"/{STREAM}/year=" in request.path


def _is_of_table(request: Request) -> bool:
    return request.method in ("PUT", "POST") and f"/{_TABLES}-" in request.path


def _env(fleet: Fleet) -> dict[str, str]:
    url = fleet.env()["DLT_BUCKET_URL"]
    return {"LANDING_TABLES_URL": url.replace("/raw-", f"/{_TABLES}-"), **PATIENT}


def _edited(fleet: Fleet, _: int) -> None:
    fleet.change(STREAM, _EDITS)


def _with_rows_in_quarantine(fleet: Fleet, number: int) -> None:
    """Records that fit by now, beside a load that has landed."""
    load_id = load_id_of(fleet.zone.parts(fleet.source, STREAM)[-1])
    rows = [{**row, "customer": None} for row in fleet.api.rows(STREAM)[:_EDITS]]
    kept = {"field": "total", "reason": "text", "load_id": load_id, "_dlt_load_id": load_id}
    names = ("id", "name", "updated_at", "total", "customer")
    lines = [
        {**kept, "row": {name: row[name] for name in names} | {"id": 100_000 * (number + 1) + n}}
        for n, row in enumerate(rows)
    ]
    path = f"_quarantine/{fleet.source}/{STREAM}/{load_id}.jsonl"
    obstore.put(fleet.zone.store, path, "\n".join(map(json.dumps, lines)).encode())


def _no_row_of_quarantine_lost(fleet: Fleet) -> list[str]:
    if left := fleet.zone.paths(f"_quarantine/{fleet.source}/{STREAM}"):
        return [f"{left} are still in quarantine"]
    landed = _ids(fleet, lambda _: True)
    own = {key // 100_000 for key in landed if key > 100_000}
    lost = [
        key for n in own for key in range(100_000 * n, 100_000 * n + _EDITS) if key not in landed
    ]
    return [f"{len(lost)} rows of quarantine were lost"] if lost else []


def _with_a_day_of_small_files(fleet: Fleet, number: int) -> None:
    day = _DAY + timedelta(days=number)
    for hour in range(6):
        load_id = f"{(day + timedelta(hours=hour)).timestamp():017.6f}"
        ids = range(hour * 10, hour * 10 + 10)
        size = len(ids)
        table = pa.table(
            {
                "id": pa.array(ids, pa.int64()),
                "_dlt_load_id": [load_id] * size,
                "_dlt_id": [f"{load_id}.{key}" for key in ids],
            }
        )
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink)
        path = StreamPaths(fleet.source, STREAM).part(load_id, 0)
        obstore.put(fleet.zone.store, path, sink.getvalue().to_pybytes())


def _every_day_has_its_rows_once(fleet: Fleet) -> list[str]:
    counts = _ids(fleet, lambda path: "/year=2025/month=03/" in path)
    days = len({path.rpartition("/")[0] for path in _days(fleet)})
    wrong = {key: times for key, times in counts.items() if times != days}
    found = [f"rows of {days} compacted days are there {wrong} times"] if wrong else []
    if len(counts) != 60:
        found.append(f"{60 - len(counts)} rows of compacted days are lost")
    return found


def _days(fleet: Fleet) -> list[str]:
    return [p for p in fleet.zone.parts(fleet.source, STREAM) if "/year=2025/month=03/" in p]


def _ids(fleet: Fleet, when: Callable[[str], bool]) -> Counter[int]:
    counts: Counter[int] = Counter()
    for path in filter(when, fleet.zone.parts(fleet.source, STREAM)):
        table = pq.read_table(pa.BufferReader(fleet.zone.read(path)), columns=["id"])
        counts.update(table["id"].to_pylist())
    return counts


def _is_the_newest_of_each_key(table_format: str) -> Callable[[Fleet], list[str]]:
    def check(fleet: Fleet) -> list[str]:
        env, stream = {**fleet.env(), **_env(fleet)}, f"{fleet.source}/{STREAM}"
        table = table_rows(table_format, env["LANDING_TABLES_URL"], stream, env)
        there = sorted(zip(table["id"].to_pylist(), table["name"].to_pylist(), strict=True))
        wanted = sorted((row["id"], row["name"]) for row in fleet.api.rows(STREAM))
        twice = len(there) - len({key for key, _ in there})
        missing = len(set(wanted) - set(there))
        if twice or missing or len(there) != len(wanted):
            found = f"{missing} rows and has {twice} twice, {len(there)} in all"
            return [f"the table lacks {found}"]
        return []

    return check


def _words(*words: str) -> Callable[[Fleet], tuple[str, ...]]:
    """A command line in which `…` stands for the source and the stream."""
    at = words.index("…")
    return lambda fleet: (*words[:at], fleet.source, STREAM, *words[at + 1 :])


OPERATIONS = (
    Operation(
        "a backfill's window",
        _words(
            *(
                "backfill",
                "…",
                "--from",
                "2023-12-01",
                "--to",
                "2025-01-01",
                "--by",
                "month",
                "--again",
            )
        ),
        _is_part,
        _edited,
    ),
    Operation(
        "rows from quarantine",
        _words("quarantine", "land", "…"),
        _is_part,
        _with_rows_in_quarantine,
        _no_row_of_quarantine_lost,
    ),
    Operation(
        "a compaction",
        _words("compact", "…", "--wait", "1"),
        _is_part,
        _with_a_day_of_small_files,
        _every_day_has_its_rows_once,
    ),
    *(
        Operation(
            f"the update of a table in {name}",
            _words("run", "…"),
            _is_of_table,
            _edited,
            _is_the_newest_of_each_key(table_format),
            {"destination_sync_mode": "merge", "table_format": table_format},
            (*CAUSES, "killed"),
            is_at_each=True,
        )
        for name, table_format in (
            ("Delta Lake", "delta"),
            ("Iceberg", "iceberg"),
            ("DuckLake", "ducklake"),
        )
    ),
)


@dataclass
class _Lane:
    operation: Operation
    cause: Cause
    times: int
    catalog: str
    """A database for DuckLake."""
    tally: Tally = field(init=False)
    search: Search = field(default_factory=Search)

    def __post_init__(self) -> None:
        self.tally = Tally(f"{self.operation.what}, {self.cause}")

    def __call__(self, s3: S3Server, gate: Gate) -> None:
        with serve_fleet(EXACT, [STREAM], s3, ROWS, **self.operation.keys) as fleet:
            fleet.more_env[CATALOG_VARIABLE] = self.catalog
            first = fleet.run(**_env(fleet))
            assert first.code == 0, first.text
            feeder = Feeder(fleet.zone, f"{fleet.source}/{STREAM}/year={datetime.now(UTC):%Y}")
            feeder.start()
            for number in range(self.times):
                with gate:
                    if not self._outrun(fleet, s3, number):
                        break
            feeder.end()
            missed = set(fleet.zone.parts(fleet.source, STREAM)) - set(feeder.taken)
            self.tally.lost += len(missed - set(_days(fleet)))
            self.search = fleet.search()

    def _place(self, number: int) -> Place:
        if not self.operation.is_at_each:
            moment = _MOMENTS[number % len(_MOMENTS)]
            return Place(self.operation.is_upload, number // len(_MOMENTS) % 2, moment)
        # Of the causes together, each upload meets each moment.
        shifted = number + self.operation.causes.index(self.cause)
        return Place(self.operation.is_upload, number, _MOMENTS[shifted % len(_MOMENTS)])

    def _outrun(self, fleet: Fleet, s3: S3Server, number: int) -> bool:
        """Whether the operation had so many uploads."""
        operation, found = self.operation, []
        place = self._place(number)
        operation.prepare(fleet, number)
        stopped = Stopped(fleet, self.cause, place, lambda: operation.start(fleet))
        if not stopped.is_reached() and not operation.is_at_each:
            place = replace(place, nth=0)
            stopped.go_on()
            operation.prepare(fleet, number)
            stopped = Stopped(fleet, self.cause, place, lambda: operation.start(fleet))
        if not stopped.is_reached():
            ended = stopped.go_on()
            if number == 0 or ended.code != 0:
                self.tally.problems.append(f"never uploaded: {ended.text.strip()}")
            return False
        fleet.change(STREAM, _EDITS)
        time.sleep(2)
        second = self._second(fleet, s3, number)
        there = set(fleet.zone.parts(fleet.source, STREAM))
        first = stopped.go_on()
        late = set(fleet.zone.parts(fleet.source, STREAM)) - there
        self.tally.times += 1
        self.tally.recovered += first.code == 0
        self.tally.completed_later += first.code != 0
        if second.code != 0:
            found.append(f"the second process ended with {second.code}: {second.text.strip()}")
        ends = {-signal.SIGKILL} if self.cause == "killed" else _ENDS
        if first.code not in ends or "Traceback" in first.text:
            found.append(f"the first ended with {first.code}: {first.text.strip()}")
        if late and first.code != 0 and not all(map(is_compacted, late)):
            found.append(f"{sorted(late)} appeared late")
        own = {**_env(fleet), "S3_ENDPOINT": s3.endpoint}
        later = (
            fleet.ended(operation.start(fleet, S3_ENDPOINT=s3.endpoint)),
            fleet.run(**own),
        )
        for each in later:
            if each.code != 0:
                found.append(f"a later process ended with {each.code}: {each.text.strip()}")
        self.tally.lost += self._lost(fleet)
        found += operation.check(fleet)
        verified = fleet.verify(STREAM)
        if verified.code != 0 and operation.what != "a compaction":
            found.append(f"verify: {verified.text.strip()}")
        self.tally.problems += [f"{place.moment}, {stopped.request}: {one}" for one in found]
        return True

    def _second(self, fleet: Fleet, s3: S3Server, number: int) -> Ended:
        """The same operation, or a run of the stream; by a way of its own to the bucket."""
        if number % 2:
            own = {**_env(fleet), "S3_ENDPOINT": s3.endpoint}
            return fleet.run(program=IMPATIENT, **own)
        running = self.operation.start(fleet, IMPATIENT, S3_ENDPOINT=s3.endpoint)
        return fleet.ended(running)

    def _lost(self, fleet: Fleet) -> int:
        if self.operation.what == "a compaction":
            return 0  # its own check counts the rows of each file
        lost = fleet.lost(STREAM)
        landed = fleet.landed[STREAM]
        self.tally.problems += landed.problems
        landed.problems.clear()
        return lost


def stopped_operations(
    s3: S3Server, times: int, operations: Sequence[Operation] = OPERATIONS
) -> Section:
    """So many of each operation and cause; of a table's uploads, so many at most."""
    gate = Gate(4)
    pairs = [(operation, cause) for operation in operations for cause in operation.causes]
    with ThreadPoolExecutor(len(pairs)) as pool, serve_postgres() as postgres:
        lanes = [_Lane(*pair, times, postgres.new_database()) for pair in pairs]
        list(pool.map(lambda lane: lane(s3, gate), lanes))
    note = (
        "Each in mid-upload, before an upload and once it had arrived; the updates of tables at "
        "each of their uploads. Meanwhile another process did the same, or ran the stream, and "
        "afterwards both. *Lost* counts rows, and files that a polling feeder missed; rows that "
        "are in a compacted day or a table twice are problems."
    )
    searched = sum((lane.search for lane in lanes), Search())
    tallies = [lane.tally for lane in lanes]
    return Section("Edge: zone, other operations that are outrun", tallies, searched, [note])
