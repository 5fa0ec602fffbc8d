"""Rate and concurrency limits that all threads, streams and processes of a machine share."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests
from pyrate_limiter import Duration, Rate

from landing.http.pacing.rate_limiter import RateLimiter

if TYPE_CHECKING:
    from landing.http.pacing.shared_quota import SharedQuota

_MARGIN_MS = 50
"""Added to each window: requests leave at even intervals, but arrive less evenly."""


@dataclass(frozen=True)
class Pace:
    """Rate limits of an API. Without any, only the limits in the API's own headers apply.

    No window of a second, minute or day has more requests than its limit. `burst` requests may
    leave at the same moment; the others are spread evenly. Paces with the same `key` share their
    limits; it defaults to the host and port of the request.
    """

    per_second: float | None = None
    per_minute: float | None = None
    per_day: float | None = None
    burst: int | None = None
    at_once: int | None = None
    cost: int | Callable[[requests.PreparedRequest], int] = field(default=1, compare=False)
    """What a request counts for, for APIs that count points. It makes no limiter of its own: a
    lambda is another one in each client."""
    key: str | None = None
    longest_wait: float = 3600.0
    """Seconds; a request that would have to wait longer fails with an explanation."""
    in_bucket: bool = False
    """Also count `per_day` in the bucket, together with pods and other machines."""

    def __post_init__(self) -> None:
        for name in ("per_second", "per_minute", "per_day", "burst", "at_once"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"Pace({name}={value}): it has to be above 0")
        if self.burst is not None and not self._limits():
            raise ValueError("Pace(burst=…) needs per_second, per_minute or per_day")
        if self.in_bucket and self.per_day is None:
            raise ValueError("Pace(in_bucket=True) needs per_day, which is what is counted there")

    @property
    def rates(self) -> list[Rate]:
        """The limits from the shortest window to the longest, without those that others imply."""
        limits = self._limits()
        windows = [_whole(limit, milliseconds) for limit, milliseconds in limits]
        if limits and self.burst is not None:
            limit, milliseconds = min(limits, key=lambda each: each[0] / each[1])
            # It only spreads the requests of the other windows, so it needs no margin.
            windows.append(Rate(self.burst, max(1, ceil(self.burst / limit * milliseconds))))
        rates: list[Rate] = []
        for rate in sorted(windows, key=lambda each: each.interval):
            while rates and rate.limit <= rates[-1].limit:
                rates.pop()
            if not rates or rate.limit / rate.interval < rates[-1].limit / rates[-1].interval:
                rates.append(rate)
        return rates

    def _limits(self) -> list[tuple[float, float]]:
        """Limits and their windows in milliseconds."""
        windows = (
            (self.per_second, Duration.SECOND),
            (self.per_minute, Duration.MINUTE),
            (self.per_day, Duration.DAY),
        )
        return [(limit, float(window.value)) for limit, window in windows if limit is not None]

    def limiter(self, url: str) -> RateLimiter:
        """The rate limiter for requests to `url`."""
        return _limiter(self.key or urlsplit(url).netloc.rpartition("@")[2].lower(), self)

    def quota(self, key: str) -> SharedQuota | None:
        if not self.in_bucket or self.per_day is None:
            return None
        from landing.http.pacing.shared_quota import SharedQuota

        day = _whole(self.per_day, float(Duration.DAY.value))
        return SharedQuota(key, day.limit, day.interval / 1000)

    def price(self, request: requests.PreparedRequest) -> int:
        return self.cost(request) if callable(self.cost) else self.cost


def _whole(limit: float, milliseconds: float) -> Rate:
    """A window with a whole number of requests: 0.5 per second becomes 1 in two seconds, and 2.5
    per second becomes 2."""
    stretch = max(1.0, 1 / limit)
    return Rate(max(1, int(limit)), ceil(milliseconds * stretch) + _MARGIN_MS)


_limiters: dict[tuple[str, Pace], RateLimiter] = {}
_limiters_lock = threading.Lock()


def _limiter(key: str, pace: Pace) -> RateLimiter:
    with _limiters_lock:
        limiter = _limiters.get((key, pace))
        if limiter is None:
            limiter = RateLimiter(key, pace.rates, pace.at_once, pace.longest_wait, pace.quota(key))
            _limiters[key, pace] = limiter
        return limiter


_of_parents: list[RateLimiter] = []


def _leave_to_parent() -> None:
    """In a forked process: neither use nor close the parent's SQLite connections, and don't wait
    for locks of threads that don't exist here."""
    global _limiters_lock
    _limiters_lock = threading.Lock()
    _of_parents.extend(_limiters.values())
    _limiters.clear()


os.register_at_fork(after_in_child=_leave_to_parent)
