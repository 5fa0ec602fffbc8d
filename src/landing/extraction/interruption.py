"""Ends this process on a signal.

A signal raises an exception. Python drops an exception that is raised in a destructor, so it is
raised again a moment later. Code that catches everything drops it too, so long operations call
`check`.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from typing import Any

CODES = {signal.SIGHUP: 129, signal.SIGINT: 130, signal.SIGTERM: 143}
"""Exit codes, as shells have them."""

_A_MOMENT = 0.01
_received: list[int] = []
_requested = threading.Event()


class Interrupted(KeyboardInterrupt):
    """The process was interrupted: by Ctrl-C, by SIGTERM, with which a pod is ended, or because its
    terminal was closed."""


def listen() -> None:
    """From now on, these signals raise Interrupted in the main thread. Call it there.

    SIGINT and SIGHUP stay ignored where they are, as in a shell's background job or by `nohup`.
    """
    _requested.clear()
    _received.clear()
    signal.signal(signal.SIGALRM, _raise)
    for number in CODES:
        if number == signal.SIGTERM or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _receive)
    sys.unraisablehook = _raise_again


def check() -> None:
    """Raises Interrupted if a signal came."""
    if _requested.is_set():
        raise Interrupted


def code() -> int:
    """The exit code of a process that was interrupted."""
    return CODES[signal.Signals(_received[0])] if _received else CODES[signal.SIGINT]


def signal_name() -> str | None:
    """The signal that interrupted this process; None if none came."""
    return signal.Signals(_received[0]).name if _received else None


def end_process(code: int) -> int:
    """End the process: at once if it was interrupted, or has given up on something that goes on in
    a thread, which Python would wait for or end in the middle of a request."""
    threads = threading.enumerate()
    is_left_behind = any(one.daemon and one.name.startswith("landing-") for one in threads)
    if is_left_behind or code in CODES.values():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    # Python's last collections would look at all that a run has made, and free nothing.
    gc.freeze()
    return code


def _receive(number: int, frame: object) -> None:
    _received.append(number)
    _requested.set()
    raise Interrupted


def _raise(number: int, frame: object) -> None:
    raise Interrupted


def _raise_again(dropped: Any) -> None:
    """Called by Python for an exception that it drops; raises the interruption again."""
    if issubclass(dropped.exc_type, Interrupted):
        signal.setitimer(signal.ITIMER_REAL, _A_MOMENT)
    else:
        sys.__unraisablehook__(dropped)
