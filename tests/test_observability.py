"""A run as others see it: JSON lines, OpenTelemetry, Prometheus, alerts. All of them bounded."""

from __future__ import annotations

import base64
import json
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from landing.catalog.settings import bucket_settings
from landing.catalog.workspace import Workspace
from landing.errors import LandingError
from landing.events import RunEnded, StreamFailed
from landing.observe.freshness import late_streams
from landing.observe.in_quarantine import InQuarantine
from landing.observe.lag import moment_of
from landing.observe.prometheus import Metrics
from landing.zone import bucket as buckets
from tests.kit import REPOSITORY, Kit, Zone
from tests.servers.api import Api

STREAMS = """\
import os

import dlt
from landing.http import Api, Bearer, OffsetPages


@dlt.resource(primary_key="id")
def orders(
    updated_at: dlt.sources.incremental[str] = dlt.sources.incremental(
        "updated_at", initial_value="2020-01-01 00:00:00"
    ),
):
    api = Api(os.environ["MY_API_URL"], auth=Bearer(os.environ["MY_API_KEY"]))
    yield from api.pages("orders", records="data", paging=OffsetPages(limit=500))


@dlt.resource
def broken():
    yield {"id": 1}
    raise RuntimeError(f"no luck with {os.environ['MY_API_KEY']} at <http://u:pass-word@h/>")
"""
FIELDS = {
    "id": {"type": "integer"},
    "updated_at": {"type": "string", "format": "date-time"},
}


@dataclass
class Received:
    """What a server on the loopback interface was sent."""

    url: str
    answer: int = 200
    delay: float = 0.0
    bodies: list[tuple[str, str, bytes]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def at(self, path: str) -> list[bytes]:
        return [body for _, where, body in self.bodies if where == path]


@pytest.fixture
def server() -> Iterator[Received]:
    with receiving() as received:
        yield received


@contextmanager
def receiving() -> Iterator[Received]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            answer = received.answer
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            received.bodies.append((self.command, self.path, body))
            received.headers.append(dict(self.headers))
            time.sleep(received.delay)
            self.send_response(answer)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_PUT = do_POST

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    received = Received(f"http://127.0.0.1:{http.server_port}")
    thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield received
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


@pytest.fixture
def shop(kit: Kit, api: Api, folder_zone: Zone, use: Callable[[Api], None]) -> Kit:
    use(api)
    kit.add_source("shop", STREAMS)
    kit.configure(
        "shop", "orders", fields=FIELDS, cursor_field=["updated_at"], schedule="0 * * * *"
    )
    kit.configure("shop", "broken", fields={"id": {"type": "integer"}})
    return kit


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


# JSON lines


def test_each_line_of_a_run_is_an_object_with_its_load(shop: Kit, api: Api) -> None:
    done = shop.run("shop", "--all", "--log-format", "json")
    assert done.code == 1
    assert done.out == ""
    found = lines(done.err)
    assert len({line["run_id"] for line in found}) == 1
    assert {line["source"] for line in found} == {"shop"}
    for line in found:
        assert datetime.fromisoformat(line["time"]).tzinfo is not None
        assert line["level"] in ("info", "warning", "error")

    orders = [line for line in found if line["stream"] == "orders"]
    events = [line["event"] for line in orders]
    assert [event for event in events if event != "note"] == [
        "stream_started",
        "load_began",
        "part_written",
        "part_uploaded",
        "stream_landed",
    ]
    landed = orders[-1]
    assert landed["rows"] == len(api.rows())
    assert landed["load_ids"] == [landed["load_id"]]
    assert {line["load_id"] for line in orders[events.index("load_began") :]} == {landed["load_id"]}
    assert landed["requests"] == len(api.requests)

    failed = next(line for line in found if line["event"] == "stream_failed")
    assert (failed["stream"], failed["level"], failed["exit_code"]) == ("broken", "error", 1)
    assert "no luck with *** at" in failed["message"]
    assert api.token not in done.err
    assert "pass-word" not in done.err


def test_every_event_of_the_log_is_documented(shop: Kit) -> None:
    source = (REPOSITORY / "src" / "landing" / "observe" / "logs.py").read_text()
    events = set(
        re.findall(r'\.write\(\s*(?:record\.levelname\.lower\(\)|"\w+"),\s*"(\w+)"', source)
    )
    assert {"stream_started", "stream_landed", "stream_failed", "log"} <= events
    text = (REPOSITORY / "docs" / "observability.md").read_text()
    assert [
        e for e in sorted({*events, "error", "interrupted", "bug"}) if f"`{e}`" not in text
    ] == []


def test_mistakes_and_lines_of_libraries_are_objects_too(
    shop: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANDING_LOG_FORMAT", "json")
    wrong = shop.run("shop", "ordes")
    assert wrong.code == 2
    (line,) = lines(wrong.err)
    assert line["event"] == "error"
    assert "did you mean 'orders'?" in line["message"]

    file = shop.root / "dlt" / "sources" / "shop" / "streams.py"
    file.write_text("import logging\nlogging.getLogger('lib').warning('odd %s', 1)\n" + STREAMS)
    done = shop.forked("pipeline.py", "shop", "orders", LANDING_LOG_FORMAT="json")
    assert done.code == 0, done.text
    log = next(line for line in lines(done.err) if line["event"] == "log")
    assert (log["logger"], log["level"], log["message"]) == ("lib", "warning", "odd 1")

    monkeypatch.setenv("LANDING_LOG_FORMAT", "xml")
    unknown = shop.run("shop", "orders")
    assert unknown.code == 2
    assert "LANDING_LOG_FORMAT is 'xml': it has to be text or json" in unknown.err


# OpenTelemetry


def test_a_run_is_a_trace_of_its_streams_requests_parts_and_uploads(
    shop: Kit, api: Api, server: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer of-the-collector")
    api.fail_next(1, status=503)
    done = shop.run("shop", "--all")
    assert done.code == 1
    assert {headers["authorization"] for headers in server.headers} == {"Bearer of-the-collector"}

    spans = spans_of(server)
    assert sorted({span.name for span in spans}) == [
        "GET",
        "part",
        "run",
        "stream broken",
        "stream orders",
        "upload",
    ]
    by_id = {span.span_id: span for span in spans}
    parents = {
        (span.name, by_id[span.parent_span_id].name) for span in spans if span.parent_span_id
    }
    assert parents == {
        ("GET", "stream orders"),
        ("part", "stream orders"),
        ("upload", "stream orders"),
        ("stream orders", "run"),
        ("stream broken", "run"),
    }
    assert len({span.trace_id for span in spans}) == 1
    for span in spans:
        assert 0 < span.start_time_unix_nano <= span.end_time_unix_nano
        if span.parent_span_id and span.name != "part":
            parent = by_id[span.parent_span_id]
            assert parent.start_time_unix_nano <= span.start_time_unix_nano + 1_000_000
            assert span.end_time_unix_nano <= parent.end_time_unix_nano
    requests = [attributes(span) for span in spans if span.name == "GET"]
    assert sorted(r["http.response.status_code"] for r in requests)[-1] == 503
    assert len(requests) == len(api.requests)

    points = metrics_of(server)
    orders = {"source": "shop", "stream": "orders"}
    assert points["landing.rows"][tuple(orders.values())] == len(api.rows())
    assert points["landing.requests"][tuple(orders.values())] == len(requests)
    assert points["landing.retries"][("503", *orders.values())] == 1
    assert points["landing.bytes"][tuple(orders.values())] > 0
    newest = max(datetime.fromisoformat(row["updated_at"]) for row in api.rows())
    lag = (datetime.now(UTC) - newest.replace(tzinfo=UTC)).total_seconds()
    assert points["landing.cursor.lag"][tuple(orders.values())] == pytest.approx(lag, abs=60)
    assert points["landing.quarantine.rows"][tuple(orders.values())] == 0
    assert points["landing.quarantine.age"][tuple(orders.values())] == 0
    assert set(points["landing.runs"]) == {
        ("landed", "shop", "orders"),
        ("failed", "shop", "broken"),
    }
    assert all(api.token.encode() not in body for _, _, body in server.bodies)


def test_without_an_endpoint_nothing_of_opentelemetry_or_prometheus_is_imported(shop: Kit) -> None:
    file = shop.root / "dlt" / "sources" / "shop" / "streams.py"
    report = shop.repository / "modules"
    file.write_text(
        STREAMS + "import atexit, pathlib, sys\n"
        f"report = pathlib.Path({str(report)!r})\n"
        "atexit.register(lambda: report.write_text(' '.join(sys.modules)))\n"
    )
    assert shop.script("pipeline.py", "shop", "orders").code == 0
    loaded = report.read_text().split()
    assert "landing.observe" in loaded
    heavy = ("opentelemetry.sdk", "opentelemetry.exporter", "prometheus_client", "openlineage")
    assert [name for name in loaded if name.startswith(heavy)] == []


def test_a_collector_that_does_not_answer_fails_no_run(
    shop: Kit, server: Received, monkeypatch: pytest.MonkeyPatch, folder_zone: Zone
) -> None:
    server.delay = 300.0
    monkeypatch.setattr("landing.observe.in_time.SENT_WITHIN", 0.2)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
    done = shop.run("shop", "orders")
    assert done.code == 0
    assert "OTEL_EXPORTER_OTLP_ENDPOINT: gave up after 0.2 s" in done.text
    assert folder_zone.parts("shop", "orders")


def test_a_missing_package_is_reported_with_how_to_install_it(
    shop: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "landing.observe.otel", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.metrics", None)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    done = shop.run("shop", "orders")
    assert done.code == 2
    assert "pip install 'dlt-landing[otel]' (or OTEL_SDK_DISABLED=true switches it off)" in done.err
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert shop.run("shop", "orders").code == 0


# Prometheus


def test_runs_at_the_same_time_do_not_undo_each_others_metrics(tmp_path: Path) -> None:
    file = tmp_path / "all.prom"

    def write(number: int) -> None:
        metrics = Metrics(f"source-{number}", file, None, InQuarantine(Workspace(tmp_path), "shop"))
        metrics(StreamFailed("orders", LandingError("no answer")))
        metrics(RunEnded())

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(write, range(64)))
    lines = file.read_text().splitlines()
    written = [line for line in lines if line.startswith("landing_last_run_success{")]
    assert len(written) == 64


def test_a_metrics_file_has_the_last_run_of_each_stream(
    shop: Kit, api: Api, tmp_path: Path
) -> None:
    file = tmp_path / "node" / "shop.prom"
    before = time.time()
    shop.run("shop", "orders", "broken", "--metrics-file", str(file))
    found = gauges(file.read_text())
    orders, broken = ("shop", "orders"), ("shop", "broken")
    assert found["landing_last_run_success"] == {orders: 1, broken: 0}
    assert found["landing_last_run_rows"] == {orders: len(api.rows())}
    assert found["landing_last_success_timestamp_seconds"][orders] == pytest.approx(before, abs=60)
    due = datetime.fromtimestamp(found["landing_next_due_timestamp_seconds"][orders], UTC)
    assert due.minute == 0
    assert list(file.parent.iterdir()) == [file], "nothing half-written is left"

    file_of_another = 'landing_last_run_rows{source="other",stream="x"} 7.0\n'
    file.write_text(file.read_text() + file_of_another)
    api.token = "changed, so that the next run is refused"
    assert shop.run("shop", "orders", "--metrics-file", str(file)).code == 1
    again = gauges(file.read_text())
    assert again["landing_last_run_success"][orders] == 0
    kept = "landing_last_success_timestamp_seconds"
    assert again[kept][orders] == found[kept][orders], "when it last landed is still known"
    assert again["landing_last_run_rows"] == {("other", "x"): 7}


def test_metrics_are_pushed_a_group_for_each_stream(
    shop: Kit, api: Api, server: Received, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = server.url.replace("http://", "http://pusher:secret-word@")
    monkeypatch.setenv("LANDING_PUSHGATEWAY_URL", address)
    assert shop.run("shop", "orders", "broken").code == 1
    assert sorted(path for _, path, _ in server.bodies) == [
        "/metrics/job/landing/source/shop/stream/broken",
        "/metrics/job/landing/source/shop/stream/orders",
    ]
    (body,) = server.at("/metrics/job/landing/source/shop/stream/orders")
    assert gauges(body.decode())["landing_last_run_rows"] == {("shop", "orders"): len(api.rows())}
    user = base64.b64encode(b"pusher:secret-word").decode()
    assert {headers["Authorization"] for headers in server.headers} == {f"Basic {user}"}

    server.bodies.clear()
    metrics = Metrics("shop", None, address, InQuarantine(Workspace(tmp_path), "shop"))
    server.answer = 503
    metrics(StreamFailed("refused", LandingError("no answer")))
    deadline = time.monotonic() + 10
    while not server.bodies and time.monotonic() < deadline:
        time.sleep(0.01)
    server.answer = 200
    for name in ("second", "third"):
        metrics(StreamFailed(name, LandingError("no answer")))
    metrics.push_rest(RunEnded())
    pushed = [path.rpartition("/")[2] for _, path, _ in server.bodies]
    assert pushed == ["refused", "second", "third", "refused"]

    server.answer = 500
    done = shop.run("shop", "orders", "--metrics-file", "/dev/null/x/shop.prom")
    assert done.code == 0, "the rows have landed"
    assert "LANDING_PUSHGATEWAY_URL: the metrics were not pushed: HTTP Error 500" in done.out
    assert "--metrics-file /dev/null/x/shop.prom: can't be written" in done.out
    assert "secret-word" not in done.text


def test_the_dashboard_asks_for_metrics_that_there_are() -> None:
    from landing.observe.prometheus import GAUGES

    file = REPOSITORY / "deploy" / "grafana" / "landing.json"
    dashboard = json.loads(file.read_text())
    queries = [
        target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])
    ]
    variables = [
        variable["query"]
        for variable in dashboard["templating"]["list"]
        if variable["type"] == "query"
    ]
    asked = set(re.findall(r"\blanding_\w+", " ".join([*queries, *map(str, variables)])))
    assert queries
    assert sorted(asked - set(GAUGES)) == []
    assert {"landing_last_run_success", "landing_cursor_timestamp_seconds"} <= asked
    text = (REPOSITORY / "docs" / "observability.md").read_text()
    assert [name for name in GAUGES if f"`{name}`" not in text] == []
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))


# Alerts


def test_a_failed_stream_is_reported_to_slack_without_secrets(
    shop: Kit, api: Api, server: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANDING_ALERT_WEBHOOK", f"{server.url}/services/T0/B0/x1y2z3w4")
    assert shop.run("shop", "--all").code == 1
    (body,) = server.at("/services/T0/B0/x1y2z3w4")
    text = json.loads(body)["text"]
    assert text.startswith(":red_circle: *shop/broken* failed: stream 'shop/broken'")
    assert "&lt;http" in text
    assert api.token not in text
    assert "pass-word" not in text

    assert shop.run("shop", "orders").code == 0
    assert len(server.bodies) == 1, "nothing failed, and nothing is late"


def test_a_run_that_could_not_begin_is_reported_too(
    shop: Kit, server: Received, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANDING_ALERT_WEBHOOK", server.url)
    shop.configure("shop", "orders", "{")
    file = tmp_path / "shop.prom"
    assert shop.run("shop", "orders", "--metrics-file", str(file)).code == 2
    assert "*shop* failed: orchestration/dag/streams/shop/orders.json" in server.at("/")[0].decode()
    assert gauges(file.read_text())["landing_last_run_success"] == {("shop", "orders"): 0}


def test_only_streams_behind_their_schedule_are_reported(
    shop: Kit, server: Received, monkeypatch: pytest.MonkeyPatch, folder_zone: Zone
) -> None:
    shop.configure("shop", "unscheduled", fields=FIELDS)
    shop.configure("shop", "never", fields=FIELDS, schedule="@daily")
    monkeypatch.setenv("LANDING_ALERT_WEBHOOK", server.url)
    monkeypatch.setenv("LANDING_ALERT_FORMAT", "json")
    assert shop.run("shop", "orders").code == 0
    (body,) = server.at("/")
    told = json.loads(body)
    assert told["failed"] == []
    assert [(late["stream"], late["last"]) for late in told["late"]] == [("shop/never", None)]

    workspace = Workspace(shop.root)
    bucket = buckets.Bucket(bucket_settings(workspace))
    now = datetime.now(UTC)

    def late(after: timedelta) -> list[str]:
        return [one.stream for one in late_streams(workspace, "shop", bucket, now + after)]

    assert late(timedelta(minutes=50)) == ["never"]
    assert late(timedelta(hours=3)) == ["never", "orders"]


def test_a_run_that_finds_nothing_new_is_not_late(shop: Kit, folder_zone: Zone) -> None:
    workspace = Workspace(shop.root)
    bucket = buckets.Bucket(bucket_settings(workspace))
    assert shop.run("shop", "orders").code == 0
    state = Path(bucket.url.removeprefix("file://")) / "_dlt/shop/orders/state.json"
    content = json.loads(state.read_bytes())
    hours_ago = time.time() - 5 * 3600
    os.utime(state, (hours_ago, hours_ago))
    assert [one.stream for one in late_streams(workspace, "shop", bucket, datetime.now(UTC))]

    assert "nothing new" in shop.run("shop", "orders").out
    assert json.loads(state.read_bytes()) == {**content, "created_at": ANY}
    assert not [one.stream for one in late_streams(workspace, "shop", bucket, datetime.now(UTC))]


def test_landing_fresh_lists_what_is_late_and_exits_with_1(
    shop: Kit, server: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANDING_ALERT_WEBHOOK", server.url)
    done = shop.landing("fresh", "shop")
    assert done.code == 1, done.text
    assert "shop/orders: landed never, but was due at " in done.out
    assert ":hourglass: shop/orders" in json.loads(server.at("/")[0])["text"]
    assert shop.run("shop", "orders").code == 0
    fresh = shop.landing("fresh")
    assert (fresh.code, fresh.out) == (0, "no stream is behind its schedule\n")
    _, after = map(json.loads, server.at("/"))
    assert after["text"].startswith(":white_check_mark: *shop/orders* is on time again, after an ")


def test_a_webhook_that_fails_or_does_not_answer_fails_no_run(
    shop: Kit, server: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANDING_ALERT_WEBHOOK", f"{server.url}/services/hidden-address")
    server.answer = 404
    done = shop.run("shop", "broken", "orders")
    assert done.code == 1
    assert "LANDING_ALERT_WEBHOOK: answered 404" in done.out
    assert "shop/orders:" in done.out
    assert "hidden-address" not in done.text

    server.delay = 1.2
    done = shop.run("shop", "broken")
    assert len(server.bodies) == 2, "an alert has more time than metrics"
    assert "LANDING_ALERT_WEBHOOK: answered 404" in done.out

    server.delay = 300.0
    monkeypatch.setattr("landing.observe.in_time.PROBLEMS_SENT_WITHIN", 0.2)
    assert "LANDING_ALERT_WEBHOOK: gave up after 0.2 s" in shop.run("shop", "broken").out
    monkeypatch.setenv("LANDING_ALERT_FORMAT", "teams")
    wrong = shop.run("shop", "orders")
    assert wrong.code == 2
    assert "LANDING_ALERT_FORMAT is 'teams': it has to be slack or json" in wrong.err


@pytest.mark.parametrize(
    ("cursor", "moment"),
    [
        ("2024-01-01 10:00:00", datetime(2024, 1, 1, 10, tzinfo=UTC)),
        ("2024-01-01T10:00:00+02:00", datetime(2024, 1, 1, 8, tzinfo=UTC)),
        ("2024-01-01", datetime(2024, 1, 1, tzinfo=UTC)),
        (date(2024, 1, 1), datetime(2024, 1, 1, tzinfo=UTC)),
        (17, None),
        ("A-17", None),
        (None, None),
    ],
)
def test_a_cursor_is_a_time_where_it_reads_as_one(cursor: Any, moment: datetime | None) -> None:
    assert moment_of(cursor) == moment


def spans_of(server: Received) -> list[Any]:
    found = []
    for body in server.at("/v1/traces"):
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            names = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
            assert names["service.name"] == "dlt-landing"
            for scope in resource.scope_spans:
                found += scope.spans
    return found


def attributes(span: Any) -> dict[str, Any]:
    return {
        pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in span.attributes
    }


def metrics_of(server: Received) -> dict[str, dict[tuple[str, ...], float]]:
    """The last value of each, by its attributes in the order of their names."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for body in server.at("/v1/metrics"):
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    data = getattr(metric, metric.WhichOneof("data"))
                    for point in data.data_points:
                        labels = attributes(point)
                        key = tuple(labels[name] for name in sorted(labels))
                        kind = point.WhichOneof("value") if hasattr(point, "as_int") else None
                        value = getattr(point, kind) if kind else point.count
                        found.setdefault(metric.name, {})[key] = value
    return found


def gauges(text: str) -> dict[str, dict[tuple[str, str], float]]:
    found: dict[str, dict[tuple[str, str], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.labels["source"], sample.labels["stream"])
            found.setdefault(sample.name, {})[key] = sample.value
    return found
