"""`landing rebuild`."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from landing.catalog.workspace import Workspace, bucket_settings
from landing.cli.arguments import add_json, add_source, add_stream, add_yes, named_stream
from landing.cli.text.output import print_json, stdout_to_stderr, table_lines
from landing.errors import CatalogError, UsageError

if TYPE_CHECKING:
    from landing.catalog.stream_config import StreamConfig
    from landing.results import TableResult
    from landing.tables.place import Place
    from landing.zone.bucket import Bucket

HELP = "make a stream's current-state table again from its landed files"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Readers have the old table until the new one is whole. It may be damaged or gone, or "
        "have been made with another config."
    )
    add_source(parser)
    add_stream(parser)
    add_yes(parser)
    add_json(parser)


def call(options: argparse.Namespace, workspace: Workspace) -> int:
    from landing.catalog.files import read_config
    from landing.tables import place_of
    from landing.zone.bucket import Bucket

    named = named_stream(options)
    config = read_config(workspace, named.source, named.stream)
    bucket = Bucket(bucket_settings(workspace))
    place = place_of(config, bucket.settings)
    if place is None:
        raise CatalogError(
            f"{config.origin}: destination_sync_mode: no table is kept with 'append'; set it to "
            "'merge' or 'overwrite'"
        )
    with stdout_to_stderr(options):
        made = _rebuilt(options, config, bucket, place)
    if options.json:
        from landing.cli.json.shapes import Rebuilt

        print_json(Rebuilt(source=config.source, stream=config.stream, table=made))
    return 0


def _rebuilt(
    options: argparse.Namespace, config: StreamConfig, bucket: Bucket, place: Place
) -> TableResult | None:
    """None if the answer was no."""
    name = f"{config.source}/{config.stream}"
    if not options.yes and not _confirmed(f"{name}: make the table at {place.location} again?"):
        print("nothing was done")
        return None
    from landing.tables.rebuild import rebuild

    made = rebuild(config, bucket)
    print(f"{name}:")
    print("\n".join(table_lines(made)))
    return made


def _confirmed(question: str) -> bool:
    if not sys.stdin.isatty():
        raise UsageError(f"{question} Say --yes, as there is nobody to ask")
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
