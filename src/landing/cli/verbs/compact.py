"""`landing compact`."""

from __future__ import annotations

import argparse
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from landing.catalog.lookback import parse_duration
from landing.catalog.settings import bucket_settings, part_bytes
from landing.catalog.workspace import Workspace
from landing.cli.arguments import add_flag, add_json, add_source, add_streams, check_named
from landing.cli.text.console import say
from landing.cli.text.output import complain, exit_code, print_json
from landing.errors import CatalogError, UsageError, counted, sized

if TYPE_CHECKING:
    from collections.abc import Sequence

    from landing.operations.compaction import Compacted
    from landing.zone.bucket import Bucket

HELP = "merge the small files of past days into large ones"


def configure(parser: argparse.ArgumentParser) -> None:
    add_source(parser)
    add_streams(parser)
    add_flag(parser, "--all", "all configured streams")
    parser.add_argument(
        "--older-than",
        type=_duration,
        default="7d",
        metavar="DURATION",
        help="only days that ended at least this long ago (default 7d)",
    )
    parser.add_argument(
        "--feeder-at",
        metavar="PATH",
        help="the last file that the stream's feeder has processed; later days stay as they are",
    )
    parser.add_argument(
        "--wait",
        type=_minutes,
        default=10.0,
        metavar="MINUTES",
        help="how long to wait for a run of the stream to end (default 10)",
    )
    add_flag(parser, "--dry-run", "show what would be done; write nothing")
    add_json(parser)


def _duration(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = -1
    if not 0 <= minutes <= 1440:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of minutes from 0 to 1440")
    return minutes


def call(options: argparse.Namespace, workspace: Workspace) -> int:
    from landing.operations.known_streams import check_known
    from landing.zone.bucket import Bucket
    from landing.zone.layout import StreamPaths

    streams = _streams(options, workspace)
    bucket = Bucket(bucket_settings(workspace))
    for stream in streams:
        check_known(workspace, bucket, StreamPaths(options.source, stream))
    closed_before = datetime.now(UTC) - options.older_than
    results = [_compacted(options, workspace, bucket, one, closed_before) for one in streams]
    _print(results, options, closed_before.date())
    failures = [result.error for result in results if result.error is not None]
    for failure in failures:
        complain(failure, options)
    return exit_code(failures)


def _compacted(
    options: argparse.Namespace,
    workspace: Workspace,
    bucket: Bucket,
    stream: str,
    closed_before: datetime,
) -> Compacted:
    from landing.operations.compaction import Compacted, compact, planned
    from landing.operations.compaction_plan import Terms, plan_compaction
    from landing.zone.layout import StreamPaths

    paths = StreamPaths(options.source, stream)
    try:
        keeps_table = _keeps_table(workspace, options.source, stream)
    except CatalogError as error:  # of one stream; the others go on
        return Compacted(options.source, stream, error=error)
    terms = Terms(
        closed_before=closed_before,
        file_bytes=part_bytes(),
        feeder_at=_feeder_at(options, bucket, paths.data),
        keeps_table=keeps_table,
    )
    if options.dry_run:
        return planned(paths, plan_compaction(bucket, paths, terms))
    return compact(bucket, paths, terms, options.wait * 60)


def _keeps_table(workspace: Workspace, source: str, stream: str) -> bool:
    """A stream without a config may have one elsewhere, so a table that it had counts."""
    from landing.catalog.files import read_config

    if not workspace.config_file(source, stream).is_file():
        return True
    return read_config(workspace, source, stream).table_format is not None


def _streams(options: argparse.Namespace, workspace: Workspace) -> Sequence[str]:
    from landing.catalog.files import configured_streams
    from landing.catalog.names import check_name

    check_name(options.source, "source")
    check_named(options, workspace, "compact")
    streams: list[str] = options.streams or list(configured_streams(workspace, options.source))
    for stream in streams:
        check_name(stream, "stream")
    if options.feeder_at is not None and len(streams) != 1:
        raise UsageError("--feeder-at is the path of one stream: name only that stream")
    return streams


def _feeder_at(options: argparse.Namespace, bucket: Bucket, data: str) -> str | None:
    """The path below the bucket's prefix, whether it was given with the prefix or without."""
    if options.feeder_at is None:
        return None
    from landing.zone.layout import load_id_of

    path: str = options.feeder_at.removeprefix(f"{bucket.url}/")
    if not path.startswith(f"{data}/") or load_id_of(path) is None:
        raise UsageError(
            f"--feeder-at '{options.feeder_at}' is not a file of {data}: give its path below "
            f"{bucket.url}, such as {data}/year=2026/month=01/day=21/"
            "1769000000.123456.00000.parquet"
        )
    return path


def _print(results: Sequence[Compacted], options: argparse.Namespace, first_open: date) -> None:
    if options.json:
        print_json(results)
        return
    for result in results:
        say(_summary(result, first_open, is_planned=options.dry_run))
        for left in result.left:
            say(left, mark="  stays  ")


def _summary(result: Compacted, first_open: date, *, is_planned: bool) -> str:
    name = f"{result.source}/{result.stream}"
    if not result.files_before and result.error:
        return f"{name}: nothing was compacted"
    if not result.files_before:
        ended = "yet" if first_open >= datetime.now(UTC).date() else "so long ago"
        return f"{name}: nothing to compact before {first_open}, which has not ended {ended} (UTC)"
    before = f"{counted(result.files_before, 'file')} ({sized(result.bytes_before)})"
    after = counted(result.files_after, "file")
    days = counted(len(result.days), "day")
    if is_planned:
        return f"{name}: {days}, {before} would become {after}  (dry run: writes nothing)"
    return f"{name}: {days}, {before} became {after} ({sized(result.bytes_after)})"
