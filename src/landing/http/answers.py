"""Counts the responses to a stream's requests, reads the source's time from their `Date`, and knows
whether the last one was a failure.

It works with any HTTP library: `requests`, urllib3 and urllib use `http.client`; httpx and aiohttp
are wrapped themselves.
"""

from __future__ import annotations

import http.client
import sys
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, TypeAlias

Request: TypeAlias = tuple[str, str, Hashable]
"""Method, URL and a hash of the body."""
_READING = ("GET", "POST")
_MOST_KEPT = 1_000


class Answers:
    """The responses of one run; only those with a status 2xx have records and count."""

    def __init__(self) -> None:
        self.count = 0
        self.failed: int | None = None
        """The status of the latest response, if it is an error."""
        self.last: Any = None
        """The latest response to any session of `requests`."""
        self.is_settled = False
        """Whether the client kit has read the list of the latest response to its end."""
        self.unanswered: dict[Request, int] = {}
        """Requests to which the latest response was an error, with its status."""
        self.noted: Request | None = None
        """The latest request of a client that shows what it requested."""
        self.has_overlaps = False
        """Whether requests of any session of `requests` were in progress at the same time, so that
        the latest response is not that of the last page."""
        self._waiting: set[int] = set()
        self._succeeded: set[str] = set()
        self._zero: datetime | None = None
        self._lock = threading.Lock()

    def add(self, status: int, date: str | None, *, may_fail: bool = True) -> None:
        """`may_fail` is False if an error says nothing of the stream's rows, as the request reads
        none, or may have been another library's, such as an exporter's."""
        if 200 <= status < 300:
            self.failed = None
        elif status >= 400 and may_fail:
            self.failed = status
        if not 200 <= status < 300:
            return
        zero = _zero_of(date)
        with self._lock:
            self.count += 1
            if zero is not None:
                self._zero = zero if self._zero is None else min(zero, self._zero)

    @contextmanager
    def in_progress(self) -> Iterator[None]:
        """While a request waits for its response, or those of the redirects that it leads to."""
        thread = threading.get_ident()
        with self._lock:
            is_first = thread not in self._waiting
            self._waiting.add(thread)
            self.has_overlaps = self.has_overlaps or len(self._waiting) > 1
        try:
            yield
        finally:
            if is_first:
                with self._lock:
                    self._waiting.discard(thread)

    def note(self, request: Request, status: int) -> None:
        """A response of a client that shows what it requested."""
        with self._lock:
            self.noted = request
            if status < 400:
                self.unanswered.pop(request, None)
                if len(self._succeeded) < _MOST_KEPT:
                    self._succeeded.add(_endpoint(request))
            elif len(self.unanswered) < _MOST_KEPT:
                self.unanswered[request] = status

    def settle(self) -> None:
        """The latest response ends a list, whatever its status: the client kit has read it, or the
        source says so."""
        self.failed, self.is_settled = None, True
        if self.noted is not None:
            self.unanswered.pop(self.noted, None)

    @property
    def was_answered_before(self) -> bool:
        """Whether the address of the latest request, without its query, has returned something
        before; also if the client doesn't show what it requested."""
        if self.noted is None:
            return self.count > 0
        return _endpoint(self.noted) in self._succeeded

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


def _endpoint(request: Request) -> str:
    return request[1].partition("?")[0]


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


Receivers = Callable[[], tuple[Iterable[Answers], bool]]
"""Returns where to count a response, and whether it is certainly to a request of that stream."""


def _nobody() -> tuple[Iterable[Answers], bool]:
    return (), False


_receivers: Receivers = _nobody
_wrapped: set[tuple[Any, str]] = set()
_wrapping = threading.Lock()
"""Streams begin at the same time; wrapped twice, each answer would count twice."""


def observe(receivers: Receivers) -> None:
    """From now on, add each response of this process to the `Answers` that `receivers` returns.

    Call it again when further HTTP libraries may have been imported.
    """
    global _receivers
    _receivers = receivers
    _wrap(http.client.HTTPResponse, "begin", is_answer=True)
    if httpx := sys.modules.get("httpx"):
        _wrap(httpx.HTTPTransport, "handle_request")
        _wrap(httpx.AsyncHTTPTransport, "handle_async_request")
    if aiohttp := sys.modules.get("aiohttp"):
        _wrap(aiohttp.ClientResponse, "start", is_answer=True)


def _wrap(owner: Any, name: str, *, is_answer: bool = False) -> None:
    with _wrapping:
        if (owner, name) not in _wrapped:
            setattr(owner, name, _observed(getattr(owner, name), is_answer=is_answer))
            _wrapped.add((owner, name))


def _observed(function: Callable[..., Any], *, is_answer: bool) -> Callable[..., Any]:
    """See the answer that a method returns, or of which it is one, each time it was called."""

    @wraps(function)
    def observed(self: Any, *arguments: Any, **options: Any) -> Any:
        result = function(self, *arguments, **options)
        _seen(self if is_answer else result, *arguments)
        return result

    @wraps(function)
    async def awaited(self: Any, *arguments: Any, **options: Any) -> Any:
        result = await function(self, *arguments, **options)
        _seen(self if is_answer else result, *arguments)
        return result

    return awaited if iscoroutinefunction(function) else observed


def _seen(answer: Any, request: Any = None, *_: Any) -> None:
    status = answer.status_code if hasattr(answer, "status_code") else answer.status
    method = getattr(request, "method", None) or getattr(answer, "_method", None)
    method = method or getattr(answer, "method", "GET")
    receivers, is_own = _receivers()
    for answers in receivers:
        answers.add(status, answer.headers.get("Date"), may_fail=is_own and method in _READING)
        if is_own and hasattr(request, "url"):  # of httpx
            body = getattr(request, "_content", None)
            answers.note((request.method, str(request.url), hash(body)), status)
