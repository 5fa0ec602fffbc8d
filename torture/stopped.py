"""A process that does nothing more at one of its requests to the bucket, until it may go on.

The request is kept by the proxy before the bucket, and reaches it late: before the process goes on,
or in place of it, if it was killed.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tests.servers.proxy import Exchange, Request
from torture.fleet import Ended, Fleet, Running

_PATIENCE = 600.0
"""Seconds that a request is kept at most: the second run may take long on a busy machine."""

PATIENT = {"MY_API_TIMEOUT": "100", "LANDING_STALL_MINUTES": "10"}
"""What a run needs beside many others: the machine is busy, and the API is slow."""

Cause = Literal["stopped", "cut off", "killed"]
Moment = Literal["before", "half", "after"]


@dataclass(frozen=True)
class Place:
    """The `nth` of the requests that match, counted from 0: before it reaches the bucket, with
    half of its body sent, or once the bucket has done it."""

    when: Callable[[Request], bool]
    nth: int
    moment: Moment


class Stopped:
    """A process that does nothing more between its place and `go_on`."""

    def __init__(
        self, fleet: Fleet, cause: Cause, place: Place, start: Callable[[], Running]
    ) -> None:
        self._fleet = fleet
        self._cause = cause
        self._place = place
        self._seen = 0
        self._kept = 0
        self._lock = threading.Lock()
        self._reached = threading.Event()
        self._may_go_on = threading.Event()
        self._is_quiet = threading.Condition(self._lock)
        self.request = ""
        """The one that it was stopped at."""
        self._started = threading.Event()
        fleet.bucket_proxy.spoil(self._watch, times=float("inf"))
        self.running = start()
        self._started.set()

    def is_reached(self) -> bool:
        """Whether it came to its place; False if it ended before."""
        while not self._reached.wait(0.02):
            if self.running.process.poll() is not None:
                return False
        return True

    def go_on(self) -> Ended:
        if self._cause == "stopped" and self._reached.is_set():
            os.kill(self.running.process.pid, signal.SIGCONT)
        self._may_go_on.set()
        ended = self._fleet.ended(self.running)
        with self._is_quiet:  # what was kept of a process that was killed arrives now
            self._is_quiet.wait_for(lambda: not self._kept, timeout=_PATIENCE)
        self._fleet.bucket_proxy.fix()
        return ended

    def _watch(self, exchange: Exchange) -> None:
        with self._lock:
            self._kept += 1
        try:
            self._pass(exchange)
        finally:
            with self._is_quiet:
                self._kept -= 1
                self._is_quiet.notify_all()

    def _pass(self, exchange: Exchange) -> None:
        if self._reached.is_set() and not self._may_go_on.is_set():
            self._may_go_on.wait(_PATIENCE)  # what it asks while it is cut off
        nth = -1
        if self._place.when(exchange.request):
            with self._lock:
                nth, self._seen = self._seen, self._seen + 1
        if nth != self._place.nth or self._may_go_on.is_set():
            exchange.answer(exchange.forward())
            return
        self.request = f"{exchange.request.method} {exchange.request.path}"
        if self._place.moment == "half":
            exchange.answer(exchange.forward_slowly(self._stop))
        elif self._place.moment == "before":
            self._stop()
            exchange.answer(exchange.forward())
        else:
            response = exchange.forward()
            self._stop()
            exchange.answer(response)

    def _stop(self) -> None:
        self._started.wait()
        if self._cause == "stopped":
            os.kill(self.running.process.pid, signal.SIGSTOP)
        elif self._cause == "killed":
            self.running.kill()
        self._reached.set()
        self._may_go_on.wait(_PATIENCE)
