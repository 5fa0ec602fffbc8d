"""Converts one value to its field's type, or says why the type can't hold it without loss."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec

from landing.catalog.fields import Field
from landing.columns.json_numbers import decimal_of
from landing.columns.json_text import MAX_NESTING, TooDeepError, Unreadable, check_nesting, pruned
from landing.columns.plain_values import fits_64_bits, plain, with_text_keys

_BEYOND_MICROSECONDS = re.compile(r"[.,]\d{6}0*[1-9]")


class ConversionError(Exception):
    """A value that its field's type can't hold; `str()` is the reason, without the value."""


def fit_integer(value: Any) -> int:
    if isinstance(value, bool):
        raise ConversionError("a boolean where an integer is configured")
    if isinstance(value, float | Decimal):
        value = _whole(value)
    is_number = isinstance(value, Unreadable) and value.is_number
    if is_number and (decimal := decimal_of(str(value))) is not None:
        whole = _whole(decimal)
        value = whole if isinstance(whole, int) else value
    if not isinstance(value, int):
        raise ConversionError(f"{kind_in_words(value)} where an integer is configured")
    if not fits_64_bits(value):
        raise ConversionError("an integer that does not fit into 64 bits; configure it as a string")
    return value


def _whole(value: float | Decimal) -> int | float | Decimal:
    """The integer that equals `value`; `value` itself if there is none, or it is far too large."""
    try:
        return int(value) if -(2**64) < value < 2**64 and int(value) == value else value
    except (ArithmeticError, ValueError):  # NaN
        return value


def fit_number(value: Any) -> float:
    if isinstance(value, Unreadable) and value.is_number:
        raise ConversionError("a number that a double can't hold; configure it as a string")
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ConversionError(f"{kind_in_words(value)} where a number is configured")
    if isinstance(value, int) and (abs(value) > 2**1023 or int(float(value)) != value):
        raise ConversionError(
            "an integer that a double can't hold exactly; configure it as a string"
        )
    if isinstance(value, Decimal) and not _is_exact(value):
        raise ConversionError("a number that a double can't hold; configure it as a string")
    return float(value)


def _is_exact(value: Decimal) -> bool:
    """Whether the nearest double equals it, or is written with the same digits."""
    if value.is_snan():
        return False
    return not value.is_finite() or value in (nearest := float(value), Decimal(repr(nearest)))


def fit_boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ConversionError(f"{kind_in_words(value)} where a boolean is configured")
    return value


def fit_timestamp(value: Any) -> datetime:
    if isinstance(value, str):
        if _BEYOND_MICROSECONDS.search(value):
            raise ConversionError("a time finer than microseconds; configure it as a string")
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise ConversionError("text that is not an ISO date-time") from None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if not isinstance(value, datetime):
        raise ConversionError(f"{kind_in_words(value)} where a date-time is configured")
    if getattr(value, "nanosecond", 0):  # pandas'
        raise ConversionError("a time finer than microseconds; configure it as a string")
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        raise ConversionError("a date-time outside the years 1 to 9999") from None


def fit_date(value: Any) -> date:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value.strip())
        except ValueError:
            raise ConversionError("text that is not an ISO date") from None
    if isinstance(value, datetime):
        raise ConversionError("a date-time where a date is configured")
    if not isinstance(value, date):
        raise ConversionError(f"{kind_in_words(value)} where a date is configured")
    return value


def fit_text(value: Any) -> str:
    if isinstance(value, Unreadable) and value.is_number:
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ConversionError("a number that is not finite where text is configured")
    text = value if isinstance(value, str) else _scalar_text(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ConversionError("text that is not valid Unicode") from None
    return text


def _scalar_text(value: Any) -> str:
    """The value's JSON text; a UUID, a time, a decimal or bytes have no quotes."""
    text = json_text(value)
    return msgspec.json.decode(text, type=str) if text.startswith('"') else text


def json_text(value: Any) -> str:
    """The value's JSON text. Raises ConversionError if JSON can't represent it."""
    try:
        try:
            text = msgspec.json.encode(value, enc_hook=_encodable)
        except TypeError:  # a key that the encoder does not know, maybe
            text = msgspec.json.encode(_with_text_keys_inside(value), enc_hook=_encodable)
        check_nesting(text)
        return text.decode()
    except (RecursionError, TooDeepError):
        raise ConversionError(
            f"{kind_in_words(value)} that is nested deeper than {MAX_NESTING} levels"
        ) from None
    except (TypeError, ValueError, OverflowError, UnicodeError):
        raise ConversionError(f"{kind_in_words(value)} that has no JSON form") from None


def _with_text_keys_inside(value: Any) -> Any:
    if isinstance(value, Mapping):
        members = with_text_keys(value)
        return {key: _with_text_keys_inside(member) for key, member in members.items()}
    if isinstance(value, list | tuple):
        return [_with_text_keys_inside(element) for element in value]
    return value


def _encodable(value: Any) -> Any:
    if isinstance(value, datetime) and value == value:  # a subclass, as pandas' is
        return value.isoformat()
    if isinstance(value, Unreadable) and value.is_number:
        return value.raw
    if (known := plain(value)) is not value:
        return known
    raise TypeError


def pruned_text_fit(field: Field) -> Callable[[Any], str]:
    def fit(value: Any) -> str:
        return fit_text(value if isinstance(value, str) else pruned(value, field))

    # Text in an array or object field is a JSON string, so that every value parses as JSON.
    if field.kinds <= {"array", "object"} and field.kinds:
        return lambda value: json_text(pruned(value, field))
    return fit


def kind_in_words(value: Any) -> str:
    """A value's kind for messages, which never quote the value, since it may be private."""
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
        case Unreadable():
            return "a number out of range" if value.is_number else "JSON that can't be read"
    return f"a {type(value).__name__}"
