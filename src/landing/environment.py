"""The environment, read while other threads may change it, and hidden from other libraries."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

_hiding: Counter[str] = Counter()
"""By the beginning of the variables' names: how many threads hide them now."""
_lock = threading.Lock()


def variables() -> dict[str, str]:
    """The environment's variables now. `dict(os.environ)` fails if a thread, such as one of a
    source's library, removes a variable meanwhile."""
    while True:
        try:
            return dict(os.environ)
        except (KeyError, RuntimeError):
            continue


@contextmanager
def hidden(beginning: str | None) -> Iterator[None]:
    """Hide variables whose names begin with this from libraries that are not written in Python,
    such as a bucket's client, which would prefer them to the options that it is given.

    `os.environ` keeps them, as other threads read it meanwhile: each request looks there for
    proxies, and a source may need these very variables. None hides nothing.
    """
    if beginning is None:
        yield
        return
    with _lock:
        _hiding[beginning] += 1
    try:
        with _lock:
            for name in _beginning_with(beginning):
                os.unsetenv(name)
        yield
    finally:
        with _lock:
            _hiding[beginning] -= 1
            if not _hiding[beginning]:
                for name, value in _beginning_with(beginning).items():
                    os.putenv(name, value)


def _beginning_with(text: str) -> dict[str, str]:
    return {name: value for name, value in variables().items() if name.startswith(text)}
