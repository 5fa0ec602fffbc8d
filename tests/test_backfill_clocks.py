"""Windows of a backfill where the source's clock is not this machine's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from tests.kit import Kit, Zone
from tests.servers.scripted import Exchange, serve

STREAM = """
import os

import dlt
import requests

@dlt.resource(primary_key="id")
def rows(at: dlt.sources.incremental[str] = dlt.sources.incremental("at")):
    params = {"since": at.last_value, "until": at.end_value}
    yield requests.get(os.environ["SHOP_URL"], params=params).json()
"""
FIELDS = {"id": {"type": "integer"}, "at": {"type": "string", "format": "date-time"}}
NEWEST = 'SELECT id, arg_max("at", _dlt_load_id) FROM landed GROUP BY id ORDER BY id'


@dataclass
class Shop:
    skew: timedelta
    """By which its clock is ahead of this machine's."""
    rows: dict[int, datetime] = field(default_factory=dict)
    edits: list[int] = field(default_factory=list)
    """Records that change once the next list was given."""

    @property
    def now(self) -> datetime:
        return datetime.now(UTC) + self.skew

    def answer(self, exchange: Exchange) -> None:
        date = f"{self.now:%a, %d %b %Y %H:%M:%S} GMT"
        exchange.handler.date_time_string = lambda timestamp=None: date  # type: ignore[method-assign]
        query = exchange.seen.query
        since, until = query.get("since", ""), query.get("until", "9")
        spelled = {key: f"{at:%Y-%m-%dT%H:%M:%S.%fZ}" for key, at in self.rows.items()}
        found = [{"id": key, "at": at} for key, at in spelled.items() if since <= at < until]
        exchange.reply(200, json.dumps(found).encode())
        while self.edits:
            self.rows[self.edits.pop()] = self.now


@pytest.fixture(params=[-2, 2], ids=["clock behind", "clock ahead"])
def shop(
    request: pytest.FixtureRequest, kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shop]:
    made = Shop(timedelta(hours=request.param))
    ages = (timedelta(days=2), timedelta(days=1), timedelta(minutes=119), timedelta(minutes=1))
    made.rows = {key: made.now - age for key, age in enumerate(ages, 1)}
    with serve(made.answer) as server:
        monkeypatch.setenv("SHOP_URL", server.url)
        kit.add_source("shop", STREAM)
        kit.configure("shop", "rows", cursor_field=["at"], fields=FIELDS)
        yield made


@pytest.mark.parametrize("has_run_before", [True, False])
@pytest.mark.parametrize(
    "ahead", [None, timedelta(hours=-1), timedelta(hours=1), timedelta(days=2)]
)
def test_a_window_that_ends_in_the_past_or_future_of_either_clock_hides_nothing(
    shop: Shop, kit: Kit, folder_zone: Zone, ahead: timedelta | None, has_run_before: bool
) -> None:
    if has_run_before:
        assert kit.run("shop", "rows").code == 0
    until = () if ahead is None else ("--to", (shop.now + ahead).isoformat())
    start = (shop.now - timedelta(days=3)).isoformat()
    shop.edits = [2, 5]
    done = kit.landing("backfill", "shop", "rows", "--from", start, "--by", "month", *until)
    assert done.code == 0, done.text
    assert shop.edits == []
    assert kit.run("shop", "rows").code == 0
    assert folder_zone.query("shop", "rows", NEWEST) == sorted(shop.rows.items())
    assert "nothing new" in kit.run("shop", "rows").text
    assert kit.landing("status", "shop").code == 0
