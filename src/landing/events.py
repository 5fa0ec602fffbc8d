"""What happens in a run, as events for one callable.

Nothing below the command line and Dagster prints: it emits events. A consumer is a callable that
matches those it cares for. It is called from several threads; events of one stream come in the
order in which their classes stand here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from msgspec import Struct

from landing.results import StreamResult

_FAILURES_KEPT = 10


class ReadCounts(Struct):
    """What a stream has given so far: counted by one thread, read by others."""

    pages: int = 0
    rows: int = 0


class StreamEvent(Struct, frozen=True):
    """Of one stream of the run."""

    stream: str


class RunPlanned(Struct, frozen=True):
    """These streams are going to be run."""

    streams: Sequence[str]


class StreamStarted(StreamEvent, frozen=True):
    source: str
    sync_mode: str
    cron: str | None
    """The stream's schedule; None if it has none."""
    timezone: str | None


class Note(StreamEvent, frozen=True):
    """Something a person should know that is not a failure; may come before `StreamStarted`."""

    text: str


class DriftNote(Note, frozen=True):
    """Of fields that the source gained or lost, or whose types changed."""


class RequestMade(StreamEvent, frozen=True):
    """One attempt at a request of the client kit has ended."""

    method: str
    url: str
    """With its query, which may hold secrets: never show it as it is."""
    status: int | None
    """None if there was no response."""
    seconds: float
    """Without the wait for the rate limiter."""
    paced: float
    """Seconds of that wait."""
    retried: str | None
    """Why the request is sent again, as in `Traffic.retries`; None if this was the last attempt."""
    retry_wait: float = 0.0
    """Seconds until the next attempt."""
    size: int = 0
    """Bytes of the body, as they came over the network."""


class RequestDelayed(StreamEvent, frozen=True):
    seconds: float
    """A request of the client kit waits this long for the rate limiter."""


class TotalExpected(StreamEvent, frozen=True):
    rows: int | None
    """That the API says it has; None if that turned out not to be the total."""


class ReadingStarted(StreamEvent, frozen=True):
    """The stream is about to give its pages; `counts` goes up as they come."""

    counts: ReadCounts


class RowsRead(StreamEvent, frozen=True):
    rows: int
    """Since the stream began; once per batch."""


class LoadStarted(StreamEvent, frozen=True):
    """The first rows of a load are there."""

    load_id: str


class PartGrowing(StreamEvent, frozen=True):
    size: int
    """Bytes so far of the part that is being written; once per batch."""


class PartWritten(StreamEvent, frozen=True):
    """A parquet part is complete on the local disk."""

    rows: int
    size: int


class PublishingStarted(StreamEvent, frozen=True):
    """All parts of a load are complete, and about to be uploaded."""

    parts: int


class PartUploaded(StreamEvent, frozen=True):
    """A part is in the landing zone; uploading it took `seconds`."""

    path: str
    rows: int
    size: int
    seconds: float


class LoadPublished(StreamEvent, frozen=True):
    """A load is in the landing zone with its cursor, and the run goes on with another load."""

    rows: int
    cursor: Any


class TableUpdating(StreamEvent, frozen=True):
    """The rows are in the landing zone, and the current-state table takes them in."""


class StreamLanded(StreamEvent, frozen=True):
    """A stream's run is over, and all that was new is in the landing zone."""

    result: StreamResult


class StreamFailed(StreamEvent, frozen=True):
    """A stream's run is over, or its config can't be read."""

    error: Exception


class RunAborted(Struct, frozen=True):
    """No stream was run. `streams` are those named; empty if the run was of all."""

    streams: Sequence[str]
    error: Exception


class RunWarning(Struct, frozen=True):
    """Something about the run as a whole that a person should know."""

    text: str


class RunEnded(Struct, frozen=True):
    """The run is over, whatever way it ended. Consumers send what they still have."""


Event: TypeAlias = StreamEvent | RunPlanned | RunAborted | RunWarning | RunEnded
Emit: TypeAlias = Callable[[Event], None]


def ignore(event: Event) -> None:
    """The consumer where nobody watches."""


class FanOut:
    """Passes each event to several consumers. A collector, gateway or disk that fails does not
    fail the rows: what consumers raised is emitted as warnings at the run's end."""

    def __init__(self, consumers: Sequence[Emit]) -> None:
        self._consumers = tuple(consumers)
        self._failures: deque[Exception] = deque(maxlen=_FAILURES_KEPT)

    def __call__(self, event: Event) -> None:
        for consumer in self._consumers:
            try:
                consumer(event)
            except Exception as error:
                self._failures.append(error)
        if isinstance(event, RunEnded):
            for failure in tuple(self._failures):
                self(RunWarning(str(failure) or type(failure).__name__))
