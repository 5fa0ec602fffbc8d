"""Names processes, so that another process of the same machine can tell whether one has ended."""

from __future__ import annotations

import os
from pathlib import Path


def process_name(pid: int | None = None) -> str:
    """The boot and the namespace of processes, number and start; empty where the system does not
    tell, as outside of Linux. By default of this process."""
    number = os.getpid() if pid is None else pid
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = Path("/proc/self/ns/pid").readlink()
        # The program's name may have spaces and parentheses.
        started = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
    return f"{boot}/{namespace}/{number}/{started}"


def has_ended(name: str) -> bool:
    """Whether a process of this boot and namespace has ended; False for any other, whose end can't
    be known from here."""
    machine, _, number = name.rpartition("/")[0].rpartition("/")
    is_of_here = bool(machine) and process_name().startswith(f"{machine}/")
    if not is_of_here or not number.isdecimal():
        return False
    named = process_name(int(number))
    return named != name if named else not _exists(int(number))


def _exists(pid: int) -> bool:
    """Also of another user's process that this one may not look at."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
