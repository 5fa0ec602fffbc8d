"""Checks of what landed after two interrupted runs and one that completed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from landing.columns.conversion import Row
from landing.errors import listed
from landing.operations.checks.interruption import NothingDied, as_landed, rows_after_interruptions
from landing.operations.checks.output import leaks
from landing.operations.checks.subject import CheckedStream, content
from landing.operations.checks.verdicts import CheckFailed, CheckSkipped, named


def resume(subject: CheckedStream) -> str:
    """After two runs that die and one that completes, all records of the stream have landed."""
    landed = _landed(subject)
    expected = [row for page in subject.first.pages for row in as_landed(subject, page)]
    if subject.key and set(subject.key) <= subject.config.fields.keys():
        return _newest_is_there(subject, landed, expected)
    there = {content(row) for row in landed}
    lost = sum(content(row) not in there for row in expected)
    if lost:
        raise CheckFailed(f"{lost:,} of {len(expected):,} records were lost")
    return f"{len(expected):,} records, all there after two runs that died"


def _landed(subject: CheckedStream) -> list[Row]:
    try:
        return rows_after_interruptions(subject)
    except NothingDied as reason:
        raise CheckSkipped(str(reason)) from None


def _newest_is_there(subject: CheckedStream, landed: Sequence[Row], expected: Sequence[Row]) -> str:
    """`landed` in the order of loads, so that the last version of a key is the current one."""
    current = _newest(subject, landed)
    wanted = _newest(subject, expected)
    if lost := [identity for identity in wanted if identity not in current]:
        raise CheckFailed(
            f"{len(lost):,} of {len(wanted):,} records were lost, such as {named(lost[0])}"
        )
    at = _landed_cursor(subject)
    for identity, row in wanted.items():
        there = current[identity]
        is_newer = at is not None and there[at] != row[at]
        if content(there) != content(row) and not is_newer:
            raise CheckFailed(f"the record {named(identity)} landed with another content")
    return f"{len(wanted):,} records, all there after two runs that died"


def _newest(subject: CheckedStream, rows: Sequence[Row]) -> Mapping[Any, Row]:
    identity = subject.identity()
    found: dict[Any, Row] = {}
    at = _landed_cursor(subject)
    for row in rows:
        known = found.get(identity(row))
        if known is None or at is None or not _is_older(subject, row[at], known[at]):
            found[identity(row)] = row
    return found


def _landed_cursor(subject: CheckedStream) -> str | None:
    """The cursor field, if it is among those that land."""
    return subject.cursor_field if subject.cursor_field in subject.config.fields else None


def _is_older(subject: CheckedStream, at: Any, than: Any) -> bool:
    return at is not None and than is not None and subject.is_later(than, at)


def secrets(subject: CheckedStream) -> str:
    """No secret of the source's variables was printed, logged, landed or stored in the state."""
    found, looked_for = leaks(subject)
    if not looked_for:
        raise CheckSkipped("the source reads no variable whose name says that it is secret")
    if found:
        raise CheckFailed(f"the value of {found[0].secret} is in {found[0].place}")
    return f"{listed(looked_for)}: not in output, logs, records, state or quarantine"
