"""How the process allocates memory: a run's peak is what a pod has to request."""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Any

_M_ARENA_MAX = -8
"""Of `mallopt`, in glibc's malloc.h."""
_ARENAS = 2


def keep_little() -> None:
    """Have freed memory used again by any thread. Call before pyarrow is imported.

    Arrow's own allocator keeps memory for the thread that freed it, and glibc has an arena for
    each thread: together 50 MB of a run, and no time is saved.
    """
    # Arrow reads it with its first allocation; `pa.set_memory_pool` leaves most of its functions
    # with their own allocator.
    if "pyarrow" not in sys.modules:
        os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    if (mallopt := _of_glibc("mallopt")) is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)


def return_freed() -> None:
    """Return freed memory to the system, in a few milliseconds."""
    if (trim := _of_glibc("malloc_trim")) is not None:
        trim(0)


def _of_glibc(name: str) -> Any:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
