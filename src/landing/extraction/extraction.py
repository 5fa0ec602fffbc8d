"""What a stream yields, to finished parquet parts: the part of a run inside dlt's extract step.

A run is one load, or several where the stream gives its oldest rows first: then what was read so
far can be published, and the cursor moved, before the stream has ended.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, Self

import dlt
import pyarrow as pa
from dlt.extract.resource import DltResource
from dlt.extract.source import DltSource

from landing.catalog.fields import landing_fields
from landing.catalog.stream_config import StreamConfig
from landing.catalog.workspace import part_bytes, slice_limits
from landing.columns.conversion import columns_of
from landing.columns.tombstones import tombstone_count
from landing.errors import StreamError
from landing.events import Drifted, Reporter
from landing.extraction.cursor import NOT_KNOWN, CursorTracker
from landing.extraction.drift import ENOUGH
from landing.extraction.incremental import FrozenIncremental, freeze
from landing.extraction.known_rows import KnownRowsState
from landing.extraction.missing_keys import KnownKeys
from landing.extraction.pages import (
    pipeline_state,
    with_arguments,
)
from landing.extraction.parents import freeze_parents
from landing.extraction.quarantine import Quarantine, Rejected
from landing.extraction.reader import Pieces, StreamReader
from landing.extraction.resync import Resync, due_resync
from landing.extraction.row_versions import RowVersions
from landing.extraction.side_by_side import Stop
from landing.extraction.sources import as_declared
from landing.http import traffic
from landing.zone.bucket import BucketFile, StoredObject
from landing.zone.destination import Load
from landing.zone.layout import DEFERRED_VERSIONS, load_id_after
from landing.zone.lineage import LINEAGE_FIELDS, with_lineage
from landing.zone.parts import Part, PartWriter
from landing.zone.schema_history import recorded
from landing.zone.state import (
    SCHEMA,
    STATE_KEY,
    forget_parents,
    keeps_state,
    resource_state,
    take_over,
)


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
    ) -> None:
        self.is_over = False
        config = as_declared(config, resource)
        self._config = config
        self._reporter = reporter
        self._folder = folder
        self._slice = slice_limits()
        self._columns = columns_of(config)
        self._schema = pa.schema([*self._columns.schema, *LINEAGE_FIELDS])
        # A full refresh is read as one load; its rows share a load id whatever they repeat, unless
        # readers have to look for the newest row of each key.
        by_key = config.is_incremental or config.has_deletes
        self._version_key = config.primary_key if by_key else ()
        self._quarantine = Quarantine(
            folder / "quarantine.jsonl", config, self._columns, self._version_key
        )
        self._snapshot: KnownKeys | None = None
        if config.deletes == "snapshot":
            self._snapshot = KnownKeys(config, self._columns, folder)
        hint = config.hard_delete
        names = landing_fields(config.fields)
        asked = dict.fromkeys([*names, *([hint.column] if hint is not None else [])])
        self._resource = with_arguments(resource, fields=list(asked))
        self._frozen = self._freeze()
        self._tracker: CursorTracker | None = None
        self._rows: Iterator[tuple[bool, Pieces]] = iter(())
        self._deferred_versions: RowVersions | None = None
        self._streams_state: Any = None
        self._published: _Published | None = None
        self._resync: Resync | None = None
        self._reader = StreamReader(
            config,
            self._resource,
            self._columns,
            self._quarantine,
            self._snapshot,
            reporter,
            stop or Stop(),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()

    @property
    def count(self) -> int:
        """Records that the stream has given."""
        return self._reader.count

    @property
    def drift(self) -> Drifted:
        """Told at the stream's end."""
        return self._reader.drift

    def _freeze(self) -> FrozenIncremental | None:
        return freeze_cursor(self._config, self._resource)

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
        yield from self._reader.first_page(self._streams_state, self._tracker)

    def _parts(self, load: Load) -> Iterator[Any]:
        state = dlt.current.resource_state(self._config.stream).setdefault(STATE_KEY, {})
        if self._streams_state is None:
            self._begin(state, load)
        if self._tracker is not None:
            load.cursor_before = self._tracker.after if self._published else self._tracker.before
            load.read_from = self._tracker.read_from
        last_load_id = state.get("load_id")
        writer = PartWriter(self._folder, self._schema, part_bytes())
        for table in self._versioned(self._next_rows(load, writer), load, last_load_id):
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

    def _begin(self, state: dict[str, Any], load: Load | None = None) -> None:
        if self._frozen is not None and self._config.is_incremental:
            self._resync = due_resync(self._config, self._frozen, state)
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
        if self._frozen is not None and self._config.is_incremental:
            answers, clock = traffic.current().answers, time.monotonic()
            self._tracker = CursorTracker(
                self._frozen,
                self._columns,
                state.get("cursor", {}),
                self._folder,
                began=lambda: answers.time_at(clock),
                fetch=NOT_KNOWN if load is None else load.known_rows,
            )
            self._quarantine.known = frozenset(state.get("quarantined", ()))
        self._rows = self._reader.rows(self._streams_state, self._tracker)

    def _next_rows(self, load: Load, writer: PartWriter) -> Iterator[tuple[bool, Pieces]]:
        begun = time.monotonic()
        for is_deferred, pieces in self._rows:
            self._take_back()
            if not pieces:
                continue
            yield is_deferred, pieces
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

    def _versioned(
        self, rows: Iterator[tuple[bool, Pieces]], load: Load, last_load_id: str | None
    ) -> Iterator[pa.Table]:
        """The new rows with their lineage; the load begins with the first."""
        key = self._version_key
        fresh: RowVersions | None = None
        for is_deferred, pieces in rows:
            load_id = load.begin(last_load_id)
            if self._deferred_versions is None:
                # Withheld rows come last, and are older than any other version of them.
                older = load_id_after(load_id, by=-DEFERRED_VERSIONS)
                self._deferred_versions = RowVersions(older, key)
            fresh = fresh or RowVersions(load_id, key)
            row_versions = self._deferred_versions if is_deferred else fresh
            for piece in pieces:
                if isinstance(piece, list):
                    self._reject(piece, row_versions, load, load_id)
                    continue
                for row_version, table in row_versions.versioned(piece):
                    load.last_row_version = max(load.last_row_version or "", row_version)
                    load.deleted += tombstone_count(table)
                    yield with_lineage(self._columns.dated(table, datetime.now(UTC)), row_version)

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
            yield with_lineage(table, load.last_row_version or load_id)

    @property
    def _is_whole_table(self) -> bool:
        return self._config.destination_sync_mode == "overwrite"

    def _reject(
        self, rows: list[Rejected], row_versions: RowVersions, load: Load, load_id: str
    ) -> None:
        versioned = [(rejected, row_versions.of(rejected.key)) for rejected in rows]
        load.last_row_version = max(load.last_row_version or "", versioned[-1][1])
        self._quarantine.add(versioned, load_id)

    def _imported(self, part: Part, load: Load) -> Any:
        load.parts.append(part)
        self._reporter.written(self._config.stream, part.rows, part.bytes)
        empty = self._schema.empty_table()
        return dlt.mark.with_file_import(str(part.file), "parquet", part.rows, empty)

    def _take_back(self) -> None:
        """Put the cursor back that was moved in the belief that lower values were all seen."""
        if self._tracker is None or not self._tracker.went_back:
            return
        if self._published is not None and not self._published.is_taken_back:
            self._published.take_back()
            self._reporter.note(
                self._config.stream,
                f"declares row_order 'asc', but gave a lower {self._tracker.name} after a higher "
                "one, or none: the cursor stays where it was until the stream's end; leave "
                "row_order out",
            )

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
            # A field that few records lack may be one that few have.
            load.drift = self.drift if self.count >= ENOUGH else replace(self.drift, lost=[])
        state = dlt.current.resource_state(self._config.stream).setdefault(STATE_KEY, {})
        load.quarantined = self._quarantine.count
        load.quarantine_file = self._quarantine.close()
        if self._quarantine.identities:
            state["quarantined"] = self._quarantine.identities
        self._remember_keys(load, state)
        if load.last_row_version is not None:
            state["load_id"] = load.last_row_version
        if (known := load.still_known(state.get("schema"))) is not None:
            state["schema"] = known
        if load.parts:
            self._remember_columns(load, state)
        if self._published is not None and self._published.is_taken_back:
            # dlt writes no state that equals the last one it wrote, which is not there any more.
            state["taken_back"] = time.time_ns()
        if self._tracker is not None and self._frozen is not None:
            self._tracker.landed(part.file for part in load.parts)
            if self._published is not None and self.is_over:
                self._tracker.landed(self._published.files_taken_back())
            elif self._published is not None:
                self._published.loads.append(load)
            self._frozen.get_state()["last_value"] = self._tracker.after
            state["cursor"] = self._tracker.state(self._known_rows(load), ended=self.is_over)
            if self._resync is not None:
                self._resync.remember(self._tracker, state, ended=self.is_over)
            load.cursor_after = self._frozen.get_state()["last_value"]
            if self.is_over:
                self._tell_of_cursor()

    def _known_rows(self, load: Load) -> KnownRowsState:
        """What the next run reads again, in the state or in an object of the load."""
        assert self._tracker is not None, "only a stream with a cursor reads again"
        known = self._tracker.known(ended=self.is_over)
        in_state, before = known.in_state(), self._tracker.rows_state
        if in_state is None and load.load_id is None and "load_id" in before:
            return before  # of which these are a part
        if "load_id" in before:
            load.supersedes_keys = True
        if in_state is not None or load.load_id is None:
            return in_state or KnownRowsState()
        load.keys_file = known.in_file(self._folder / "known-rows-after.parquet")
        return KnownRowsState(load_id=load.load_id)

    def _tell_of_cursor(self) -> None:
        assert self._tracker is not None, "only a stream with a cursor has something to tell"
        for note in self._tracker.notes():
            self._reporter.note(self._config.stream, note)

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
        self.loads: list[Load] = []
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

    def files_taken_back(self) -> Iterator[BucketFile]:
        """What is published already, of which the next run reads more than was expected."""
        for load in self.loads if self.is_taken_back else ():
            for landed in load.files:
                with self._bucket.file(landed.path) as file:
                    yield file


def freeze_cursor(config: StreamConfig, resource: DltResource) -> FrozenIncremental | None:
    incremental = config.is_incremental
    field = config.cursor_field if incremental else None
    frozen = freeze(resource, field, config.initial_value, from_start=not incremental)
    if frozen is not None and config.lookback is not None:
        frozen.lookback = config.lookback
    freeze_parents(resource, frozen, from_start=not incremental)
    return frozen
