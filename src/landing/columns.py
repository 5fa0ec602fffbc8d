"""Rows to Arrow columns, exactly as the stream config says.

Each field has one Arrow type, which all files of the stream carry whatever a page holds. A value
that its type can't hold without loss takes its row out, with the reason.

Types: integer int64 · number float64 · boolean bool · string, and all mixed or unknown kinds,
text · date-time timestamp[us, UTC] (without offset: UTC) · date date32 · array and object JSON
text, or lists and structs where the field's `encoding` is `native`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from landing.catalog import Field

Row = Mapping[str, Any]

TIMESTAMP = pa.timestamp("us", tz="UTC")
_NOT_IN_ARROW = (pa.ArrowException, TypeError, ValueError, OverflowError)
_BEYOND_MICROSECONDS = re.compile(r"[.,]\d{6}0*[1-9]")
_INT64 = range(-(2**63), 2**63)


class Misfit(Exception):
    """A value that its field's type can't hold; `str()` is the reason, without the value."""


@dataclass(frozen=True)
class MisfitRow:
    row: Row
    field: str
    reason: str


@dataclass(frozen=True)
class Converted:
    """A page as columns. `kept` are the positions of its rows that fit, None if all did."""

    table: pa.Table
    misfits: Sequence[MisfitRow] = ()
    kept: Sequence[int] | None = None


class Columns:
    """The columns of one stream, in config order."""

    def __init__(self, fields: Mapping[str, Field]) -> None:
        self._columns = {name: _column(field) for name, field in fields.items()}
        self.schema = pa.schema([(name, column.type) for name, column in self._columns.items()])

    def from_rows(self, rows: Sequence[Row]) -> Converted:
        arrays: list[pa.Array] = []
        misfits: dict[int, MisfitRow] = {}
        for name, column in self._columns.items():
            values = [row.get(name) for row in rows]
            array, reasons = column.convert(values)
            arrays.append(array)
            for index, reason in reasons.items():
                misfits.setdefault(index, MisfitRow(rows[index], name, reason))
        return self._without(pa.Table.from_arrays(arrays, schema=self.schema), misfits)

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
                row = given.slice(index, 1).to_pylist()[0]
                misfits.setdefault(index, MisfitRow(row, name, reason))
        return self._without(pa.Table.from_arrays(arrays, schema=self.schema), misfits)

    def value(self, name: str, raw: Any) -> pa.Scalar:
        """One raw value in its column's type. Raises Misfit."""
        column = self._columns[name]
        return pa.scalar(None if raw is None else column.fit(raw), column.type)

    def _without(self, table: pa.Table, misfits: Mapping[int, MisfitRow]) -> Converted:
        if not misfits:
            return Converted(table)
        kept = [index for index in range(table.num_rows) if index not in misfits]
        return Converted(table.take(pa.array(kept, pa.int64())), list(misfits.values()), kept)


Reasons = dict[int, str]


@dataclass(frozen=True)
class _Column:
    """`quick` converts a whole page or raises; `fit` converts one value or raises Misfit."""

    type: pa.DataType
    quick: Callable[[list[Any]], pa.Array] | None
    fit: Callable[[Any], Any]

    def convert(self, values: list[Any]) -> tuple[pa.Array, Reasons]:
        if self.quick is not None:
            try:
                return self.quick(values), {}
            except _NOT_IN_ARROW:
                pass  # at least one value is unusual: look at each
        reasons: Reasons = {}
        fitted = [self._fit_at(index, value, reasons) for index, value in enumerate(values)]
        return pa.array(fitted, self.type), reasons

    def convert_arrow(self, values: pa.ChunkedArray) -> tuple[pa.Array | pa.ChunkedArray, Reasons]:
        if values.type == self.type:
            return values, {}
        if pa.types.is_dictionary(values.type):
            return self.convert_arrow(values.cast(values.type.value_type))
        if pa.types.is_large_string(values.type) and pa.types.is_string(self.type):
            return values.cast(self.type), {}
        return self.convert(values.to_pylist())

    def _fit_at(self, index: int, value: Any, reasons: Reasons) -> Any:
        if value is None:
            return None
        try:
            return self.fit(value)
        except Misfit as misfit:
            reasons[index] = str(misfit)
            return None


def _column(field: Field) -> _Column:
    kinds = field.kinds
    if kinds == {"integer"}:
        return _Column(pa.int64(), _quick_integers, _fit_integer)
    if kinds == {"number"}:
        return _Column(pa.float64(), _quick_numbers, _fit_number)
    if kinds == {"boolean"}:
        return _Column(pa.bool_(), lambda values: pa.array(values, pa.bool_()), _fit_boolean)
    if kinds == {"string"} and field.format == "date-time":
        return _Column(TIMESTAMP, _quick_timestamps, fit_timestamp)
    if kinds == {"string"} and field.format == "date":
        return _Column(pa.date32(), _quick_dates, _fit_date)
    if field.encoding == "native" and kinds in ({"array"}, {"object"}):
        return _native_column(field)
    if kinds == {"string"}:
        return _Column(pa.string(), _quick_strings, _fit_text)
    return _Column(pa.string(), None, _fit_pruned_text(field))


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
    return pa.array(values, pa.string())


def _quick_timestamps(values: list[Any]) -> pa.Array:
    texts = pa.array(values, pa.string())
    try:
        return texts.cast(TIMESTAMP)
    except pa.ArrowInvalid:
        return pc.assume_timezone(texts.cast(pa.timestamp("us")), "UTC")


def _quick_dates(values: list[Any]) -> pa.Array:
    return pa.array(values, pa.string()).cast(pa.date32())


def _fit_integer(value: Any) -> int:
    if isinstance(value, bool):
        raise Misfit("a boolean where an integer is configured")
    if isinstance(value, float | Decimal) and value == value and value % 1 == 0:
        value = int(value)
    if not isinstance(value, int):
        raise Misfit(f"{_kind(value)} where an integer is configured")
    if value not in _INT64:
        raise Misfit("an integer that does not fit into 64 bits; configure it as a string")
    return value


def _fit_number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise Misfit(f"{_kind(value)} where a number is configured")
    if isinstance(value, int) and (abs(value) > 2**1023 or int(float(value)) != value):
        raise Misfit("an integer that a double can't hold exactly; configure it as a string")
    return float(value)


def _fit_boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Misfit(f"{_kind(value)} where a boolean is configured")
    return value


def fit_timestamp(value: Any) -> datetime:
    if isinstance(value, str):
        if _BEYOND_MICROSECONDS.search(value):
            raise Misfit("a time finer than microseconds; configure it as a string")
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise Misfit("text that is not an ISO date-time") from None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if not isinstance(value, datetime):
        raise Misfit(f"{_kind(value)} where a date-time is configured")
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        raise Misfit("a date-time outside the years 1 to 9999") from None


def _fit_date(value: Any) -> date:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value.strip())
        except ValueError:
            raise Misfit("text that is not an ISO date") from None
    if isinstance(value, datetime):
        raise Misfit("a date-time where a date is configured")
    if not isinstance(value, date):
        raise Misfit(f"{_kind(value)} where a date is configured")
    return value


def _fit_text(value: Any) -> str:
    text = value if isinstance(value, str) else _json_text(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Misfit("text that is not valid Unicode") from None
    return text


def _json_text(value: Any) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except (TypeError, ValueError, OverflowError, RecursionError, UnicodeError):
        raise Misfit(f"{_kind(value)} that has no JSON form") from None


def _fit_pruned_text(field: Field) -> Callable[[Any], str]:
    def fit(value: Any) -> str:
        return _fit_text(value if isinstance(value, str) else pruned(value, field))

    # Text in an array or object field is a JSON string, so that every value parses as JSON.
    if field.kinds <= {"array", "object"} and field.kinds:
        return lambda value: _json_text(pruned(value, field))
    return fit


def pruned(value: Any, field: Field) -> Any:
    """`value` with only the nested `properties` that the field lists; all where it lists none."""
    if isinstance(value, Mapping) and field.properties is not None:
        return {
            name: pruned(value[name], nested)
            for name, nested in field.properties.items()
            if name in value
        }
    if isinstance(value, list) and field.items is not None:
        return [pruned(element, field.items) for element in value]
    return value


def _native_column(field: Field) -> _Column:
    if field.kinds == {"array"}:
        return _native_list(field.items or Field(type="null"))
    return _native_struct(field.properties or {})


def _nested(field: Field) -> _Column:
    """What is inside a native column is native too."""
    return _column(msgspec.structs.replace(field, encoding="native"))


def _native_list(items: Field) -> _Column:
    element = _nested(items)

    def fit(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise Misfit(f"{_kind(value)} where an array is configured")
        return [None if item is None else element.fit(item) for item in value]

    return _Column(pa.list_(element.type), None, fit)


def _native_struct(properties: Mapping[str, Field]) -> _Column:
    members = {name: _nested(field) for name, field in properties.items()}

    def fit(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise Misfit(f"{_kind(value)} where an object is configured")
        return {
            name: None if value.get(name) is None else member.fit(value[name])
            for name, member in members.items()
        }

    return _Column(pa.struct([(name, m.type) for name, m in members.items()]), None, fit)


def _kind(value: Any) -> str:
    """How messages name a value's kind; never the value, which may be private."""
    match value:
        case bool():
            return "a boolean"
        case int():
            return "an integer"
        case float() | Decimal():
            return "a number"
        case str():
            return "text"
        case list() | tuple():
            return "an array"
        case Mapping():
            return "an object"
        case datetime():
            return "a date-time"
    return f"a {type(value).__name__}"
