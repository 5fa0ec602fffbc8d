"""What a stream yields, to finished parquet parts: the part of a run inside dlt's extract step.

A run is one load, or several where the stream gives its oldest rows first: then what was read so
far can be published, and the cursor moved, before the stream has ended.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from copy import deepcopy
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, Self, TypeAlias

import dlt
import pyarrow as pa
import pyarrow.compute as pc
from dlt.extract.resource import DltResource
from dlt.extract.source import DltSource

from landing.bucket import StoredObject
from landing.catalog import StreamConfig
from landing.columns import Converted, MisfitRow, columns_of
from landing.conversion import BATCHES_AHEAD, Conversion, Offered
from landing.converters.pool import Converters
from landing.cursor import CursorTracker, CursorValue, RowFilter
from landing.drift import Drift
from landing.errors import SourceError, StreamError
from landing.fields import landing_fields
from landing.fitting import Misfit
from landing.incremental import HeldIncremental, hold
from landing.landing import Load
from landing.layout import WITHHELD_STAMPS, load_id_after
from landing.lineage import LINEAGE_FIELDS, with_lineage
from landing.pages import (
    BATCH_ROWS,
    Page,
    batches,
    counting_into,
    open_pages,
    pipeline_state,
    present_names,
    row_count,
    with_arguments,
)
from landing.parents import hold_parents
from landing.parts import Part, PartWriter
from landing.quarantine import Quarantine, Rejected
from landing.repeats import without_loops
from landing.report import Drifted, Given, Reporter
from landing.resync import Resync, due_resync
from landing.schemahistory import recorded
from landing.sidebyside import Stop
from landing.snapshot import Snapshot
from landing.sources import as_declared
from landing.state import (
    SCHEMA,
    STATE_KEY,
    forget_parents,
    keeps_state,
    resource_state,
    take_over,
)
from landing.tombstones import is_tombstone, tombstone_count
from landing.versions import Stamps
from landing.window import LIMIT as WINDOW_ROWS
from landing.workspace import part_bytes, slice_limits, stall_seconds

# Enough to fetch while the last page is decoded; each page ahead is memory.
PAGES_AHEAD = 3

Pieces: TypeAlias = list[pa.Table | list[Rejected]]
"""Rows in the order in which they are stamped: those that land, and those for quarantine."""


class Extraction:
    """A stream's rows as finished parquet parts, which dlt takes into its load packages.

    Use it as a context manager, and call `into` with one load after another until `is_over`.
    """

    def __init__(
        self,
        config: StreamConfig,
        resource: DltResource,
        reporter: Reporter,
        folder: Path,
        stop: Stop | None = None,
        converters: Converters | None = None,
    ) -> None:
        self.is_over = False
        self.count = 0
        """Records that the stream has given."""
        self.drift = Drifted()
        config = as_declared(config, resource)
        self._config = config
        self._reporter = reporter
        self._folder = folder
        self._stop = stop or Stop()
        self._slice = slice_limits()
        self._columns = columns_of(config)
        self._conversion = Conversion(config, self._columns, converters)
        self._drift = Drift(config)
        self._stalled_after = stall_seconds()
        self._schema = pa.schema([*self._columns.schema, *LINEAGE_FIELDS])
        # A full refresh is read as one load; its rows share a load id whatever they repeat, unless
        # readers have to look for the newest row of each key.
        by_key = config.is_incremental or config.has_deletes
        self._version_key = config.primary_key if by_key else ()
        self._quarantine = Quarantine(
            folder / "quarantine.jsonl", config, self._columns, self._version_key
        )
        self._names = list(landing_fields(config.fields))
        self._snapshot: Snapshot | None = None
        if config.deletes == "snapshot":
            self._snapshot = Snapshot(config, self._columns, folder)
        hint = config.hard_delete
        asked = dict.fromkeys([*self._names, *([hint.column] if hint is not None else [])])
        self._resource = with_arguments(resource, fields=list(asked))
        self._held = self._hold()
        self._absent = set(self._names)
        self._tracker: CursorTracker | None = None
        self._rows: Iterator[tuple[bool, Pieces]] = iter(())
        self._withheld_stamps: Stamps | None = None
        self._streams_state: Any = None
        self._published: _Published | None = None
        self._resync: Resync | None = None
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _hold(self) -> HeldIncremental | None:
        return hold_cursor(self._config, self._resource)

    def into(self, load: Load) -> DltSource:
        """The next rows as dlt takes them: all there are, or as many as make a slice."""
        # Not a generator: dlt would look for its module among the files of all that are loaded.
        parts = dlt.resource(chain(self._parts(load)), name=self._config.stream, table_name="rows")
        return dlt.source(lambda: parts, name=SCHEMA, max_table_nesting=0)()

    def first_page(self) -> Iterator[Pieces]:
        """What a run would take of the first page, of which nothing is kept: to look at, and not
        together with `into`. Asks for no second page."""
        state = resource_state(pipeline_state(), self._config.stream).setdefault(STATE_KEY, {})
        self._begin(state)
        opened = open_pages(self._resource, self._streams_state, record=self._conversion.record)
        page = next(map(self._known_hints, self._open.enter_context(opened)), None)
        self._open.close()
        for batch in batches([page] if page is not None else [], least=1):
            self.count += row_count(batch)
            yield self._admitted(Offered(batch), self._tracker)
        self._tell(self._tracker)

    def _parts(self, load: Load) -> Iterator[Any]:
        state = dlt.current.resource_state(self._config.stream).setdefault(STATE_KEY, {})
        if self._streams_state is None:
            self._begin(state)
        if self._tracker is not None:
            load.cursor_before = self._tracker.after if self._published else self._tracker.before
            load.read_from = self._tracker.read_from
        last_load_id = state.get("load_id")
        writer = PartWriter(self._folder, self._schema, part_bytes())
        for table in self._stamped(self._next_rows(load, writer), load, last_load_id):
            yield from (self._imported(part, load) for part in writer.write(table))
            self._reporter.writing(self._config.stream, writer.open_bytes)
        self._check_limit(load)
        if self.is_over:
            for table in self._gone(load, last_load_id, state):
                yield from (self._imported(part, load) for part in writer.write(table))
        yield from (self._imported(part, load) for part in writer.close())
        if self._config.destination_sync_mode == "overwrite":
            load.begin(last_load_id)  # also without rows, which then are all that there are
        self._remember(load)

    def _begin(self, state: dict[str, Any]) -> None:
        if self._held is not None and self._config.is_incremental:
            self._resync = due_resync(self._config, self._held, state)
        # The stream runs ahead in a thread, while the state here moves with each load.
        self._streams_state = deepcopy(pipeline_state())
        if self._resync is not None:
            forget_parents(self._streams_state, self._config.stream)
            start = self._resync.start
            self._reporter.note(
                self._config.stream,
                '"backfill" is true: reads once more from '
                f"{'the beginning' if start is None else start}",
            )
        if self._held is not None and self._config.is_incremental:
            known = state.get("cursor", {})
            self._tracker = CursorTracker(self._held, self._columns, known, self._folder)
            self._quarantine.known = frozenset(state.get("quarantined", ()))
        self._rows = self._new_rows(self._tracker)

    def _next_rows(self, load: Load, writer: PartWriter) -> Iterator[tuple[bool, Pieces]]:
        begun = time.monotonic()
        for row in self._rows:
            yield row
            if self._slice.is_full(writer.bytes, time.monotonic() - begun) and self._may_publish():
                assert self._tracker is not None, "only a cursor says what may be published"
                self._prepare_to_publish(load)
                yield from ((True, [table]) for table in self._tracker.settled() if table.num_rows)
                return
        self.is_over = True

    def _may_publish(self) -> bool:
        """What the stream keeps in dlt's state would run ahead of the rows that are published."""
        if self._tracker is None or not self._tracker.can_publish:
            return False
        return not keeps_state(self._streams_state, self._config.stream)

    def _prepare_to_publish(self, load: Load) -> None:
        if self._published is None:
            self._published = _Published(load, load.bucket.get(load.paths.state))

    def _stamped(
        self, rows: Iterator[tuple[bool, Pieces]], load: Load, last_load_id: str | None
    ) -> Iterator[pa.Table]:
        """The new rows with their lineage; the load begins with the first."""
        key = self._version_key
        fresh: Stamps | None = None
        for is_withheld, pieces in rows:
            load_id = load.begin(last_load_id)
            if self._withheld_stamps is None:
                # Withheld rows come last, and are older than any other version of them.
                older = load_id_after(load_id, by=-WITHHELD_STAMPS)
                self._withheld_stamps = Stamps(older, key)
            fresh = fresh or Stamps(load_id, key)
            stamps = self._withheld_stamps if is_withheld else fresh
            for piece in pieces:
                if isinstance(piece, list):
                    self._put_aside(piece, stamps, load, load_id)
                    continue
                for stamp, table in stamps.stamped(piece):
                    load.last_stamp = max(load.last_stamp or "", stamp)
                    load.deleted += tombstone_count(table)
                    yield with_lineage(self._columns.dated(table, datetime.now(UTC)), stamp)

    def _gone(
        self, load: Load, last_load_id: str | None, state: dict[str, Any]
    ) -> Iterator[pa.Table]:
        """Once a full refresh was read whole, tombstones of what was not in it."""
        config = self._config
        if config.is_incremental or not (self._is_whole_table or config.has_deletes):
            return
        load_id = load.begin(last_load_id)  # also where there are no rows: that is what is new
        if self._snapshot is None:
            return
        known = state.get("keys")
        for table in self._snapshot.deleted(load.bucket, load.paths, known, last_load_id):
            load.deleted += table.num_rows
            yield with_lineage(table, load.last_stamp or load_id)

    @property
    def _is_whole_table(self) -> bool:
        return self._config.destination_sync_mode == "overwrite"

    def _put_aside(self, rows: list[Rejected], stamps: Stamps, load: Load, load_id: str) -> None:
        stamped = [(rejected, stamps.of(rejected.key)) for rejected in rows]
        load.last_stamp = max(load.last_stamp or "", stamped[-1][1])
        self._quarantine.add(stamped, load_id)

    def _imported(self, part: Part, load: Load) -> Any:
        load.parts.append(part)
        self._reporter.written(self._config.stream, part.rows, part.bytes)
        empty = self._schema.empty_table()
        return dlt.mark.with_file_import(str(part.file), "parquet", part.rows, empty)

    def _new_rows(self, tracker: RowFilter | None) -> Iterator[tuple[bool, Pieces]]:
        """What is new, a batch at a time, and whether it had been withheld."""
        may_end_early = tracker is not None and tracker.may_end_early
        least = 1 if may_end_early else BATCH_ROWS
        opened = open_pages(
            self._resource,
            self._streams_state,
            ahead=PAGES_AHEAD,
            check=self._look,
            record=self._conversion.record,
        )
        hinted = map(self._known_hints, self._open.enter_context(opened))
        given = Given()
        self._reporter.reading(self._config.stream, given)
        pages = without_loops(counting_into(given, hinted), self._config)
        cursor = tracker.name if tracker is not None else None
        ahead = 0 if may_end_early else BATCHES_AHEAD
        for offered in self._conversion.offered(batches(pages, least), cursor, ahead):
            self.count += row_count(offered.batch)
            pieces = self._admitted(offered, tracker)
            self._reporter.progress(self._config.stream, self.count)
            self._take_back(tracker)
            if pieces:
                yield False, pieces
            if tracker is not None and tracker.is_past:
                break
        self._open.close()
        if tracker is not None:
            for table in tracker.rest():
                yield from self._by_age(table, tracker.name)
        self._tell(tracker)

    def _by_age(self, table: pa.Table, cursor: str) -> Iterator[tuple[bool, Pieces]]:
        """Withheld rows are older than all others, but a deletion that has no cursor value is the
        stream's last word on its record."""
        is_last = pc.and_(is_tombstone(table), pc.is_null(table[cursor]))
        for mask, is_withheld in ((pc.invert(is_last), True), (is_last, False)):
            if (rows := table.filter(mask)).num_rows:
                yield is_withheld, [rows]

    def _known_hints(self, page: Page) -> Page:
        """Which columns a stream's files have is settled before its first page comes."""
        for name, column in (page.columns or {}).items():
            hint = self._config.hard_delete
            if column.get("hard_delete") and (hint is None or hint.column != name):
                raise SourceError(
                    f"stream '{self._config.source}/{self._config.stream}' says with a page that "
                    f"'{name}' is a hard_delete column; declare it in streams.py, as columns= of "
                    "@dlt.resource"
                )
        return page

    def _look(self, waited: float) -> None:
        """While the stream is waited for: without an end, it would keep its lease for ever."""
        self._stop.check()
        if waited > self._stalled_after:
            raise StreamError(
                f"stream '{self._config.source}/{self._config.stream}' has given nothing for "
                f"{waited / 60:.0f} minutes: give its client a timeout, so that it tells which "
                "request has no answer, or raise LANDING_STALL_MINUTES"
            )

    def _admitted(self, offered: Offered, tracker: RowFilter | None) -> Pieces:
        """What of a batch is new, that which does not fit before and after the rows that do."""
        if self._absent:
            self._absent -= present_names(offered.batch, self._absent)
        converted = self._converted(offered)
        if self._snapshot is not None:
            self._snapshot.see(converted)
        earlier, later = self._quarantine.new(converted)
        table = converted.table
        if tracker is not None:
            aside = list(self._cursor_values(converted.misfits, tracker.name))
            table = tracker.admit(table, converted.raw(tracker.name), aside)
        return [piece for piece in (earlier, table, later) if len(piece)]

    def _converted(self, offered: Offered) -> Converted:
        return self._conversion.converted(self._drift.looked_at(offered.batch), offered)

    def _cursor_values(self, misfits: Sequence[MisfitRow], name: str) -> Iterator[CursorValue]:
        """Those of the misfits that have one."""
        for misfit in misfits:
            raw = misfit.row.get(name)
            try:
                typed = self._columns.value(name, raw)
            except Misfit:
                continue
            if typed.is_valid:
                yield CursorValue(typed, raw)

    def _take_back(self, tracker: RowFilter | None) -> None:
        """Put the cursor back that was moved in the belief that lower values were all seen."""
        if tracker is None or not tracker.went_back:
            return
        if self._published is not None and not self._published.is_taken_back:
            self._published.take_back()
            self._reporter.note(
                self._config.stream,
                f"declares row_order 'asc', but gave a lower {tracker.name} after a higher one, or "
                "none: the cursor stays where it was until the stream's end; leave row_order out",
            )

    def _tell(self, tracker: RowFilter | None) -> None:
        source, stream, read = self._config.source, self._config.stream, self.count
        if read and self._absent == set(self._names):
            raise StreamError(
                f"stream '{source}/{stream}': none of its {read:,} records has any "
                f"of the fields of {self._config.origin}; nothing was landed",
                remedy=f"`landing discover {source} {stream}` writes what there is now",
            )
        self.drift = self._drift.found(self._absent if read else ())
        for note in self._drift.notes(read, self._absent):
            self._reporter.drifted(stream, note)
        if tracker is not None and tracker.rows_without_cursor:
            count = tracker.rows_without_cursor
            self._reporter.note(stream, f"{count} records have no {tracker.name}; landed if new")

    def _check_limit(self, load: Load) -> None:
        """Raises StreamError, before anything of the load is published, if too little fits."""
        limit, quarantine = self._config.quarantine_limit, self._quarantine
        if limit is None or quarantine.share <= limit:
            return
        source, stream = self._config.source, self._config.stream
        excess = quarantine.excess()
        load.quarantine_file = quarantine.close()
        load.put_failed_quarantine()
        raise StreamError(
            f"stream '{source}/{stream}': {excess}; the quarantine_limit of "
            f"{self._config.origin} is {limit:g}, so nothing "
            f"{'more of the run' if self._published else 'of the run'} was landed and the cursor "
            f"stays; `landing quarantine show {source} {stream} --failed` shows the records: mend "
            "the types of these fields or raise the limit",
            remedy=f"`landing run {source} {stream}` then reads these records again",
        )

    def _remember(self, load: Load) -> None:
        """Put into dlt's state what the next run starts from; dlt writes it after all parts."""
        if self.is_over:
            for note in self._quarantine.notes():
                self._reporter.note(self._config.stream, note)
            take_over(pipeline_state(), self._streams_state, self._config.stream)
        state = dlt.current.resource_state(self._config.stream).setdefault(STATE_KEY, {})
        load.quarantined = self._quarantine.count
        load.quarantine_file = self._quarantine.close()
        if self._quarantine.identities:
            state["quarantined"] = self._quarantine.identities
        self._remember_keys(load, state)
        if load.last_stamp is not None:
            state["load_id"] = load.last_stamp
        if (known := load.still_known(state.get("schema"))) is not None:
            state["schema"] = known
        if load.parts:
            self._remember_columns(load, state)
        if self._published is not None and self._published.is_taken_back:
            # dlt writes no state that equals the last one it wrote, which is not there any more.
            state["taken_back"] = time.time_ns()
        if self._tracker is not None and self._held is not None:
            self._held.get_state()["last_value"] = self._tracker.after
            state["cursor"] = self._tracker.state(ended=self.is_over)
            if self._resync is not None:
                self._resync.remember(self._tracker, state, ended=self.is_over)
            load.cursor_after = self._held.get_state()["last_value"]
            if self._tracker.forgets:
                self._reporter.note(
                    self._config.stream,
                    f"more than {WINDOW_ROWS:,} records are within the lookback; those farthest "
                    "back land again with each run",
                )

    def _remember_keys(self, load: Load, state: dict[str, Any]) -> None:
        if self._snapshot is None:
            load.supersedes_keys = state.pop("keys", None) is not None
            return
        assert load.load_id is not None, "a full refresh with deletes is a load, rows or not"
        for note in self._snapshot.notes():
            self._reporter.note(self._config.stream, note)
        load.keys_file = self._snapshot.close()
        load.supersedes_keys = True
        state["keys"] = self._snapshot.state(load.load_id)

    def _remember_columns(self, load: Load, state: dict[str, Any]) -> None:
        assert load.load_id is not None, "rows are there, so the load has begun"
        known = state.get("schema")
        found = recorded(load.bucket, load.paths, known, self._schema, load.load_id)
        if found is not None:
            load.schema, state["schema"] = found.new, found.known


class _Published:
    """That a part of the run's rows is published, and how to go back to before it was."""

    def __init__(self, load: Load, state_before: StoredObject | None) -> None:
        self._lease = load.lease
        self._bucket = load.bucket
        self._path = load.paths.state
        self._state_before = state_before
        self.is_taken_back = False

    def take_back(self) -> None:
        """The rows stay, and come again if this run does not reach its end.

        Raises LeaseHeld if the state may be another run's by now.
        """
        self._lease.confirm()
        self.is_taken_back = True
        if self._state_before is None:
            self._bucket.delete(self._path)
        else:
            self._bucket.put(self._path, self._state_before.data)


def hold_cursor(config: StreamConfig, resource: DltResource) -> HeldIncremental | None:
    incremental = config.is_incremental
    field = config.cursor_field if incremental else None
    held = hold(resource, field, config.initial_value, from_start=not incremental)
    if held is not None and config.lookback is not None:
        held.lookback = config.lookback
    hold_parents(resource, held, from_start=not incremental)
    return held
