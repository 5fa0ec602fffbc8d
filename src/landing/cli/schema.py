"""`landing schema`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from landing.cli.output import counted, printable
from landing.workspace import Workspace, bucket_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from landing.schemahistory import SchemaVersion

HELP = "the columns of a stream's files, and how they have changed"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE")
    parser.add_argument("stream", metavar="STREAM")
    parser.add_argument("--history", action="store_true", help="all versions, not only the last")
    parser.add_argument("--json", action="store_true", help="print a JSON array of them instead")


def call(options: argparse.Namespace, workspace: Workspace) -> int:
    import msgspec

    from landing.bucket import Bucket
    from landing.catalog import check_name
    from landing.known import check_known
    from landing.layout import StreamPaths
    from landing.schemahistory import last_version, schema_versions

    check_name(options.source, "source")
    check_name(options.stream, "stream")
    bucket = Bucket(bucket_settings(workspace))
    paths = StreamPaths(options.source, options.stream)
    check_known(workspace, bucket, paths)
    if options.history:
        versions = list(schema_versions(bucket, paths))
    else:
        last = last_version(bucket, paths)
        versions = [] if last is None else [last]
    if options.json:
        print(msgspec.json.format(msgspec.json.encode(versions), indent=1).decode())
    elif not versions:
        print(f"{paths.data}: no load has recorded its columns yet")
    elif options.history:
        _print_history(paths.data, versions)
    else:
        _print_columns(paths.data, versions[-1])
    return 0


def _print_columns(name: str, version: SchemaVersion) -> None:
    print(f"{name}: {_title(version)}")
    width = max(len(column.name) for column in version.columns)
    for column in version.columns:
        print(f"  {printable(column.name):<{width}}  {column.type}")


def _title(version: SchemaVersion) -> str:
    since = f"{version.time:%Y-%m-%d %H:%M} UTC, load {version.load_id}"
    columns = counted(len(version.columns), "column")
    return f"version {version.version} since {since}: {columns}"


def _print_history(name: str, versions: Sequence[SchemaVersion]) -> None:
    print(name)
    for version in versions:
        print(f"  {_title(version)}")
        for added in version.added:
            print(f"    + {printable(added)} ({version.types[added]})")
        for removed in version.removed:
            print(f"    - {printable(removed)}")
        for change in version.changed:
            print(f"    ~ {printable(change.name)}: {change.before} → {change.after}")
