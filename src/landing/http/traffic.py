"""What a stream asked of its API, counted where the requests are made."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

from landing.http.answers import Answers, observe

_TOTALS = ("X-Total-Count", "X-Total", "X-WP-Total")
"""Headers in which APIs tell how many rows a list has in all."""


@dataclass(frozen=True)
class Attempt:
    """One request as it went over the network."""

    method: str
    url: str
    """As it was asked for, its query included: not fit to be told as it is."""
    status: int | None
    """None if there was no answer."""
    seconds: float
    """Without the wait for its turn."""
    paced: float
    """Seconds of that wait."""
    retried: str | None
    """Why it is made again, as in `Traffic.retries`; None if this was the last."""
    retry_wait: float = 0.0
    """Seconds until it is."""
    size: int = 0
    """Bytes of the body, as it came over the network."""


class Listener(Protocol):
    """Told of traffic as it happens, from the threads that make it."""

    def requested(self, attempt: Attempt) -> None:
        """An attempt has ended."""

    def delayed(self, seconds: float) -> None:
        """A request waits so long for its turn."""

    def expected(self, rows: int | None) -> None:
        """So many rows the API has; None if it has turned out that this is not known."""


class Traffic:
    """Requests made through the client kit, retries and redirects included."""

    def __init__(self, listener: Listener | None = None) -> None:
        self.listener = listener
        self.requests = 0
        self.retries: Counter[str] = Counter()
        """By cause: a status such as "429", or the name of what went wrong."""
        self.pacing_seconds = 0.0
        """Waited so as not to pass a limit, summed over all threads."""
        self.retry_seconds = 0.0
        """Waited between an attempt that failed and the next, summed over all threads."""
        self.bytes = 0
        """Of bodies, as they came over the network."""
        self.answers = Answers()
        """Also of requests that were not made through the kit."""
        self._readings = 0
        self._expected: int | None = None
        self._lock = threading.Lock()
        self._is_over = threading.Event()

    def sleep(self, seconds: float) -> bool:
        """Sleep; False, and at once, if the stream has ended and nobody waits any more."""
        return not self._is_over.wait(seconds)

    def end(self) -> None:
        self._is_over.set()

    def sent(self, paced: float) -> None:
        with self._lock:
            self.requests += 1
            self.pacing_seconds += paced

    def reads(self) -> None:
        """A list is about to be read. Of two, what one of them has is not what there is."""
        with self._lock:
            self._readings += 1
            was_reported, self._expected = self._expected is not None, None
        if was_reported and self.listener is not None:
            self.listener.expected(None)

    def expects(self, rows: int) -> None:
        """The list that is read has so many rows, its API says."""
        with self._lock:
            if self._readings != 1 or rows == self._expected:
                return
            self._expected = rows
        if self.listener is not None:
            self.listener.expected(rows)

    def expects_by(self, headers: Mapping[str, str]) -> None:
        """What the first answer of a list tells; later ones may count what is left."""
        if self._readings != 1 or self._expected is not None:
            return
        message = next((headers[name] for name in _TOTALS if name in headers), "")
        if message.strip().isdecimal():
            self.expects(int(message))

    def received(self, size: int) -> None:
        with self._lock:
            self.bytes += size

    def retried(self, cause: str, waited: float) -> None:
        with self._lock:
            self.retries[cause] += 1
            self.retry_seconds += waited

    def __str__(self) -> str:
        """`12 requests, 3 retries (429), waited 4.2 s for pacing`; empty if there were none."""
        if not self.requests:
            return ""
        message = [f"{self.requests:,} request{'s' if self.requests != 1 else ''}"]
        if count := self.retries.total():
            causes = ", ".join(f"{cause} ×{n}" if n > 1 else cause for cause, n in self._causes())
            message.append(f"{count:,} {'retries' if count != 1 else 'retry'} ({causes})")
        waits = ((self.pacing_seconds, "for pacing"), (self.retry_seconds, "to retry"))
        message += [f"waited {seconds:.1f} s {why}" for seconds, why in waits if seconds >= 0.05]
        return ", ".join(message)

    def _causes(self) -> list[tuple[str, int]]:
        if len(self.retries) == 1:  # its number is that of all retries
            return [(cause, 1) for cause in self.retries]
        return self.retries.most_common()


_current: ContextVar[Traffic | None] = ContextVar("landing_traffic", default=None)
_running: set[Traffic] = set()


def current() -> Traffic:
    """Where to count now; one that nobody reads, outside of `counting`."""
    return _current.get() or Traffic()


@contextmanager
def counting(listener: Listener | None = None) -> Iterator[Traffic]:
    """Count what is requested inside, in threads too that run in a copy of the context; those
    that still wait for their turn afterwards are sent home, so that a run can be interrupted."""
    traffic = Traffic(listener)
    token = _current.set(traffic)
    _running.add(traffic)
    observe(_of_this_answer)
    try:
        yield traffic
    finally:
        _running.discard(traffic)
        _current.reset(token)
        traffic.end()


def _of_this_answer() -> list[Answers]:
    """A thread that a stream started itself does not know whose it is: then it may be anyone's."""
    traffic = _current.get()
    return [one.answers for one in ([traffic] if traffic is not None else list(_running))]
