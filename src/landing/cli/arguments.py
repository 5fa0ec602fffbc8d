"""Arguments that several verbs have, and the stream that they name."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from landing.catalog.settings import bucket_settings
from landing.catalog.workspace import Workspace
from landing.cli.text.output import positive
from landing.errors import CatalogError, UsageError, listed

if TYPE_CHECKING:
    from landing.catalog.stream_config import StreamConfig
    from landing.zone.bucket import Bucket
    from landing.zone.layout import StreamPaths

SOURCE, STREAM = "SOURCE", "STREAM"
"""Their names in help texts, by which completion recognizes them."""


def add_source(parser: argparse.ArgumentParser, *, is_optional: bool = False) -> None:
    parser.add_argument("source", metavar=SOURCE, nargs="?" if is_optional else None)


def add_stream(parser: argparse.ArgumentParser, *, is_optional: bool = False) -> None:
    parser.add_argument("stream", metavar=STREAM, nargs="?" if is_optional else None)


def add_sources(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sources", metavar=SOURCE, nargs="*", help="default: all sources")


def add_streams(parser: argparse.ArgumentParser, without: str | None = None) -> None:
    parser.add_argument("streams", metavar=STREAM, nargs="*", help=without)


def add_flag(parser: argparse._ActionsContainer, name: str, help: str) -> None:
    parser.add_argument(name, action="store_true", help=help)


def add_count(
    parser: argparse.ArgumentParser, name: str, metavar: str, default: int, help: str
) -> None:
    """Add an option that is a whole number above 0."""
    help = f"{help} (default {default})"
    parser.add_argument(name, type=positive, default=default, metavar=metavar, help=help)


def add_json(parser: argparse.ArgumentParser, *, is_lines: bool = False) -> None:
    what = "one JSON object per line" if is_lines else "one JSON document"
    add_flag(parser, "--json", f"print {what} (docs/json.md)")


def add_check(parser: argparse.ArgumentParser) -> None:
    """For verbs that write a folder."""
    what = "write nothing; exit with 1 if the folder differs from what would be written"
    add_flag(parser, "--check", what)


def add_limit(parser: argparse.ArgumentParser) -> None:
    add_count(parser, "--limit", "N", 20, "print at most N")


def add_grace(parser: argparse.ArgumentParser) -> None:
    add_count(parser, "--grace", "MINUTES", 60, "a stream is late this long after it was due")


def add_yes(parser: argparse.ArgumentParser) -> None:
    add_flag(parser, "--yes", "do not ask for confirmation")


def add_names(parser: argparse.ArgumentParser, option: str, help: str) -> None:
    parser.add_argument(option, type=_names, default=(), metavar="A,B", help=help)


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (name.strip() for name in text.split(","))))


def is_agreed(options: argparse.Namespace, question: str) -> bool:
    """Whether the user confirms a change: by --yes, or by an answer in the terminal."""
    if options.yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError(f"{question} Without a terminal, confirm with --yes")
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def known_stream(options: argparse.Namespace, workspace: Workspace) -> tuple[Bucket, StreamPaths]:
    """The bucket and the named stream, which must exist in the workspace or in the bucket."""
    from landing.operations.known_streams import check_known
    from landing.zone.bucket import Bucket

    paths = named_stream(options.source, options.stream)
    bucket = Bucket(bucket_settings(workspace))
    check_known(workspace, bucket, paths)
    return bucket, paths


def named_stream(source: str, stream: str) -> StreamPaths:
    from landing.catalog.names import check_name
    from landing.zone.layout import StreamPaths

    return StreamPaths(check_name(source, "source"), check_name(stream, "stream"))


def check_named(options: argparse.Namespace, workspace: Workspace, verb: str) -> None:
    """Raises UsageError unless either streams are named or --all is."""
    from landing.catalog.files import configured_streams

    if options.streams and options.all:
        raise UsageError("name streams or use --all, not both")
    if not options.streams and not options.all:
        configured = listed(configured_streams(workspace, options.source))
        raise UsageError(
            f"name the streams to {verb}, or use --all; configured for "
            f"'{options.source}': {configured}"
        )


def config_if_any(workspace: Workspace, paths: StreamPaths) -> StreamConfig | None:
    """The stream's config; None without a valid one, since the bucket may have streams that are no
    longer run."""
    from landing.catalog.files import read_config

    try:
        return read_config(workspace, paths.source, paths.stream)
    except CatalogError:
        return None


def chosen_sources(options: argparse.Namespace, workspace: Workspace) -> list[str]:
    """The named sources, which must exist, or all."""
    from landing.catalog.names import check_source

    known = workspace.source_names()
    for name in options.sources[1:]:
        before = options.sources[0]
        if name not in known and name in streams_with_files(workspace, before):
            raise UsageError(
                f"'{name}' is a stream of '{before}', and this command takes sources: name "
                f"'{before}' alone to see all of its streams"
            )
    return [check_source(workspace, name) for name in options.sources] or known


def streams_with_files(workspace: Workspace, source: str) -> set[str]:
    """Streams that are configured or discovered."""
    from landing.catalog.files import configured_streams, discovered_streams

    return {*configured_streams(workspace, source), *discovered_streams(workspace, source)}
