"""`landing verify`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from landing.catalog.settings import bucket_settings
from landing.catalog.workspace import Workspace
from landing.cli.arguments import (
    add_flag,
    add_json,
    add_source,
    add_streams,
    config_if_any,
    named_stream,
)
from landing.cli.text.console import VERDICTS, say
from landing.cli.text.output import complain, exit_code, print_json
from landing.errors import LandingError, UsageError, counted

if TYPE_CHECKING:
    from landing.operations.verify import Result
    from landing.zone.bucket import Bucket
    from landing.zone.layout import StreamPaths

HELP = "check that everything that landed is still there, as a reader of the files sees it"
_SHOWN = 10
"""Findings of one check."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Compares files with the records of loads and compactions, counts rows and columns in the "
        "files' footers, and checks the order of names, the cursors, and that each key has one "
        "newest row. Writes nothing. Exits with 1 if something is wrong."
    )
    add_source(parser, is_optional=True)
    add_streams(parser, "default: all streams of the source")
    add_flag(parser, "--all", "all sources of the workspace")
    add_flag(parser, "--quick", "read only the footers of files, and no keys")
    add_json(parser)


def call(options: argparse.Namespace, workspace: Workspace) -> int:
    from landing.operations.verify import verify_stream
    from landing.zone.bucket import Bucket

    if (options.source is None) is not options.all:
        raise UsageError("name a SOURCE, or use --all for all of them")
    bucket = Bucket(bucket_settings(workspace))
    results: list[Result] = []
    errors: list[LandingError] = []
    for paths in _streams(options, workspace, bucket):
        try:
            config = config_if_any(workspace, paths)
            found = verify_stream(bucket, paths, config, quick=options.quick)
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
        say("nothing has landed yet")
    elif results:
        say(f"{counted(len(results) - failed, 'check')} passed or skipped, {failed} failed")
    return exit_code(errors) or int(failed > 0)


def _unreadable(paths: StreamPaths, error: LandingError) -> Result:
    """For the document, which has the streams that could not be verified, too."""
    from landing.operations.verify import Result, VerifyFinding
    from landing.secrets import redacted

    finding = VerifyFinding(redacted(str(error)), error.remedy or "fix that, and verify it again")
    return Result(paths.source, paths.stream, "readable", "failed", "its records", [finding])


def _streams(
    options: argparse.Namespace, workspace: Workspace, bucket: Bucket
) -> list[StreamPaths]:
    from landing.operations.known_streams import check_known

    if options.streams:
        named = [named_stream(options.source, stream) for stream in options.streams]
        for paths in named:
            check_known(workspace, bucket, paths)
        return named
    sources = workspace.source_names() if options.all else [options.source]
    return [paths for source in sources for paths in _of_source(workspace, bucket, source)]


def _of_source(workspace: Workspace, bucket: Bucket, source: str) -> Sequence[StreamPaths]:
    """Those that have landed, even if nobody runs them any more."""
    from landing.catalog.names import check_name, check_source
    from landing.zone.layout import StreamPaths

    check_name(source, "source")
    landed = {path.split("/")[1] for path in bucket.list(source)}
    landed |= {path.split("/")[2] for path in bucket.list(f"_dlt/{source}")}
    if not landed:
        check_source(workspace, source)
    return [StreamPaths(source, stream) for stream in sorted(landed)]


def _printed(results: Iterator[Result]) -> Iterator[Result]:
    """Print each result as it comes, since a large stream takes its time."""
    heading = None
    for result in results:
        name = f"{result.source}/{result.stream}"
        if name != heading:
            say(name, style="bold")
            heading = name
        status = "FAILED" if result.status == "failed" else result.status
        mark = f"  {result.check:<8} {status:<8} "
        say(result.message, mark=mark, style=VERDICTS.get(status, "dim"), styled=status)
        for finding in result.findings[:_SHOWN]:
            say(finding.what, mark="    ! ", style="red")
            say(finding.remedy, mark="      → ")
        if (more := len(result.findings) - _SHOWN) > 0:
            say(f"and {more:,} more (--json has all)", mark="    ! ")
        for note in result.notes:
            say(note, mark="    ")
        yield result
