"""Reads the rows of a window into parts on the local disk, outside any dlt pipeline.

A stream gets the window as dlt's `initial_value` and `end_value`, which it may pass to its API;
rows outside the window are dropped here in any case. It runs with an empty, temporary state and
never sees that of its live runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from landing.catalog.stream_config import StreamConfig
from landing.columns.conversion import Columns, Converted, RowError
from landing.columns.fitting import ConversionError
from landing.errors import SourceError, StreamError, UsageError
from landing.events import Emit, Note
from landing.extraction.dlt_bridge import DltResource, dlt_context
from landing.extraction.incremental import (
    FrozenIncremental,
    cursor_parameter,
    declared_incremental,
    freeze,
)
from landing.extraction.load_writer import LoadWriter
from landing.extraction.parents import freeze_parents
from landing.extraction.prepared import PreparedStream, prepare
from landing.extraction.quarantine import Quarantine
from landing.extraction.reached import CursorValue
from landing.extraction.reader import StreamReader
from landing.extraction.row_versions import LoadVersions
from landing.extraction.seen_order import SeenOrder
from landing.extraction.side_by_side import Stop
from landing.operations.backfill.windows import Cursor, Window
from landing.results import ENOUGH
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths
from landing.zone.publication import Load
from landing.zone.state import stored_cursor


def cursor_of(config: StreamConfig, resource: DltResource, bucket: Bucket) -> Cursor:
    """The cursor that divides a stream into windows. Its values are formatted like that of the
    live state, or else like the stream's initial value.

    Raises UsageError for a stream without a cursor or with sync_mode `full_refresh`.
    """
    if not config.is_incremental or config.cursor_field is None:
        raise UsageError(
            f"{config.origin}: sync_mode is 'full_refresh', which reads everything with each run; "
            "a backfill is for 'incremental' streams, of whose cursor its windows are cut"
        )
    declared = declared_incremental(resource)
    if declared is not None and declared.last_value_func is not max:
        raise SourceError(
            f"cursor '{config.cursor_field}': a backfill is for one that grows, with "
            "last_value_func max"
        )
    stored = stored_cursor(bucket, StreamPaths(config.source, config.stream), config.cursor_field)
    own = declared.initial_value if declared is not None else None
    like = next((value for value in (stored, config.initial_value, own) if value is not None), None)
    return Cursor(config.cursor_field, config.fields[config.cursor_field], like)


def asks_for_all(resource: DltResource) -> bool:
    """Whether the stream takes no cursor, and so can't request a single window."""
    return cursor_parameter(resource) is None


def freeze_window(
    config: StreamConfig, resource: DltResource, cursor: Cursor, window: Window
) -> FrozenIncremental:
    """Set the window as the stream's `initial_value` and `end_value`."""
    declared = declared_incremental(resource)
    is_open = declared is not None and declared.range_start == "open"
    start = cursor.handed_before(window.start) if is_open else cursor.handed(window.start)
    frozen = freeze(resource, config.cursor_field, start, from_start=True)
    assert frozen is not None, "the config has a cursor"
    frozen.end_value = cursor.handed(window.end, is_end=True)
    frozen.lag = None
    freeze_parents(resource, frozen, from_start=True)
    return frozen


class WindowFilter:
    """Admits rows whose cursor is within a window. A stream with a declared order is not read
    beyond the window, unless its rows turn out to be out of order."""

    def __init__(self, frozen: FrozenIncremental, columns: Columns, window: Window) -> None:
        self.name = frozen.cursor_path
        self.without_cursor = 0
        """Rows without a cursor value; they belong to no window, and live runs land them."""
        self._frozen = frozen
        self._columns = columns
        self._start = self._typed(window.start)
        self._end = self._typed(window.end)
        self._order = SeenOrder(pc.greater)

    def _typed(self, bound: Any) -> pa.Scalar:
        try:
            return self._columns.value(self.name, bound)
        except ConversionError as error:
            raise SourceError(f"cursor '{self.name}': {bound!r} is {error}") from None

    @property
    def may_end_early(self) -> bool:
        return self._frozen.whole_order is not None

    @property
    def is_past(self) -> bool:
        """A record that is out of order, such as one dated ahead or an old one that is pinned to
        the top, says nothing of the rows that follow."""
        if self._frozen.whole_order == "desc":
            return self._frozen.start_out_of_range and self._order.is_backward
        if self._frozen.whole_order == "asc":
            return self._frozen.end_out_of_range and self._order.is_forward
        return False

    def admit(
        self,
        converted: Converted,
        rejected: Sequence[CursorValue] = (),
        *,
        is_first_answer: bool = False,
    ) -> pa.Table:
        table = converted.table
        values = table[self.name]
        self.without_cursor += values.null_count
        self._follow(values)
        return table.filter(self._within(values))

    def rest(self) -> Iterator[pa.Table]:
        yield from ()

    def notes(self) -> Iterator[str]:
        yield from ()  # the backfill counts rows without a cursor value for all windows

    def _within(self, values: Any) -> Any:
        return pc.and_(pc.greater_equal(values, self._start), pc.less(values, self._end))

    def _follow(self, values: pa.ChunkedArray) -> None:
        least, most = pc.min_max(values).values()
        if not least.is_valid:
            return
        self._order.see(values.drop_null())
        if self._frozen.is_of_child:
            return
        if pc.less(least, self._start).as_py():
            self._frozen.start_out_of_range = True
        if pc.greater_equal(most, self._end).as_py():
            self._frozen.end_out_of_range = True

    def concerns(self, error: RowError) -> bool:
        """Whether a rejected row is, or may be, within the window."""
        raw = error.row.get(self.name)
        try:
            value = self._columns.value(self.name, raw)
        except ConversionError:
            return True
        return bool(value.is_valid and self._within(value).as_py())


@dataclass(frozen=True)
class WindowRows:
    """How the rows of a window are read and filtered; all rows if `window` is None."""

    cursor: Cursor
    window: Window | None

    def freeze(self, config: StreamConfig, resource: DltResource) -> FrozenIncremental | None:
        if self.window is not None:
            return freeze_window(config, resource, self.cursor, self.window)
        frozen = freeze(resource, config.cursor_field, config.initial_value, from_start=True)
        freeze_parents(resource, frozen, from_start=True)
        return frozen

    def filter(self, stream: PreparedStream) -> WindowFilter | None:
        if self.window is None or stream.frozen is None:
            return None
        return WindowFilter(stream.frozen, stream.columns, self.window)


def read_window(
    config: StreamConfig,
    resource: DltResource,
    rows: WindowRows,
    load: Load,
    folder: Path,
    emit: Emit,
    stop: Stop,
) -> int:
    """Read to the end, setting the load's parts, quarantine file and last row version.

    Returns the number of rows without a cursor value, which belong to no window.
    """
    stream = prepare(config, resource, folder, rows.freeze)
    filter_ = rows.filter(stream)
    reader = StreamReader(stream, emit, stop)
    versions = LoadVersions(stream.version_key)
    writer = LoadWriter(stream, versions, reader.quarantine, load, emit)
    with dlt_context(stream.resource, {}), closing(reader):
        for is_deferred, pieces in reader.rows({}, filter_):
            if pieces:
                writer.write(pieces, is_deferred=is_deferred)
    reader.check_gone()
    _check_limit(stream.config, rows.window, reader.quarantine)
    writer.close()
    for note in reader.quarantine.notes():
        emit(Note(config.stream, note))
    load.drift = reader.drift if reader.count >= ENOUGH else replace(reader.drift, lost=[])
    return filter_.without_cursor if filter_ is not None else 0


def _check_limit(config: StreamConfig, window: Window | None, quarantine: Quarantine) -> None:
    limit = config.quarantine_limit
    if limit is not None and quarantine.share > limit:
        source, stream = config.source, config.stream
        raise StreamError(
            f"stream '{source}/{stream}', {window}: {quarantine.excess()}; the quarantine_limit of "
            f"{config.origin} is {limit:g}, so nothing of this window was landed; fix the types "
            "of these fields or raise the limit",
            remedy=f"`landing discover {source} {stream}` updates the discovered schema",
        )
