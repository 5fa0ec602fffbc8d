"""`landing run`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from landing.cli.output import complain, counted, exit_code, positive, sized, table_lines, wipe
from landing.errors import LandingError, UsageError, listed
from landing.workspace import BucketSettings, Workspace, bucket_settings

if TYPE_CHECKING:
    from landing.observe.freshness import Late
    from landing.report import Reporter, RunResult, StreamResult
    from landing.run import Plan
    from landing.sources import Source

FORMATS = ("text", "json")
HELP = "land what is new of a source's streams as parquet"


def configure(parser: argparse.ArgumentParser) -> None:
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
    parser.add_argument(
        "--log-format",
        choices=FORMATS,
        help="json: an object a line to standard error, nothing else (default LANDING_LOG_FORMAT, "
        "or text)",
    )
    parser.add_argument(
        "--metrics-file",
        type=Path,
        metavar="PATH",
        help="write Prometheus metrics of the run there, for node-exporter's textfile collector",
    )


def call(options: argparse.Namespace, workspace: Workspace) -> int:
    from landing.tuning import import_faster

    import_faster()
    if options.dry_run:
        return _plan(options, workspace)
    from landing.observe import json_log

    options.log = json_log(options.source, options.log_format)
    reporter = _reporters(options, workspace)
    try:
        return _run(options, workspace, reporter)
    except LandingError as error:
        reporter.aborted(options.streams, error)
        raise
    finally:
        reporter.close()


def _plan(options: argparse.Namespace, workspace: Workspace) -> int:
    from landing import run
    from landing.bucket import Bucket

    source, streams, broken = _asked(options, workspace)
    settings = bucket_settings(workspace)
    if settings.is_default:
        print(_default_bucket(settings))
    _print_plans(run.plan_streams(source, streams, Bucket(settings)))
    for error in broken.values():
        complain(error, options)
    return exit_code(broken.values())


def _run(options: argparse.Namespace, workspace: Workspace, reporter: Reporter) -> int:
    from landing import run
    from landing.bucket import Bucket

    source, streams, broken = _asked(options, workspace)
    settings = bucket_settings(workspace)
    if settings.is_default:
        reporter.warned(_default_bucket(settings))
    for stream, error in broken.items():
        reporter.failed(stream, error)
    result = run.run_streams(source, streams, Bucket(settings), reporter, options.workers)
    failed = {**broken, **result.failed}
    if options.log is None:
        _print_results(result)
        for failure in failed.values():
            complain(failure, options)
    return exit_code(failed.values())


def _asked(
    options: argparse.Namespace, workspace: Workspace
) -> tuple[Source, list[str], dict[str, LandingError]]:
    """The source, its streams to run, and the error of each whose config can't be read."""
    from landing import run
    from landing.sources import load_source
    from landing.tuning import tune_process

    source = load_source(workspace, options.source)
    tune_process()
    streams: list[str] = options.streams
    if bool(streams) == options.all:
        raise UsageError(_which(source.name, workspace, named=bool(streams)))
    if not options.all:
        return source, streams, {}
    streams, broken = run.selected_streams(source)
    if not streams and not broken:
        raise UsageError(_none_selected(source.name, workspace))
    return source, streams, broken


def _default_bucket(settings: BucketSettings) -> str:
    return f"DLT_BUCKET_URL is not set: landing in {settings.url}"


def _reporters(options: argparse.Namespace, workspace: Workspace) -> Reporter:
    from landing.cli.terminal import Terminal
    from landing.observe import observers
    from landing.observe.freshness import late_streams
    from landing.page.publishing import after_runs
    from landing.report import Reporters

    source: str = options.source

    def late() -> Iterator[Late]:
        from landing.bucket import Bucket

        bucket = Bucket(bucket_settings(workspace))
        return late_streams(workspace, source, bucket, datetime.now(UTC))

    # What tells a person comes last: it is closed when the others have told how they fared.
    others = [*observers(workspace, source, options.metrics_file, late), *after_runs(workspace)]
    return Reporters([*others, options.log or Terminal(source)])


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
    wipe()
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
