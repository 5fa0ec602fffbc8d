"""Several calls at a time, which end together when the process is interrupted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

from landing.extraction import interruption
from landing.extraction.failures import raise_if_interrupted

Job = TypeVar("Job")
Result = TypeVar("Result")

_GRACE = 10.0
"""Seconds that calls have to end themselves in; past them they are left behind."""


class Stop:
    """Asked for by the main thread, which alone is interrupted; looked at by the others."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def ask(self) -> None:
        self._event.set()

    def check(self) -> None:
        """Raises KeyboardInterrupt once it was asked for."""
        interruption.check()
        if self._event.is_set():
            raise KeyboardInterrupt


def waits(stop: Stop, notify: Callable[[str], None]) -> Callable[[str], None]:
    """To be called again and again while something is waited for: tells it once, and raises
    KeyboardInterrupt once `stop` was asked for."""
    message = False

    def waiting(what: str) -> None:
        nonlocal message
        stop.check()
        if not message:
            notify(f"waits: {what}")
        message = True

    return waiting


def side_by_side(
    call: Callable[[Job, Stop], Result], jobs: Sequence[Job], workers: int
) -> list[Result | Exception]:
    """Each job's result, or what it raised, in the order of the jobs.

    A single one is called in this thread. Raises KeyboardInterrupt, if there is one, after the
    calls under way had the time to end.
    """
    stop = Stop()
    if workers == 1 or len(jobs) == 1:
        return [_outcome(call, job, stop) for job in jobs]
    threads = ThreadPoolExecutor(workers, thread_name_prefix="landing-stream")
    futures = [threads.submit(_outcome, call, job, stop) for job in jobs]
    try:
        return [future.result() for future in futures]
    except BaseException:
        stop.ask()
        _cancel(futures)
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


def _cancel(futures: Sequence[Future[Result | Exception]]) -> None:
    for future in futures:
        future.cancel()
    wait(futures, timeout=_GRACE)
