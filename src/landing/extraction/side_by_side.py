"""Runs several calls at the same time and ends them together when the process is interrupted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from landing.extraction import interruption
from landing.extraction.failures import raise_if_interrupted

Job = TypeVar("Job")
Result = TypeVar("Result")

_GRACE = 10.0
"""Seconds that calls get to end; after that, their threads are abandoned."""


class Stop:
    """A stop request from the main thread, which alone gets signals, to the other threads."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def request(self) -> None:
        self._event.set()

    def check(self) -> None:
        """Raises KeyboardInterrupt once a stop was requested."""
        interruption.check()
        if self._event.is_set():
            raise KeyboardInterrupt


def waits(stop: Stop, notify: Callable[[str], None]) -> Callable[[str], None]:
    """A callback to call repeatedly during a wait. It notifies once, and raises KeyboardInterrupt
    when a stop is requested."""
    is_notified = False

    def waiting(what: str) -> None:
        nonlocal is_notified
        stop.check()
        if not is_notified:
            notify(f"waits: {what}")
        is_notified = True

    return waiting


def side_by_side(
    call: Callable[[Job, Stop], Result], jobs: Sequence[Job], workers: int
) -> list[Result | Exception]:
    """Each job's result, or the exception that it raised, in the order of the jobs.

    A single job runs in this thread. Raises KeyboardInterrupt after the calls under way have had
    time to end.
    """
    stop = Stop()
    if workers == 1 or len(jobs) == 1:
        return [_outcome(call, job, stop) for job in jobs]
    threads = ThreadPoolExecutor(workers, thread_name_prefix=f"landing-stream-{id(stop)}")
    try:
        futures = [threads.submit(_outcome, call, job, stop) for job in jobs]
        return [future.result() for future in futures]
    except BaseException:
        stop.request()
        threads.shutdown(wait=False, cancel_futures=True)
        _wait_for_threads(f"landing-stream-{id(stop)}")
        raise
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


def _outcome(call: Callable[[Job, Stop], Result], job: Job, stop: Stop) -> Result | Exception:
    try:
        stop.check()
        return call(job, stop)
    except Exception as error:
        raise_if_interrupted(error)
        return error


def _wait_for_threads(name: str) -> None:
    """Also for one that was being started when the signal came, which the pool does not know."""
    until = time.monotonic() + _GRACE
    while any(thread.name.startswith(name) for thread in threading.enumerate()):
        if time.monotonic() > until:
            return
        time.sleep(0.01)
