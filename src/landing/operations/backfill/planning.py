"""Plans a backfill's windows, and creates the record from which any process can run them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from landing.errors import UsageError
from landing.extraction.dlt_bridge import parents_of
from landing.extraction.sources import Source
from landing.operations.backfill.reading import asks_for_all
from landing.operations.backfill.record import Backfill
from landing.operations.backfill.subject import BackfilledStream, subject
from landing.operations.backfill.windows import Bound, Cursor, Request, Window, windows_of
from landing.zone.bucket import Bucket
from landing.zone.state import stored_cursor


@dataclass(frozen=True)
class BackfillPlan:
    """What a backfill would do."""

    subject: BackfilledStream
    request: Request
    windows: list[Window]
    handed: list[tuple[Any, Any]]
    """The `initial_value` and `end_value` that the stream gets for each window."""
    earlier: Backfill | None
    """The last backfill of the same request; if it has not finished, this one resumes it."""
    warnings: list[str]

    @property
    def is_going_on(self) -> bool:
        return self.earlier is not None and self.earlier.finished is None

    @property
    def bounds(self) -> tuple[Bound, Bound]:
        return self.windows[0].start, self.windows[-1].end


def plan(source: Source, stream: str, bucket: Bucket, request: Request) -> BackfillPlan:
    """Plan the windows of a request. Raises UsageError if it does not suit the stream."""
    of = subject(source, stream, bucket)
    cursor = of.cursor()
    request = _complete(request, cursor)
    earlier = of.records.last_of(request)
    if earlier is not None and earlier.finished is None:
        windows = earlier.windows
    else:
        assert request.by is not None, "it is complete"
        windows = windows_of(*bounds_of(of, cursor, request), request.by, request.step)
    warnings = []
    if asks_for_all(of.resource):
        reads = "it is read as a whole"
        if any(parents_of(of.resource)):
            reads = "the children of all parents are requested"
        warnings.append(f"takes no cursor: {reads} for each window")
    handed = [
        (cursor.handed(window.start), cursor.handed(window.end, is_end=True)) for window in windows
    ]
    return BackfillPlan(of, request, windows, handed, earlier, warnings)


def _complete(request: Request, cursor: Cursor) -> Request:
    """The request with defaults that depend on the cursor's type."""
    by = request.by or ("ids" if cursor.is_number else "month")
    if cursor.is_number and by != "ids":
        raise UsageError(
            f"--by {by} is for times, but cursor '{cursor.name}' is a number: use --by ids"
        )
    if not cursor.is_number and by == "ids":
        raise UsageError(
            f"--by ids is for numbers, but cursor '{cursor.name}' is a time: use day, week or month"
        )
    if (request.step is None) == (by == "ids"):
        raise UsageError(
            "--by ids needs a --step, how far a window reaches"
            if by == "ids"
            else f"--step is for --by ids; windows by {by} are as long as a {by}"
        )
    if request.start is None:
        raise UsageError("--from is missing: set the start of the first window")
    return msgspec.structs.replace(request, by=by)


def bounds_of(of: BackfilledStream, cursor: Cursor, request: Request) -> tuple[Bound, Bound]:
    """Start and end of the request; without `end`, it ends at the live cursor."""
    assert request.start is not None, "checked before"
    start = cursor.bound("--from", request.start)
    if request.end is not None:
        return start, cursor.bound("--to", request.end)
    end = cursor.present(stored_cursor(of.bucket, of.paths, cursor.name))
    if end is None:
        raise UsageError(f"--to is missing: {of.name} has not run yet, so its last id is unknown")
    return start, end


def begin(planned: BackfillPlan, *, again: bool = False, notify: Callable[[str], None]) -> Backfill:
    """Create the backfill's record, from which any process can run its windows.

    `notify` is called repeatedly while it waits for a run that is under way. Raises UsageError if
    the same backfill has finished before, unless `again` is set.
    """
    of = planned.subject
    of.check_table()
    begun = planned.earlier
    if begun is None or (begun.finished is not None and again):
        begun = of.records.begin(
            planned.request, planned.bounds, len(planned.windows), of.lease(notify), again=again
        )
    if begun.finished is not None:
        raise finished(begun)
    return begun


def finished(backfill: Backfill) -> UsageError:
    return UsageError(
        f"the same backfill has finished ({backfill.id}, {backfill.finished:%Y-%m-%d %H:%M} UTC, "
        f"{backfill.rows:,} rows); pass --again to read everything once more"
    )
