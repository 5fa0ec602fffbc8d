"""Waits that a signal ends.

Python handles a signal between two of its own instructions: none while a library that is not
written in Python, such as the bucket's client, waits for an answer in the main thread. An upload
may take minutes, and a pod is killed 30 seconds after SIGTERM.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any


def waited(call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """The result of `call`. If a signal raises an exception in the main thread meanwhile, the call
    is left behind in its own thread, which the process does not wait for."""
    if threading.current_thread() is not threading.main_thread():
        return call(*arguments, **named)
    done: Future[Any] = Future()

    def run() -> None:
        try:
            done.set_result(call(*arguments, **named))
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, name="landing-bucket", daemon=True).start()
    return done.result()
