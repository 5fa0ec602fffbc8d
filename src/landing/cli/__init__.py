"""The command line: parses, calls, prints. `landing VERB …`, or a workspace's own scripts."""

import os
import signal
import threading


def _end(number: int, frame: object) -> None:
    """Ctrl-C while modules are imported: there is nothing to clean up yet."""
    os.write(2, b"interrupted\n")
    os._exit(130)


_is_default = (
    threading.current_thread() is threading.main_thread()
    and signal.getsignal(signal.SIGINT) is signal.default_int_handler
)
if _is_default:
    signal.signal(signal.SIGINT, _end)
try:
    from landing.cli.main import main, script
finally:
    if _is_default:
        signal.signal(signal.SIGINT, signal.default_int_handler)

__all__ = ["main", "script"]
