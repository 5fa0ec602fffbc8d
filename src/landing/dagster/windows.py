"""Lands a window of a stream's past as a partition. Imports the engine."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import dagster as dg

from landing.catalog.settings import bucket_settings
from landing.dagster.options import LocationOptions
from landing.dagster.reporting import RunLog
from landing.dagster.runs import reporting
from landing.dagster.streams import Stream
from landing.events import Emit, Note, RowsRead, StreamFailed
from landing.extraction.side_by_side import Stop, waits
from landing.extraction.sources import load_source
from landing.operations.backfill import (
    BackfillEvent,
    Request,
    WindowFailed,
    WindowLanded,
    WindowResult,
    begin,
    plan,
    run_backfill,
)
from landing.zone.bucket import Bucket


def land_window(
    context: dg.AssetExecutionContext,
    stream: Stream,
    options: LocationOptions,
    start: datetime,
    end: datetime,
) -> dg.MaterializeResult[Any]:
    """Lands the window again if it has landed before, and resumes one that was interrupted."""
    log = RunLog(context.log)
    with reporting(context, stream, options, log) as emit:
        bucket = Bucket(bucket_settings(options.workspace))
        source = load_source(options.workspace, stream.source)
        request = Request(
            start=start.date().isoformat(), end=end.date().isoformat(), by=options.backfill_by
        )
        planned = plan(source, stream.name, bucket, request)
        for warning in planned.warnings:
            emit(Note(stream.name, warning))
        windows = _Windows(stream.name, emit)
        waiting = waits(Stop(), lambda text: emit(Note(stream.name, text)))
        begun = begin(planned, again=True, notify=waiting)
        result = run_backfill(planned.subject, begun, windows, workers=1)
    for error in result.failed.values():
        raise error
    done = windows.done[-1].done
    return dg.MaterializeResult(
        asset_key=context.asset_key,
        data_version=dg.DataVersion(done.load_id or "nothing has landed"),
        metadata={
            "rows": done.rows,
            "quarantined": done.quarantined,
            "without_cursor": result.without_cursor,
            "superseded": result.superseded,
            "load_id": done.load_id or "none",
            "from": str(done.start),
            "to": str(done.end),
            "seconds": round(result.seconds, 3),
            "location": dg.MetadataValue.path(bucket.location(planned.subject.paths.data)),
        },
    )


class _Windows:
    """Forwards a backfill's events as those of a run."""

    def __init__(self, stream: str, emit: Emit) -> None:
        self.done: list[WindowResult] = []
        self._stream = stream
        self._emit = emit

    def __call__(self, event: BackfillEvent) -> None:
        match event:
            case Note() | RowsRead():
                self._emit(event)
            case WindowLanded(result=result):
                self.done.append(result)
            case WindowFailed(error=error):
                self._emit(StreamFailed(self._stream, error))
