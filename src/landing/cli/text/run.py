"""Prints the notes and the progress of a run."""

from __future__ import annotations

import sys
import threading
import time

from landing import events
from landing.cli.text.console import is_ci, is_watched, say
from landing.cli.text.live import Live
from landing.cli.text.output import counted
from landing.cli.text.streams import RunLines
from landing.observe.progress import StreamProgress, Ticker, Watch, interval, line
from landing.secrets import redacted


class Terminal:
    """Prints the events of a run as they happen.

    With `to_stderr`, standard output is left to something else. With `summarizes`, drift of streams
    that land is left to the summary.
    """

    def __init__(self, source: str, *, to_stderr: bool = False, summarizes: bool = False) -> None:
        self._source = source
        self._to_stderr = to_stderr
        self._summarizes = summarizes
        self._drift: dict[str, list[str]] = {}
        self._lock = threading.Lock()

    def __call__(self, event: events.Event) -> None:
        match event:
            case events.DriftNote(stream, text) if self._summarizes:
                self._drift.setdefault(stream, []).append(text)
            case events.Note(stream, text):
                self._note(stream, text)
            case events.StreamFailed(stream=stream):
                for text in self._drift.pop(stream, []):
                    self._note(stream, text)
            case events.RunWarning(text):
                self.say(redacted(text))
            case events.LoadPublished(stream, rows, cursor):
                self._note(stream, f"{counted(rows, 'row')} published, cursor {cursor}; continuing")

    def _note(self, stream: str, text: str) -> None:
        self.say(redacted(text), mark=f"{self._source}/{stream}: ")

    def say(self, text: str, *, mark: str = "") -> None:
        with self._lock:
            # Looked up each time: while lines are drawn, what is printed goes above them.
            say(text, mark=mark, to=sys.stderr if self._to_stderr else sys.stdout)


class RunDisplay:
    """Shows the progress of a run: moving lines in a terminal, a line at intervals in a log, and
    nothing in CI, where only the result counts."""

    def __init__(self, source: str, *, only_last: bool = False) -> None:
        self._source = source
        self._only_last = only_last
        self._seconds = interval()
        self._watch = Watch()
        self._shown: Live | Ticker | None = None

    def __call__(self, event: events.Event) -> None:
        self._watch(event)
        match event:
            case events.RunPlanned() if is_watched():
                self._shown = Live(RunLines(self._source, self._watch, only_last=self._only_last))
            case events.RunPlanned() if self._seconds and not is_ci():
                self._shown = Ticker(self._watch, self._seconds, self._notify)
            case events.RunEnded():
                self.close()

    def close(self) -> None:
        if self._shown is not None:
            self._shown.close()

    def leave(self) -> None:
        """Print the last counts of a run that is interrupted."""
        self.close()
        for of in self._watch.streams:
            self._notify(of, None if of.is_over else "interrupted")

    def _notify(self, of: StreamProgress, doing: str | None = None) -> None:
        text = line(of, time.monotonic(), doing)
        say(redacted(text), mark=f"{self._source}/{of.stream}: ", to=sys.stderr)
