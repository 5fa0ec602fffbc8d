"""Columns of JSON pages, of most fields by Arrow's reader, which needs no interpreter lock.

That reader knows no nested values as text, nor values of several kinds: such fields are decoded.
It takes nothing otherwise than the decoder, but for numbers that it rounds, -0,
and text that is not UTF-8, which are looked for here; what it refuses is for the decoder to see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, overload

import msgspec
import pyarrow as pa

from landing.columns.arrow import pc
from landing.columns.column_types import NOT_IN_ARROW, Column
from landing.columns.json_page import JsonPage
from landing.columns.json_text import NoShapeError, object_type

LEAST_BYTES = 64 * 1024
"""Of pages; below, the reader's start takes longer than the rest."""
_MOST_BYTES = 2**31 - 2
_BYTES_A_VALUE = 50
"""Of JSON for each value that Arrow would give; where it is more, most of a page is nested, or is
what nobody wants, and the decoder goes through it faster (benchmarks/PROFILE.md)."""
_REFUSALS = 3
"""In a row, after which the next pages are not tried."""
_EXACT = 2**53
"""Whole numbers up to here are floats without loss."""


@dataclass(frozen=True)
class PageArrays:
    arrays: Mapping[str, pa.Array]
    rows: int
    pages: Sequence[JsonPage]
    read: Mapping[str, pa.Array]
    decoded: Mapping[str, Sequence[Any]]
    number: Callable[[str], Any]
    """What a record decodes to of which only that number counts."""

    def given(self, name: str) -> Sequence[Any]:
        """A field's values of all records, as the API gave them."""
        if name in self.decoded:
            return self.decoded[name]
        if pa.types.is_floating(self.read[name].type):
            return self._numbers(name)
        return _Values(self.read[name])

    def _numbers(self, name: str) -> Sequence[int | float | None]:
        """Whole ones are integers, as the API spells them."""
        decoded = (page.decoded(self.number(name)) for page in self.pages)
        return [record.member0 for records in decoded for record in records]


class PageColumns:
    """The columns of pages, of which Arrow reads what it can and the decoder `record`, the rest."""

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self._columns = columns
        self._types = {
            name: column.read_type for name, column in columns.items() if column.read_type
        }
        rest = {name: column for name, column in columns.items() if name not in self._types}
        self._rest = list(rest)
        self.record: Any = record_type(rest) if rest else msgspec.Raw
        self._refusals = 0 if self._types and self.record is not None else _REFUSALS
        self._number = cache(_number_type)

    @property
    def is_worth_it(self) -> bool:
        return self._refusals < _REFUSALS

    def read(self, pages: Sequence[JsonPage]) -> PageArrays | None:
        """None if some value wants a look of its own, or where this is not the way to go."""
        if not self.is_worth_it:
            return None
        try:
            self._check_worth(pages)
            found = self._found(pages)
        except NOT_IN_ARROW:
            self._refusals += 1
            return None
        self._refusals = 0
        return found

    def _check_worth(self, pages: Sequence[JsonPage]) -> None:
        size = sum(len(page.content) for page in pages)
        values = len(self._types) * sum(map(len, pages))
        if not LEAST_BYTES <= size <= min(_MOST_BYTES, _BYTES_A_VALUE * values):
            raise ValueError("decoded in less time")
        if any(page.skipped for page in pages):
            raise ValueError("records that do not count")

    def _found(self, pages: Sequence[JsonPage]) -> PageArrays:
        decoded = self._decoded(pages)
        read = _read(pages, self._types)
        arrays = {name: self._columns[name].from_read(array) for name, array in read.items()}
        for name, values in decoded.items():
            arrays[name] = self._columns[name].from_json(values)
        return PageArrays(arrays, sum(map(len, pages)), pages, read, decoded, self._number)

    def _decoded(self, pages: Sequence[JsonPage]) -> dict[str, Sequence[Any]]:
        if not self._rest:
            return {}
        records = [record for page in pages for record in page.decoded(self.record)]
        rows = map(msgspec.structs.astuple, records)
        return dict(zip(self._rest, zip(*rows, strict=True), strict=True))


def record_type(columns: Mapping[str, Column], hint: str | None = None) -> Any:
    """What a record decodes to: these fields alone, and what says that it is deleted; null where it
    has not got one. None if only a dictionary will do."""
    members = {
        name: Any if column.json_type is Any else column.json_type | None
        for name, column in columns.items()
    }
    if hint is not None:
        members.setdefault(hint, Any)
    try:
        return object_type("Record", members, None)
    except NoShapeError:
        return None


def _number_type(name: str) -> Any:
    return object_type("Number", {name: int | float | None}, None)


def _read(pages: Sequence[JsonPage], types: Mapping[str, pa.DataType]) -> dict[str, pa.Array]:
    """Each field's values of all records. Raises pa.ArrowInvalid or ValueError where one is not of
    its type, or would lose something."""
    records = _records(pages, pa.struct(list(types.items())))
    records.validate(full=True)  # text is UTF-8
    read = dict(zip(types, records.flatten(), strict=True))
    for array in read.values():
        if pa.types.is_floating(array.type):
            _check_exact(array)
    return read


def _records(pages: Sequence[JsonPage], record: pa.DataType) -> pa.StructArray:
    import pyarrow.json  # not for small runs

    (path,) = {page.path or ("",) for page in pages}
    bodies = (page.content if page.path else b'{"":%b}' % page.content for page in pages)
    text = pa.py_buffer(b"\n".join(bodies))
    lists = pyarrow.json.read_json(
        pa.BufferReader(text),
        pyarrow.json.ReadOptions(use_threads=False, block_size=text.size + 1),
        pyarrow.json.ParseOptions(
            explicit_schema=_schema(path, record), unexpected_field_behavior="ignore"
        ),
    )[path[0]].combine_chunks()
    if len(path) > 1:
        lists = pc.struct_field(lists, list(path[1:]))
    records = lists.flatten()
    if lists.value_lengths().to_pylist() != [len(page) for page in pages] or records.null_count:
        raise ValueError("not the records that the decoder found")
    return records


def _schema(path: Sequence[str], record: pa.DataType) -> pa.Schema:
    inner: pa.DataType = pa.list_(record)
    for key in reversed(path[1:]):
        inner = pa.struct([(key, inner)])
    return pa.schema([(path[0], inner)])


def _check_exact(numbers: pa.Array) -> None:
    if pc.any(pc.greater_equal(pc.abs(numbers), _EXACT)).as_py():
        raise ValueError("numbers that may be rounded")
    is_zero = pc.equal(numbers, 0.0)
    if pc.any(pc.and_(is_zero, pc.less(pc.divide(1.0, numbers), 0.0))).as_py():
        raise ValueError("-0, which is 0 where it is whole")


class _Values(Sequence[Any]):
    """An array's values, each made as it is asked for."""

    def __init__(self, array: pa.Array) -> None:
        self._array = array

    def __len__(self) -> int:
        return len(self._array)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        found = self._array[index]
        return found.to_pylist() if isinstance(index, slice) else found.as_py()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._array.to_pylist())
