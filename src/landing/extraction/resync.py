"""`"backfill": true` of a stream config: a live stream is read once more from its initial value.

The cursor stays where it is until the reading has come to it, and never goes below. What the
reading has reached is kept beside it, where it is published in slices, so that a run that is killed
is followed by one that goes on. Once done, that is remembered for as long as the config says true.
"""

from __future__ import annotations

from typing import Any

from landing.catalog.stream_config import StreamConfig
from landing.extraction.cursor import CursorTracker
from landing.extraction.deduplication import CursorState
from landing.extraction.incremental import FrozenIncremental

_KEY = "resync"


class Resync:
    """Has the run that begins read from the initial value, or from where an earlier one came."""

    def __init__(self, frozen: FrozenIncremental, state: dict[str, Any]) -> None:
        self._frozen = frozen
        self._cursor = frozen.get_state()["last_value"]
        self._known: CursorState = state.get("cursor", CursorState())
        reached = state.get(_KEY)
        self.start = reached["at"] if reached else frozen.initial_value
        frozen.get_state()["last_value"] = self.start
        state["cursor"] = reached["cursor"] if reached else CursorState()

    def remember(self, tracker: CursorTracker, state: dict[str, Any], *, ended: bool) -> None:
        """At the end of a load, once the cursor and what is known there are in the state, which
        is another object with each load."""
        if self._cursor is None or tracker.is_beyond(self._cursor, or_at=ended):
            state[_KEY] = {"done": True}
            return
        reached = {"at": tracker.after, "cursor": state["cursor"]}
        state[_KEY] = {"done": True} if ended else reached
        self._frozen.get_state()["last_value"] = self._cursor
        state["cursor"] = self._known


def due_resync(
    config: StreamConfig, frozen: FrozenIncremental, state: dict[str, Any]
) -> Resync | None:
    """What the config asks for and no run has done yet. Once it says false, it may ask again."""
    if not config.backfill:
        state.pop(_KEY, None)
        return None
    return None if is_done(state) else Resync(frozen, state)


def is_done(state: dict[str, Any]) -> bool:
    return bool(state.get(_KEY, {}).get("done"))
