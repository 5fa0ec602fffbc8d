"""Checks of this machine: Python, packages, and disk space for the parts of a run."""

from __future__ import annotations

import platform
import shutil
import tempfile
from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from landing.operations.doctor.findings import Finding, fine, wrong

PACKAGE = "dlt-landing"
_NAMED = ("dlt", "pyarrow")
"""Packages that are listed with their versions, as most depends on them."""
_GIGABYTE = 1024**3


def python() -> Finding:
    needed = SpecifierSet(metadata.metadata(PACKAGE)["Requires-Python"] or "")
    version = platform.python_version()
    if needed.contains(version, prereleases=True):
        return fine("python", version)
    return wrong(
        "python",
        f"{version}, but {needed} is needed",
        "make the environment again with such a Python: `make clean`, `make setup PYTHON=…`",
    )


def packages() -> Iterator[Finding]:
    """Check that all required packages are installed in supported versions."""
    requirements = map(Requirement, metadata.requires(PACKAGE) or [])
    needed = [one for one in requirements if one.marker is None or one.marker.evaluate()]
    others = 0
    for one in needed:
        there = _version(one.name)
        if there is None or not one.specifier.contains(there, prereleases=True):
            found = "is not installed" if there is None else f"is {there}"
            yield wrong(
                "packages",
                f"{one.name} {found}, but {one.name}{one.specifier} is needed",
                f'pip install "{one.name}{one.specifier}"',
            )
        elif one.name in _NAMED:
            yield fine(one.name, there)
        else:
            others += 1
    yield fine("packages", f"{others} others, of {PACKAGE} {metadata.version(PACKAGE)}")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def disk(needed: float) -> Finding:
    """Check the free space, in bytes, where parts are kept until they are uploaded."""
    remedy = "free some, or set TMPDIR to a folder on a larger disk"
    try:
        with tempfile.TemporaryFile():
            folder = tempfile.gettempdir()
    except OSError as error:
        return wrong("disk", f"no temporary file can be written ({error.strerror})", remedy)
    free = shutil.disk_usage(folder).free
    room = f"{free / _GIGABYTE:.1f} GB free in {folder}"
    if free >= needed:
        return fine("disk", room)
    return wrong("disk", f"{room}, and a run may need {needed / _GIGABYTE:.1f} GB", remedy)
