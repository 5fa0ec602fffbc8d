"""What a run of a stream would do, without anything done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from landing.catalog.stream_config import StreamConfig
from landing.catalog.sync_modes import deletes_in_words, in_words
from landing.columns.conversion import columns_of
from landing.events import Emit, RunPlanned
from landing.extraction.dlt_bridge import DltResource, clone
from landing.extraction.prepared import freeze_cursor
from landing.extraction.resync import is_done
from landing.extraction.sources import Source
from landing.operations.jobs import jobs_of, warnings_of
from landing.operations.preview import Preview, preview
from landing.tables import place_of
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths
from landing.zone.lineage import LINEAGE_FIELDS
from landing.zone.schema_history import SchemaVersion, recorded
from landing.zone.state import stored_by_us, stored_cursor


@dataclass(frozen=True)
class RunPlan:
    config: StreamConfig
    mode: str
    deletes: str | None
    """How deletions are noticed; None if they are not."""
    cursor: Any
    read_from: Any
    """Where the run would begin to read: behind the cursor, if it looks back."""
    columns: pa.Schema
    change: SchemaVersion | None
    """The columns against those that the last files have; None if they are the same."""
    location: str
    table: str | None
    """Where the current state is kept; None if it is not."""
    warnings: list[str]
    preview: Preview | None
    """None if none was asked for."""

    @property
    def is_first(self) -> bool:
        """No file of the stream has landed, as far as that was recorded."""
        return self.change is not None and self.change.version == 1


def plan_streams(
    source: Source,
    streams: Sequence[str],
    bucket: Bucket,
    emit: Emit,
    *,
    previews: bool,
) -> Iterator[RunPlan]:
    """One after the other. With `previews`, the API is asked for the first page of each.

    Raises UsageError, before the first, if a config or a stream's name is wrong.
    """
    jobs = jobs_of(source, streams, bucket)
    emit(RunPlanned(streams))

    def plans() -> Iterator[RunPlan]:
        for config, resource in jobs:
            # Of a copy, since what looks at a page prepares the stream as a run does.
            copy = clone(source.stream(config.stream))
            looked = preview(source, config, copy, bucket, emit) if previews else None
            yield _plan(config, resource, bucket, warnings_of(source, config), looked)

    return plans()


def _plan(
    config: StreamConfig,
    resource: DltResource,
    bucket: Bucket,
    warnings: list[str],
    looked: Preview | None,
) -> RunPlan:
    paths = StreamPaths(config.source, config.stream)
    columns = pa.schema([*columns_of(config).schema, *LINEAGE_FIELDS])
    frozen = freeze_cursor(config, resource)
    cursor = read_from = None
    if frozen is not None and config.is_incremental:
        stored = stored_cursor(bucket, paths, frozen.cursor_path)
        is_due = config.backfill and not is_done(stored_by_us(bucket, paths))
        cursor = frozen.initial_value if stored is None or is_due else stored
        read_from = frozen.behind(cursor)
    place = place_of(config, bucket.settings)
    against = recorded(bucket, paths, None, columns, load_id="")
    return RunPlan(
        config=config,
        mode=in_words(config),
        deletes=deletes_in_words(config),
        cursor=cursor,
        read_from=read_from,
        columns=columns,
        change=None if against is None else against.new,
        location=bucket.location(paths.data),
        table=None if place is None else place.location,
        warnings=warnings,
        preview=looked,
    )
