"""What of a page is new since the run before, and what the next run is to know.

Rows are compared by what their cursor values are, while the state keeps the value as the API spells
it, since a stream passes that back to the API. A run reads again what is at its cursor, behind it
by a lookback, and beyond it by what was not certain yet; what of that has landed unchanged does not
land again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypedDict

import pyarrow as pa

from landing.columns.arrow import pc
from landing.columns.conversion import Columns, Converted, RowError
from landing.columns.digest import BUCKETS, Digest, row_hashes
from landing.columns.fitting import ConversionError
from landing.columns.tombstones import is_tombstone
from landing.errors import SourceError, counted
from landing.extraction.cursor_values import CursorValues
from landing.extraction.incremental import FrozenIncremental
from landing.extraction.known_rows import (
    Fetch,
    KnownRows,
    KnownRowsState,
    LandedFile,
    SeenRows,
    hashes_of,
    not_kept,
    rows_of,
)
from landing.extraction.reached import CursorValue, Direction, Reached, ReachedState
from landing.results import Ahead


class CursorState(TypedDict, total=False):
    """What of a cursor dlt's resource state keeps besides dlt's own `incremental` entry."""

    reached: ReachedState
    rows: KnownRowsState
    known_without: dict[str, str]
    at: str
    """Of earlier versions, as `known`, which has the rows of that value, and `window`."""
    known: dict[str, str]
    window: dict[str, Any]


@dataclass
class _Deferred:
    """Rows that may be known already, on disk until all of their kind were seen."""

    file: Path
    digest: Digest = field(default_factory=Digest)
    writer: pa.ipc.RecordBatchFileWriter | None = None
    known_count: int = 0

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
                self.known_count += len(mask) - sum(mask)
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
        self,
        converted: Converted,
        rejected: Sequence[CursorValue] = (),
        *,
        is_first_answer: bool = False,
    ) -> pa.Table: ...

    def rest(self) -> Iterator[pa.Table]:
        """Rows that can be told only once the stream has ended."""

    def concerns(self, error: RowError) -> bool:
        """Whether a row that does not fit would be taken, or may be."""


class CursorTracker:
    """Lets through what is new since the last run, and remembers how far this run came."""

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
        """Behind the cursor by a lookback or lag."""
        self.before = frozen.get_state()["last_value"]
        self.below = 0
        """Rows that were left out, since they are below where the run began to read."""
        self.known_count = 0
        """Rows that have landed before, and did not land again."""
        self.went_back = False
        """The stream has given a lower value after a higher one, or a row without any, which a
        later run would not ask for."""
        self.rows_without_cursor = 0
        self._columns = columns
        self._folder = folder
        self._descending = frozen.last_value_func is min
        self._check()
        self._typed(self.read_from)
        type_ = columns.schema.field(self.name).type
        self._values = CursorValues(self.name, type_, self._value, self.before)
        reached = state.get("reached", ReachedState())
        self._reached = Reached(
            self._values,
            self.before,
            reached,
            began,
            descending=self._descending,
            trusted=self._trusted_order(primary_key),
        )
        self.rows_state = state.get("rows", KnownRowsState())
        self._known = KnownRows.of_state(self.rows_state, folder, fetch)
        if "window" in state:
            self._known = KnownRows.of_older_state(state["window"])
        self._seen = SeenRows()
        is_same = state.get("at") == json.dumps(self.before, default=str)
        self._older_known = Digest(state.get("known") if is_same and not self._known else None)
        self._known_without = Digest(state.get("known_without"))
        self._at_last = _Deferred(folder / "at-last.arrow")
        self._without = _Deferred(folder / "without-cursor.arrow")

    def _check(self) -> None:
        if self.frozen.last_value_func not in (min, max):
            raise SourceError(
                f"cursor '{self.name}': last_value_func has to be max or min, since a cursor "
                "moves one way"
            )
        if self._descending and self.frozen.lookback is not None:
            raise SourceError(f"cursor '{self.name}': lookback is for one that grows, not for min")

    def _trusted_order(self, primary_key: Sequence[str]) -> Collection[Direction]:
        if tuple(primary_key) == (self.name,):
            return ("forward", "backward")  # a record never gets another value
        if self.frozen.whole_order is None:
            return ()
        return ("backward" if self.frozen.whole_order == "desc" else "forward",)

    def _value(self, raw: Any) -> pa.Scalar:
        return self._columns.value(self.name, raw)

    def _typed(self, raw: Any) -> pa.Scalar:
        try:
            return self._value(raw)
        except ConversionError as error:
            raise SourceError(
                f"cursor '{self.name}': the value to start from, {raw!r}, is {error}; fix "
                "initial_value or the field's type"
            ) from None

    def admit(
        self,
        converted: Converted,
        rejected: Sequence[CursorValue] = (),
        *,
        is_first_answer: bool = False,
    ) -> pa.Table:
        """The rows of a page that are certainly new. Rows that may be known are kept for `rest`.

        `rejected` are the cursor values of rows of the page that went to quarantine: the cursor
        moves beyond them, too, since they need not be asked for again.
        """
        table = converted.table
        self._see(converted, rejected, is_first_answer=is_first_answer)
        keys = self._values.keys(table[self.name])
        if keys.null_count:
            self._withhold_without(table.filter(pc.is_null(keys)))
            present = pc.is_valid(keys)
            table, keys = table.filter(present), keys.filter(present)
        self.went_back = self.went_back or (self._is_asc and not self._reached.is_in_order)
        if table.num_rows == 0:
            return table
        start = self._values.key_of(self.read_from)
        if start.is_valid:
            table, keys = self._from_start(table, keys, start)
        if self._known:
            table, keys = self._unknown(table, keys)
        if self._older_known:
            at_last = pc.equal(keys, self._values.key_of(self.before))
            withheld = table.filter(at_last)
            self._at_last.add(withheld)
            self._seen.add(keys.filter(at_last), hashes_of(withheld))
            table, keys = table.filter(pc.invert(at_last)), keys.filter(pc.invert(at_last))
        gone = is_tombstone(table)
        if pc.any(gone).as_py():  # which land without their cursor value
            self._seen.add(keys.filter(gone), hashes_of(table.filter(gone)))
        return table

    def _see(
        self, converted: Converted, rejected: Sequence[CursorValue], *, is_first_answer: bool
    ) -> None:
        """All cursor values of a page in the order in which it has them."""
        values, raw = converted.table[self.name], converted.raw(self.name)
        if rejected:
            kept = range(len(values)) if converted.kept is None else converted.kept
            order = pc.sort_indices(pa.array([*kept, *(value.index for value in rejected)]))
            others = pa.array([value.typed.as_py() for value in rejected], values.type)
            values = pa.chunked_array([*values.chunks, others]).take(order)
            raw = [*raw, *(value.raw for value in rejected)]
            raw = [raw[index] for index in order.to_pylist()]
        keys = self._values.keys(values)
        if keys.null_count:
            present = pc.is_valid(keys)
            raw = [value for value, there in zip(raw, present.to_pylist(), strict=True) if there]
            keys = keys.filter(present)
        self._reached.see(keys, raw, is_first_answer=is_first_answer)

    def _from_start(self, table: pa.Table, keys: Any, start: pa.Scalar) -> tuple[pa.Table, Any]:
        within = self._reached.beyond(keys, start)
        if self.frozen.range_start != "open":
            within = pc.or_(within, pc.equal(keys, start))
        if pc.all(within).as_py():
            return table, keys
        self.frozen.start_out_of_range = not self.frozen.is_of_child
        kept = table.filter(within)
        self.below += table.num_rows - kept.num_rows
        return kept, keys.filter(within)

    def _unknown(self, table: pa.Table, keys: Any) -> tuple[pa.Table, Any]:
        hashes = hashes_of(table)
        known = [value in self._known for value in hashes]
        if not any(known):
            return table, keys
        mask = pa.array(known, pa.bool_())
        self.known_count += sum(known)
        again = [value for value, is_known in zip(hashes, known, strict=True) if is_known]
        self._seen.add(keys.filter(mask), again)
        return table.filter(pc.invert(mask)), keys.filter(pc.invert(mask))

    @property
    def _is_asc(self) -> bool:
        return self.frozen.whole_order == "asc" and not self._descending

    @property
    def may_end_early(self) -> bool:
        return self.frozen.whole_order == "desc"

    @property
    def is_past(self) -> bool:
        is_below = self.may_end_early and self.frozen.start_out_of_range
        return is_below and not self._reached.is_disordered

    @property
    def is_oldest_first(self) -> bool:
        """The stream declared that order, and has always kept to it."""
        return self._is_asc and not self.went_back and not self._reached.is_disordered

    @property
    def can_publish(self) -> bool:
        """All rows below the cursor were seen, so that it may move before the stream's end."""
        return self.is_oldest_first and self.after != self.before

    def settled(self) -> Iterator[pa.Table]:
        """At `can_publish`: withheld rows of the last run's cursor value, which none follow."""
        yield from self._unknown_of(self._at_last, self._older_known)
        self._at_last = _Deferred(self._folder / "at-last.arrow")

    def rest(self) -> Iterator[pa.Table]:
        """Once the stream has ended: withheld rows of which at least one was not known."""
        yield from self._unknown_of(self._at_last, self._older_known)
        yield from self._unknown_of(self._without, self._known_without)

    def _unknown_of(self, withheld: _Deferred, known: Digest) -> Iterator[pa.Table]:
        yield from withheld.unknown(known)
        self.known_count += withheld.known_count

    def concerns(self, error: RowError) -> bool:
        return True  # quarantine knows which it has

    def landed(self, files: Iterable[LandedFile]) -> None:
        """Look at rows that this run lands for those that the next one reads again."""
        is_wanted = self._is_read_again()
        for table in rows_of(files, self.name, is_wanted, self._columns.schema):
            self._seen.add(self._values.keys(table[self.name]), hashes_of(table))

    def _is_read_again(self) -> Callable[[Any], Any]:
        """Whether a value is not below where the next run begins, if this one ended here."""
        floor = self._values.key_of(self.frozen.behind(self.after))

        def is_wanted(values: Any) -> Any:
            keys = self._values.keys(values)
            if not floor.is_valid:
                return pc.is_valid(keys)
            return pc.fill_null(pc.invert(self._reached.beyond(floor, keys)), False)

        return is_wanted

    def known(self, *, ended: bool) -> KnownRows:
        """What the next run is to know: once the stream has ended, what this one saw takes the
        place of what was known, since a row that has become again what it once was has to land
        again."""
        floor = self._values.key_of(self.frozen.behind(self.after))

        def is_wanted(keys: Any) -> Any:
            return (
                pc.invert(self._reached.beyond(floor, keys)) if floor.is_valid else keys.is_valid()
            )

        seen = self._seen.matching(is_wanted)
        is_kept = not ended or (not len(seen) and self.after == self.before)
        return KnownRows(pa.concat_arrays([seen, self._known.hashes]) if is_kept else seen)

    def state(self, rows: KnownRowsState, *, ended: bool = True) -> CursorState:
        """What the next run is to know; before the stream has `ended`, of what has landed."""
        without = self._known_without
        if ended and self._without.digest:
            without = self._without.digest
        return CursorState(
            reached=self._reached.state(self.after), rows=rows, known_without=without.as_json()
        )

    def is_beyond(self, raw: Any, *, or_at: bool) -> bool:
        """Whether the run has come further than a value, or as far."""
        bound = self._values.key(self._typed(raw))
        after = self._values.key_of(self.after)
        if not after.is_valid:
            return False
        return bool(self._reached.beyond(after, bound).as_py() or (or_at and after.equals(bound)))

    @property
    def after(self) -> Any:
        """The value the next run starts from, as the API spells it."""
        return self._reached.cursor

    def notes(self) -> Iterator[str]:
        """What a person should know of, once the stream has ended."""
        if self.below and self._values.kind == "text":
            yield (
                f"{counted(self.below, 'record')} with a {self.name} below {self.read_from!r}, "
                "compared as text, not landed: that is right only if the API orders it as text"
            )
        ahead = self.ahead
        if ahead is not None and ahead.is_cursor:
            yield (
                f"the cursor {self.name} is at {self.before}, beyond the source's time, so that "
                "what is new is not asked for: `landing state set` with --cursor puts it back"
            )
        elif ahead is not None and ahead.is_new:
            yield (
                f"a record has {self.name} {ahead.value}, beyond the source's time: the cursor "
                f"stays at {'its start' if self.after is None else self.after}, and rows go on "
                "landing"
            )

    @property
    def ahead(self) -> Ahead | None:
        """Of the cursor that the run began with, or else of a record."""
        if self._reached.began_ahead:
            return Ahead(self.name, self.before, is_cursor=True)
        value = self._reached.ahead
        if value is None:
            return None
        return Ahead(self.name, value, is_cursor=False, is_new=value != self._reached.ahead_before)

    def _withhold_without(self, table: pa.Table) -> None:
        if self.frozen.on_cursor_value_missing != "exclude":
            self.rows_without_cursor += table.num_rows
            self._without.add(table)
            self.went_back = True
