"""`landing show`."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from landing.catalog.workspace import Workspace
from landing.cli.arguments import add_json, add_limit, add_source, add_stream, known_stream
from landing.cli.text.lines import terminal_width
from landing.cli.text.output import counted, positive, printable
from landing.cli.text.rows import row_lines

if TYPE_CHECKING:
    from landing.operations.row_view import FoundRows

HELP = "some rows of a stream as they landed"
_MEGABYTE = 1024 * 1024


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Reads file by file, from the oldest on, until there are enough rows. Of a record that "
        "changed, each version that landed is a row."
    )
    add_source(parser)
    add_stream(parser)
    add_limit(parser)
    parser.add_argument("--where", metavar="SQL", help="only rows that meet it, as DuckDB has it")
    parser.add_argument("--columns", metavar="A,B", help="only these columns, in this order")
    parser.add_argument("--newest", action="store_true", help="begin with what landed last")
    parser.add_argument(
        "--scan-mb",
        type=positive,
        default=256,
        metavar="MB",
        help="of files, after which no further one is looked at (default 256)",
    )
    add_json(parser, is_lines=True)


def call(options: argparse.Namespace, workspace: Workspace) -> int:
    from landing.operations.row_view import Wanted, landed_rows

    bucket, paths = known_stream(options, workspace)
    names = filter(None, (name.strip() for name in (options.columns or "").split(",")))
    wanted = Wanted(
        limit=options.limit,
        where=options.where,
        columns=tuple(names),
        newest=options.newest,
        most_bytes=options.scan_mb * _MEGABYTE,
    )
    found = landed_rows(bucket, paths, wanted)
    if options.json:
        _print_json(found)
    elif found.rows:
        for line in row_lines(
            found.columns, found.rows, terminal_width(), more=" (--columns chooses)"
        ):
            print(line)
    elif not found.files:
        print(
            f"{paths.data}: nothing has landed; `landing run {paths.source} {paths.stream}` "
            "lands what there is"
        )
    else:
        print(f"{paths.data}: no row of {counted(found.looked_at, 'file')} is such a one")
    if found.is_cut:
        print(
            f"looked at {found.looked_at:,} of {counted(found.files, 'file')}; a larger --scan-mb "
            f"than {options.scan_mb} looks further",
            file=sys.stderr,
        )
    return 0


def _print_json(found: FoundRows) -> None:
    import msgspec

    encode = msgspec.json.Encoder(decimal_format="number", enc_hook=str).encode
    for row in found.rows:
        print(printable(encode(row).decode()))
