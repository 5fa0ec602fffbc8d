"""What a run tells: results as plain data, and the protocol through which progress is told."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from landing.catalog.stream_config import StreamConfig
from landing.http.traffic import Attempt, Traffic

_FAILURES_KEPT = 10


@dataclass(slots=True)
class Given:
    """What a stream has given so far: counted by one thread, looked at by others."""

    pages: int = 0
    rows: int = 0


class Reporter:
    """Nothing below the command line prints; it tells one of these, from several threads.

    A reporter overrides what it cares for. What is told of one stream comes in this order.
    """

    def planned(self, streams: Sequence[str]) -> None:
        """These are going to be run."""

    def started(self, config: StreamConfig) -> None:
        """A stream's run begins."""

    def note(self, stream: str, text: str) -> None:
        """Something a person should know that is not a failure; also before `started`."""

    def drifted(self, stream: str, text: str) -> None:
        """A note of fields that the source gained or lost, or whose types changed."""
        self.note(stream, text)

    def requested(self, stream: str, attempt: Attempt) -> None:
        """One attempt at a request of the client kit has ended."""

    def delayed(self, stream: str, seconds: float) -> None:
        """A request of the client kit waits so long for its turn, by the source's pace."""

    def expected(self, stream: str, rows: int | None) -> None:
        """So many rows the API says it has; None if that was not the number of all."""

    def reading(self, stream: str, given: Given) -> None:
        """The stream is about to give its pages; `given` counts them from now on."""

    def progress(self, stream: str, rows: int) -> None:
        """Rows read so far; called once per batch."""

    def writing(self, stream: str, size: int) -> None:
        """Bytes of the part that is being written; called once per batch."""

    def began(self, stream: str, load_id: str) -> None:
        """The first rows of a load are there."""

    def written(self, stream: str, rows: int, size: int) -> None:
        """A parquet part is complete on the local disk."""

    def publishing(self, stream: str, parts: int) -> None:
        """So many parts of a load are complete, and about to be uploaded."""

    def uploaded(self, stream: str, path: str, rows: int, size: int, seconds: float) -> None:
        """A part is in the landing zone, which took so long."""

    def published(self, stream: str, rows: int, cursor: Any) -> None:
        """A load of a run that goes on: so many rows are in the landing zone, as is the cursor."""

    def updating(self, stream: str) -> None:
        """The rows are in the landing zone, and the current-state table takes them in."""

    def landed(self, result: StreamResult) -> None:
        """A stream's run is over, and all that was new is in the landing zone."""

    def failed(self, stream: str, error: Exception) -> None:
        """A stream's run is over, or its config can't be read."""

    def aborted(self, streams: Sequence[str], error: Exception) -> None:
        """None of the streams was run; those named are none if all were asked for."""

    def warned(self, text: str) -> None:
        """Something about the run as a whole that a person should know."""

    def close(self) -> None:
        """The run is over, whatever way it ended. What this raises is told, and fails nothing."""


class Reporters(Reporter):
    """All of several."""

    def __init__(self, reporters: Sequence[Reporter]) -> None:
        self._reporters = tuple(reporters)
        self._failures: deque[Exception] = deque(maxlen=_FAILURES_KEPT)

    def planned(self, streams: Sequence[str]) -> None:
        self._notify("planned", streams)

    def started(self, config: StreamConfig) -> None:
        self._notify("started", config)

    def note(self, stream: str, text: str) -> None:
        self._notify("note", stream, text)

    def drifted(self, stream: str, text: str) -> None:
        self._notify("drifted", stream, text)

    def requested(self, stream: str, attempt: Attempt) -> None:
        self._notify("requested", stream, attempt)

    def delayed(self, stream: str, seconds: float) -> None:
        self._notify("delayed", stream, seconds)

    def expected(self, stream: str, rows: int | None) -> None:
        self._notify("expected", stream, rows)

    def reading(self, stream: str, given: Given) -> None:
        self._notify("reading", stream, given)

    def progress(self, stream: str, rows: int) -> None:
        self._notify("progress", stream, rows)

    def writing(self, stream: str, size: int) -> None:
        self._notify("writing", stream, size)

    def began(self, stream: str, load_id: str) -> None:
        self._notify("began", stream, load_id)

    def written(self, stream: str, rows: int, size: int) -> None:
        self._notify("written", stream, rows, size)

    def publishing(self, stream: str, parts: int) -> None:
        self._notify("publishing", stream, parts)

    def uploaded(self, stream: str, path: str, rows: int, size: int, seconds: float) -> None:
        self._notify("uploaded", stream, path, rows, size, seconds)

    def published(self, stream: str, rows: int, cursor: Any) -> None:
        self._notify("published", stream, rows, cursor)

    def updating(self, stream: str) -> None:
        self._notify("updating", stream)

    def landed(self, result: StreamResult) -> None:
        self._notify("landed", result)

    def failed(self, stream: str, error: Exception) -> None:
        self._notify("failed", stream, error)

    def aborted(self, streams: Sequence[str], error: Exception) -> None:
        self._notify("aborted", streams, error)

    def warned(self, text: str) -> None:
        self._notify("warned", text)

    def close(self) -> None:
        self._notify("close")
        for error in tuple(self._failures):
            self.warned(str(error) or type(error).__name__)

    def _notify(self, what: str, *facts: Any) -> None:
        """A collector, gateway or disk that fails is no failure of the rows."""
        for reporter in self._reporters:
            try:
                getattr(reporter, what)(*facts)
            except Exception as error:
                self._failures.append(error)


class Heard:
    """What a stream's requests tell, to a reporter."""

    def __init__(self, reporter: Reporter, stream: str, *, counts_rows: bool) -> None:
        self._reporter = reporter
        self._stream = stream
        self._counts_rows = counts_rows
        """Whether what the API lists are the stream's rows, and not those of a parent."""

    def requested(self, attempt: Attempt) -> None:
        self._reporter.requested(self._stream, attempt)

    def delayed(self, seconds: float) -> None:
        self._reporter.delayed(self._stream, seconds)

    def expected(self, rows: int | None) -> None:
        if self._counts_rows:
            self._reporter.expected(self._stream, rows)


@dataclass(frozen=True)
class Drifted:
    """How the records that a run read differ from what its config and discovery know."""

    gained: dict[str, str] = field(default_factory=dict)
    """Fields that neither has, and the kinds of their values."""
    lost: list[str] = field(default_factory=list)
    """Fields that no record had."""
    changed: dict[str, str] = field(default_factory=dict)
    """Of fields with values of other kinds, `integer → string`."""

    def __bool__(self) -> bool:
        return bool(self.gained or self.lost or self.changed)


@dataclass(frozen=True)
class TableResult:
    """What happened to a stream's current-state table."""

    format: str
    location: str
    is_new: bool
    """Whether all of it was written; `upserted` is then how many rows it has."""
    upserted: int
    inserted: int
    """Of those upserted, the rows whose keys were not in the table; the others changed rows."""
    removed: int
    keyless: int
    """Rows that are not in it, for lack of a value in their primary key."""
    conversion_errors: dict[str, int]
    """Values of older files that don't fit the column's type of now, and are null in the table."""


@dataclass(frozen=True)
class StreamResult:
    source: str
    stream: str
    rows: int
    files: int
    bytes: int
    quarantined: int
    deleted: int
    """Of the rows, those that say that a record was deleted."""
    read_from: Any
    """Where the run began to read: behind `cursor_before`, if it looks back."""
    cursor_before: Any
    cursor_after: Any
    seconds: float
    load_ids: list[str]
    location: str
    traffic: Traffic
    """Of the client kit's sessions; a client on plain `requests` is not counted."""
    table: TableResult | None = None
    """None for a stream that keeps none."""
    read: int = 0
    """Records that the stream gave, those that were known already among them."""
    drift: Drifted = field(default_factory=Drifted)


@dataclass
class RunResult:
    """Of several streams: those that landed, and the error of each that failed."""

    landed: list[StreamResult] = field(default_factory=list)
    failed: dict[str, Exception] = field(default_factory=dict)
