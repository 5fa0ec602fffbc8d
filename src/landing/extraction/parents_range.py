"""Decides which parents of a transformer are in their cursor's range, and how far it moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from landing.catalog.fields import Field
from landing.columns.arrow import pc
from landing.columns.column_types import Column, column_of
from landing.extraction.cursor_range import CursorRange
from landing.extraction.cursor_values import CursorValues, Values, times_of
from landing.extraction.incremental import FrozenIncremental
from landing.extraction.reached import Reached, ReachedState

_TEXT = Field(type="string")
_TYPES: tuple[tuple[type | tuple[type, ...], Field], ...] = (
    (str, _TEXT),
    (datetime, Field(type="string", format="date-time")),
    (date, Field(type="string", format="date")),
    ((float, Decimal), Field(type="number")),
    (int, Field(type="integer")),
)


class ParentsRange:
    """The range of one run, which began with the cursor `before`. The range begins at `start`,
    which is behind it by a lookback or lag; `state` is from the run before."""

    def __init__(
        self,
        frozen: FrozenIncremental,
        before: Any,
        start: Any,
        state: ReachedState,
        began: Callable[[], datetime],
    ) -> None:
        self._frozen = frozen
        self._before = before
        self._start = start
        self._state = state
        self._began = began
        self._followed: _Followed | None = None

    def within(self, values: Sequence[Any], *, is_first_answer: bool) -> list[int]:
        """The positions of the values in the range, and of those that do not compare with it, such
        as text that is no time."""
        given = [value for value in values if value is not None]
        if given and (self._followed is None or self._followed.takes_for_text(given)):
            self._followed = self._follow(given)
        if self._followed is None:
            return self._without_key(range(len(values)))
        keys = self._followed.see(values, is_first_answer=is_first_answer)
        present = pc.is_valid(keys)
        positions = pa.table({"at": pa.array(range(len(values)))})
        within, _ = self._followed.range.within(positions.filter(present), keys.filter(present))
        others = positions.filter(pc.invert(present))["at"].to_pylist()
        return sorted([*within["at"].to_pylist(), *self._without_key(others)])

    def _without_key(self, positions: Sequence[int]) -> list[int]:
        return [] if self._frozen.on_cursor_value_missing == "exclude" else [*positions]

    def _follow(self, given: Sequence[Any]) -> _Followed:
        """By the type of the first values."""
        field = next((field for type_, field in _TYPES if _has(given, type_)), _TEXT)
        column, frozen = column_of(field), self._frozen
        values = CursorValues(frozen.cursor_path, column.type, column.value, self._before)
        reached = Reached(
            values,
            self._before,
            self._state,
            self._began,
            descending=frozen.last_value_func is min,
            trusted=frozen.declared_directions,
        )
        range_ = CursorRange(frozen, values, self._start, reached.beyond)
        return _Followed(column, values, reached, range_)

    @property
    def kind(self) -> str | None:
        """The kind of the values; None before the first."""
        return None if self._followed is None else self._followed.values.kind

    @property
    def cursor(self) -> Any:
        """The cursor for the next run."""
        return self._before if self._followed is None else self._followed.reached.cursor

    @property
    def state(self) -> ReachedState:
        """The state for the next run."""
        if self._followed is None:
            return self._state
        return self._followed.reached.state(self.cursor)

    @property
    def is_disordered(self) -> bool:
        return self._followed is not None and self._followed.reached.is_disordered


@dataclass(frozen=True)
class _Followed:
    column: Column
    values: CursorValues
    reached: Reached
    range: CursorRange

    def see(self, values: Sequence[Any], *, is_first_answer: bool) -> Values:
        keys = self.values.keys(self.column.convert(values)[0])
        present = pc.is_valid(keys)
        raw = [value for value, there in zip(values, present.to_pylist(), strict=True) if there]
        self.reached.see(keys.filter(present), raw, is_first_answer=is_first_answer)
        return keys

    def takes_for_text(self, given: Sequence[Any]) -> bool:
        """The first values were no times, but most of these are."""
        if self.values.kind != "text":
            return False
        times = times_of(self.column.convert(given)[0])
        return bool(2 * times.null_count <= len(times))


def _has(given: Sequence[Any], types: type | tuple[type, ...]) -> bool:
    return any(isinstance(value, types) for value in given)
