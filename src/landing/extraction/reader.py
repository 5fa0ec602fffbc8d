"""Reads a stream page by page, and separates new rows from those for quarantine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import groupby
from operator import attrgetter
from typing import TypeAlias

import pyarrow as pa

from landing.catalog.fields import landing_fields
from landing.catalog.settings import stall_seconds
from landing.columns.arrow import pc
from landing.columns.conversion import Batch, Converted, Row, RowError, record_at
from landing.columns.expected_fields import Expected
from landing.columns.fitting import ConversionError
from landing.columns.tombstones import is_tombstone, tombstone_count
from landing.errors import SourceError, StreamError, listed
from landing.events import DriftNote, Emit, Note, ReadCounts, ReadingStarted, RowsRead
from landing.extraction.drift import Drift
from landing.extraction.missing_keys import KnownKeys
from landing.extraction.pages import (
    BATCH_ROWS,
    Page,
    batches,
    counting_into,
    open_pages,
    present_names,
    row_count,
)
from landing.extraction.prepared import PreparedStream
from landing.extraction.quarantine import Quarantine, Rejected
from landing.extraction.reached import CursorValue
from landing.extraction.repeated_pages import without_loops
from landing.extraction.row_filter import RowFilter
from landing.extraction.side_by_side import Stop
from landing.http.api_messages import failure_in
from landing.http.gone import Gone
from landing.results import Drifted
from landing.zone.state import State

# Enough for a batch of pages of 1,000 while the last one is converted; each page ahead is memory.
PAGES_AHEAD = 5

Pieces: TypeAlias = list[pa.Table | list[Rejected]]
"""New rows in the order of their row versions: rows that land, and rows for quarantine."""


class StreamReader:
    """Reads a stream once, from its first page to its last, or as far as its filter needs.

    Call `close` if it was not read to its end.
    """

    def __init__(self, stream: PreparedStream, emit: Emit, stop: Stop) -> None:
        config = stream.config
        self.count = 0
        """Records that the stream has returned."""
        self.live = 0
        """Those of them that are no tombstones; most tombstones have only their key."""
        self.drift = Drifted()
        """Complete at the end."""
        self.gone = Gone()
        """Children that the API no longer has."""
        self.quarantine = Quarantine(
            stream.folder / "quarantine.jsonl", config, stream.columns, stream.version_key
        )
        self.snapshot: KnownKeys | None = None
        """The keys that the stream returns, if deletions are detected by them."""
        if config.deletes == "snapshot":
            self.snapshot = KnownKeys(config, stream.columns, stream.folder)
        self._config = config
        self._expected = Expected(config.known_names, bool(config.primary_key))
        self._resource = stream.resource
        self._columns = stream.columns
        self._emit = emit
        self._stop = stop
        self._drift = Drift(config)
        self._stalled_after = stall_seconds()
        self._names = frozenset(landing_fields(config.fields))
        self._absent = set(self._names)
        self._foreign: Row | None = None
        self._open = ExitStack()

    def close(self) -> None:
        self._open.close()

    def rows(self, state: State, filter_: RowFilter | None) -> Iterator[tuple[bool, Pieces]]:
        """The new rows, batch by batch, and whether they were deferred; batches without new rows
        are left out. The stream reads and writes `state`."""
        may_end_early = filter_ is not None and filter_.may_end_early
        least = 1 if may_end_early else BATCH_ROWS
        opened = open_pages(
            self._resource,
            state,
            # A page requested beyond the last one is a wasted request.
            ahead=0 if may_end_early else PAGES_AHEAD,
            check=self._look,
            expected=self._expected,
            gone=self.gone,
        )
        hinted = map(self._known_hints, self._open.enter_context(opened))
        counts = ReadCounts()
        self._emit(ReadingStarted(self._config.stream, counts))
        pages = without_loops(counting_into(counts, hinted), self._config)
        for batch, is_first_answer in _batches(pages, least):
            self.count += row_count(batch)
            pieces = self._admitted(batch, filter_, is_first_answer=is_first_answer)
            self._emit(RowsRead(self._config.stream, self.count))
            yield False, pieces
            if filter_ is not None and filter_.is_past:
                break
        self.close()
        if filter_ is not None:
            for table in filter_.rest():
                yield from self._by_age(table, filter_.name)
        self._notify(filter_)

    def first_page(self, state: State, filter_: RowFilter | None) -> Iterator[Pieces]:
        """The new rows of the first page. Requests no second page; don't call it together with
        `rows`."""
        opened = open_pages(self._resource, state, expected=self._expected, gone=self.gone)
        page = next(map(self._known_hints, self._open.enter_context(opened)), None)
        self.close()
        for batch in batches([page] if page is not None else [], least=1):
            self.count += row_count(batch)
            yield self._admitted(batch, filter_)
        self._notify(filter_)

    def check_gone(self, *, may_be_all: bool = False) -> None:
        """Raises StreamError if all children are gone: more likely, the address is wrong or the API
        is down. With `may_be_all`, a few may be gone."""
        gone = self.gone
        if gone.is_all and not (may_be_all and gone.is_few):
            none = f"none of its {gone.count:,} child lists is there"
            raise StreamError(
                f"stream '{self._config.source}/{self._config.stream}': "
                f"{none if gone.count > 1 else 'its only child list is not there'} "
                f"({gone.first}), so nothing was landed and the cursor stays: is the "
                "address right? If they are gone indeed, pass gone=(404, 410) to Api.pages"
            )

    def _known_hints(self, page: Page) -> Page:
        """Raises SourceError for a hard_delete hint that comes with a page: a stream's columns must
        be known before its first page."""
        for name, column in (page.columns or {}).items():
            hint = self._config.hard_delete
            if column.get("hard_delete") and (hint is None or hint.column != name):
                raise SourceError(
                    f"stream '{self._config.source}/{self._config.stream}' declares '{name}' as "
                    "a hard_delete column with a page; declare it in streams.py, as columns= of "
                    "@dlt.resource"
                )
        return page

    def _look(self, waited: float) -> None:
        """Raises StreamError if the stream has returned nothing for too long: otherwise it would
        hold its lease forever."""
        self._stop.check()
        if waited > self._stalled_after:
            raise StreamError(
                f"stream '{self._config.source}/{self._config.stream}' has returned nothing for "
                f"{waited / 60:.0f} minutes: give its client a timeout, so that the error "
                "names the request, or raise LANDING_STALL_MINUTES"
            )

    def _admitted(
        self, batch: Batch, filter_: RowFilter | None, *, is_first_answer: bool = False
    ) -> Pieces:
        """The new rows of a batch, with its rejected rows before and after them."""
        if self._absent:
            self._absent -= present_names(batch, self._absent)
        converted = self._converted(batch, filter_)
        self.live += row_count(batch) - tombstone_count(converted.table)
        self.live -= sum(error.is_tombstone for error in converted.errors)
        if self.snapshot is not None:
            self.snapshot.see(converted)
        earlier, later = self.quarantine.new(converted)
        table = converted.table
        if filter_ is not None:
            rejected = list(self._cursor_values(converted.errors, filter_.name))
            table = filter_.admit(converted, rejected, is_first_answer=is_first_answer)
        return [piece for piece in (earlier, table, later) if len(piece)]

    def _converted(self, batch: Batch, filter_: RowFilter | None) -> Converted:
        converted = self._columns.convert(self._drift.looked_at(batch))
        self._check_records(batch, converted)
        if filter_ is None or not converted.errors:
            return converted
        return replace(converted, errors=list(filter(filter_.concerns, converted.errors)))

    def _check_records(self, batch: Batch, converted: Converted) -> None:
        """Raises StreamError if some records have none of the stream's fields: some APIs put an
        error message among the records."""
        if self._foreign is None and (blank := converted.blank()):
            records = (record_at(batch, index) for index in blank)
            known = self._config.known_names
            foreign = (record for record in records if record and not known & record.keys())
            self._foreign = next(foreign, None)
        if self._foreign is not None and self._absent != self._names:
            message = failure_in(self._foreign)
            says = f": {message}" if message else ""
            raise StreamError(
                f"stream '{self._config.source}/{self._config.stream}': one of its records has "
                f"none of the fields of {self._config.origin}, but {listed(self._foreign)}"
                f"{says}. Nothing more was landed; leave such records out in streams.py if they "
                "are no failure"
            )

    def _cursor_values(self, errors: Sequence[RowError], name: str) -> Iterator[CursorValue]:
        """The cursor values of rejected rows that have one."""
        for error in errors:
            raw = error.row.get(name)
            try:
                typed = self._columns.value(name, raw)
            except ConversionError:
                continue
            if typed.is_valid:
                yield CursorValue(error.index, typed, raw)

    def _by_age(self, table: pa.Table, cursor: str) -> Iterator[tuple[bool, Pieces]]:
        """Sort rows by age: deferred rows are the oldest, but a tombstone without a cursor value
        comes last, since it is the stream's last word on its record."""
        is_last = pc.and_(is_tombstone(table), pc.is_null(table[cursor]))
        for mask, is_deferred in ((pc.invert(is_last), True), (is_last, False)):
            if (rows := table.filter(mask)).num_rows:
                yield is_deferred, [rows]

    def _notify(self, filter_: RowFilter | None) -> None:
        source, stream, read = self._config.source, self._config.stream, self.count
        if read and self._absent == self._names:
            raise StreamError(
                f"stream '{source}/{stream}': none of its {read:,} records has any "
                f"of the fields of {self._config.origin}; nothing was landed",
                remedy=f"`landing discover {source} {stream}` updates the discovered schema",
            )
        if self.gone.count:
            self._emit(Note(stream, self.gone.note))
        self.drift = self._drift.found(self.live, self._absent)
        for note in self._drift.notes(self.live, self._absent):
            self._emit(DriftNote(stream, note))
        for text in filter_.notes() if filter_ is not None else ():
            self._emit(Note(stream, text))


def _batches(pages: Iterable[Page], least: int) -> Iterator[tuple[Batch, bool]]:
    """Batches, of which none joins rows of the first HTTP response with later ones; and whether
    they are of the first."""
    for is_first_answer, group in groupby(pages, attrgetter("is_first_answer")):
        for batch in batches(group, least):
            yield batch, is_first_answer
