"""`landing backfill`."""

from __future__ import annotations

import argparse
from contextlib import closing
from typing import TYPE_CHECKING, Any, TypeAlias

from landing.catalog.settings import bucket_settings
from landing.catalog.workspace import Workspace
from landing.cli.arguments import add_count, add_flag, add_json, add_names, add_source, add_stream
from landing.cli.text.console import say
from landing.cli.text.output import complain, exit_code, positive, print_json, print_table
from landing.errors import UsageError, counted, sized

if TYPE_CHECKING:
    from landing.extraction.sources import Source
    from landing.operations.backfill import Backfill, BackfillPlan, BackfillResult
    from landing.operations.backfill.fields import FieldsResult
    from landing.zone.bucket import Bucket
    from landing.zone.layout import StreamPaths

Done: TypeAlias = tuple[int, Any]
"""The exit code, and the document of --json."""
HELP = "land past data of a stream, or fields added later, alongside its regular runs"
_SHOWN = 12
"""Windows that a dry run shows before and after those it leaves out."""


def configure(parser: argparse.ArgumentParser) -> None:
    add_source(parser)
    add_stream(parser, is_optional=True)
    parser.add_argument(
        "--from", dest="start", metavar="VALUE", help="the start of the first window"
    )
    parser.add_argument(
        "--to",
        dest="end",
        metavar="VALUE",
        help="the end of the last window, not included; default: the stream's cursor, or now",
    )
    parser.add_argument(
        "--by",
        choices=("day", "week", "month", "ids"),
        help="the length of a window; default: month, or ids if the cursor is a number",
    )
    parser.add_argument(
        "--step", type=positive, metavar="N", help="with --by ids: how many ids a window has"
    )
    add_names(parser, "--fields", "land only these fields, for rows that have landed already")
    add_count(parser, "--workers", "N", 1, "windows to land at the same time")
    add_flag(parser, "--again", "repeat a backfill that has finished")
    add_flag(parser, "--list", "list earlier backfills; also without --from and --fields")
    add_flag(parser, "--dry-run", "show the windows; read no records, write nothing")
    add_json(parser)


def call(options: argparse.Namespace, workspace: Workspace) -> int:
    code, document = _called(options, workspace)
    if options.json:
        print_json(document)
    return code


def _called(options: argparse.Namespace, workspace: Workspace) -> Done:
    from landing.extraction.tuning import import_faster, tune_process

    import_faster()
    from landing.extraction.sources import load_source
    from landing.operations.backfill import Request
    from landing.zone.bucket import Bucket

    settings = bucket_settings(workspace)
    if settings.is_default:
        say(settings.default_note)
    bucket = Bucket(settings)
    if options.list or not (options.stream and (options.start or options.fields)):
        return _list(options, bucket)
    source = load_source(workspace, options.source)
    tune_process()
    request = Request(
        start=options.start,
        end=options.end,
        by=options.by,
        step=options.step,
        fields=options.fields,
    )
    if options.fields:
        return _run_fields(options, source, bucket, request)
    return _run(options, source, bucket, request)


def _list(options: argparse.Namespace, bucket: Bucket) -> Done:
    from landing.catalog.names import check_name
    from landing.cli.json.backfill import listed
    from landing.operations.backfill import Records

    if not options.list and any((options.start, options.end, options.by, options.step)):
        raise UsageError("add --from to say where to begin, or --fields to say which fields")
    check_name(options.source, "source")
    streams = [check_name(options.stream, "stream")] if options.stream else None
    found = []
    for paths in _streams(options.source, streams, bucket):
        for backfill in Records(bucket, paths).all():
            found.append(listed(paths, backfill))
            _print_backfill(paths, backfill)
    if not found:
        say("no backfill yet; --from or --fields begins one")
    return 0, found


def _streams(source: str, streams: list[str] | None, bucket: Bucket) -> list[StreamPaths]:
    from landing.zone.layout import StreamPaths

    if streams is None:
        below = (path.split("/") for path in bucket.list(f"_dlt/{source}"))
        streams = sorted({parts[2] for parts in below if "backfills" in parts[3:4]})
    return [StreamPaths(source, stream) for stream in streams]


def _print_backfill(paths: StreamPaths, backfill: Backfill) -> None:
    request = backfill.request
    windows = len(backfill.windows)
    what = f"fields {', '.join(request.fields)}" if request.fields else ""
    if windows:
        first, last = backfill.windows[0], backfill.windows[-1]
        span = f"{str(first).partition(' …')[0]} … {str(last).rpartition('… ')[2]}"
        what += f"{', ' if what else ''}{span} by {request.by}"
    state = "finished" if backfill.finished else "not finished"
    if windows and not backfill.finished:
        state = f"{len(backfill.done)} of {windows} windows done"
    say(f"{paths.data}  {backfill.started:%Y-%m-%d %H:%M} UTC  {what}")
    say(f"  {state}, {counted(backfill.rows, 'row')}  ({backfill.id})")


def _run(options: argparse.Namespace, source: Source, bucket: Bucket, request: Any) -> Done:
    from landing.cli.json import backfill as backfilljson
    from landing.cli.text.backfill import BackfillTerminal
    from landing.events import Note
    from landing.operations import backfill

    planned = backfill.plan(source, options.stream, bucket, request)
    name = planned.subject.name
    if options.dry_run:
        _print_plan(name, planned)
        return 0, backfilljson.planned(planned)
    with closing(BackfillTerminal(source.name, options.stream)) as terminal:
        for warning in planned.warnings:
            terminal(Note(options.stream, warning))
        begun = backfill.begin(
            planned, again=options.again, notify=terminal.waiting(options.stream)
        )
        done = f", of which {len(begun.done):,} are done" if begun.done else ""
        say(f"{name}: {counted(len(begun.windows), 'window')}{done}  ({begun.id})")
        result = backfill.run_backfill(planned.subject, begun, terminal, options.workers)
    for error in result.failed.values():
        complain(error, options)
    say(_summary(name, result))
    print_table(result.table)
    document = backfilljson.done(planned.subject.paths, result)
    return exit_code(result.failed.values()), document


def _summary(name: str, result: BackfillResult) -> str:
    progress = result.progress
    message = (
        f"{name}: {progress.done:,} of {counted(progress.windows, 'window')} done, "
        f"{counted(progress.rows, 'row')}, {result.seconds:.1f} s"
    )
    if result.without_cursor:
        message += (
            f"; {counted(result.without_cursor, 'record')} without a cursor value are in no "
            "window: regular runs land them"
        )
    if result.superseded:
        message += (
            f"; {counted(result.superseded, 'record')} left out, since newer versions have landed"
        )
    if result.failed:
        windows = ", ".join(map(str, result.failed))
        message += f"; failed: {windows}; run the same command again to retry them"
    return message


def _print_plan(name: str, planned: BackfillPlan) -> None:
    done = planned.earlier.done if planned.earlier is not None and planned.is_going_on else {}
    windows = counted(len(planned.windows), "window")
    say(f"{name}: {windows}  (dry run: requests no records, writes nothing)")
    for warning in planned.warnings:
        say(warning, mark="  !  ")
    if planned.earlier is not None and not planned.is_going_on:
        say("this backfill has finished before: --again repeats it", mark="  !  ")
    for window, (start, end) in zip(planned.windows, planned.handed, strict=True):
        if window.number == _SHOWN and len(planned.windows) > 2 * _SHOWN:
            say(f"  … {len(planned.windows) - 2 * _SHOWN:,} more …")
        if _SHOWN <= window.number < len(planned.windows) - _SHOWN:
            continue
        state = "  done" if str(window.number) in done else ""
        say(f"  {window}  (asks for {start!r} to {end!r}){state}")


def _run_fields(options: argparse.Namespace, source: Source, bucket: Bucket, request: Any) -> Done:
    from landing.cli.json import backfill as backfilljson
    from landing.cli.text.backfill import BackfillTerminal
    from landing.operations.backfill.fields import begin_fields, plan_fields, run_fields

    planned = plan_fields(source, options.stream, bucket, request)
    if options.dry_run:
        say(f"{planned.subject.name}: {planned}  (dry run: requests no records, writes nothing)")
        return 0, backfilljson.planned_fields(planned)
    with closing(BackfillTerminal(source.name, options.stream)) as terminal:
        begun = begin_fields(planned, again=options.again, notify=terminal.waiting(options.stream))
        result = run_fields(planned.subject, begun, terminal)
    say(f"{planned.subject.name}: {_fields_summary(result)}")
    print_table(result.table)
    return 0, result


def _fields_summary(result: FieldsResult) -> str:
    message = f"{counted(result.read, 'record')} read for {', '.join(result.fields)}; "
    if result.rows:
        files = f"{counted(result.files, 'file')} ({sized(result.bytes)})"
        message += f"{counted(result.rows, 'row')} in {files} to {result.location}"
    else:
        message += "no landed row gained a value"
    if result.unfit:
        message += (
            f"; the values of {counted(result.unfit, 'record')} do not fit, and those rows stay "
            "as they are"
        )
    return message
