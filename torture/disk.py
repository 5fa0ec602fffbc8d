"""A local disk that is full before the run has written all it has to."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence

from demo.servers import S3Server
from tests.servers.proxy import Spoiled, passed_on
from torture.faults import Fault, Program, Torment, run_torments
from torture.figures import Section, Tally
from torture.fleet import PYTHON, Fleet
from torture.sources import PLAIN

# A filesystem of its own needs a user namespace, which some machines forbid; a limit on the size
# of files fails in the same places, with "file too large".
_NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount")
_TMPFS = 'mount -t tmpfs -o size="$0"k tmpfs "$TMPDIR" && exec "$@"'
_LIMIT = 'ulimit -f "$0" && exec "$@"'
_SMALLEST, _LARGEST = 4, 24
"""Kilobytes, less than what a stream's changes need."""


def _met(fleet: Fleet, stream: str) -> Spoiled:
    """The disk is the same for all streams of a process, and none of them gets past it."""
    return Spoiled(passed_on, lambda _: False, after=0, times=0, hits=1)


FAULTS = [Fault(name, "a full disk", _met, "no space left in") for name in ("one", "two")]


def full_disks(s3: S3Server, rounds: int, lanes: int, *, waits: bool) -> Section:
    """At least so many runs on a disk too small for them."""
    own = -(-rounds // (lanes * len(FAULTS)))
    torments = [Torment(PLAIN, FAULTS, own, waits, program=_program()) for _ in range(lanes)]
    how = "a file system of its own" if _has_namespaces() else "a limit on the size of files"
    tallies = [Tally("a full disk", note=how)]
    return run_torments("Machine faults", torments, tallies, s3)


def _program() -> Program:
    if _has_namespaces():
        return lambda fleet: (*_NAMESPACE, "sh", "-c", _TMPFS, _kilobytes(fleet), *PYTHON)
    return lambda fleet: ("sh", "-c", _LIMIT, "2", *PYTHON)


def _kilobytes(fleet: Fleet) -> str:
    return str(fleet.random.randint(_SMALLEST, _LARGEST))


def _has_namespaces() -> bool:
    if shutil.which("unshare") is None:
        return False
    probe: Sequence[str] = (*_NAMESPACE, "sh", "-c", "mount -t tmpfs tmpfs /mnt")
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0
