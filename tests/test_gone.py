"""Children of a parent that their API no longer has."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import Any

import pytest

from tests.kit import Kit, Outcome, Zone
from tests.servers.scripted import Exchange, serve

ORDERS = 6

STREAMS = """\
import os

import dlt

from landing.http import Api, NumberedPages, Retries, Session

api = Api(os.environ["SHOP_URL"], retries=Retries(total=0))


@dlt.resource(primary_key="id")
def orders():
    PARENTS


@dlt.transformer(data_from=orders, primary_key="id")
def lines(found):
    CHILDREN
"""
PAGE = 'yield from api.pages("orders", records="data")'
ONE_BY_ONE = 'yield from api.get("orders").json()["data"]'
LISTS = """for order in found.rows():
        yield from api.pages(f"orders/{order['id']}/lines", records="data"ARGUMENTS)"""
TEXT_IDS = """for order in api.get("orders").json()["data"]:
        yield 'order-' + str(order['id'])"""
OF_TEXT_ID = """return api.get(f"orders/{found[-1]}").json()"""
RETURNED = """pages = api.pages(f"orders/{found['id']}/lines", records="data")
    return [row for page in pages for row in page.rows()]"""
COLLECTED = RETURNED.replace("return", "yield")
DETAIL = """return api.get(f"orders/{found['id']}").json()"""
DEFERRED = """@dlt.defer
    def one():
        return api.get(f"orders/{found['id']}").json()
    yield one()"""
PLAIN = """import requests
    response = requests.get(f"{os.environ['SHOP_URL']}/orders/{found['id']}")
    response.raise_for_status()
    yield response.json()"""
OWN_LOOP = """\
import os

import dlt

from landing.http import Api

api = Api(os.environ["SHOP_URL"])


@dlt.resource(primary_key="id")
def lines():
    for number in range(1, 7):
        yield from api.pages(f"orders/{number}/lines", records="data"ARGUMENTS)
"""


def answer(gone: Collection[int], status: int = 404) -> Callable[[Exchange], None]:
    def answered(exchange: Exchange) -> None:
        path = exchange.seen.path.strip("/").split("/")
        number = int(path[1]) if len(path) > 1 else 0
        row = {"id": number}
        body: Any = row if len(path) == 2 else {"data": [row]}
        if len(path) == 1:
            body = {"data": [{"id": n} for n in range(1, ORDERS + 1)]}
        code = status if number in gone else 200
        exchange.reply(code, json.dumps(body if code == 200 else {"error": "no order"}).encode())

    return answered


def add(kit: Kit, parents: str = PAGE, children: str = LISTS, arguments: str = "") -> None:
    streams = STREAMS.replace("CHILDREN", children).replace("PARENTS", parents)
    kit.add_source(
        "shop",
        streams.replace("ARGUMENTS", arguments),
        init="from .streams import lines, orders\n",
    )
    kit.configure("shop", "lines", fields={"id": {"type": "integer"}}, primary_key=[["id"]])


def run(
    kit: Kit, patch: pytest.MonkeyPatch, answered: Callable[[Exchange], None], *flags: str
) -> Outcome:
    with serve(answered) as server:
        patch.setenv("SHOP_URL", server.url)
        return kit.run("shop", "lines", *flags)


@pytest.mark.parametrize("status", [404, 410])
@pytest.mark.parametrize(
    ("parents", "children"),
    [
        (PAGE, LISTS),
        (ONE_BY_ONE, DETAIL),
        (ONE_BY_ONE, DEFERRED),
        (ONE_BY_ONE, PLAIN),
        (ONE_BY_ONE, RETURNED),
        (ONE_BY_ONE, COLLECTED),
        (TEXT_IDS, OF_TEXT_ID),
    ],
    ids=["pages", "detail", "deferred", "plain requests", "returned", "collected", "text ids"],
)
def test_a_child_that_is_gone_is_skipped_and_counted(
    kit: Kit,
    folder_zone: Zone,
    monkeypatch: pytest.MonkeyPatch,
    parents: str,
    children: str,
    status: int,
) -> None:
    add(kit, parents, children)
    done = run(kit, monkeypatch, answer({2, 5}, status))
    assert done.code == 0, done.text
    assert (
        "2 lists were skipped, as the API no longer has the records they belong to: GET "
        in done.out
    )
    assert f"answered {status}" in done.out
    landed = folder_zone.query("shop", "lines", "SELECT id FROM landed ORDER BY id")
    assert landed == [(1,), (3,), (4,), (6,)]
    [load] = json.loads(kit.landing("history", "shop", "lines", "--json").out)
    assert load["gone"] == 2
    assert "2 child lists skipped" in kit.landing("history", "shop", "lines").out


def test_the_count_is_in_json(kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch) -> None:
    add(kit)
    [stream] = json.loads(run(kit, monkeypatch, answer({2}), "--json").out)
    assert stream["gone"] == 1
    assert stream["rows"] == 5


@pytest.mark.parametrize("status", [403, 500])
def test_other_statuses_are_failures(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    add(kit)
    done = run(kit, monkeypatch, answer({2}, status))
    assert done.code == 1
    assert f"answered {status}" in done.err


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [(", gone=()", 404, 1), (", gone=(403, 404)", 403, 0), (", gone=(403,)", 404, 1)],
)
def test_one_argument_chooses(
    kit: Kit,
    folder_zone: Zone,
    monkeypatch: pytest.MonkeyPatch,
    arguments: str,
    status: int,
    code: int,
) -> None:
    add(kit, arguments=arguments)
    done = run(kit, monkeypatch, answer({2}, status))
    assert done.code == code, done.text
    assert ("1 list was skipped" if code == 0 else f"answered {status}") in done.text


@pytest.mark.parametrize(("arguments", "code"), [("", 1), (", gone=(404,)", 0)])
def test_without_a_parent_only_the_argument_skips(
    kit: Kit,
    folder_zone: Zone,
    monkeypatch: pytest.MonkeyPatch,
    arguments: str,
    code: int,
) -> None:
    kit.add_source("shop", OWN_LOOP.replace("ARGUMENTS", arguments))
    kit.configure("shop", "lines", fields={"id": {"type": "integer"}}, primary_key=[["id"]])
    done = run(kit, monkeypatch, answer({2}))
    assert done.code == code, done.text
    assert ("1 list was skipped" if code == 0 else "answered 404") in done.text


def test_a_list_that_ends_with_404_in_its_middle_is_a_failure(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answered(exchange: Exchange) -> None:
        page = int(exchange.seen.query.get("page", 0))
        if page == 2:
            return exchange.reply(404, b"{}")
        return answer({})(exchange)

    add(kit, arguments=", paging=NumberedPages(1, verify=False)")
    done = run(kit, monkeypatch, answered)
    assert done.code == 1
    assert "lines answered 404" in done.err


@pytest.mark.parametrize(
    ("parents", "children"),
    [(PAGE, LISTS), (ONE_BY_ONE, DETAIL), (ONE_BY_ONE, COLLECTED), (ONE_BY_ONE, RETURNED)],
    ids=["pages", "detail", "collected", "returned"],
)
def test_no_child_at_all_is_rather_a_wrong_address(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch, parents: str, children: str
) -> None:
    everything = range(1, ORDERS + 1)
    add(kit, parents, children)
    done = run(kit, monkeypatch, answer(everything))
    assert done.code == 1
    assert "none of its 6 child lists is there (GET http" in done.err
    assert "is the address right?" in done.err
    assert not folder_zone.parts("shop", "lines")


def test_after_a_first_run_a_few_may_all_be_gone(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone: set[int] = set()

    def answered(exchange: Exchange) -> None:
        if gone and exchange.seen.path == "/orders":
            return exchange.reply(200, json.dumps({"data": [{"id": 1}, {"id": 2}]}).encode())
        return answer(gone)(exchange)

    add(kit)
    with serve(answered) as server:
        monkeypatch.setenv("SHOP_URL", server.url)
        assert kit.run("shop", "lines").code == 0
        gone.update((1, 2))
        done = kit.run("shop", "lines")
    assert done.code == 0, done.text
    assert "2 lists were skipped" in done.out


def test_a_parent_s_own_404_is_a_failure(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(kit)
    done = run(kit, monkeypatch, answer({0}))
    assert done.code == 1
    assert "orders answered 404" in done.err
