"""Decides which rows of a page are new since the last run, and what the next run has to know.

Cursor values are compared by what they mean, while the state keeps the API's spelling, since a
stream passes it back to the API. A run reads again the rows at its cursor, those within the
lookback, and those that were not certain yet; rows that landed unchanged do not land again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from landing.columns.arrow import pc
from landing.columns.conversion import Columns, Converted, RowError
from landing.columns.fitting import ConversionError
from landing.errors import SourceError
from landing.extraction.cursor_range import CursorRange
from landing.extraction.cursor_values import CursorValues, Values
from landing.extraction.deduplication import CursorState, Deduplication
from landing.extraction.incremental import Direction, FrozenIncremental
from landing.extraction.known_rows import Fetch, KnownRows, KnownRowsState, LandedFile, not_kept
from landing.extraction.reached import CursorValue, Reached, ReachedState
from landing.extraction.rows_without_cursor import RowsWithoutCursor
from landing.results import Ahead


class CursorTracker:
    """Lets new rows through, and remembers how far this run came."""

    def __init__(
        self,
        frozen: FrozenIncremental,
        columns: Columns,
        state: CursorState,
        folder: Path,
        began: Callable[[], datetime],
        fetch: Fetch = not_kept,
        primary_key: Sequence[str] = (),
    ) -> None:
        self.frozen = frozen
        self.name = frozen.cursor_path
        self.read_from = frozen.last_value
        """Where the run reads from: behind the cursor by a lookback or lag."""
        self.before = frozen.get_state()["last_value"]
        self.went_back = False
        """Whether the stream returned a lower value after a higher one, or a row without a value,
        which a later run would not request."""
        self._without = RowsWithoutCursor(self.name)
        self._columns = columns
        self._descending = frozen.last_value_func is min
        self._check()
        self._typed("the value to start from", self.read_from)
        type_ = columns.schema.field(self.name).type
        self.values = CursorValues(self.name, type_, self._value, self.before)
        self._reached_before = state.get("reached", ReachedState())
        self._reached = Reached(
            self.values,
            self.before,
            self._reached_before,
            began,
            descending=self._descending,
            trusted=self._trusted_order(primary_key),
        )
        self._range = CursorRange(frozen, self.values, self.read_from, self._reached.beyond)
        self._landed = Deduplication(self.values, self.before, state, folder, fetch, primary_key)

    def _check(self) -> None:
        self.frozen.check_direction()
        if self._descending and self.frozen.lookback is not None:
            raise SourceError(
                f"cursor '{self.name}': a lookback needs a cursor that grows, and last_value_func "
                "is min"
            )
        if self.frozen.end_value is not None:
            self._typed("end_value", self.frozen.end_value)

    def _trusted_order(self, primary_key: Sequence[str]) -> Collection[Direction]:
        if tuple(primary_key) == (self.name,):
            return ("forward", "backward")  # a record never gets another value
        return self.frozen.declared_directions

    def _value(self, raw: Any) -> pa.Scalar:
        return self._columns.value(self.name, raw)

    def _typed(self, what: str, raw: Any) -> pa.Scalar:
        try:
            return self._value(raw)
        except ConversionError as error:
            fix = "end_value" if what == "end_value" else "initial_value"
            raise SourceError(
                f"cursor '{self.name}': {what}, {raw!r}, is {error}; fix {fix} or the field's type"
            ) from None

    def admit(
        self,
        converted: Converted,
        rejected: Sequence[CursorValue] = (),
        *,
        is_first_answer: bool = False,
    ) -> pa.Table:
        """The rows of a page that are certainly new. Rows that may be known are deferred.

        `rejected` are the cursor values of the page's rejected rows: the cursor moves beyond them
        too, since they need not be requested again.
        """
        table = converted.table
        self._see(converted, rejected, is_first_answer=is_first_answer)
        keys = self.values.keys(table[self.name])
        if keys.null_count:
            self._defer(table.filter(pc.is_null(keys)))
            present = pc.is_valid(keys)
            table, keys = table.filter(present), keys.filter(present)
        self.went_back = self.went_back or (self._is_asc and not self._reached.is_in_order)
        if table.num_rows == 0:
            return table
        return self._landed.new(*self._range.within(table, keys))

    def _defer(self, without_cursor: pa.Table) -> None:
        if self.frozen.on_cursor_value_missing != "exclude":
            self._without.add(without_cursor)
            self._landed.defer(without_cursor)
            self.went_back = True

    def notes(self) -> Iterator[str]:
        yield from self._without.notes()

    def _see(
        self, converted: Converted, rejected: Sequence[CursorValue], *, is_first_answer: bool
    ) -> None:
        """Note all cursor values of a page, in its order."""
        values, raw = converted.table[self.name], converted.raw(self.name)
        if rejected:
            kept = range(len(values)) if converted.kept is None else converted.kept
            order = pc.sort_indices(pa.array([*kept, *(value.index for value in rejected)]))
            others = pa.array([value.typed.as_py() for value in rejected], values.type)
            values = pa.chunked_array([*values.chunks, others]).take(order)
            raw = [*raw, *(value.raw for value in rejected)]
            raw = [raw[index] for index in order.to_pylist()]
        keys = self.values.keys(values)
        if keys.null_count:
            present = pc.is_valid(keys)
            raw = [value for value, there in zip(raw, present.to_pylist(), strict=True) if there]
            keys = keys.filter(present)
        self._reached.see(keys, raw, is_first_answer=is_first_answer)

    @property
    def below(self) -> int:
        """Number of rows that were left out, because they are below where the run reads from."""
        return self._range.below

    @property
    def known_count(self) -> int:
        """Number of rows that had landed before and did not land again."""
        return self._landed.known_count

    @property
    def rows_state(self) -> KnownRowsState:
        return self._landed.rows_state

    @property
    def _is_asc(self) -> bool:
        return self.frozen.whole_order == "asc" and not self._descending

    @property
    def may_end_early(self) -> bool:
        return self._range.may_end_early

    @property
    def is_past(self) -> bool:
        return self._range.is_past and not self._reached.is_disordered

    @property
    def is_oldest_first(self) -> bool:
        """Whether the stream declares that order, and has always kept to it."""
        return self._is_asc and not self.went_back and not self._reached.is_disordered

    @property
    def can_publish(self) -> bool:
        """Whether all rows below the cursor were read, so it may move before the stream's end."""
        return self.is_oldest_first and self.after != self.before

    def deferred_at_before(self) -> Iterator[pa.Table]:
        """Once `can_publish`: deferred rows with the last run's cursor value."""
        yield from self._landed.deferred_at_before()

    def rest(self) -> Iterator[pa.Table]:
        """Once the stream has ended: deferred rows of which at least one is unknown."""
        yield from self._landed.rest()

    def concerns(self, error: RowError) -> bool:
        """Whether a rejected row is, or may be, in the stream's range."""
        if self.frozen.end_value is None:
            return True  # quarantine knows which it has
        key = self.values.key_of(error.row.get(self.name))
        return not key.is_valid or self._range.has(key)

    def landed(self, files: Iterable[LandedFile]) -> None:
        """Note the rows that land and that the next run reads again."""
        self._landed.landed(files, self._columns.schema, self._is_read_again())

    def _is_read_again(self) -> Callable[[Values], Any]:
        """Whether the next run would read a key, if this run ended now."""
        floor = self.values.key_of(self.frozen.behind(self.after))
        ends = list(self._ends_of_parents())
        is_whole = not all(bound.is_valid for bound in (floor, *ends))
        is_whole = is_whole or any(one.end_value is not None for one in self.frozen.parents)

        def is_read_again(keys: Values) -> Any:
            if is_whole:
                return pc.is_valid(keys)
            again = pc.invert(self._reached.beyond(floor, keys))
            for end in ends:
                again = pc.or_kleene(again, pc.invert(self._reached.beyond(keys, end)))
            return pc.fill_null(again, False)

        return is_read_again

    def _ends_of_parents(self) -> Iterator[pa.Scalar]:
        """Where the next run's range of values ends, by parents that go the other way."""
        for parent in self.frozen.opposed(self.values.kind):
            try:
                yield self.values.key_of(parent.kept_state["last_value"])
            except ConversionError:  # the child's column is narrower, such as a date
                continue

    def known(self, *, ended: bool) -> KnownRows:
        has_moved = self.after != self.before
        return self._landed.known(self._is_read_again(), ended=ended, has_moved=has_moved)

    def state(self, rows: KnownRowsState, *, ended: bool = True) -> CursorState:
        """The state for the next run; before the stream has `ended`, for the rows that landed."""
        is_bounded = self.frozen.end_value is not None
        reached = self._reached_before if is_bounded else self._reached.state(self.after)
        without = self._landed.without_cursor(ended=ended)
        return CursorState(reached=reached, rows=rows, known_without=without)

    def is_beyond(self, raw: Any, *, or_at: bool) -> bool:
        """Whether the run is beyond a value, or, with `or_at`, has reached it."""
        bound = self.values.key(self._typed("the value to start from", raw))
        after = self.values.key_of(self.after)
        if not after.is_valid:
            return False
        return bool(self._reached.beyond(after, bound).as_py() or (or_at and after.equals(bound)))

    @property
    def after(self) -> Any:
        """The value from which the next run starts, as the API spells it. With an `end_value`, it
        does not move."""
        return self.before if self.frozen.end_value is not None else self._reached.cursor

    @property
    def ahead(self) -> Ahead | None:
        """The value ahead of the source's time: the run's first cursor, or else a record's."""
        if self.frozen.end_value is not None:
            return None
        if self._reached.began_ahead:
            return Ahead(self.name, self.before, is_cursor=True)
        value = self._reached.ahead
        if value is None:
            return None
        return Ahead(self.name, value, is_cursor=False, is_new=value != self._reached.ahead_before)
