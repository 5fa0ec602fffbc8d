"""The parents of a transformer's stream, and their cursors, which the child's run keeps.

A parent's cursor is in the state of the child: it moves with the child's load, so that a child is
requested again until it has landed, and stays apart from that of the parent's own runs. It goes no
further than what was certain when the run began, as in `reached`; children of the parents beyond it
are requested again by the next run.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import dlt
import msgspec
import pyarrow as pa

from landing.catalog.lookback import moment_of
from landing.errors import SourceError
from landing.extraction.cursor_values import is_naive
from landing.extraction.dlt_bridge import (
    DltResource,
    SupportsPipe,
    incremental_steps,
    parents_of,
    steady_copy,
)
from landing.extraction.incremental import FrozenIncremental, declared_incremental
from landing.extraction.reached import OFFSETS, TOLERANCE
from landing.http import JsonPage, traffic
from landing.zone.parent_cursors import take_out_of_child

_SEEN = "landing_seen"
"""In dlt's state of a parent's incremental: the greatest value that was seen, where the cursor is
not there yet. The next run may go as far."""


class ParentIncremental(FrozenIncremental):
    """A parent's incremental: rows below its last value are left out, and so their children.

    The last value that the parent sees holds still; what dlt keeps in the state moves with the
    rows, and is thrown away with the rest of the state if the run fails.
    """

    child: FrozenIncremental | None = None
    parent = ""
    """The parent's name."""
    seen: set[Any] | None = None
    """The cursor values that pass, for who wants to know them."""

    def get_state(self) -> Any:
        # dlt stores it by the name of the child, whose own cursor may be a field of the same name.
        self.resource_name = self.parent
        return super().get_state()

    def bind(self, pipe: SupportsPipe) -> ParentIncremental:
        if not self.from_start and not (self.child and self.child.cursor_path == self.cursor_path):
            own = dlt.current.resource_state
            take_out_of_child(own(pipe.name), own(self.parent), self.cursor_path)
        super().bind(pipe)
        self._answers, self._began = traffic.current().answers, time.monotonic()
        self._kept = self.kept_state
        self._seen_before = self._kept.get(_SEEN)
        value = self._kept["last_value"]
        self.lookback = self.child.lookback if self.child is not None else None
        if self.lookback is not None and not self.lookback.fits(value):
            # Late children would be missed without one, so the parent is read from its start.
            value, self.lookback = self.initial_value, None
        self._start = self.behind(value)
        self.start_from(value)
        return self

    def __call__(self, rows: Any, meta: Any = None) -> Any:
        admitted = self._of_item(rows)
        if self.can_close():
            self.end_stream()
        return admitted

    def _of_item(self, rows: Any) -> Any:
        if isinstance(rows, JsonPage):
            return self._admitted_page(rows)
        if isinstance(rows, Mapping):
            return rows if self._admits(rows.get(self.cursor_path)) else None
        if isinstance(rows, list):
            return self._admitted(rows)
        if isinstance(rows, pa.RecordBatch):
            rows = pa.Table.from_batches([rows])
        if isinstance(rows, pa.Table):
            return rows.filter(pa.array(map(self._admits, self._column(rows)), pa.bool_()))
        raise SourceError(
            f"parent stream '{self.resource_name}' has a cursor, so it has to yield records as "
            f"dictionaries or Arrow tables, not a {type(rows).__name__}"
        )

    def _admitted_page(self, page: JsonPage) -> JsonPage:
        admits = [self._admits(row.get(self.cursor_path)) for row in page.rows()]
        if all(admits):
            return page
        raws = page.decoded(msgspec.Raw)
        kept = (bytes(raw) for raw, is_kept in zip(raws, admits, strict=True) if is_kept)
        return JsonPage(b"[" + b",".join(kept) + b"]")

    def _admitted(self, rows: list[Any]) -> list[Any]:
        return [row for row in rows if self._admits(row.get(self.cursor_path))]

    def _column(self, table: pa.Table) -> list[Any]:
        known = self.cursor_path in table.column_names
        return table[self.cursor_path].to_pylist() if known else [None] * table.num_rows

    def _admits(self, value: Any) -> bool:
        if value is None:
            return True
        if self.seen is not None:
            self.seen.add(value)
        if self._is_certain(value):
            self._follow("last_value", value)
        if self._is_past(value):
            self._follow(_SEEN, value)
        is_within = self._start is None or not self._is_beyond(self._start, value)
        self.start_out_of_range |= not is_within
        return is_within

    def _follow(self, key: str, value: Any) -> None:
        last = self._kept.get(key)
        if last is None or self._is_time_alone(value, last) or self._is_beyond(value, last):
            self._kept[key] = value

    def _is_certain(self, value: Any) -> bool:
        """Whether the parents up to this value were there when the run began, so that one that is
        edited meanwhile has a greater value."""
        if self.last_value_func is min:
            return True
        if not self._is_past(value, TOLERANCE):
            return False
        if self._answers.count == 1:
            return True
        seen = self._seen_before
        if seen is not None and not self._is_beyond(value, seen):
            return not self._is_time_alone(value, seen)
        if moment_of(value) is None:
            return False
        return self._is_past(value, TOLERANCE + (OFFSETS if is_naive(value) else timedelta()))

    def _is_time_alone(self, value: Any, other: Any) -> bool:
        return moment_of(value) is not None and moment_of(other) is None

    def _is_past(self, value: Any, less: timedelta = timedelta()) -> bool:
        """Whether a time is not beyond the source's when the run began; true for other values."""
        moment = moment_of(value)
        return moment is None or moment <= self._answers.time_at(self._began) - less

    def _is_beyond(self, value: Any, bound: Any) -> bool:
        left: Any = moment_of(value)
        right: Any = moment_of(bound)
        if (left is None) != (right is None) and isinstance(value, str):
            return False  # a text that is no time says nothing of the order among times
        if left is None or right is None:
            left, right = value, bound
        try:
            return bool(left < right if self.last_value_func is min else left > right)
        except TypeError:
            raise SourceError(
                f"parent stream '{self.resource_name}': its cursor '{self.cursor_path}' has "
                f"{value!r} and {bound!r}, which can't be compared"
            ) from None


def freeze_parents(
    resource: DltResource,
    child: FrozenIncremental | None,
    *,
    from_start: bool,
    start: Any = None,
) -> list[ParentIncremental]:
    """Put incrementals that hold still in the place of the parents' own, and return them.

    Parents are read from their start if the child is: from their initial value, or from `start`.
    """
    found = []
    for parent in parents_of(resource):
        for step in incremental_steps(parent):
            if (declared := declared_incremental(parent)) is not None:
                frozen = steady_copy(declared, ParentIncremental)
                frozen.child = child
                frozen.from_start = from_start
                frozen.parent = parent.name
                if start is not None:
                    frozen.initial_value = start
                step.set_incremental(frozen, from_hints=True)
                found.append(frozen)
    return found
