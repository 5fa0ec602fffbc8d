"""Waits and limits as servers spell them."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from landing.http.pacing.quota_headers import read_budget
from landing.http.server_times import seconds_until, sent_at


@pytest.mark.parametrize(
    ("ahead", "text"),
    [
        (2.5, "2.5"),
        (30, "{epoch}"),
        (30, "{milliseconds}"),
        (30, "{date}"),
    ],
)
@pytest.mark.parametrize("clock", [-600, 0, 600])
def test_a_wait_is_by_the_clock_of_the_server(ahead: float, text: str, clock: int) -> None:
    now = int(time.time()) + clock
    spelled = text.format(
        epoch=now + 30, milliseconds=(now + 30) * 1000, date=formatdate(now + 30, usegmt=True)
    )
    assert seconds_until(spelled, sent_at({"Date": formatdate(now, usegmt=True)})) == ahead


@pytest.mark.parametrize("left", ["-1", "unlimited"])
def test_a_limit_that_is_none_is_no_limit(left: str) -> None:
    assert read_budget({"RateLimit": f"limit=100, remaining={left}"}) is None
    assert read_budget({"X-RateLimit-Remaining": left}) is None
