"""Sends several requests at a time, and returns their results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from itertools import islice
from typing import TypeVar

Start = TypeVar("Start")
Result = TypeVar("Result")

_one_by_one: ContextVar[bool] = ContextVar("one_by_one", default=False)


@contextmanager
def one_by_one() -> Iterator[None]:
    """Inside, `in_flight` makes one call at a time."""
    token = _one_by_one.set(True)
    try:
        yield
    finally:
        _one_by_one.reset(token)


def in_flight(
    fetch: Callable[[Start], Result], starts: Iterable[Start], *, at_once: int = 8
) -> Iterator[Result]:
    """Yields `fetch(start)` for each start, in order, with up to `at_once` calls in progress.

    Use it if a page can be requested without having seen the one before: by offset, page number or
    time. A loop that ends at the first empty page has requested up to `at_once - 1` pages too many.
    An exception is raised where its result would come, after the calls in progress have ended.
    """
    if _one_by_one.get():
        yield from map(fetch, starts)
        return
    remaining = iter(starts)
    with ThreadPoolExecutor(at_once, thread_name_prefix="landing-fetch") as threads:

        def calls(count: int) -> Iterator[Future[Result]]:
            # In the caller's context, where requests are counted for its stream.
            for start in islice(remaining, count):
                yield threads.submit(copy_context().run, fetch, start)

        waiting = deque(calls(at_once))
        try:
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(calls(1))
                yield result
        finally:
            for call in waiting:
                call.cancel()
