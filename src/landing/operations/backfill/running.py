"""Runs all windows of a backfill, several at a time."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from msgspec import Struct

from landing.errors import BucketError, LandingError, counted
from landing.events import Event, Note, RowsRead
from landing.extraction.failures import raise_if_interrupted
from landing.extraction.side_by_side import Stop, side_by_side
from landing.extraction.warm_up import settle
from landing.operations.backfill.publishing import WindowResult, run_window
from landing.operations.backfill.record import Backfill
from landing.operations.backfill.subject import BackfilledStream, message_if_table_fails
from landing.operations.backfill.windows import Window
from landing.results import TableResult


@dataclass
class Progress:
    """Counts over all windows, including those that an earlier process landed."""

    windows: int
    done: int
    rows: int = 0
    failed: int = 0
    before: int = 0
    """Windows that were done when this process began."""
    begun: float = field(default_factory=time.monotonic)

    @property
    def seconds_left(self) -> float | None:
        """Estimated from the windows so far; None before the first is done."""
        own = self.done - self.before
        if not own:
            return None
        left = self.windows - self.done - self.failed
        return (time.monotonic() - self.begun) / own * left


class WindowLanded(Struct, frozen=True):
    """A window is in the landing zone."""

    result: WindowResult
    progress: Progress


class WindowFailed(Struct, frozen=True):
    """A window is not in the landing zone; the others go on."""

    window: Window
    error: LandingError
    progress: Progress


BackfillEvent: TypeAlias = Event | WindowLanded | WindowFailed
EmitBackfill: TypeAlias = Callable[[BackfillEvent], None]
"""Called from several threads, but never concurrently."""


@dataclass(frozen=True)
class BackfillResult:
    id: str
    progress: Progress
    failed: dict[Window, LandingError]
    without_cursor: int
    superseded: int
    """Rows that did not land because newer versions of their records have landed."""
    seconds: float
    table: TableResult | None
    """The update of the stream's table; None if it keeps none."""


def run_backfill(
    of: BackfilledStream, backfill: Backfill, emit: EmitBackfill, workers: int
) -> BackfillResult:
    """Run all windows that are not done, `workers` at a time; one that fails does not stop others.

    Several processes may run this at once; windows that another process has begun come last.
    """
    settle(of.bucket, min(workers, len(backfill.undone)))
    run = _Run(of, backfill, emit)
    outcomes = side_by_side(run.if_unbegun, backfill.undone, workers)
    if run.begun_by_others:
        outcomes += side_by_side(run.window, run.begun_by_others, workers)
    for outcome in outcomes:
        if outcome is not None:  # a bug: a failed window returns None
            raise outcome
    run.tidy()
    with message_if_table_fails(of, emit, run.message()):
        table = of.update_table(of.waiting(Stop(), emit))
    return run.result(table)


class _Run:
    def __init__(self, of: BackfilledStream, backfill: Backfill, emit: EmitBackfill) -> None:
        self._of = of
        self._id = backfill.id
        self._emit = emit
        self._lock = threading.Lock()
        self._notes: set[str] = set()
        self._read: dict[int, int] = {}
        self._failed: dict[Window, LandingError] = {}
        self._without_cursor = 0
        self._superseded = 0
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
                partial(self._collect, window),
                stop,
            )
        except Exception as error:
            raise_if_interrupted(error)
            self._fail(window, error)
        else:
            self._finish(result)
        finally:
            with suppress(BucketError):  # the marker only affects the order of windows
                of.bucket.delete(self._begun(window))

    def tidy(self) -> None:
        """Delete the markers of processes that were killed after publishing a window."""
        if not self._failed:
            with suppress(BucketError):
                for path in list(self._of.bucket.list(f"{self._of.paths.backfills}/{self._id}")):
                    self._of.bucket.delete(path)

    def _begun(self, window: Window) -> str:
        return self._of.paths.begun_window(self._id, window.number)

    def _fail(self, window: Window, error: Exception) -> None:
        message = self._of.source.explained(self._of.config.stream, error, f", {window}")
        if message is not error:
            message.__cause__ = error
        with self._lock:
            self._failed[window] = message
            self._progress.failed += 1
            self._emit(WindowFailed(window, message, self._progress))

    def _finish(self, result: WindowResult) -> None:
        with self._lock:
            self._progress.done += 1
            self._progress.rows += result.done.rows
            self._without_cursor += result.without_cursor
            self._superseded += result.done.superseded
            self._emit(WindowLanded(result, self._progress))

    def _collect(self, window: Window, event: Event) -> None:
        """Forward a window's events: each note once for all windows, and the sum of rows read."""
        with self._lock:
            match event:
                case Note(text=text) if text not in self._notes:
                    self._notes.add(text)
                    self._emit(event)
                case RowsRead(stream=stream, rows=rows):
                    self._read[window.number] = rows
                    self._emit(RowsRead(stream, sum(self._read.values())))

    def message(self) -> Iterator[str]:
        """What landed and what failed, for a person who gets no result."""
        progress = self._progress
        windows, rows = counted(progress.windows, "window"), counted(progress.rows, "row")
        yield f"{progress.done:,} of {windows} landed, {rows}"
        yield from map(str, self._failed.values())

    def result(self, table: TableResult | None) -> BackfillResult:
        return BackfillResult(
            id=self._id,
            table=table,
            progress=self._progress,
            failed=self._failed,
            without_cursor=self._without_cursor,
            superseded=self._superseded,
            seconds=time.monotonic() - self._progress.begun,
        )
