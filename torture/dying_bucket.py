"""A bucket in memory that kills the process which uses it, as far as the bucket can see.

From that moment on it refuses all that the run still tries, as a dead process tries nothing: its
lease stays, and what it had begun to write is there or not.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from obstore.store import MemoryStore

from landing.catalog.settings import BucketSettings
from landing.zone.bucket import Bucket

Moment = Literal["before", "after"]


class Killed(BaseException):
    """Where a process would be gone."""


class DyingBucket(Bucket):
    def __init__(self) -> None:
        self.memory = MemoryStore()
        settings = BucketSettings("s3://histories", None, is_default=False)
        super().__init__(settings, lambda *_: self.memory)
        self._dies_at: tuple[int, Moment] | None = None
        self._calls = 0
        self._lock = threading.Lock()
        self.is_dead = False

    @staticmethod
    @contextmanager
    def _as_sent(file: Path) -> Iterator[Any]:
        yield file.read_bytes()  # a store in memory keeps what it is given, and a map is closed

    def live(self, dies_at: tuple[int, Moment] | None = None) -> None:
        """A new process begins, which dies before or after this call, counted from 0."""
        self._dies_at, self._calls, self.is_dead = dies_at, 0, False

    def die(self) -> None:
        self.is_dead = True
        raise Killed

    def check(self) -> None:
        if self.is_dead:
            raise Killed

    @contextmanager
    def _explained(self, verb: str, path: str) -> Iterator[None]:
        self.check()
        with self._lock:
            number, self._calls = self._calls, self._calls + 1
        if self._dies_at == (number, "before"):
            self.die()
        try:
            with super()._explained(verb, path):
                yield
        finally:
            if self._dies_at == (number, "after"):
                self.die()
