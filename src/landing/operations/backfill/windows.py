"""The windows of a backfill: ranges of the cursor, divided by day, week, month or step.

A bound is stored as JSON: a number, an ISO date, or an ISO date-time in UTC. The stream gets it in
the format of its own values, since its API accepts what it returns.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal, TypeAlias

import msgspec

from landing.catalog.fields import Field
from landing.catalog.lookback import moment_of, respelled, unit_of
from landing.errors import UsageError

Bound: TypeAlias = str | int | float
Unit = Literal["day", "week", "month", "ids"]

MOST = 2_000
"""Most windows of a backfill: five years by day, or almost forty by week."""
_DAY = timedelta(days=1)
_FINEST = timedelta(microseconds=1)
_INTEGERS = 2**63


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A person's request; a backfill with an equal request resumes the earlier one."""

    start: str | None = None
    end: str | None = None
    by: Unit | None = None
    step: int | None = None
    fields: tuple[str, ...] = ()

    def options(self) -> str:
        """The options of `landing backfill` that make this request."""
        given = {"from": self.start, "to": self.end, "by": self.by, "step": self.step}
        given["fields"] = ",".join(self.fields) or None
        return " ".join(
            f"--{name} {shlex.quote(str(value))}" for name, value in given.items() if value
        )


class Window(msgspec.Struct, frozen=True):
    """Rows whose cursor is at or above `start` and below `end`."""

    number: int
    start: Bound
    end: Bound

    def __str__(self) -> str:
        return f"{shown(self.start)} … {shown(self.end)}"


def shown(bound: Bound) -> str:
    """A bound as a person writes it: without `T00:00:00` and the offset of UTC."""
    text = f"{bound:,}" if isinstance(bound, int | float) else bound
    return text.removesuffix("+00:00").removesuffix("T00:00:00")


class Cursor:
    """A stream's cursor: parses bounds, and formats them as its API does.

    Raises UsageError if its values can't be divided into windows.
    """

    def __init__(self, name: str, field: Field, like: Any) -> None:
        self.name = name
        self._kind = (field.format or "") if field.kinds == {"string"} else next(iter(field.kinds))
        self._like = like
        if self._kind not in ("integer", "number", "date", "date-time"):
            raise UsageError(
                f"cursor '{name}' is text, which can't be divided into windows; if its values are "
                "times, set its format to 'date-time' or 'date' in the stream config"
            )

    @property
    def is_number(self) -> bool:
        return self._kind in ("integer", "number")

    def bound(self, option: str, text: str) -> Bound:
        """Parse the value of `--from` or `--to`. Raises UsageError if it is not valid."""
        try:
            if self.is_number:
                return self._number(text)
            moment = moment_of(text)
        except (ValueError, OverflowError):
            moment = None
        if moment is None:
            raise self._no_bound(option, text)
        if self._kind == "date":
            if moment.time() != datetime.min.time():
                raise self._no_bound(option, text)
            return moment.date().isoformat()
        return moment.isoformat()

    def _number(self, text: str) -> int | float:
        number = int(text) if self._kind == "integer" else float(text)
        if not abs(number) < _INTEGERS:
            raise OverflowError
        return number

    def _no_bound(self, option: str, text: str) -> UsageError:
        what = {
            "integer": "a whole number",
            "number": "a number",
            "date": "a date such as 2024-01-31",
            "date-time": "a date or date-time such as 2024-01-31 or 2024-01-31T12:00:00Z",
        }[self._kind]
        return UsageError(f"{option} '{text}' is not {what}, as the cursor '{self.name}' is")

    def present(self, stored: Any) -> Bound | None:
        """The live cursor, or else the current time; None for a number that is not stored."""
        if self.is_number:
            return stored if isinstance(stored, int | float) else None
        known = moment_of(stored.isoformat() if type(stored) is date else stored)
        if self._kind == "date":
            return (known.date() if known else datetime.now(UTC).date() + _DAY).isoformat()
        return (known or datetime.now(UTC)).isoformat()

    def handed(self, bound: Bound, *, is_end: bool = False) -> Any:
        """A bound in the format of the stream's own values. If that is less precise, the bound is
        rounded outwards, so that the API returns every row of the window."""
        if not isinstance(bound, str):
            return bound
        moment = datetime.fromisoformat(bound).replace(tzinfo=UTC)
        if isinstance(self._like, datetime):
            return moment.replace(tzinfo=None) if self._like.tzinfo is None else moment
        if isinstance(self._like, date):
            return (moment + _DAY - _FINEST if is_end else moment).date()
        like = self._like
        if not isinstance(like, str) or moment_of(like) is None:
            like = bound if self._kind == "date" else bound.replace("+00:00", "Z")
        own = datetime.fromisoformat(like)
        local = moment.astimezone(own.tzinfo) if own.tzinfo else moment.replace(tzinfo=None)
        try:
            text = respelled(like, local)
        except ValueError as error:
            raise UsageError(f"cursor '{self.name}': {error}; windows can't be requested") from None
        if is_end and datetime.fromisoformat(text) < local:
            return respelled(like, local + unit_of(like))
        return text

    def handed_before(self, bound: Bound) -> Any:
        """As `handed`, for an API that excludes rows at the start value itself."""
        if self.is_number:
            return bound - 1  # type: ignore[operator]
        step = _DAY if self._kind == "date" else timedelta(seconds=1)
        earlier = datetime.fromisoformat(str(bound)).replace(tzinfo=UTC) - step
        return self.handed(earlier.date().isoformat() if step == _DAY else earlier.isoformat())


def windows_of(start: Bound, end: Bound, by: Unit, step: int | None = None) -> list[Window]:
    """The windows that cover [start, end); the first and the last may be shorter.

    Raises UsageError if there are none, or more than `MOST`.
    """
    if not start < end:  # type: ignore[operator]
        raise UsageError(f"--from {shown(start)} is not before --to {shown(end)}")
    following = _following(by, step)
    windows: list[Window] = []
    while start < end:  # type: ignore[operator]
        if len(windows) == MOST:
            raise UsageError(
                f"more than {MOST:,} windows from {shown(windows[0].start)} to {shown(end)}; "
                f"choose {'a larger --step' if by == 'ids' else 'longer ones with --by'}, or "
                "backfill one part after another"
            )
        try:
            until = min(following(start), end)
        except OverflowError:  # the last day of the year 9999
            until = end
        windows.append(Window(len(windows), start, until))
        start = until
    return windows


def _following(by: Unit, step: int | None) -> Callable[[Bound], Bound]:
    if by == "ids":
        assert step is not None, "checked with the options"
        return lambda bound: bound + step  # type: ignore[operator]
    boundary = _BOUNDARIES[by]

    def following(bound: Bound) -> Bound:
        assert isinstance(bound, str), "only numbers are cut by ids"
        moment = datetime.fromisoformat(bound)
        day = boundary(moment.date())
        if len(bound) == len("2024-01-31"):
            return day.isoformat()
        return datetime(day.year, day.month, day.day, tzinfo=UTC).isoformat()

    return following


_BOUNDARIES: Mapping[str, Callable[[date], date]] = {
    "day": lambda day: day + _DAY,
    "week": lambda day: day + timedelta(days=7 - day.weekday()),
    "month": lambda day: (day.replace(day=1) + timedelta(days=31)).replace(day=1),
}
