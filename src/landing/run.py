"""A stream from its API to the landing zone."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dlt
import pyarrow as pa
from dlt.extract.resource import DltResource
from dlt.extract.source import DltSource

from landing.bucket import Bucket
from landing.catalog import (
    StreamConfig,
    configured_streams,
    read_config,
    read_discovered,
    unknown_fields,
)
from landing.columns import Batch, Columns
from landing.cursor import CursorTracker, HeldIncremental, hold
from landing.errors import LandingError, StreamError
from landing.failures import explained, raise_if_interrupted
from landing.landing import LandingZone, Load
from landing.layout import WITHHELD_STAMPS, StreamPaths, load_id_after
from landing.lease import Lease
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
from landing.report import Reporter, RunResult, StreamResult
from landing.sources import Source
from landing.state import SCHEMA, stored_cursor
from landing.versions import Stamps
from landing.workspace import part_bytes

_STATE_KEY = "landing"

# Enough to fetch while the last page is decoded; each page ahead is memory.
PAGES_AHEAD = 3


@dataclass(frozen=True)
class Plan:
    """What a run of a stream would do, without anything done."""

    config: StreamConfig
    cursor: Any
    columns: pa.Schema
    location: str
    doubts: list[str]


def selected_streams(source: Source) -> tuple[list[str], dict[str, LandingError]]:
    """The streams that `--all` runs, and the error of each config that can't be read.

    One broken file does not keep the others from their hourly run.
    """
    selected: list[str] = []
    broken: dict[str, LandingError] = {}
    for stream in configured_streams(source.workspace, source.name):
        try:
            if read_config(source.workspace, source.name, stream).selected:
                source.stream(stream)
                selected.append(stream)
        except LandingError as error:
            broken[stream] = error
    return selected, broken


def run_streams(
    source: Source, streams: Sequence[str], bucket: Bucket, reporter: Reporter
) -> RunResult:
    """Run each stream; one that fails does not stop the others.

    Raises UsageError before anything is run if a config or a stream's name is wrong.
    """
    result = RunResult()
    for config, resource in _jobs(source, streams):
        for note in _doubts(source, config):
            reporter.note(config.stream, note)
        try:
            result.landed.append(run_stream(config, resource, bucket, reporter))
        except Exception as error:
            raise_if_interrupted(error)
            failure = explained(
                source.workspace, source.name, f"stream '{source.name}/{config.stream}'", error
            )
            result.failed[config.stream] = failure
            if failure is not error:
                failure.__cause__ = error
    return result


def plan_streams(source: Source, streams: Sequence[str], bucket: Bucket) -> list[Plan]:
    return [
        _plan(config, resource, bucket, _doubts(source, config))
        for config, resource in _jobs(source, streams)
    ]


def _doubts(source: Source, config: StreamConfig) -> list[str]:
    discovered = read_discovered(source.workspace, source.name, config.stream)
    unknown = unknown_fields(config, discovered) if discovered else []
    file = source.workspace.shown(source.workspace.discovered_file(source.name, config.stream))
    return [f"not in {file}: field {name}" for name in unknown]


def _jobs(source: Source, streams: Sequence[str]) -> list[tuple[StreamConfig, DltResource]]:
    resources = [source.stream(stream) for stream in streams]
    configs = [read_config(source.workspace, source.name, stream) for stream in streams]
    return list(zip(configs, resources, strict=True))


def run_stream(
    config: StreamConfig,
    resource: DltResource,
    bucket: Bucket,
    reporter: Reporter,
) -> StreamResult:
    """Land what is new of one stream.

    Raises LeaseHeld if another run of it is under way; whatever else goes wrong comes as the
    library raised it, and leaves the cursor where it was.
    """
    clock = time.monotonic()
    paths = StreamPaths(config.source, config.stream)
    lease = Lease(bucket, paths.lease, f"{config.source}/{config.stream}")
    with lease, tempfile.TemporaryDirectory(prefix="landing-") as folder:
        load = Load(bucket, paths, lease)
        pipeline = _pipeline(load, Path(folder))
        pipeline.sync_destination()
        extraction = _Extraction(config, resource, load, reporter, Path(folder))
        pipeline.extract(extraction.as_source())
        pipeline.normalize()
        pipeline.load(workers=1)
    return StreamResult(
        source=config.source,
        stream=config.stream,
        rows=load.rows,
        files=len(load.files),
        bytes=load.bytes,
        quarantined=load.quarantined,
        cursor_before=load.cursor_before,
        cursor_after=load.cursor_after,
        seconds=time.monotonic() - clock,
        load_id=load.load_id,
        location=bucket.location(paths.data),
    )


def _pipeline(load: Load, folder: Path) -> dlt.Pipeline:
    """A dlt pipeline in a folder of its own: what outlives a run is in the bucket alone."""
    return dlt.pipeline(
        re.sub(r"\W", "_", f"{load.paths.source}__{load.paths.stream}"),
        pipelines_dir=str(folder / "dlt"),
        destination=LandingZone(load),
        dataset_name=SCHEMA,
    )


class _Extraction:
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


def _plan(config: StreamConfig, resource: DltResource, bucket: Bucket, doubts: list[str]) -> Plan:
    paths = StreamPaths(config.source, config.stream)
    columns = pa.schema([*Columns(config.fields).schema, *LINEAGE_FIELDS])
    held = hold_cursor(config, resource)
    cursor = None
    if held is not None and config.is_incremental:
        stored = stored_cursor(bucket, paths, held.cursor_path)
        cursor = held.initial_value if stored is None else stored
    return Plan(config, cursor, columns, bucket.location(paths.data), doubts)
