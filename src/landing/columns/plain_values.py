"""Converts values of other types to the plain Python values that they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

_OWN = frozenset({type(None), bool, int, float, str, list, tuple, dict, Decimal, date, datetime})
_INT64 = (-(2**63), 2**63 - 1)


def plain(value: Any) -> Any:
    """The value of an Enum's member, the Python value of a numpy scalar or array, or the number or
    text of a subclass; any other value is returned as it is."""
    if type(value) in _OWN:
        return value
    if isinstance(value, Enum):
        return plain(value.value)
    if _is_of_numpy(value):
        return _of_numpy(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    return str.__str__(value) if isinstance(value, str) else value


def with_text_keys(value: Any) -> Any:
    """A mapping with the keys that `json.dumps` would write; keys that it refuses stay."""
    if not isinstance(value, Mapping) or all(type(key) is str for key in value):
        return value
    return {_text_key(plain(key)): member for key, member in value.items()}


def fits_64_bits(value: int) -> bool:
    # `in range(…)` goes through the range for a subclass of int.
    return _INT64[0] <= value <= _INT64[1]


def _is_of_numpy(value: Any) -> bool:
    return any(base.__module__.partition(".")[0] == "numpy" for base in type(value).__mro__)


def _of_numpy(value: Any) -> Any:
    made = value.tolist()
    # Times finer than microseconds are no Python times, and come as a count.
    return str(value) if value.dtype.kind in "mM" and isinstance(made, int) else made


def _text_key(key: Any) -> Any:
    if key is None:
        return "null"
    if isinstance(key, bool):
        return "true" if key else "false"
    return str(key) if isinstance(key, int | float | Decimal) else key
