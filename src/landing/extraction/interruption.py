"""That this process is to end.

A signal raises an exception, but Python drops what is raised while a destructor runs, and so does
code that catches everything. What takes long therefore looks here, too.
"""

from __future__ import annotations

import signal
import threading

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
"""Exit codes, as shells have them."""

_received: list[int] = []
_requested = threading.Event()


class Interrupted(KeyboardInterrupt):
    """By Ctrl-C, or by SIGTERM, with which a pod is ended."""


def listen() -> None:
    """From now on, both signals raise Interrupted in the main thread. Call it there.

    SIGINT stays ignored where it is, as in a shell's background job.
    """
    _requested.clear()
    _received.clear()
    signal.signal(signal.SIGTERM, _receive)
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, _receive)


def check() -> None:
    """Raises Interrupted if a signal came."""
    if _requested.is_set():
        raise Interrupted


def code() -> int:
    """The exit code of a process that was interrupted."""
    return CODES[signal.Signals(_received[0])] if _received else CODES[signal.SIGINT]


def _receive(number: int, frame: object) -> None:
    _received.append(number)
    _requested.set()
    raise Interrupted
