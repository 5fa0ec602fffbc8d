"""Reads a run's stream into loads on the local disk.

A run is one load, or several if the stream returns its oldest rows first: then the rows read so far
can be published, and the cursor moved, before the stream has ended.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Self

from landing.catalog.settings import slice_limits
from landing.errors import StreamError
from landing.events import Emit, Note
from landing.extraction.dlt_bridge import dlt_context, is_limited, parents_of
from landing.extraction.load_writer import LoadWriter
from landing.extraction.prepared import PreparedStream
from landing.extraction.reader import Pieces, StreamReader
from landing.extraction.row_versions import LoadVersions
from landing.extraction.side_by_side import Stop
from landing.extraction.stream_state import StreamState
from landing.http.paging.signs import ALL
from landing.http.paging.unread import unread
from landing.results import ENOUGH, Ahead, Drifted
from landing.zone.bucket_file import BucketFile
from landing.zone.publication import Load
from landing.zone.state import StateFile

_SEVERAL = 10
"""Of rejected records: if a run has so many and no record fits, the API or the config has changed;
fewer may be odd ones in a quiet hour."""


class Extraction:
    """The reading of one run. Use it as a context manager, and call `read_into` with one load after
    another until `is_over`; publish the rows of each before the next."""

    def __init__(
        self, stream: PreparedStream, state_file: StateFile, emit: Emit, stop: Stop
    ) -> None:
        self.is_over = False
        self._config = stream.config
        self._stream = stream
        self._state_file = state_file
        self._emit = emit
        self._slice = slice_limits()
        self._versions = LoadVersions(stream.version_key)
        self._reader = StreamReader(stream, emit, stop)
        self._loads: list[Load] = []
        self.unexpected: list[str] = []
        """How the number of rows differs from what is expected; set once the stream has ended."""
        self._is_put_back = False

    def __enter__(self) -> Self:
        stream = self._stream
        with ExitStack() as opened:  # closed here if the state is refused
            opened.enter_context(dlt_context(stream.resource, self._state_file.state))
            opened.callback(self._reader.close)
            self._state = StreamState(
                stream,
                self._state_file.state,
                self._reader,
                self._note,
                self._state_file.known_rows,
            )
            self._rows = self._reader.rows(self._state.of_reading, self._state.tracker)
            self._open = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def count(self) -> int:
        """Records that the stream has returned."""
        return self._reader.count

    @property
    def gone(self) -> int:
        """Children that the API no longer has, and that were skipped."""
        return self._reader.gone.count

    @property
    def drift(self) -> Drifted:
        """Complete at the stream's end."""
        return self._reader.drift

    @property
    def ahead(self) -> Ahead | None:
        return self._state.ahead

    def read_into(self, load: Load) -> None:
        """Read to the stream's end, or as much as makes a slice."""
        self._state.begin(load)
        writer = LoadWriter(self._stream, self._versions, self._reader.quarantine, load, self._emit)
        self._read(writer)
        self._check_limit(load)
        if self.is_over:
            self._reader.check_gone(may_be_all=self._state.may_lack_all_children)
            self._conclude(load, writer)
        writer.close()
        self._count(load)
        if self._config.destination_sync_mode == "overwrite":
            self._check_not_emptied(load)
        self._check_volume(load)
        self._state.remember(load, self._put_back_files(), ended=self.is_over)
        self._loads.append(load)

    def _read(self, writer: LoadWriter) -> None:
        begun = time.monotonic()
        for is_deferred, pieces in self._rows:
            self._put_back_state()
            if not pieces:
                continue
            writer.write(pieces, is_deferred=is_deferred)
            is_full = self._slice.is_full(writer.bytes, time.monotonic() - begun)
            if is_full and self._state.may_publish:
                for pieces_at_before in self._deferred_at_before():
                    writer.write(pieces_at_before, is_deferred=True)
                return
        self.is_over = True

    def _count(self, load: Load) -> None:
        """Set the load's counts of rows that, since the last load, did not land or came twice."""
        tracker, earlier = self._state.tracker, self._loads
        load.repeated = self._versions.repeated - sum(one.repeated for one in earlier)
        if tracker is not None:
            load.below_cursor = tracker.below - sum(one.below_cursor for one in earlier)
            load.known = tracker.known_count - sum(one.known for one in earlier)

    def _deferred_at_before(self) -> Iterator[Pieces]:
        assert self._state.tracker is not None, "only a cursor says what may be published"
        deferred = self._state.tracker.deferred_at_before()
        yield from ([table] for table in deferred if table.num_rows)

    def _put_back_state(self) -> None:
        """Put the cursor back if a slice moved it and a lower value came after all. Published rows
        stay, and land again if this run does not reach its end."""
        tracker = self._state.tracker
        if tracker is None or not tracker.went_back:
            return
        if self._loads and not self._is_put_back:
            self._state_file.put_back()
            self._is_put_back = True
            self._note(
                f"declares row_order 'asc', but returned a lower {tracker.name} after a higher "
                "one, or none: the cursor stays where it was until the stream's end; leave "
                "row_order out"
            )

    def _put_back_files(self) -> Iterator[BucketFile]:
        if self._is_put_back and self.is_over:
            for load in self._loads:
                for landed in load.files:
                    with load.bucket.file(landed.path) as file:
                        yield file

    def _check_limit(self, load: Load) -> None:
        """Raises StreamError, before anything of the load is published, if too few records fit, or
        none of those that the run has read."""
        limit, quarantine = self._config.quarantine_limit, self._reader.quarantine
        is_above = limit is not None and quarantine.share > limit
        is_all = self.is_over and quarantine.count == self.count and self._is_wrong_config()
        if not is_above and not is_all:
            return
        source, stream = self._config.source, self._config.stream
        excess = quarantine.excess()
        load.quarantine_file = quarantine.close()
        load.put_failed_quarantine()
        show = f"`landing quarantine show {source} {stream} --failed` shows the records"
        again = f"`landing run {source} {stream}` then reads these records again"
        if not is_above:
            raise StreamError(
                f"stream '{source}/{stream}': {excess}; no record fits, so nothing was landed and "
                f"the cursor stays; {show}: fix the types of these fields",
                remedy=again,
            )
        raise StreamError(
            f"stream '{source}/{stream}': {excess}; the quarantine_limit of "
            f"{self._config.origin} is {limit:g}, so nothing "
            f"{'more of the run' if self._loads else 'of the run'} was landed and the "
            f"cursor stays; {show}: fix the types of these fields or raise the limit",
            remedy=again,
        )

    def _is_wrong_config(self) -> bool:
        """Whether the config is wrong, if no record of the run fits. A run of an incremental stream
        may also have read nothing but a few odd records."""
        count = self._reader.quarantine.count
        is_small = self._config.is_incremental and self._state.has_rows and count < _SEVERAL
        return count > 0 and not is_small

    def _check_not_emptied(self, load: Load) -> None:
        """Raises StreamError if the run has no rows and would replace existing ones."""
        if load.parts or not self._state.has_rows or self._config.allow_empty:
            return
        source, stream = self._config.source, self._config.stream
        raise StreamError(
            f"stream '{source}/{stream}' returned no rows, and would replace those of the last "
            'run, so nothing was changed. If the source is really empty, set "allow_empty": true '
            f"in {self._config.origin}; if not, find out why the stream returns no rows",
            remedy=f"`landing check {source} {stream}` shows what it returns",
        )

    def _check_volume(self, load: Load) -> None:
        """Raises StreamError if unexpectedly few or many rows would replace others.

        Otherwise they land, since that loses none.
        """
        volume = self._state.volume
        volume.add(_rows_of(load))
        if not self.is_over:
            return
        rows = sum(map(_rows_of, [*self._loads, load]))
        self.unexpected = volume.of_run(rows)
        if self.unexpected and self._config.replaces_rows:
            source, stream = self._config.source, self._config.stream
            raise StreamError(
                f"stream '{source}/{stream}': {'; '.join(self.unexpected)}. All other rows would "
                "be removed, so nothing was changed. If the number is right, change "
                f"{self._config.origin}",
                remedy=f"`landing check {source} {stream}` shows what the source returns",
            )
        self._state.remember_volume(rows, self.unexpected)
        self.unexpected += volume.of_day()
        for text in self.unexpected:
            self._note(text)

    def _conclude(self, load: Load, writer: LoadWriter) -> None:
        """Called once the stream was read to its end."""
        if self._config.destination_sync_mode == "overwrite":
            load.begin()  # also without rows, which then are all that there are
        if (snapshot := self._reader.snapshot) is not None:
            load.begin()
            known = self._state.keys
            for table in snapshot.deleted(load.bucket, load.paths, known, load.last_load_id):
                writer.write_deleted(table)
        elif self._config.has_deletes and not self._config.is_incremental:
            load.begin()
        for note in (*self._reader.quarantine.notes(), *self._unread()):
            self._note(note)
        load.gone = self.gone
        # A field that few records lack may be one that few have.
        load.drift = self.drift if self._reader.live >= ENOUGH else replace(self.drift, lost=[])

    def _unread(self) -> Iterator[str]:
        """Notes of rows that the stream has probably left unread."""
        tracker, weights = self._state.tracker, ALL
        if is_limited(self._stream.resource):
            weights = frozenset()
            if tracker is None or not tracker.can_publish:  # else the next run goes on from here
                yield "add_limit in its source ended the stream, so rows may be missing"
        elif tracker is not None and (tracker.below or tracker.known_count or tracker.is_past):
            weights = frozenset()  # newest first, it ends where it meets rows of earlier runs
        elif tracker is not None or any(parents_of(self._stream.resource)):
            weights = weights - {"total"}
        is_first = not self._state.has_rows
        if (why := unread(rows=self.count, weights=weights, is_first=is_first)) is not None:
            source, stream = self._config.source, self._config.stream
            yield f"{why}; `landing check {source} {stream}` examines its paging"

    def _note(self, text: str) -> None:
        self._emit(Note(self._config.stream, text))


def _rows_of(load: Load) -> int:
    """The number of a load's rows, without tombstones."""
    return sum(part.rows for part in load.parts) - load.deleted
