"""The client kit's session: attempts, deadlines, bounds of bodies, renewed credentials."""

from __future__ import annotations

import gzip
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from email.utils import formatdate
from typing import Any

import pytest
import requests
from requests.auth import AuthBase

from landing.errors import SettingsError
from landing.http import Pace, Retries, Session, SignedRequests, in_flight
from landing.http.retries import GaveUp
from landing.http.traffic import counting
from tests.kit import REPOSITORY, Kit, Zone
from tests.servers.api import Api
from tests.servers.scripted import Exchange, serve

QUICK = Retries(base=0.01)

KIT_CLIENT = """\
import os
from landing.http import Retries, Session

class MyAPI:
    def __init__(self):
        token = os.environ["MY_API_KEY"]
        self.session = Session(
            headers={"Authorization": f"Bearer {token}"}, retries=Retries(total=2, base=0.01)
        )

    def get(self, endpoint, params=None):
        response = self.session.get(f"{os.environ['MY_API_URL']}/{endpoint}", params=params)
        response.raise_for_status()
        return response.json()["data"]
"""


def failing(times: int, status: int, **headers: str) -> Callable[[Exchange], None]:
    def answer(exchange: Exchange) -> None:
        if exchange.number <= times:
            exchange.reply(status, b"{}", **headers)
        else:
            exchange.reply(200, b"[1]")

    return answer


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 522, 529])
def test_a_status_that_may_pass_is_tried_again_and_counted(status: int) -> None:
    with serve(failing(2, status)) as server, counting() as traffic:
        response = Session(retries=QUICK).get(server.url)
    assert (response.status_code, response.json(), response.attempts) == (200, [1], 3)
    assert (traffic.requests, dict(traffic.retries)) == (3, {str(status): 2})
    assert str(traffic).startswith(f"3 requests, 2 retries ({status})")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 501])
def test_a_status_that_will_not_pass_is_given_back_at_once(status: int) -> None:
    with serve(failing(9, status)) as server:
        assert Session(retries=QUICK).get(server.url).status_code == status
    assert len(server.seen) == 1


@pytest.mark.parametrize(("status", "headers"), [(500, {}), (503, {"Retry_After": "0"})])
def test_a_status_that_is_final_is_given_back_at_once(status: int, headers: dict[str, str]) -> None:
    with serve(failing(9, status, **headers)) as server:
        session = Session(retries=Retries(base=0.01, final={status}))
        assert session.get(server.url).status_code == status
    with serve(failing(1, 502)) as other:
        assert session.get(other.url).status_code == 200
    assert (len(server.seen), len(other.seen)) == (1, 2)


def test_attempts_end_with_the_last_answer() -> None:
    with serve(failing(99, 503)) as server:
        response = Session(retries=Retries(total=3, base=0.01)).get(server.url)
    assert (response.status_code, response.attempts, len(server.seen)) == (503, 4, 4)


@pytest.mark.parametrize("date", [False, True])
def test_retry_after_is_waited_for_in_seconds_or_to_a_date(date: bool) -> None:
    def answer(exchange: Exchange) -> None:
        later = formatdate(time.time() + 2, usegmt=True) if date else "1"
        failing(1, 429, Retry_After=later)(exchange)

    with serve(answer) as server, counting() as traffic:
        assert Session(retries=QUICK).get(server.url).status_code == 200
    first, second = server.seen
    assert 0.9 < second.at - first.at < 30
    assert traffic.retry_seconds > 0.9


def test_a_wait_beyond_the_deadline_is_not_begun() -> None:
    with serve(failing(9, 503, Retry_After="3600")) as server:
        began = time.monotonic()
        response = Session(retries=Retries(deadline=5)).get(server.url)
    assert response.status_code == 503
    assert time.monotonic() - began < 60
    assert len(server.seen) == 1


def test_the_deadline_ends_attempts() -> None:
    with serve(failing(999, 500)) as server:
        began = time.monotonic()
        retries = Retries(total=999, base=0.05, longest_wait=0.1, deadline=1)
        with suppress(GaveUp):  # of an answer that is under way at the deadline, on a slow machine
            Session(retries=retries).get(server.url)
    assert 0.5 < time.monotonic() - began < 10
    assert 2 < len(server.seen) < 999


def test_waits_are_spread_from_nothing_to_a_doubling_bound() -> None:
    retries = Retries(base=1, longest_wait=60)
    for attempt, bound in ((1, 1), (2, 2), (3, 4), (7, 60), (20, 60)):
        waits = sorted(retries.wait(attempt) for _ in range(400))
        assert waits[0] < 0.1 * bound
        assert 0.9 * bound < waits[-1] <= bound
        assert 0.3 * bound < waits[200] < 0.7 * bound


@pytest.mark.parametrize(
    ("status", "headers", "times"),
    [(500, {}, 1), (502, {}, 1), (503, {}, 1), (429, {}, 2), (503, {"Retry_After": "0"}, 2)],
)
def test_a_post_is_only_repeated_if_it_had_no_effect(
    status: int, headers: dict[str, str], times: int
) -> None:
    with serve(failing(1, status, **headers)) as server:
        Session(retries=QUICK).post(server.url, json={"pay": 1})
    assert len(server.seen) == times
    assert {seen.body for seen in server.seen} == {b'{"pay": 1}'}


@pytest.mark.parametrize("asked", ["call", "methods", "send"])
def test_a_post_that_only_reads_is_repeated(asked: str) -> None:
    with serve(failing(2, 500)) as server:
        if asked == "call":
            response = Session(retries=QUICK).post(server.url, json={}, is_read=True)
        elif asked == "methods":
            retries = Retries(base=0.01, methods=frozenset({"POST"}))
            response = Session(retries=retries).post(server.url, json={})
        else:
            session = Session(retries=QUICK)
            prepared = session.prepare_request(requests.Request("POST", server.url, json={}))
            response = session.send(prepared, is_read=True)
    assert (response.status_code, len(server.seen)) == (200, 3)


def test_a_post_whose_connection_was_lost_is_not_repeated() -> None:
    with serve(lambda exchange: exchange.cut()) as server, pytest.raises(requests.ConnectionError):
        Session(retries=QUICK).post(server.url, json={})
    assert len(server.seen) == 1


def test_without_a_connection_even_a_post_is_tried_again() -> None:
    with serve(failing(0, 200)) as server:
        closed = server.url
    with counting() as traffic, pytest.raises(requests.ConnectionError) as caught:
        Session(retries=Retries(total=2, base=0.01)).post(closed, json={})
    assert caught.value.attempts == 3
    assert dict(traffic.retries) == {"no connection": 2}


def test_an_answer_cut_off_in_mid_body_is_asked_for_again() -> None:
    def answer(exchange: Exchange) -> None:
        if exchange.number == 1:  # announced length
            exchange.head(200, Content_Length="100")
            exchange.write(b"[1, 2")
            exchange.cut()
        elif exchange.number == 2:  # chunks without an end
            exchange.head(200, Transfer_Encoding="chunked")
            exchange.write(b"5\r\n[1, 2\r\n")
            exchange.cut()
        elif exchange.number == 3:  # half of a gzip stream
            packed = gzip.compress(b"[1, 2]" * 1000)
            exchange.head(200, Content_Encoding="gzip", Content_Length=str(len(packed)))
            exchange.write(packed[: len(packed) // 2])
            exchange.cut()
        elif exchange.number == 4:
            exchange.cut()
        else:
            exchange.reply(200, b"[1, 2]")

    with serve(answer) as server, counting() as traffic:
        assert Session(retries=QUICK).get(server.url).json() == [1, 2]
    assert dict(traffic.retries) == {"cut off": 3, "connection lost": 1}


def test_a_server_that_says_nothing_times_out_and_is_asked_again() -> None:
    gate = threading.Event()

    def answer(exchange: Exchange) -> None:
        if exchange.number == 1:
            gate.wait(10)
        exchange.reply(200, b"[]")

    with serve(answer) as server, counting() as traffic:
        assert Session(retries=QUICK, timeout=0.3).get(server.url).json() == []
        gate.set()
    assert dict(traffic.retries) == {"timeout": 1}


def endless(exchange: Exchange) -> None:
    exchange.head(200, Connection="close")
    for _ in range(4096):
        exchange.write(b"x" * 65_536)


def unpacking_to_much(exchange: Exchange) -> None:
    exchange.reply(200, gzip.compress(b"0" * 200_000_000, 9), Content_Encoding="gzip")


@pytest.mark.parametrize("answer", [endless, unpacking_to_much])
def test_a_body_above_the_bound_ends_the_request_early(answer: Callable[[Exchange], None]) -> None:
    with serve(answer) as server, counting() as traffic, pytest.raises(GaveUp, match="2 MB"):
        Session(max_page_mb=2).get(server.url)
    assert traffic.bytes < 4_000_000
    assert traffic.requests == 1


def test_a_body_up_to_the_bound_is_whole() -> None:
    body = b"x" * 2 * 1024 * 1024
    with serve(lambda exchange: exchange.reply(200, body)) as server:
        assert Session(max_page_mb=2).get(server.url).content == body


def test_a_body_that_drips_ends_at_the_deadline() -> None:
    def answer(exchange: Exchange) -> None:
        exchange.head(200, Content_Length="100000")
        for _ in range(200):
            exchange.write(b"x")
            time.sleep(0.05)

    with serve(answer) as server:
        began = time.monotonic()
        with pytest.raises(GaveUp, match="had not answered in full after 1 s"):
            Session(retries=Retries(deadline=1), timeout=5).get(server.url)
    assert time.monotonic() - began < 8, "all of the body takes ten seconds"


def test_a_streamed_body_is_the_callers_to_read() -> None:
    with serve(lambda exchange: exchange.reply(200, b"x" * 3_000_000)) as server:
        response = Session(max_page_mb=1).get(server.url, stream=True)
        assert sum(map(len, response.iter_content(65_536))) == 3_000_000


class Token(AuthBase):
    """A token that the server takes back, and how often it was renewed."""

    def __init__(self) -> None:
        self.value = "first"
        self.renewals = 0
        self._lock = threading.Lock()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.value}"
        return request

    def renew(self, rejected: requests.PreparedRequest) -> bool:
        with self._lock:
            if rejected.headers["Authorization"] == f"Bearer {self.value}":
                self.renewals += 1
                self.value = "second"
            return True


def wants_second(exchange: Exchange) -> None:
    good = exchange.seen.headers.get("Authorization") == "Bearer second"
    exchange.reply(200 if good else 401, b"[]")


def test_a_401_renews_once_and_sends_again_even_a_post() -> None:
    auth = Token()
    with serve(wants_second) as server, counting() as traffic:
        response = Session(auth=auth, retries=QUICK).post(server.url, json={"a": 1})
    assert (response.status_code, auth.renewals) == (200, 1)
    assert [seen.body for seen in server.seen] == [b'{"a": 1}'] * 2
    assert dict(traffic.retries) == {"401": 1}


def test_parallel_401s_renew_once() -> None:
    auth = Token()
    with serve(wants_second) as server:
        session = Session(auth=auth, retries=QUICK)
        answers = list(in_flight(lambda _: session.get(server.url).status_code, range(24)))
    assert set(answers) == {200}
    assert auth.renewals == 1


def test_a_401_that_renewing_does_not_mend_is_given_back() -> None:
    with serve(lambda exchange: exchange.reply(401)) as server:
        assert Session(auth=Token(), retries=QUICK).get(server.url).status_code == 401
    assert len(server.seen) == 2


def test_credentials_are_made_for_each_attempt() -> None:
    class Signed(AuthBase):
        count = 0

        def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
            self.count += 1
            request.headers["X-Signature"] = str(self.count)
            return request

    with serve(failing(2, 503)) as server:
        Session(auth=Signed(), retries=QUICK).get(server.url)
    assert [seen.headers["X-Signature"] for seen in server.seen] == ["1", "2", "3"]


def test_a_signature_is_made_when_the_request_has_its_turn() -> None:
    def sign(request: requests.PreparedRequest) -> None:
        request.headers["X-Time"] = str(time.monotonic())

    with serve(lambda exchange: exchange.reply(200, b"[]")) as server:
        session = Session(auth=SignedRequests(sign), pace=Pace(per_second=1))
        list(in_flight(lambda _: session.get(server.url), range(3), at_once=3))
    assert server.seen[2].at - server.seen[0].at > 1.5
    assert all(seen.at - float(seen.headers["X-Time"]) < 0.5 for seen in server.seen)


def test_credentials_come_from_the_call_the_session_or_the_address_and_never_from_netrc(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with serve(lambda exchange: exchange.reply(200)) as server:
        Session().get(server.url)
        Session(auth=("a", "b")).get(server.url)
        Session(auth=("a", "b")).get(server.url, auth=("c", "d"))
        Session().get(server.url.replace("//", "//e:f@"))
    basic = [seen.headers.get("Authorization") for seen in server.seen]
    assert basic == [None, "Basic YTpi", "Basic Yzpk", "Basic ZTpm"]


def test_many_threads_share_a_few_connections() -> None:
    with serve(lambda exchange: exchange.reply(200, b"[]")) as server:
        session = Session()
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda _: session.get(server.url).json(), range(200)))
    assert len(server.seen) == 200
    assert len({seen.client for seen in server.seen}) <= 8


def test_threads_of_in_flight_count_for_their_stream() -> None:
    with serve(lambda exchange: exchange.reply(200, b"[]")) as server:
        session = Session()
        with counting() as mine:
            assert len(list(in_flight(lambda _: session.get(server.url), range(10)))) == 10
        session.get(server.url)
    assert mine.requests == 10


def test_certificates_are_always_verified() -> None:
    session = Session()
    session.verify = False
    with pytest.raises(SettingsError, match="REQUESTS_CA_BUNDLE"):
        session.get("https://127.0.0.1:1/secret?token=x")
    for off in (False, 0, ""):
        with pytest.raises(SettingsError):
            Session().get("https://127.0.0.1:1/", verify=off)


def test_proxies_are_those_that_requests_would_find(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", "inside.example,127.0.0.1")
    ours, plain = Session(), requests.Session()
    hosts = ("https://api.example/a", "https://inside.example/", "http://api.example/")
    for own in ({}, {"http": "http://other:1"}, {"https": "http://other:2"}):
        ours.proxies = plain.proxies = own
        for url in (*hosts, *hosts):
            found = ours.merge_environment_settings(url, {}, False, True, None)
            assert found == plain.merge_environment_settings(url, {}, False, True, None)
            found["proxies"].clear()
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/ca.pem")
    first = ours.merge_environment_settings(hosts[0], {}, False, True, None)
    assert first == plain.merge_environment_settings(hosts[0], {}, False, True, None)
    ours.trust_env = False
    assert ours.merge_environment_settings(hosts[0], {}, False, True, None) != first


def test_redirects_on_the_same_host_are_followed_with_credentials() -> None:
    def answer(exchange: Exchange) -> None:
        match exchange.seen.path:
            case "/old":
                exchange.reply(302, Location="/new")
            case _:
                failing(2, 503)(exchange)

    auth = Token()
    with serve(answer) as server:
        response = Session(auth=auth, retries=QUICK).get(f"{server.url}/old")
    assert (response.status_code, [r.status_code for r in response.history]) == (200, [302])
    assert [seen.path for seen in server.seen] == ["/old", "/new", "/new"]
    assert {seen.headers["Authorization"] for seen in server.seen} == {"Bearer first"}


@pytest.fixture
def orders(kit: Kit, api: Api, use: Callable[[Api], None]) -> Kit:
    use(api)
    folder = kit.add_founding_source()
    (folder / "client.py").write_text(KIT_CLIENT)
    fields = {"id": {"type": "integer"}, "updated_at": {"type": "string", "format": "date-time"}}
    kit.configure("my_source", "orders", cursor_field=["updated_at"], fields=fields)
    return kit


def test_a_run_reports_its_requests_and_retries(orders: Kit, api: Api, folder_zone: Zone) -> None:
    api.fail_next(2, status=503, after=4)
    api.truncate_next(1, after=3)
    done = orders.run("my_source", "orders")
    assert done.code == 0, done.text
    assert folder_zone.count("my_source", "orders") == 2_350
    assert "27 requests, 3 retries (503 ×2, cut off)" in done.out


def test_the_guides_client_lands_what_its_api_has(
    kit: Kit, api: Api, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (REPOSITORY / "docs" / "pacing.md").read_text()
    client = text.partition("```python\n")[2].partition("```")[0]
    monkeypatch.setenv("SHOP_URL", api.url)
    monkeypatch.setenv("SHOP_API_KEY", api.token)
    streams = (
        "import dlt\nfrom .client import Shop\n"
        "@dlt.resource\ndef orders():\n    yield Shop().get('orders', limit=50)\n"
    )
    kit.add_source("shop", streams, client, "from .streams import orders\n")
    kit.configure("shop", "orders", fields={"id": {"type": "integer"}})
    done = kit.run("shop", "orders")
    assert done.code == 0, done.text
    assert "50 rows" in done.out
    assert "; 1 request" in done.out


def test_what_fails_for_good_names_request_status_and_attempts(
    orders: Kit, api: Api, folder_zone: Zone
) -> None:
    api.fail_next(50, status=502, after=3)
    done = orders.run("my_source", "orders")
    assert done.code == 1
    assert f"GET {api.url}/orders answered 502" in done.err
    assert "tried 3 times" in done.err


INTERRUPTED = """\
import os, dlt
from landing.http import Pace, Session, in_flight

@dlt.resource
def rows():
    url = os.environ["MY_API_URL"]
    pace = Pace(per_minute=1, key=url) if os.environ["WAITS_FOR"] == "pace" else None
    session = Session(pace=pace)
    for response in in_flight(lambda _: session.get(url), range(9)):
        yield response.json()
"""


@pytest.mark.parametrize("waits_for", ["pace", "retry"])
def test_a_run_that_waits_for_its_turn_can_be_interrupted(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch, waits_for: str
) -> None:
    with serve(failing(99 if waits_for == "retry" else 0, 429, Retry_After="60")) as server:
        monkeypatch.setenv("MY_API_URL", server.url)
        monkeypatch.setenv("WAITS_FOR", waits_for)
        monkeypatch.setenv("TMPDIR", str(kit.repository))
        kit.add_source("shop", INTERRUPTED)
        kit.configure("shop", "rows", fields={"id": {"type": "integer"}})
        command = [sys.executable, str(kit.root / "dlt" / "pipeline.py"), "shop", "rows"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        while not server.seen:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 143
    *counts, end = err.splitlines()
    assert end == "interrupted; the next run continues from the last load"
    assert all(line.startswith("shop/rows: ") for line in counts), err
