"""The values right above a key, by which to request what comes after its rows."""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta
from typing import Any

_INTEGER = re.compile(r"-?\d+")
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d:\d\d(?:\.(\d{1,9}))?)?)( ?(?:Z|UTC|[+-]\d\d:?\d\d))?"
)


def successors(value: Any) -> list[Any]:
    """The next value above a number, date or time, in the unit in which it is written; empty for
    other values. For a time with a fraction, also a second later: APIs may ignore fractions."""
    if isinstance(value, float):
        return [math.nextafter(value, math.inf)]
    text = str(value)
    if _INTEGER.fullmatch(text):
        return [type(value)(str(int(text) + 1).zfill(len(text)))]
    found = _TIME.fullmatch(text)
    try:
        moment = datetime.fromisoformat(found[1]) if found else None
    except ValueError:
        return []
    if found is None or moment is None:
        return []
    return [_spelled(moment + step, found) for step in _steps(found)]


def _steps(found: re.Match[str]) -> list[timedelta]:
    if len(found[1]) == len("2024-01-01"):
        return [timedelta(days=1)]
    second = timedelta(seconds=1)
    return [second / 10 ** min(len(found[2]), 6), second] if found[2] else [second]


def _spelled(moment: datetime, found: re.Match[str]) -> str:
    separator = found[1][10:11] or "T"
    text = moment.isoformat(separator, "microseconds") + "000"
    return text[: len(found[1])] + (found[3] or "")
