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
    from landing.loadlog import LoadRecord

HELP = "a stream's loads, the newest first: rows, files, cursor, quarantine"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "From the records that loads leave in the bucket; a run that found nothing new leaves "
        "none. Earlier states are listed by `landing state history`, columns by "
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
    from landing.known import check_known
    from landing.layout import StreamPaths
    from landing.loadlog import load_records

    check_name(options.source, "source")
    check_name(options.stream, "stream")
    bucket = Bucket(bucket_settings(workspace))
    paths = StreamPaths(options.source, options.stream)
    check_known(workspace, bucket, paths)
    records = load_records(bucket, paths, options.limit)
    if options.json:
        print(json.dumps([_as_json(record) for record in records], indent=1, ensure_ascii=False))
    elif not records:
        print(
            f"{paths.data}: no load yet; `landing run {paths.source} {paths.stream}` lands "
            "what there is"
        )
    else:
        print(f"{paths.data}: loads, the newest first")
        width = terminal_width()
        for record in records:
            for line in _lines(record):
                print(hanging(printable(line), 4, width))
    return 0


def _as_json(record: LoadRecord) -> dict[str, Any]:
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


def _lines(record: LoadRecord) -> Iterator[str]:
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
