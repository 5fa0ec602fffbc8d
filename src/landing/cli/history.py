"""`landing history`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from landing.cli.grid import hanging, terminal_width
from landing.cli.output import counted, positive, printable, sized
from landing.workspace import Workspace, bucket_settings

if TYPE_CHECKING:
    from landing.failurelog import FailedRun
    from landing.loadlog import LoadRecord

_KEYS = (
    *("load_id", "kind", "sync_mode", "started", "finished", "seconds", "read", "rows", "deleted"),
    *("files", "bytes", "quarantined", "read_from", "cursor_before", "cursor_after", "backfill"),
    *("from_quarantine", "error", "message"),
)

HELP = "a stream's loads and failed runs, the newest first"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "From the records that loads and failed runs leave in the bucket; a run that found nothing "
        "new leaves none. Earlier states are listed by `landing state history`, columns by "
        "`landing schema --history`."
    )
    parser.add_argument("source", metavar="SOURCE")
    parser.add_argument("stream", metavar="STREAM")
    parser.add_argument(
        "--limit", type=positive, default=20, metavar="N", help="at most so many (default 20)"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON array instead")


def call(options: argparse.Namespace, workspace: Workspace) -> int:
    from landing.bucket import Bucket
    from landing.catalog import check_name
    from landing.failurelog import failed_runs
    from landing.known import check_known
    from landing.layout import StreamPaths
    from landing.loadlog import load_records

    check_name(options.source, "source")
    check_name(options.stream, "stream")
    bucket = Bucket(bucket_settings(workspace))
    paths = StreamPaths(options.source, options.stream)
    check_known(workspace, bucket, paths)
    loads = load_records(bucket, paths, options.limit)
    failed = failed_runs(bucket, paths, options.limit)
    records: list[LoadRecord | FailedRun] = [*loads, *failed]
    records = sorted(records, key=lambda one: one.finished, reverse=True)[: options.limit]
    if options.json:
        found = [_as_json(record) for record in records]
        print(json.dumps(found, indent=1, ensure_ascii=False))
    elif not records:
        print(
            f"{paths.data}: no load yet; `landing run {paths.source} {paths.stream}` lands "
            "what there is"
        )
    else:
        print(f"{paths.data}: loads and failed runs, the newest first")
        width = terminal_width()
        for record in records:
            for line in _lines(record):
                print(hanging(printable(line), 4, width))
    return 0


def _as_json(record: LoadRecord | FailedRun) -> dict[str, Any]:
    known = _of_failed(record) if record.kind == "failed" else _of_load(record)
    return {**dict.fromkeys(_KEYS), **known}


def _of_failed(run: FailedRun) -> dict[str, Any]:
    return {
        "kind": "failed",
        "started": None if run.started is None else run.started.isoformat(),
        "finished": run.finished.isoformat(),
        "seconds": run.seconds,
        "read": run.read,
        "rows": run.published,
        "error": run.error,
        "message": run.message,
    }


def _of_load(record: LoadRecord) -> dict[str, Any]:
    return {
        "load_id": record.load_id,
        "kind": record.kind,
        "sync_mode": record.sync_mode,
        "started": None if record.started is None else record.started.isoformat(),
        "finished": record.finished.isoformat(),
        "seconds": record.seconds,
        "rows": record.rows,
        "deleted": record.deleted,
        "files": len(record.files),
        "bytes": record.bytes,
        "quarantined": record.quarantined,
        "read_from": record.read_from,
        "cursor_before": record.cursor_before,
        "cursor_after": record.cursor_after,
        "backfill": record.backfill,
        "from_quarantine": record.from_quarantine,
    }


def _lines(record: LoadRecord | FailedRun) -> Iterator[str]:
    return _lines_of_failed(record) if record.kind == "failed" else _lines_of_load(record)


def _lines_of_failed(run: FailedRun) -> Iterator[str]:
    after = "" if run.seconds is None else f" after {run.seconds:,.1f} s"
    read = f", {counted(run.read, 'record')} read" if run.read else ""
    landed = f", {counted(run.published, 'row')} landed" if run.published else ""
    yield f"  {run.finished:%Y-%m-%d %H:%M} UTC  failed{after}{read}{landed}"
    yield f"    {run.error}: {run.message}"


def _lines_of_load(record: LoadRecord) -> Iterator[str]:
    brought = f"{counted(record.rows, 'row')} in {counted(len(record.files), 'file')}"
    took = "" if record.seconds is None else f", {record.seconds:,.1f} s"
    when = f"{record.finished:%Y-%m-%d %H:%M} UTC"
    yield f"  {when}  {record.load_id}  {brought}, {sized(record.bytes)}{took}"
    if more := "; ".join(_more(record)):
        yield f"    {more}"


def _more(record: LoadRecord) -> Iterator[str]:
    if record.backfill is not None:
        fields = record.backfill.get("fields")
        what = f"fields {', '.join(fields)}" if fields else _window(record.backfill)
        yield f"backfill of {what}"
    elif record.from_quarantine:
        yield f"from quarantine, of {counted(len(record.from_quarantine), 'load')}"
    elif record.sync_mode == "full_refresh":
        yield "full refresh"
    if record.cursor_after is not None:
        before = "the start" if record.cursor_before is None else record.cursor_before
        yield f"cursor {before} → {record.cursor_after}"
    if record.deleted:
        yield f"{counted(record.deleted, 'row')} of them deleted"
    if record.quarantined:
        yield f"{record.quarantined:,} in quarantine"


def _window(backfill: dict[str, Any]) -> str:
    return f"{backfill.get('from')} … {backfill.get('to')}"
