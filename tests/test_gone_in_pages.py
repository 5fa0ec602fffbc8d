"""Children that are gone, where a transformer loops over a page of parents itself."""

from __future__ import annotations

import json

import pytest

from tests.kit import Kit, Zone
from tests.servers.scripted import Exchange, serve
from tests.test_gone import PAGE, add, answer, run

LISTED = 'yield api.get("orders").json()["data"]'
ARROW = 'import pyarrow; yield pyarrow.Table.from_pylist(api.get("orders").json()["data"])'
LOOP = """for order in found:
        yield api.get(f"orders/{order['id']}/lines").json()["data"]"""
OF_PAGE = LOOP.replace("found:", "found.rows():")
OF_TABLE = LOOP.replace("found:", "found.to_pylist():")
RETURNED = """return [api.get(f"orders/{order['id']}").json() for order in found]"""
PLAIN = """import requests
    for order in found:
        response = requests.get(f"{os.environ['SHOP_URL']}/orders/{order['id']}")
        response.raise_for_status()
        yield response.json()"""
HTTPX = """import httpx
    for order in found:
        response = httpx.get(f"{os.environ['SHOP_URL']}/orders/{order['id']}")
        yield response.raise_for_status().json()"""
URLLIB = """import json, urllib.request
    for order in found:
        yield json.load(urllib.request.urlopen(f"{os.environ['SHOP_URL']}/orders/{order['id']}"))"""
DEFERRED = """@dlt.defer
    def one(order):
        return api.get(f"orders/{order['id']}").json()
    for order in found:
        yield one(order)"""
DEFERRED_LISTS = """@dlt.defer
    def one(order):
        pages = api.pages(f"orders/{order['id']}/lines", records="data")
        return [row for page in pages for row in page.rows()]
    for order in found:
        yield one(order)"""
ASYNC = """import asyncio
    await asyncio.sleep(0)
    return [api.get(f"orders/{order['id']}").json() for order in found]"""
ASYNC_LOOP = """import httpx
    async with httpx.AsyncClient() as client:
        for order in found:
            answer = await client.get(f"{os.environ['SHOP_URL']}/orders/{order['id']}")
            yield answer.raise_for_status().json()"""
ASYNC_AIOHTTP = """import aiohttp
    async with aiohttp.ClientSession(os.environ['SHOP_URL'], raise_for_status=True) as client:
        for order in found:
            async with client.get(f"/orders/{order['id']}") as answer:
                yield await answer.json(content_type=None)"""
ASYNC_ONE = """import httpx
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{os.environ['SHOP_URL']}/orders/{found['id']}")
        return answer.raise_for_status().json()"""
ONE_BY_ONE = 'yield from api.get("orders").json()["data"]'


@pytest.mark.parametrize(
    ("parents", "children"),
    [
        (LISTED, LOOP),
        (PAGE, OF_PAGE),
        (ARROW, OF_TABLE),
        (LISTED, RETURNED),
        (LISTED, PLAIN),
        (LISTED, HTTPX),
        (LISTED, URLLIB),
        (LISTED, DEFERRED),
        (LISTED, DEFERRED_LISTS),
        (LISTED, "async " + ASYNC),
        (LISTED, "async " + ASYNC_LOOP),
        (LISTED, "async " + ASYNC_AIOHTTP),
        (ONE_BY_ONE, "async " + ASYNC_ONE),
    ],
    ids=[
        "list",
        "page",
        "arrow",
        "returned",
        "plain requests",
        "httpx",
        "urllib",
        "deferred",
        "deferred lists",
        "async returned",
        "async httpx",
        "async aiohttp",
        "async one",
    ],
)
def test_the_other_children_of_the_page_land_once(
    kit: Kit,
    folder_zone: Zone,
    monkeypatch: pytest.MonkeyPatch,
    parents: str,
    children: str,
) -> None:
    is_async = children.startswith("async ")
    add(kit, parents, children.removeprefix("async "))
    streams = kit.root / "dlt" / "sources" / "shop" / "streams.py"
    if is_async:
        streams.write_text(streams.read_text().replace("def lines(", "async def lines("))
    done = run(kit, monkeypatch, answer({2, 5}))
    assert done.code == 0, done.text
    assert (
        "2 lists were skipped, as the API no longer has the records they belong to: GET http"
        in done.out
    )
    landed = folder_zone.query("shop", "lines", "SELECT id FROM landed ORDER BY id")
    assert landed == [(1,), (3,), (4,), (6,)]


ONE = """import time, requests
    def one(order):
        response = requests.get(f"{os.environ['SHOP_URL']}/orders/{order['id']}/lines")
        response.raise_for_status()
        return response.json()["data"]
    """
BUFFERED = """buffer = []
    for order in found:
        buffer += one(order)
        if len(buffer) >= 2:
            yield buffer
            buffer = []
    yield buffer"""
OF_ARROW = "import pyarrow\n    " + BUFFERED.replace(
    "yield buffer", "yield pyarrow.Table.from_pylist(buffer)"
)
OF_JSON = (
    "from landing.columns.json_page import JsonPage\n    import json\n    "
    + BUFFERED.replace("yield buffer", "yield JsonPage(json.dumps(buffer).encode())")
)
OF_PANDAS = "import pandas\n    " + BUFFERED.replace(
    "yield buffer", "yield pandas.DataFrame(buffer)"
)
TIMED = """for order in found:
        yield [{**line, "fetched": time.time()} for line in one(order)]"""
NUMBERED = """for number, order in enumerate(found):
        yield [{**line, "number": number} for line in one(order)]"""


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("children", [BUFFERED, OF_ARROW, OF_JSON, OF_PANDAS])
def test_rows_of_several_parents_in_one_piece_land_once(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch, children: str, is_async: bool
) -> None:
    add_loop(kit, children, is_async)
    done = run(kit, monkeypatch, answer({4}, 410))
    assert done.code == 0, done.text
    landed = folder_zone.query("shop", "lines", "SELECT id FROM landed ORDER BY id")
    assert landed == [(1,), (2,), (3,), (5,), (6,)]


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("children", [TIMED, NUMBERED])
def test_rows_that_differ_when_they_come_again_do_not_land_twice(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch, children: str, is_async: bool
) -> None:
    add_loop(kit, children, is_async)
    done = run(kit, monkeypatch, answer({4}, 410))
    assert done.code == 1
    assert "rows that it had returned before did not come again" in done.err
    assert "have it read each parent's list with Api.pages" in done.err
    assert not folder_zone.parts("shop", "lines")


def add_loop(kit: Kit, children: str, is_async: bool) -> None:
    add(kit, LISTED, ONE + children)
    if is_async:
        streams = kit.root / "dlt" / "sources" / "shop" / "streams.py"
        streams.write_text(streams.read_text().replace("def lines(", "async def lines("))


def test_other_failures_in_a_loop_are_not_skipped(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(kit, LISTED, LOOP)
    done = run(kit, monkeypatch, answer({2}, 403))
    assert done.code == 1
    assert "answered 403" in done.err
    assert not folder_zone.parts("shop", "lines")


def test_a_page_without_any_child_is_rather_a_wrong_address(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(kit, LISTED, LOOP)
    done = run(kit, monkeypatch, answer(range(1, 7)))
    assert done.code == 1
    assert "none of its 6 child lists is there" in done.err


def test_a_page_that_was_handed_on_whole_needs_a_loop_of_its_own(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What runs later in dlt's pool can't be called again for each parent."""
    deferred = """@dlt.defer
    def all(orders):
        return [api.get(f"orders/{order['id']}").json() for order in orders]
    yield all(found)"""
    add(kit, LISTED, deferred)
    done = run(kit, monkeypatch, answer({2}))
    assert done.code == 1
    assert "got 6 parents at once" in done.err
    assert "have it read each parent's list with Api.pages" in done.err


def test_one_request_for_a_whole_page_is_made_again_for_each_parent(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answered(exchange: Exchange) -> None:
        ids = exchange.seen.query.get("ids", "").split(",")
        if exchange.seen.path == "/lines":
            rows = [{"id": int(id_)} for id_ in ids]
            return exchange.reply(404 if "2" in ids else 200, json.dumps(rows).encode())
        return answer(())(exchange)

    of_all = """ids = ",".join(str(order["id"]) for order in found)
    yield api.get("lines", params={"ids": ids}).json()"""
    add(kit, LISTED, of_all)
    with serve(answered) as server:
        monkeypatch.setenv("SHOP_URL", server.url)
        done = kit.run("shop", "lines")
    assert done.code == 0, done.text
    landed = folder_zone.query("shop", "lines", "SELECT id FROM landed ORDER BY id")
    assert landed == [(1,), (3,), (4,), (5,), (6,)]
