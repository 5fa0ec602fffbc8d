"""What a run of a stream would do, without doing it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from landing.catalog.stream_config import StreamConfig
from landing.catalog.sync_modes import deletes_in_words, in_words
from landing.columns.conversion import columns_of
from landing.events import Emit, RunPlanned
from landing.extraction.dlt_bridge import DltResource, clone, parents_of
from landing.extraction.incremental import cursor_parameter
from landing.extraction.prepared import freeze_cursor
from landing.extraction.resync import is_done
from landing.extraction.sources import Source
from landing.operations.jobs import jobs_of, warnings_of
from landing.operations.preview import Preview, preview
from landing.tables import place_of
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths
from landing.zone.lineage import LINEAGE_FIELDS
from landing.zone.parent_cursors import ParentCursor, parent_cursors
from landing.zone.schema_history import SchemaVersion, recorded
from landing.zone.state import read_state, stored_by_us, stored_cursor


@dataclass(frozen=True)
class RunPlan:
    config: StreamConfig
    mode: str
    deletes: str | None
    """How deletions are detected; None if they are not."""
    cursor: Any
    read_from: Any
    """Where the run would start reading; earlier than `cursor` if the stream has a lookback."""
    parents: Sequence[ParentCursor]
    """Where a child's parents are read from that have a cursor."""
    columns: pa.Schema
    change: SchemaVersion | None
    """How the columns differ from those of the last files; None if they don't."""
    location: str
    table: str | None
    """Location of the current-state table; None without one."""
    warnings: list[str]
    preview: Preview | None
    """None if no preview was requested."""

    @property
    def is_first(self) -> bool:
        """Whether no file of the stream has landed, according to its schema history."""
        return self.change is not None and self.change.version == 1


def plan_streams(
    source: Source, streams: Sequence[str], bucket: Bucket, emit: Emit, *, previews: bool
) -> Iterator[RunPlan]:
    """Plan the streams one after another. With `previews`, each requests its first page.

    Raises UsageError, before the first plan, if a config or a stream's name is wrong.
    """
    jobs = jobs_of(source, streams, bucket)
    emit(RunPlanned(streams))

    def plans() -> Iterator[RunPlan]:
        for config, resource in jobs:
            # A clone, since a preview prepares the stream as a run does.
            copy = clone(source.stream(config.stream))
            seen = preview(source, config, copy, bucket, emit) if previews else None
            yield _plan(config, resource, bucket, warnings_of(source, config), seen)

    return plans()


def _plan(
    config: StreamConfig,
    resource: DltResource,
    bucket: Bucket,
    warnings: list[str],
    seen: Preview | None,
) -> RunPlan:
    paths = StreamPaths(config.source, config.stream)
    columns = pa.schema([*columns_of(config).schema, *LINEAGE_FIELDS])
    frozen = freeze_cursor(config, resource)
    cursor = read_from = None
    parents: Sequence[ParentCursor] = ()
    if frozen is not None and config.is_incremental:
        stored = stored_cursor(bucket, paths, frozen.cursor_path)
        is_due = config.backfill and not is_done(stored_by_us(bucket, paths))
        cursor = frozen.initial_value if stored is None or is_due else stored
        read_from = frozen.behind(cursor)
        parents = () if is_due else parent_cursors(read_state(bucket, paths), config.stream)
    place = place_of(config, bucket.settings)
    against = recorded(bucket, paths, None, columns, load_id="")
    return RunPlan(
        config=config,
        mode=in_words(config),
        deletes=deletes_in_words(config),
        cursor=cursor,
        read_from=read_from,
        parents=parents,
        columns=columns,
        change=None if against is None else against.new,
        location=bucket.location(paths.data),
        table=None if place is None else place.location,
        warnings=[*warnings, *_without_parameter(config, resource)],
        preview=seen,
    )


def _without_parameter(config: StreamConfig, resource: DltResource) -> Iterator[str]:
    """A child is requested by its parents, which may have a cursor."""
    if (
        config.is_incremental
        and cursor_parameter(resource) is None
        and not any(parents_of(resource))
    ):
        yield (
            "the code of the stream takes no cursor, so each run reads all records and lands those "
            f"that are new by {config.cursor_field}"
        )
