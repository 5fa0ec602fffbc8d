"""The cursors of a child's parents, which the child's state has, each by its parent's name.

Earlier versions stored them among the child's own cursors, as dlt does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from landing.catalog.lookback import moment_of
from landing.results import AHEAD, Ahead
from landing.zone.state import SCHEMA, State, resource_state

_CURSORS = "incremental"


@dataclass(frozen=True)
class ParentCursor:
    stream: str
    """The parent."""
    cursor_field: str
    cursor: Any
    """Children of parents from this value on are requested by the next run."""


def parent_cursors(state: State | None, stream: str) -> list[ParentCursor]:
    found = []
    for parent, kept in _parents(state or {}, stream):
        for name, entry in kept.get(_CURSORS, {}).items():
            found.append(ParentCursor(parent, name, entry.get("last_value")))
    return found


def move_parent(state: State, parent: str, cursor_field: str, value: Any) -> None:
    cursors = resource_state(state, parent).setdefault(_CURSORS, {})
    initial = cursors.get(cursor_field, {}).get("initial_value")
    cursors[cursor_field] = {"initial_value": initial, "last_value": value, "unique_hashes": []}


def forget_parents(state: State, stream: str, own_cursor: str | None) -> None:
    """Remove the parents' cursors, so that they are read from their start."""
    for _, kept in _parents(state, stream):
        kept.pop(_CURSORS, None)
    cursors = resource_state(state, stream).get(_CURSORS, {})
    for name in set(cursors) - {own_cursor}:
        del cursors[name]


def take_out_of_child(child: dict[str, Any], parent: dict[str, Any], cursor_field: str) -> None:
    """Move a parent's cursor that an earlier version stored in the child's resource state."""
    cursors = child.get(_CURSORS, {})
    if cursor_field in cursors:
        parent.setdefault(_CURSORS, {}).setdefault(cursor_field, cursors.pop(cursor_field))


def _parents(state: State, stream: str) -> Iterator[tuple[str, dict[str, Any]]]:
    resources = state.get("sources", {}).get(SCHEMA, {}).get("resources", {})
    return ((name, kept) for name, kept in resources.items() if name != stream)


def parent_ahead(state: State, stream: str, now: datetime) -> Ahead | None:
    """A parent's cursor that an earlier version, or a person, has moved beyond now."""
    for parent in parent_cursors(state, stream):
        moment = moment_of(parent.cursor)
        if moment is not None and moment - now > AHEAD:
            return Ahead(parent.cursor_field, parent.cursor, is_cursor=True, parent=parent.stream)
    return None
