"""Kill runs, spoil what they hear and say, and count what is lost.

python -m torture                      all of it, into docs/reliability.md: about 80 minutes
python -m torture --quick              a little of each; proves that it works, prints only
python -m torture --only kills bucket  some of it, into these sections of the document
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import machine
from demo.servers import S3Server, seaweedfs
from torture.any_request import any_request
from torture.api_faults import api_faults
from torture.bucket_faults import bucket_faults
from torture.cursors import cursors
from torture.cut_networks import cut_networks
from torture.disk import full_disks
from torture.feeding import feeding
from torture.figures import Section, Table, markdown, write_between_markers, write_section
from torture.kills import kills
from torture.leaks import leaks
from torture.properties import properties
from torture.stopped_operations import stopped_operations
from torture.stops import stops
from torture.wire import WAYS
from torture.wire.runs import edge_wire

_SHOWN = 600
REPORT = Path(__file__).parent.parent / "docs" / "reliability.md"

LONG: dict[str, Callable[[S3Server], Section | Table]] = {
    "kills": lambda s3: kills(s3, 330, lanes=40, waits=True),
    "feeding": lambda s3: feeding(s3, 100, streams=4),
    "api": lambda s3: api_faults(s3, 54, lanes=3, waits=True),
    "bucket": lambda s3: bucket_faults(s3, 54, lanes=9, waits=True),
    "disk": lambda s3: full_disks(s3, 54, lanes=2, waits=True),
    "properties": lambda _: properties(16_000, rows=20_000),
    "edge-wire": lambda _: _wire(1),
    "edge-cursor": lambda _: cursors(20_000, over_http=300, lanes=8, say=_say),
    "edge-zone": lambda s3: stops(s3, 100, lanes=50, waits=True),
    "edge-network": lambda _: cut_networks(50),
    "edge-requests": lambda s3: any_request(s3),
    "edge-operations": lambda s3: stopped_operations(s3, 12),
    "edge-secrets": lambda _: leaks(10_000, processes=os.cpu_count() or 2),
}
QUICK: dict[str, Callable[[S3Server], Section | Table]] = {
    "kills": lambda s3: kills(s3, 9, lanes=4, waits=False),
    "feeding": lambda s3: feeding(s3, 8, streams=2),
    "api": lambda s3: api_faults(s3, 2, lanes=1, waits=False),
    "bucket": lambda s3: bucket_faults(s3, 1, lanes=1, waits=False),
    "disk": lambda s3: full_disks(s3, 2, lanes=1, waits=False),
    "properties": lambda _: properties(50, rows=50),
    "edge-wire": lambda _: _wire(10),
    "edge-cursor": lambda _: cursors(120, over_http=12, lanes=1),
    "edge-zone": lambda s3: stops(s3, 10, lanes=2, waits=False),
    "edge-network": lambda _: cut_networks(1),
    "edge-requests": lambda s3: any_request(s3, step=5),
    "edge-operations": lambda s3: stopped_operations(s3, 1),
    "edge-secrets": lambda _: leaks(50),
}


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    parts = QUICK if options.quick else LONG
    names = options.only or list(parts)
    begun = time.monotonic()
    sections = [_part(name, parts[name]) for name in names]
    command = f"python -m torture --only {' '.join(names)}" if options.only else "make torture"
    heading = (
        f"`{command}` on {datetime.now(UTC):%Y-%m-%d}, {machine.description()}: "
        f"{(time.monotonic() - begun) / 60:.0f} minutes."
    )
    text = markdown(heading, sections)
    print(text)
    problems = [problem for section in sections for problem in section.problems]
    for problem in problems:
        _say(f"PROBLEM {problem[:_SHOWN]}")
    if not (options.quick or problems):
        _write(sections, heading, text, is_part=bool(options.only))
    return 1 if problems else 0


def _wire(step: int) -> Table:
    """Each way, or each `step`-th."""
    with tempfile.TemporaryDirectory(prefix="torture-wire-") as folder:
        return edge_wire(WAYS[::step], Path(folder))


def _write(sections: Sequence[Section | Table], heading: str, text: str, *, is_part: bool) -> None:
    if not is_part:
        write_between_markers(REPORT, text)
        return
    for section in sections:
        write_section(REPORT, replace(section, notes=[*section.notes, heading]))


def _part(name: str, run: Callable[[S3Server], Section | Table]) -> Section | Table:
    _say(f"{name} …")
    begun = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="torture-s3-") as folder,
        seaweedfs(Path(folder)) as s3,
    ):
        section = run(s3)
    _say(f"{name}: {time.monotonic() - begun:.0f} s, {len(section.problems)} problems")
    for problem in section.problems:
        _say(f"PROBLEM {problem[:_SHOWN]}")
    return section


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m torture", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quick", action="store_true", help="a few of each")
    parser.add_argument(
        "--only", nargs="+", choices=LONG, metavar="NAME", help=f"some of {', '.join(LONG)}"
    )
    return parser


def _say(text: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
