"""`landing status`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from landing.catalog.workspace import Workspace, bucket_settings
from landing.cli.arguments import add_grace, add_json, add_sources
from landing.cli.text.grid import grid
from landing.cli.text.lines import hanging, terminal_width
from landing.cli.text.output import counted, print_json, printable
from landing.cli.text.results import drift_in_words

if TYPE_CHECKING:
    from landing.observe.status import StreamStatus

HELP = "how every selected stream is: last run, freshness, lag, quarantine"
_TITLES = ("STREAM", "STATUS", "RAN", "DUE", "LAG", "LANDED", "ROWS", "QUARANTINE")
_NUMBERS = ("RAN", "DUE", "LAG", "LANDED", "ROWS", "QUARANTINE")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Looks at the bucket alone and writes nothing. Exits with 1 if a stream is late, its last "
        "run failed, or records are in quarantine."
    )
    add_sources(parser)
    add_grace(parser)
    add_json(parser)


def call(options: argparse.Namespace, workspace: Workspace) -> int:
    from landing.catalog.names import check_source
    from landing.catalog.orphans import orphans
    from landing.observe.status import stream_statuses
    from landing.zone.bucket import Bucket

    bucket = Bucket(bucket_settings(workspace))
    sources = [check_source(workspace, name) for name in options.sources]
    now = datetime.now(UTC)
    found = stream_statuses(
        workspace,
        sources or workspace.source_names(),
        bucket,
        now,
        timedelta(minutes=options.grace),
    )
    for one in orphans(workspace):
        print(printable(f"note: {one.message}"), file=sys.stderr)
    if options.json:
        print_json(found)
    elif not found:
        print(_none_selected(workspace, width=terminal_width()))
    else:
        _print(found, now)
    return 1 if any(one.problems for one in found) else 0


def _none_selected(workspace: Workspace, width: int | None) -> str:
    line = (
        "no stream is selected: `landing discover SOURCE` finds out what there is; a copy in "
        f'{workspace.shown(workspace.config_dir("SOURCE"))}/ with "selected": true is one'
    )
    return hanging(line, 0, width)


def _print(found: Sequence[StreamStatus], now: datetime) -> None:
    rows = [_row(one, now) for one in found]
    width = terminal_width()
    for line in grid(_TITLES, rows, width, right=_NUMBERS):
        print(line)
    notes = [hanging(printable(line), 4, width) for one in found for line in _notes(one)]
    if notes:
        print("", *notes, sep="\n")


def _row(one: StreamStatus, now: datetime) -> Sequence[str]:
    load = one.last_load
    return (
        one.name,
        one.status,
        _span(None if one.last_run is None else now - one.last_run),
        _span(None if one.due is None else one.due - now),
        _span(None if one.lag_seconds is None else timedelta(seconds=one.lag_seconds)),
        _span(None if load is None else now - load.finished),
        "-" if load is None else f"{load.rows:,}",
        f"{one.quarantined:,}",
    )


def _notes(one: StreamStatus) -> Iterator[str]:
    for problem in one.problems:
        yield f"{one.name}: {problem.message}"
        yield f"  → {problem.remedy}"
    if one.drift is not None:
        yield f"{one.name}: the source's fields differ: {drift_in_words(one.drift)}"
        yield f"  → `landing discover {one.source} {one.stream}` writes what there is now"
    if one.lease is not None and not one.lease.is_dead:
        yield f"{one.name}: {one.lease.doing}: {one.lease.holder}, since {one.lease.since}"
    for backfill in one.backfills:
        what = f"{backfill.done} of {backfill.windows} windows" if backfill.windows else "of fields"
        rows = counted(backfill.rows, "row")
        yield f"{one.name}: a backfill is under way, {what}, {rows} so far ({backfill.id})"


def _span(span: timedelta | None) -> str:
    """As short as a column is: `3h`; a dash where there is none."""
    if span is None:
        return "-"
    seconds = int(span.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if abs(seconds) >= 2 * size or (unit == "m" and abs(seconds) >= size):
            return f"{int(seconds / size)}{unit}"
    return f"{seconds}s"
