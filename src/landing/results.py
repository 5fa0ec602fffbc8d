"""What came of a run, as plain data."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Traffic:
    """Requests made through the client kit, retries and redirects included."""

    requests: int = 0
    retries: Counter[str] = field(default_factory=Counter)
    """By cause: a status such as "429", or the name of what went wrong."""
    pacing_seconds: float = 0.0
    """Waited for rate limiters, summed over all threads."""
    retry_seconds: float = 0.0
    """Waited between a failed attempt and the next, summed over all threads."""
    bytes: int = 0
    """Of bodies, as they came over the network."""

    def __str__(self) -> str:
        """`12 requests, 3 retries (429), waited 4.2 s for pacing`; empty if there were none."""
        if not self.requests:
            return ""
        message = [f"{self.requests:,} request{'s' if self.requests != 1 else ''}"]
        if count := self.retries.total():
            causes = ", ".join(f"{cause} ×{n}" if n > 1 else cause for cause, n in self._causes())
            message.append(f"{count:,} {'retries' if count != 1 else 'retry'} ({causes})")
        waits = ((self.pacing_seconds, "for pacing"), (self.retry_seconds, "to retry"))
        message += [f"waited {seconds:.1f} s {why}" for seconds, why in waits if seconds >= 0.05]
        return ", ".join(message)

    def _causes(self) -> list[tuple[str, int]]:
        if len(self.retries) == 1:  # its number is that of all retries
            return [(cause, 1) for cause in self.retries]
        return self.retries.most_common()


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
