"""`landing run`."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from landing.cli.output import complain, counted, exit_code, positive, printable, sized, table_lines
from landing.errors import LandingError, UsageError, listed
from landing.secrets import redacted
from landing.workspace import Workspace, bucket_settings

if TYPE_CHECKING:
    from landing.report import RunResult, StreamResult
    from landing.run import Plan

HELP = "land what is new of a source's streams as parquet"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = f"Example: {parser.prog} odoo orders order_lines"
    parser.add_argument("source", metavar="SOURCE")
    parser.add_argument("streams", metavar="STREAM", nargs="*")
    parser.add_argument("--all", action="store_true", help="all configured, selected streams")
    parser.add_argument(
        "--workers",
        type=positive,
        default=8,
        metavar="N",
        help="streams to run side by side (default 8)",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="show what would be done; ask for no records and write nothing",
    )


def call(options: argparse.Namespace, workspace: Workspace) -> int:
    from landing.tuning import import_faster, tune_process

    import_faster()
    from landing import run
    from landing.bucket import Bucket
    from landing.sources import load_source

    source = load_source(workspace, options.source)
    tune_process()
    broken: dict[str, LandingError] = {}
    streams: list[str] = options.streams
    if bool(streams) == options.all:
        raise UsageError(_which(source.name, workspace, named=bool(streams)))
    if options.all:
        streams, broken = run.selected_streams(source)
        if not streams and not broken:
            raise UsageError(_none_selected(source.name, workspace))
    settings = bucket_settings(workspace)
    if settings.is_default:
        print(f"DLT_BUCKET_URL is not set: landing in {settings.url}")
    bucket = Bucket(settings)
    if options.dry_run:
        _print_plans(run.plan_streams(source, streams, bucket))
        failed: dict[str, Exception] = dict(broken)
    else:
        result = run.run_streams(source, streams, bucket, _Terminal(source.name), options.workers)
        _print_results(result)
        failed = {**broken, **result.failed}
    for error in failed.values():
        complain(error, options)
    return exit_code(failed.values())


def _which(source: str, workspace: Workspace, *, named: bool) -> str:
    if named:
        return "name streams or say --all, not both"
    from landing.catalog import configured_streams

    configured = listed(configured_streams(workspace, source))
    return f"name the streams to run, or say --all; configured for '{source}': {configured}"


def _none_selected(source: str, workspace: Workspace) -> str:
    from landing.catalog import configured_streams

    names = list(configured_streams(workspace, source))
    folder = workspace.shown(workspace.config_dir(source))
    if not names:
        return (
            f"{folder} has no stream configs: copy files there from dag/sources/{source}/, keep "
            'the fields you want, and set "selected": true'
        )
    return f'{folder}: no stream is selected: set "selected": true in one of {listed(names)}'


class _Terminal:
    """Tells a person about a run as it goes on."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._read: dict[str, int] = {}
        self._lock = threading.Lock()

    def note(self, stream: str, text: str) -> None:
        with self._lock:
            _wipe()
            print(printable(f"{self._source}/{stream}: {redacted(text)}"))

    def published(self, stream: str, rows: int, cursor: Any) -> None:
        self.note(stream, f"{counted(rows, 'row')} published, cursor {cursor}; going on")

    def progress(self, stream: str, rows: int) -> None:
        if not sys.stderr.isatty():
            return
        with self._lock:
            self._read[stream] = rows
            names = stream if len(self._read) == 1 else f"{len(self._read)} streams"
            total = sum(self._read.values())
            print(f"\r{self._source}/{names}: {total:,} rows read", end="", file=sys.stderr)


def _wipe() -> None:
    """Remove the progress line, which what follows would be written behind."""
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)


def _print_plans(plans: Sequence[Plan]) -> None:
    for plan in plans:
        config = plan.config
        print(f"{config.source}/{config.stream}  (dry run: asks for no records, writes nothing)")
        print(f"  config    {config.origin}")
        print(f"  mode      {config.sync_mode}, {config.destination_sync_mode}: {plan.mode}")
        print(f"  key       {', '.join(config.primary_key) or 'none'}")
        if config.is_incremental:
            since = "the beginning" if plan.cursor is None else plan.read_from
            stands = "" if plan.read_from == plan.cursor else f" (the cursor is at {plan.cursor})"
            print(f"  cursor    {config.cursor_field}, from {since}{stands}")
        if plan.deletes is not None:
            print(f"  deletes   {plan.deletes}")
        print(f"  to        {plan.location}/year=YYYY/month=MM/day=DD/{{load_id}}.{{part}}.parquet")
        if plan.table is not None:
            print(f"  table     {config.table_format} at {plan.table}")
        for doubt in plan.doubts:
            print(f"  !         {doubt}")
        print(f"  columns   {len(plan.columns)}")
        width = max(len(name) for name in plan.columns.names)
        for column in plan.columns:
            field = config.fields.get(column.name)
            privacy = f" ({field.privacy})" if field is not None and field.privacy else ""
            print(f"    {column.name:<{width}}  {column.type}{privacy}")


def _print_results(result: RunResult) -> None:
    _wipe()
    for stream in result.landed:
        print(_summary(stream))
        if stream.table is not None:
            print("\n".join(table_lines(stream.table)))


def _summary(result: StreamResult) -> str:
    name = f"{result.source}/{result.stream}"
    if not result.files:
        what = "no records" if result.load_ids and not result.quarantined else "nothing new"
        return f"{name}: {what}{_cursor(result)}, {_effort(result)}"
    deleted = f", {result.deleted:,} deleted" if result.deleted else ""
    return (
        f"{name}: {counted(result.rows - result.deleted, 'row')}{deleted} in "
        f"{counted(result.files, 'file')} ({sized(result.bytes)}) to {result.location}"
        f"{_cursor(result)}, {_effort(result)}"
    )


def _effort(result: StreamResult) -> str:
    told = f"{result.seconds:.1f} s"
    return f"{told}; {result.traffic}" if result.traffic.requests else told


def _cursor(result: StreamResult) -> str:
    if result.cursor_after is None:
        return ""
    before, after = result.cursor_before, result.cursor_after
    told = f", cursor {after}" if before in (None, after) else f", cursor {before} → {after}"
    return told if result.read_from == before else f"{told} (read from {result.read_from})"
