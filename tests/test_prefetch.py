"""Running ahead: bounded, in order, and over when its consumer is."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import closing, nullcontext

import pytest

from landing.extraction.prefetch import Prefetched


def numbers(made: list[int], count: int = 1_000_000) -> Generator[int, None, None]:
    for number in range(count):
        made.append(number)
        yield number


def test_items_come_in_order_and_end() -> None:
    with closing(Prefetched(lambda: numbers([], 100), nullcontext, 3)) as ahead:
        assert list(ahead) == list(range(100))


def test_it_runs_no_further_ahead_than_allowed() -> None:
    made: list[int] = []
    with closing(Prefetched(lambda: numbers(made), nullcontext, 3)) as ahead:
        items = iter(ahead)
        assert next(items) == 0
        deadline = time.monotonic() + 1
        while len(made) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05)
        assert len(made) == 4, "one consumed, three waiting"


def test_nothing_is_made_ahead_that_is_not_wanted() -> None:
    made: list[int] = []
    with closing(Prefetched(lambda: numbers(made), nullcontext, 0)) as ahead:
        items = iter(ahead)
        assert [next(items), next(items)] == [0, 1]
        time.sleep(0.05)
        assert made == [0, 1]


def test_an_exception_is_raised_where_the_item_would_have_been() -> None:
    def fails() -> Generator[int, None, None]:
        yield 1
        raise ValueError("no")

    items = iter(Prefetched(fails, nullcontext, 3))
    assert next(items) == 1
    with pytest.raises(ValueError, match="no"):
        next(items)


def test_closing_early_ends_the_thread_and_the_generator() -> None:
    ended = threading.Event()

    def endless() -> Generator[int, None, None]:
        try:
            while True:
                yield 1
        finally:
            ended.set()

    with closing(Prefetched(endless, nullcontext, 2)) as ahead:
        assert next(iter(ahead)) == 1
    assert ended.is_set()
    assert not any(thread.name == "landing-pages" for thread in threading.enumerate())


@pytest.mark.parametrize("count", [1, 1_000_000])
def test_closing_does_not_wait_for_a_thread_that_waits(count: int) -> None:
    """The thread polled every 0.1 s, and each run waited for that at its end."""
    waits = []
    for _ in range(5):
        ahead = Prefetched(lambda: numbers([], count), nullcontext, 0)
        items = iter(ahead)
        assert next(items) == 0
        if count == 1:
            assert next(items, None) is None
        time.sleep(0.01)  # by now it waits until it is wanted, or has ended
        begun = time.monotonic()
        ahead.close()
        waits.append(time.monotonic() - begun)
    assert min(waits) < 0.02
