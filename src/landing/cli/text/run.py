"""A run as a person reads it: notes as they come, and how far it is."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

from landing.cli.text.console import is_ci, is_watched
from landing.cli.text.live import Live
from landing.cli.text.output import counted, printable
from landing.cli.text.streams import RunLines
from landing.events import Reporter
from landing.observe.progress import StreamProgress, Ticker, Watch, interval, line
from landing.secrets import redacted


class Terminal(Reporter):
    """Tells a person about a run as it goes on.

    With `aside`, on standard error, since standard output is for something else. With
    `summarizes`, what a summary tells of streams that landed is not told before.
    """

    def __init__(self, source: str, *, to_stderr: bool = False, summarizes: bool = False) -> None:
        self._source = source
        self._to_stderr = to_stderr
        self._summarizes = summarizes
        self._drift: dict[str, list[str]] = {}
        self._lock = threading.Lock()

    def note(self, stream: str, text: str) -> None:
        self._say(f"{self._source}/{stream}: {redacted(text)}")

    def drifted(self, stream: str, text: str) -> None:
        if self._summarizes:
            self._drift.setdefault(stream, []).append(text)
        else:
            self.note(stream, text)

    def failed(self, stream: str, error: Exception) -> None:
        for text in self._drift.pop(stream, []):
            self.note(stream, text)

    def warned(self, text: str) -> None:
        self._say(redacted(text))

    def published(self, stream: str, rows: int, cursor: Any) -> None:
        self.note(stream, f"{counted(rows, 'row')} published, cursor {cursor}; going on")

    def _say(self, text: str) -> None:
        with self._lock:
            # Looked up each time: while lines are drawn, what is printed goes above them.
            print(printable(text), file=sys.stderr if self._to_stderr else sys.stdout, flush=True)


class RunDisplay(Watch):
    """How far a run is: lines that move at a terminal, a line now and then in a log, and nothing
    in CI, where only what came of it counts."""

    def __init__(self, source: str, *, only_last: bool = False) -> None:
        super().__init__()
        self._source = source
        self._only_last = only_last
        self._seconds = interval()
        self._shown: Live | Ticker | None = None

    def planned(self, streams: Sequence[str]) -> None:
        super().planned(streams)
        if is_watched():
            self._shown = Live(RunLines(self._source, self, only_last=self._only_last))
        elif self._seconds and not is_ci():
            self._shown = Ticker(self, self._seconds, self._notify)

    def close(self) -> None:
        if self._shown is not None:
            self._shown.close()

    def _notify(self, of: StreamProgress) -> None:
        text = printable(f"{self._source}/{of.stream}: {line(of, time.monotonic())}")
        print(redacted(text), file=sys.stderr, flush=True)
