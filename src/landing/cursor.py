"""The cursor of an incremental stream: held still while it reads, moved once at the end.

Rows are compared by their column's type, while the state keeps the value as the API spells it,
since a stream passes that back to the API. Rows that share the last run's cursor value may come
again; which of them are known is kept as a digest of constant size, not as a hash per row.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

import dlt
import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from dlt.extract.incremental import IncrementalResourceWrapper
from dlt.extract.resource import DltResource

from landing.columns import Columns
from landing.errors import SourceError
from landing.fitting import Misfit

Incremental = dlt.sources.incremental
BUCKETS = 1024
REMEMBERED_ROWS = 100_000


class HeldIncremental(Incremental[Any]):
    """dlt's incremental as a stream sees it, whose `last_value` does not move while it reads.

    It lets all rows pass: filtering and the new value are CursorTracker's, which moves the state
    after the stream's last row. With `from_start`, earlier state is neither read nor written.
    """

    from_start = False

    def __call__(self, rows: Any, meta: Any = None) -> Any:
        return rows

    def get_state(self) -> Any:
        if self.from_start:
            start = self.initial_value
            return {"initial_value": start, "last_value": start, "unique_hashes": []}
        return super().get_state()


def declared_incremental(resource: DltResource) -> Incremental[Any] | None:
    """The incremental that the stream's function declares as a default, or dlt hints carry."""
    step = resource.incremental
    hinted = step.incremental if isinstance(step, IncrementalResourceWrapper) else step
    if isinstance(hinted, Incremental) and hinted.cursor_path:
        return hinted
    default = _declared_default(resource._pipe.gen)
    return default if default is not None and default.cursor_path else None


def cursor_parameter(resource: DltResource) -> inspect.Parameter | None:
    return _incremental_parameter(resource._pipe.gen)


def _incremental_parameter(generator: Any) -> inspect.Parameter | None:
    if not callable(generator):
        return None
    # A resource that was called with arguments shows none; what it wraps still has them.
    signature = inspect.signature(inspect.unwrap(generator))
    return IncrementalResourceWrapper.get_incremental_arg(signature)


def hold(
    resource: DltResource, cursor_field: str | None, initial_value: Any, *, from_start: bool
) -> HeldIncremental | None:
    """Put a held incremental in the place of the stream's own, and return it.

    None where neither the stream nor the stream config knows a cursor.
    """
    _hold_parents(resource)
    declared = declared_incremental(resource)
    path = declared.cursor_path if declared else cursor_field
    if path is None:
        return None
    if cursor_field is not None and path != cursor_field:
        raise SourceError(
            f"stream '{resource.name}' asks its API by '{path}', but its stream config says "
            f"cursor_field '{cursor_field}'; set cursor_field to ['{path}']"
        )
    if declared is not None and declared.end_value is not None:
        raise SourceError(
            f"stream '{resource.name}' declares an end_value for '{path}', after which nothing "
            "would ever land; leave it out"
        )
    held = _copy(declared, path)
    if initial_value is not None:
        held.initial_value = initial_value
    held.from_start = from_start
    held.resource_name = resource.name
    resource.apply_hints(incremental=held)
    return held


def _hold_parents(resource: DltResource) -> None:
    """Parents are read from their start at each run: the state is that of the stream alone."""
    pipe = resource._pipe.parent
    while pipe is not None:
        for step in pipe.steps:
            if isinstance(step, IncrementalResourceWrapper):
                declared = step.incremental or _declared_default(pipe.gen)
                if declared is not None and declared.cursor_path:
                    held = _copy(declared, declared.cursor_path)
                    held.from_start = True
                    held.resource_name = pipe.name
                    step.set_incremental(held, from_hints=True)
        pipe = pipe.parent


def _declared_default(generator: Any) -> Incremental[Any] | None:
    parameter = _incremental_parameter(generator)
    default = parameter.default if parameter else None
    return default if isinstance(default, Incremental) else None


def _copy(declared: Incremental[Any] | None, path: str) -> HeldIncremental:
    if declared is None:
        return HeldIncremental(path)
    held = HeldIncremental(
        path,
        initial_value=declared.initial_value,
        last_value_func=declared.last_value_func,
        row_order=declared.row_order,
        on_cursor_value_missing=declared.on_cursor_value_missing,
        lag=declared.lag,
        range_start=declared.range_start,
        range_end=declared.range_end,
    )
    if hasattr(declared, "__orig_class__"):
        held.__orig_class__ = declared.__orig_class__
    return held


class Digest:
    """Which rows were seen, in constant space: rows fall into buckets, a bucket is their sum.

    A bucket that differs has at least one row that was not seen; one that equals has none, up to
    the collision of two 64-bit sums.
    """

    def __init__(self, sums: dict[str, str] | None = None) -> None:
        self._sums = {int(key, 16): int(value, 16) for key, value in (sums or {}).items()}
        self._added: set[int] = set()

    def add(self, hashes: Sequence[int]) -> None:
        """Each row counts once, however often it is read, as pages may overlap."""
        for value in hashes:
            if value in self._added:
                continue
            if len(self._added) < REMEMBERED_ROWS:
                self._added.add(value)
            bucket = value % BUCKETS
            self._sums[bucket] = (self._sums.get(bucket, 0) + (value >> 16)) % 2**64

    def differs(self, other: Digest, bucket: int) -> bool:
        return self._sums.get(bucket) != other._sums.get(bucket)

    def updated(self, newer: Digest) -> Digest:
        merged = Digest()
        merged._sums = {**self._sums, **newer._sums}
        return merged

    def as_json(self) -> dict[str, str]:
        return {f"{key:x}": f"{value:x}" for key, value in sorted(self._sums.items())}

    def __bool__(self) -> bool:
        return bool(self._sums)


def row_hashes(table: pa.Table) -> list[int]:
    encode = msgspec.json.Encoder(order=None).encode
    return [
        int.from_bytes(hashlib.blake2b(encode(row), digest_size=12).digest(), "big")
        for row in table.to_pylist()
    ]


class CursorState(TypedDict, total=False):
    """What of a cursor dlt's resource state keeps besides dlt's own `incremental` entry."""

    at: str
    known: dict[str, str]
    known_without: dict[str, str]


@dataclass
class _Withheld:
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


class CursorTracker:
    """Lets through what is new since the last run, and remembers how far this run came."""

    def __init__(
        self, held: HeldIncremental, columns: Columns, state: CursorState, folder: Path
    ) -> None:
        self.held = held
        self.name = held.cursor_path
        self.before = held.last_value
        self._descending = held.last_value_func is min
        if held.last_value_func not in (min, max):
            raise SourceError(
                f"cursor '{self.name}': last_value_func has to be max or min, since a cursor "
                "moves one way"
            )
        self._start = self._typed(columns, self.before)  # behind the last value by a lag
        self._raw = held.get_state()["last_value"]
        self._best = self._last = self._typed(columns, self._raw)
        same = state.get("at") == _spelled(self._raw)
        self._known = Digest(state.get("known") if same else None)
        self._known_without = Digest(state.get("known_without"))
        self._at_last = _Withheld(folder / "at-last.arrow")
        self._without = _Withheld(folder / "without-cursor.arrow")
        self._at_best = Digest()
        self.rows_without_cursor = 0

    def _typed(self, columns: Columns, raw: Any) -> pa.Scalar:
        try:
            return columns.value(self.name, raw)
        except Misfit as misfit:
            raise SourceError(
                f"cursor '{self.name}': the value to start from, {raw!r}, is {misfit}; mend "
                "initial_value or the field's type"
            ) from None

    def admit(self, table: pa.Table, raw: Sequence[Any]) -> pa.Table:
        """The rows of a page that are certainly new; `raw` are its cursor values as the API gave
        them. Rows that may be known are kept for `rest`."""
        values = table[self.name]
        if values.null_count:
            self._withhold_without(table.filter(pc.is_null(values)))
            present = pc.is_valid(values)
            raw = [value for value, there in zip(raw, present.to_pylist(), strict=True) if there]
            table = table.filter(present)
            values = table[self.name]
        if table.num_rows == 0:
            return table
        self._remember(table, values, raw)
        if not self._start.is_valid:
            return table
        within = self._within(values)
        if not pc.all(within).as_py():
            self.held.start_out_of_range = True
        if self._known:
            at_last = pc.equal(values, self._last)
            self._at_last.add(table.filter(pc.and_(within, at_last)))
            within = pc.and_not(within, at_last)
        return table.filter(within)

    def _within(self, values: pa.ChunkedArray) -> pa.ChunkedArray:
        beyond = self._beyond(values, self._start)
        if self.held.range_start == "open":
            return beyond
        return pc.or_(beyond, pc.equal(values, self._start))

    @property
    def is_newest_first(self) -> bool:
        """The stream declared that order, so that it can end at the first known row."""
        return self.held.row_order == "desc"

    @property
    def past_start(self) -> bool:
        return self.is_newest_first and self.held.start_out_of_range

    def rest(self) -> Iterator[pa.Table]:
        """Once the stream has ended: withheld rows of which at least one was not known."""
        yield from self._at_last.unknown(self._known)
        yield from self._without.unknown(self._known_without)

    def state(self) -> CursorState:
        moved = not self._best.equals(self._last)
        known = self._at_best if moved else self._known.updated(self._at_best)
        without = self._known_without.updated(self._without.digest)
        return CursorState(
            at=_spelled(self._raw), known=known.as_json(), known_without=without.as_json()
        )

    @property
    def after(self) -> Any:
        """The value the next run starts from, as the API spells it."""
        return self._raw

    def _withhold_without(self, table: pa.Table) -> None:
        if self.held.on_cursor_value_missing != "exclude":
            self.rows_without_cursor += table.num_rows
            self._without.add(table)

    def _remember(self, table: pa.Table, values: pa.ChunkedArray, raw: Sequence[Any]) -> None:
        best = pc.min(values) if self._descending else pc.max(values)
        advanced = not self._best.is_valid or self._beyond(best, self._best).as_py()
        if advanced:
            self._best = best
            self._raw = _plain(raw[pc.index(values, best).as_py()])
            self._at_best = Digest()
        if advanced or best.equals(self._best):
            self._at_best.add(row_hashes(table.filter(pc.equal(values, self._best))))

    def _beyond(self, values: Any, bound: pa.Scalar) -> Any:
        return pc.less(values, bound) if self._descending else pc.greater(values, bound)


def _spelled(value: Any) -> str:
    return json.dumps(value, default=str)


def _plain(value: Any) -> Any:
    """`value` as a Python object that dlt's state can keep, whatever library it came from."""
    if isinstance(value, pa.Scalar):
        return value.as_py()
    item = getattr(value, "item", None)
    return item() if callable(item) else value
