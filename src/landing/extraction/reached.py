"""Decides how far a run's cursor may move.

A record that is edited during the run gets a cursor value above all those that existed when the run
began. So the cursor moves no further than these:

- times: the greatest value, but not beyond the source's time when the run began, less TOLERANCE;
- other values: the greatest of the first response, or of what an earlier run had seen; the greatest
  of all only if the stream declares its order and keeps to it, or if the cursor is the key itself.
  It is not enough that rows came in order. Versions that are read by key may do so too, if record 3
  was edited after it was read, and then record 60 before it was read: record 3 would be lost.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypedDict

import pyarrow as pa

from landing.columns import plain_values
from landing.columns.arrow import pc
from landing.extraction.cursor_values import CursorValues, Unit, Values, is_naive
from landing.extraction.incremental import Direction
from landing.extraction.seen_order import SeenOrder
from landing.results import AHEAD

TOLERANCE = timedelta(seconds=60)
"""A record gets its time before its transaction is committed, for which a web request may take half
a minute. The clocks of an API and its database may be seconds apart, and the `Date` of a response
is cut to seconds. Transactions that take longer need a lookback."""
OFFSETS = timedelta(hours=12)
"""A time without offset may be a local time, at most this far behind UTC."""
_RECENT = timedelta(days=366)
"""Numbers that may be times count as times only if the newest is not older than this."""


class ReachedState(TypedDict, total=False):
    seen: Any
    """The greatest value that was seen, if the cursor has not reached it."""
    unit: Unit | None
    """The unit of numbers that are times; None once they are known not to be."""
    disordered: bool
    """Whether a run has shown that the stream does not keep to its declared order."""
    ahead: Any
    """The greatest value that is beyond the source's time."""


@dataclass(frozen=True)
class CursorValue:
    """The cursor value of a rejected row."""

    index: int
    """The row's position in its batch."""
    typed: pa.Scalar
    raw: Any
    """The value as the API returned it."""


@dataclass(frozen=True)
class Place:
    key: pa.Scalar
    raw: Any


class _Furthest:
    """The greatest value up to a limit; the least if the cursor falls."""

    def __init__(self, beyond: Callable[[Any, Any], Any], limit: pa.Scalar | None = None) -> None:
        self._beyond = beyond
        self._limit = limit
        self.place: Place | None = None

    def see(self, keys: Values, raw: Sequence[Any], extreme: Callable[[Any], pa.Scalar]) -> None:
        most = extreme(keys)
        if self._limit is not None and most.is_valid and pc.greater(most, self._limit).as_py():
            most = extreme(pc.if_else(pc.less_equal(keys, self._limit), keys, None))
        if not most.is_valid:
            return
        if self.place is None or self._beyond(most, self.place.key).as_py():
            self.place = Place(most, plain(raw[pc.index(keys, most).as_py()]))


class Reached:
    """How far one run came. `before` is the cursor with which it began, `began` the source's time
    then, which later responses may correct; `trusted` has the directions that are declared."""

    def __init__(
        self,
        values: CursorValues,
        before: Any,
        state: ReachedState,
        began: Callable[[], datetime],
        *,
        descending: bool,
        trusted: Collection[Direction] = (),
    ) -> None:
        self._values = values
        self._before = before
        self._state = state
        self._began = began
        self._descending = descending
        self._trusted = trusted
        self._unit = state.get("unit")
        self._unit_is_open = False
        """Whether the values may be times but are too few to decide, so that the cursor stays."""
        self._all: _Furthest | None = None
        self._order = SeenOrder(self.beyond)

    def beyond(self, values: Any, bound: Any) -> Any:
        return pc.less(values, bound) if self._descending else pc.greater(values, bound)

    def see(self, keys: Values, raw: Sequence[Any], *, is_first_answer: bool) -> None:
        """Note keys without nulls, in the order in which the stream returned them."""
        if len(keys) == 0:
            return
        if self._all is None:
            self._begin(keys)
        self._order.see(keys)
        for one in self._noted(is_first_answer=is_first_answer):
            one.see(keys, raw, pc.min if self._descending else pc.max)

    def _begin(self, keys: Values) -> None:
        if "unit" not in self._state and not self._descending:
            self._unit = self._values.unit_of(keys, self._began())
            self._unit_is_open = self._unit is None and self._values.may_be_times(keys)
        now = self._limit(timedelta())
        certain = self._limit(TOLERANCE)
        self._all = _Furthest(self.beyond)
        self._until_now = _Furthest(self.beyond, certain)
        self._of_first_answer = _Furthest(self.beyond, certain)
        self._surely_past = _Furthest(self.beyond, self._limit(TOLERANCE + OFFSETS))
        self._has_limit = now is not None

    def _limit(self, less: timedelta) -> pa.Scalar | None:
        """The key of the source's time when the run began; None if values are not times, or
        fall."""
        if self._descending or (self._values.kind != "time" and self._unit is None):
            return None
        return self._values.of_time(self._began() - less, self._unit)

    def _noted(self, *, is_first_answer: bool) -> Iterator[_Furthest]:
        assert self._all is not None, "it has begun"
        yield self._all
        if self._has_limit:
            yield self._until_now
            yield self._surely_past
        if is_first_answer:
            yield self._of_first_answer

    @property
    def cursor(self) -> Any:
        """The cursor for the next run, as the API spells it."""
        found = self._before
        if self._all is None:
            return found
        best = self._values.key_of(found)
        limit = self._limit(TOLERANCE)
        for place in self._candidates():
            if limit is not None and pc.greater(place.key, limit).as_py():
                continue  # by a clock that a later answer has corrected
            if not best.is_valid or self.beyond(place.key, best).as_py():
                best, found = place.key, place.raw
        return found

    def _candidates(self) -> Iterator[Place]:
        if self._all is None or self._all.place is None or self._unit_is_open:
            return
        furthest = self._until_now if self._has_limit else self._all
        places = [self._of_first_answer.place, self._seen_before()]
        if self._is_in_trusted_order or self._is_by_time(furthest.place):
            places.append(furthest.place)
        if self._has_limit and self._values.kind == "time":
            places.append(self._surely_past.place)
        yield from (place for place in places if place is not None)

    @property
    def is_in_order(self) -> bool:
        """Whether no value was below the one before it."""
        return self._order.is_forward

    @property
    def is_disordered(self) -> bool:
        """Whether the stream has not kept to its declared order, in this run or before."""
        if self._state.get("disordered", False):
            return True
        return len(self._trusted) == 1 and not self._is_in(self._trusted)

    @property
    def _is_in_trusted_order(self) -> bool:
        return not self.is_disordered and self._is_in(self._trusted)

    def _is_in(self, directions: Collection[Direction]) -> bool:
        forward = self.is_in_order and "forward" in directions
        return forward or (self._order.is_backward and "backward" in directions)

    def _is_by_time(self, furthest: Place | None) -> bool:
        if not self._has_limit or furthest is None:
            return False
        if self._values.kind == "time":
            return not is_naive(furthest.raw)
        recent = self._values.of_time(self._began() - _RECENT, self._unit)
        return bool(pc.greater_equal(furthest.key, recent).as_py())

    def _seen_before(self) -> Place | None:
        raw = self._state.get("seen")
        key = self._values.key_of(raw)
        return Place(key, raw) if key.is_valid else None

    @property
    def began_ahead(self) -> bool:
        """Whether the run's first cursor was beyond the source's time."""
        key = self._values.key_of(self._before)
        limit = self._limit(-AHEAD)
        return limit is not None and key.is_valid and pc.greater(key, limit).as_py()

    @property
    def ahead_before(self) -> Any:
        """The value ahead that an earlier run has reported."""
        return self._state.get("ahead")

    @property
    def ahead(self) -> Any:
        """The greatest value ahead of the source's time, by more than clocks may differ."""
        if self._all is None:  # nothing was read, so nothing has changed
            return self.ahead_before
        if self._all.place is None or not self._has_limit:
            return None
        most = self._all.place
        return most.raw if pc.greater(most.key, self._limit(-AHEAD)).as_py() else None

    def state(self, cursor: Any) -> ReachedState:
        """The state for the next run, given the cursor with which it begins."""
        if self._all is None:
            return self._state
        state = self._state.copy() if self._unit_is_open else self._state_at(cursor)
        if self.is_disordered:
            state["disordered"] = True
        return state

    def _state_at(self, cursor: Any) -> ReachedState:
        assert self._all is not None, "it has begun"
        state = ReachedState()
        furthest = self._until_now if self._has_limit else self._all
        seen = furthest.place.raw if furthest.place is not None else self._state.get("seen")
        if seen is not None and seen != cursor:
            state["seen"] = seen
        if self._values.kind == "number":
            state["unit"] = self._unit
        if self.ahead is not None:
            state["ahead"] = self.ahead
        return state


def plain(value: Any) -> Any:
    """`value` as a Python object that dlt's state can store, whatever library it came from."""
    return plain_values.plain(value.as_py() if isinstance(value, pa.Scalar) else value)
