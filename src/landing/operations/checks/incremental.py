"""Checks of reads that start at a value of the cursor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from landing.catalog.lookback import moment_of
from landing.columns.conversion import Row
from landing.operations.checks.cursor import check_order, cursor_name
from landing.operations.checks.subject import CheckedStream, Read
from landing.operations.checks.verdicts import CheckFailed, CheckSkipped


def incremental(subject: CheckedStream) -> str:
    """A read from a cursor value returns all records from that value on, and no older ones."""
    name = cursor_name(subject)
    if not subject.takes_cursor and not subject.incremental_parents:
        whole = (
            "requests the children of all parents" if subject.is_child else "reads it as a whole"
        )
        raise CheckSkipped(f"the stream does not ask by the cursor: each run {whole}")
    values = _cursor_values(subject)
    if len(values) < 2:
        raise CheckSkipped(f"all records have the same '{name}'")
    if not subject.takes_cursor:
        return _by_parents(subject, values)
    frozen = subject.frozen
    if frozen.whole_order == "desc":
        check_order(subject)
        return "newest first; a run ends at the first known record"
    if frozen.whole_order == "asc":
        check_order(subject)
    ordered = sorted(values, reverse=subject.falls)
    middle = subject.read(since=values[ordered[len(ordered) // 2]])
    _nothing_older(subject, middle)
    _nothing_missing(subject, middle)
    found = f"{len(middle.rows):,} of {len(subject.first.rows):,} records from the middle value on"
    if not subject.first.is_whole:
        return found
    last = subject.read(since=values[ordered[-1]])
    _nothing_older(subject, last)
    _nothing_missing(subject, last)
    return f"{found}, {len(last.rows):,} from the last"


def _by_parents(subject: CheckedStream, values: Mapping[Any, Any]) -> str:
    """Whether the children of parents from a value on are all children that have changed since.

    Only times of a child and of its parent can be compared: versions may be counted apart.
    """
    (parent, cursor), *more = subject.incremental_parents.items()
    whose = f"the parent '{parent}', by its '{cursor}'"
    middle = values[sorted(values)[len(values) // 2]]
    if more or moment_of(middle) is None:
        raise CheckSkipped(
            f"runs ask {whose}, which can't be compared with '{cursor_name(subject)}'"
        )
    read = subject.read(parents_since=middle)
    _nothing_missing(
        subject,
        read,
        hint=f": the runs ask {whose}, so a change of a child has to change that, too; if it does "
        "not, declare no cursor in the parent",
    )
    found = f"{len(read.rows):,} of {len(subject.first.rows):,} records from the middle value on"
    return f"{found}, asking {whose}"


def _cursor_values(subject: CheckedStream) -> dict[Any, Any]:
    """The cursor's distinct values, each mapped to the API's own format."""
    name = cursor_name(subject)
    return {subject.cursor_of(row): row[name] for row in _with_cursor(subject)}


def _with_cursor(subject: CheckedStream) -> Iterator[Row]:
    return (row for row in subject.first.rows if subject.cursor_of(row) is not None)


def _nothing_older(subject: CheckedStream, read: Read) -> None:
    start = subject.comparable(read.start)
    cursors = [subject.cursor_of(row) for row in read.rows]
    older = sum(at is not None and subject.is_later(start, at) for at in cursors)
    if older:
        raise CheckFailed(
            f"asked from {read.start} on, it returned {older:,} of {len(read.rows):,} records that "
            "are older: pass the cursor's last_value to the API"
        )


def _nothing_missing(subject: CheckedStream, read: Read, hint: str = "") -> None:
    first = subject.first
    cursors = [subject.cursor_of(row) for row in _with_cursor(subject)]
    if not (first.is_whole and read.is_whole) and cursors != sorted(cursors):
        raise CheckSkipped(
            f"the records do not come in the order of '{subject.cursor_field}', and the read was "
            "cut off: raise --max-rows to compare all"
        )
    start = subject.comparable(read.start)
    expected = [
        row for row in _with_cursor(subject) if _is_due(subject, subject.cursor_of(row), start)
    ]
    missing = _without(subject, expected, read.rows)
    if not missing:
        return
    at_start = sum(subject.cursor_of(row) == start for row in missing)
    if at_start == len(missing):
        hint = hint or ": ask the API for >=, not >"
    raise CheckFailed(
        f"asked from {read.start} on, it left out {len(missing):,} records that it returned "
        f"before, {at_start:,} of them with exactly that value{hint}"
    )


def _is_due(subject: CheckedStream, at: Any, start: Any) -> bool:
    if at == start:
        return subject.frozen.range_start != "open"
    return subject.is_later(at, start)


def _without(subject: CheckedStream, rows: Sequence[Row], others: Sequence[Row]) -> list[Row]:
    identity = subject.identity()
    known = set(subject.identities(others))
    return [row for row in rows if identity(row) not in known]
