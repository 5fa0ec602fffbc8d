"""How far an incremental stream came, and what of a page is new since the run before.

Rows are compared by their column's type, while the state keeps the value as the API spells it,
since a stream passes that back to the API. Rows that share the last run's cursor value may come
again; which of them are known is kept as a digest of constant size, not as a hash per row.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypedDict

import pyarrow as pa
import pyarrow.compute as pc

from landing.columns.conversion import Columns, RowError
from landing.columns.digest import BUCKETS, Digest, row_hashes
from landing.columns.fitting import ConversionError
from landing.errors import SourceError
from landing.extraction.incremental import FrozenIncremental
from landing.extraction.lookback_window import LIMIT as WINDOW_ROWS
from landing.extraction.lookback_window import LookbackWindow, WindowState


class CursorState(TypedDict, total=False):
    """What of a cursor dlt's resource state keeps besides dlt's own `incremental` entry."""

    at: str
    known: dict[str, str]
    known_without: dict[str, str]
    window: WindowState


@dataclass(frozen=True)
class CursorValue:
    typed: pa.Scalar
    raw: Any
    """As the API gave it."""


@dataclass
class _Deferred:
    """Rows that may be known already, on disk until all of their kind were seen."""

    file: Path
    digest: Digest = field(default_factory=Digest)
    writer: pa.ipc.RecordBatchFileWriter | None = None

    def add(self, table: pa.Table) -> None:
        if table.num_rows == 0:
            return
        self.digest.add(row_hashes(table))
        if self.writer is None:
            self.writer = pa.ipc.new_file(str(self.file), table.schema)
        self.writer.write_table(table)

    def unknown(self, known: Digest) -> Iterator[pa.Table]:
        if self.writer is None:
            return
        self.writer.close()
        with pa.ipc.open_file(str(self.file)) as reader:
            for index in range(reader.num_record_batches):
                table = pa.Table.from_batches([reader.get_batch(index)])
                mask = [self.digest.differs(known, h % BUCKETS) for h in row_hashes(table)]
                yield table.filter(pa.array(mask, pa.bool_()))


class RowFilter(Protocol):
    """Which of a stream's rows are taken, by its cursor."""

    name: str
    went_back: bool
    rows_without_cursor: int

    @property
    def may_end_early(self) -> bool:
        """The stream declared an order, so that it need not be read to its end."""

    @property
    def is_past(self) -> bool:
        """No row that follows would be taken."""

    def admit(
        self, table: pa.Table, raw: Sequence[Any], rejected: Sequence[CursorValue] = ()
    ) -> pa.Table: ...

    def rest(self) -> Iterator[pa.Table]:
        """Rows that can be told only once the stream has ended."""

    def concerns(self, error: RowError) -> bool:
        """Whether a row that does not fit would be taken, or may be."""


class CursorTracker:
    """Lets through what is new since the last run, and remembers how far this run came."""

    def __init__(
        self, frozen: FrozenIncremental, columns: Columns, state: CursorState, folder: Path
    ) -> None:
        self.frozen = frozen
        self.name = frozen.cursor_path
        self.read_from = frozen.last_value
        """Behind the cursor by a lookback or lag."""
        self.before = frozen.get_state()["last_value"]
        self._columns = columns
        self._folder = folder
        self._descending = frozen.last_value_func is min
        if frozen.last_value_func not in (min, max):
            raise SourceError(
                f"cursor '{self.name}': last_value_func has to be max or min, since a cursor "
                "moves one way"
            )
        if self._descending and frozen.lookback is not None:
            raise SourceError(f"cursor '{self.name}': lookback is for one that grows, not for min")
        self._start = self._typed(self.read_from)
        self._raw = self.before
        self._best = self._last = self._typed(self._raw)
        same = state.get("at") == _spelled(self._raw)
        self._window = self._make_window(state.get("window"))
        self._known = Digest(state.get("known") if same and not self._window else None)
        self._known_without = Digest(state.get("known_without"))
        self._at_last = _Deferred(folder / "at-last.arrow")
        self._without = _Deferred(folder / "without-cursor.arrow")
        self._at_best = Digest()
        self._highest: pa.Scalar | None = None
        self.went_back = False
        """The stream has given a lower value after a higher one, or a row without any, which a
        later run would not ask for."""
        self.rows_without_cursor = 0

    def _make_window(self, state: WindowState | None) -> LookbackWindow | None:
        type_ = self._start.type
        return (
            LookbackWindow(type_, state)
            if self.frozen.looks_back and LookbackWindow.can_hold(type_)
            else None
        )

    def _typed(self, raw: Any) -> pa.Scalar:
        try:
            return self._columns.value(self.name, raw)
        except ConversionError as error:
            raise SourceError(
                f"cursor '{self.name}': the value to start from, {raw!r}, is {error}; mend "
                "initial_value or the field's type"
            ) from None

    def admit(
        self, table: pa.Table, raw: Sequence[Any], rejected: Sequence[CursorValue] = ()
    ) -> pa.Table:
        """The rows of a page that are certainly new; `raw` are its cursor values as the API gave
        them. Rows that may be known are kept for `rest`.

        `aside` are the cursor values of rows of the page that went to quarantine: the cursor moves
        beyond them, too, since they need not be asked for again.
        """
        values = table[self.name]
        if values.null_count:
            self._withhold_without(table.filter(pc.is_null(values)))
            present = pc.is_valid(values)
            raw = [value for value, there in zip(raw, present.to_pylist(), strict=True) if there]
            table = table.filter(present)
        self._follow([*table[self.name].chunks, *(pa.array([v.typed]) for v in rejected)])
        self._pass_over(rejected)
        if table.num_rows == 0:
            return table
        self._remember(table, table[self.name], raw)
        if self._start.is_valid:
            table = self._from_start(table)
        if self._window is not None:
            table = self._not_in(self._window, table)
        if self._known:
            at_last = pc.equal(table[self.name], self._last)
            self._at_last.add(table.filter(at_last))
            table = table.filter(pc.invert(at_last))
        return table

    def _from_start(self, table: pa.Table) -> pa.Table:
        values = table[self.name]
        within = self._beyond(values, self._start)
        if self.frozen.range_start != "open":
            within = pc.or_(within, pc.equal(values, self._start))
        if pc.all(within).as_py():
            return table
        self.frozen.start_out_of_range = True
        return table.filter(within)

    def _not_in(self, window: LookbackWindow, table: pa.Table) -> pa.Table:
        """The table without rows that landed before; those the next run reads again are kept in
        mind."""
        values = table[self.name]
        floor = self._floor()
        relevant = pc.invert(self._beyond(pa.repeat(floor, len(values)), values))
        if self._last.is_valid:
            relevant = pc.or_(relevant, pc.invert(self._beyond(values, self._last)))
        rows = table.filter(relevant)
        if rows.num_rows == 0:
            return table
        new = window.unknown(rows[self.name], row_hashes(rows))
        if len(window) > 2 * WINDOW_ROWS:
            window.forget_before(floor, descending=self._descending)
        everything = pa.repeat(True, table.num_rows)
        mask = relevant.combine_chunks() if isinstance(relevant, pa.ChunkedArray) else relevant
        return table.filter(pc.replace_with_mask(everything, mask, new))

    def _floor(self) -> pa.Scalar:
        """Where a run would start that follows this one, if it ended here."""
        return self._typed(self.frozen.behind(self._raw))

    @property
    def may_end_early(self) -> bool:
        return self.frozen.row_order == "desc"

    @property
    def is_past(self) -> bool:
        return self.may_end_early and self.frozen.start_out_of_range

    @property
    def is_oldest_first(self) -> bool:
        """The stream declared that order, and has kept to it so far."""
        return self.frozen.row_order == "asc" and not self._descending and not self.went_back

    @property
    def can_publish(self) -> bool:
        """All rows below the cursor were seen, so that it may move before the stream's end."""
        return self.is_oldest_first and not self._best.equals(self._last)

    def settled(self) -> Iterator[pa.Table]:
        """At `can_publish`: withheld rows of the last run's cursor value, which none follow."""
        yield from self._at_last.unknown(self._known)
        self._at_last = _Deferred(self._folder / "at-last.arrow")

    def rest(self) -> Iterator[pa.Table]:
        """Once the stream has ended: withheld rows of which at least one was not known."""
        yield from self._at_last.unknown(self._known)
        yield from self._without.unknown(self._known_without)

    def concerns(self, error: RowError) -> bool:
        return True  # quarantine knows which it has

    def state(self, *, ended: bool = True) -> CursorState:
        """What the next run is to know; before the stream has `ended`, of what has landed."""
        moved = not self._best.equals(self._last)
        # What this run saw takes the place of what was known: a row that has become again what it
        # once was has to land again.
        known = self._at_best if moved or self._at_best else self._known
        without = self._known_without
        if ended and self._without.digest:
            without = self._without.digest
        state = CursorState(
            at=_spelled(self._raw), known=known.as_json(), known_without=without.as_json()
        )
        if self._window is not None and self._best.is_valid:
            self._window.forget_before(self._floor(), descending=self._descending)
            state["window"] = self._window.as_json(ended=ended)
        return state

    @property
    def forgets(self) -> bool:
        """More rows are within the lookback than are remembered."""
        return self._window is not None and self._window.is_full

    def is_beyond(self, raw: Any, *, or_at: bool) -> bool:
        """Whether the run has come further than a value, or as far."""
        bound = self._typed(raw)
        if not self._best.is_valid:
            return False
        return bool(self._beyond(self._best, bound).as_py() or (or_at and self._best.equals(bound)))

    @property
    def after(self) -> Any:
        """The value the next run starts from, as the API spells it."""
        return self._raw

    def _withhold_without(self, table: pa.Table) -> None:
        if self.frozen.on_cursor_value_missing != "exclude":
            self.rows_without_cursor += table.num_rows
            self._without.add(table)
            self.went_back = True

    def _pass_over(self, rejected: Sequence[CursorValue]) -> None:
        for value in rejected:
            if not self._best.is_valid or self._beyond(value.typed, self._best).as_py():
                self._best, self._raw, self._at_best = value.typed, _plain(value.raw), Digest()

    def _follow(self, chunks: list[pa.Array]) -> None:
        values = pa.chunked_array(chunks, self._start.type)
        if not self.is_oldest_first or len(values) == 0:
            return
        least, most = pc.min_max(values).values()
        if self._highest is not None and pc.less(least, self._highest).as_py():
            self.went_back = True
        self._highest = most

    def _remember(self, table: pa.Table, values: pa.ChunkedArray, raw: Sequence[Any]) -> None:
        best = pc.min(values) if self._descending else pc.max(values)
        advanced = not self._best.is_valid or self._beyond(best, self._best).as_py()
        if advanced:
            self._best = best
            self._raw = _plain(raw[pc.index(values, best).as_py()])
            self._at_best = Digest()
        if advanced or best.equals(self._best):
            self._at_best.add(row_hashes(table.filter(pc.equal(values, self._best))))

    def _beyond(self, values: Any, bound: Any) -> Any:
        return pc.less(values, bound) if self._descending else pc.greater(values, bound)


def _spelled(value: Any) -> str:
    return json.dumps(value, default=str)


def _plain(value: Any) -> Any:
    """`value` as a Python object that dlt's state can keep, whatever library it came from."""
    if isinstance(value, pa.Scalar):
        return value.as_py()
    item = getattr(value, "item", None)
    return item() if callable(item) else value
