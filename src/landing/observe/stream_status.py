"""What is known of a stream: its last run, and its problems."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, TypeAlias

import msgspec

from landing.errors import counted
from landing.observe.problems import LeaseStatus, Problem
from landing.results import Ahead, Drifted, Reason
from landing.zone.parent_cursors import ParentCursor

Verdict: TypeAlias = Literal[
    "ok",
    "running",
    "never",
    "late",
    "ahead",
    "volume",
    "quarantine",
    "failing",
    "failed",
    "died",
    "interrupted",
]


class BackfillUnderWay(msgspec.Struct, frozen=True):
    id: str
    started: datetime
    windows: int
    """0 for a backfill of fields."""
    done: int
    rows: int
    begun: int | None
    """Windows that a process has begun and not ended, by its marks in the bucket, which stay if it
    is killed. None for a backfill of fields, which makes none."""
    command: str
    """Resumes it."""

    @property
    def in_words(self) -> str:
        of = f"{self.done} of {counted(self.windows, 'window')}" if self.windows else "of fields"
        since = f"since {self.started:%Y-%m-%d %H:%M} UTC"
        rows = counted(self.rows, "row")
        if self.begun == 0:
            return (
                f"a backfill is unfinished {since}, and none of its windows is under way: {of} "
                f"landed, {rows}"
            )
        return f"a backfill is in progress {since}, {of}, {rows} so far"

    @property
    def remedy(self) -> str:
        if self.begun == 0:
            return f"`{self.command}` resumes it, and tries windows again that failed"
        return f"`{self.command}` resumes it if its process has ended"


class LastLoad(msgspec.Struct, frozen=True):
    load_id: str
    finished: datetime
    kind: str
    rows: int
    files: int
    bytes: int
    quarantined: int


class LastFailure(msgspec.Struct, frozen=True):
    finished: datetime
    error: str
    message: str
    read: int
    published: int


class StreamStatus(msgspec.Struct, frozen=True, kw_only=True):
    source: str
    stream: str
    status: Verdict | Literal["unreadable"]
    last_run: datetime | None = None
    """When a run last succeeded, even if nothing was new."""
    last_failure: LastFailure | None = None
    """A failure since the last run that landed."""
    last_load: LastLoad | None = None
    schedule: str | None = None
    due: datetime | None = None
    """When the stream is due next."""
    cursor_field: str | None = None
    cursor: Any = None
    parents: list[ParentCursor] = []
    """Where a child's parents are read from that have a cursor."""
    lag_seconds: float | None = None
    """How far the cursor is behind now, if it is a time."""
    ahead: Ahead | None = None
    """A cursor value more than a day beyond now: the cursor's own, or that of a record."""
    quarantined: int = 0
    reasons: list[Reason] = []
    """The most frequent reasons."""
    failed_run: int = 0
    """Records above the quarantine_limit, which made the last run fail."""
    lease: LeaseStatus | None = None
    backfills: list[BackfillUnderWay] = []
    drift: Drifted | None = None
    """How the source's fields differ from the config, if a run made the last load."""
    problems: list[Problem] = []

    @property
    def name(self) -> str:
        return f"{self.source}/{self.stream}"
