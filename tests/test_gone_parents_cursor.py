"""Where no child of the changed parents is there, their cursor stays: it may be an outage."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.kit import Kit, Zone
from tests.servers.scripted import Exchange, serve

STREAMS = """\
import os

import dlt

from landing.http import Api, Retries

api = Api(os.environ["SHOP_URL"], retries=Retries(total=0))


@dlt.resource(primary_key="id")
def orders(at=dlt.sources.incremental("at")):
    yield from api.pages("orders", records="data")


@dlt.transformer(data_from=orders, primary_key="id")
def lines(found):
    runs = dlt.current.resource_state()
    runs["count"] = runs.get("count", 0) + 1
    for order in found.rows():
        yield from api.pages(f"orders/{order['id']}/lines", records="data"ARGUMENTS)
"""


@dataclass
class Shop:
    orders: dict[int, str] = field(default_factory=dict)
    """When each was changed."""
    gone: set[int] = field(default_factory=set)
    asked: list[int] = field(default_factory=list)

    def answer(self, exchange: Exchange) -> None:
        _, *rest = exchange.seen.path.strip("/").split("/")
        if not rest:
            rows = [{"id": number, "at": at} for number, at in self.orders.items()]
            exchange.reply(200, json.dumps({"data": rows}).encode())
            return
        number = int(rest[0])
        self.asked.append(number)
        if number in self.gone:
            exchange.reply(404, b"{}")
            return
        row = {"id": number, "version": self.orders[number]}
        exchange.reply(200, json.dumps({"data": [row]}).encode())


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    made = Shop({1: at(1), 2: at(2)})
    with serve(made.answer) as server:
        monkeypatch.setenv("SHOP_URL", server.url)
        yield made


def at(day: int) -> str:
    return f"2026-11-{day:02d}T00:00:00Z"


def add(kit: Kit, arguments: str = "") -> None:
    kit.add_source("shop", STREAMS.replace("ARGUMENTS", arguments))
    configure(kit)


def configure(kit: Kit, **config: object) -> None:
    fields = {"id": {"type": "integer"}, "version": {"type": "string", "format": "date-time"}}
    incremental = {"sync_mode": "incremental", "cursor_field": ["version"], **config}
    kit.configure("shop", "lines", fields=fields, primary_key=[["id"]], **incremental)


def run(kit: Kit, code: int = 0) -> str:
    done = kit.run("shop", "lines")
    assert done.code == code, done.text
    return " ".join(done.text.split())


def landed(zone: Zone) -> list[int]:
    return [
        number for (number,) in zone.query("shop", "lines", "SELECT id FROM landed ORDER BY id")
    ]


def test_children_of_an_outage_are_requested_again(kit: Kit, folder_zone: Zone, shop: Shop) -> None:
    add(kit)
    run(kit)
    shop.orders.update({3: at(3), 4: at(4)})
    shop.gone.update({2, 3, 4})
    told = run(kit)
    assert "3 lists were skipped" in told
    assert "none of them is there, so the next run requests them again" in told
    shop.gone.clear()
    shop.orders[5] = at(5)
    run(kit)
    assert landed(folder_zone) == [1, 2, 3, 4, 5]


def test_parents_that_are_gone_hold_nothing_up_once_another_child_is_there(
    kit: Kit, folder_zone: Zone, shop: Shop
) -> None:
    add(kit)
    run(kit)
    shop.orders[3] = at(3)
    shop.gone.update({2, 3})
    run(kit)
    shop.orders[4] = at(4)
    assert "next run requests them again" not in run(kit)
    shop.asked.clear()
    run(kit)
    assert shop.asked == [4]
    assert landed(folder_zone) == [1, 2, 4]


def test_an_outage_that_goes_on_fails_once_five_are_missing(
    kit: Kit, folder_zone: Zone, shop: Shop
) -> None:
    add(kit)
    run(kit)
    for number in (3, 4, 5):
        shop.orders[number] = at(number)
        shop.gone.update({2, number})
        run(kit)
    shop.orders[6] = at(6)
    shop.gone.add(6)
    assert "none of its 5 child lists is there" in run(kit, code=1)
    shop.gone.clear()
    run(kit)
    assert landed(folder_zone) == [1, 2, 3, 4, 5, 6]


def test_statuses_of_one_s_own_choice_move_the_cursor(
    kit: Kit, folder_zone: Zone, shop: Shop
) -> None:
    add(kit, ", gone=(404,)")
    run(kit)
    shop.orders[3] = at(3)
    shop.gone.update({2, 3})
    assert "requests them again" not in run(kit)
    shop.asked.clear()
    run(kit)
    assert shop.asked == [3]


def test_what_the_stream_keeps_in_dlt_s_state_stays_with_the_cursor(
    kit: Kit, folder_zone: Zone, shop: Shop
) -> None:
    add(kit)
    run(kit)
    before = json.loads(kit.landing("state", "show", "shop", "lines", "--json").out)
    shop.gone.update({2})
    run(kit)
    after = json.loads(kit.landing("state", "show", "shop", "lines", "--json").out)
    assert after["cursor"] == before["cursor"]


def test_reading_all_once_more_fails_where_no_child_is_there(
    kit: Kit, folder_zone: Zone, shop: Shop
) -> None:
    add(kit)
    run(kit)
    configure(kit, backfill=True)
    shop.gone.update({1, 2})
    assert "so nothing was landed and the cursor stays" in run(kit, code=1)


def test_a_backfill_of_missing_children_is_not_done(
    kit: Kit, folder_zone: Zone, shop: Shop
) -> None:
    add(kit)
    run(kit)
    shop.gone.update({1, 2})
    done = kit.landing("backfill", "shop", "lines", "--from", at(1)[:10], "--to", at(3)[:10])
    assert done.code == 1, done.text
    assert "none of its 2 child lists is there" in " ".join(done.text.split())
