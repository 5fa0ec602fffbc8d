"""Rows to Arrow columns, exactly as the stream config says.

Each field has one Arrow type, which all files of the stream carry whatever a page holds. A value
that its type can't hold without loss takes its row out, with the reason.

Types: integer int64 · number float64 · boolean bool · string, and all mixed or unknown kinds,
text · date-time timestamp[us, UTC] (without offset: UTC) · date date32 · array and object JSON
text, or lists and structs where the field's `encoding` is `native`. Parquet has no struct without
members, so an object that lists no properties stays JSON text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from operator import attrgetter
from typing import Any, TypeAlias

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from landing.fields import Field
from landing.fitting import (
    Misfit,
    fit_boolean,
    fit_date,
    fit_integer,
    fit_number,
    fit_text,
    fit_timestamp,
    kind_in_words,
    pruned_text_fit,
)
from landing.http import JsonPage
from landing.jsontext import NoShapeError, object_type, shape_of, shaped, texts

Row = Mapping[str, Any]
Batch: TypeAlias = list[Row] | pa.Table | tuple[JsonPage, ...]

TIMESTAMP = pa.timestamp("us", tz="UTC")
_HAS_OFFSET = re.compile(r"(Z|[+-]\d\d:?\d\d)$")
_NOT_IN_ARROW = (
    pa.ArrowException,
    msgspec.MsgspecError,
    TypeError,
    ValueError,
    OverflowError,
    RecursionError,
)


@dataclass(frozen=True)
class MisfitRow:
    row: Row
    field: str
    reason: str


@dataclass(frozen=True)
class Converted:
    """A batch as columns. `kept` are the positions of its rows that fit, None if all did."""

    table: pa.Table
    given: Callable[[str], Sequence[Any]]
    """A field's values of all rows, as the API gave them."""
    misfits: Sequence[MisfitRow] = ()
    kept: Sequence[int] | None = None

    def raw(self, name: str) -> Sequence[Any]:
        """A field's values of the rows in `table`, as the API gave them."""
        values = self.given(name)
        return values if self.kept is None else [values[index] for index in self.kept]


class Columns:
    """The columns of one stream, in config order."""

    def __init__(self, fields: Mapping[str, Field]) -> None:
        self._columns = {name: _column(field) for name, field in fields.items()}
        self.schema = pa.schema([(name, column.type) for name, column in self._columns.items()])
        self._record = _record_type(self._columns)

    def convert(self, batch: Batch) -> Converted:
        if isinstance(batch, tuple):
            return self.from_pages(batch)
        return self.from_rows(batch) if isinstance(batch, list) else self.from_arrow(batch)

    def from_pages(self, pages: Sequence[JsonPage]) -> Converted:
        """Like `from_rows` of the pages' rows, but only the configured fields are decoded.

        Pages with any value that is not of its field's type go the way of `from_rows`.
        """
        if self._record is None:
            return self.from_rows(_rows(pages))
        try:
            records = [record for page in pages for record in page.decoded(self._record)]
            members = map(attrgetter, self._record.__struct_fields__)
            values = {
                name: list(map(member, records))
                for name, member in zip(self._columns, members, strict=True)
            }
            arrays = [column.from_json(values[name]) for name, column in self._columns.items()]
        except _NOT_IN_ARROW:
            return self.from_rows(_rows(pages))
        return Converted(pa.Table.from_arrays(arrays, schema=self.schema), values.__getitem__)

    def from_rows(self, rows: Sequence[Row]) -> Converted:
        arrays: list[pa.Array] = []
        misfits: dict[int, MisfitRow] = {}
        for name, column in self._columns.items():
            values = [row.get(name) for row in rows]
            array, reasons = column.convert(values)
            arrays.append(array)
            for index, reason in reasons.items():
                misfits.setdefault(index, MisfitRow(rows[index], name, reason))
        return self._fitting(arrays, misfits, lambda name: [row.get(name) for row in rows])

    def from_arrow(self, given: pa.Table) -> Converted:
        """Like `from_rows`, for streams that yield Arrow tables or data frames."""
        arrays: list[pa.Array | pa.ChunkedArray] = []
        misfits: dict[int, MisfitRow] = {}
        for name, column in self._columns.items():
            if name not in given.schema.names:
                arrays.append(pa.nulls(given.num_rows, column.type))
                continue
            array, reasons = column.convert_arrow(given[name])
            arrays.append(array)
            for index, reason in reasons.items():
                misfits.setdefault(index, MisfitRow(_arrow_row(given, index), name, reason))
        return self._fitting(arrays, misfits, given.__getitem__)

    def value(self, name: str, raw: Any) -> pa.Scalar:
        """One raw value in its column's type. Raises Misfit."""
        column = self._columns[name]
        # Not pa.scalar, which imports pandas where that is installed.
        return pa.array([None if raw is None else column.fit(raw)], column.type)[0]

    def _fitting(
        self,
        arrays: list[pa.Array | pa.ChunkedArray],
        misfits: Mapping[int, MisfitRow],
        given: Callable[[str], Sequence[Any]],
    ) -> Converted:
        table = pa.Table.from_arrays(arrays, schema=self.schema)
        if not misfits:
            return Converted(table, given)
        kept = [index for index in range(table.num_rows) if index not in misfits]
        return Converted(
            table.take(pa.array(kept, pa.int64())), given, list(misfits.values()), kept
        )


def _rows(pages: Sequence[JsonPage]) -> list[Row]:
    return [row for page in pages for row in page.rows()]


def _record_type(columns: Mapping[str, _Column]) -> type[msgspec.Struct] | None:
    """What a record decodes to: its configured fields alone, null where it has not got one."""
    members = {
        name: Any if column.json_type is Any else column.json_type | None
        for name, column in columns.items()
    }
    try:
        return object_type("Record", members, None)
    except NoShapeError:
        return None


Reasons = dict[int, str]


@dataclass(frozen=True)
class _Column:
    """`quick` converts a whole page or raises; `fit` converts one value or raises Misfit.

    `json_type` is what a value of the field decodes to from JSON bytes, and `decoded` converts
    such values; where that is not set, `quick` does.
    """

    type: pa.DataType
    quick: Callable[[list[Any]], pa.Array] | None
    fit: Callable[[Any], Any]
    json_type: Any = Any
    decoded: Callable[[list[Any]], pa.Array] | None = None

    def convert(self, values: list[Any]) -> tuple[pa.Array, Reasons]:
        if self.quick is not None:
            try:
                return self.quick(values), {}
            except _NOT_IN_ARROW:
                pass  # at least one value is unusual: look at each
        reasons: Reasons = {}
        fitted = [self._fit_at(index, value, reasons) for index, value in enumerate(values)]
        return pa.array(fitted, self.type), reasons

    def from_json(self, values: list[Any]) -> pa.Array:
        """Values decoded as `json_type`. Raises where one needs a look of its own."""
        convert = self.decoded or self.quick
        if convert is not None:
            return convert(values)
        array, reasons = self.convert(values)
        if reasons:
            raise ValueError("misfits have to be told with their whole rows")
        return array

    def convert_arrow(self, values: pa.ChunkedArray) -> tuple[pa.Array | pa.ChunkedArray, Reasons]:
        if values.type == self.type:
            return values, {}
        if pa.types.is_dictionary(values.type):
            return self.convert_arrow(values.cast(values.type.value_type))
        if pa.types.is_large_string(values.type) and pa.types.is_string(self.type):
            return values.cast(self.type), {}
        if pa.types.is_timestamp(values.type) and self.type == TIMESTAMP:
            try:
                return _within_years(values.cast(TIMESTAMP)), {}
            except _NOT_IN_ARROW:
                return self.convert(_timestamp_texts(values))
        return self.convert(_python_values(values))

    def _fit_at(self, index: int, value: Any, reasons: Reasons) -> Any:
        if value is None or _is_nat(value):
            return None
        try:
            return self.fit(value)
        except Misfit as misfit:
            reasons[index] = str(misfit)
            return None


def _column(field: Field) -> _Column:
    kinds = field.kinds
    if kinds == {"integer"}:
        return _Column(pa.int64(), _quick_integers, fit_integer, int, _as(pa.int64()))
    if kinds == {"number"}:
        return _Column(pa.float64(), _quick_numbers, fit_number, int | float, _as(pa.float64()))
    if kinds == {"boolean"}:
        return _Column(pa.bool_(), _quick_booleans, fit_boolean, bool)
    if kinds == {"string"} and field.format == "date-time":
        return _Column(TIMESTAMP, _quick_timestamps, fit_timestamp, str, _decoded_timestamps)
    if kinds == {"string"} and field.format == "date":
        return _Column(pa.date32(), _quick_dates, fit_date, str)
    if field.encoding == "native" and kinds == {"array"}:
        return _native_list(field.items or Field(type="null"))
    if field.encoding == "native" and kinds == {"object"} and field.properties:
        return _native_struct(field.properties)
    if kinds == {"string"}:
        return _Column(pa.string(), _quick_strings, fit_text, str, _as(pa.string()))
    return _text_column(field)


def _text_column(field: Field) -> _Column:
    """JSON text of an array or object, text as it is where other kinds may come."""
    fit = pruned_text_fit(field)
    try:
        shape = shape_of(field)
    except NoShapeError:
        return _Column(pa.string(), None, fit)
    if not field.kinds or not field.kinds <= {"array", "object"}:
        return _Column(pa.string(), None, fit)
    return _Column(pa.string(), partial(_quick_texts, shape), fit, shape, _shaped_texts)


def _quick_texts(shape: Any, values: Sequence[Any]) -> pa.Array:
    return _shaped_texts(shaped(values, shape))


def _shaped_texts(values: Sequence[Any]) -> pa.Array:
    return pa.array(texts(values), pa.string())


def _quick_booleans(values: list[Any]) -> pa.Array:
    return pa.array(values, pa.bool_())


def _quick_integers(values: list[Any]) -> pa.Array:
    # A given type would truncate 1.5 and take True for 1; inference tells them apart.
    return _inferred(values, pa.int64())


def _quick_numbers(values: list[Any]) -> pa.Array:
    array = pa.array(values)
    if pa.types.is_floating(array.type):
        return array
    return _inferred(values, pa.int64()).cast(pa.float64())


def _inferred(values: list[Any], expected: pa.DataType) -> pa.Array:
    array = pa.array(values)
    if array.type == expected:
        return array
    if pa.types.is_null(array.type):
        return array.cast(expected)
    raise TypeError(f"{array.type} where {expected} is expected")


def _quick_strings(values: list[Any]) -> pa.Array:
    # A given type would take bytes for text.
    return _inferred(values, pa.string())


def _as(type_: pa.DataType) -> Callable[[list[Any]], pa.Array]:
    """For decoded values, whose Python types are known: no need to infer them."""
    return lambda values: pa.array(values, type_)


def _quick_timestamps(values: list[Any]) -> pa.Array:
    return _timestamps(_quick_strings(values))


def _decoded_timestamps(values: list[Any]) -> pa.Array:
    return _timestamps(pa.array(values, pa.string()))


def _timestamps(texts: pa.Array) -> pa.Array:
    """All with an offset, or all without; what the first one has is tried first."""
    first = next((value for value in texts[:10].to_pylist() if value), "")
    ways = (_with_offset, _without_offset)
    for parse in ways if _HAS_OFFSET.search(first) else ways[::-1]:
        try:
            return _within_years(parse(texts))
        except pa.ArrowInvalid:
            continue
    raise ValueError("times of several kinds")


def _with_offset(texts: pa.Array) -> pa.Array:
    return texts.cast(TIMESTAMP)


def _without_offset(texts: pa.Array) -> pa.Array:
    return pc.assume_timezone(texts.cast(pa.timestamp("us")), "UTC")


def _quick_dates(values: list[Any]) -> pa.Array:
    return _within_years(_quick_strings(values).cast(pa.date32()))


def _within_years(times: Any) -> Any:
    """`times`; OverflowError if Arrow read a year that Python and most readers don't have."""
    pc.min_max(times).as_py()
    return times


def _python_values(values: pa.ChunkedArray) -> list[Any]:
    try:
        return list(values.to_pylist())
    except (ValueError, OverflowError):  # finer than microseconds, or outside Python's years
        return list(values.cast(pa.string()).to_pylist())


def _timestamp_texts(values: pa.ChunkedArray) -> list[Any]:
    in_utc = pa.timestamp(values.type.unit, tz="UTC")
    return list(values.cast(in_utc).cast(pa.string()).to_pylist())


def _arrow_row(table: pa.Table, index: int) -> Row:
    row = table.slice(index, 1)
    return {
        name: _python_values(column)[0]
        for name, column in zip(row.schema.names, row.columns, strict=True)
    }


def _is_nat(value: Any) -> bool:
    """pandas' null among times: a datetime by type that equals nothing, itself included."""
    return isinstance(value, datetime) and value != value


def _nested(field: Field) -> _Column:
    """What is inside a native column is native too."""
    return _column(msgspec.structs.replace(field, encoding="native"))


def _native_list(items: Field) -> _Column:
    element = _nested(items)

    def fit(value: Any) -> list[Any]:
        if not isinstance(value, list | tuple):
            raise Misfit(f"{kind_in_words(value)} where an array is configured")
        return [None if item is None else element.fit(item) for item in value]

    return _Column(pa.list_(element.type), None, fit)


def _native_struct(properties: Mapping[str, Field]) -> _Column:
    members = {name: _nested(field) for name, field in properties.items()}

    def fit(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise Misfit(f"{kind_in_words(value)} where an object is configured")
        return {
            name: None if value.get(name) is None else member.fit(value[name])
            for name, member in members.items()
        }

    return _Column(pa.struct([(name, m.type) for name, m in members.items()]), None, fit)
