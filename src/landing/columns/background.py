"""Runs calls that need no interpreter lock beside the thread that waits for them."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import TypeVar

Result = TypeVar("Result")

_THREADS = 2


def start(call: Callable[[], Result]) -> Future[Result]:
    return _pool().submit(call)


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="landing-columns")


if hasattr(os, "register_at_fork"):  # a forked process has none of the threads
    os.register_at_fork(after_in_child=_pool.cache_clear)
