"""The rate limiter that all threads and processes with the same pace share."""

from __future__ import annotations

import fcntl
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

import requests
from pyrate_limiter import Rate, RateItem, SQLiteBucket

from landing.http.pacing.allowance import Allowance
from landing.http.pacing.quota_headers import Budget, read_budget
from landing.http.pacing.state_file import file_of, opened, transaction
from landing.http.retries import GaveUp, is_rate_limited, retry_after

if TYPE_CHECKING:
    from landing.http.pacing.shared_quota import SharedQuota

_LOOK_EVERY = 0.01
"""Seconds between checks for a free place while `at_once` requests are under way."""
_TIDY_EVERY = 500
_UNTIL_WARM = 32
"""Responses until a process has opened its connections: before that, a request may arrive long
after it was sent, so it counts from its response on."""

_unpaced = threading.Event()


@contextmanager
def unpaced() -> Iterator[None]:
    """Disable rate limiting in this process, because its responses come from a recording."""
    _unpaced.set()
    try:
        yield
    finally:
        _unpaced.clear()


class RateLimiter:
    """Keeps a pace, together with all other users of the same key.

    If there are limits, it is stored in an SQLite file, which outlives every process and survives a
    kill at any point. Its times are those of the wall clock; times in the future, because the clock
    was set back, count as now.
    """

    def __init__(
        self,
        key: str,
        rates: Sequence[Rate],
        at_once: int | None,
        longest_wait: float,
        quota: SharedQuota | None = None,
    ) -> None:
        self._key = key
        self._rates = list(rates)
        self._at_once = at_once
        self._longest_wait = longest_wait
        self._quota = quota
        self._file = file_of(key) if self._rates or at_once else None
        self._lock = threading.Lock()
        self._under_way = 0
        self._entered = 0
        self._answered = 0
        self._connection = opened(self._file)
        self._bucket = (
            SQLiteBucket(self._rates, self._connection, "permits") if self._rates else None
        )
        self._keep_permits()

    @contextmanager
    def acquire(
        self, cost: int, patience: float = inf, sleep: Callable[[float], None] = time.sleep
    ) -> Iterator[float]:
        """Wait until a request may be sent, and occupy one of the `at_once` places inside.

        Yields the seconds waited. Raises GaveUp if the wait would exceed `longest_wait`, or, by the
        API's own limit, `patience` seconds.
        """
        if _unpaced.is_set():
            yield 0.0
            return
        began = time.monotonic()
        if self._rates and cost > min(rate.limit for rate in self._rates):
            raise GaveUp(f"costs {cost}, which is more than its pace allows at once")
        with self._place(began, sleep):
            while self._quota is not None and (wait := self._quota.take(cost)):
                self._check(began, wait)
                sleep(wait)
            permit = uuid.uuid4().hex
            while wait := self._try(permit, cost, patience):
                self._check(began, wait)
                sleep(wait)
            try:
                yield time.monotonic() - began
            finally:
                self._leave(permit)

    def answered(self, response: requests.Response) -> None:
        """Read the API's own limit from a response."""
        if _unpaced.is_set():
            return
        wait = retry_after(response) if is_rate_limited(response) else None
        budget = read_budget(response.headers)
        if wait is not None or budget is not None:
            self._learn(budget, wait)

    def hold(self, seconds: float) -> None:
        """Send nothing for so many seconds, as a response asked in its body."""
        if not _unpaced.is_set():
            self._learn(None, seconds)

    def _learn(self, budget: Budget | None, wait: float | None) -> None:
        with self._lock, transaction(self._connection):
            now = time.time()
            known = Allowance.read(self._connection, now)
            known.learn(now, budget, wait, self._under_way - 1)
            known.write(self._connection, now)

    def _leave(self, permit: str) -> None:
        with self._lock:
            self._under_way -= 1
            self._answered += 1
            if self._bucket is not None and self._answered <= _UNTIL_WARM:
                self._connection.execute(
                    "UPDATE permits SET item_timestamp = ? WHERE name = ?",
                    (_milliseconds(), permit),
                )

    def _try(self, permit: str, cost: int, patience: float) -> float:
        """Take a permit and return 0, or return the seconds until the next attempt."""
        with self._lock, transaction(self._connection):
            now = time.time()
            known = Allowance.read(self._connection, now)
            if wait := known.wait(now, cost):
                if wait > patience:
                    raise self._used_up(wait)
                return wait
            if spent := known.spend(cost):
                known.write(self._connection, now)
            wait = self._refused(self._bucket, permit, cost) if self._bucket is not None else 0.0
            if wait:
                if spent:
                    known.spend(-cost)
                    known.write(self._connection, now)
                return wait
            self._under_way += 1
            return 0.0

    def _refused(self, bucket: SQLiteBucket, permit: str, cost: int) -> float:
        """Seconds until the limits allow it; 0 if the permit was taken and committed."""
        milliseconds = _milliseconds()
        later = "UPDATE permits SET item_timestamp = :now WHERE item_timestamp > :now"
        self._connection.execute(later, {"now": milliseconds})
        self._entered += 1
        if self._entered % _TIDY_EVERY == 1:
            old = "DELETE FROM permits WHERE item_timestamp < ? - (SELECT milliseconds FROM kept)"
            self._connection.execute(old, (milliseconds,))
        item = RateItem(permit, milliseconds, cost)
        if bucket.put(item):
            return 0.0
        return max(0.001, int(bucket.waiting(item)) / 1000)  # type: ignore[arg-type]

    def _check(self, began: float, wait: float) -> None:
        if time.monotonic() - began + wait > self._longest_wait:
            raise self._used_up(wait)

    def _used_up(self, wait: float) -> GaveUp:
        return GaveUp(
            f"was not sent: the limit of {self._key} is used up for another {wait:,.0f} s; "
            "the next run continues after that"
        )

    @contextmanager
    def _place(self, began: float, sleep: Callable[[float], None]) -> Iterator[None]:
        """Occupy one of the `at_once` places; the system frees it if the process dies."""
        if self._at_once is None or self._file is None:
            yield
            return
        while (place := self._free_place(self._file, self._at_once)) is None:
            self._check(began, _LOOK_EVERY)
            sleep(_LOOK_EVERY)
        try:
            yield
        finally:
            # Unlock explicitly: a process forked meanwhile has the descriptor too.
            fcntl.flock(place, fcntl.LOCK_UN)
            os.close(place)

    def _free_place(self, file: Path, places: int) -> int | None:
        for number in range(places):
            descriptor = os.open(
                file.with_suffix(f".{number}"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return descriptor
            except BlockingIOError:
                os.close(descriptor)
        return None

    def _keep_permits(self) -> None:
        """Keep permits for the longest window of any limiter that shares the file."""
        longest = max((rate.interval for rate in self._rates), default=0)
        with transaction(self._connection):
            raise_to = "UPDATE kept SET milliseconds = max(milliseconds, ?)"
            self._connection.execute(raise_to, (longest,))


def _milliseconds() -> int:
    return time.time_ns() // 1_000_000
