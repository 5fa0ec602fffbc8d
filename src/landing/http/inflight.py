"""Several requests under way at once, results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from itertools import islice
from typing import TypeVar

Start = TypeVar("Start")
Result = TypeVar("Result")


def in_flight(
    fetch: Callable[[Start], Result], starts: Iterable[Start], *, at_once: int = 8
) -> Iterator[Result]:
    """`fetch` of each start, in their order, with up to `at_once` calls under way.

    For paging that does not need the last page to ask for the next: offsets, page numbers, time
    windows. A loop that ends at the first empty page has asked for up to `at_once - 1` pages too
    many. The first exception is raised in its place; calls under way are then waited for.
    """

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
