"""Lookback: how far behind its cursor a stream reads again, to catch rows committed late."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from landing.catalog.fields import Field

_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[wdhms])+")
_ISO = re.compile(
    r"\d{4}-\d\d-\d\d"
    r"(?:(?P<between>[T ])(?P<minutes>\d\d:\d\d)(?P<seconds>:\d\d)?(?P<fraction>[.]\d+)?"
    r"(?P<zone>Z|[+-]\d\d(?::?\d\d)?)?)?"
)
_STEP = re.compile(r"(\d+(?:\.\d+)?)([wdhms])")


@dataclass(frozen=True)
class Lookback:
    """A duration if the cursor is a time, otherwise an amount in the cursor's own numbers."""

    amount: timedelta | float

    def fits(self, value: Any) -> bool:
        """Whether this can be subtracted from a cursor value; None (the beginning) always fits."""
        if isinstance(self.amount, timedelta):
            return value is None or moment_of(value) is not None
        return value is None or isinstance(value, int | float)

    def before(self, value: Any) -> Any:
        """`value` minus this amount, in the same spelling: an API understands what it returned.

        Digits that the spelling has no room for are cut off, which makes the result earlier still.
        Raises ValueError for a text that is not an ISO date or date-time.
        """
        try:
            if isinstance(value, str) and isinstance(self.amount, timedelta):
                return respelled(value, datetime.fromisoformat(value) - self.amount)
            return value - self.amount
        except OverflowError:  # before year 1; some APIs write year 1 for "no time"
            return value

    def start(self, value: Any, initial: Any) -> Any:
        """Where a run starts that left off at `value`: never before the initial value."""
        start = self.before(value)
        return start if initial is None else later(start, initial)


def moment_of(value: Any) -> datetime | None:
    """A datetime, or a text that is one in ISO format, in UTC; None for anything else."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def later(value: Any, other: Any) -> Any:
    """The later of two cursor values, which may be spelled differently."""
    left: Any = moment_of(value)
    right: Any = moment_of(other)
    if left is None or right is None:
        left, right = value, other
    return other if left < right else value


def respelled(text: str, moment: datetime) -> str:
    """`moment` in the spelling of `text`; digits that it has no room for are cut off.

    Raises ValueError for a text that is not an ISO date or date-time.
    """
    parts = _ISO.fullmatch(text)
    if parts is None:
        raise ValueError(f"'{text}' is not an ISO date or date-time")
    day = f"{moment:%Y-%m-%d}"
    if parts["minutes"] is None:
        return day
    seconds = f"{moment:%H:%M:%S}" if parts["seconds"] else f"{moment:%H:%M}"
    digits = len(parts["fraction"] or "") - 1
    fraction = f".{moment:%f}".ljust(digits + 1, "0")[: digits + 1] if digits > 0 else ""
    return f"{day}{parts['between']}{seconds}{fraction}{parts['zone'] or ''}"


def unit_of(text: str) -> timedelta:
    """The smallest step of a date or time in this spelling, such as a day or a millisecond."""
    parts = _ISO.fullmatch(text)
    if parts is None or parts["minutes"] is None:
        return timedelta(days=1)
    if parts["seconds"] is None:
        return timedelta(minutes=1)
    digits = max(0, min(6, len(parts["fraction"] or "") - 1))
    return timedelta(seconds=float(f"1e-{digits}"))


def parse_lookback(value: str | float, cursor: Field) -> Lookback:
    """The `lookback` of a stream config, for a cursor of this type.

    Raises ValueError that says what is wrong.
    """
    if cursor.kinds == {"string"}:
        if cursor.format not in ("date-time", "date"):
            raise ValueError("needs a cursor that is a date-time, a date, or a number")
        return Lookback(parse_duration(value))
    if isinstance(value, str):
        raise ValueError(f"'{value}' has to be a number, because the cursor is one")
    if value <= 0:
        raise ValueError(f"{value} has to be above 0")
    if cursor.kinds == {"integer"} and value != int(value):
        raise ValueError(f"{value} has to be a whole number, because the cursor is one")
    return Lookback(int(value) if cursor.kinds == {"integer"} else value)


def parse_duration(value: str | float) -> timedelta:
    """Raises ValueError that says what is wrong."""
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        raise ValueError(f"'{value}' has to be a duration such as '30m', '2h' or '1d12h'")
    steps = {_UNITS[unit]: float(number) for number, unit in _STEP.findall(value)}
    length = timedelta(**steps)
    if not length:
        raise ValueError(f"'{value}' has to be above 0")
    return length
