"""Arguments that several verbs take, and the stream that most of them name."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from landing.catalog.workspace import Workspace, bucket_settings
from landing.cli.text.output import positive

if TYPE_CHECKING:
    from landing.zone.bucket import Bucket
    from landing.zone.layout import StreamPaths

SOURCE, STREAM = "SOURCE", "STREAM"
"""How help calls them, and what completion takes them for."""


def add_source(parser: argparse.ArgumentParser, *, is_optional: bool = False) -> None:
    parser.add_argument("source", metavar=SOURCE, nargs="?" if is_optional else None)


def add_stream(parser: argparse.ArgumentParser, *, is_optional: bool = False) -> None:
    parser.add_argument("stream", metavar=STREAM, nargs="?" if is_optional else None)


def add_sources(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sources", metavar=SOURCE, nargs="*", help="all sources, unless told")


def add_streams(parser: argparse.ArgumentParser, without: str | None = None) -> None:
    parser.add_argument("streams", metavar=STREAM, nargs="*", help=without)


def add_json(parser: argparse.ArgumentParser, *, is_lines: bool = False) -> None:
    what = "print JSON, a row a line" if is_lines else "print one JSON document"
    parser.add_argument("--json", action="store_true", help=f"{what} instead (docs/json.md)")


def add_limit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--limit", type=positive, default=20, metavar="N", help="at most so many (default 20)"
    )


def add_grace(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--grace",
        type=positive,
        default=60,
        metavar="MINUTES",
        help="after it was due, in which a stream is not late (default 60)",
    )


def add_yes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask before a change")


def known_stream(options: argparse.Namespace, workspace: Workspace) -> tuple[Bucket, StreamPaths]:
    """The bucket, and the stream that is named, which the workspace or the bucket has to know."""
    from landing.operations.known_streams import check_known
    from landing.zone.bucket import Bucket

    paths = named_stream(options)
    bucket = Bucket(bucket_settings(workspace))
    check_known(workspace, bucket, paths)
    return bucket, paths


def named_stream(options: argparse.Namespace) -> StreamPaths:
    from landing.catalog.names import check_name
    from landing.zone.layout import StreamPaths

    source = check_name(options.source, "source")
    return StreamPaths(source, check_name(options.stream, "stream"))
