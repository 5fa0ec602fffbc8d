"""`landing check`."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from landing.catalog.workspace import Workspace
from landing.cli.arguments import add_count, add_flag, add_json, add_source, add_streams
from landing.cli.text.console import VERDICTS, say
from landing.cli.text.output import print_json
from landing.errors import UsageError, listed, nearest

if TYPE_CHECKING:
    from landing.operations.checks import CheckResult

HELP = "test a source against its API: keys, cursor, paging, types; land nothing"


def configure(parser: argparse.ArgumentParser) -> None:
    add_source(parser)
    add_streams(parser, "default: all streams of the source")
    add_count(parser, "--max-rows", "N", 1_000, "records to read of a stream, each time it is read")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="CHECK",
        help="run only this check; may be repeated",
    )
    parser.add_argument(
        "--may-be-empty",
        action="append",
        default=[],
        metavar="STREAM",
        help="do not fail if this stream has no records; may be repeated",
    )
    traffic = parser.add_mutually_exclusive_group()
    add_flag(
        traffic,
        "--record",
        "save the HTTP traffic, without secrets, in the source's folder recordings/",
    )
    add_flag(traffic, "--replay", "use the saved traffic instead of the API")
    add_json(parser)


def call(options: argparse.Namespace, workspace: Workspace) -> int:
    from landing.operations.checks import CHECKS

    for name in options.only:
        if name not in CHECKS:
            raise UsageError(
                f"there is no check '{name}'{nearest(name, CHECKS)}; there are: {listed(CHECKS)}"
            )
    results = _checked(options, workspace)
    if options.json:
        from landing.cli.json.shapes import Checked

        print_json(Checked(source=options.source, results=results, **_count(results)))
    else:
        _print_summary(results)
    return 1 if any(result.status == "failed" for result in results) else 0


def _checked(options: argparse.Namespace, workspace: Workspace) -> list[CheckResult]:
    from landing.operations.recordings import Recording

    recording = Recording(workspace, options.source)
    if options.replay:
        facts = recording.facts()
        for stream in options.streams:
            if stream not in facts.streams:
                raise UsageError(
                    f"{recording.shown} has no traffic of stream '{stream}'"
                    f"{nearest(stream, facts.streams)}; it has: {listed(facts.streams)}"
                )
        with recording.replayed():
            streams = options.streams or facts.streams
            return _results(options, workspace, streams, facts.max_rows)
    if not options.record:
        return _results(options, workspace, options.streams, options.max_rows)
    with recording.recorded(options.max_rows) as recorded:
        results = _results(options, workspace, options.streams, options.max_rows)
        failed = any(result.status == "failed" for result in results)
        stays = failed and recording.exists
        if not stays:
            recorded += dict.fromkeys(r.stream for r in results if r.stream is not None)
    if stays:
        say(f"not recorded, since a check failed: {recording.shown} stays", to=sys.stderr)
    else:
        say(f"recorded in {recording.shown}", to=sys.stderr)
    return results


def _results(
    options: argparse.Namespace, workspace: Workspace, streams: list[str], max_rows: int
) -> list[CheckResult]:
    from landing.extraction.sources import load_source
    from landing.operations.checks import CHECKS, Limits, Suite

    source = load_source(workspace, options.source)
    suite = Suite(source, Limits(max_rows), options.may_be_empty)
    try:
        found = suite.results(streams, options.only or CHECKS)
        return list(found) if options.json else list(_printed(source.name, found))
    finally:
        suite.close()


def _printed(source: str, results: Iterable[CheckResult]) -> Iterable[CheckResult]:
    """Print each result as it comes, since a slow API takes its time."""
    heading = None
    for result in results:
        name = source if result.stream is None else f"{source}/{result.stream}"
        if name != heading:
            say(name, style="bold")
            heading = name
        status = "FAILED" if result.status == "failed" else result.status
        mark = f"  {result.check:<12} {status:<8} "
        say(result.detail, mark=mark, style=VERDICTS.get(status, "dim"), styled=status)
        yield result


def _print_summary(results: list[CheckResult]) -> None:
    seconds = sum(result.seconds for result in results)
    parts = [f"{number} {status}" for status, number in _count(results).items()]
    say(f"{', '.join(parts)} in {seconds:.1f} s")


def _count(results: list[CheckResult]) -> dict[str, int]:
    count = Counter[str](result.status for result in results)
    return {status: count[status] for status in ("passed", "failed", "skipped")}
