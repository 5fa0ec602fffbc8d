"""`landing discover`."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from landing.cli.output import complain, counted, exit_code, positive
from landing.workspace import Workspace

if TYPE_CHECKING:
    from landing.discovery import DiscoveryResult

HELP = "sample a source's API and write what it can provide to dag/sources/"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE")
    parser.add_argument("streams", metavar="STREAM", nargs="*", help="all, if none is named")
    parser.add_argument(
        "--sample-limit",
        type=positive,
        default=100,
        metavar="N",
        help="records to ask the API for, per stream (default 100)",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing; exit 1 if a file differs from what the API shows",
    )


def call(options: argparse.Namespace, workspace: Workspace) -> int:
    from landing.cli.live import Sampling
    from landing.discovery import discover
    from landing.sources import load_source

    source = load_source(workspace, options.source)
    with Sampling(source.name) as sampling:
        result = discover(
            source,
            options.streams,
            options.sample_limit,
            write=not options.check,
            tell=sampling.tell,
        )
    differs = _print_discovery(result, workspace, options)
    for stream, error in result.failed.items():
        kept = workspace.discovered_file(source.name, stream)
        complain(error, options)
        if kept.is_file():
            print(f"       {workspace.shown(kept)} is left as it was", file=sys.stderr)
    if result.failed:
        return exit_code(result.failed.values())
    return 1 if options.check and differs else 0


def _print_discovery(
    result: DiscoveryResult, workspace: Workspace, options: argparse.Namespace
) -> bool:
    """Say what was found; True if anything differs from the files that were there."""
    from landing.discovery import spelled

    differs = False
    for name, found in result.found.items():
        file = workspace.shown(workspace.discovered_file(options.source, name))
        state = "new" if found.is_new else "changed" if found.changes else "unchanged"
        differs = differs or state != "unchanged"
        print(f"{file}: {counted(len(found.schema.fields), 'field')}, {state}")
        for change in found.changes:
            print(f"  {change}")
        for field_name, field in found.schema.fields.items():
            if len(field.kinds) > 1 and not field.kinds <= {"array", "object"}:
                print(f"  ! {field_name}: mixed kinds, {spelled(field)}; lands as text")
            elif not field.kinds:
                print(f"  ! {field_name}: null in every sampled record; lands as text")
        for cursor in found.schema.defaults.cursor_field or []:
            field = found.schema.fields[cursor]
            if field.kinds == {"string"} and field.format is None:
                print(f"  ! {cursor}: the cursor, and no date-time: compared as text")
    for name in result.gone:
        differs = True
        file = workspace.shown(workspace.discovered_file(options.source, name))
        print(f"{file}: the source has no such stream any more; delete the file")
    return differs
