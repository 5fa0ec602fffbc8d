"""Reads most columns of JSON pages with Arrow's reader, which needs no interpreter lock.

Arrow can't read nested values as text, nor values of several kinds: such fields are decoded. It
reads values as the decoder does, except numbers that it rounds, -0, and text that is not UTF-8;
pages with these are detected here. Whatever Arrow refuses is decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, overload

import msgspec
import pyarrow as pa

from landing.columns import background
from landing.columns.arrow import pc
from landing.columns.column_types import NOT_IN_ARROW, Column
from landing.columns.json_page import JsonPage
from landing.columns.json_text import NoShapeError, object_type

LEAST_BYTES = 64 * 1024
"""Fewest bytes of pages; with less, Arrow takes longer to start than to read."""
LEAST_BLOCK = 256 * 1024
"""Fewest bytes that a thread of Arrow reads at once."""
_MOST_BYTES = 2**31 - 2
_BYTES_A_VALUE = 50
"""Most bytes of JSON for each value that Arrow would read; with more, most of a page is nested or
not configured, and the decoder is faster (benchmarks/PROFILE.md)."""
_REFUSALS = 3
"""Failed attempts in succession, after which the next pages are not tried."""
_EXACT = 2**53
"""Whole numbers up to here are floats without loss."""


@dataclass(frozen=True)
class PageArrays:
    arrays: Mapping[str, pa.Array]
    rows: int
    pages: Sequence[JsonPage]
    read: Mapping[str, pa.Array]
    decoded: Mapping[str, Sequence[Any]]
    """Values as Python has them; of columns that may keep their JSON text, msgspec.Raw."""
    number: Callable[[str], Any]
    """The type of a record of which only the count matters."""

    def given(self, name: str) -> Sequence[Any]:
        """A field's values of all records, as the API gave them."""
        if name in self.decoded:
            return [
                msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value
                for value in self.decoded[name]
            ]
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
        self._rest = {name: column for name, column in columns.items() if name not in self._types}
        self._respelled = dict.fromkeys((n for n, c in self._rest.items() if c.spelling), 0)
        """The columns whose texts are not decoded, with the number of batches in succession in
        which they had to be."""
        self.record: Any = self._record()
        self._refusals = 0 if self._types and self.record is not None else _REFUSALS
        self._number = cache(_number_type)

    @property
    def is_worth_it(self) -> bool:
        return self._refusals < _REFUSALS

    def _record(self) -> Any:
        return record_type(self._rest, texts=self._respelled) if self._rest else msgspec.Raw

    def read(self, pages: Sequence[JsonPage]) -> PageArrays | None:
        """The values of the pages; None if some value has to be examined alone, or if Arrow is not
        worth it."""
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
        reading = background.start(partial(_read, pages, self._types))
        are_texts = frozenset(self._respelled)
        decoded = self._decoded(pages)
        arrays = {}
        for name, values in decoded.items():
            convert = self._of_texts if name in are_texts else self._of_values
            arrays[name] = convert(name, values)
        read = reading.result()
        arrays |= {name: self._columns[name].from_read(array) for name, array in read.items()}
        return PageArrays(arrays, sum(map(len, pages)), pages, read, decoded, self._number)

    def _decoded(self, pages: Sequence[JsonPage]) -> dict[str, Sequence[Any]]:
        if not self._rest:
            return {}
        records = [one for page in pages for one in page.decoded(self.record)]
        rows = map(msgspec.structs.astuple, records)
        return dict(zip(self._rest, zip(*rows, strict=True), strict=True))

    def _of_values(self, name: str, values: Sequence[Any]) -> pa.Array:
        return self._columns[name].from_json(values)

    def _of_texts(self, name: str, values: Sequence[Any]) -> pa.Array:
        column = self._columns[name]
        if (array := column.from_texts(values)) is not None:
            self._respelled[name] = 0
            return array
        self._respelled[name] += 1
        if self._respelled[name] >= _REFUSALS:
            del self._respelled[name]
            self.record = self._record()
        text = b",".join(b"null" if value is None else value for value in values)
        return column.from_json(msgspec.json.decode(b"[%b]" % text, type=_list_of(column)))


def record_type(
    columns: Mapping[str, Column], hint: str | None = None, *, texts: Collection[str] = ()
) -> Any:
    """The type to decode a record to: these fields and the deletion marker, null if it lacks one;
    None if only a dictionary will do. Fields in `texts` are not decoded."""
    members = {n: msgspec.Raw if n in texts else _member(c) for n, c in columns.items()}
    if hint is not None:
        members.setdefault(hint, Any)
    try:
        return object_type("Record", members, None)
    except NoShapeError:
        return None


def _list_of(column: Column) -> Any:
    return list[_member(column)]  # type: ignore[misc]


def _member(column: Column) -> Any:
    return Any if column.json_type is Any else column.json_type | None


def _number_type(name: str) -> Any:
    return object_type("Number", {name: int | float | None}, None)


def _read(pages: Sequence[JsonPage], types: Mapping[str, pa.DataType]) -> dict[str, pa.Array]:
    """Each field's values of all records. Raises pa.ArrowInvalid or ValueError if a value is not of
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
    lines = [_line(page) for page in pages]
    # A block has at least one whole line. Small blocks stay in the processor's cache.
    block = max(map(len, lines)) + 1
    lists = pyarrow.json.read_json(
        pa.BufferReader(pa.py_buffer(b"\n".join(lines))),
        pyarrow.json.ReadOptions(use_threads=True, block_size=max(block, LEAST_BLOCK)),
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


def _line(page: JsonPage) -> bytes:
    """The body on a single line, as an object."""
    body = page.content
    for line_break in (b"\n", b"\r"):
        if line_break in body:
            body = body.replace(line_break, b" ")
    return body if page.path else b'{"":%b}' % body


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
    """An array's values, each converted when it is read."""

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
