"""How long a framework takes to import, told to the runner, which takes it off the time.

Standard library only: it runs in the environments of the peers too.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def framework_import() -> Iterator[None]:
    """May be entered several times; the times add up."""
    started = time.monotonic()
    yield
    with Path(os.environ["BENCH_IMPORT_REPORT"]).open("a") as report:
        report.write(f"{time.monotonic() - started}\n")
