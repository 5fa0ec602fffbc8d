"""A run as its Dagster run tells it: lines of the log, and what its checks go by."""

from __future__ import annotations

import threading
import time
from logging import Logger
from typing import Any

from landing.catalog.stream_config import StreamConfig
from landing.events import Reporter, StreamResult
from landing.http.traffic import Attempt
from landing.secrets import redacted

REPORTED_EVERY = 10.0
"""Seconds between two lines of a kind that would come without end: each is a row of Dagster's
database."""


class RunLog(Reporter):
    """From several threads."""

    def __init__(self, log: Logger) -> None:
        self.drift: list[str] = []
        self.uploads: list[str] = []
        """Paths of the parts, in the order of publication."""
        self._log = log
        self._message: dict[str, float] = {}
        self._lock = threading.Lock()

    def started(self, config: StreamConfig) -> None:
        self._info(f"{config.source}/{config.stream} started, {config.sync_mode}")

    def note(self, stream: str, text: str) -> None:
        self._log.warning(redacted(f"{stream}: {text}"))

    def drifted(self, stream: str, text: str) -> None:
        self.drift.append(redacted(text))
        self.note(stream, text)

    def requested(self, stream: str, attempt: Attempt) -> None:
        if attempt.retried is not None and self._is_due("retry"):
            self._log.warning(
                redacted(
                    f"{stream}: {attempt.method} is sent again in {attempt.retry_wait:.1f} s: "
                    f"{attempt.retried}"
                )
            )
        elif attempt.paced >= 1.0 and self._is_due("pace"):
            self._info(f"{stream}: waited {attempt.paced:.1f} s for the source's pace")

    def progress(self, stream: str, rows: int) -> None:
        if self._is_due("progress"):
            self._info(f"{stream}: {rows:,} rows read")

    def uploaded(self, stream: str, path: str, rows: int, size: int, seconds: float) -> None:
        self.uploads.append(path)
        self._info(f"{path}: {rows:,} rows, {size:,} bytes, uploaded in {seconds:.1f} s")

    def published(self, stream: str, rows: int, cursor: Any) -> None:
        self._info(f"{stream}: {rows:,} rows published, cursor {cursor}; going on")

    def landed(self, result: StreamResult) -> None:
        what = f"{result.rows:,} rows in {result.location}" if result.files else "nothing new"
        self._info(f"{result.source}/{result.stream}: {what}; {result.traffic}".rstrip("; "))

    def warned(self, text: str) -> None:
        self._log.warning(redacted(text))

    def _info(self, text: str) -> None:
        self._log.info(redacted(text))

    def _is_due(self, kind: str) -> bool:
        now = time.monotonic()
        with self._lock:
            if now - self._message.get(kind, 0.0) < REPORTED_EVERY:
                return False
            self._message[kind] = now
            return True
