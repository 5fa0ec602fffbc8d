"""`landing history`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from landing.catalog.workspace import Workspace
from landing.cli.arguments import add_json, add_limit, add_source, add_stream, known_stream
from landing.cli.text.console import say
from landing.cli.text.output import print_json
from landing.errors import counted, sized

if TYPE_CHECKING:
    from landing.zone.failure_log import FailedRun
    from landing.zone.load_log import LoadRecord

HELP = "list a stream's loads and failed runs, the newest first"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Reads the records that loads and failed runs leave in the bucket; a run that found "
        "nothing new leaves none. `landing state history` lists earlier states, `landing schema "
        "--history` earlier columns."
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
        from landing.cli.json.history import listed

        print_json([*map(listed, records)])
    elif not records:
        command = f"`landing run {paths.source} {paths.stream}`"
        say(f"{paths.data}: nothing has landed yet; {command} lands its rows")
    else:
        say(f"{paths.data}: loads and failed runs, the newest first")
        for record in records:
            _print(record)
    return 0


def _print(record: LoadRecord | FailedRun) -> None:
    when = f"  {record.finished:%Y-%m-%d %H:%M} UTC  "
    took = "" if record.seconds is None else f"{record.seconds:,.1f} s"
    if record.kind == "failed":
        after = took and f" after {took}"
        read = f", {counted(record.read, 'record')} read" if record.read else ""
        landed = f", {counted(record.published, 'row')} landed" if record.published else ""
        how = "interrupted" if record.was_interrupted else "failed"
        say(f"{how}{after}{read}{landed}", mark=when)
        say(f"{record.error}: {record.message}", mark="    ")
        return
    rows = f"{counted(record.rows, 'row')} in {counted(len(record.files), 'file')}"
    say(f"{record.load_id}  {rows}, {sized(record.bytes)}{took and f', {took}'}", mark=when)
    if more := "; ".join(_more(record)):
        say(more, mark="    ")


def _more(record: LoadRecord) -> Iterator[str]:
    if (backfill := record.backfill) is not None:
        fields = backfill.get("fields")
        window = f"{backfill.get('from')} … {backfill.get('to')}"
        yield f"backfill of fields {', '.join(fields)}" if fields else f"backfill of {window}"
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
    if record.gone:
        yield f"{counted(record.gone, 'child list')} skipped as gone"
    if record.repeated:
        yield f"{record.repeated:,} with a key that the run had read before"
    if record.known:
        yield f"{record.known:,} known already"
    if record.below_cursor:
        yield f"{record.below_cursor:,} below the cursor, left out"
    if record.superseded:
        yield f"{record.superseded:,} superseded by newer versions, left out"
