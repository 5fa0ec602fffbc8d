"""`landing check`."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from landing.catalog.workspace import Workspace
from landing.cli.arguments import add_json, add_source, add_streams
from landing.cli.text.lines import hanging, terminal_width
from landing.cli.text.output import positive, print_json
from landing.errors import UsageError, listed, nearest

if TYPE_CHECKING:
    from landing.operations.checks import CheckResult

HELP = "try out on the API what a run relies on; nothing lands in the bucket"


def configure(parser: argparse.ArgumentParser) -> None:
    add_source(parser)
    add_streams(parser, "all, if none is named")
    parser.add_argument(
        "--max-rows",
        type=positive,
        default=1_000,
        metavar="N",
        help="records after which each read of a stream ends (default 1000)",
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="CHECK", help="this check; may be repeated"
    )
    parser.add_argument(
        "--may-be-empty",
        action="append",
        default=[],
        metavar="STREAM",
        help="a stream that may have no records; may be repeated",
    )
    traffic = parser.add_mutually_exclusive_group()
    traffic.add_argument(
        "--record",
        action="store_true",
        help="keep the HTTP traffic, without secrets, in the source's folder recordings/",
    )
    traffic.add_argument(
        "--replay", action="store_true", help="take the answers from there; ask no API"
    )
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
        _print_json(options.source, results)
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
                    f"{recording.shown} has nothing of stream '{stream}'"
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
        print(f"not recorded, since a check failed: {recording.shown} stays", file=sys.stderr)
    else:
        print(f"recorded in {recording.shown}", file=sys.stderr)
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
    """Print each result as it comes: a check of a slow API takes its time."""
    heading, width = None, terminal_width()
    for result in results:
        name = source if result.stream is None else f"{source}/{result.stream}"
        if name != heading:
            print(name)
            heading = name
        status = "FAILED" if result.status == "failed" else result.status
        line = f"  {result.check:<12} {status:<8} {result.detail}"
        print(hanging(line, 24, width), flush=True)
        yield result


def _print_summary(results: list[CheckResult]) -> None:
    count = Counter(result.status for result in results)
    seconds = sum(result.seconds for result in results)
    parts = [f"{count[status]} {status}" for status in ("passed", "failed", "skipped")]
    print(f"{', '.join(parts)} in {seconds:.1f} s")


def _print_json(source: str, results: list[CheckResult]) -> None:
    from landing.cli.json.shapes import Checked

    count = Counter(result.status for result in results)
    print_json(
        Checked(
            source=source,
            passed=count["passed"],
            failed=count["failed"],
            skipped=count["skipped"],
            results=results,
        )
    )
