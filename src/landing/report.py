"""What a run tells: results as plain data, and the protocol through which progress is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from landing.http.traffic import Traffic


class Reporter(Protocol):
    """Nothing below the command line prints; it tells one of these, from several threads."""

    def note(self, stream: str, text: str) -> None:
        """Something a person should know that is not a failure."""

    def progress(self, stream: str, rows: int) -> None:
        """Rows read so far; called once per batch."""

    def published(self, stream: str, rows: int, cursor: Any) -> None:
        """A load of a run that goes on: so many rows are in the landing zone, as is the cursor."""


@dataclass(frozen=True)
class TableResult:
    """What happened to a stream's current-state table."""

    format: str
    location: str
    is_new: bool
    """Whether all of it was written; `upserted` is then how many rows it has."""
    upserted: int
    removed: int
    keyless: int
    """Rows that are not in it, for lack of a value in their primary key."""
    misfits: dict[str, int]
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


@dataclass
class RunResult:
    """Of several streams: those that landed, and the error of each that failed."""

    landed: list[StreamResult] = field(default_factory=list)
    failed: dict[str, Exception] = field(default_factory=dict)
