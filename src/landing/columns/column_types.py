"""Converts field values to Arrow columns: a whole page at once if it is regular, or one by one.

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
from typing import Any

import msgspec
import pyarrow as pa

from landing.catalog.fields import Field, landing_fields
from landing.columns.arrow import pc
from landing.columns.fitting import (
    ConversionError,
    fit_boolean,
    fit_date,
    fit_integer,
    fit_number,
    fit_text,
    fit_timestamp,
    json_text,
    kind_in_words,
    pruned_text_fit,
)
from landing.columns.json_text import NoShapeError, shape_of, spelling_of
from landing.columns.plain_values import plain, with_text_keys
from landing.columns.privacy import private_fit, protection
from landing.columns.text_arrays import kept_texts, quick_texts, shaped_texts

TIMESTAMP = pa.timestamp("us", tz="UTC")
_HAS_OFFSET = re.compile(r"(Z|[+-]\d\d:?\d\d)$")
NOT_IN_ARROW = (
    pa.ArrowException,
    msgspec.MsgspecError,
    TypeError,
    ValueError,
    OverflowError,
    RecursionError,
)

Reasons = dict[int, str]


@dataclass(frozen=True)
class Column:
    """How a field's values become a column.

    `quick` converts a whole page or raises; `fit` converts one value or raises ConversionError.
    `json_type` is the type to which a value decodes from JSON. If there is a `read_type`, such
    values are an array of it, as is what Arrow's JSON reader returns, and `read` turns it into the
    column; otherwise `decoded` converts the values, or else `quick`. Texts that match `spelling`
    need not be decoded. With `is_private`, no value may pass unchanged, whatever its type.
    """

    type: pa.DataType
    quick: Callable[[Sequence[Any]], pa.Array] | None
    fit: Callable[[Any], Any]
    json_type: Any = Any
    read_type: pa.DataType | None = None
    read: Callable[[pa.Array], pa.Array] | None = None
    decoded: Callable[[Sequence[Any]], pa.Array] | None = None
    spelling: str | None = None
    is_private: bool = False

    @property
    def may_round(self) -> bool:
        """Whether decimals in its values decode to doubles, which may lose digits silently."""
        return self.json_type not in (int, bool, str)

    def value(self, raw: Any) -> pa.Scalar:
        """Raises ConversionError."""
        return pa.array([None if raw is None else self.fit(raw)], self.type)[0]

    def convert(self, values: Sequence[Any]) -> tuple[pa.Array, Reasons]:
        if self.quick is not None:
            try:
                return self.quick(values), {}
            except NOT_IN_ARROW:
                pass  # at least one value is unusual: look at each
        reasons: Reasons = {}
        fitted = [self._fit_at(index, value, reasons) for index, value in enumerate(values)]
        return pa.array(fitted, self.type), reasons

    def from_json(self, values: Sequence[Any]) -> pa.Array:
        """The column of values decoded as `json_type`. Raises if one has to be examined alone."""
        if self.read_type is not None:
            return self.from_read(pa.array(values, self.read_type))
        convert = self.decoded or self.quick
        if convert is not None:
            return convert(values)
        array, reasons = self.convert(values)
        if reasons:
            raise ValueError("rows that do not convert have to be reported whole")
        return array

    def from_texts(self, texts: Sequence[Any]) -> pa.Array | None:
        """The column of JSON texts; None if one would be changed by decoding it."""
        return kept_texts(texts, self.spelling or "")

    def from_read(self, array: pa.Array) -> pa.Array:
        """The column of values of `read_type`. Raises if one has to be examined alone."""
        return array if self.read is None else self.read(array)

    def convert_arrow(self, values: pa.ChunkedArray) -> tuple[pa.Array | pa.ChunkedArray, Reasons]:
        if self.is_private:
            return self.convert(python_values(values))
        if values.type == self.type:
            return values, {}
        if pa.types.is_dictionary(values.type):
            return self.convert_arrow(values.cast(values.type.value_type))
        if pa.types.is_large_string(values.type) and pa.types.is_string(self.type):
            return values.cast(self.type), {}
        if pa.types.is_timestamp(values.type) and self.type == TIMESTAMP:
            try:
                return _within_years(values.cast(TIMESTAMP)), {}
            except NOT_IN_ARROW:
                return self.convert(_timestamp_texts(values))
        return self.convert(python_values(values))

    def _fit_at(self, index: int, value: Any, reasons: Reasons) -> Any:
        value = plain(value)
        if value is None or _is_nat(value):
            return None
        try:
            return self.fit(value)
        except ConversionError as error:
            reasons[index] = str(error)
            return None


def column_of(field: Field, *, is_protected: bool = False) -> Column:
    """A field's column. With `is_protected`, private values may be hashed or masked already."""
    if field.privacy is not None:
        fit = private_fit(field, is_protected=is_protected)
        return Column(pa.string(), None, fit, is_private=True)
    kinds = field.kinds
    if (plain := _plain(field)) is not None:
        return plain
    if field.encoding == "native" and kinds == {"array"}:
        return _native_list(field.items or Field(type="null"), is_protected)
    members = landing_fields(field.properties or {})
    if field.encoding == "native" and kinds == {"object"} and members:
        return _native_struct(members, is_protected)
    return _text_column(field, is_protected)


def _plain(field: Field) -> Column | None:
    """The column of a field whose values are of one kind and not nested."""
    text = pa.string()
    match sorted(field.kinds), field.format:
        case ["integer"], _:
            return Column(pa.int64(), _quick_integers, fit_integer, int, pa.int64())
        case ["number"], _:
            return Column(pa.float64(), _quick_numbers, fit_number, int | float, pa.float64())
        case ["boolean"], _:
            return Column(
                pa.bool_(), partial(pa.array, type=pa.bool_()), fit_boolean, bool, pa.bool_()
            )
        case ["string"], "date-time":
            return Column(TIMESTAMP, _quick_timestamps, fit_timestamp, str, text, _timestamps)
        case ["string"], "date":
            return Column(pa.date32(), _quick_dates, fit_date, str, text, _dates)
        case ["string"], _:
            return Column(text, _quick_strings, fit_text, str, text)
    return None


def _text_column(field: Field, is_protected: bool) -> Column:
    """The column of JSON text of arrays and objects; with mixed kinds, text stays as it is."""
    if field.has_private_parts:
        protect = protection(field, is_protected=is_protected)
        return Column(pa.string(), None, lambda v: json_text(protect(v)), is_private=True)
    fit = pruned_text_fit(field)
    try:
        shape = shape_of(field)
    except NoShapeError:
        return Column(pa.string(), None, fit)
    if not field.kinds or not field.kinds <= {"array", "object"}:
        return Column(pa.string(), None, fit)
    return Column(
        pa.string(),
        partial(quick_texts, shape),
        fit,
        shape,
        decoded=shaped_texts,
        spelling=spelling_of(field),
    )


def _quick_integers(values: Sequence[Any]) -> pa.Array:
    # A given type would truncate 1.5 and take True for 1; inference tells them apart.
    return _inferred(values, pa.int64())


def _quick_numbers(values: Sequence[Any]) -> pa.Array:
    array = pa.array(values)
    if pa.types.is_floating(array.type):
        if bool in map(type, values):
            raise TypeError("Arrow takes True for 1.0 where a float comes first")
        return array
    return _inferred(values, pa.int64()).cast(pa.float64())


def _inferred(values: Sequence[Any], expected: pa.DataType) -> pa.Array:
    array = pa.array(values)
    if array.type == expected:
        return array
    if pa.types.is_null(array.type):
        return array.cast(expected)
    raise TypeError(f"{array.type} where {expected} is expected")


def _quick_strings(values: Sequence[Any]) -> pa.Array:
    # A given type would take bytes for text.
    return _inferred(values, pa.string())


def _quick_timestamps(values: Sequence[Any]) -> pa.Array:
    return _timestamps(_quick_strings(values))


def _timestamps(texts: pa.Array) -> pa.Array:
    """Times that all have an offset, or all none, as the first one suggests."""
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


def _quick_dates(values: Sequence[Any]) -> pa.Array:
    return _dates(_quick_strings(values))


def _dates(texts: pa.Array) -> pa.Array:
    return _within_years(texts.cast(pa.date32()))


def _within_years(times: Any) -> Any:
    """`times`. Raises OverflowError if Arrow read a year that Python and most readers can't
    represent."""
    pc.min_max(times).as_py()
    return times


def python_values(values: pa.ChunkedArray) -> list[Any]:
    try:
        return list(values.to_pylist())
    except (ValueError, OverflowError):  # finer than microseconds, or outside Python's years
        return list(values.cast(pa.string()).to_pylist())


def _timestamp_texts(values: pa.ChunkedArray) -> list[Any]:
    in_utc = pa.timestamp(values.type.unit, tz="UTC")
    return list(values.cast(in_utc).cast(pa.string()).to_pylist())


def _is_nat(value: Any) -> bool:
    """Whether it is pandas' null among times: a datetime that does not equal itself."""
    return isinstance(value, datetime) and value != value


def _nested(field: Field, is_protected: bool) -> Column:
    """The column of a list's elements or a struct's members, which are native too."""
    native = msgspec.structs.replace(field, encoding="native")
    return column_of(native, is_protected=is_protected)


def _native_list(items: Field, is_protected: bool) -> Column:
    element = _nested(items, is_protected)

    def fit(value: Any) -> list[Any]:
        if not isinstance(value, list | tuple):
            raise ConversionError(f"{kind_in_words(value)} where an array is configured")
        return [None if item is None else element.fit(item) for item in map(plain, value)]

    return Column(pa.list_(element.type), None, fit, is_private=element.is_private)


def _native_struct(properties: Mapping[str, Field], is_protected: bool) -> Column:
    members = {name: _nested(field, is_protected) for name, field in properties.items()}
    is_private = any(member.is_private for member in members.values())

    def fit(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise ConversionError(f"{kind_in_words(value)} where an object is configured")
        value = with_text_keys(value)
        found = {name: plain(value.get(name)) for name in members}
        return {
            name: None if found[name] is None else member.fit(found[name])
            for name, member in members.items()
        }

    type_ = pa.struct([(name, member.type) for name, member in members.items()])
    return Column(type_, None, fit, is_private=is_private)
