"""`landing show`."""

from __future__ import annotations

import argparse
import sys

from landing.catalog.workspace import Workspace
from landing.cli.arguments import (
    add_count,
    add_flag,
    add_json,
    add_limit,
    add_names,
    add_source,
    add_stream,
    known_stream,
)
from landing.cli.text.console import put, say, terminal_width
from landing.cli.text.output import print_json_line
from landing.cli.text.rows import row_lines
from landing.errors import counted

HELP = "show some rows of a stream as they landed"
_MEGABYTE = 1024 * 1024


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Reads files, the oldest first, until there are enough rows. A record that changed has a "
        "row for each version that landed."
    )
    add_source(parser)
    add_stream(parser)
    add_limit(parser)
    parser.add_argument(
        "--where", metavar="SQL", help="only rows that meet this condition, in DuckDB's SQL"
    )
    add_names(parser, "--columns", "only these columns, in this order")
    add_flag(parser, "--newest", "begin with the newest file")
    add_count(parser, "--scan-mb", "MB", 256, "stop after reading so many MB of files")
    add_json(parser, is_lines=True)


def call(options: argparse.Namespace, workspace: Workspace) -> int:
    from landing.operations.row_view import Wanted, landed_rows

    bucket, paths = known_stream(options, workspace)
    wanted = Wanted(
        limit=options.limit,
        where=options.where,
        columns=options.columns,
        newest=options.newest,
        most_bytes=options.scan_mb * _MEGABYTE,
    )
    found = landed_rows(bucket, paths, wanted)
    if options.json:
        for row in found.rows:
            print_json_line(row)
    elif found.rows:
        for line in row_lines(
            found.columns, found.rows, terminal_width(), more=" (--columns chooses)"
        ):
            put(line)
    elif not found.files:
        command = f"`landing run {paths.source} {paths.stream}`"
        say(f"{paths.data}: nothing has landed yet; {command} lands its rows")
    else:
        say(f"{paths.data}: no row of {counted(found.looked_at, 'file')} matches")
    if found.is_cut:
        say(
            f"read {found.looked_at:,} of {counted(found.files, 'file')}; a --scan-mb above "
            f"{options.scan_mb} reads more",
            to=sys.stderr,
        )
    return 0
