"""What APIs say of their limits, in all its spellings."""

from __future__ import annotations

import time

import pytest
import requests
from requests.structures import CaseInsensitiveDict

from landing.http import Pace, Retries, Session
from landing.http.pacing.quota_headers import Budget, read_budget
from tests.servers.scripted import serve

NOW = {"Date": "Sun, 29 Nov 2026 04:00:00 GMT"}


def budget(**headers: str) -> Budget | None:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return read_budget(CaseInsensitiveDict({**NOW, **given}))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # draft-ietf-httpapi-ratelimit-headers-10
        ('"default";r=50;t=30', Budget(50, 31.0)),
        ('"burst";r=9;t=1, "day";r=3;t=900', Budget(3, 901.0)),
        ('"a,b";pk=:cmVtYWluaW5nPTU=:;r=5;t=3', Budget(5, 4.0)),
        ('"a";r=5, "b";r=7;t=60', Budget(7, 61.0)),
        ('"default";r=50', Budget(50, None)),
        # draft-ietf-httpapi-ratelimit-headers-07
        ("limit=100, remaining=50, reset=30", Budget(50, 31.0)),
        # What does not say how many are left.
        ("limit=100, remaining=-1", None),
        ("limit=100, remaining=unlimited, reset=5", None),
        ('"default";r=-1;t=30', None),
        ('"default";r=unlimited;t=30', None),
        ('"default";t=30', None),
        ("unlimited", None),
        ("", None),
        (f"limit=1, remaining={'9' * 400}", None),
        (f'"default";r={"9" * 400};t=3', None),
    ],
)
def test_both_drafts(value: str, expected: Budget | None) -> None:
    assert budget(RateLimit=value) == expected


@pytest.mark.parametrize(
    ("remaining", "reset", "expected"),
    [
        ("50", "30", Budget(50, 31.0)),
        ("49.5", "1.5", Budget(49, 2.5)),
        ("5", "1795924830", Budget(5, 31.0)),
        ("5", "1795924830000", Budget(5, 31.0)),
        ("5", "2026-11-29T04:00:30Z", Budget(5, 31.0)),
        ("5", "Sun, 29 Nov 2026 04:00:30 GMT", Budget(5, 31.0)),
        ("5", "30s", Budget(5, 31.0)),
        ("5, 4", "30, 60", Budget(4, 61.0)),
        ("5", "-1", Budget(5, None)),
        ("5", "", Budget(5, None)),
        ("5", "9" * 400, Budget(5, None)),
        ("-1", "0", None),
        ("unlimited", "30", None),
        ("9" * 400, "30", None),
        ("\u0663", "30", None),
    ],
)
@pytest.mark.parametrize("prefix", ["RateLimit", "X-RateLimit", "x-rate-limit"])
def test_three_headers(prefix: str, remaining: str, reset: str, expected: Budget | None) -> None:
    assert budget(**{f"{prefix}-Remaining": remaining, f"{prefix}-Reset": reset}) == expected


def test_seconds_until_the_reset_as_discord_gives_them() -> None:
    headers = {"X-RateLimit-Reset": "1796000000", "X-RateLimit-Reset-After": "1.5"}
    assert budget(**{"X-RateLimit-Remaining": "0", **headers}) == Budget(0, 2.5)


@pytest.mark.parametrize("asked", ["1", "1.0", "1 s", "1 seconds", "0, 1"])
def test_retry_after_as_people_write_it(asked: str) -> None:
    def answer(exchange: object) -> None:
        is_first = exchange.number == 1  # type: ignore[attr-defined]
        exchange.reply(429 if is_first else 200, Retry_After=asked)  # type: ignore[attr-defined]

    with serve(answer) as server:
        begun = time.monotonic()
        session = Session(retries=Retries(total=1, base=0.01))
        assert session.get(server.url).status_code == 200
        assert 1.0 <= time.monotonic() - begun < 5.0


@pytest.mark.parametrize(
    "headers",
    [
        {"RateLimit": "limit=100, remaining=-1"},
        {"RateLimit": f'"default";r={"9" * 30};t=3'},
        {"X_RateLimit_Remaining": "9" * 400, "X_RateLimit_Reset": "30"},
        {"X_RateLimit_Remaining": "unlimited"},
        {"Retry_After": "9" * 400},
    ],
)
def test_no_header_stops_a_request(headers: dict[str, str]) -> None:
    with serve(lambda exchange: exchange.reply(200, b"{}", **headers)) as server:
        session: requests.Session = Session(pace=Pace(per_second=100))
        assert [session.get(server.url).status_code for _ in range(2)] == [200, 200]
