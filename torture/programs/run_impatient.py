"""A workspace's script for which leases expire soon: run_impatient.py SECONDS SCRIPT …"""

from __future__ import annotations

import runpy
import sys
from datetime import timedelta

import landing.zone.lease

if __name__ == "__main__":
    _, seconds, *sys.argv = sys.argv
    landing.zone.lease.EXPIRES_AFTER = timedelta(seconds=float(seconds))
    runpy.run_path(sys.argv[0], run_name="__main__")
