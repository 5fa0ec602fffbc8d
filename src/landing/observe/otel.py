"""OpenTelemetry traces and metrics of a run, sent by OTLP over HTTP.

Spans are nested: a run → its streams → their requests, parts and uploads. The innermost are
created when they are over, with the times at which they began and ended.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExportResult, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context

from landing import __version__, events
from landing.http.traffic import of_no_stream
from landing.observe.in_quarantine import InQuarantine
from landing.observe.in_time import Work
from landing.observe.lag import moment_of
from landing.results import StreamResult
from landing.secrets import redacted

NAME = "dlt-landing"
FLUSHED_WITHIN = 5_000
"""Milliseconds that an export at the end of a run may take; the run may wait less (`AtEnd`)."""
_NANO = 1_000_000_000


_COUNTERS = {
    "runs": ("", "Runs of streams"),
    "rows": ("{row}", "Rows that landed"),
    "bytes": ("By", "Bytes of parquet that landed"),
    "quarantined": ("{row}", "Records that went to quarantine"),
    "left_out": ("{row}", "Rows that were read and did not land, by reason"),
    "repeated": ("{row}", "Rows whose key had come before in their run"),
    "requests": ("{request}", "Attempts made"),
    "retries": ("{request}", "Attempts that were retried, by cause"),
    "waits": ("s", "Waited for pacing and to retry"),
}
_GAUGES = {
    "ahead": ("", "1 if the cursor, or a record, is beyond the source's time"),
    "unexpected": ("", "1 if the number of rows is not what is expected"),
    "quarantine.rows": ("{row}", "Records that wait in quarantine"),
    "quarantine.age": ("s", "How long the oldest of them has waited; 0 if none waits"),
    "cursor.lag": ("s", "How far the cursor is behind now"),
}


class _Spans(OTLPSpanExporter):
    def export(self, *arguments: Any, **named: Any) -> SpanExportResult:
        with of_no_stream():
            return super().export(*arguments, **named)


class _Figures(OTLPMetricExporter):
    def export(self, *arguments: Any, **named: Any) -> MetricExportResult:
        with of_no_stream():
            return super().export(*arguments, **named)


@dataclass
class _Stream:
    span: Span
    part_began: int


class Telemetry:
    def __init__(self, source: str, waiting: InQuarantine) -> None:
        resource = Resource.create({} if os.environ.get("OTEL_SERVICE_NAME") else _SERVICE)
        self._source = source
        self._waiting = waiting
        self._traces = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._traces.add_span_processor(BatchSpanProcessor(_Spans()))
        reader = PeriodicExportingMetricReader(_Figures())
        self._metrics = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
        self._tracer = self._traces.get_tracer(NAME, __version__)
        self._streams: dict[str, _Stream] = {}
        self._has_failed = False
        self._run = self._tracer.start_span("run", attributes={"landing.source": source})
        meter = self._metrics.get_meter(NAME, __version__)
        self._counters = {
            name: meter.create_counter(f"landing.{name}", unit, text)
            for name, (unit, text) in _COUNTERS.items()
        }
        self._gauges = {
            name: meter.create_gauge(f"landing.{name}", unit, text)
            for name, (unit, text) in _GAUGES.items()
        }
        self._duration = meter.create_histogram(
            "landing.duration", "s", "Duration of streams' runs"
        )

    def __call__(self, event: events.Event) -> None:
        match event:
            case events.RequestMade():
                self._requested(event)
            case events.StreamStarted(stream=stream, sync_mode=mode):
                self._started(stream, mode)
            case events.Note(stream, text) if stream in self._streams:
                self._streams[stream].span.add_event("note", {"text": redacted(text)})
            case events.LoadStarted(stream, load_id):
                self._streams[stream].part_began = time.time_ns()
                self._streams[stream].span.add_event("load_began", {"landing.load_id": load_id})
            case events.PartWritten(stream, rows, size):
                of, now = self._streams[stream], time.time_ns()
                attributes = {"landing.rows": rows, "landing.bytes": size}
                self._span(of.span, "part", of.part_began, attributes).end(now)
                of.part_began = now
            case events.PartUploaded(stream, path, rows, size, seconds):
                facts = {"landing.path": path, "landing.rows": rows, "landing.bytes": size}
                self._past(stream, "upload", seconds, facts).end()
            case events.StreamLanded(result=result):
                self._landed(result)
            case events.StreamFailed(stream, error):
                self._failed(stream, error)
            case events.RunAborted(error=error):
                self._has_failed = True
                self._run.add_event("aborted", {"error": redacted(str(error))})
            case events.RunEnded():
                self._close()

    def _started(self, stream: str, sync_mode: str) -> None:
        of = {"landing.stream": stream, "landing.sync_mode": sync_mode}
        now = time.time_ns()
        self._streams[stream] = _Stream(self._span(self._run, f"stream {stream}", now, of), now)

    def _requested(self, attempt: events.RequestMade) -> None:
        stream = attempt.stream
        url = urlsplit(attempt.url)
        attributes: dict[str, Any] = {
            "http.request.method": attempt.method,
            "server.address": url.hostname or "",
            "url.path": redacted(url.path),
            "landing.paced_seconds": attempt.paced,
        }
        if attempt.status is not None:
            attributes["http.response.status_code"] = attempt.status
        if attempt.retried is not None:
            attributes["landing.retried"] = redacted(attempt.retried)
        span = self._past(stream, attempt.method, attempt.seconds, attributes, SpanKind.CLIENT)
        if attempt.status is None or attempt.status >= 400:
            span.set_status(Status(StatusCode.ERROR))
        span.end()
        labels = self._labels(stream)
        self._counters["requests"].add(1, labels)
        if attempt.paced:
            self._counters["waits"].add(attempt.paced, {**labels, "reason": "pacing"})
        if attempt.retried is not None:
            self._counters["retries"].add(1, {**labels, "cause": attempt.retried})
            self._counters["waits"].add(attempt.retry_wait, {**labels, "reason": "retry"})

    def _landed(self, result: StreamResult) -> None:
        labels = self._labels(result.stream)
        for name in ("rows", "bytes", "quarantined", "repeated"):
            self._counters[name].add(result.counts[name], labels)
        for reason in ("below_cursor", "known"):
            self._counters["left_out"].add(result.counts[reason], {**labels, "reason": reason})
        self._gauges["unexpected"].set(int(bool(result.unexpected)), labels)
        for of, is_cursor in (("cursor", True), ("record", False)):
            is_ahead = result.ahead is not None and result.ahead.is_cursor is is_cursor
            self._gauges["ahead"].set(int(is_ahead), {**labels, "of": of})
        self._duration.record(result.seconds, labels)
        if (moment := moment_of(result.cursor_after)) is not None:
            lag = (datetime.now(UTC) - moment).total_seconds()
            self._gauges["cursor.lag"].set(lag, labels)
        self._quarantined(result.stream)
        span = self._streams[result.stream].span
        span.set_attributes(
            {
                **{f"landing.{name}": count for name, count in result.counts.items()},
                "landing.unexpected": list(map(redacted, result.unexpected)),
                "landing.load_ids": result.load_ids,
            }
        )
        if result.ahead is not None:
            span.set_attribute("landing.ahead", redacted(str(result.ahead.value)))
        self._end(result.stream, "landed")

    def _quarantined(self, stream: str, error: Exception | None = None) -> None:
        if (waiting := self._waiting(stream, error)) is not None:
            labels = self._labels(stream)
            age = datetime.now(UTC) - (waiting.oldest or datetime.now(UTC))
            self._gauges["quarantine.rows"].set(waiting.rows, labels)
            self._gauges["quarantine.age"].set(max(0.0, age.total_seconds()), labels)

    def _failed(self, stream: str, error: Exception) -> None:
        self._has_failed = True
        self._quarantined(stream, error)
        if stream in self._streams:  # not if its config can't be read
            message = Status(StatusCode.ERROR, redacted(str(error)))
            self._streams[stream].span.set_status(message)
            self._end(stream, "failed")

    def _close(self) -> None:
        """Sends what is left, traces and metrics at the same time."""
        for stream in list(self._streams):
            self._end(stream, "interrupted")
        if self._has_failed:
            self._run.set_status(Status(StatusCode.ERROR))
        self._run.end()
        metrics = Work(lambda: self._metrics.shutdown(FLUSHED_WITHIN), "the metrics")
        self._traces.force_flush(FLUSHED_WITHIN)
        self._traces.shutdown()
        metrics.wait(FLUSHED_WITHIN / 1000)

    def _end(self, stream: str, outcome: str) -> None:
        self._counters["runs"].add(1, {**self._labels(stream), "outcome": outcome})
        of = self._streams.pop(stream)
        of.span.set_attribute("landing.outcome", outcome)
        of.span.end()

    def _past(
        self,
        stream: str,
        name: str,
        seconds: float,
        attributes: dict[str, Any],
        kind: SpanKind = SpanKind.INTERNAL,
    ) -> Span:
        """A span within a stream that ends now and lasted so many seconds."""
        of = self._streams.get(stream)
        parent = self._run if of is None else of.span
        began = time.time_ns() - int(seconds * _NANO)
        return self._span(parent, name, began, attributes, kind)

    def _span(
        self,
        parent: Span,
        name: str,
        began: int,
        attributes: dict[str, Any],
        kind: SpanKind = SpanKind.INTERNAL,
    ) -> Span:
        return self._tracer.start_span(
            name, set_span_in_context(parent), kind, attributes, start_time=began
        )

    def _labels(self, stream: str) -> dict[str, str]:
        return {"source": self._source, "stream": stream}


_SERVICE = {"service.name": NAME}
