"""The events of a run.

Only the command line and Dagster print; everything below them emits events. A consumer is a
callable that matches the events it needs. It is called from several threads. The events of one
stream come in the order in which their classes are defined here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from msgspec import Struct

from landing.results import StreamResult

_FAILURES_KEPT = 10


class ReadCounts(Struct):
    """What a stream has returned so far. One thread counts, others read."""

    pages: int = 0
    rows: int = 0


class StreamEvent(Struct, frozen=True):
    """An event of one stream of the run."""

    stream: str


class RunPlanned(Struct, frozen=True):
    """These streams are about to run."""

    streams: Sequence[str]


class StreamStarted(StreamEvent, frozen=True):
    source: str
    sync_mode: str
    cron: str | None
    """The stream's schedule; None if it has none."""
    timezone: str | None


class Note(StreamEvent, frozen=True):
    """Something worth knowing that is not a failure; may come before `StreamStarted`."""

    text: str


class DriftNote(Note, frozen=True):
    """The source has gained or lost fields, or changed their types."""


class PredecessorDied(Note, frozen=True):
    """The process before this run has ended without giving its lease back, as after SIGKILL: it
    could leave no record."""

    renewed: datetime
    """When it last renewed the lease, by the bucket's clock."""


class RequestMade(StreamEvent, frozen=True):
    """An attempt of a client kit request has ended."""

    method: str
    url: str
    """With its query, which may contain secrets: redact it before it is shown."""
    status: int | None
    """None if there was no response."""
    seconds: float
    """Duration of the attempt, without the wait for the rate limiter."""
    paced: float
    """Seconds waited for the rate limiter."""
    retried: str | None
    """Cause of the retry, as in `Traffic.retries`; None if this was the last attempt."""
    retry_wait: float = 0.0
    """Seconds until the next attempt."""
    size: int = 0
    """Bytes of the body as transferred, before decompression."""


class RequestDelayed(StreamEvent, frozen=True):
    """A request of the client kit is going to wait for the rate limiter."""

    seconds: float


class TotalExpected(StreamEvent, frozen=True):
    rows: int | None
    """As reported by the API; None if that number turned out not to be the total."""


class ReadingStarted(StreamEvent, frozen=True):
    """The stream is about to return pages. `counts` grows with each page."""

    counts: ReadCounts


class RowsRead(StreamEvent, frozen=True):
    rows: int
    """Total since the stream began; emitted once per batch."""


class LoadStarted(StreamEvent, frozen=True):
    """The first rows of a load were read."""

    load_id: str


class PartGrowing(StreamEvent, frozen=True):
    size: int
    """Bytes so far of the part that is being written; emitted once per batch."""


class PartWritten(StreamEvent, frozen=True):
    """A parquet part is complete on the local disk."""

    rows: int
    size: int


class PublishingStarted(StreamEvent, frozen=True):
    """All parts of a load are complete and about to be uploaded."""

    parts: int


class PartUploaded(StreamEvent, frozen=True):
    """A part is in the landing zone; uploading it took `seconds`."""

    path: str
    rows: int
    size: int
    seconds: float


class LoadPublished(StreamEvent, frozen=True):
    """A load and its cursor are in the bucket, and the run continues with another load."""

    rows: int
    cursor: Any


class TableUpdating(StreamEvent, frozen=True):
    """The rows have landed, and the current-state table is being updated."""


class StreamLanded(StreamEvent, frozen=True):
    """A stream's run has ended, and everything new has landed."""

    result: StreamResult


class StreamFailed(StreamEvent, frozen=True):
    """A stream's run has failed, or its config can't be read."""

    error: Exception


class RunAborted(Struct, frozen=True):
    """No stream ran. `streams` are those named; empty if all were to run."""

    streams: Sequence[str]
    error: Exception


class RunWarning(Struct, frozen=True):
    """Something about the run as a whole that is worth knowing."""

    text: str


class RunEnded(Struct, frozen=True):
    """The run has ended, successfully or not. Consumers send what they still have."""


Event: TypeAlias = StreamEvent | RunPlanned | RunAborted | RunWarning | RunEnded
Emit: TypeAlias = Callable[[Event], None]


def ignore(event: Event) -> None:
    """A consumer that does nothing."""


class FanOut:
    """Passes each event to several consumers.

    A consumer that fails (a collector, gateway or disk) does not fail the run: its errors are
    emitted as warnings at the end of the run."""

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
