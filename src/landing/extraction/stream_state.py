"""The part of a stream's state that its run reads and updates."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

from landing.extraction.cursor import CursorTracker
from landing.extraction.cursor_messages import messages
from landing.extraction.known_rows import Fetch, KnownRowsState, LandedFile, not_kept
from landing.extraction.prepared import PreparedStream
from landing.extraction.reader import StreamReader
from landing.extraction.resync import Resync, due_resync
from landing.extraction.volume import Volume, VolumeState
from landing.http import traffic
from landing.results import Ahead
from landing.zone.parent_cursors import forget_parents, parent_ahead
from landing.zone.publication import Load
from landing.zone.state import STATE_KEY, State, keeps_state, resource_state, take_over


class StreamState:
    """The cursor, known rows, known keys and volume of a stream.

    Use it in the stream's `dlt_context`, since the cursor's value is in dlt's own state.
    """

    def __init__(
        self,
        stream: PreparedStream,
        state: State,
        reader: StreamReader,
        notify: Callable[[str], None],
        fetch: Fetch = not_kept,
    ) -> None:
        self._name = stream.config.stream
        self._stream = stream
        self._state = state
        self._reader = reader
        self._notify = notify
        self._ours: dict[str, Any] = resource_state(state, self._name).setdefault(STATE_KEY, {})
        self._resync = self._due_resync()
        self.of_reading = deepcopy(state)
        """The stream's own state: it runs ahead in a thread, while `state` moves with each load."""
        if self._resync is not None:
            forget_parents(self.of_reading, self._name, stream.config.cursor_field)
        self._began = traffic.current().answers.clock()
        self.tracker = self._tracker(fetch)
        self.volume = Volume(
            stream.config, self._ours.get("volume", VolumeState()), datetime.now(UTC)
        )
        self._rows_state = KnownRowsState() if self.tracker is None else self.tracker.rows_state
        if self.tracker is not None:
            reader.quarantine.known = frozenset(self._ours.get("quarantined", ()))

    def _due_resync(self) -> Resync | None:
        frozen, config = self._stream.frozen, self._stream.config
        if frozen is None or not config.is_incremental or frozen.end_value is not None:
            return None
        resync = due_resync(config, frozen, self._ours)
        if resync is not None:
            start = "the beginning" if resync.start is None else resync.start
            self._notify(f'"backfill" is true: reads once more from {start}')
        return resync

    def _tracker(self, fetch: Fetch) -> CursorTracker | None:
        stream = self._stream
        if stream.frozen is None or not stream.config.is_incremental:
            return None
        known = self._ours.get("cursor", {})
        return CursorTracker(
            stream.frozen,
            stream.columns,
            known,
            stream.folder,
            began=self._began,
            fetch=fetch,
            primary_key=stream.config.primary_key,
        )

    @property
    def ahead(self) -> Ahead | None:
        """What is beyond the source's time: a cursor, that of a parent too, before a record."""
        if self.tracker is None:
            return None
        own = self.tracker.ahead
        if own is not None and own.is_cursor:
            return own
        return parent_ahead(self.of_reading, self._name, self._began()) or own

    @property
    def keys(self) -> Any:
        """The keys of the source's records, as `KnownKeys` stored them."""
        return self._ours.get("keys")

    @property
    def has_rows(self) -> bool:
        """Whether an `overwrite` run would replace rows."""
        return bool(self._ours.get("rows", self._ours.get("load_id") is not None))

    @property
    def may_lack_all_children(self) -> bool:
        """Whether all children may be gone. If parents are read from their start, at least one
        child must exist."""
        return self.has_rows and self._resync is None

    @property
    def may_publish(self) -> bool:
        """Whether rows can be published before the stream's end. Not if the stream stores something
        in dlt's state, which would be ahead of the published rows."""
        if self.tracker is None or not self.tracker.can_publish:
            return False
        return not keeps_state(self.of_reading, self._name)

    def begin(self, load: Load) -> None:
        load.last_load_id = self._ours.get("load_id")
        if self.tracker is not None:
            load.cursor_before = self.tracker.after
            load.read_from = self.tracker.read_from

    def remember(self, load: Load, put_back: Iterable[LandedFile], *, ended: bool) -> None:
        """Update the state for the run after this load.

        `put_back` are the files of the run's earlier loads, if the cursor was put back behind
        them.
        """
        if self.tracker is not None:
            self.tracker.landed(part.file for part in load.parts)
            self.tracker.landed(put_back)
        if ended and not self._reader.gone.is_all:  # else the parents' cursors would pass them
            take_over(self._state, self.of_reading, self._name)
        if identities := self._reader.quarantine.identities:
            self._ours["quarantined"] = identities
        self._remember_keys(load)
        self._remember_cursor(load, ended=ended)  # which may begin the load
        self._remember_last_load(load)
        if load.last_row_version is not None:
            self._ours["load_id"] = load.last_row_version
        self._remember_rows(load)
        self._remember_columns(load)

    def remember_volume(self, rows: int, unexpected: list[str]) -> None:
        """Store the number of the run's rows, and return what is unexpected about it."""
        if (state := self.volume.state(rows, list(unexpected))) or "volume" in self._ours:
            self._ours["volume"] = state

    def _remember_keys(self, load: Load) -> None:
        snapshot = self._reader.snapshot
        if snapshot is None:
            self._ours.pop("keys", None)
            return
        assert load.load_id is not None, "a full refresh with deletes is a load, rows or not"
        for note in snapshot.notes():
            self._notify(note)
        load.known_file = snapshot.close()
        self._ours["keys"] = snapshot.state(load.load_id)

    def _remember_rows(self, load: Load) -> None:
        if self._stream.config.destination_sync_mode == "overwrite":
            self._ours["rows"] = sum(part.rows for part in load.parts)
        elif load.parts:
            self._ours.pop("rows", None)

    def _remember_columns(self, load: Load) -> None:
        known = load.still_known(self._ours.get("schema"))
        if load.parts:
            known = load.settle_columns(known, self._stream.schema)
        if known is not None:
            self._ours["schema"] = known

    def _remember_cursor(self, load: Load, *, ended: bool) -> None:
        tracker, frozen = self.tracker, self._stream.frozen
        if tracker is None or frozen is None:
            return
        frozen.get_state()["last_value"] = tracker.after  # is discarded if there is an end_value
        self._ours["cursor"] = tracker.state(self._known_rows(load, ended=ended), ended=ended)
        if self._resync is not None:
            self._resync.remember(tracker, self._ours, ended=ended)
        load.cursor_after = frozen.get_state()["last_value"]
        for note in messages(tracker, self.ahead, self._reader.count) if ended else ():
            self._notify(note)

    def _remember_last_load(self, load: Load) -> None:
        """Its cursor, if runs with nothing new move on from there: they leave no record, and
        `landing verify` would find a gap."""
        if load.load_id is not None:
            load.cursor_of_last_load = self._ours.pop("cursor_of_last_load", None)
        elif load.cursor_before not in (None, load.cursor_after):
            self._ours.setdefault("cursor_of_last_load", load.cursor_before)

    def _known_rows(self, load: Load, *, ended: bool) -> KnownRowsState:
        """The rows that the next run reads again, in the state or in an object of the load."""
        assert self.tracker is not None, "only a stream with a cursor reads again"
        known = self.tracker.known(ended=ended)
        before = self._rows_state  # of an earlier load of this run, or of the run before
        in_state = known.in_state()
        if in_state is None and load.load_id is None and "load_id" in before:
            return before  # of which these are a part
        if in_state is not None:
            self._rows_state = in_state
        else:
            load.known_file = known.in_file(self._stream.folder / "known-rows-after.parquet")
            self._rows_state = KnownRowsState(load_id=load.begin())
        return self._rows_state
