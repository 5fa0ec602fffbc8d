"""Runs calls that mostly need no interpreter lock beside the thread that waits for them."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import TypeVar

Result = TypeVar("Result")

_THREADS = max(2, os.cpu_count() or 1)


def start(call: Callable[[], Result]) -> Future[Result]:
    try:
        return _pool().submit(call)
    except RuntimeError:  # the interpreter is ending, and starts no more threads
        done: Future[Result] = Future()
        done.set_result(call())
        return done


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="landing-columns")


os.register_at_fork(after_in_child=_pool.cache_clear)  # a forked process has none of the threads
