"""`landing report`."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from landing.catalog.settings import bucket_settings
from landing.catalog.workspace import Workspace
from landing.cli.arguments import (
    add_count,
    add_flag,
    add_grace,
    add_json,
    add_sources,
    chosen_sources,
)
from landing.cli.text.console import say
from landing.cli.text.output import print_json
from landing.errors import UsageError, counted, sized

if TYPE_CHECKING:
    from landing.page.facts import Report
    from landing.zone.bucket import Bucket

HELP = "write a web page for colleagues: freshness, rows, durations, fields, quarantine"
_FILE = "landing-report.html"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Writes one HTML file that loads nothing else. Counts come from the records of loads, "
        "field profiles from the newest rows. It shows no values of keys, of private fields, or "
        "of fields with sensitive names."
    )
    add_sources(parser)
    parser.add_argument(
        "--output", type=Path, metavar="PATH", help=f"the file to write (default {_FILE})"
    )
    add_flag(
        parser,
        "--to-bucket",
        "put the page into the bucket, as _report/index.html, outside of all streams' folders",
    )
    add_count(parser, "--days", "N", 14, "how many days to look back")
    add_grace(parser)
    parser.add_argument(
        "--profile-mb",
        type=_whole,
        default=16,
        metavar="MB",
        help="profile so many MB of each stream's newest files; 0 for none (default 16)",
    )
    add_flag(parser, "--no-values", "show no values at all (default LANDING_REPORT_VALUES)")
    add_json(parser)


def call(options: argparse.Namespace, workspace: Workspace) -> int:
    from landing.page import html
    from landing.page.facts import gathered
    from landing.page.profiles import MEGABYTE, Depth
    from landing.page.publishing import shows_values
    from landing.zone.bucket import Bucket

    if options.to_bucket and options.sources:
        raise UsageError(
            "--to-bucket is for the page of all sources: name no source, or use --output"
        )
    if options.json and (options.to_bucket or options.output):
        raise UsageError(
            "--json prints the facts instead of a page: leave out --to-bucket and --output"
        )
    if not options.json:
        html.check_installed()
    bucket = Bucket(bucket_settings(workspace))
    depth = Depth(
        values=shows_values() and not options.no_values, most_bytes=options.profile_mb * MEGABYTE
    )
    report = gathered(
        workspace,
        chosen_sources(options, workspace),
        bucket,
        datetime.now(UTC),
        days=options.days,
        grace=timedelta(minutes=options.grace),
        depth=depth,
    )
    if options.json:
        _print(report)
        return 0
    page = html.rendered(report)
    for place in _written(options, bucket, page):
        streams = counted(len(report.streams), "stream")
        say(f"{place}: {streams}, {counted(report.days, 'day')}, {sized(len(page.encode()))}")
    return 0


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

    from landing.secrets import redacted, without_secrets

    # Names and reasons repeat.
    print_json(without_secrets(msgspec.to_builtins(report, enc_hook=str), cache(redacted)))


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number")
    return int(text)
