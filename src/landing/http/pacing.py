"""How fast and how many at once: one pace for all threads, streams and processes of a machine."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import sqlite3
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import ceil, inf
from pathlib import Path
from urllib.parse import urlsplit

import requests
from pyrate_limiter import Duration, Rate, RateItem, SQLiteBucket

from landing.errors import SettingsError
from landing.http.retries import GaveUp, is_rate_limited, retry_after

_MARGIN_MS = 50
"""Windows are longer by this than asked for: requests leave evenly but arrive less so."""
_LOOK_EVERY = 0.01
"""Seconds between looks for a free place while `at_once` requests are under way."""
_TIDY_EVERY = 500
_UNTIL_WARM = 32
"""Answers of a process until its connections are open: till then a request may arrive much later
than it left, so it counts from its answer on."""
_ROUNDED = 1.0
"""Seconds added to resets, which are whole seconds and may have been rounded down."""
_LONGEST_HOLD = 86_400.0
"""Seconds that an answer can hold back the runs of a machine; limits are for a day at most."""
_EPOCH = 1_000_000_000
"""Resets above it are points in time, below it seconds from now."""


@dataclass(frozen=True)
class Pace:
    """What to keep to. Without any limit, only what the API's own headers say is kept to.

    In no window of a second, minute or day are there more requests than that; `burst` says how
    many of them may leave at the same moment, after which they are spread evenly. Two paces are
    one if their `key` is the same; by default it is the host and port of the request.
    """

    per_second: float | None = None
    per_minute: float | None = None
    per_day: float | None = None
    burst: int | None = None
    at_once: int | None = None
    cost: int | Callable[[requests.PreparedRequest], int] = 1
    """What a request counts for, as of APIs that count points."""
    key: str | None = None
    longest_wait: float = 3600.0
    """Seconds; a request that would have to wait longer fails, saying for what."""

    def __post_init__(self) -> None:
        for name in ("per_second", "per_minute", "per_day", "burst", "at_once"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"Pace({name}={value}): it has to be above 0")
        if self.burst is not None and not self._asked():
            raise ValueError("Pace(burst=…) needs per_second, per_minute or per_day")

    @property
    def rates(self) -> list[Rate]:
        """The limits from the shortest window to the longest, less those that others imply."""
        asked = self._asked()
        windows = [_whole(limit, milliseconds) for limit, milliseconds in asked]
        if asked and self.burst is not None:
            limit, milliseconds = min(asked, key=lambda each: each[0] / each[1])
            # Only spreads what the windows hold, so it has no margin.
            windows.append(Rate(self.burst, max(1, ceil(self.burst / limit * milliseconds))))
        rates: list[Rate] = []
        for rate in sorted(windows, key=lambda each: each.interval):
            while rates and rate.limit <= rates[-1].limit:
                rates.pop()
            if not rates or rate.limit / rate.interval < rates[-1].limit / rates[-1].interval:
                rates.append(rate)
        return rates

    def _asked(self) -> list[tuple[float, float]]:
        windows = (
            (self.per_second, Duration.SECOND),
            (self.per_minute, Duration.MINUTE),
            (self.per_day, Duration.DAY),
        )
        return [(limit, float(window.value)) for limit, window in windows if limit is not None]

    def gate(self, url: str) -> Gate:
        """Where requests to `url` wait their turn."""
        return _gate(self.key or urlsplit(url).netloc.rpartition("@")[2].lower(), self)

    def price(self, request: requests.PreparedRequest) -> int:
        return self.cost(request) if callable(self.cost) else self.cost


def _whole(limit: float, milliseconds: float) -> Rate:
    """A window that holds a whole number of requests: 0.5 a second is 1 in two, and of 2.5 a
    second, 2 are in each."""
    stretch = max(1.0, 1 / limit)
    return Rate(max(1, int(limit)), ceil(milliseconds * stretch) + _MARGIN_MS)


_unpaced = threading.Event()


@contextmanager
def unpaced() -> Iterator[None]:
    """Inside, this process keeps no pace and learns no limit: the answers come from no API."""
    _unpaced.set()
    try:
        yield
    finally:
        _unpaced.clear()


class Gate:
    """The state of a pace, shared by all who name it.

    It is in an SQLite file if there is a limit to share, so that it outlives every process and a
    kill at any point leaves it usable; times in it are those of the wall clock, and what lies in
    the future because a clock was set back counts as now.
    """

    def __init__(self, key: str, pace: Pace) -> None:
        self._key = key
        self._pace = pace
        self._rates = pace.rates
        shared = bool(self._rates or pace.at_once)
        self._file = _folder() / hashlib.sha256(key.encode()).hexdigest()[:32] if shared else None
        self._lock = threading.Lock()
        self._under_way = 0
        self._entered = 0
        self._answered = 0
        self._connection = _open(self._file)
        self._bucket = (
            SQLiteBucket(self._rates, self._connection, "permits") if self._rates else None
        )
        self._keep_permits()

    @contextmanager
    def passing(
        self, cost: int, patience: float = inf, sleep: Callable[[float], None] = time.sleep
    ) -> Iterator[float]:
        """Wait for a turn, and hold one of the `at_once` places inside.

        Gives the seconds waited. Raises GaveUp if the turn is too far away: by the pace's own
        limits, or by what the API said, more than `patience` seconds.
        """
        if _unpaced.is_set():
            yield 0.0
            return
        began = time.monotonic()
        if self._rates and cost > min(rate.limit for rate in self._rates):
            raise GaveUp(f"costs {cost}, which is more than its pace allows at once")
        with self._place(began, sleep):
            permit = uuid.uuid4().hex
            while wait := self._try(permit, cost, patience):
                self._check(began, wait)
                sleep(wait)
            try:
                yield time.monotonic() - began
            finally:
                self._leave(permit)

    def answered(self, response: requests.Response) -> None:
        """Learn from what the API says of its limit."""
        if _unpaced.is_set():
            return
        wait = retry_after(response) if is_rate_limited(response) else None
        budget = read_budget(response.headers)
        if wait is None and budget is None:
            return
        with self._lock, _transaction(self._connection):
            now = time.time()
            known = _Allowance.read(self._connection, now)
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
        """Take a turn now, or say in how many seconds to try again."""
        with self._lock, _transaction(self._connection):
            now = time.time()
            known = _Allowance.read(self._connection, now)
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
        """Seconds until the limits allow it; 0 if it is taken, and the transaction committed."""
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
        if time.monotonic() - began + wait > self._pace.longest_wait:
            raise self._used_up(wait)

    def _used_up(self, wait: float) -> GaveUp:
        return GaveUp(
            f"was not sent: the limit of {self._key} is used up for another {wait:,.0f} s; "
            "the next run goes on after that"
        )

    @contextmanager
    def _place(self, began: float, sleep: Callable[[float], None]) -> Iterator[None]:
        """One of the places for requests under way; the system frees it if the process dies."""
        if self._pace.at_once is None or self._file is None:
            yield
            return
        while (place := self._free_place(self._file, self._pace.at_once)) is None:
            self._check(began, _LOOK_EVERY)
            sleep(_LOOK_EVERY)
        try:
            yield
        finally:
            # By name: a process forked meanwhile has the descriptor too.
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
        """For the longest window anyone asked for, now or later."""
        longest = max((rate.interval for rate in self._rates), default=0)
        with _transaction(self._connection):
            raise_to = "UPDATE kept SET milliseconds = max(milliseconds, ?)"
            self._connection.execute(raise_to, (longest,))


@dataclass(frozen=True)
class Budget:
    """What an API says is left of its limit; `seconds` until there is more."""

    remaining: int
    seconds: float | None


@dataclass
class _Allowance:
    """What is left by the API's own count, less what was sent since; None if it doesn't say."""

    remaining: int | None = None
    resets_at: float = 0.0
    held_until: float = 0.0

    @classmethod
    def read(cls, connection: sqlite3.Connection, now: float) -> _Allowance:
        row = connection.execute(
            "SELECT remaining, resets_at, held_until, set_at FROM allowance"
        ).fetchone()
        remaining, resets_at, held_until, set_at = row
        if now < set_at:  # the clock was set back
            return cls()
        return cls(remaining if now < resets_at else None, resets_at, held_until)

    def write(self, connection: sqlite3.Connection, now: float) -> None:
        connection.execute(
            "UPDATE allowance SET remaining = ?, resets_at = ?, held_until = ?, set_at = ?",
            (self.remaining, self.resets_at, self.held_until, now),
        )

    def learn(self, now: float, budget: Budget | None, wait: float | None, under_way: int) -> None:
        if wait is not None:
            self.held_until = max(self.held_until, now + min(wait, _LONGEST_HOLD))
        if budget is None or budget.seconds is None:
            return
        resets_at = now + min(budget.seconds, _LONGEST_HOLD)
        # Requests that the API has yet to count are still to be taken off what it reports.
        reported = max(0, budget.remaining - under_way)
        same_window = self.remaining is not None and abs(resets_at - self.resets_at) < 1.5
        if same_window and self.remaining is not None:
            # Its end stays as it was first told: one that moves with each answer, as of sliding
            # windows, would make it last forever.
            self.remaining = min(self.remaining, budget.remaining)
        else:
            self.remaining = reported
            self.resets_at = resets_at

    def wait(self, now: float, cost: int) -> float:
        wait = max(0.0, self.held_until - now)
        if self.remaining is not None and self.remaining < cost:
            wait = max(wait, self.resets_at - now)
        return wait

    def spend(self, cost: int) -> bool:
        if self.remaining is None:
            return False
        self.remaining -= cost
        return True


def read_budget(headers: Mapping[str, str]) -> Budget | None:
    """What the headers say is left: the IETF draft's `RateLimit`, its earlier form of three
    headers, or `X-RateLimit-*` with a reset in seconds or at a point in time. Of several
    policies, the one with the least left.
    """
    if "RateLimit" in headers and (found := _structured(headers["RateLimit"])):
        return found
    for prefix in ("RateLimit-", "X-RateLimit-", "X-Rate-Limit-"):
        remaining = _number(headers.get(f"{prefix}Remaining"))
        if remaining is not None:
            return Budget(int(remaining), _seconds(headers.get(f"{prefix}Reset")))
    return None


def _structured(value: str) -> Budget | None:
    """`"default";r=50;t=30`, and its earlier spelling `limit=100, remaining=50, reset=30`."""
    if "remaining=" in value:
        found = dict(re.findall(r"(\w+)\s*=\s*(\d+)", value))
        return Budget(int(found["remaining"]), _seconds(found.get("reset")))
    budgets = []
    for policy in value.split(","):
        found = dict(re.findall(r";\s*(r|t)\s*=\s*(\d+)", policy))
        if "r" in found:
            budgets.append(Budget(int(found["r"]), _seconds(found.get("t"))))
    return min(budgets, key=lambda budget: budget.remaining, default=None)


def _seconds(reset: str | None) -> float | None:
    """Until a reset that is told in seconds, or as a point in time in seconds or milliseconds
    since 1970, in ISO 8601, or as HTTP has dates."""
    number = _number(reset)
    if number is None:
        number = _timestamp(reset or "")
    if number is None:
        return None
    if number > _EPOCH * 1000:  # milliseconds
        number /= 1000
    seconds = number - time.time() if number > _EPOCH else number
    return max(0.0, seconds) + _ROUNDED


def _timestamp(text: str) -> float | None:
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            at = parse(text.strip())
        except ValueError:
            continue
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    return None


def _milliseconds() -> int:
    return time.time_ns() // 1_000_000


def _number(text: str | None) -> float | None:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*", text or "", re.ASCII)
    return float(match[1]) if match else None


_gates: dict[tuple[str, Pace], Gate] = {}
_gates_lock = threading.Lock()


def _gate(key: str, pace: Pace) -> Gate:
    with _gates_lock:
        gate = _gates.get((key, pace))
        if gate is None:
            gate = _gates[key, pace] = Gate(key, pace)
        return gate


_of_parents: list[Gate] = []


def _leave_to_parent() -> None:
    """A forked process must neither use nor close its parent's connections to SQLite, nor wait
    for locks of threads that it does not have."""
    global _gates_lock
    _gates_lock = threading.Lock()
    _of_parents.extend(_gates.values())
    _gates.clear()


os.register_at_fork(after_in_child=_leave_to_parent)


def _folder() -> Path:
    """Where the machine's paces are: for this user alone.

    Raises SettingsError if it can't be made, or belongs to somebody else.
    """
    folder = Path(tempfile.gettempdir()) / f"landing-pace-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        state = folder.lstat()
    except OSError as error:
        raise SettingsError(
            f"{folder}: requests can't be paced, since that folder can't be made "
            f"({error.strerror}); set TMPDIR to one that can be written to"
        ) from error
    if folder.is_symlink() or state.st_uid != os.getuid() or state.st_mode & 0o077:
        raise SettingsError(
            f"{folder}: requests can't be paced, since others could write to that folder; remove "
            "it, or set TMPDIR to another"
        )
    return folder


def _open(file: Path | None) -> sqlite3.Connection:
    if file is None:
        return _prepared(":memory:")
    database = file.with_suffix(".sqlite")
    try:
        return _prepared(str(database))
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        for leftover in database.parent.glob(f"{database.name}*"):  # a damaged file
            leftover.unlink(missing_ok=True)
        return _prepared(str(database))


def _prepared(database: str) -> sqlite3.Connection:
    # Transactions are begun by hand; SQLite waits for another process's.
    connection = sqlite3.connect(
        database, timeout=60.0, isolation_level=None, check_same_thread=False
    )
    # Enough for kills; what a power cut would lose is no loss.
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=OFF")
    with _transaction(connection):
        connection.execute(
            "CREATE TABLE IF NOT EXISTS permits (name VARCHAR, item_timestamp INTEGER)"
        )
        connection.execute("CREATE INDEX IF NOT EXISTS by_time ON permits (item_timestamp)")
        connection.execute("CREATE INDEX IF NOT EXISTS by_name ON permits (name)")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS allowance (id INTEGER PRIMARY KEY CHECK (id = 1), "
            "remaining INTEGER, resets_at REAL, held_until REAL, set_at REAL)"
        )
        connection.execute("INSERT OR IGNORE INTO allowance VALUES (1, NULL, 0, 0, 0)")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS kept (id INTEGER PRIMARY KEY CHECK (id = 1), "
            "milliseconds INTEGER)"
        )
        connection.execute("INSERT OR IGNORE INTO kept VALUES (1, 0)")
    return connection


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    if connection.in_transaction:
        connection.execute("COMMIT")
