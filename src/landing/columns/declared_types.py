"""Converts values to the dlt data types that a stream declares, as dlt does.

A value that would lose something does not fit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

from landing.columns.column_types import TIMESTAMP, Column
from landing.columns.fitting import ConversionError, fit_timestamp

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECONDS_FROM, _NOT_FROM = 10**11, 10**14
"""A number below this is a time in seconds, until the year 5138; above it, in milliseconds."""
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)
_BOOLEANS = {
    **dict.fromkeys(("yes", "true", "t", "y", "1"), True),
    **dict.fromkeys(("no", "false", "f", "n", "0"), False),
}


@dataclass(frozen=True)
class _Conversion:
    type: pa.DataType
    convert: Callable[[Any], Any]
    """Converts a value; None if dlt does not. Raises ConversionError if something would be lost."""
    kinds: frozenset[str]
    """The kinds of the values that it converts."""


def converting(column: Column, data_type: str | None) -> Column:
    """The column, which also takes values that dlt converts to the data type."""
    conversion = _CONVERSIONS.get(data_type or "")
    if conversion is None or column.is_private or column.type != conversion.type:
        return column

    def fit(value: Any) -> Any:
        try:
            return column.fit(value)
        except ConversionError:
            converted = conversion.convert(value)
            if converted is None:
                raise
            return column.fit(converted)

    return replace(column, fit=fit)


def converted_kinds(data_types: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """By column, the kinds of values that are converted to its declared type."""
    return {
        name: _CONVERSIONS[data_type].kinds
        for name, data_type in data_types.items()
        if data_type in _CONVERSIONS
    }


def _to_integer(value: Any) -> int | None:
    text = value.strip() if isinstance(value, str) else ""
    if _HEX.fullmatch(text):
        return int(text, 16)
    return int(text) if _INTEGER.fullmatch(text) and len(text) < 40 else None


def _to_number(value: Any) -> Decimal | None:
    text = value.strip() if isinstance(value, str) else ""
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def _to_boolean(value: Any) -> bool | None:
    if isinstance(value, str):
        return _BOOLEANS.get(value.strip().lower())
    return bool(value) if isinstance(value, int | float | Decimal) and value in (0, 1) else None


def _to_timestamp(value: Any) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite() or abs(number) >= _NOT_FROM:
        return None
    micros = number * (1_000_000 if abs(number) < _MILLISECONDS_FROM else 1_000)
    if micros != int(micros):
        raise ConversionError("a time finer than microseconds; configure it as a number")
    try:
        return _EPOCH + timedelta(microseconds=int(micros))
    except OverflowError:
        raise ConversionError("a time outside the years 1 to 9999") from None


def _to_date(value: Any) -> date | None:
    moment = _to_timestamp(value)
    if moment is None and isinstance(value, str | datetime):
        try:
            moment = fit_timestamp(value)
        except ConversionError:
            return None
    if moment is None:
        return None
    if moment.timetz().replace(tzinfo=None) != datetime.min.time():
        raise ConversionError(
            "a date-time that is not midnight in UTC where a date is configured; configure it as a "
            "date-time"
        )
    return moment.date()


_TEXT, _NUMBERS = frozenset({"string"}), frozenset({"integer", "number"})
_CONVERSIONS = {
    "bigint": _Conversion(pa.int64(), _to_integer, _TEXT),
    "double": _Conversion(pa.float64(), _to_number, _TEXT),
    "decimal": _Conversion(pa.float64(), _to_number, _TEXT),
    "bool": _Conversion(pa.bool_(), _to_boolean, _TEXT | _NUMBERS),
    "timestamp": _Conversion(TIMESTAMP, _to_timestamp, _NUMBERS),
    "date": _Conversion(pa.date32(), _to_date, _NUMBERS),
}
