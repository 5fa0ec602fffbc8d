"""`landing verify`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from landing.catalog.workspace import Workspace, bucket_settings
from landing.cli.arguments import add_json, add_source, add_streams
from landing.cli.text.lines import hanging, terminal_width
from landing.cli.text.output import complain, counted, exit_code, print_json, printable
from landing.errors import CatalogError, LandingError, UsageError

if TYPE_CHECKING:
    from landing.catalog.stream_config import StreamConfig
    from landing.operations.verify import Result
    from landing.zone.bucket import Bucket
    from landing.zone.layout import StreamPaths

HELP = "check that all is there that has landed, as a reader of the files meets it"
_SHOWN_AT = 20
_SHOWN = 10
"""Findings of one check."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Files against the records of loads and compactions, rows and columns by the files' "
        "footers, names against the order of publication, cursors without a gap, one newest row "
        "for each key. Writes nothing. Exits with 1 if something is wrong."
    )
    add_source(parser, is_optional=True)
    add_streams(parser, "all of the source, if none is named")
    parser.add_argument("--all", action="store_true", help="all sources of the workspace")
    parser.add_argument(
        "--quick", action="store_true", help="read the footers of files alone, and no keys"
    )
    add_json(parser)


def call(options: argparse.Namespace, workspace: Workspace) -> int:
    from landing.zone.bucket import Bucket

    if (options.source is None) is not options.all:
        raise UsageError("name a SOURCE, or say --all for all of them")
    bucket = Bucket(bucket_settings(workspace))
    results: list[Result] = []
    errors: list[LandingError] = []
    for paths in _streams(options, workspace, bucket):
        try:
            found = _verified(options, bucket, paths, _config(workspace, paths))
            results += found if options.json else _printed(found)
        except LandingError as error:
            complain(error, options)
            errors.append(error)
            if options.json:
                results.append(_unreadable(paths, error))
    failed = sum(result.status == "failed" for result in results)
    if options.json:
        print_json(results)
    elif not results and not errors:
        print("nothing has landed yet")
    elif results:
        print(f"{counted(len(results) - failed, 'check')} passed or skipped, {failed} failed")
    return exit_code(errors) or int(failed > 0)


def _unreadable(paths: StreamPaths, error: LandingError) -> Result:
    """So that the document of all streams has the one, too, that could not be verified."""
    from landing.operations.verify import Result, VerifyFinding
    from landing.secrets import redacted

    finding = VerifyFinding(redacted(str(error)), error.remedy or "mend that, and verify it again")
    return Result(paths.source, paths.stream, "readable", "failed", "its records", [finding])


def _verified(
    options: argparse.Namespace, bucket: Bucket, paths: StreamPaths, config: StreamConfig | None
) -> Iterator[Result]:
    from landing.operations.verify import verify_stream

    return verify_stream(bucket, paths, config, quick=options.quick)


def _streams(
    options: argparse.Namespace, workspace: Workspace, bucket: Bucket
) -> list[StreamPaths]:
    from landing.catalog.names import check_name
    from landing.operations.known_streams import check_known
    from landing.zone.layout import StreamPaths

    if options.streams:
        check_name(options.source, "source")
        named = [
            StreamPaths(options.source, check_name(stream, "stream")) for stream in options.streams
        ]
        for paths in named:
            check_known(workspace, bucket, paths)
        return named
    sources = workspace.source_names() if options.all else [options.source]
    return [paths for source in sources for paths in _of_source(workspace, bucket, source)]


def _of_source(workspace: Workspace, bucket: Bucket, source: str) -> Sequence[StreamPaths]:
    """Those that have landed; the bucket may have some that nobody runs any more."""
    from landing.catalog.names import check_name, check_source
    from landing.zone.layout import StreamPaths

    check_name(source, "source")
    landed = {path.split("/")[1] for path in bucket.list(source)}
    landed |= {path.split("/")[2] for path in bucket.list(f"_dlt/{source}")}
    if not landed:
        check_source(workspace, source)
    return [StreamPaths(source, stream) for stream in sorted(landed)]


def _config(workspace: Workspace, paths: StreamPaths) -> StreamConfig | None:
    from landing.catalog.files import read_config

    try:
        return read_config(workspace, paths.source, paths.stream)
    except CatalogError:  # the bucket may have streams that nobody runs any more
        return None


def _printed(results: Iterator[Result]) -> Iterator[Result]:
    """Print each result as it comes: a large stream takes its time."""
    heading, width = None, terminal_width()
    for result in results:
        name = f"{result.source}/{result.stream}"
        if name != heading:
            print(name)
            heading = name
        status = "FAILED" if result.status == "failed" else result.status
        line = printable(f"  {result.check:<8} {status:<8} {result.message}")
        print(hanging(line, _SHOWN_AT, width), flush=True)
        for under, detail in _details(result):
            print(hanging(printable(detail), under, width))
        yield result


def _details(result: Result) -> Iterator[tuple[int, str]]:
    """Lines, each with where it goes on if it is too long."""
    for finding in result.findings[:_SHOWN]:
        yield 6, f"    ! {finding.what}"
        yield 8, f"      → {finding.remedy}"
    if (more := len(result.findings) - _SHOWN) > 0:
        yield 6, f"    ! and {more:,} more (--json has all)"
    for note in result.notes:
        yield 4, f"    {note}"
