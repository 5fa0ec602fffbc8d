"""`landing history`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from landing.catalog.workspace import Workspace
from landing.cli.arguments import add_json, add_limit, add_source, add_stream, known_stream
from landing.cli.text.lines import hanging, terminal_width
from landing.cli.text.output import counted, print_json, printable, sized

if TYPE_CHECKING:
    from landing.cli.json.shapes import LoadListed
    from landing.zone.failure_log import FailedRun
    from landing.zone.load_log import LoadRecord

HELP = "a stream's loads and failed runs, the newest first"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "From the records that loads and failed runs leave in the bucket; a run that found nothing "
        "new leaves none. Earlier states are listed by `landing state history`, columns by "
        "`landing schema --history`."
    )
    add_source(parser)
    add_stream(parser)
    add_limit(parser)
    add_json(parser)


def call(options: argparse.Namespace, workspace: Workspace) -> int:
    from landing.zone.failure_log import failed_runs
    from landing.zone.load_log import load_records

    bucket, paths = known_stream(options, workspace)
    loads = load_records(bucket, paths, options.limit)
    failed = failed_runs(bucket, paths, options.limit)
    records: list[LoadRecord | FailedRun] = [*loads, *failed]
    records = sorted(records, key=lambda one: one.finished, reverse=True)[: options.limit]
    if options.json:
        print_json([_listed(record) for record in records])
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


def _listed(record: LoadRecord | FailedRun) -> LoadListed:
    return _failed_listed(record) if record.kind == "failed" else _load_listed(record)


def _failed_listed(run: FailedRun) -> LoadListed:
    from landing.cli.json.shapes import LoadListed

    return LoadListed(
        kind="failed",
        started=run.started,
        finished=run.finished,
        seconds=run.seconds,
        read=run.read,
        rows=run.published,
        error=run.error,
        message=run.message,
    )


def _load_listed(record: LoadRecord) -> LoadListed:
    from landing.cli.json.shapes import LoadListed

    return LoadListed(
        load_id=record.load_id,
        kind=record.kind,
        sync_mode=record.sync_mode,
        started=record.started,
        finished=record.finished,
        seconds=record.seconds,
        rows=record.rows,
        deleted=record.deleted,
        files=len(record.files),
        bytes=record.bytes,
        quarantined=record.quarantined,
        read_from=record.read_from,
        cursor_before=record.cursor_before,
        cursor_after=record.cursor_after,
        backfill=record.backfill,
        from_quarantine=record.from_quarantine,
    )


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
