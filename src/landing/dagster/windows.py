"""A window of a stream's past, landed as a partition. Imports the engine."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import dagster as dg

from landing.catalog.workspace import bucket_settings
from landing.dagster.options import LocationOptions
from landing.dagster.outcomes import Context
from landing.dagster.reporting import RunLog
from landing.dagster.runs import reporting
from landing.dagster.streams import Stream
from landing.errors import LandingError
from landing.events import Reporter
from landing.extraction.side_by_side import Stop, waits
from landing.extraction.sources import load_source
from landing.operations.backfill import (
    BackfillReporter,
    Progress,
    Request,
    Window,
    WindowResult,
    begin,
    plan,
    run_backfill,
)
from landing.zone.bucket import Bucket


def land_window(
    context: Context, stream: Stream, options: LocationOptions, start: datetime, end: datetime
) -> dg.MaterializeResult[Any]:
    """Once more, if it has landed before; one that was begun and not finished goes on."""
    log = RunLog(context.log)
    with reporting(context, stream, options, log) as reporter:
        bucket = Bucket(bucket_settings(options.workspace))
        source = load_source(options.workspace, stream.source)
        request = Request(
            start=start.date().isoformat(), end=end.date().isoformat(), by=options.backfill_by
        )
        planned = plan(source, stream.name, bucket, request)
        for warning in planned.warnings:
            reporter.note(stream.name, warning)
        windows = _Windows(stream.name, reporter)
        waiting = waits(Stop(), lambda text: reporter.note(stream.name, text))
        begun = begin(planned, again=True, notify=waiting)
        result = run_backfill(planned.subject, begun, windows, workers=1)
    for error in result.failed.values():
        raise error
    done = windows.done[-1].done
    return dg.MaterializeResult(
        asset_key=stream.backfill_key,
        metadata={
            "rows": done.rows,
            "quarantined": done.quarantined,
            "without_cursor": result.without_cursor,
            "load_id": done.load_id or "none",
            "from": str(done.start),
            "to": str(done.end),
            "seconds": round(result.seconds, 3),
            "location": dg.MetadataValue.path(bucket.location(planned.subject.paths.data)),
        },
    )


class _Windows(BackfillReporter):
    """What the windows tell, told as of a run."""

    def __init__(self, stream: str, reporter: Reporter) -> None:
        self.done: list[WindowResult] = []
        self._stream = stream
        self._reporter = reporter

    def note(self, stream: str, text: str) -> None:
        self._reporter.note(stream, text)

    def progress(self, stream: str, rows: int) -> None:
        self._reporter.progress(stream, rows)

    def window_done(self, result: WindowResult, progress: Progress) -> None:
        self.done.append(result)

    def window_failed(self, window: Window, error: LandingError, progress: Progress) -> None:
        self._reporter.failed(self._stream, error)
