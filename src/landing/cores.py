"""How many cores this process may use, of those that the machine has."""

from __future__ import annotations

import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def cores(cgroup: Path = _CGROUP) -> int:
    """Those it is allowed, and not more than its container is given the time of; at least one."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(allowed or 1, int(_quota(cgroup))))


def _quota(cgroup: Path) -> float:
    """The cores whose time a container gets, which Linux counts in one of two places."""
    try:
        if (now := cgroup / "cpu.max").is_file():
            quota, period = now.read_text().split()
        else:
            quota = (cgroup / "cpu/cpu.cfs_quota_us").read_text()
            period = (cgroup / "cpu/cpu.cfs_period_us").read_text()
        share = float(quota) / float(period)
    except (OSError, ValueError, ArithmeticError):  # "max", or no such limit here
        return float(os.cpu_count() or 1)
    return share if share > 0 else float(os.cpu_count() or 1)
