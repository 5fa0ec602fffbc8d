"""`landing report`."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landing.catalog.workspace import Workspace, bucket_settings
from landing.cli.arguments import add_grace, add_json, add_sources
from landing.cli.text.output import counted, positive, print_json, sized
from landing.errors import UsageError

if TYPE_CHECKING:
    from landing.page.facts import Report
    from landing.zone.bucket import Bucket

HELP = "a page for colleagues: freshness, rows, durations, fields, quarantine, runs"
_FILE = "landing-report.html"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Writes one HTML file that needs no other and asks no host for anything. Counts come from "
        "what loads recorded; fields are profiled by the newest rows. Values of fields that are "
        "private, keys, or sensitive by their names are not on it."
    )
    add_sources(parser)
    parser.add_argument(
        "--output", type=Path, metavar="PATH", help=f"where to write it (default {_FILE})"
    )
    parser.add_argument(
        "--to-bucket",
        action="store_true",
        help="put it into the bucket, as _report/index.html, which no reader of rows meets",
    )
    parser.add_argument(
        "--days", type=positive, default=14, metavar="N", help="to look back (default 14)"
    )
    add_grace(parser)
    parser.add_argument(
        "--profile-mb",
        type=_whole,
        default=16,
        metavar="MB",
        help="of each stream's newest files that profiles are made of, 0 for none (default 16)",
    )
    parser.add_argument(
        "--no-values",
        action="store_true",
        help="show no value of any field (default LANDING_REPORT_VALUES)",
    )
    add_json(parser)


def call(options: argparse.Namespace, workspace: Workspace) -> int:
    from landing.page import html, profiles
    from landing.zone.bucket import Bucket

    if options.to_bucket and options.sources:
        raise UsageError("--to-bucket is for the page of all sources: name none, or say --output")
    if options.json and (options.to_bucket or options.output):
        raise UsageError("--json prints the facts and makes no page: leave it or the others out")
    profiles.check_installed()
    if not options.json:
        html.check_installed()
    bucket = Bucket(bucket_settings(workspace))
    report = _gathered(options, workspace, bucket)
    if options.json:
        _print(report)
        return 0
    page = html.rendered(report)
    for place in _written(options, bucket, page):
        streams = counted(len(report.streams), "stream")
        print(f"{place}: {streams}, {counted(report.days, 'day')}, {sized(len(page.encode()))}")
    return 0


def _gathered(options: argparse.Namespace, workspace: Workspace, bucket: Bucket) -> Report:
    from landing.catalog.names import check_source
    from landing.page.facts import gathered
    from landing.page.profiles import MEGABYTE, Depth
    from landing.page.publishing import shows_values

    sources = [check_source(workspace, name) for name in options.sources]
    return gathered(
        workspace,
        sources or workspace.source_names(),
        bucket,
        datetime.now(UTC),
        days=options.days,
        grace=timedelta(minutes=options.grace),
        depth=Depth(
            values=shows_values() and not options.no_values,
            most_bytes=options.profile_mb * MEGABYTE,
        ),
    )


def _written(options: argparse.Namespace, bucket: Bucket, page: str) -> list[str]:
    from landing.page.publishing import put_page, write_page

    places = []
    if options.to_bucket:
        places.append(put_page(bucket, page))
    if options.output or not options.to_bucket:
        file: Path = options.output or Path(_FILE)
        write_page(file, page)
        places.append(str(file))
    return places


def _print(report: Report) -> None:
    import msgspec

    from landing.secrets import redacted

    safe = cache(redacted)  # the same names and reasons come again and again

    def message(value: Any) -> Any:
        """Texts one by one: a secret that looks like a key or a number breaks no document."""
        if isinstance(value, dict):
            return {name: message(member) for name, member in value.items()}
        if isinstance(value, list):
            return [message(member) for member in value]
        return safe(value) if isinstance(value, str) else value

    print_json(message(msgspec.to_builtins(report, enc_hook=str)))


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number")
    return int(text)
