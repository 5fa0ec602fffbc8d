"""Counts the responses to a stream's requests, and reads the source's time from their `Date`.

It works with any HTTP library: `requests`, urllib3 and urllib use `http.client`; httpx and aiohttp
are wrapped themselves.
"""

from __future__ import annotations

import http.client
import sys
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import wraps
from typing import Any


class Answers:
    """The responses of one run with a status 2xx; others have no records."""

    def __init__(self) -> None:
        self.count = 0
        self._zero: datetime | None = None
        self._lock = threading.Lock()

    def add(self, status: int, date: str | None) -> None:
        if not 200 <= status < 300:
            return
        zero = _zero_of(date)
        with self._lock:
            self.count += 1
            if zero is not None:
                self._zero = zero if self._zero is None else min(zero, self._zero)

    def clock(self) -> Callable[[], datetime]:
        """The source's time of now, which later answers may correct."""
        began = time.monotonic()
        return lambda: self.time_at(began)

    def time_at(self, clock: float) -> datetime:
        """The source's time when `time.monotonic()` was `clock`, or a little before; this
        machine's time if no response had a `Date`.

        If the clocks of responses differ, as with a cache or two servers, the earliest counts.
        """
        with self._lock:
            zero = self._zero
        if zero is None:
            return datetime.now(UTC) - timedelta(seconds=time.monotonic() - clock)
        return zero + timedelta(seconds=clock)


def _zero_of(date: str | None) -> datetime | None:
    """The time of a `Date` header that has just arrived, minus `time.monotonic()`."""
    try:
        moment = parsedate_to_datetime(date) if date else None
        if moment is None:
            return None
        if moment.tzinfo is None:  # "-0000", which says no more than that it is UTC
            moment = moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC) - timedelta(seconds=time.monotonic())
    except (ValueError, OverflowError):
        return None


Receivers = Callable[[], Iterable[Answers]]
_receivers: Receivers = tuple
_wrapped: set[tuple[Any, str]] = set()


def observe(receivers: Receivers) -> None:
    """From now on, add each response of this process to the `Answers` that `receivers` returns.

    Call it again when further HTTP libraries may have been imported.
    """
    global _receivers
    _receivers = receivers
    _wrap(http.client.HTTPResponse, "begin", _seen_after)
    if httpx := sys.modules.get("httpx"):
        _wrap(httpx.HTTPTransport, "handle_request", _seen_in_result)
        _wrap(httpx.AsyncHTTPTransport, "handle_async_request", _seen_in_awaited)
    if aiohttp := sys.modules.get("aiohttp"):
        _wrap(aiohttp.ClientResponse, "start", _seen_after_awaiting)


def _wrap(owner: Any, name: str, wrapped: Callable[[Any], Any]) -> None:
    if (owner, name) not in _wrapped:
        _wrapped.add((owner, name))
        function = getattr(owner, name)
        setattr(owner, name, wraps(function)(wrapped(function)))


def _seen_after(begin: Any) -> Any:
    def observed(response: Any, *arguments: Any, **options: Any) -> Any:
        result = begin(response, *arguments, **options)
        _seen(response.status, response.headers)
        return result

    return observed


def _seen_in_result(handle: Any) -> Any:
    def observed(*arguments: Any, **options: Any) -> Any:
        response = handle(*arguments, **options)
        _seen(response.status_code, response.headers)
        return response

    return observed


def _seen_in_awaited(handle: Any) -> Any:
    async def observed(*arguments: Any, **options: Any) -> Any:
        response = await handle(*arguments, **options)
        _seen(response.status_code, response.headers)
        return response

    return observed


def _seen_after_awaiting(start: Any) -> Any:
    async def observed(response: Any, *arguments: Any, **options: Any) -> Any:
        result = await start(response, *arguments, **options)
        _seen(response.status, response.headers)
        return result

    return observed


def _seen(status: int, headers: Any) -> None:
    for answers in _receivers():
        answers.add(status, headers.get("Date"))
