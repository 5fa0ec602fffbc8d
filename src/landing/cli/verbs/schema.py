"""`landing schema`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from landing.catalog.workspace import Workspace
from landing.cli.arguments import add_flag, add_json, add_source, add_stream, known_stream
from landing.cli.text.console import say
from landing.cli.text.output import print_json
from landing.errors import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from landing.zone.schema_history import SchemaVersion

HELP = "show the columns of a stream's files, and how they have changed"


def configure(parser: argparse.ArgumentParser) -> None:
    add_source(parser)
    add_stream(parser)
    add_flag(parser, "--history", "show all versions, not only the last")
    add_json(parser)


def call(options: argparse.Namespace, workspace: Workspace) -> int:
    from landing.zone.schema_history import last_version, schema_versions

    bucket, paths = known_stream(options, workspace)
    if options.history:
        versions = list(schema_versions(bucket, paths))
    else:
        last = last_version(bucket, paths)
        versions = [] if last is None else [last]
    if options.json:
        print_json(versions)
    elif not versions:
        say(f"{paths.data}: no load has recorded its columns yet")
    elif options.history:
        _print_history(paths.data, versions)
    else:
        _print_columns(paths.data, versions[-1])
    return 0


def _print_columns(name: str, version: SchemaVersion) -> None:
    say(f"{name}: {_title(version)}")
    width = max(len(column.name) for column in version.columns)
    for column in version.columns:
        say(f"  {column.name:<{width}}  {column.type}")


def _title(version: SchemaVersion) -> str:
    since = f"{version.time:%Y-%m-%d %H:%M} UTC, load {version.load_id}"
    columns = counted(len(version.columns), "column")
    return f"version {version.version} since {since}: {columns}"


def _print_history(name: str, versions: Sequence[SchemaVersion]) -> None:
    say(name)
    for version in versions:
        say(f"  {_title(version)}")
        for added in version.added:
            say(f"    + {added} ({version.types[added]})")
        for removed in version.removed:
            say(f"    - {removed}")
        for change in version.changed:
            say(f"    ~ {change.name}: {change.before} → {change.after}")
