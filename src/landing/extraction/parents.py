"""The cursors of a transformer's parents, which are stored with the child.

A parent's cursor is in the state of the child and moves with the child's load, so a child is
requested again until it has landed. It is separate from the cursor of the parent's own runs. It
moves no further than what was certain when the run began, as in `reached`; the next run requests
the children of parents beyond it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dlt
import msgspec
import pyarrow as pa

from landing.errors import SourceError
from landing.extraction.dlt_bridge import (
    DltResource,
    SupportsPipe,
    finder,
    incremental_steps,
    parents_of,
    steady_copy,
)
from landing.extraction.incremental import FrozenIncremental, check_range, declared_incremental
from landing.extraction.parents_range import ParentsRange
from landing.extraction.reached import ReachedState
from landing.http import JsonPage, traffic
from landing.zone.parent_cursors import take_out_of_child

_REACHED = "landing_reached"
"""In dlt's state of a parent's incremental: what the next run has to know."""
_SEEN = "landing_seen"
"""The same, as an earlier version had it: the greatest value that was seen."""


class ParentIncremental(FrozenIncremental):
    """A parent's incremental: parents outside of its range are left out, and so are their children.

    The last value that the parent sees does not change. dlt's state of it moves with the rows, and
    is discarded with the rest of the state if the run fails.
    """

    child: FrozenIncremental | None = None
    parent = ""
    """The parent's name."""
    seen: set[Any] | None = None
    """The cursor values of parents in the range, for callers that need them."""

    def get_state(self) -> Any:
        # dlt stores it by the name of the child, whose own cursor may be a field of the same name.
        self.resource_name = self.parent
        return super().get_state()

    def bind(self, pipe: SupportsPipe) -> ParentIncremental:
        if not self.from_start and not (self.child and self.child.cursor_path == self.cursor_path):
            own = dlt.current.resource_state
            take_out_of_child(own(pipe.name), own(self.parent), self.cursor_path)
        super().bind(pipe)
        self.check_direction()
        kept = self.kept_state
        value = kept["last_value"]
        self.lookback = self.child.lookback if self.child is not None else None
        if self.lookback is not None and not self.lookback.fits(value):
            # Late children would be missed without one, so the parent is read from its start.
            value, self.lookback = self.initial_value, None
        self._answers = traffic.current().answers
        self._range = ParentsRange(
            self,
            kept["last_value"],
            self.behind(value),
            kept.get(_REACHED) or _of_earlier_version(kept),
            self._answers.clock(),
        )
        self._kept = kept
        self._cursor_of = finder(self.cursor_path)
        self.start_from(value)
        return self

    def __call__(self, rows: Any, meta: Any = None) -> Any:
        admitted = self._of_item(rows)
        if self.can_close() and not self._range.is_disordered:
            self.end_stream()
        return admitted

    def _of_item(self, rows: Any) -> Any:
        if isinstance(rows, JsonPage):
            return self._admitted_page(rows)
        if isinstance(rows, Mapping):
            return rows if self._admitted([rows]) else None
        if isinstance(rows, list):
            return [rows[n] for n in self._admitted(rows)]
        if isinstance(rows, pa.RecordBatch):
            rows = pa.Table.from_batches([rows])
        if isinstance(rows, pa.Table):
            path, names = self.cursor_path, rows.column_names
            records = rows.select([path] if path in names else names).to_pylist()
            return rows.take(pa.array(self._admitted(records), pa.int64()))
        raise SourceError(
            f"parent stream '{self.resource_name}' has a cursor, so it has to yield records as "
            f"dictionaries or Arrow tables, not a {type(rows).__name__}"
        )

    def _admitted_page(self, page: JsonPage) -> JsonPage:
        admitted = self._admitted(page.rows())
        if len(admitted) == len(page):
            return page
        raws = page.decoded(msgspec.Raw)
        return JsonPage(b"[" + b",".join(bytes(raws[n]) for n in admitted) + b"]")

    def _admitted(self, rows: Sequence[Mapping[str, Any]]) -> list[int]:
        """The positions of the parents in the range, and of those that have no place in it."""
        values = [self._cursor_of(row) for row in rows]
        if self.seen is not None:
            self.seen.update(value for value in values if value is not None)
        try:
            found = self._range.within(values, is_first_answer=self._answers.count == 1)
        except SourceError as error:
            raise SourceError(f"parent stream '{self.parent}': {error}") from None
        self.kind = self._range.kind
        self._kept["last_value"] = self._range.cursor
        self._kept[_REACHED] = self._range.state
        return found


def _of_earlier_version(kept: dict[str, Any]) -> ReachedState:
    seen = kept.pop(_SEEN, None)
    return ReachedState() if seen is None else ReachedState(seen=seen)


def freeze_parents(
    resource: DltResource,
    child: FrozenIncremental | None,
    *,
    from_start: bool,
    start: Any = None,
) -> list[ParentIncremental]:
    """Replace the parents' incrementals by frozen ones, and return them.

    Parents are read from their start if the child is: from their initial value, or from `start`.
    """
    found = []
    for parent in parents_of(resource):
        for step in incremental_steps(parent):
            if (declared := declared_incremental(parent)) is not None:
                frozen = steady_copy(declared, ParentIncremental)
                frozen.child = child
                frozen.from_start = from_start
                frozen.is_of_child = any(parents_of(parent))
                frozen.parent = parent.name
                if start is not None:
                    frozen.initial_value = start
                check_range(frozen, parent.name)
                step.set_incremental(frozen, from_hints=True)
                found.append(frozen)
    if child is not None:
        child.parents = found
    return found
