"""Counts the requests of a stream, and emits an event for each."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from landing.events import Emit, Note, TotalExpected, ignore
from landing.http.answers import Answers, observe
from landing.results import Traffic

_TOTALS = ("X-Total-Count", "X-Total", "X-WP-Total")
"""Headers with the total number of rows of a list."""


class TrafficMeter:
    """Counts a stream's requests, which may come from several threads."""

    def __init__(self, emit: Emit = ignore, stream: str = "", *, counts_rows: bool = True) -> None:
        self.traffic = Traffic()
        self.answers = Answers()
        """The responses, also those to requests that were not made through the client kit."""
        self.emit = emit
        self.stream = stream
        self._counts_rows = counts_rows
        self._readings = 0
        self._expected: int | None = None
        self._warned: set[str] = set()
        self._lock = threading.Lock()
        self._is_over = threading.Event()

    def sleep(self, seconds: float) -> bool:
        """Sleep; return False at once if the stream has ended."""
        return not self._is_over.wait(seconds)

    def end(self) -> None:
        self._is_over.set()

    def sent(self, paced: float) -> None:
        with self._lock:
            self.traffic.requests += 1
            self.traffic.pacing_seconds += paced

    def received(self, size: int) -> None:
        with self._lock:
            self.traffic.bytes += size

    def retried(self, cause: str, waited: float) -> None:
        with self._lock:
            self.traffic.retries[cause] += 1
            self.traffic.retry_seconds += waited

    def warn(self, kind: str, text: str) -> None:
        """Emit a warning, once for each kind: a stream may read thousands of lists."""
        with self._lock:
            is_new = kind not in self._warned
            self._warned.add(kind)
        if is_new:
            self.emit(Note(self.stream, text))

    @property
    def is_first_list(self) -> bool:
        return self._readings <= 1

    def reads(self) -> None:
        """A list is about to be read. If a stream reads several, the total of one is not the
        stream's."""
        with self._lock:
            self._readings += 1
            was_reported, self._expected = self._expected is not None, None
        if was_reported:
            self._emit_total(None)

    def expects(self, rows: int) -> None:
        """The API says that the list has so many rows."""
        with self._lock:
            if self._readings != 1 or rows == self._expected:
                return
            self._expected = rows
        self._emit_total(rows)

    def expects_by(self, headers: Mapping[str, str]) -> None:
        """Take the total from the first response of a list; later ones may count what is left."""
        if self._readings != 1 or self._expected is not None:
            return
        total = next((headers[name] for name in _TOTALS if name in headers), "")
        if total.strip().isdecimal():
            self.expects(int(total))

    def _emit_total(self, rows: int | None) -> None:
        if self._counts_rows:
            self.emit(TotalExpected(self.stream, rows))


_current: ContextVar[TrafficMeter | None] = ContextVar("landing_traffic", default=None)
_running: set[TrafficMeter] = set()
_of_no_stream: ContextVar[bool] = ContextVar("landing_of_no_stream", default=False)


def current() -> TrafficMeter:
    """The meter of the current context; outside of `counting`, one that nobody reads."""
    return _current.get() or TrafficMeter()


@contextmanager
def counting(
    emit: Emit = ignore, stream: str = "", *, counts_rows: bool = True
) -> Iterator[Traffic]:
    """Count the requests made inside, also in threads that run in a copy of the context. Requests
    that still wait afterwards give up, so that a run can be interrupted.

    `counts_rows` is False if the API's totals are not of the stream's rows, but of its parent's.
    """
    meter = TrafficMeter(emit, stream, counts_rows=counts_rows)
    token = _current.set(meter)
    _running.add(meter)
    observe(_of_this_answer)
    _guard_other_clients()
    try:
        yield meter.traffic
    finally:
        _running.discard(meter)
        _current.reset(token)
        meter.end()


def _guard_other_clients() -> None:
    from landing.http import other_clients  # and requests, for which commands without a run wait

    other_clients.guard()


@contextmanager
def of_no_stream() -> Iterator[None]:
    """The responses inside are no stream's, such as those of a login or of a collector."""
    token = _of_no_stream.set(True)
    try:
        yield
    finally:
        _of_no_stream.reset(token)


def is_of_no_stream() -> bool:
    return _of_no_stream.get()


def _of_this_answer() -> tuple[list[Answers], bool]:
    """Where to count a response of the current thread: with its stream, or with all streams if the
    thread is of no stream; a stream may have started it, or another library."""
    if _of_no_stream.get():
        return [], False
    meter = _current.get()
    running = [meter] if meter is not None else list(_running)
    return [one.answers for one in running], meter is not None
