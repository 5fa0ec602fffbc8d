"""`landing rebuild`."""

from __future__ import annotations

import argparse
import sys

from landing.cli.output import table_lines
from landing.errors import CatalogError, UsageError
from landing.workspace import Workspace, bucket_settings

HELP = "make a stream's current-state table again from its landed files"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Readers have the old table until the new one is whole. It may be damaged or gone, or "
        "have been made with another config."
    )
    parser.add_argument("source", metavar="SOURCE")
    parser.add_argument("stream", metavar="STREAM")
    parser.add_argument("--yes", action="store_true", help="do not ask first")


def call(options: argparse.Namespace, workspace: Workspace) -> int:
    from landing.bucket import Bucket
    from landing.catalog import check_name, read_config
    from landing.tables import place_of

    check_name(options.source, "source")
    check_name(options.stream, "stream")
    config = read_config(workspace, options.source, options.stream)
    bucket = Bucket(bucket_settings(workspace))
    place = place_of(config, bucket.settings)
    if place is None:
        raise CatalogError(
            f"{config.origin}: destination_sync_mode: no table is kept with 'append'; set it to "
            "'merge' or 'overwrite'"
        )
    name = f"{config.source}/{config.stream}"
    if not options.yes and not _confirmed(f"{name}: make the table at {place.location} again?"):
        print("nothing was done")
        return 0
    from landing.tables.rebuild import rebuild

    print(f"{name}:")
    print("\n".join(table_lines(rebuild(config, bucket))))
    return 0


def _confirmed(question: str) -> bool:
    if not sys.stdin.isatty():
        raise UsageError(f"{question} Say --yes, as there is nobody to ask")
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
