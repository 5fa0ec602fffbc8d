"""Alerts: what is sent to whom, how often, and that they end."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
import time_machine
from jsonschema import Draft202012Validator

from landing.catalog.settings import bucket_settings
from landing.catalog.workspace import Workspace
from landing.errors import LandingError, SettingsError
from landing.observe.alert import Alert, Recovered, json_body
from landing.observe.alert_dispatch import Dispatch, End
from landing.observe.alert_rules import rules
from landing.observe.receivers import PagerDuty, pagerduty_event
from landing.observe.slack import slack_body
from landing.zone.alert_log import AlertLog, Change
from landing.zone.bucket import Bucket
from tests.command import Program
from tests.kit import REPOSITORY, Kit, Zone

KEY = "R0123456789ABCDEF0123456789abcde"
WEBHOOK, PAGERDUTY = "/services/T0/B0/x1y2z3w4", "/v2/enqueue"
ROWS = """\
import os
import time
from pathlib import Path

import dlt

FAULT = Path(os.environ["FAULT"])
if FAULT.read_text() == "broken":
    raise RuntimeError("no source today")


@dlt.resource(primary_key="id")
def orders():
    fault = FAULT.read_text()
    while fault in ("wait", "waits"):
        yield {"id": 1, "total": 1.5}
        FAULT.write_text("waits")
        time.sleep(0.05)
    if fault == "fail":
        raise RuntimeError("no luck")
    for number in range(100):
        row = {"id": number, "total": 1.5}
        if fault == "lost":
            del row["total"]
        if fault == "misfit" and number < 3:
            row["total"] = "many"
        yield row


@dlt.resource
def fine():
    yield {"id": 1}
"""
FIELDS = {"id": {"type": "integer"}, "total": {"type": "number"}}


@dataclass
class Receiver:
    """Accepts what Slack's incoming webhooks and PagerDuty's Events API v2 document, refuses what
    they do not, and keeps what it accepted."""

    url: str = ""
    refusals: list[int] = field(default_factory=list)
    """Statuses to answer before it accepts again."""
    delays: dict[str, float] = field(default_factory=dict)
    """Seconds until it answers, by path."""
    ends: Event | None = None
    """When the body of an answer ends."""
    slack: list[dict[str, Any]] = field(default_factory=list)
    pagerduty: list[dict[str, Any]] = field(default_factory=list)
    json: list[dict[str, Any]] = field(default_factory=list)
    attempts: int = 0
    closed: Event = field(default_factory=Event)

    def answer(self, path: str, body: Any) -> tuple[int, bytes]:
        self.attempts += 1
        self.closed.wait(self.delays.get(path, 0))
        if self.refusals:
            return self.refusals.pop(0), b""
        if path == PAGERDUTY:
            if (mistake := pagerduty_mistake(body)) is not None:
                refusal = {"status": "invalid event", "errors": [mistake]}
                return 400, json.dumps(refusal).encode()
            self.pagerduty.append(body)
            return 202, json.dumps({"status": "success", "dedup_key": body["dedup_key"]}).encode()
        if path == WEBHOOK:
            if slack_mistake(body):
                return 400, b"invalid_payload"
            self.slack.append(body)
            return 200, b"ok"
        SCHEMA.validate(body)
        self.json.append(body)
        return 204, b""


SCHEMA = Draft202012Validator(json.loads((REPOSITORY / "schemas" / "alert.json").read_text()))


def pagerduty_mistake(body: dict[str, Any]) -> str | None:
    if len(body.get("routing_key", "")) != 32:
        return "Length of 'routing_key' is incorrect (should be 32 characters)"
    if body.get("event_action") not in ("trigger", "acknowledge", "resolve"):
        return "'event_action' is invalid"
    if not 0 < len(body.get("dedup_key", "")) <= 255:
        return "'dedup_key' is invalid"
    if body["event_action"] == "resolve":
        return None
    payload = body.get("payload", {})
    if not 0 < len(payload.get("summary", "")) <= 1024:
        return "'payload.summary' is invalid"
    if payload.get("severity") not in ("critical", "error", "warning", "info"):
        return "'payload.severity' is invalid"
    return None if payload.get("source") else "'payload.source' is missing"


def slack_mistake(body: dict[str, Any]) -> str | None:
    if not 0 < len(body.get("text", "")) <= 40_000:
        return "text"
    if not set(body) <= {"text", "blocks"} or len(body.get("blocks", [])) > 50:
        return "blocks"
    for block in body.get("blocks", []):
        text = block["text"]
        if block["type"] != "section" or text["type"] != "mrkdwn" or len(text["text"]) > 3000:
            return "block"
        if re.search(r"<(?!\S+\|)|&(?!amp;|lt;|gt;)", text["text"]):
            return "escapes"
    return None


@contextmanager
def receiving() -> Iterator[Receiver]:
    received = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, answer = received.answer(self.path, json.loads(body))
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer) + (received.ends is not None)))
            if status == 429:
                self.send_header("Retry-After", "0")
            self.end_headers()
            self.wfile.write(answer)
            if received.ends is not None:
                received.ends.wait(30)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    received.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield received
    finally:
        received.closed.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving() as received:
        monkeypatch.setenv("LANDING_ALERT_WEBHOOK", f"{received.url}{WEBHOOK}")
        monkeypatch.setenv("LANDING_ALERT_PAGERDUTY_KEY", KEY)
        monkeypatch.setenv("LANDING_ALERT_PAGERDUTY_URL", f"{received.url}{PAGERDUTY}")
        yield received


@pytest.fixture
def fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    file = tmp_path / "fault"
    monkeypatch.setenv("FAULT", str(file))
    file.write_text("")

    def set_(kind: str) -> None:
        file.write_text(kind)

    return set_


@pytest.fixture
def shop(kit: Kit, folder_zone: Zone, fault: Callable[[str], None]) -> Kit:
    kit.add_source("shop", ROWS)
    kit.configure("shop", "orders", fields=FIELDS)
    kit.configure("shop", "fine", fields={"id": {"type": "integer"}})
    return kit


def bucket_of(kit: Kit) -> Bucket:
    return Bucket(bucket_settings(Workspace(kit.root)))


def later(hours: float) -> time_machine.travel:
    return time_machine.travel(datetime.now(UTC) + timedelta(hours=hours), tick=True)


def test_a_failing_night_is_one_alert_repeated_and_over_once_it_lands(
    shop: Kit, receiver: Receiver, fault: Callable[[str], None]
) -> None:
    fault("fail")
    for _ in range(3):
        done = shop.run("shop", "--all")
        assert done.code == 1
        assert KEY not in done.text
        assert "x1y2z3w4" not in done.text
    assert len(receiver.slack) == len(receiver.pagerduty) == 1, "the same failure"
    (message,) = receiver.slack
    assert message["text"].startswith(":red_circle: *shop/orders* failed: stream 'shop/orders'")
    assert [block["text"]["text"] for block in message["blocks"]] == [message["text"]]
    (event,) = receiver.pagerduty
    assert event["event_action"] == "trigger"
    assert event["dedup_key"] == "landing/shop/orders/failed"
    assert event["payload"]["severity"] == "error"

    with later(5):
        assert shop.run("shop", "orders").code == 1
    assert len(receiver.slack) == len(receiver.pagerduty) == 2, "repeated after four hours"
    assert shop.run("shop", "fine").code == 0
    assert len(receiver.slack) == 2, "another stream says nothing of it"

    fault("")
    assert shop.run("shop", "orders").code == 0
    assert receiver.slack[2] == {"text": receiver.slack[2]["text"]}, "plain"
    assert receiver.slack[2]["text"].startswith(":white_check_mark: *shop/orders* lands again, ")
    assert receiver.pagerduty[2] == {
        "routing_key": KEY,
        "event_action": "resolve",
        "dedup_key": "landing/shop/orders/failed",
    }
    assert shop.run("shop", "orders").code == 0
    assert len(receiver.slack) == len(receiver.pagerduty) == 3
    assert AlertLog(bucket_of(shop), "shop").open == {}


def test_what_one_receiver_refused_is_sent_to_it_by_the_next_run(
    shop: Kit, receiver: Receiver, fault: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANDING_ALERT_PAGERDUTY_KEY", "short")
    fault("fail")
    done = shop.run("shop", "orders")
    assert "LANDING_ALERT_PAGERDUTY_KEY: answered 400: " in done.out
    assert "should be 32 characters" in done.out
    assert (len(receiver.slack), len(receiver.pagerduty)) == (1, 0)
    monkeypatch.setenv("LANDING_ALERT_PAGERDUTY_KEY", KEY)
    receiver.refusals = [429]
    assert "answered" not in shop.run("shop", "orders").text, "the second attempt is taken"
    assert (len(receiver.slack), len(receiver.pagerduty)) == (1, 1)


def test_what_one_receiver_took_is_remembered_though_another_does_not_answer(
    shop: Kit, receiver: Receiver, fault: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("landing.observe.in_time.PROBLEMS_SENT_WITHIN", 0.7)
    receiver.delays = {WEBHOOK: 30}
    fault("fail")
    for _ in range(2):
        assert "LANDING_ALERT_WEBHOOK: gave up after 0.7 s" in shop.run("shop", "orders").text
    assert len(receiver.pagerduty) == 1
    assert set(AlertLog(bucket_of(shop), "shop").open["orders"]["failed"].sent) == {"pagerduty"}


def test_a_good_run_waits_for_a_slow_receiver_if_it_has_something_to_say(
    shop: Kit, receiver: Receiver, fault: Callable[[str], None]
) -> None:
    fault("fail")
    assert shop.run("shop", "orders").code == 1
    fault("")
    receiver.delays = {WEBHOOK: 1.2}
    for _ in range(2):
        assert "gave up" not in shop.run("shop", "orders").text
    assert len(receiver.slack) == len(receiver.pagerduty) == 2, "once more, as it lands again"


def test_an_answer_whose_body_does_not_end_is_an_answer(
    shop: Kit, receiver: Receiver, fault: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.ends = Event()
    monkeypatch.setenv("LANDING_ALERT_PAGERDUTY_KEY", "short")
    fault("fail")
    begun = time.monotonic()
    for _ in range(2):
        done = shop.run("shop", "orders")
        assert "should be 32 characters" in done.text
        assert "gave up" not in done.text
    assert time.monotonic() - begun < 4
    assert len(receiver.slack) == 1
    receiver.ends.set()


def test_more_alerts_than_there_is_time_for_are_all_sent_by_the_next_runs(
    kit: Kit, folder_zone: Zone, receiver: Receiver
) -> None:
    receiver.delays = {PAGERDUTY: 0.1}
    alerts = [Alert("shop", f"s{number}", "failed", "no luck") for number in range(20)]
    with pytest.raises(LandingError, match=r"^LANDING_ALERT_PAGERDUTY_KEY: gave up after 0\.25 s$"):
        dispatch(kit, receiver).send(alerts, within=0.25)
    for _ in range(20):
        with suppress(LandingError):
            dispatch(kit, receiver).send(alerts, within=0.25)
        if len(AlertLog(bucket_of(kit), "shop").open) == len(alerts):
            break
    assert len({event["dedup_key"] for event in receiver.pagerduty}) == len(alerts)
    before = receiver.attempts
    dispatch(kit, receiver).send(alerts)
    assert receiver.attempts == before, "each is remembered"


def test_what_was_never_sent_goes_first_and_then_what_was_sent_longest_ago(
    kit: Kit, folder_zone: Zone, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PagerDuty, "at_once", 1)
    now = datetime.now(UTC)
    ago = {"a": 5, "b": 7, "over": 6}
    changes = [
        Change(stream, "failed", "pagerduty", now - timedelta(hours=hours))
        for stream, hours in ago.items()
    ]
    AlertLog(bucket_of(kit), "shop").record(changes)
    alerts = [Alert("shop", stream, "failed", "no luck") for stream in ("a", "b", "new", "newer")]
    dispatch(kit, receiver, over="over").send(alerts)
    sent = [event["dedup_key"].split("/")[2] for event in receiver.pagerduty]
    assert sent == ["new", "newer", "b", "over", "a"]


def test_a_receiver_that_refuses_one_alert_gets_the_others(
    kit: Kit, folder_zone: Zone, receiver: Receiver
) -> None:
    receiver.refusals = [400]
    alerts = [Alert("shop", f"s{number}", "failed", "no luck") for number in range(8)]
    with pytest.raises(LandingError, match=r"^LANDING_ALERT_PAGERDUTY_KEY: answered 400$"):
        dispatch(kit, receiver).send(alerts)
    assert len(receiver.pagerduty) == 7
    dispatch(kit, receiver).send(alerts)
    assert len({event["dedup_key"] for event in receiver.pagerduty}) == len(receiver.pagerduty) == 8


def dispatch(kit: Kit, receiver: Receiver, over: str = "") -> Dispatch:
    """As of a run that begins now, with PagerDuty alone."""
    to = PagerDuty(KEY, f"{receiver.url}{PAGERDUTY}")
    logs = {"shop": AlertLog(bucket_of(kit), "shop")}

    def end(source: str, stream: str, kind: str) -> End | None:
        return "fine" if stream == over else None

    return Dispatch([to], logs, lambda *_: rules(), end)


@pytest.mark.parametrize(
    ("hours", "zone_name", "is_sent"),
    [
        (5 * 365 * 24, "+00:00", True),  # a clock was wrong
        (0.1, "+00:00", False),  # another machine's clock is a little ahead
        (-0.1, "", False),
        (-5, "", True),
    ],
)
def test_the_log_of_a_wrong_clock_or_without_zones_stops_no_alert(
    shop: Kit,
    receiver: Receiver,
    fault: Callable[[str], None],
    hours: float,
    zone_name: str,
    is_sent: bool,
) -> None:
    now = datetime.now(UTC)
    moment = f"{now + timedelta(hours=hours):%Y-%m-%dT%H:%M:%S}{zone_name}"
    opened = {"failed": {"since": moment, "sent": {"webhook": moment, "pagerduty": moment}}}
    log = {"token": "x", "open": {"orders": opened}}
    bucket_of(shop).put("_dlt/_alerts/shop.json", json.dumps(log).encode())
    fault("fail")
    for _ in range(2):
        done = shop.run("shop", "orders")
        assert "TypeError" not in done.text
        assert "subtract" not in done.text
    assert len(receiver.slack) == len(receiver.pagerduty) == is_sent
    if is_sent:
        kept = AlertLog(bucket_of(shop), "shop").open["orders"]["failed"]
        assert kept.since <= kept.sent["webhook"]


def test_a_bucket_that_fails_stops_no_alert(
    shop: Kit, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("DLT_BUCKET_URL", f"file://{tmp_path}/file/below")
    for _ in range(2):
        assert shop.run("shop", "orders").code != 0
    assert len(receiver.slack) == len(receiver.pagerduty) == 2, "sent, and not remembered"


def test_a_run_that_could_not_begin_is_over_when_one_begins(
    shop: Kit, receiver: Receiver, fault: Callable[[str], None]
) -> None:
    fault("broken")
    assert shop.run("shop", "--all").code == 2
    assert receiver.pagerduty[0]["dedup_key"] == "landing/shop/failed"
    assert receiver.slack[0]["text"].startswith(":red_circle: *shop* failed: ")
    fault("")
    assert shop.run("shop", "nonsense").code == 2, "a mistake on the command line is no alert"
    assert len(receiver.pagerduty) == 1
    assert shop.run("shop", "--all").code == 0
    assert receiver.pagerduty[1]["event_action"] == "resolve"
    assert receiver.slack[1]["text"].startswith(":white_check_mark: *shop* lands again")


def test_a_field_that_vanishes_is_reported_once_and_when_it_is_back(
    shop: Kit, receiver: Receiver, fault: Callable[[str], None]
) -> None:
    assert shop.run("shop", "orders").code == 0
    fault("lost")
    with later(10):
        for _ in range(2):
            assert shop.run("shop", "orders").code == 0
    (message,) = receiver.slack
    assert ":warning: *shop/orders* lost_field: no record had total, which" in message["text"]
    assert receiver.pagerduty[0]["payload"]["severity"] == "warning"
    fault("")
    assert shop.run("shop", "orders").code == 0
    assert "has all its fields again" in receiver.slack[1]["text"]


@pytest.mark.parametrize("of_stream", [False, True])
def test_quarantine_is_an_alert_above_a_number_or_an_age(
    shop: Kit,
    receiver: Receiver,
    fault: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    of_stream: bool,
) -> None:
    monkeypatch.setenv("LANDING_ALERT_FORMAT", "json")
    monkeypatch.setenv("LANDING_ALERT_WEBHOOK", receiver.url)
    monkeypatch.setenv("LANDING_ALERT_QUARANTINE_ROWS", "100" if of_stream else "3")
    own = {"quarantine_rows": 3} if of_stream else {"quarantine_hours": 1000, "repeat_hours": 24}
    shop.configure("shop", "orders", fields=FIELDS, alerts=own, quarantine_limit=1)
    file = tmp_path / "shop.prom"
    fault("misfit")
    assert shop.run("shop", "orders", "--metrics-file", str(file)).code == 0
    text = file.read_text()
    assert 'landing_quarantine_rows{source="shop",stream="orders"} 3.0' in text
    found = re.search(r"quarantine_oldest_timestamp_seconds\{.*\} (\S+)", text)
    assert found is not None
    assert abs(float(found[1]) - datetime.now(UTC).timestamp()) < 60
    (message,) = receiver.json
    (warning,) = message["warnings"]
    assert warning["kind"] == "quarantine"
    assert warning["message"].startswith("3 records wait in quarantine, the oldest since ")

    with later(1001):
        assert shop.landing("fresh", "shop").code == 0, "of quarantine it only alerts"
    assert len(receiver.json) == 2

    fault("")
    assert shop.landing("quarantine", "drop", "shop", "orders", "--yes").code == 0
    assert shop.run("shop", "orders", "--metrics-file", str(file)).code == 0
    assert [one["kind"] for one in receiver.json[2]["recovered"]] == ["quarantine"]
    assert 'oldest_timestamp_seconds{source="shop",stream="orders"} NaN' in file.read_text()


def test_the_environment_and_the_config_say_what_is_alerted_of(
    shop: Kit, receiver: Receiver, fault: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    fault("fail")
    monkeypatch.setenv("LANDING_ALERT_ON", "late, quarantine")
    assert shop.run("shop", "orders").code == 1
    assert receiver.attempts == 0
    shop.configure("shop", "orders", fields=FIELDS, alerts={"on": ["failed"], "repeat_hours": 0})
    for _ in range(2):
        assert shop.run("shop", "orders").code == 1
    assert len(receiver.slack) == 2
    fault("")
    assert shop.run("shop", "orders").code == 0
    assert len(receiver.slack) == 2, "recovered is not among them"
    assert AlertLog(bucket_of(shop), "shop").open == {}
    monkeypatch.setenv("LANDING_ALERT_ON", "failed,quarantene")
    wrong = shop.run("shop", "orders")
    assert wrong.code == 2
    assert "LANDING_ALERT_ON names 'quarantene', which is no kind of alert" in wrong.err
    assert "did you mean 'quarantine'?" in wrong.err


@pytest.mark.parametrize("name", ["REPEAT_HOURS", "QUARANTINE_ROWS", "QUARANTINE_HOURS"])
@pytest.mark.parametrize("text", ["x", "-1", "nan", "inf"])
def test_a_wrong_number_names_its_variable(
    name: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"LANDING_ALERT_{name}", text)
    with pytest.raises(SettingsError, match=f"LANDING_ALERT_{name} is '{text}': it has to be a "):
        rules()


def test_two_runs_that_write_at_once_keep_what_each_has_sent(kit: Kit, zone: Zone) -> None:
    first, second = AlertLog(bucket_of(kit), "shop"), AlertLog(bucket_of(kit), "shop")
    now = datetime.now(UTC)
    first.record([Change("a", "failed", "webhook", now), Change("b", "late", "webhook", now)])
    second.record([Change("a", "failed", "pagerduty", now)])
    first.record([Change("b", "late", "webhook", None), Change("c", "late", "webhook", None)])
    found = AlertLog(bucket_of(kit), "shop").open
    assert {stream: list(kinds) for stream, kinds in found.items()} == {"a": ["failed"]}
    assert set(found["a"]["failed"].sent) == {"webhook", "pagerduty"}
    bucket_of(kit).put("_dlt/_alerts/shop.json", b"{")
    damaged = AlertLog(bucket_of(kit), "shop")
    assert damaged.open == {}
    damaged.record([Change("a", "failed", "webhook", now)])
    assert list(AlertLog(bucket_of(kit), "shop").open) == ["a"]


def test_a_hundred_long_messages_are_within_the_limits_of_each_receiver() -> None:
    alerts = [
        Alert("s" * 200, f"{number}" + "t" * 200, "failed", "<&>" * 333, "r" * 1000)
        for number in range(100)
    ]
    recovered = [Recovered("s", "t", "failed", datetime.now(UTC))]
    body = slack_body(alerts, recovered)
    assert slack_mistake(body) is None
    assert len(body["blocks"]) == 50
    assert "52 others" in body["blocks"][-1]["text"]["text"]
    for one in alerts:
        assert pagerduty_mistake({"routing_key": KEY, **pagerduty_event(one)}) is None
    assert len({pagerduty_event(one)["dedup_key"] for one in alerts}) == 100
    SCHEMA.validate(json_body(alerts, recovered))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_a_signal_ends_leaves_a_record(
    shop: Kit, fault: Callable[[str], None], number: signal.Signals
) -> None:
    fault("wait")
    program = Program(shop.root, os.environ, ("run", "shop", "orders"))
    deadline = time.monotonic() + 30
    while Path(os.environ["FAULT"]).read_text() != "waits" and time.monotonic() < deadline:
        time.sleep(0.02)
    program.send_signal(number)
    program.communicate(timeout=30)
    fault("")
    if number == signal.SIGKILL:
        lease = Path(bucket_of(shop).url.removeprefix("file://")) / "_dlt/shop/orders/lease.json"
        os.utime(lease, (0, 0))
        done = shop.run("shop", "orders")
        assert "ended without a record: it was killed, or lost its machine" in done.text
    else:
        status = status_of(shop, "orders")
        assert status["last_failure"]["error"] == "Interrupted"
        assert "the last run was interrupted at " in status["problems"][0]["message"]
        assert shop.run("shop", "orders").code == 0
    history = json.loads(shop.landing("history", "shop", "orders", "--json").out)
    errors = [one["error"] for one in history if one["kind"] == "failed"]
    assert errors == ["Died" if number == signal.SIGKILL else "Interrupted"]
    assert status_of(shop, "orders")["last_failure"] is None


def status_of(kit: Kit, stream: str) -> dict[str, Any]:
    found = json.loads(kit.landing("status", "shop", "--json").out)
    return next(dict(one) for one in found if one["stream"] == stream)


@pytest.mark.parametrize("ended_by", ["run", "fresh"])
def test_an_alert_ends_with_its_stream(
    shop: Kit, receiver: Receiver, fault: Callable[[str], None], ended_by: str
) -> None:
    fault("fail")
    assert shop.run("shop", "--all").code == 1
    config = json.loads(shop.config_file("shop", "orders").read_text())
    shop.configure("shop", "orders", json.dumps({**config, "selected": False}))
    words = ("run", "shop", "fine") if ended_by == "run" else ("fresh",)
    assert shop.landing(*words).code == 0
    assert "*shop/orders* is no longer selected, after an alert at" in receiver.slack[-1]["text"]
    assert receiver.pagerduty[-1]["event_action"] == "resolve"
    assert AlertLog(bucket_of(shop), "shop").open == {}
