"""When a stream is due: the `schedule` of its config, five cron fields and a time zone.

It accepts only what every scheduler reads the same way. What Kubernetes, cron and croniter read
differently (`@every`, seconds, `L`, `#`, 7 for Sunday, ranges that wrap around) is a mistake.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from landing.errors import listed, nearest

DEFAULT_TIMEZONE = "UTC"
GRACE = timedelta(hours=1)
"""Time after a stream was due before it counts as late."""
_KEYS = ("cron", "timezone")
_FIELDS = ("minute", "hour", "day of the month", "month", "day of the week")
_MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NAMES: Mapping[int, Mapping[str, int]] = {
    3: {name: number for number, name in enumerate(_MONTHS, 1)},
    4: {name: number for number, name in enumerate(_DAYS)},
}
_ELEMENT = re.compile(r"(?:\*|([a-z0-9]+)(?:-([a-z0-9]+))?)(?:/([1-9][0-9]?))?")
_SHOWN = "such as '0 * * * *' for each full hour"


@dataclass(frozen=True)
class Schedule:
    cron: str
    """Five fields, names in lower case."""
    timezone: str = DEFAULT_TIMEZONE
    """A name of the IANA database."""

    def before(self, moment: datetime) -> datetime:
        """The last time before `moment` at which the stream was due, in UTC."""
        return max(_due(self, moment, "get_prev", fold) for fold in (0, 1))

    def after(self, moment: datetime) -> datetime:
        """The first time after `moment` at which the stream is due, in UTC."""
        return min(_due(self, moment, "get_next", fold) for fold in (0, 1))

    @cached_property
    def longest_gap(self) -> timedelta:
        """The longest time between two due times of a year, without daylight saving time."""
        from croniter import croniter

        minutes, hours, *_ = croniter.expand(self.cron)[0]
        due = [
            timedelta(hours=int(hour), minutes=int(minute))
            for hour in (range(24) if "*" in hours else hours)
            for minute in (range(60) if "*" in minutes else minutes)
        ]
        each_day = croniter(" ".join(["0 0", *self.cron.split()[2:]]), datetime(2023, 12, 31))
        days = [each_day.get_next(datetime)]
        while len(days) < 2 or days[-1] - days[0] < timedelta(days=366):
            days.append(each_day.get_next(datetime))
        nights = (later - day - due[-1] + due[0] for day, later in pairwise(days))
        return max([*nights, *(later - earlier for earlier, later in pairwise(due))])

    def __str__(self) -> str:
        return f"'{self.cron}' ({self.timezone})"


@lru_cache(1_000)
def _due(
    schedule: Schedule, moment: datetime, step: Literal["get_next", "get_prev"], fold: int
) -> datetime:
    """As a CronJob with this `timeZone` is due: a time that the clock skips does not come that day,
    and a time that it repeats comes twice (kubernetes/kubernetes#121594). `fold` says which of the
    two to look for. Cached, since the streams of a source share few schedules."""
    from croniter import croniter  # slow to import, and most commands don't need it

    zone = ZoneInfo(schedule.timezone)
    local = moment.astimezone(zone).replace(fold=fold)
    offset = local.utcoffset() or timedelta()
    clock = (moment.astimezone(UTC) + offset).replace(tzinfo=None)
    # Without a time zone, croniter works on local times and adjusts nothing.
    times = croniter(schedule.cron, clock)
    while True:
        read: datetime = getattr(times, step)(datetime)
        due = read.replace(tzinfo=zone, fold=fold).astimezone(UTC)
        is_beyond = due > moment if step == "get_next" else due < moment
        if is_beyond and due.astimezone(zone).replace(tzinfo=None) == read:
            return due


def parse_schedule(written: str | Mapping[str, Any]) -> Schedule:
    """Takes a cron text, or an object with `cron` and `timezone`.

    Raises ValueError that says what is wrong and what to do.
    """
    if isinstance(written, str):
        return Schedule(_cron(written))
    if unknown := sorted(set(written) - set(_KEYS)):
        hint = nearest(unknown[0], _KEYS) or f"; known are {listed(_KEYS)}"
        raise ValueError(f"has no key '{unknown[0]}'{hint}")
    cron, timezone = written.get("cron"), written.get("timezone", DEFAULT_TIMEZONE)
    if not isinstance(cron, str):
        raise ValueError(f"needs a text 'cron', {_SHOWN}")
    return Schedule(_cron(cron), _timezone(timezone))


def _timezone(name: Any) -> str:
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        hint = nearest(str(name), available_timezones())
        raise ValueError(
            f"timezone '{name}' is not in the IANA database, such as 'Europe/Berlin'{hint}"
        ) from None


@lru_cache(1_000)
def _cron(written: str) -> str:
    text = written.strip().lower()
    text = _MACROS.get(text, text)
    fields = text.split()
    if len(fields) != len(_FIELDS):
        raise ValueError(f"'{written}' is not a cron expression with five fields, {_SHOWN}")
    for place, field in enumerate(fields):
        for element in field.split(","):
            _check_element(element, place, written)
    _check_comes(" ".join(fields), written)
    return " ".join(fields)


def _check_element(element: str, place: int, written: str) -> None:
    match = _ELEMENT.fullmatch(element)
    where = f"'{written}': {_FIELDS[place]} '{element}'"
    if match is None:
        raise ValueError(
            f"{where} has to be *, a number, a range such as 1-5, or one with a step such as */15"
        )
    least, most = _BOUNDS[place]
    numbers = [_number(text, place) for text in match.group(1, 2) if text is not None]
    if any(number is None or not least <= number <= most for number in numbers):
        sunday = "; Sunday is 0" if place == 4 else ""
        raise ValueError(f"{where} is not within {least} to {most}{sunday}")
    if len(numbers) == 2 and numbers[0] > numbers[1]:  # type: ignore[operator]
        raise ValueError(f"{where} ends before it begins; write two ranges")
    if len(numbers) == 1 and match[3] is not None:
        raise ValueError(f"{where}: give the step a range, such as {match[1]}-{most}/{match[3]}")


def _number(text: str, place: int) -> int | None:
    return int(text) if text.isdecimal() else _NAMES.get(place, {}).get(text)


def _check_comes(cron: str, written: str) -> None:
    """Raises ValueError for a date that never comes, such as 30 February."""
    from croniter import CroniterError

    try:
        Schedule(cron).after(datetime.now(UTC))
    except CroniterError:
        raise ValueError(f"'{written}' is never due") from None
