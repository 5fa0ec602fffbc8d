"""A workspace's script with Python's clock moved: run_at.py 2026-02-28T23:59:59.5+00:00 SCRIPT ...

Only Python's clock, by which load ids are made. The bucket's client signs its requests by the
machine's own, since S3 refuses signatures that are a quarter of an hour off.
"""

from __future__ import annotations

import runpy
import sys
from datetime import datetime

import time_machine

import landing.operations.run  # noqa: F401  (seconds that are not to pass on the moved clock)

if __name__ == "__main__":
    _, moment, *sys.argv = sys.argv
    with time_machine.travel(datetime.fromisoformat(moment), tick=True):
        runpy.run_path(sys.argv[0], run_name="__main__")
