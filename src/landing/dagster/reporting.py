"""Logs a run to its Dagster run, and keeps what the checks need."""

from __future__ import annotations

import threading
import time
from logging import Logger

from landing import events
from landing.errors import printable, printable_lines
from landing.results import StreamResult
from landing.secrets import redacted

REPORTED_EVERY = 10.0
"""Seconds between two lines of the same kind: each line is a row of Dagster's database."""


class RunLog:
    """A consumer of events. It is called from several threads."""

    def __init__(self, log: Logger) -> None:
        self.drift: list[str] = []
        self.uploads: list[str] = []
        """Paths of the parts, in the order of publication."""
        self._log = log
        self._logged: dict[str, float] = {}
        self._lock = threading.Lock()

    def __call__(self, event: events.Event) -> None:
        match event:
            case events.RequestMade():
                self._requested(event)
            case events.RowsRead(stream, rows) if self._is_due("progress"):
                self._info(f"{stream}: {rows:,} rows read")
            case events.StreamStarted(stream, source, sync_mode):
                self._info(f"{source}/{stream} started, {sync_mode}")
            case events.Note(stream, text):
                if isinstance(event, events.DriftNote):
                    self.drift.append(printable(redacted(text)))
                self._warn(f"{stream}: {text}")
            case events.PartUploaded(_, path, rows, size, seconds):
                self.uploads.append(path)
                self._info(f"{path}: {rows:,} rows, {size:,} bytes, uploaded in {seconds:.1f} s")
            case events.LoadPublished(stream, rows, cursor):
                self._info(f"{stream}: {rows:,} rows published, cursor {cursor}; continuing")
            case events.StreamLanded(result=result):
                self._landed(result)
            case events.RunWarning(text):
                self._warn(text)

    def _requested(self, event: events.RequestMade) -> None:
        name = event.stream
        if event.retried is not None and self._is_due("retry"):
            wait = f"{event.retry_wait:.1f} s"
            self._warn(f"{name}: {event.method} is sent again in {wait}: {event.retried}")
        elif event.paced >= 1.0 and self._is_due("pace"):
            self._info(f"{name}: waited {event.paced:.1f} s for the rate limiter")

    def _landed(self, result: StreamResult) -> None:
        where = f" in {result.location}" if result.files else ""
        what = f"{result.source}/{result.stream}: {result.in_words}{where}"
        self._info(f"{what}; {result.traffic}".rstrip("; "))

    def _warn(self, text: str) -> None:
        self._log.warning(printable_lines(redacted(text)))

    def _info(self, text: str) -> None:
        self._log.info(printable_lines(redacted(text)))

    def _is_due(self, kind: str) -> bool:
        now = time.monotonic()
        with self._lock:
            if now - self._logged.get(kind, 0.0) < REPORTED_EVERY:
                return False
            self._logged[kind] = now
            return True
