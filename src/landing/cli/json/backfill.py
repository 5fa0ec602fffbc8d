"""What `landing backfill --json` prints."""

from __future__ import annotations

from landing.cli.json.shapes import (
    BackfillDone,
    BackfillListed,
    BackfillPlanned,
    Drawn,
    Error,
    FieldsDone,
    PlannedWindow,
    WindowFailed,
)
from landing.operations.backfill import Backfill, BackfillPlan, BackfillResult
from landing.operations.backfill.fields import FieldsPlan, FieldsResult
from landing.operations.backfill.windows import Window
from landing.zone.layout import StreamPaths


def listed(paths: StreamPaths, backfill: Backfill) -> BackfillListed:
    request = backfill.request
    return BackfillListed(
        source=paths.source,
        stream=paths.stream,
        id=backfill.id,
        started=backfill.started,
        finished=backfill.finished,
        start=backfill.start,
        end=backfill.end,
        by=request.by,
        fields=request.fields,
        windows=len(backfill.windows),
        done=len(backfill.done),
        rows=backfill.rows,
    )


def planned(plan: BackfillPlan) -> BackfillPlanned:
    done = plan.earlier.done if plan.earlier is not None and plan.is_going_on else {}
    return BackfillPlanned(
        source=plan.subject.config.source,
        stream=plan.subject.config.stream,
        windows=[
            PlannedWindow(
                number=window.number,
                start=window.start,
                end=window.end,
                asks_from=start,
                asks_to=end,
                done=str(window.number) in done,
            )
            for window, (start, end) in zip(plan.windows, plan.handed, strict=True)
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
    progress = result.progress
    return BackfillDone(
        source=paths.source,
        stream=paths.stream,
        id=result.id,
        windows=progress.windows,
        done=progress.done,
        rows=progress.rows,
        without_cursor=result.without_cursor,
        seconds=result.seconds,
        failed=[
            WindowFailed(window=_drawn(window), error=Error.of(error))
            for window, error in result.failed.items()
        ],
        table=result.table,
    )


def _drawn(window: Window) -> Drawn:
    return Drawn(number=window.number, start=window.start, end=window.end)


def fields_done(plan: FieldsPlan, result: FieldsResult) -> FieldsDone:
    return FieldsDone(
        source=plan.subject.config.source,
        stream=plan.subject.config.stream,
        fields=list(plan.request.fields),
        read=result.read,
        rows=result.rows,
        files=result.files,
        bytes=result.bytes,
        unfit=result.unfit,
        location=result.location,
        table=result.table,
    )
