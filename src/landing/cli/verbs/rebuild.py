"""`landing rebuild`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from landing.catalog.workspace import Workspace
from landing.cli.arguments import add_json, add_source, add_stream, add_yes, is_agreed, known_stream
from landing.cli.text.console import say
from landing.cli.text.output import print_json, print_table
from landing.errors import CatalogError

if TYPE_CHECKING:
    from landing.catalog.stream_config import StreamConfig
    from landing.results import TableResult
    from landing.tables.place import Place
    from landing.zone.bucket import Bucket

HELP = "rebuild a stream's current-state table from its landed files"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Readers see the old table until the new one is complete. Use it if the table is damaged "
        "or gone, or if the config has changed."
    )
    add_source(parser)
    add_stream(parser)
    add_yes(parser)
    add_json(parser)


def call(options: argparse.Namespace, workspace: Workspace) -> int:
    from landing.catalog.files import read_config
    from landing.tables import place_of

    bucket, named = known_stream(options, workspace)
    config = read_config(workspace, named.source, named.stream)
    place = place_of(config, bucket.settings)
    if place is None:
        raise CatalogError(
            f"{config.origin}: destination_sync_mode: 'append' keeps no table; set it to "
            "'merge' or 'overwrite'"
        )
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
    if not is_agreed(options, f"{name}: rebuild the table at {place.location}?"):
        say("nothing was done")
        return None
    from landing.tables import rebuild

    made = rebuild(config, bucket)
    say(f"{name}:")
    print_table(made)
    return made
