"""The rows of a window from its stream to parts on the local disk, outside any dlt pipeline.

A stream is handed the window as dlt's `initial_value` and `end_value`, and may ask its API for no
more than that; rows outside are dropped here, whatever it asks for. It finds a state that is empty
and is thrown away, and neither the cursor nor anything else of its live runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from dlt.extract.resource import DltResource

from landing.catalog.stream_config import StreamConfig
from landing.columns.conversion import Columns, Converted, RowError
from landing.columns.fitting import ConversionError
from landing.errors import SourceError, StreamError, UsageError
from landing.events import Reporter
from landing.extraction.extraction import Extraction
from landing.extraction.incremental import (
    FrozenIncremental,
    cursor_parameter,
    declared_incremental,
    freeze,
)
from landing.extraction.pages import standing_alone
from landing.extraction.parents import freeze_parents
from landing.extraction.reached import CursorValue
from landing.extraction.side_by_side import Stop
from landing.operations.backfill.windows import Cursor, Window
from landing.zone.bucket import Bucket
from landing.zone.destination import Load
from landing.zone.layout import StreamPaths
from landing.zone.state import stored_cursor


def cursor_of(config: StreamConfig, resource: DltResource, bucket: Bucket) -> Cursor:
    """The cursor that a stream's windows are cut by, as it spells its values: those of the live
    state, or else of where the stream begins.

    Raises UsageError for a stream that has none, or is not read by it.
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
    """The stream takes no cursor, so that it can't ask for a window alone."""
    return cursor_parameter(resource) is None


def freeze_window(
    config: StreamConfig, resource: DltResource, cursor: Cursor, window: Window
) -> FrozenIncremental:
    """Hand the window to the stream as its `initial_value` and `end_value`."""
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
    """Rows whose cursor is within a window. A stream that declares its order need not be read
    beyond, unless it does not keep to it."""

    def __init__(self, frozen: FrozenIncremental, columns: Columns, window: Window) -> None:
        self.name = frozen.cursor_path
        self.went_back = False
        self.rows_without_cursor = 0
        self.without_cursor = 0
        """These are in no window; live runs land them."""
        self._frozen = frozen
        self._columns = columns
        self._start = self._typed(window.start)
        self._end = self._typed(window.end)
        self._highest: pa.Scalar | None = None

    def _typed(self, bound: Any) -> pa.Scalar:
        try:
            return self._columns.value(self.name, bound)
        except ConversionError as error:
            raise SourceError(f"cursor '{self.name}': {bound!r} is {error}") from None

    @property
    def may_end_early(self) -> bool:
        return self._frozen.row_order is not None

    @property
    def is_past(self) -> bool:
        if self.went_back or self._frozen.row_order is None:
            return False
        if self._frozen.row_order == "desc":
            return self._frozen.start_out_of_range
        return self._frozen.end_out_of_range

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

    def _within(self, values: Any) -> Any:
        return pc.and_(pc.greater_equal(values, self._start), pc.less(values, self._end))

    def _follow(self, values: pa.ChunkedArray) -> None:
        least, most = pc.min_max(values).values()
        if not least.is_valid:
            return
        if self._frozen.row_order == "asc":
            if self._highest is not None and pc.less(least, self._highest).as_py():
                self.went_back = True
            self._highest = most
        if pc.less(least, self._start).as_py():
            self._frozen.start_out_of_range = True
        if pc.greater_equal(most, self._end).as_py():
            self._frozen.end_out_of_range = True

    def concerns(self, error: RowError) -> bool:
        """Whether a row that does not fit is within the window, or may be."""
        raw = error.row.get(self.name)
        try:
            value = self._columns.value(self.name, raw)
        except ConversionError:
            return True
        return bool(value.is_valid and self._within(value).as_py())


class WindowExtraction(Extraction):
    """The rows of one window, or with `window` None all there are, as finished parts."""

    def __init__(
        self,
        config: StreamConfig,
        resource: DltResource,
        reporter: Reporter,
        folder: Path,
        stop: Stop,
        cursor: Cursor,
        window: Window | None,
    ) -> None:
        self._cursor = cursor
        self._window = window
        super().__init__(config, resource, reporter, folder, stop)
        self.filter: WindowFilter | None = None
        if window is not None and self._frozen is not None:
            self.filter = WindowFilter(self._frozen, self._columns, window)

    def _freeze(self) -> FrozenIncremental | None:
        if self._window is not None:
            return freeze_window(self._config, self._resource, self._cursor, self._window)
        config = self._config
        frozen = freeze(self._resource, config.cursor_field, config.initial_value, from_start=True)
        freeze_parents(self._resource, frozen, from_start=True)
        return frozen

    def read(self, load: Load) -> None:
        """Read to the end: the parts, the quarantine file and the last load id are the load's."""
        with standing_alone(self._resource):
            for _ in self._parts(load):
                pass

    def _begin(self, state: dict[str, Any], load: Load | None = None) -> None:
        self._streams_state = {"sources": {}, "_local": {}}
        self._rows = self._reader.rows(self._streams_state, self.filter)

    def _check_limit(self, load: Load) -> None:
        limit, quarantine = self._config.quarantine_limit, self._quarantine
        if limit is not None and quarantine.share > limit:
            source, stream = self._config.source, self._config.stream
            raise StreamError(
                f"stream '{source}/{stream}', {self._window}: "
                f"{quarantine.excess()}; the quarantine_limit of {self._config.origin} is "
                f"{limit:g}, so nothing of this window was landed; mend the types of these fields "
                "or raise the limit",
                remedy=f"`landing discover {source} {stream}` writes which types there are now",
            )
