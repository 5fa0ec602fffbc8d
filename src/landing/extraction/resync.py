"""`"backfill": true` in a stream config: the stream is read once more from its initial value.

The cursor stays where it is until reading reaches it, and never goes below. If slices are
published, the value reached so far is stored beside it, so that a run after a kill continues there.
The state remembers that it was done for as long as the config says true.
"""

from __future__ import annotations

from typing import Any

from landing.catalog.stream_config import StreamConfig
from landing.extraction.cursor import CursorTracker
from landing.extraction.deduplication import CursorState
from landing.extraction.incremental import FrozenIncremental

_KEY = "resync"


class Resync:
    """Has the run read from the initial value, or from the value that an earlier run reached."""

    def __init__(self, frozen: FrozenIncremental, state: dict[str, Any]) -> None:
        self._frozen = frozen
        self._cursor = frozen.get_state()["last_value"]
        self._known: CursorState = state.get("cursor", CursorState())
        reached = state.get(_KEY)
        self.start = reached["at"] if reached else frozen.initial_value
        frozen.get_state()["last_value"] = self.start
        state["cursor"] = reached["cursor"] if reached else CursorState()

    def remember(self, tracker: CursorTracker, state: dict[str, Any], *, ended: bool) -> None:
        """Update the state at the end of a load, after the cursor and the known rows, since each
        load has a state of its own."""
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
    """The reading that the config requests and no run has done; None if there is none. After the
    config said false, true requests it again."""
    if not config.backfill:
        state.pop(_KEY, None)
        return None
    return None if is_done(state) else Resync(frozen, state)


def is_done(state: dict[str, Any]) -> bool:
    return bool(state.get(_KEY, {}).get("done"))
