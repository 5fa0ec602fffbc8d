"""The machine and the versions that numbers belong to; nothing that names whose it is."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.contenders import Contender, python_of

PACKAGES = ("dlt", "pyarrow", "orjson", "msgspec", "requests", "obstore", "duckdb")
_GIB = 2**30


def description() -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIB
    return (
        f"{cores} cores ({_processor()}), {memory:.0f} GiB of memory, {platform.system()}, "
        f"Python {platform.python_version()}"
    )


def versions(contenders: Iterable[Contender]) -> dict[str, str]:
    found = {package: _version(package) for package in PACKAGES}
    present = [c for c in contenders if not c.missing]
    packages = {package for c in present for package in (c.package, c.and_package)} - {""}
    peers = {package: python_of(package) for package in sorted(packages)}
    return {**found, **{package: _version_in(python, package) for package, python in peers.items()}}


def load() -> str:
    """How busy the machine was in the last minute, in processes."""
    return f"{os.getloadavg()[0]:.1f}"


def listed(found: Mapping[str, str]) -> str:
    return ", ".join(f"{package} {number}" for package, number in found.items())


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _version_in(python: Path, package: str) -> str:
    code = f"import importlib.metadata; print(importlib.metadata.version({package!r}))"
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()
