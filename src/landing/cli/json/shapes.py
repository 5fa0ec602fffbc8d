"""What the verbs print with `--json`, where it is not a dataclass of the engine."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

import msgspec

from landing.catalog.stream_config import DiscoveredSchema
from landing.errors import LandingError, class_name
from landing.operations.dbt.generated import FileState
from landing.operations.selection import FieldChoice
from landing.results import Reason, TableResult
from landing.secrets import redacted

R = TypeVar("R")


class Error(msgspec.Struct, frozen=True, kw_only=True, rename={"kind": "class"}):
    """What went wrong, and what to try next."""

    kind: str
    """Of the tree in landing.errors, or `interrupted`, or `bug`."""
    message: str
    remedy: str | None
    exit_code: int

    @classmethod
    def of(cls, error: BaseException, code: int | None = None) -> Error:
        message = redacted(str(error))
        if not isinstance(error, LandingError):
            kind = "interrupted" if isinstance(error, KeyboardInterrupt) else "bug"
            return cls(kind=kind, message=message, remedy=None, exit_code=code or 1)
        return cls(
            kind=class_name(error),
            message=message,
            remedy=None if error.remedy is None else redacted(error.remedy),
            exit_code=code or error.exit_code,
        )


def plain(value: Any) -> Any:
    """What JSON has no type for: an error as an object, the rest as text."""
    return Error.of(value) if isinstance(value, BaseException) else str(value)


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """The document of a command that failed before it had one."""

    error: Error


class StreamFailed(msgspec.Struct, frozen=True, kw_only=True):
    stream: str
    error: Exception


class PlannedWindow(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    start: str | int | float
    end: str | int | float
    asks_from: Any
    asks_to: Any
    done: bool


class BackfillPlanned(msgspec.Struct, frozen=True, kw_only=True):
    """With --dry-run: the windows, or with --fields a message that says what would be done."""

    source: str
    stream: str
    windows: list[PlannedWindow]
    fields: list[str]
    message: str | None
    needs_again: bool
    """Whether the same backfill has finished before."""
    warnings: list[str]


class BackfillListed(msgspec.Struct, frozen=True, kw_only=True):
    source: str
    stream: str
    id: str
    started: datetime
    finished: datetime | None
    start: str | int | float | None
    end: str | int | float | None
    by: str | None
    fields: Sequence[str]
    windows: int
    done: int
    rows: int


class Checked(msgspec.Struct, Generic[R], frozen=True, kw_only=True):
    source: str
    passed: int
    failed: int
    skipped: int
    results: Sequence[R]


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    shell: str
    script: str


class DiscoveredStream(msgspec.Struct, frozen=True, kw_only=True):
    stream: str
    file: str
    state: Literal["new", "changed", "unchanged", "gone"]
    fields: int
    changes: Sequence[str]
    warnings: list[str]
    schema: DiscoveredSchema | None = None
    """None for a stream that is gone."""


class DiscoveryDone(msgspec.Struct, frozen=True, kw_only=True):
    source: str
    written: bool
    streams: list[DiscoveredStream]
    failed: list[StreamFailed]


class SelectedStream(msgspec.Struct, frozen=True, kw_only=True):
    """A stream config as it is after `landing select`."""

    source: str
    stream: str
    file: str
    written: bool
    """False if nothing has changed, or if no option said what to choose."""
    selected: bool
    primary_key: Sequence[str]
    cursor_field: str | None
    fields: Sequence[FieldChoice]
    changes: list[str]


class StaleStream(msgspec.Struct, frozen=True, kw_only=True):
    """A stream that is behind its schedule, or has a cursor value ahead of now."""

    source: str
    stream: str
    kind: Literal["late", "ahead"]
    message: str
    remedy: str
    due: datetime | None = None
    """None for `ahead`."""
    last: datetime | None = None
    """When a run last landed; None if none did, and for `ahead`."""


class CronJob(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    source: str
    streams: Sequence[str]
    schedule: str


class CronJobChange(msgspec.Struct, frozen=True, kw_only=True):
    change: Literal["added", "changed", "removed"]
    name: str
    details: Sequence[str]
    """What changed, in words."""


class CronJobs(msgspec.Struct, frozen=True, kw_only=True):
    folder: str
    written: bool
    jobs: list[CronJob]
    changes: list[CronJobChange]
    """Compared with what the folder had; with --check, with what it has."""
    unscheduled: Sequence[str]
    differences: Sequence[str]
    """With --check: how the folder differs."""


class DbtPackage(msgspec.Struct, frozen=True, kw_only=True):
    folder: str
    written: bool
    models: Sequence[str]
    left_out: dict[str, str]
    """Why, by `source/stream`."""
    files: Sequence[FileState]


class LoggedIn(msgspec.Struct, frozen=True, kw_only=True):
    source: str
    store: str


class NewSource(msgspec.Struct, frozen=True, kw_only=True):
    source: str
    files: list[str]
    variables: list[str]
    """Environment variables to set before the first request."""
    notes: Sequence[str]
    works: Sequence[str] = msgspec.field(default_factory=list)
    """Streams whose first pages were read."""
    failed: Sequence[str] = msgspec.field(default_factory=list)
    """What is wrong with the others that were tried, and what ended the trial."""


class NewWorkspace(msgspec.Struct, frozen=True, kw_only=True):
    folder: str
    files: list[str]
    kept: list[str]
    """Files that existed already."""
    requirement: str
    is_of_this_machine: bool
    """Whether the requirement names a path that only this machine has."""
    source: NewSource | None


class QuarantinedRecord(
    msgspec.Struct, frozen=True, kw_only=True, rename={"row_version": "_dlt_load_id"}
):
    """A line of `quarantine show`."""

    row: Any
    field: str
    reason: str
    load_id: str
    row_version: str
    """The `_dlt_load_id` that it lands with."""
    deleted: bool = False


class QuarantinedLoad(msgspec.Struct, frozen=True, kw_only=True):
    load_id: str
    records: int


class QuarantineListed(msgspec.Struct, frozen=True, kw_only=True):
    source: str
    stream: str
    records: int
    failed_run: int
    """Records for which the last run failed."""
    loads: list[QuarantinedLoad]
    reasons: list[Reason]


class QuarantineDropped(msgspec.Struct, frozen=True, kw_only=True):
    source: str
    stream: str
    records: int
    reasons: list[Reason]
    dropped: bool
    """False if the answer was no."""


class Rebuilt(msgspec.Struct, frozen=True, kw_only=True):
    source: str
    stream: str
    table: TableResult | None
    """None if the answer was no."""


class StateChanged(msgspec.Struct, frozen=True, kw_only=True):
    source: str
    stream: str
    verb: str
    message: Sequence[str]
    kept: int | None
    """The number with which `restore` undoes the change; None if nothing was changed."""
