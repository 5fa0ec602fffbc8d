"""JSON logs of a run: one object per line, with stable event and field names."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from landing import events
from landing.errors import class_name
from landing.observe.progress import StreamProgress, line
from landing.results import StreamResult
from landing.secrets import redacted, without_secrets


class JsonLog:
    """Logs to standard error, including what libraries log until the run ends.

    `docs/observability.md` lists the events and their fields.
    """

    def __init__(self, source: str | None) -> None:
        self._source = source
        self._run_id = uuid.uuid4().hex
        self._load_ids: dict[str, str] = {}
        # One lock, since a destructor may log in a thread that is printing a line.
        self._lock = threading.RLock()
        self._libraries = _LibraryLines(self)
        self._libraries.lock = self._lock
        logging.getLogger().addHandler(self._libraries)
        logging.captureWarnings(True)

    def __call__(self, event: events.Event) -> None:
        match event:
            case events.RequestMade(retried=str()):
                self._retried(event)
            case events.StreamStarted(stream=stream, sync_mode=mode):
                self.write("info", "stream_started", "started", stream, sync_mode=mode)
            case events.Note(stream, text):
                self.write("warning", "note", text, stream)
            case events.LoadStarted(stream, load_id):
                self._load_ids[stream] = load_id
                self.write("info", "load_began", f"load {load_id} began", stream)
            case events.PartWritten(stream, rows, size):
                text = f"{rows:,} rows written"
                self.write("info", "part_written", text, stream, rows=rows, bytes=size)
            case events.PartUploaded():
                self._uploaded(event)
            case events.LoadPublished(stream, rows, cursor):
                text, cursor = f"{rows:,} rows published, continuing", _plain(cursor)
                self.write("info", "load_published", text, stream, rows=rows, cursor=cursor)
            case events.StreamLanded(result=result):
                self._landed(result)
            case events.StreamFailed(stream, error):
                self._failed(stream, error)
            case events.RunWarning(text):
                self.write("warning", "warning", text)
            case events.RunEnded():
                logging.getLogger().removeHandler(self._libraries)

    def write(
        self, level: str, event: str, message: str, stream: str | None = None, **fields: Any
    ) -> None:
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "level": level,
            "event": event,
            "message": message,
            "run_id": self._run_id,
            "source": self._source,
            "stream": stream,
            "load_id": self._load_ids.get(stream or ""),
            **fields,
        }
        text = json.dumps(line, default=str)
        if redacted(text) != text:
            text = json.dumps(without_secrets(json.loads(text)))
        with self._lock:
            print(text, file=sys.stderr, flush=True)

    def at(self, of: StreamProgress) -> None:
        """Logs the progress of a running stream."""
        now = time.monotonic()
        rate, left = of.rate(now), of.seconds_left(now)
        self.write(
            "info",
            "progress",
            line(of, now),
            of.stream,
            doing=of.doing,
            rows=of.rows,
            total=of.total,
            pages=of.pages,
            rows_per_second=None if rate is None else round(rate, 1),
            seconds_left=None if left is None else round(left, 1),
            seconds=round(of.seconds(now), 3),
            answer_bytes=of.size,
            part=of.parts + 1,
            part_bytes=of.part_size,
            requests=of.requests,
            retries=of.retries.total(),
            pacing_seconds=round(of.pacing_seconds, 3),
            retry_seconds=round(of.retry_seconds, 3),
            waits=round(of.wait(now), 3),
        )

    def _retried(self, event: events.RequestMade) -> None:
        text = f"{event.method} is sent again in {event.retry_wait:.1f} s: {event.retried}"
        fields = {"cause": event.retried, "wait": round(event.retry_wait, 3)}
        self.write("warning", "request_retried", text, event.stream, **fields)

    def _uploaded(self, event: events.PartUploaded) -> None:
        self.write(
            "info",
            "part_uploaded",
            f"{event.path} uploaded",
            event.stream,
            path=event.path,
            rows=event.rows,
            bytes=event.size,
            seconds=round(event.seconds, 3),
        )

    def _landed(self, result: StreamResult) -> None:
        self.write(
            "info",
            "stream_landed",
            result.in_words,
            result.stream,
            **result.counts,
            unexpected=result.unexpected,
            ahead=None if result.ahead is None else _plain(result.ahead.value),
            cursor_before=_plain(result.cursor_before),
            cursor_after=_plain(result.cursor_after),
            seconds=round(result.seconds, 3),
            load_ids=result.load_ids,
            location=result.location,
            **result.traffic.figures,
        )

    def _failed(self, stream: str, error: Exception) -> None:
        kind = class_name(error)
        exit_code = getattr(error, "exit_code", 1)
        self.write("error", "stream_failed", str(error), stream, error=kind, exit_code=exit_code)


class _LibraryLines(logging.Handler):
    """Logs what libraries log as JSON lines."""

    def __init__(self, log: JsonLog) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + logging.Formatter().formatException(record.exc_info)
        self._log.write(record.levelname.lower(), "log", text, logger=record.name)


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, str | int | float) else str(value)
