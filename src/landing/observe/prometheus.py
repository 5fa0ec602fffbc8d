"""Prometheus metrics of a run: a file for node-exporter's textfile collector, or a push."""

from __future__ import annotations

import fcntl
import math
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from typing import TypeAlias
from urllib.parse import unquote, urlsplit, urlunsplit

from prometheus_client import CollectorRegistry, pushadd_to_gateway, write_to_textfile
from prometheus_client.exposition import basic_auth_handler, default_handler
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from landing.catalog.schedule import Schedule
from landing.errors import LandingError, listed
from landing.events import Event, RunAborted, RunEnded, StreamFailed, StreamLanded, StreamStarted
from landing.observe.in_quarantine import InQuarantine
from landing.observe.in_time import Work
from landing.observe.lag import moment_of
from landing.results import StreamResult
from landing.secrets import redacted

LABELS = ("source", "stream")
LAST_SUCCESS = "landing_last_success_timestamp_seconds"
GAUGES = {
    "landing_last_run_success": "1 if the stream's last run landed, 0 if it failed.",
    "landing_last_run_timestamp_seconds": "When the stream's last run ended.",
    LAST_SUCCESS: "When the stream's last run that landed ended.",
    "landing_last_run_duration_seconds": "How long the last run took.",
    "landing_last_run_rows": "Rows that the last run landed.",
    "landing_last_run_bytes": "Bytes of parquet that the last run landed.",
    "landing_last_run_files": "Files that the last run landed.",
    "landing_last_run_quarantined_rows": "Records that the last run put into quarantine.",
    "landing_last_run_below_cursor_rows": "Rows left out because they are below the cursor.",
    "landing_last_run_known_rows": "Rows read again that had landed before, unchanged.",
    "landing_last_run_repeated_rows": "Rows whose key had come before in the last run.",
    "landing_last_run_unexpected": "1 if the number of rows is not what is expected, else 0.",
    "landing_last_run_requests": "Requests of the last run, retries included.",
    "landing_last_run_retries": "Requests of the last run that were retried.",
    "landing_last_run_pacing_seconds": "Seconds waited for rate limiters, summed over threads.",
    "landing_last_run_retry_seconds": "Seconds waited before retries, summed over threads.",
    "landing_cursor_timestamp_seconds": "The cursor, where it is a time.",
    "landing_cursor_ahead": "1 if the cursor is more than a day beyond the source's time, else 0.",
    "landing_record_ahead": "1 if a record's cursor value is, and the cursor waits, else 0.",
    "landing_quarantine_rows": "Records that wait in quarantine.",
    "landing_quarantine_oldest_timestamp_seconds": "When the oldest came; NaN if none waits.",
    "landing_next_due_timestamp_seconds": "When the stream is due next.",
}
GATEWAY = "LANDING_PUSHGATEWAY_URL"
PUSHED_WITHIN = 5.0
JOB = "landing"

Key: TypeAlias = tuple[str, str]
Values: TypeAlias = dict[str, dict[Key, float]]


class Metrics:
    """Collects the metrics, and writes them to the file at the end of the run. Each stream's are
    pushed as soon as it has ended, in a thread. `push_rest` has those pushed once more that were
    not taken, and waits for the last ones."""

    def __init__(
        self, source: str, file: Path | None, gateway: str | None, waiting: InQuarantine
    ) -> None:
        self._source = source
        self._waiting = waiting
        self._file = file
        self._values: dict[str, dict[str, float]] = {}
        self._schedules: dict[str, Schedule] = {}
        self._gateway = gateway
        self._to_push: SimpleQueue[str | None] = SimpleQueue()
        self._pushing: Work | None = None
        self._starting = threading.Lock()

    def __call__(self, event: Event) -> None:
        match event:
            case StreamStarted(stream=stream, cron=str(cron), timezone=str(timezone)):
                self._schedules[stream] = Schedule(cron, timezone)
            case StreamLanded(result=result):
                self._landed(result)
            case StreamFailed(stream=stream, error=error):
                values = self._ended(stream, succeeded=False)
                self._record(stream, {**values, **self._quarantined(stream, error)})
            case RunAborted(streams=streams):
                for stream in streams:
                    self._record(stream, self._ended(stream, succeeded=False))
            case RunEnded():
                self._write()

    def push_rest(self, event: Event) -> None:
        if isinstance(event, RunEnded) and self._pushing is not None:
            self._to_push.put(None)
            self._pushing.wait()

    def _record(self, stream: str, values: dict[str, float]) -> None:
        self._values[stream] = values
        if (gateway := self._gateway) is not None:
            self._to_push.put(stream)
            with self._starting:
                self._pushing = self._pushing or Work(lambda: self._push_all(gateway), GATEWAY)

    def _landed(self, result: StreamResult) -> None:
        moment, ahead = moment_of(result.cursor_after), result.ahead
        values = {
            **self._ended(result.stream, succeeded=True),
            **self._quarantined(result.stream),
            "landing_last_run_duration_seconds": result.seconds,
            "landing_last_run_rows": result.rows,
            "landing_last_run_bytes": result.bytes,
            "landing_last_run_files": result.files,
            "landing_last_run_quarantined_rows": result.quarantined,
            "landing_last_run_below_cursor_rows": result.below_cursor,
            "landing_last_run_known_rows": result.known,
            "landing_last_run_repeated_rows": result.repeated,
            "landing_last_run_unexpected": float(bool(result.unexpected)),
            "landing_cursor_ahead": float(ahead is not None and ahead.is_cursor),
            "landing_record_ahead": float(ahead is not None and not ahead.is_cursor),
            "landing_last_run_requests": result.traffic.requests,
            "landing_last_run_retries": result.traffic.retries.total(),
            "landing_last_run_pacing_seconds": result.traffic.pacing_seconds,
            "landing_last_run_retry_seconds": result.traffic.retry_seconds,
            **({} if moment is None else {"landing_cursor_timestamp_seconds": moment.timestamp()}),
        }
        self._record(result.stream, values)

    def _quarantined(self, stream: str, error: Exception | None = None) -> dict[str, float]:
        if (waiting := self._waiting(stream, error)) is None:
            return {}
        oldest = math.nan if waiting.oldest is None else waiting.oldest.timestamp()
        return {
            "landing_quarantine_rows": waiting.rows,
            "landing_quarantine_oldest_timestamp_seconds": oldest,
        }

    def _ended(self, stream: str, *, succeeded: bool) -> dict[str, float]:
        now = time.time()
        ended = {"landing_last_run_success": float(succeeded)}
        ended["landing_last_run_timestamp_seconds"] = now
        if succeeded:
            ended[LAST_SUCCESS] = now
        if (schedule := self._schedules.get(stream)) is not None:
            due = schedule.after(datetime.now(UTC))
            ended["landing_next_due_timestamp_seconds"] = due.timestamp()
        return ended

    def _write(self) -> None:
        """Keeps other streams' values in the file, and the last success of a stream that failed."""
        if self._file is None or not self._values:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with _alone(self._file.parent):
                values = _read(self._file)
                self._forget_last_runs(values)
                for stream in self._values:
                    self._put(values, stream)
                write_to_textfile(str(self._file), _registry(values))
        except OSError as error:
            why = error.strerror or error
            raise LandingError(f"--metrics-file {self._file}: can't be written: {why}") from error

    def _forget_last_runs(self, values: Values) -> None:
        for name, known in values.items():
            for key in [key for key in known if key[0] == self._source and key[1] in self._values]:
                if name != LAST_SUCCESS:
                    del known[key]

    def _push_all(self, gateway: str) -> None:
        """Until the run ends, and then once more what was not taken before."""
        streams = iter(self._to_push.get, None)
        again = [one for one in streams if self._failure(gateway, one) is not None]
        failures = {one: self._failure(gateway, one) for one in again}
        failed = {one: failure for one, failure in failures.items() if failure is not None}
        if failed:
            names, why = listed(failed), next(iter(failed.values()))
            raise LandingError(redacted(f"{GATEWAY}: the metrics were not pushed: {why} ({names})"))

    def _failure(self, gateway: str, stream: str) -> Exception | None:
        """Pushes a stream as its own group, so that one does not replace another."""
        values: Values = defaultdict(dict)
        self._put(values, stream)
        key = dict(zip(LABELS, (self._source, stream), strict=True))
        try:
            _push(gateway, _registry(values), key)
        except (OSError, ValueError) as error:
            return error
        return None

    def _put(self, values: Values, stream: str) -> None:
        for name, value in self._values[stream].items():
            values[name][self._source, stream] = value


class _Values(Collector):
    def __init__(self, values: Values) -> None:
        self._values = values

    def collect(self) -> Iterator[Metric]:
        for name, text in GAUGES.items():
            family = GaugeMetricFamily(name, text, labels=LABELS)
            for key, value in sorted(self._values.get(name, {}).items()):
                family.add_metric(key, value)
            if family.samples:
                yield family


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Locks the folder, so that runs that write the same file take turns."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)


def _registry(values: Values) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(_Values(values))
    return registry


def _read(file: Path) -> Values:
    """The values of earlier runs; empty if the file does not exist or is not ours."""
    values: Values = defaultdict(dict)
    try:
        for family in text_string_to_metric_families(file.read_text(encoding="utf-8")):
            for sample in family.samples:
                if sample.name in GAUGES and set(sample.labels) == set(LABELS):
                    values[sample.name][sample.labels["source"], sample.labels["stream"]] = (
                        sample.value
                    )
    except (OSError, ValueError):
        return defaultdict(dict)
    return values


def _push(url: str, registry: CollectorRegistry, key: dict[str, str]) -> None:
    parts = urlsplit(url)
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))

    def handler(
        url: str, method: str, timeout: float | None, headers: list[tuple[str, str]], data: bytes
    ) -> Callable[[], None]:
        if not user:
            return default_handler(url, method, timeout, headers, data)
        return basic_auth_handler(url, method, timeout, headers, data, user, password)

    pushadd_to_gateway(
        bare, JOB, registry, grouping_key=key, timeout=PUSHED_WITHIN, handler=handler
    )
