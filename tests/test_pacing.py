"""Paces, measured where the requests arrive."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from demo.servers import served
from landing.errors import SettingsError
from landing.http import Pace, Retries, Session, in_flight
from landing.http.pacing.quota_headers import Budget, read_budget
from landing.http.retries import GaveUp
from landing.http.traffic import counting
from tests.servers.nginx import nginx
from tests.servers.scripted import Exchange, Server, serve

QUICK = Retries(base=0.01)

ASKING = """\
import sys
from landing.http import Pace, Session, in_flight
url, count, pace = sys.argv[1], int(sys.argv[2]), eval(sys.argv[3])
session = Session(pace=pace)
for response in in_flight(lambda _: session.get(url), range(count), at_once=4):
    assert response.status_code == 200
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's paces are kept, apart from those of the person who runs it."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path / f"landing-pace-{os.getuid()}"


def ok(exchange: Exchange) -> None:
    exchange.reply(200, b"[]")


def slow(exchange: Exchange) -> None:
    time.sleep(0.05)
    exchange.reply(200, b"[]")


def asking(server: Server, count: int, pace: str) -> subprocess.Popen[bytes]:
    """Another process that asks, as another run on the machine does."""
    return subprocess.Popen([sys.executable, "-c", ASKING, server.url, str(count), pace])


def most_in_a_window(times: list[float], seconds: float) -> int:
    ordered = sorted(times)
    return max(sum(begin <= at < begin + seconds for at in ordered) for begin in ordered)


def test_no_second_has_more_requests_than_the_pace() -> None:
    with serve(ok) as server, counting() as traffic:
        session = Session(pace=Pace(per_second=10))
        list(in_flight(lambda _: session.get(server.url), range(35), at_once=8))
    times = [seen.at for seen in server.seen]
    assert most_in_a_window(times, 1.0) <= 10
    assert 3.0 <= max(times) - min(times) < 5.0
    assert traffic.pacing_seconds > 3
    assert "for pacing" in str(traffic)


def test_two_processes_share_a_pace() -> None:
    with serve(ok) as server:
        processes = [asking(server, 20, "Pace(per_second=10)") for _ in range(2)]
        assert [process.wait(60) for process in processes] == [0, 0]
    times = [seen.at for seen in server.seen]
    assert len(times) == 40
    assert most_in_a_window(times, 1.0) <= 10
    assert max(times) - min(times) >= 3.0


def test_a_burst_leaves_at_once_and_the_rest_evenly() -> None:
    with serve(ok) as server:
        session = Session(pace=Pace(per_minute=240, burst=4))
        list(in_flight(lambda _: session.get(server.url), range(12), at_once=8))
    times = [seen.at for seen in server.seen]
    assert most_in_a_window(times, 1.0) <= 4
    assert 2.0 <= max(times) - min(times) < 4.0


def test_a_request_may_cost_more_than_one() -> None:
    def points(request: requests.PreparedRequest) -> int:
        return 5 if "search" in str(request.url) else 1

    with serve(ok) as server:
        session = Session(pace=Pace(per_second=10, cost=points))
        for path in ("/search", "/search", "/rows"):
            session.get(server.url + path)
        session.get(f"{server.url}/rows", cost=9)
        with pytest.raises(GaveUp, match="costs 11, which is more than its pace allows at once"):
            session.get(f"{server.url}/rows", cost=11)
    at = [seen.at for seen in server.seen]
    assert at[1] - at[0] < 0.5 < at[2] - at[1]
    assert len(at) == 4


def test_at_once_holds_for_threads_and_processes_together() -> None:
    with serve(slow) as server:
        processes = [asking(server, 20, "Pace(at_once=3)") for _ in range(2)]
        assert [process.wait(60) for process in processes] == [0, 0]
    assert server.most_under_way == 3


def test_a_killed_process_gives_its_place_back_and_leaves_the_pace_usable() -> None:
    with serve(slow) as server:
        for _ in range(3):
            process = asking(server, 9999, "Pace(per_second=500, at_once=1)")
            before = len(server.seen)
            while len(server.seen) < before + 5:
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            process.wait()
        session = Session(pace=Pace(per_second=500, at_once=1))
        began = time.monotonic()
        assert session.get(server.url).status_code == 200
        assert time.monotonic() - began < 20, "the place of a dead one is free at once"


def test_a_day_that_is_used_up_fails_instead_of_waiting_for_it() -> None:
    with serve(ok) as server:
        session = Session(pace=Pace(per_day=3))
        for _ in range(3):
            session.get(server.url)
        with pytest.raises(GaveUp, match=r"limit of 127.0.0.1:\d+ is used up for another 86,4"):
            session.get(server.url)
    assert len(server.seen) == 3


def test_a_gate_that_was_open_before_one_of_a_day_leaves_the_day_its_permits() -> None:
    earlier = Pace(per_second=1000).limiter("http://mixed.example/")
    day = Pace(per_day=2, longest_wait=1).limiter("http://mixed.example/")
    for _ in range(2):
        with day.acquire(1):
            pass
    time.sleep(1.1)
    with earlier.acquire(1):  # the first of a gate tidies
        pass
    with pytest.raises(GaveUp, match="used up"), day.acquire(1):
        pass


def test_a_process_forked_meanwhile_keeps_no_place() -> None:
    limiter = Pace(at_once=1, longest_wait=20).limiter("http://forked.example/")
    with limiter.acquire(1):
        forked = os.fork()
        if forked == 0:
            time.sleep(60)
            os._exit(0)
    try:
        with limiter.acquire(1):
            pass
    finally:
        os.kill(forked, signal.SIGKILL)
        os.waitpid(forked, 0)


def test_an_answer_holds_back_a_machine_for_a_day_at_most() -> None:
    def answer(exchange: Exchange) -> None:
        exchange.reply(200, b"[]", RateLimit='"default";r=0;t=999999999')

    with serve(answer) as server:
        session = Session(pace=Pace(per_second=100))
        session.get(server.url)
        with pytest.raises(GaveUp, match=r"is used up for another 86,(400|399) s"):
            session.get(server.url)


def test_a_reset_that_moves_with_each_answer_does_not_use_up_the_limit() -> None:
    """As APIs with sliding windows tell it: the same wait, and as much left, each time."""

    def answer(exchange: Exchange) -> None:
        time.sleep(0.2)
        exchange.reply(200, b"[]", RateLimit='"default";r=12;t=60')

    with serve(answer) as server, counting() as traffic:
        session = Session()
        for _ in range(16):
            session.get(server.url)
    assert traffic.pacing_seconds < 10


def test_pacing_costs_less_than_a_millisecond(record_property: Callable[..., None]) -> None:
    for pace in (Pace(), Pace(per_second=100_000), Pace(per_second=100_000, per_day=10**9)):
        limiter = pace.limiter("http://127.0.0.1:9/")
        began = time.process_time()  # others on the machine do not count
        for _ in range(500):
            with limiter.acquire(1):
                pass
        assert (time.process_time() - began) / 500 < 0.001


def test_the_state_is_for_its_owner_alone(folder: Path) -> None:
    Pace(per_second=1).limiter("http://api.example/").acquire(1)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert all("api.example" not in file.name for file in folder.iterdir())
    folder.chmod(0o777)
    with pytest.raises(SettingsError, match="others could write to that folder"):
        Pace(per_second=1).limiter("http://another.example/")


def test_a_damaged_file_is_made_anew(folder: Path) -> None:
    Pace(per_second=5).limiter("http://damaged.example/")
    (database,) = folder.glob("*.sqlite")
    database.write_bytes(b"no database" * 1000)
    for leftover in folder.glob("*.sqlite-*"):
        leftover.unlink()
    with Pace(per_second=6).limiter("http://damaged.example/").acquire(1) as waited:
        assert waited < 20


def test_a_clock_that_is_set_back_does_not_stop_the_requests(folder: Path) -> None:
    limiter = Pace(per_second=2).limiter("http://clock.example/")
    (database,) = folder.glob("*.sqlite")
    tomorrow = time.time() + 86_400
    with sqlite3.connect(database) as connection:
        rows = [("", int(tomorrow * 1000))] * 2
        connection.executemany("INSERT INTO permits VALUES (?, ?)", rows)
        connection.execute("UPDATE allowance SET held_until = ?, set_at = ?", (tomorrow + 60,) * 2)
    with limiter.acquire(1) as waited:
        assert 0.5 < waited < 30, "not until tomorrow"


@pytest.mark.parametrize(
    ("pace", "windows"),
    [
        (Pace(per_second=10), [(10, 1_050)]),
        (Pace(per_second=2.5), [(2, 1_050)]),
        (Pace(per_second=0.2), [(1, 5_050)]),
        (
            Pace(per_second=5, per_minute=100, per_day=1000),
            [(5, 1_050), (100, 60_050), (1000, 86_400_050)],
        ),
        (Pace(per_second=10, per_minute=5), [(5, 60_050)]),
        (Pace(per_minute=60, burst=5), [(5, 5_000), (60, 60_050)]),
        (Pace(per_second=100, burst=1), [(1, 10), (100, 1_050)]),
        (Pace(per_minute=60, burst=60), [(60, 60_050)]),
        (Pace(), []),
    ],
)
def test_limits_become_windows(pace: Pace, windows: list[tuple[int, int]]) -> None:
    assert [(rate.limit, rate.interval) for rate in pace.rates] == windows


@pytest.mark.parametrize("wrong", [{"per_second": 0}, {"at_once": -1}, {"burst": 3}])
def test_a_pace_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Pace(**wrong)


def test_headers_of_limits_are_read_in_all_their_spellings() -> None:
    soon = time.time() + 100
    date = datetime.fromtimestamp(soon, UTC)
    for headers, remaining, seconds in (
        ({"RateLimit-Remaining": "7", "RateLimit-Reset": "30"}, 7, 31),
        ({"X-RateLimit-Remaining": "7", "X-RateLimit-Reset": "30"}, 7, 31),
        ({"X-RateLimit-Remaining": "7", "X-RateLimit-Reset": f"{soon:.0f}"}, 7, 101),
        ({"X-Rate-Limit-Remaining": "7", "X-Rate-Limit-Reset": f"{soon * 1000:.0f}"}, 7, 101),
        ({"X-RateLimit-Remaining": "7", "X-RateLimit-Reset": date.isoformat()}, 7, 101),
        ({"X-RateLimit-Remaining": "7", "X-RateLimit-Reset": f"{date:%FT%TZ}"}, 7, 101),
        ({"X-RateLimit-Remaining": "7", "X-RateLimit-Reset": format_datetime(date)}, 7, 101),
        ({"RateLimit": '"default";r=50;t=30'}, 50, 31),
        ({"RateLimit": '"burst";r=9;t=3, "daily";r=5;t=900'}, 5, 901),
        ({"RateLimit": "limit=100, remaining=50, reset=30"}, 50, 31),
    ):
        budget = read_budget(requests.structures.CaseInsensitiveDict(headers))
        assert budget is not None, headers
        assert budget.remaining == remaining
        assert budget.seconds == pytest.approx(seconds, abs=2)
    assert read_budget({"RateLimit-Remaining": "unlimited"}) is None
    assert read_budget({"X-RateLimit-Remaining": "3"}) == Budget(3, None)
    unreadable = {"X-RateLimit-Remaining": "3", "X-RateLimit-Reset": "2026 or so"}
    assert read_budget(unreadable) == Budget(3, None)


def test_nginx_is_answered_by_waiting(tmp_path: Path) -> None:
    with nginx(tmp_path, rate="20r/s", burst=4) as server, counting() as traffic:
        session = Session(retries=Retries(total=20, base=0.05))
        bodies = list(in_flight(lambda _: session.get(server.url).json(), range(40), at_once=6))
        log = server.log()
    assert bodies == [[1, 2, 3]] * 40
    assert traffic.retries["429"] == sum(status == 429 for _, status in log) > 0


def test_nginx_refuses_nothing_of_a_session_that_knows_its_limit(tmp_path: Path) -> None:
    with nginx(tmp_path, rate="20r/s", burst=4) as server:
        session = Session(pace=Pace(per_second=20, burst=4))
        list(in_flight(lambda _: session.get(server.url), range(60), at_once=6))
        log = server.log()
    assert [status for _, status in log] == [200] * 60


def test_an_api_that_reports_its_limit_never_has_to_refuse() -> None:
    program = [sys.executable, "-m", "tests.servers.limited"]
    with served(lambda port: [*program, str(port), "12 per 2 seconds"]) as url:
        session = Session()
        answers = list(in_flight(lambda _: session.get(f"{url}/rows"), range(30), at_once=4))
        counts = requests.get(f"{url}/served", timeout=30).json()
    assert {response.status_code for response in answers} == {200}
    assert counts == {"ok": 30, "refused": 0}


def test_two_processes_learn_from_each_others_answers() -> None:
    """The first has used up what the API gives; the second, which has seen nothing, waits."""
    left = iter(range(5, -1, -1))

    def answer(exchange: Exchange) -> None:
        exchange.reply(200, b"[]", RateLimit=f'"default";r={next(left, 5)};t=1')

    with serve(answer) as server:
        assert asking(server, 6, "Pace(per_second=100)").wait(60) == 0
        assert asking(server, 1, "Pace(per_second=100)").wait(60) == 0
    assert server.seen[6].at - server.seen[5].at > 0.9


def test_a_refusal_holds_back_all_threads() -> None:
    def answer(exchange: Exchange) -> None:
        if exchange.number == 1:
            exchange.reply(429, Retry_After="2")
        else:
            exchange.reply(200, b"[]")

    with serve(answer) as server:
        session = Session(retries=QUICK)
        first = ThreadPoolExecutor(1).submit(session.get, server.url)
        while not server.seen:
            time.sleep(0.005)
        time.sleep(0.2)
        session.get(server.url)
        assert first.result().status_code == 200
    assert all(seen.at - server.seen[0].at > 1.7 for seen in server.seen[1:])


def test_if_an_api_asks_for_an_hour_all_threads_fail_at_once() -> None:
    with serve(lambda exchange: exchange.reply(429, Retry_After="3000")) as server:
        session = Session(retries=Retries(deadline=60))
        assert session.get(server.url).status_code == 429
        with pytest.raises(GaveUp, match=r"is used up for another (3,000|2,999) s"):
            session.get(server.url)
    assert len(server.seen) == 1


def test_github_says_it_with_403() -> None:
    def answer(exchange: Exchange) -> None:
        if exchange.number == 1:
            reset = f"{time.time() + 1:.0f}"
            exchange.reply(403, X_RateLimit_Remaining="0", X_RateLimit_Reset=reset)
        else:
            exchange.reply(200, b"[]")

    with serve(answer) as server, counting() as traffic:
        assert Session(retries=QUICK).get(server.url).status_code == 200
    assert traffic.retries == {"403": 1}
    assert server.seen[1].at - server.seen[0].at > 0.4
