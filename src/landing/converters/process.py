"""One converter, as the process that started it sees it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO, cast

import pyarrow as pa

from landing.columns import Converted
from landing.converters.frames import (
    READY,
    PageHead,
    Request,
    Spec,
    decode_answer,
    encode,
    receive,
    send,
)
from landing.http import JsonPage

# What an interpreter needs to start, which is no secret.
_KEPT = ("PATH", "HOME", "LANG", "TZ", "TMPDIR", "SYSTEMROOT")
_KEPT_PREFIXES = ("LC_", "LD_", "DYLD_", "ARROW_", "MALLOC_")


@dataclass(frozen=True)
class Job:
    columns: int
    """The same number for the same spec."""
    spec: Spec
    pages: Sequence[JsonPage]
    given: str | None
    """The field of which the values are asked for as the API gave them."""


class Converter:
    """Its methods raise OSError or EOFError if it is gone."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "landing.converters.program"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
        )
        self._requests = cast(BinaryIO, self._process.stdin)
        self._answers = cast(BinaryIO, self._process.stdout)
        self._told: set[int] = set()

    def wait_until_ready(self) -> None:
        if receive(self._answers) != READY:
            raise EOFError

    def convert(self, job: Job) -> Converted | None:
        """None if the pages have to be looked at carefully."""
        heads = [PageHead(".".join(page.path), page.skipped) for page in job.pages]
        spec = None if job.columns in self._told else job.spec
        send(self._requests, encode(Request(job.columns, spec, job.given, heads)))
        for page in job.pages:
            send(self._requests, page.content)
        self._requests.flush()
        self._told.add(job.columns)
        answer = decode_answer(receive(self._answers))
        if not answer.fits:
            return None
        with pa.ipc.open_stream(receive(self._answers)) as stream:
            table = stream.read_all()
        return Converted(table, {job.given: answer.given}.__getitem__)

    def end(self) -> None:
        """At any time, from any thread: it has nothing that could be lost."""
        self._process.kill()

    def close(self) -> None:
        self.end()
        self._process.wait()
        with suppress(OSError):  # what it has not read is lost with it
            self._requests.close()
        self._answers.close()


def _environment() -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _KEPT or name.startswith(_KEPT_PREFIXES)
    }
    # Arrow's own pools keep what they once had.
    own = {
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "ARROW_DEFAULT_MEMORY_POOL": "system",
    }
    return {**own, **kept}
