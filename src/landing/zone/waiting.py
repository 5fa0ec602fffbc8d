"""Waits that a signal ends, and what goes on after them.

Python handles a signal between two of its own instructions: none while a library that is not
written in Python, such as the bucket's client, waits for an answer in the main thread. An upload
may take minutes, and a pod is killed 30 seconds after SIGTERM.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any

_writes: set[Future[Any]] = set()
"""Those of the main thread that are under way, each in a thread of its own."""


def waited(call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """The result of `call`. If a signal raises an exception in the main thread meanwhile, the call
    is left behind in its own thread, which the process does not wait for."""
    if not _is_main():
        return call(*arguments, **named)
    return _begun(Future(), call, *arguments, **named).result()


def waited_write(call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """The same for a write that must not arrive once another process has the lease."""
    if not _is_main():
        return call(*arguments, **named)
    done: Future[Any] = Future()
    _writes.add(done)  # before it begins, since a signal may come at any time
    done.add_done_callback(_writes.discard)
    return _begun(done, call, *arguments, **named).result()


def writes_end(within: float) -> bool:
    """Whether no write is left behind after at most so many seconds."""
    return not wait(set(_writes), max(within, 0.0)).not_done


def _is_main() -> bool:
    """Signals interrupt only the main thread."""
    return threading.current_thread() is threading.main_thread()


def _begun(
    done: Future[Any], call: Callable[..., Any], *arguments: Any, **named: Any
) -> Future[Any]:
    def run() -> None:
        try:
            done.set_result(call(*arguments, **named))
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, name="landing-bucket", daemon=True).start()
    return done
