"""Runs an iterator ahead of its consumer, in its own thread and with bounded memory."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing
from contextvars import copy_context
from typing import Generic, TypeVar

Item = TypeVar("Item")

_END = object()
_PATIENCE = 5.0
"""Seconds to wait for a request that is under way; after that, its thread is abandoned."""
_LOOK_EVERY = 0.1
"""Seconds between two calls of `check` while the consumer waits."""


class Prefetched(Generic[Item]):
    """Iterates over the generator that `make` returns, up to `ahead` items ahead. With 0, an
    item is made once it is wanted.

    `context` is entered in the thread, for thread-local state. An exception of the generator is
    raised at the consumer, after the items before it. `close` ends the thread; it waits up to 5 s
    for the item under way. While the consumer waits, `check` is called with the seconds waited so
    far, and may raise.
    """

    def __init__(
        self,
        make: Callable[[], Generator[Item, None, None]],
        context: Callable[[], AbstractContextManager[None]],
        ahead: int,
        check: Callable[[float], None] | None = None,
    ) -> None:
        self._make = make
        self._context = context
        self._check = check
        self._items: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._wanted: queue.SimpleQueue[None] = queue.SimpleQueue()
        """One entry for each item that may be made."""
        for _ in range(ahead):
            self._wanted.put(None)
        self._closed = threading.Event()
        self._thread = threading.Thread(
            target=copy_context().run, args=(self._run,), name="landing-pages", daemon=True
        )

    def __iter__(self) -> Iterator[Item]:
        self._thread.start()
        while True:
            item = self._next()
            if item is _END:
                return
            if isinstance(item, _Raised):
                raise item.error
            yield item  # type: ignore[misc]

    def _next(self) -> object:
        self._wanted.put(None)
        if self._check is None:
            return self._items.get()
        begun = time.monotonic()
        while True:
            self._check(time.monotonic() - begun)
            try:
                return self._items.get(timeout=_LOOK_EVERY)
            except queue.Empty:
                continue

    def close(self) -> None:
        self._closed.set()
        self._wanted.put(None)  # wakes the thread where it waits
        if self._thread.is_alive():
            self._thread.join(_PATIENCE)

    def _run(self) -> None:
        try:
            with self._context(), closing(self._make()) as items:
                while self._is_wanted():
                    item = next(items, _END)
                    self._items.put(item)
                    if item is _END:
                        return
        except BaseException as error:
            self._items.put(_Raised(error))

    def _is_wanted(self) -> bool:
        self._wanted.get()
        return not self._closed.is_set()


class _Raised:
    def __init__(self, error: BaseException) -> None:
        self.error = error
