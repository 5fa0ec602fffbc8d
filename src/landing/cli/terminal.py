"""A run as a person at a terminal sees it."""

from __future__ import annotations

import sys
import threading
from typing import Any

from landing.cli.output import counted, printable, wipe
from landing.report import Reporter
from landing.secrets import redacted


class Terminal(Reporter):
    """Tells a person about a run as it goes on."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._read: dict[str, int] = {}
        self._lock = threading.Lock()

    def note(self, stream: str, text: str) -> None:
        with self._lock:
            wipe()
            print(printable(f"{self._source}/{stream}: {redacted(text)}"), flush=True)

    def warned(self, text: str) -> None:
        with self._lock:
            wipe()
            print(printable(redacted(text)), flush=True)

    def published(self, stream: str, rows: int, cursor: Any) -> None:
        self.note(stream, f"{counted(rows, 'row')} published, cursor {cursor}; going on")

    def progress(self, stream: str, rows: int) -> None:
        if not sys.stderr.isatty():
            return
        with self._lock:
            self._read[stream] = rows
            names = stream if len(self._read) == 1 else f"{len(self._read)} streams"
            total = sum(self._read.values())
            print(f"\r{self._source}/{names}: {total:,} rows read", end="", file=sys.stderr)
