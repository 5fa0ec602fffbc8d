"""`landing status`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from landing.catalog.settings import bucket_settings
from landing.catalog.workspace import Workspace
from landing.cli.arguments import add_grace, add_json, add_sources, chosen_sources
from landing.cli.text.console import put, put_grid, say
from landing.cli.text.output import ARROW, print_json
from landing.cli.text.results import drift_in_words, type_remedy

if TYPE_CHECKING:
    from landing.observe.stream_status import StreamStatus

HELP = "show every selected stream: last run, freshness, lag, quarantine"
_TITLES = ("STREAM", "STATUS", "RAN", "DUE", "LAG", "LANDED", "ROWS", "QUARANTINE")
_MAY_GO = ("LANDED", "DUE", "LAG", "ROWS", "RAN")
_STYLES = {
    **{"ok": "green", "running": "cyan", "never": "dim"},
    **dict.fromkeys(("quarantine", "volume", "late", "ahead"), "yellow"),
    **dict.fromkeys(("unreadable", "died", "interrupted", "failed", "failing"), "bold red"),
}
_NUMBERS = ("RAN", "DUE", "LAG", "LANDED", "ROWS", "QUARANTINE")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Reads only the bucket and writes nothing. Exits with 1 if a stream is late, its last run "
        "failed, its cursor or a record is ahead of now, its number of rows is not as expected, or "
        "records are in quarantine."
    )
    add_sources(parser)
    add_grace(parser)
    add_json(parser)


def call(options: argparse.Namespace, workspace: Workspace) -> int:
    from landing.catalog.orphans import orphans
    from landing.observe.status import stream_statuses
    from landing.zone.bucket import Bucket

    bucket = Bucket(bucket_settings(workspace))
    sources = chosen_sources(options, workspace)
    now = datetime.now(UTC)
    grace = timedelta(minutes=options.grace)
    found = stream_statuses(workspace, sources, bucket, now, grace)
    for one in orphans(workspace):
        say(one.message, mark="note: ", to=sys.stderr)
    if options.json:
        print_json(found)
    elif not found:
        say(
            "no stream is selected: `landing discover SOURCE` writes a file for each stream; "
            "`landing select SOURCE` selects some, or copy one to "
            f"{workspace.shown(workspace.config_dir('SOURCE'))}/ and set "
            '"selected": true in it'
        )
    else:
        _print(found, now)
    return 1 if any(one.problems for one in found) else 0


def _print(found: Sequence[StreamStatus], now: datetime) -> None:
    rows = [_row(one, now) for one in found]
    put_grid(_TITLES, rows, _NUMBERS, may_go=_MAY_GO, styled="STATUS", styles=_STYLES)
    notes = [note for one in found for note in _notes(one)]
    if notes:
        put()
    for mark, note in notes:
        say(note, mark=mark, style="" if mark == ARROW else "bold")


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


def _notes(one: StreamStatus) -> Iterator[tuple[str, str]]:
    mark = f"{one.name}: "
    for problem in one.problems:
        yield mark, problem.message
        yield ARROW, problem.remedy
    if one.drift is not None:
        yield mark, f"the source's fields have changed: {drift_in_words(one.drift)}"
        if one.drift.gained or one.drift.lost:
            name = f"{one.source} {one.stream}"
            yield ARROW, f"`landing discover {name}` updates the discovered schema"
        if one.drift.changed:
            yield ARROW, type_remedy(one.source, one.stream, one.drift)
    if one.lease is not None and not (one.lease.is_dead or one.lease.is_gone):
        yield mark, f"{one.lease.doing}: {one.lease.holder}, since {one.lease.since}"
    for backfill in one.backfills:
        yield mark, f"{backfill.in_words} ({backfill.id})"
        yield ARROW, backfill.remedy


def _span(span: timedelta | None) -> str:
    """`3h`, or a dash if there is none."""
    if span is None:
        return "-"
    seconds = int(span.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if abs(seconds) >= 2 * size or (unit == "m" and abs(seconds) >= size):
            return f"{int(seconds / size)}{unit}"
    return f"{seconds}s"
