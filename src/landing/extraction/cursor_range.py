"""The range of cursor values of a run: from where it reads to `end_value`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from landing.columns.arrow import pc
from landing.extraction.cursor_values import CursorValues, Values
from landing.extraction.incremental import FrozenIncremental


class CursorRange:
    """The range; `beyond` compares keys in the direction of the cursor."""

    def __init__(
        self,
        frozen: FrozenIncremental,
        values: CursorValues,
        start: Any,
        beyond: Callable[[Any, Any], Any],
    ) -> None:
        self.below = 0
        """Number of rows that were left out because they are below the start."""
        self._frozen = frozen
        self._values = values
        self._start = start
        self._beyond = beyond
        self._end = values.key_of(frozen.end_value)

    def within(self, table: pa.Table, keys: Values) -> tuple[pa.Table, Values]:
        """The rows in the range. dlt's incremental learns whether there were others."""
        within = self._not_below(keys)
        below = len(keys) - _count(within)
        if below:
            self.below += below
            self._frozen.start_out_of_range |= not self._frozen.is_of_child
        before_end = self._before_end(keys)
        if _count(before_end) < len(keys):
            self._frozen.end_out_of_range |= not self._frozen.is_of_child
            within = pc.and_(within, before_end)
        elif not below:
            return table, keys
        return table.filter(within), keys.filter(within)

    def has(self, key: pa.Scalar) -> bool:
        keys = pa.array([key.as_py()], key.type)
        return bool(_count(pc.and_(self._not_below(keys), self._before_end(keys))))

    def _not_below(self, keys: Values) -> Any:
        start = self._values.key_of(self._start)
        if not start.is_valid or self._frozen.admits_below(self._values.kind):
            return pc.is_valid(keys)
        if self._frozen.range_start == "open":
            return self._beyond(keys, start)
        return pc.invert(self._beyond(start, keys))

    def _before_end(self, keys: Values) -> Any:
        if not self._end.is_valid:
            return pc.is_valid(keys)
        if self._frozen.range_end == "closed":
            return pc.invert(self._beyond(keys, self._end))
        return self._beyond(self._end, keys)

    @property
    def may_end_early(self) -> bool:
        has_end = self._frozen.end_value is not None
        return self._frozen.whole_order == "desc" or (has_end and self._frozen.whole_order == "asc")

    @property
    def is_past(self) -> bool:
        return self.may_end_early and self._frozen.can_close()


def _count(mask: Any) -> int:
    return int(pc.sum(mask).as_py() or 0)
