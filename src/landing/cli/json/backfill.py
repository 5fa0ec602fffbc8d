"""What `landing backfill --json` prints."""

from __future__ import annotations

import msgspec

from landing.cli.json.shapes import BackfillListed, BackfillPlanned, PlannedWindow
from landing.operations.backfill import Backfill, BackfillPlan, BackfillResult, Window
from landing.operations.backfill.fields import FieldsPlan
from landing.results import TableResult, shaped
from landing.zone.layout import StreamPaths


class WindowFailed(msgspec.Struct, frozen=True, kw_only=True):
    window: Window
    error: Exception


class BackfillDone(msgspec.Struct, frozen=True, kw_only=True):
    source: str
    stream: str
    id: str
    windows: int
    done: int
    rows: int
    without_cursor: int
    """Records without a cursor value, which no window has."""
    superseded: int
    """Records left out because newer versions of them have landed."""
    seconds: float
    failed: list[WindowFailed]
    table: TableResult | None


def listed(paths: StreamPaths, backfill: Backfill) -> BackfillListed:
    return shaped(
        BackfillListed,
        backfill,
        source=paths.source,
        stream=paths.stream,
        by=backfill.request.by,
        fields=backfill.request.fields,
        windows=len(backfill.windows),
        done=len(backfill.done),
    )


def planned(plan: BackfillPlan) -> BackfillPlanned:
    done = plan.earlier.done if plan.earlier is not None and plan.is_going_on else {}
    windows = zip(plan.windows, plan.handed, strict=True)
    return BackfillPlanned(
        source=plan.subject.config.source,
        stream=plan.subject.config.stream,
        windows=[
            shaped(PlannedWindow, one, asks_from=start, asks_to=end, done=str(one.number) in done)
            for one, (start, end) in windows
        ],
        fields=[],
        message=None,
        needs_again=plan.earlier is not None and not plan.is_going_on,
        warnings=plan.warnings,
    )


def planned_fields(plan: FieldsPlan) -> BackfillPlanned:
    return BackfillPlanned(
        source=plan.subject.config.source,
        stream=plan.subject.config.stream,
        windows=[],
        fields=list(plan.request.fields),
        message=str(plan),
        needs_again=False,
        warnings=[],
    )


def done(paths: StreamPaths, result: BackfillResult) -> BackfillDone:
    return shaped(
        BackfillDone,
        result,
        source=paths.source,
        stream=paths.stream,
        windows=result.progress.windows,
        done=result.progress.done,
        rows=result.progress.rows,
        failed=[WindowFailed(window=at, error=error) for at, error in result.failed.items()],
    )
