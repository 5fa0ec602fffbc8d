"""A backfill's windows, read side by side and published one at a time.

Reading needs no lease, so that live runs go on meanwhile; publishing takes the stream's, for as
long as that takes. What is read carries the load ids that were reserved for its window, and what is
published has a name of the moment. A window that is read twice, by two processes or since the first
was killed, is published by the one that comes first, or with later load ids.
"""

from __future__ import annotations

import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
from dlt.extract.resource import DltResource

from landing.backfill.reading import WindowExtraction, asks_for_all, cursor_of
from landing.backfill.record import Backfill, Done, Records
from landing.backfill.windows import Bound, Cursor, Request, Unit, Window, windows_of
from landing.bucket import Bucket
from landing.catalog import StreamConfig
from landing.columns import columns_of
from landing.converters.pool import Converters
from landing.errors import BucketError, LandingError, StreamError, UsageError
from landing.failures import explained, raise_if_interrupted
from landing.http.traffic import counting
from landing.landing import Load
from landing.layout import StreamPaths
from landing.lease import Lease
from landing.lineage import LINEAGE_FIELDS
from landing.privacy import check_key
from landing.report import Reporter, TableResult
from landing.settling import settle
from landing.sidebyside import Stop, side_by_side, waits
from landing.sources import Source
from landing.state import stored_cursor
from landing.tables import keeper_of
from landing.workspace import most_converters

_turns: dict[str, threading.Lock] = {}
"""By lease: a process takes it for one window after the other, without waiting for itself."""


@dataclass(frozen=True)
class Subject:
    """The stream that is backfilled."""

    source: Source
    config: StreamConfig
    resource: DltResource
    bucket: Bucket

    @property
    def name(self) -> str:
        return f"{self.config.source}/{self.config.stream}"

    @property
    def paths(self) -> StreamPaths:
        return StreamPaths(self.config.source, self.config.stream)

    @property
    def records(self) -> Records:
        return Records(self.bucket, self.paths)

    @property
    def turn(self) -> threading.Lock:
        """To publish, within this process. Of this stream alone, since its holder may have to wait
        for a live run of the stream."""
        return _turns.setdefault(self.bucket.location(self.paths.lease), threading.Lock())

    def cursor(self) -> Cursor:
        return cursor_of(self.config, self.resource, self.bucket)

    def lease(self, waiting: Callable[[str], None]) -> Lease:
        return Lease(
            self.bucket,
            self.paths.lease,
            self.name,
            "publication",
            waits_for_runs=True,
            waiting=waiting,
        )

    def check_table(self) -> None:
        """Raises, before anything is read, what would keep `update_table` from its work."""
        keeper = keeper_of(self.config, self.bucket)
        if keeper is not None:
            keeper.check()

    def update_table(self, waiting: Callable[[str], None]) -> TableResult | None:
        """Have the stream's table take in what has landed; None if it keeps none."""
        keeper = keeper_of(self.config, self.bucket)
        if keeper is None:
            return None
        with self.lease(waiting) as lease:
            return keeper.update(lease)


def subject(source: Source, stream: str, bucket: Bucket) -> Subject:
    config = source.config(stream)
    check_key(config.fields, config.origin)
    return Subject(source, config, source.stream(stream)._clone(), bucket)


@dataclass(frozen=True)
class Plan:
    """What a backfill would do, without anything done."""

    subject: Subject
    request: Request
    windows: list[Window]
    handed: list[tuple[Any, Any]]
    """What the stream is given of each window as `initial_value` and `end_value`."""
    earlier: Backfill | None
    """The last one of the same request; if it has not finished, this one goes on with it."""
    doubts: list[str]

    @property
    def is_going_on(self) -> bool:
        return self.earlier is not None and self.earlier.finished is None

    @property
    def bounds(self) -> tuple[Bound, Bound]:
        return self.windows[0].start, self.windows[-1].end


def plan(source: Source, stream: str, bucket: Bucket, request: Request) -> Plan:
    """The windows of a request. Raises UsageError for one that does not go with the stream."""
    of = subject(source, stream, bucket)
    cursor = of.cursor()
    request = _complete(request, cursor)
    earlier = of.records.last_of(request)
    if earlier is not None and earlier.finished is None:
        windows = earlier.windows
    else:
        windows = windows_of(*bounds_of(of, cursor, request), _unit(request), request.step)
    doubts = []
    if asks_for_all(of.resource):
        doubts.append("takes no cursor: it is read as a whole for each window")
    handed = [
        (cursor.handed(window.start), cursor.handed(window.end, is_end=True)) for window in windows
    ]
    return Plan(of, request, windows, handed, earlier, doubts)


def _complete(request: Request, cursor: Cursor) -> Request:
    """The request with what it leaves to the kind of the cursor."""
    by = request.by or ("ids" if cursor.is_number else "month")
    if cursor.is_number and by != "ids":
        raise UsageError(f"--by {by} is for times, but cursor '{cursor.name}' is a number: say ids")
    if not cursor.is_number and by == "ids":
        raise UsageError(
            f"--by ids is for numbers, but cursor '{cursor.name}' is a time: say day, week or month"
        )
    if (request.step is None) == (by == "ids"):
        raise UsageError(
            "--by ids needs a --step, how far a window reaches"
            if by == "ids"
            else f"--step is for --by ids; windows by {by} are as long as a {by}"
        )
    if request.start is None:
        raise UsageError("say by --from where the first window begins")
    return msgspec.structs.replace(request, by=by)


def _unit(request: Request) -> Unit:
    assert request.by is not None, "completed"
    return request.by


def bounds_of(of: Subject, cursor: Cursor, request: Request) -> tuple[Bound, Bound]:
    """Where the request begins and ends, which without `end` is where the live cursor stands."""
    assert request.start is not None, "checked before"
    start = cursor.bound("--from", request.start)
    if request.end is not None:
        return start, cursor.bound("--to", request.end)
    end = cursor.present(stored_cursor(of.bucket, of.paths, cursor.name))
    if end is None:
        raise UsageError(
            f"say --to: {of.name} has not run yet, so nothing tells how far its ids reach"
        )
    return start, end


def begin(planned: Plan, *, again: bool = False, tell: Callable[[str], None]) -> Backfill:
    """The record of the plan's backfill, from which any process can run its windows.

    `tell` is called, again and again, while a run that is under way is waited for. Raises
    UsageError if the same has finished before, unless it is to run `again`.
    """
    of = planned.subject
    of.check_table()
    begun = planned.earlier
    if begun is None or (begun.finished is not None and again):
        begun = of.records.begin(
            planned.request, planned.bounds, len(planned.windows), of.lease(tell), again=again
        )
    if begun.finished is not None:
        raise finished(begun)
    return begun


def finished(backfill: Backfill) -> UsageError:
    return UsageError(
        f"the same backfill has finished ({backfill.id}, {backfill.finished:%Y-%m-%d %H:%M} UTC, "
        f"{backfill.rows:,} rows); say --again to read everything once more"
    )


class WindowResult(msgspec.Struct, frozen=True, kw_only=True):
    """Plain data, for whatever process asks."""

    done: Done

    @property
    def window(self) -> Window:
        return Window(self.done.number, self.done.start, self.done.end)

    by_another: bool = False
    """Another process published the window first; what was read here was thrown away."""
    without_cursor: int = 0


def run_window(
    source: Source,
    stream: str,
    backfill_id: str,
    number: int,
    bucket: Bucket,
    reporter: Reporter,
    stop: Stop | None = None,
    converters: Converters | None = None,
) -> WindowResult:
    """Land one window of a backfill that was begun, in this process or any other.

    Returns at once if the window is done, and may be called by several at a time.
    """
    of = subject(source, stream, bucket)
    stop = stop or Stop()
    while True:
        backfill = of.records.get(backfill_id)
        window = backfill.window(number)
        if done := backfill.done.get(str(number)):
            return WindowResult(done=done, by_another=True)
        with tempfile.TemporaryDirectory(prefix="landing-") as folder, counting():
            reading = _Reading(of, backfill, window, reporter, stop, Path(folder), converters)
            result = reading.published()
        if result is not None:
            return result
        # Another reading of it was cut off while it was published: this one's load ids are taken.


class _Reading:
    """A window's rows on the local disk."""

    def __init__(
        self,
        of: Subject,
        backfill: Backfill,
        window: Window,
        reporter: Reporter,
        stop: Stop,
        folder: Path,
        converters: Converters | None,
    ) -> None:
        self._of = of
        self._id = backfill.id
        self._window = window
        self._stamp = backfill.stamp_of(window)
        self._load = Load(
            of.bucket,
            of.paths,
            of.lease(waits(stop, lambda text: reporter.note(of.config.stream, text))),
            load_id=self._stamp,
            last_stamp=self._stamp,
            backfill={"id": backfill.id, "from": window.start, "to": window.end},
        )
        config = of.config
        extraction = WindowExtraction(
            config, of.resource, reporter, folder, stop, of.cursor(), window, converters
        )
        with extraction:
            extraction.read(self._load)
        assert extraction.filter is not None, "there is a window"
        self._without_cursor = extraction.filter.without_cursor
        last = self._load.last_stamp or self._stamp
        if last >= backfill.end_of_stamps(window):
            raise StreamError(
                f"stream '{of.name}', {window}: records with the same primary key came too often "
                "in this window to tell their versions apart: choose smaller windows, or a "
                f"primary_key in {config.origin} that tells records apart"
            )
        self._last_stamp = last

    def published(self) -> WindowResult | None:
        """None if what was read can't be told from what another process published a part of."""
        number = str(self._window.number)
        with self._of.turn, self._load.lease:
            records = self._of.records
            backfill = records.get(self._id)
            if done := backfill.done.get(number):
                return WindowResult(done=done, by_another=True)
            if backfill.stamp_of(self._window) != self._stamp:
                return None
            load = self._load
            load.load_id = None
            if load.parts or load.quarantine_file:
                backfill.stamps[number] = self._last_stamp
                records.put(backfill)
                publish(self._of, load)
            load.lease.confirm()
            done = Done(
                number=self._window.number,
                start=self._window.start,
                end=self._window.end,
                load_id=load.load_id,
                rows=load.rows,
                quarantined=load.quarantined,
                finished=datetime.now(UTC),
            )
            backfill.done[number] = done
            backfill.rows += done.rows
            records.finish(backfill)
            return WindowResult(done=done, without_cursor=self._without_cursor)


def publish(of: Subject, load: Load) -> None:
    """All that was read of a load, under a name of now; its lease is held."""
    load_id = load.publish(pa.schema([*columns_of(of.config).schema, *LINEAGE_FIELDS]))
    if load.quarantine_file is not None:
        load.bucket.put(load.paths.quarantine(load_id), _of_load(load.quarantine_file, load_id))
    load.put_record(load_id)


def _of_load(quarantine: Path, load_id: str) -> Path:
    """The lines, which were written before the load had its id, with that."""
    named = quarantine.with_suffix(".named")
    with quarantine.open("rb") as lines, named.open("wb") as out:
        for line in lines:
            kept = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
            kept["load_id"] = msgspec.Raw(msgspec.json.encode(load_id))
            out.write(msgspec.json.encode(kept) + b"\n")
    return named


@dataclass
class Progress:
    """Of all windows, those that an earlier process did included."""

    windows: int
    done: int
    rows: int = 0
    failed: int = 0
    before: int = 0
    """Done when this process began."""
    begun: float = field(default_factory=time.monotonic)

    @property
    def seconds_left(self) -> float | None:
        """What the windows so far let expect; None before the first."""
        own = self.done - self.before
        if not own:
            return None
        left = self.windows - self.done - self.failed
        return (time.monotonic() - self.begun) / own * left


class BackfillReporter(Reporter):
    """From several threads, one call at a time."""

    def window_done(self, result: WindowResult, progress: Progress) -> None:
        """A window is in the landing zone."""

    def window_failed(self, window: Window, error: LandingError, progress: Progress) -> None:
        """A window is not; the others go on."""


@dataclass(frozen=True)
class BackfillResult:
    id: str
    progress: Progress
    failed: dict[Window, LandingError]
    without_cursor: int
    seconds: float
    table: TableResult | None
    """What became of the stream's table; None if it keeps none."""


def run_backfill(
    of: Subject, backfill: Backfill, reporter: BackfillReporter, workers: int
) -> BackfillResult:
    """All windows that are not done, `workers` at a time; one that fails stops no other.

    Several processes may do this at once: a window that another has begun comes last.
    """
    settle(of.bucket)
    with Converters(most_converters(), reporter.warned) as converters:
        run = _Run(of, backfill, reporter, converters)
        outcomes = side_by_side(run.if_unbegun, backfill.undone, workers)
        if run.begun_by_others:
            outcomes += side_by_side(run.window, run.begun_by_others, workers)
    for outcome in outcomes:
        if outcome is not None:  # no window's failure, but a bug
            raise outcome
    run.tidy()
    return run.result(of.update_table(waits(Stop(), run.note)))


class _Run:
    def __init__(
        self, of: Subject, backfill: Backfill, reporter: BackfillReporter, converters: Converters
    ) -> None:
        self._of = of
        self._id = backfill.id
        self._reporter = reporter
        self._converters = converters
        self._lock = threading.Lock()
        self._notes: set[str] = set()
        self._read: dict[int, int] = {}
        self._failed: dict[Window, LandingError] = {}
        self._without_cursor = 0
        self.begun_by_others: list[Window] = []
        known = len(backfill.done)
        self._progress = Progress(len(backfill.windows), known, backfill.rows, before=known)

    def if_unbegun(self, window: Window, stop: Stop) -> None:
        token = uuid.uuid4().hex.encode()
        try:
            is_ours = self._of.bucket.create(self._begun(window), token) is not None
        except BucketError as error:
            self._fail(window, error)
            return
        if is_ours:
            self.window(window, stop)
        else:
            self.begun_by_others.append(window)

    def window(self, window: Window, stop: Stop) -> None:
        of = self._of
        try:
            result = run_window(
                of.source,
                of.config.stream,
                self._id,
                window.number,
                of.bucket,
                _OfWindow(self, window),
                stop,
                self._converters,
            )
        except Exception as error:
            raise_if_interrupted(error)
            self._fail(window, error)
        else:
            self._finish(result)
        finally:
            with suppress(BucketError):  # it only says who has begun
                of.bucket.delete(self._begun(window))

    def tidy(self) -> None:
        """What processes left that were killed after they had published a window."""
        if not self._failed:
            with suppress(BucketError):
                for path in list(self._of.bucket.list(f"{self._of.paths.backfills}/{self._id}")):
                    self._of.bucket.delete(path)

    def _begun(self, window: Window) -> str:
        return self._of.paths.begun_window(self._id, window.number)

    def _fail(self, window: Window, error: Exception) -> None:
        what = f"stream '{self._of.name}', {window}"
        told = explained(self._of.source.workspace, self._of.config.source, what, error)
        if told is not error:
            told.__cause__ = error
        with self._lock:
            self._failed[window] = told
            self._progress.failed += 1
            self._reporter.window_failed(window, told, self._progress)

    def _finish(self, result: WindowResult) -> None:
        with self._lock:
            self._progress.done += 1
            self._progress.rows += result.done.rows
            self._without_cursor += result.without_cursor
            self._reporter.window_done(result, self._progress)

    def note(self, text: str) -> None:
        """Once, however many windows have it to tell."""
        with self._lock:
            if text not in self._notes:
                self._notes.add(text)
                self._reporter.note(self._of.config.stream, text)

    def read(self, window: Window, rows: int) -> None:
        with self._lock:
            self._read[window.number] = rows
            self._reporter.progress(self._of.config.stream, sum(self._read.values()))

    def result(self, table: TableResult | None) -> BackfillResult:
        return BackfillResult(
            id=self._id,
            table=table,
            progress=self._progress,
            failed=self._failed,
            without_cursor=self._without_cursor,
            seconds=time.monotonic() - self._progress.begun,
        )


@dataclass(frozen=True)
class _OfWindow(Reporter):
    """What one window tells, to the reporter of all."""

    run: _Run
    window: Window

    def note(self, stream: str, text: str) -> None:
        self.run.note(text)

    def progress(self, stream: str, rows: int) -> None:
        self.run.read(self.window, rows)
