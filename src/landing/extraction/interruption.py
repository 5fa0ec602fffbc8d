"""That this process is to end.

A signal raises an exception. Python drops what is raised while a destructor runs: then it is
raised again a moment later. Code that catches everything drops it, too: what takes long looks here.
"""

from __future__ import annotations

import signal
import sys
import threading
from typing import Any

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
"""Exit codes, as shells have them."""

_A_MOMENT = 0.01
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
    signal.signal(signal.SIGALRM, _raise)
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, _receive)
    sys.unraisablehook = _raise_again


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


def _raise(number: int, frame: object) -> None:
    raise Interrupted


def _raise_again(dropped: Any) -> None:
    """In place of what Python prints of an exception that it drops."""
    if issubclass(dropped.exc_type, Interrupted):
        signal.setitimer(signal.ITIMER_REAL, _A_MOMENT)
    else:
        sys.__unraisablehook__(dropped)
