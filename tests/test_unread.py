"""Sources with a client of their own that end before their API does."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from landing.http.paging import pointers
from tests.kit import FOUNDING_CLIENT, FOUNDING_INIT, FOUNDING_STREAMS, Kit, Outcome, Zone
from tests.servers.scripted import Exchange, serve

BY_NUMBER = """\
import os
import dlt
from dlt.sources.helpers.rest_client import RESTClient
from dlt.sources.helpers.rest_client.paginators import PageNumberPaginator
from landing.http import Api, CursorPages

@dlt.resource(primary_key="id")
def orders():
    client = RESTClient(os.environ["MY_API_URL"])
    paging = PageNumberPaginator(base_page=0, total_path="pages")
    yield from client.paginate("o", data_selector="data", paginator=paging)
"""
BY_CURSOR = (
    BY_NUMBER[: BY_NUMBER.index("    client")]
    + """\
    paging = CursorPages("next", "page", has_more="more")
    yield from Api(os.environ["MY_API_URL"]).pages("o", records="data", paging=paging)
"""
)
ANEW = """\
import os
import dlt, requests

@dlt.resource(primary_key="id")
def orders(at=dlt.sources.incremental("at")):
    yield requests.get(os.environ["MY_API_URL"]).json()["data"]
"""
GET = ANEW.replace('at=dlt.sources.incremental("at")', "").replace('["data"]', '.get("data", [])')
# Newest first, until it meets what an earlier run has landed.
UNTIL_KNOWN = """\
import dlt
from .client import MyAPI

@dlt.resource(primary_key="id")
def orders(updated_at=dlt.sources.incremental("updated_at")):
    for offset in range(0, 1_000, 60):
        rows = MyAPI().get("orders", params={"offset": offset})
        yield rows
        if not rows or rows[-1]["updated_at"] <= (updated_at.last_value or ""):
            break
"""
LIMITED = "import dlt\n\norders = dlt.resource([[{'id': n}] for n in range(9)], name='orders')\n"


def _run(
    kit: Kit,
    monkeypatch: pytest.MonkeyPatch,
    streams: str,
    said: dict[str, Any],
    count: int = 150,
    cap: int = 60,
    runs: int = 1,
) -> Outcome:
    newest = [{"id": n, "updated_at": f"2024-01-01T{n // 60:02}:{n % 60:02}"} for n in range(count)]
    newest.reverse()

    def answer(exchange: Exchange) -> None:
        start = int(exchange.seen.query["offset"])
        rows = newest[start : start + cap]
        exchange.reply(200, json.dumps({"data": rows, **said}).encode())

    kit.add_source("shop", streams, FOUNDING_CLIENT, FOUNDING_INIT)
    fields = {"id": {"type": "integer"}, "updated_at": {"type": "string"}}
    kit.configure("shop", "orders", fields=fields)
    with serve(answer) as server:
        monkeypatch.setenv("MY_API_URL", server.url)
        monkeypatch.setenv("MY_API_KEY", "none")
        *_, done = (kit.run("shop", "orders") for _ in range(runs))
    assert done.code == 0, done.text
    return done


@pytest.mark.parametrize(
    ("said", "count", "told"),
    [
        ({"has_more": True}, 150, "says that there are more: 'has_more' true"),
        ({"next": "/orders?offset=60"}, 150, "says that there are more: 'next' names a next page"),
        ({}, 150, "asked for 100 rows and got 60, which may be all that the API returns at once"),
        ({"has_more": False}, 60, ""),
        ({}, 57, ""),
    ],
)
def test_a_loop_that_ends_at_a_capped_page_warns(
    said: dict[str, Any],
    count: int,
    told: str,
    kit: Kit,
    folder_zone: Zone,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = _run(kit, monkeypatch, FOUNDING_STREAMS, said, count)
    assert ("rows may be missing" in done.text) == bool(told), done.text
    assert told in done.text


PRIVATE = "Parcel for Jane Doe"


@pytest.mark.parametrize(
    "said",
    [
        {"id": 9, "status": "failed", "description": PRIVATE},
        {"id": 9, "pages": 320, "title": PRIVATE},
        {"isbn": "9", "pages": 320, "title": PRIVATE},
        {"data": [], "error": {"code": "ok", "message": ""}},
        {"data": [], "error": {"code": 0, "message": "OK"}},
        {"data": None},
        None,
    ],
)
def test_a_record_says_nothing_of_rows(
    said: Any, kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.add_source(
        "shop",
        "import os, dlt, requests\n@dlt.resource\ndef orders():\n"
        "    requests.get(os.environ['MY_API_URL'])\n    yield [{'id': 1}]\n",
    )
    kit.configure("shop", "orders", fields={"id": {"type": "integer"}})
    with serve(lambda exchange: exchange.reply(200, json.dumps(said).encode())) as server:
        monkeypatch.setenv("MY_API_URL", server.url)
        done = kit.run("shop", "orders")
    assert done.code == 0, done.text
    assert "may be missing" not in done.text
    assert PRIVATE not in done.text


def test_a_list_that_is_read_in_part_warns_at_most(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.add_source(
        "shop",
        "import os, dlt\nfrom landing.http import Api\n@dlt.resource\ndef orders():\n"
        "    api = Api(os.environ['MY_API_URL'])\n"
        "    query = 'query($after: String) { orders(after: $after) { nodes { id } "
        "pageInfo { hasNextPage endCursor } } }'\n"
        "    for page in api.graphql(query, 'orders'):\n        yield page\n        break\n",
    )
    kit.configure("shop", "orders", fields={"id": {"type": "integer"}})
    page = {"nodes": [{"id": 1}], "pageInfo": {"hasNextPage": True, "endCursor": "a"}}
    body = json.dumps({"data": {"orders": page}}).encode()
    with serve(lambda exchange: exchange.reply(200, body)) as server:
        monkeypatch.setenv("MY_API_URL", server.url)
        done = kit.run("shop", "orders")
    assert done.code == 0, done.text
    assert "1 row in 1 file" in done.text


def test_a_total_is_compared_in_a_full_refresh(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams = UNTIL_KNOWN.replace('updated_at=dlt.sources.incremental("updated_at")', "")
    streams = streams.replace("1_000, 60", "100, 60").replace("updated_at.last_value", "None")
    done = _run(kit, monkeypatch, streams, {"total": 150})
    assert "'total' is 150, and 120 rows came" in done.text


def test_a_stream_that_ends_where_it_meets_known_rows_does_not_warn(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = _run(kit, monkeypatch, UNTIL_KNOWN, {"has_more": True}, runs=2)
    assert "rows may be missing" not in done.text


@pytest.mark.parametrize(("limit", "is_told"), [(2, True), (10, False)])
def test_a_limit_that_was_left_in_a_source_is_told(
    limit: int, is_told: bool, kit: Kit, folder_zone: Zone
) -> None:
    kit.add_source("shop", f"{LIMITED}orders.add_limit({limit})\n")
    kit.configure("shop", "orders", fields={"id": {"type": "integer"}})
    assert ("add_limit in its source ended the stream" in kit.run("shop", "orders").text) == is_told


@pytest.mark.parametrize(
    ("pages", "streams", "told"),
    [
        ([1, 1, 2, 3], BY_NUMBER, "the first two pages have the same 2 records"),
        ([1, None, 3], BY_NUMBER, "says that there are more: 'pages' is 3"),
        ([1], BY_NUMBER.replace('"data"', '"rows"'), "no rows, but the last response"),
    ],
)
def test_pages_that_dlts_own_paging_misses_are_told(
    pages: list[int | None],
    streams: str,
    told: str,
    kit: Kit,
    folder_zone: Zone,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def answer(exchange: Exchange) -> None:
        page = pages[int(exchange.seen.query["page"])]
        rows = [] if page is None else [{"id": 2 * page}, {"id": 2 * page + 1}]
        exchange.reply(200, json.dumps({"data": rows, "pages": 3}).encode())

    assert told in _run_with(kit, monkeypatch, streams, answer).text


@pytest.mark.parametrize(
    ("flags", "code", "told"),
    [("YN", 0, ""), ("Y", 1, "7 pages without rows in succession")],
)
def test_a_cursor_that_the_last_page_has_too(
    flags: str,
    code: int,
    told: str,
    kit: Kit,
    folder_zone: Zone,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def answer(exchange: Exchange) -> None:
        page = int(exchange.seen.query.get("page", 0))
        flag = flags[min(page, len(flags) - 1)]
        rows = [{"id": page}] if page < 2 else []
        exchange.reply(200, json.dumps({"data": rows, "next": page + 1, "more": flag}).encode())

    monkeypatch.setattr(pointers, "_MOST_EMPTY", 6)
    done = _run_with(kit, monkeypatch, BY_CURSOR, answer)
    assert done.code == code, done.text
    assert told in done.text


@pytest.mark.parametrize(
    ("client", "body", "told"),
    [
        ("plain", {"error": "rate limit exceeded"}, "says: rate limit exceeded"),
        (
            "kit",
            {"success": False, "data": [], "message": "quota exceeded"},
            "says: quota exceeded",
        ),
        ("plain", {"data": [{"id": 1}], "errors": [{"message": "shard down"}]}, "says: shard down"),
        ("plain", {"data": [{"id": 1}], "errors": [], "success": True, "message": "fine"}, ""),
    ],
)
def test_a_failure_with_status_200_is_told(
    client: str,
    body: dict[str, Any],
    told: str,
    kit: Kit,
    folder_zone: Zone,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    streams = {"plain": GET, "kit": BY_CURSOR.replace(", paging=paging", "")}[client]
    done = _run_with(kit, monkeypatch, streams, lambda x: x.reply(200, json.dumps(body).encode()))
    assert done.code == 0, done.text
    assert ("rows may be missing" in done.text) == bool(told), done.text
    assert told in done.text


def test_a_cursor_whose_values_begin_anew_is_told(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    millis, then = [1_700_000_000_000, 1_700_000_000_500], [1_700_000_001, 1_700_000_002]
    values = iter([millis, millis, then])

    def answer(exchange: Exchange) -> None:
        rows = [{"id": n, "at": at} for n, at in enumerate(next(values))]
        exchange.reply(200, json.dumps({"data": rows}).encode())

    kit.add_source("shop", ANEW)
    fields = {"id": {"type": "integer"}, "at": {"type": "integer"}}
    kit.configure("shop", "orders", sync_mode="incremental", cursor_field=["at"], fields=fields)
    with serve(answer) as server:
        monkeypatch.setenv("MY_API_URL", server.url)
        first, second, third = (kit.run("shop", "orders") for _ in range(3))
    assert "below" not in first.text + second.text
    assert "all 2 records that came have at below 1700000000500" in third.text


def _run_with(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, streams: str, answer: Callable[[Exchange], None]
) -> Outcome:
    kit.add_source("shop", streams)
    fields = {"id": {"type": "integer"}}
    kit.configure("shop", "orders", primary_key=[["id"]], fields=fields)
    with serve(answer) as server:
        monkeypatch.setenv("MY_API_URL", server.url)
        return kit.run("shop", "orders")
