"""The results of a run, as plain data."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

S = TypeVar("S")


def shaped(shape: type[S], of: object, **others: Any) -> S:
    """A msgspec struct or dataclass with `others`, and else the attributes of the same names."""
    names = set(getattr(shape, "__struct_fields__", vars(shape).get("__dataclass_fields__", ())))
    names -= others.keys()
    return shape(**{name: getattr(of, name) for name in names if hasattr(of, name)}, **others)


AHEAD = timedelta(days=1)
"""A cursor value so far beyond the source's time is a mistake in the record, and no matter of
clocks and time zones."""


ENOUGH = 100
"""Records that have to lack a field before it counts as lost; as many as discovery samples."""


@dataclass
class Traffic:
    """The requests of the client kit, retries and redirects included."""

    requests: int = 0
    retries: Counter[str] = field(default_factory=Counter)
    """Count by cause: a status such as "429", or the name of the error."""
    pacing_seconds: float = 0.0
    """Seconds waited for rate limiters, summed over all threads."""
    retry_seconds: float = 0.0
    """Seconds waited before retries, summed over all threads."""
    bytes: int = 0
    """Size of the response bodies as transferred, before decompression."""

    @property
    def figures(self) -> dict[str, int | float]:
        """Its numbers by the names that logs and metadata give them."""
        return {
            "requests": self.requests,
            "retries": self.retries.total(),
            "pacing_seconds": round(self.pacing_seconds, 3),
            "retry_seconds": round(self.retry_seconds, 3),
        }

    def __str__(self) -> str:
        """`12 requests, 3 retries (429), waited 4.2 s for pacing`; empty without requests."""
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
        if len(self.retries) == 1:  # its count is the total already
            return [(cause, 1) for cause in self.retries]
        return self.retries.most_common()


@dataclass(frozen=True)
class Drifted:
    """How the records of a run differ from the fields that its config and discovery know."""

    gained: dict[str, str] = field(default_factory=dict)
    """Fields that neither has, with the types of their values."""
    lost: list[str] = field(default_factory=list)
    """Fields that were in no record."""
    changed: dict[str, str] = field(default_factory=dict)
    """Fields whose values have another type, as `integer → string`."""

    def __bool__(self) -> bool:
        return bool(self.gained or self.lost or self.changed)


@dataclass(frozen=True)
class Reason:
    """Why records are in quarantine, or would be."""

    field: str
    reason: str
    records: int


def most_common(counts: Counter[tuple[str, str]], most: int | None = None) -> list[Reason]:
    """The reasons by how many records have them."""
    return [Reason(*of, count) for of, count in counts.most_common(most)]


@dataclass(frozen=True)
class TableResult:
    """How a stream's current-state table changed."""

    format: str
    location: str
    is_new: bool
    """Whether the whole table was written; `upserted` is then its number of rows."""
    upserted: int
    inserted: int
    """Upserted rows whose keys were new to the table; the others changed existing rows."""
    removed: int
    keyless: int
    """Rows left out of the table because their primary key has a null."""
    conversion_errors: dict[str, int]
    """Values of older files by column that don't fit its current type and are null in the table."""


@dataclass(frozen=True)
class Ahead:
    """A cursor value more than a day beyond the source's time."""

    field: str
    value: Any
    is_cursor: bool
    """Whether the cursor itself is there, so that what is new is not requested; else it is a
    record's value, which the cursor does not follow."""
    is_new: bool = True
    """Whether no earlier run has seen that value."""
    parent: str | None = None
    """Whose cursor it is, if it is that of a child's parent."""

    @property
    def name(self) -> str:
        return self.field if self.parent is None else f"{self.field} of the parent {self.parent}"

    def remedy(self, source: str, stream: str) -> str:
        """The command that puts the cursor back."""
        parent = "" if self.parent is None else f" --parent {self.parent}"
        return f"`landing state set {source} {stream}{parent} --cursor VALUE`"


@dataclass(frozen=True, kw_only=True)
class StreamFigures:
    """What a run did for a stream; all of it 0 or empty if the run failed."""

    source: str
    stream: str
    read: int = 0
    """Records that the stream returned, including those that had landed before."""
    rows: int = 0
    deleted: int = 0
    """Rows that mark a record as deleted; included in `rows`."""
    quarantined: int = 0
    gone: int = 0
    """Children of a parent that the API no longer has, and that were skipped."""
    files: int = 0
    bytes: int = 0
    read_from: Any = None
    """The cursor value from which the run read: `cursor_before` minus the lookback."""
    cursor_before: Any = None
    cursor_after: Any = None
    load_ids: list[str] = field(default_factory=list)
    below_cursor: int = 0
    """Rows that were left out because they are below the value from which the run read."""
    known: int = 0
    """Rows that had landed before, unchanged, and did not land again."""
    repeated: int = 0
    """Rows whose primary key the stream had already given in this run. Each is a version of its
    record and is included in `rows`."""
    ahead: Ahead | None = None
    unexpected: list[str] = field(default_factory=list)
    """How the number of rows differs from what `expect` in the stream config says, or from the
    rows of earlier runs."""
    table: TableResult | None = None
    """None if the stream keeps no table."""


@dataclass(frozen=True, kw_only=True)
class StreamResult(StreamFigures):
    seconds: float
    location: str
    traffic: Traffic
    """Counts the client kit's sessions, not plain `requests`."""
    drift: Drifted = field(default_factory=Drifted)

    @property
    def in_words(self) -> str:
        quarantined = f", {self.quarantined:,} to quarantine" if self.quarantined else ""
        if not (self.files or quarantined):
            return "nothing new"
        return f"{self.rows:,} rows landed{quarantined}"

    @property
    def counts(self) -> dict[str, int]:
        """What landed and what did not, by the names that logs, metadata and spans give it."""
        return {
            "rows": self.rows,
            "files": self.files,
            "bytes": self.bytes,
            "quarantined": self.quarantined,
            "deleted": self.deleted,
            "gone": self.gone,
            "below_cursor": self.below_cursor,
            "known": self.known,
            "repeated": self.repeated,
        }


@dataclass
class RunResult:
    """The result of several streams: those that landed, and the error of each that failed."""

    landed: list[StreamResult] = field(default_factory=list)
    failed: dict[str, Exception] = field(default_factory=dict)
