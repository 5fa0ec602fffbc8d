"""Checks of the cursor: its values, their order, and that they move with each edit."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from landing.columns.conversion import Row
from landing.errors import SourceError, counted, listed
from landing.operations.checks.subject import CheckedStream, content
from landing.operations.checks.verdicts import CheckFailed, CheckSkipped, named
from landing.operations.discovered_changes import spelled

_SHOWN_FIELDS = 5


def cursor(subject: CheckedStream) -> str:
    """Each record has a cursor value, the values can be compared, and the records come in the order
    that the stream declares."""
    name = cursor_name(subject)
    if subject.cursor_type is None:
        raise CheckFailed(f"no record has the cursor field '{name}'")
    try:
        subject.compare_cursors()
    except SourceError as error:
        raise CheckFailed(str(error)) from None
    without = unusable = 0
    for row in subject.first.rows:
        without += row.get(name) is None
        unusable += row.get(name) is not None and subject.cursor_of(row) is None
    if unusable:
        raise CheckFailed(
            f"{unusable:,} records have a '{name}' that is no "
            f"{spelled(subject.cursor_type)}, so it can't be compared"
        )
    if without == len(subject.first.rows):
        raise CheckFailed(f"no record has a value in '{name}'")
    check_order(subject)
    if without:
        return f"{name}; {without:,} records have none and land once"
    return name


def cursor_name(subject: CheckedStream) -> str:
    if subject.cursor_field is None:
        raise CheckSkipped("neither the stream nor its config has a cursor")
    return subject.cursor_field


def check_order(subject: CheckedStream) -> None:
    """Raises CheckFailed if the stream declares an order that its records do not come in."""
    declared, name = subject.frozen.whole_order, cursor_name(subject)
    if declared is None:
        return
    is_rising = (declared == "asc") is not subject.falls
    rows = [row for row in subject.first.rows if subject.cursor_of(row) is not None]
    for earlier, later in pairwise(rows):
        before, after = subject.cursor_of(earlier), subject.cursor_of(later)
        if before > after if is_rising else before < after:
            order = "oldest" if is_rising else "newest"
            raise CheckFailed(
                f"row_order is '{declared}', but the records do not come {order} first: after "
                f"{earlier[name]} came {later[name]}; have the API sort by '{name}', or leave "
                "row_order out"
            )


def edits(subject: CheckedStream) -> str:
    """Each record that changed between two reads has a later cursor value after it."""
    name, config = cursor_name(subject), subject.written_config
    if config is not None and not config.is_incremental:
        raise CheckSkipped("a full refresh reads every record, however it changed")
    if not subject.key:
        raise CheckSkipped("without a primary key, no edit of a record can be noticed")
    first = subject.first
    if subject.reads[-1] is first:
        subject.read()
    identity = subject.identity()
    known: dict[Any, Row] = {}
    changed = 0
    for row in (row for read in subject.reads for row in read.rows):
        before = known.setdefault(identity(row), row)
        names = _changed(subject, before, row)
        if not names:
            continue
        changed += 1
        if not _is_later(subject, subject.cursor_of(row), subject.cursor_of(before)):
            raise CheckFailed(
                f"the record {named(identity(row))} changed between two reads "
                f"({listed(names[:_SHOWN_FIELDS])}), but its '{name}' went from {before.get(name)} "
                f"to {row.get(name)}: a run that reads from its cursor on misses such an edit. "
                "Choose a cursor that each edit moves, or leave out fields that differ with each "
                "request"
            )
        known[identity(row)] = row
    if not changed:
        return "no record changed between two reads"
    return f"{counted(changed, 'record')} changed between two reads, and '{name}' with each"


def _changed(subject: CheckedStream, before: Row, after: Row) -> list[str]:
    """Names of the fields to land that both have, with different values."""
    if before is after or content(before) == content(after):
        return []
    config = subject.written_config
    wanted = before.keys() if config is None else config.fields.keys()
    return [
        name
        for name in before
        if name in after
        and name in wanted
        and content({"": before[name]}) != content({"": after[name]})
    ]


def _is_later(subject: CheckedStream, new: Any, old: Any) -> bool:
    if old is None or new is None:
        return old is None and new is not None
    return subject.is_later(new, old)
