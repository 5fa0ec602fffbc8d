"""The converters of a process, shared by its streams."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import closing
from typing import Self, TypeAlias

from landing.columns import Columns, Converted
from landing.converters.frames import Spec, encode
from landing.converters.process import Converter, Job
from landing.http import JsonPage

START_BYTES = 4 * 1024 * 1024
"""Of pages; fewer are done before a converter would be there."""
_PATIENCE = 5.0
"""Seconds that a converter has to end in; past them its thread is left behind."""

Result: TypeAlias = Converted | None


class Converters:
    """Up to `most` processes that make columns of pages of JSON.

    The first is started once there is enough to do, another where those that are there can't keep
    up. One that dies or can't be started is told, and none is started any more: what they don't do
    is the caller's.
    """

    def __init__(
        self, most: int, tell: Callable[[str], None], start_bytes: int = START_BYTES
    ) -> None:
        self._may_start = most
        self._tell = tell
        self._bytes_left = start_bytes
        self._lock = threading.Lock()
        self._jobs: queue.SimpleQueue[tuple[Job, Future[Result]] | None] = queue.SimpleQueue()
        self._unfinished = 0
        self._is_over = False
        self._threads: list[threading.Thread] = []
        self._started: set[Converter] = set()
        self._ready: set[Converter] = set()
        self._numbers: dict[bytes, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        with self._lock:
            self._is_over = True
            self._may_start = 0
            self._ready.clear()
            self._leave_undone()
            for converter in self._started:
                converter.end()
        for _thread in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join(_PATIENCE)

    @property
    def are_up(self) -> bool:
        """Pages are better left undecoded, since a converter will do that."""
        return bool(self._ready)

    def submit(
        self, spec: Spec, pages: Sequence[JsonPage], given: str | None
    ) -> Future[Result] | None:
        """The pages' columns, and what the API gave of one field. None if no converter takes them;
        the result is None where the columns have to be made carefully."""
        with self._lock:
            self._bytes_left -= sum(len(page.content) for page in pages)
            if self._bytes_left <= 0:
                self._start_if_needed()
            if not self._ready or any(page.is_decoded for page in pages):
                return None
            number = self._numbers.setdefault(encode(spec), len(self._numbers))
            future: Future[Result] = Future()
            self._jobs.put((Job(number, spec, pages, given), future))
            self._unfinished += 1
            return future

    def _start_if_needed(self) -> None:
        count = len(self._threads)
        if (
            self._may_start
            and len(self._ready) == count
            and (self._unfinished > count or not count)
        ):
            self._may_start -= 1
            thread = threading.Thread(target=self._run, name="landing-converter", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # as many as the machine or the container allows
                self._may_start = 0
                self._tell_lost(error)
            else:
                self._threads.append(thread)

    def _run(self) -> None:
        """The life of one converter, which its thread waits for most of the time."""
        try:
            with closing(Converter()) as converter:
                self._serve(converter)
        except Exception as error:
            if not self._is_over:
                self._tell_lost(error)

    def _tell_lost(self, error: Exception) -> None:
        why = str(error) or type(error).__name__
        self._tell(
            f"a process that converts pages has ended ({why}): the run goes on without, and slower"
        )

    def _serve(self, converter: Converter) -> None:
        with self._lock:
            if self._is_over:
                return
            self._started.add(converter)
        try:
            converter.wait_until_ready()
            self._is_ready(converter)
            while (task := self._jobs.get()) is not None:
                self._do(*task, converter)
        finally:
            self._lose(converter)

    def _is_ready(self, converter: Converter) -> None:
        with self._lock:
            if not self._is_over:
                self._ready.add(converter)

    def _do(self, job: Job, future: Future[Result], converter: Converter) -> None:
        result = None
        try:
            result = converter.convert(job)
        finally:
            with self._lock:
                self._unfinished -= 1
            future.set_result(result)

    def _lose(self, converter: Converter) -> None:
        with self._lock:
            self._may_start = 0
            self._started.discard(converter)
            self._ready.discard(converter)
            if not self._ready and not self._is_over:
                self._leave_undone()

    def _leave_undone(self) -> None:
        """What waits is given back; with the lock held, so that nothing more comes."""
        while True:
            try:
                task = self._jobs.get_nowait()
            except queue.Empty:
                return
            if task is not None:
                self._unfinished -= 1
                task[1].set_result(None)


def spec_of(columns: Columns) -> Spec | None:
    """None for columns that no converter makes: of dictionaries alone, or with private values, of
    which it is not to know the key."""
    if columns.record is None or columns.has_private:
        return None
    return Spec(dict(columns.fields), columns.tombstones)
