"""What a stream yields, to finished parquet parts: the part of a run inside dlt's extract step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt
import pyarrow as pa
from dlt.extract.resource import DltResource
from dlt.extract.source import DltSource

from landing.catalog import StreamConfig
from landing.columns import Batch, Columns
from landing.cursor import CursorTracker
from landing.errors import StreamError
from landing.incremental import HeldIncremental, hold
from landing.landing import Load
from landing.layout import WITHHELD_STAMPS, load_id_after
from landing.lineage import LINEAGE_FIELDS, with_lineage
from landing.pages import (
    BATCH_ROWS,
    batches,
    open_pages,
    pipeline_state,
    present_names,
    row_count,
    with_arguments,
)
from landing.parts import Part, PartWriter
from landing.quarantine import Quarantine
from landing.report import Reporter
from landing.state import SCHEMA
from landing.versions import Stamps
from landing.workspace import part_bytes

_STATE_KEY = "landing"

# Enough to fetch while the last page is decoded; each page ahead is memory.
PAGES_AHEAD = 3


class Extraction:
    """The stream's rows as finished parquet parts, which dlt takes into its load package."""

    def __init__(
        self,
        config: StreamConfig,
        resource: DltResource,
        load: Load,
        reporter: Reporter,
        folder: Path,
    ) -> None:
        self._config = config
        self._load = load
        self._reporter = reporter
        self._folder = folder
        self._columns = Columns(config.fields)
        self._schema = pa.schema([*self._columns.schema, *LINEAGE_FIELDS])
        self._quarantine = Quarantine(folder / "quarantine.jsonl", config.fields)
        self._resource = with_arguments(resource, fields=list(config.fields))
        self._held = hold_cursor(config, self._resource)
        self._absent = set(config.fields)

    def as_source(self) -> DltSource:
        parts = dlt.resource(self._parts(), name=self._config.stream, table_name="rows")
        return dlt.source(lambda: parts, name=SCHEMA, max_table_nesting=0)()

    def _parts(self) -> Iterator[Any]:
        state = dlt.current.resource_state(self._config.stream).setdefault(_STATE_KEY, {})
        tracker = self._tracker(state)
        self._quarantine.known = frozenset(state.get("quarantined", ()))
        writer = PartWriter(self._folder, self._schema, part_bytes(), frozenset({"_dlt_id"}))
        for table in self._stamped(tracker, state.get("load_id")):
            yield from map(self._imported, writer.write(table))
        yield from map(self._imported, writer.close())
        self._remember(state, tracker)

    def _stamped(self, tracker: CursorTracker | None, last_load_id: str | None) -> Iterator[Any]:
        """The new rows with their lineage; the load begins with the first."""
        # A full refresh is read as one load; its rows share a load id whatever they repeat.
        key = self._config.primary_key if self._config.is_incremental else ()
        stamps: dict[bool, Stamps] = {}
        for is_withheld, table in self._tables(tracker):
            if not stamps:
                load_id = self._load.begin(last_load_id)
                # Withheld rows come last, and are older than any other version of them.
                older = load_id_after(load_id, by=-WITHHELD_STAMPS)
                stamps = {True: Stamps(older, key), False: Stamps(load_id, key)}
            for stamp, piece in stamps[is_withheld].stamped(table):
                self._load.last_stamp = max(self._load.last_stamp or "", stamp)
                yield with_lineage(piece, stamp)

    def _imported(self, part: Part) -> Any:
        self._load.parts.append(part)
        empty = self._schema.empty_table()
        return dlt.mark.with_file_import(str(part.file), "parquet", part.rows, empty)

    def _tracker(self, state: dict[str, Any]) -> CursorTracker | None:
        if self._held is None or not self._config.is_incremental:
            return None
        self._load.cursor_before = self._held.last_value
        return CursorTracker(self._held, self._columns, state.get("cursor", {}), self._folder)

    def _tables(self, tracker: CursorTracker | None) -> Iterator[tuple[bool, pa.Table]]:
        """What is new, in the configured columns, and whether it had been withheld."""
        read = 0
        least = 1 if tracker is not None and tracker.is_newest_first else BATCH_ROWS
        with open_pages(self._resource, pipeline_state(), ahead=PAGES_AHEAD) as pages:
            for batch in batches(pages, least):
                read += row_count(batch)
                table = self._admitted(batch, tracker)
                self._reporter.progress(self._config.stream, read)
                if table.num_rows:
                    yield False, table
                if tracker is not None and tracker.past_start:
                    break
        if tracker is not None:
            yield from ((True, table) for table in tracker.rest() if table.num_rows)
        self._tell(read, tracker)

    def _admitted(self, batch: Batch, tracker: CursorTracker | None) -> pa.Table:
        """What of a batch is new and fits, the rest of it withheld or in quarantine."""
        if self._absent:
            self._absent -= present_names(batch, self._absent)
        converted = self._columns.convert(batch)
        self._quarantine.add(converted.misfits)
        if tracker is None:
            return converted.table
        return tracker.admit(converted.table, converted.raw(tracker.name))

    def _tell(self, read: int, tracker: CursorTracker | None) -> None:
        stream = self._config.stream
        if read and self._absent == set(self._config.fields):
            raise StreamError(
                f"stream '{self._config.source}/{stream}': none of its {read:,} records has any "
                f"of the fields of {self._config.origin}; nothing was landed"
            )
        if read and self._absent:
            names = ", ".join(sorted(self._absent))
            self._reporter.note(stream, f"no record had {names}; such columns are all null")
        if tracker is not None and tracker.rows_without_cursor:
            count = tracker.rows_without_cursor
            self._reporter.note(stream, f"{count} records have no {tracker.name}; landed if new")
        for note in self._quarantine.notes():
            self._reporter.note(stream, note)

    def _remember(self, state: dict[str, Any], tracker: CursorTracker | None) -> None:
        """Put into dlt's state what the next run starts from; dlt writes it after all parts."""
        load = self._load
        if self._quarantine.count:
            load.quarantine_file = self._quarantine.close(load.begin(state.get("load_id")))
            load.quarantined = self._quarantine.count
        if self._quarantine.hashes:
            state["quarantined"] = sorted(self._quarantine.hashes)
        if load.load_id is not None:
            state["load_id"] = load.last_stamp
        if tracker is not None and self._held is not None:
            self._held.get_state()["last_value"] = tracker.after
            state["cursor"] = tracker.state()
            load.cursor_after = tracker.after


def hold_cursor(config: StreamConfig, resource: DltResource) -> HeldIncremental | None:
    incremental = config.is_incremental
    field = config.cursor_field if incremental else None
    return hold(resource, field, config.initial_value, from_start=not incremental)
