"""What a converter runs, `python -m landing.converters.program`: requests in, answers out.

It knows no more than the columns and the pages it is given, and ends with the process that
started it, however that ends.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any


class _Hidden:
    """Finds no pandas and no numpy: Arrow imports them where they are installed, for values that
    do not come here."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name in ("numpy", "pandas"):
            raise ModuleNotFoundError(name, name=name)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # at a terminal, it comes to the run as well
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what anything prints is no answer
    sys.meta_path.insert(0, _Hidden())
    from landing.converters.serving import serve
    from landing.tuning import collect_less

    collect_less()
    try:
        serve(sys.stdin.buffer, answers)
    except (EOFError, BrokenPipeError):
        os._exit(0)  # nothing to write any more, and nobody to tell


if __name__ == "__main__":
    main()
