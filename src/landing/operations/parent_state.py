"""Moves the cursors of a child's parents, with the child's own or by themselves.

A parent with a cursor requests only parents from there on. So a child whose cursor is moved back
gets its rows again only if the parents' cursors go back, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from landing.catalog.lookback import moment_of, respelled
from landing.errors import UsageError, listed
from landing.extraction.cursor_values import is_naive
from landing.zone.layout import StreamPaths
from landing.zone.parent_cursors import (
    ParentCursor,
    forget_parents,
    move_parent,
    parent_ahead,
    parent_cursors,
)
from landing.zone.state import State

BEYOND_NOW = "that is beyond now: what is new is not requested until then"


def parents_moved(
    state: State, stream: str, own_cursor: str, value: Any, *, forward: bool
) -> Iterator[str]:
    """Moves the parents' cursors back if the child's is, and says so."""
    parents = parent_cursors(state, stream)
    if not forward:
        forget_parents(state, stream, own_cursor)
    for parent in parents:
        name, back = _named(parent), _as_of(parent, value)
        if forward:
            yield (
                f"{name} stays at {parent.cursor}: the children of parents from there on are "
                f"requested (`--parent {parent.stream}` moves it)"
            )
        elif back is None:
            yield f"{name}: {parent.cursor} → none; that parent is read from its start"
        else:
            move_parent(state, parent.stream, parent.cursor_field, back)
            yield f"{name}: {parent.cursor} → {back}"


def parent_moved(state: State, paths: StreamPaths, name: str, text: str) -> Iterator[str]:
    """Moves the cursor of one parent to `text`, and says so. Raises UsageError."""
    known = {parent.stream: parent for parent in parent_cursors(state, paths.stream)}
    if name not in known:
        raise UsageError(
            f"--parent {name}: the state of {paths.data} has no cursor of this parent; it has "
            f"those of: {listed(known)}"
        )
    parent, value = known[name], _value(known[name], text)
    move_parent(state, name, parent.cursor_field, value)
    yield f"{_named(parent)}: {parent.cursor} → {value}"
    yield (
        f"the next run requests the children of {name} from {value} on; of those, rows below the "
        "stream's own cursor do not land: `landing state set "
        f"{paths.source} {paths.stream} --cursor VALUE` moves it back"
    )
    ahead = parent_ahead(state, paths.stream, datetime.now(UTC))
    if ahead is not None and ahead.parent == name:
        yield BEYOND_NOW


def _named(parent: ParentCursor) -> str:
    return f"cursor {parent.cursor_field} of the parent {parent.stream}"


def _as_of(parent: ParentCursor, value: Any) -> Any:
    """The parent's cursor moved back to the child's `value`, in the parent's spelling; None where
    the two can't be compared."""
    moment, present = moment_of(value), moment_of(parent.cursor)
    if moment is None or present is None or is_naive(value) != is_naive(parent.cursor):
        return None
    if moment >= present:
        return parent.cursor
    if not isinstance(parent.cursor, str):
        return moment.replace(tzinfo=None) if is_naive(parent.cursor) else moment
    try:
        zone = datetime.fromisoformat(parent.cursor).tzinfo
        return respelled(parent.cursor, moment.astimezone(zone) if zone else moment)
    except ValueError:
        return None


def _value(parent: ParentCursor, text: str) -> Any:
    """`text` as a value of the kind that the parent's cursor has now."""
    value: Any = text
    if isinstance(parent.cursor, int | float):
        value = _number(text)
    elif moment_of(parent.cursor) is not None:
        moment = moment_of(text)
        is_same = moment is not None and is_naive(text) == is_naive(parent.cursor)
        value = None if not is_same else text if isinstance(parent.cursor, str) else moment
    if value is None:
        raise UsageError(
            f"--cursor '{text}' is no value of {parent.cursor_field}: give one as the API spells "
            f"it, such as {parent.cursor}"
        )
    return value


def _number(text: str) -> int | float | None:
    try:
        number = json.loads(text)
    except ValueError:
        return None
    return number if isinstance(number, int | float) and not isinstance(number, bool) else None
