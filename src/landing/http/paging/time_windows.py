"""Paging by time windows, each with pages of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from landing.errors import ApiError
from landing.http import traffic
from landing.http.bodies import Page
from landing.http.concurrency import in_flight
from landing.http.paging.pointers import Paging, SinglePage, pages_of
from landing.http.query import Query


class TimeWindows:
    """Reads windows of `days`, from `start` until `end`, as the parameters `since` and `until`.

    `start` and `end` are datetimes or ISO 8601 texts, such as a cursor's `last_value` and
    `end_value`. Without a time zone they are in UTC; `end` defaults to now. Each window begins
    where the previous one ended, so a row at exactly that time may come twice. `spelled` converts
    a datetime to a parameter, by default to ISO 8601. `within` is the paging inside a window.
    With `at_once`, several windows are read in parallel; each is kept in memory until its turn.

    Raises ApiError if `start` is None, which is the case for a cursor without a value.
    """

    def __init__(
        self,
        start: datetime | str | None,
        *,
        days: float,
        since: str = "since",
        until: str = "until",
        end: datetime | str | None = None,
        spelled: Callable[[datetime], Any] = datetime.isoformat,
        within: Paging | None = None,
        at_once: int = 1,
    ) -> None:
        if start is None:
            raise ApiError(
                "TimeWindows has no start, because a cursor has no value in its first run; give "
                "the cursor an `initial_value`, or pass another start"
            )
        self._start = _in_utc(start)
        self._span = timedelta(days=days)
        self._since = since
        self._until = until
        self._end = None if end is None else _in_utc(end)
        self._spelled = spelled
        self._within = within or SinglePage()
        self._at_once = at_once

    def read(self, query: Query) -> Iterator[Page]:
        if self._at_once == 1:
            for window in self._windows():
                yield from self._pages(query, window)
            return
        for pages in in_flight(
            lambda window: list(self._pages(query, window)), self._windows(), at_once=self._at_once
        ):
            yield from pages

    def _pages(self, query: Query, window: tuple[datetime, datetime]) -> Iterator[Page]:
        traffic.current().reads()  # one window's total is not the stream's
        since, until = map(self._spelled, window)
        return pages_of(self._within, query.with_values({self._since: since, self._until: until}))

    def _windows(self) -> Iterator[tuple[datetime, datetime]]:
        end = self._end or datetime.now(UTC)
        start = self._start
        while start < end:
            yield start, min(start + self._span, end)
            start += self._span


def _in_utc(moment: datetime | str) -> datetime:
    parsed = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
