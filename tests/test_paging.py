"""Every kind of paging reads all rows of a real server, and no edit meanwhile loses one."""

from __future__ import annotations

import json
import re
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import requests
from dlt.sources.helpers.rest_client.paginators import JSONLinkPaginator

from demo.servers import datasette
from landing import http
from landing.errors import ApiError
from landing.events import Event, Note
from landing.http import (
    Api,
    CursorPages,
    HeaderUrlPages,
    KeysetPages,
    NextUrlPages,
    NumberedPages,
    OffsetPages,
    TimeWindows,
    traffic,
)
from tests.kit import REPOSITORY, Kit, Zone
from tests.servers.api import Api as Server
from tests.servers.api import seed_orders, serve_api
from tests.servers.graph import graph
from tests.servers.pocketbase import pocketbase
from tests.servers.shop import START, Shop, shop

ORDERS = 25
FIELDS = {"id": {"type": "integer"}, "note": {"type": "string"}}
STREAM = """
import os
import dlt
from landing.http import *

@dlt.resource(primary_key="id")
def orders():
    api = Api(os.environ["MY_API_URL"])
    yield from api.pages({call})
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with shop(tmp_path_factory.mktemp("shop"), ORDERS) as served:
        yield served


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    file = tmp_path_factory.mktemp("datasette") / "shop.db"
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT, at TEXT)")
        rows = [(n, f"Order {n}", str(START + timedelta(hours=n // 3))) for n in range(1, 26)]
        database.executemany("INSERT INTO orders VALUES (?, ?, ?)", rows)
    with datasette(file, settings={"max_returned_rows": 10}) as served:
        yield served.database("shop")


@pytest.fixture
def land(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, str], list[int]]:
    def landed(url: str, call: str) -> list[int]:
        """The ids that a stream of these pages lands, in the order in which they come."""
        monkeypatch.setenv("MY_API_URL", url)
        kit.add_source("pages", STREAM.format(call=call))
        kit.configure("pages", "orders", sync_mode="full_refresh", fields=FIELDS)
        done = kit.run("pages", "orders")
        assert done.code == 0, done.text
        found = folder_zone.query("pages", "orders", "SELECT id FROM landed")
        return [number for (number,) in found]

    return landed


Land = Callable[[str, str], list[int]]


@pytest.mark.parametrize(
    "call",
    [
        '"offset/", records="results", paging=OffsetPages(10)',
        '"offset/", records="results", paging=OffsetPages(10, total="count")',
        '"offset/", records="results", paging=OffsetPages(10, at_once=4)',
        '"numbered/", records="results", paging=NumberedPages(10, size="page_size", past_end=404)',
        '"numbered/", records="results", paging=NumberedPages(7, size="page_size", total="count")',
        '"numbered/", records="results", paging=NumberedPages('
        '4, size="page_size", past_end=404, at_once=3)',
        '"cursor/", records="results", paging=NextUrlPages()',
        '"header/", paging=CursorPages(header="X-Next-Cursor")',
        '"link/", paging=LinkPages()',
        '"limited/", params={"after": 0}, paging=KeysetPages("id", "after", limit=10)',
        '"limited/", paging=TimeWindows("2024-01-01", days=0.2, end="2024-01-02", '
        'spelled=lambda moment: f"{moment:%Y-%m-%d %H:%M:%S}")',
        '"limited/", paging=TimeWindows("2024-01-01", days=0.2, end="2024-01-02", at_once=3, '
        'spelled=lambda moment: f"{moment:%Y-%m-%d %H:%M:%S}")',
        '"offset/", records="results", paging=TimeWindows("2024-01-01", days=0.3, '
        'end="2024-01-02", spelled=lambda moment: f"{moment:%Y-%m-%d %H:%M:%S}", '
        "within=OffsetPages(3))",
        '"search/", records="hits", json={"filter": {}}, paging=OffsetPages('
        '10, "page.offset", "page.limit", total="meta.total")',
    ],
)
def test_all_rows_of_django_rest_framework(running: Shop, land: Land, call: str) -> None:
    assert land(running.url, call) == list(range(1, ORDERS + 1))


def test_a_keyset_of_a_field_that_rows_share_brings_those_of_a_pages_end_again(
    running: Shop, land: Land
) -> None:
    found = land(
        running.url,
        '"limited/", paging=KeysetPages("updated_at", "since", limit=5, inclusive=True)',
    )
    assert sorted(set(found)) == list(range(1, ORDERS + 1))
    assert len(found) < ORDERS * 1.5


@pytest.mark.parametrize(
    "call",
    [
        '"orders.json?_shape=objects&_size=max", records="rows", paging=NextUrlPages("next_url")',
        '"orders.json?_shape=objects&_size=max", records="rows", '
        'paging=CursorPages("next", "_next")',
        '"orders.json?_shape=array&_size=max", paging=LinkPages()',
        '"orders.json?_shape=array&_sort=id", '
        'paging=KeysetPages("id", "id__gt", limit=10, limit_param="_size")',
        '"orders.json?_shape=array", paging=TimeWindows("2024-01-01", days=1/8, since="at__gte", '
        'until="at__lt", end="2024-01-02", spelled=lambda moment: f"{moment:%Y-%m-%d %H:%M:%S}")',
    ],
)
def test_all_rows_of_datasette(web: str, land: Land, call: str) -> None:
    assert land(web, call) == list(range(1, ORDERS + 1))


def test_all_rows_of_pocketbase_and_one_that_was_deleted_meanwhile(tmp_path: Path) -> None:
    with pocketbase(tmp_path, ORDERS) as base:
        paging = NumberedPages(10, size="perPage", total="totalItems")
        pages = Api(base.records).pages(
            "", records="items", params={"sort": "number"}, paging=paging
        )
        found = [row["number"] for row in next(pages).rows()]
        base.delete(2)
        found += [row["number"] for page in pages for row in page.rows()]
    assert sorted(set(found)) == list(range(1, ORDERS + 1))


def test_a_paginator_of_dlt_is_paging_too(running: Shop) -> None:
    pages = Api(running.url).pages("cursor/", records="results", paging=JSONLinkPaginator())
    assert [row["id"] for page in pages for row in page.rows()] == list(range(1, ORDERS + 1))


class Moving:
    """The test API, by offset or page number, with rows that move before one of its answers, or
    before each of them."""

    def __init__(self, server: Server, before: int | None, move: Callable[[Server], None]) -> None:
        self._answer, self._server, self._before, self._move = server.answer, server, before, move
        self._lock = threading.Lock()
        self._asked = 0

    def answer(self, request: Any) -> Any:
        with self._lock:
            self._asked += 1
            if self._before in (self._asked, None):
                self._move(self._server)
            query = dict(request.query)
            if "page" in query:
                query["offset"] = str((int(query["page"]) - 1) * int(query["limit"]))
            return self._answer(type(request)(request.path, query, request.headers))


def edit_first(server: Server) -> None:
    server.update("orders", _first(server)["id"], note="edited")


def edit_three(server: Server) -> None:
    for _ in range(3):
        edit_first(server)


def delete_first(server: Server) -> None:
    rows = server.rows()
    rows.remove(_first(server))
    server.set_rows("orders", rows)


def delete_more_than_a_page(server: Server) -> None:
    for _ in range(8):
        delete_first(server)


def _first(server: Server) -> dict[str, Any]:
    return min(server.rows(), key=lambda row: (row["updated_at"], row["id"]))


def lost(
    paging: Any, before: int, move: Callable[[Server], None], monkeypatch: pytest.MonkeyPatch
) -> list[int]:
    """The ids of rows that the API has in the end and the pages had not, or not as they are."""
    with serve_api(seed_orders(ORDERS)) as server:
        monkeypatch.setattr(server, "answer", Moving(server, before, move).answer)
        api = Api(server.url, headers={"Authorization": f"Bearer {server.token}"})
        pages = api.pages("orders", records="data", paging=paging)
        found = [row for page in pages for row in page.rows()]
        assert len(found) < ORDERS * 2.5
        if before == len(server.requests) and isinstance(paging, OffsetPages):
            return []  # that request looked beyond the end: what moved since is the next run's
        return [row["id"] for row in server.rows() if row not in found]


MOVES = [edit_first, edit_three, delete_first, delete_more_than_a_page]


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("at_once", [1, 3])
def test_rows_that_move_at_any_moment_of_paging_by_offset_are_not_lost(
    move: Callable[[Server], None], at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for before in range(1, 10):
        assert lost(OffsetPages(5, at_once=at_once), before, move, monkeypatch) == []


def test_rows_that_move_before_every_answer_are_read_at_no_more_than_a_step_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serve_api(seed_orders(500)) as server:
        monkeypatch.setattr(server, "answer", Moving(server, None, edit_first).answer)
        api = Api(server.url, headers={"Authorization": f"Bearer {server.token}"})
        pages = api.pages("orders", records="data", paging=OffsetPages(50))
        found = [row for page in pages for row in page.rows()]
        # What is edited after the last page was answered is the next run's; one more request
        # looked beyond it.
        assert sum(row not in found for row in server.rows()) <= 1
        assert len(server.requests) < 20


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("at_once", [1, 3])
def test_rows_that_move_at_any_moment_of_paging_by_number_are_not_lost(
    move: Callable[[Server], None], at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for before in range(1, 15):
        assert lost(NumberedPages(5, at_once=at_once), before, move, monkeypatch) == []


def test_a_keyset_that_starts_at_its_last_value_ends_there(api: Server) -> None:
    """As of a run that has nothing new: the first page has rows of the start alone, and further
    requests show that the API has not cut it off."""
    last = max(row["updated_at"] for row in api.rows())
    client = Api(api.url, headers={"Authorization": f"Bearer {api.token}"})
    paging = KeysetPages("updated_at", "since", limit=500, inclusive=True)
    pages = client.pages("orders", records="data", params={"since": last}, paging=paging)
    found = [row["id"] for page in pages for row in page.rows()]
    assert found == [row["id"] for row in api.rows() if row["updated_at"] == last]
    assert len(api.requests) == 3


def capped(server: Server, most: int) -> None:
    """Pages of no more than `most` rows, whatever `limit` says."""
    whole = server.answer

    def answer(request: Any) -> Any:
        query = {**request.query, "limit": str(min(int(request.query["limit"]), most))}
        return whole(type(request)(request.path, query, request.headers))

    server.answer = answer  # type: ignore[method-assign]


def sharing(*counts: int) -> list[dict[str, Any]]:
    """So many rows of each minute."""
    minutes = [minute for minute, count in enumerate(counts) for _ in range(count)]
    return [
        {"id": n, "updated_at": f"2024-01-01 00:{minute:02}:00"} for n, minute in enumerate(minutes)
    ]


def by_change(server: Server, minute: int | None = None, **named: Any) -> list[int]:
    """The ids that pages by the time of the last change have, which start at that minute."""
    api = Api(server.url, headers={"Authorization": f"Bearer {server.token}"})
    params = {} if minute is None else {"since": f"2024-01-01 00:{minute:02}:00"}
    paging = KeysetPages("updated_at", "since", **{"limit": 500, "inclusive": True, **named})
    pages = api.pages("orders", records="data", params=params, paging=paging)
    return [row["id"] for page in pages for row in page.rows()]


@pytest.mark.parametrize("start", [None, 0, 1])
@pytest.mark.parametrize("short_page_ends", [False, True])
def test_more_rows_with_one_value_than_a_capped_page_has_are_an_error(
    start: int | None, short_page_ends: bool
) -> None:
    with serve_api(sharing(40, 150, 60)) as server:
        capped(server, 100)
        with pytest.raises(ApiError, match="is 100 the size of its largest page") as caught:
            by_change(server, start, short_page_ends=short_page_ends)
        assert "/orders: a page of 100 rows has no other 'updated_at'" in str(caught.value)
        with pytest.raises(ApiError, match="request larger pages"):
            by_change(server, start, maximum=100)


@pytest.mark.parametrize("short_page_ends", [False, True])
@pytest.mark.parametrize("counts", [(40, 50, 60, 70), (99,) * 5, (1,) * 250, (100, 1), (0, 2)])
def test_a_keyset_reads_capped_pages_to_the_end(
    counts: tuple[int, ...], short_page_ends: bool
) -> None:
    rows = [{"id": -1, "updated_at": "2020-01-01 00:00:00"}, *sharing(*counts)]
    with serve_api(rows) as server:
        capped(server, 101)
        found = by_change(server, short_page_ends=short_page_ends)
        assert set(found) == {row["id"] for row in rows}


def test_a_keyset_that_starts_at_its_last_value_asks_twice_more_at_most() -> None:
    with serve_api(sharing(100, 60)) as server:
        assert len(by_change(server, 1)) == 60
        assert [request.query["limit"] for request in server.requests] == ["500", "61", "500"]
        since = [request.query.get("since") for request in server.requests]
        assert since == ["2024-01-01 00:01:00", None, "2024-01-01 00:01:01"]
        server.requests.clear()
        assert len(by_change(server, 1, maximum=500, short_page_ends=True)) == 60
        assert len(server.requests) == 1


def test_rows_that_all_share_a_value_may_be_a_capped_page_unless_its_size_is_passed() -> None:
    with serve_api(sharing(12)) as server:
        with pytest.raises(ApiError, match="pass that size as `maximum`"):
            by_change(server)
        assert set(by_change(server, maximum=500)) == set(range(12))


def test_a_few_rows_that_all_share_a_value_are_no_capped_page() -> None:
    """As those of a new shop, which were made at once."""
    with serve_api(sharing(3)) as server:
        assert set(by_change(server)) == {0, 1, 2}


@pytest.mark.parametrize(("most", "count"), [(5, 10), (9, 18)])
def test_pages_capped_below_ten_lose_nothing_without_a_word(most: int, count: int) -> None:
    """If earlier rows show the cap, it is an error; else it may be a short list, so a warning."""
    said: list[Event] = []
    for counts in ((count,), (2, count)):
        with serve_api(sharing(*counts)) as server, traffic.counting(said.append, "orders"):
            capped(server, most)
            if len(counts) == 1:
                assert len(set(by_change(server))) == most
                (warning,) = (event.text for event in said if isinstance(event, Note))
                assert "rows are missing: page by a field" in warning
            else:
                with pytest.raises(ApiError, match=f"is {most} the size of its largest page"):
                    by_change(server)


def test_a_keyset_of_a_search_finds_where_its_pages_begin_in_the_body(running: Shop) -> None:
    """The parameter is taken out of the JSON body to ask from the beginning."""
    paging = KeysetPages(
        "updated_at", "filter.since", limit=500, limit_param="page.limit", inclusive=True
    )
    asked = {"filter": {"since": str(START + timedelta(hours=12))}, "page": {"offset": 0}}
    pages = Api(running.url).pages("search/", records="hits", json=asked, paging=paging)
    assert [row["id"] for page in pages for row in page.rows()] == [24, 25]


@pytest.mark.parametrize("limit", [10, 500])
def test_rows_that_share_a_value_are_an_error_where_only_those_beyond_are_asked_for(
    limit: int, running: Shop
) -> None:
    paging = KeysetPages("updated_at", "since", limit=limit)
    assert "`inclusive=True`" in error(running, "limited/", paging=paging)


def test_a_keyset_of_pages_in_another_order_is_an_error() -> None:
    rows = sharing(1, 1, 1)
    with serve_api(rows) as server:
        whole = server.answer

        def shuffled(request: Any) -> Any:
            server.set_rows("orders", [rows[len(server.requests) % 2]])
            return whole(type(request)(request.path, {}, request.headers))

        server.answer = shuffled  # type: ignore[method-assign]
        with pytest.raises(ApiError, match="sort by 'updated_at', ascending"):
            by_change(server)


def test_a_keyset_is_not_followed_for_ever_where_rows_are_edited_as_fast_as_it_asks(
    api: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "answer", Moving(api, None, edit_first).answer)
    client = Api(api.url, headers={"Authorization": f"Bearer {api.token}"})
    paging = KeysetPages("updated_at", "since", limit=500, inclusive=True, short_page_ends=True)
    pages = client.pages("orders", records="data", paging=paging)
    found = [row for page in pages for row in page.rows()]
    assert [row["id"] for row in api.rows() if row not in found] == []
    assert len(api.requests) < 8


def test_without_verification_a_page_number_costs_one_request(running: Shop) -> None:
    def requests_of(paging: NumberedPages) -> int:
        before = len(running.requested())
        list(Api(running.url).pages("numbered/", records="results", paging=paging))
        return len(running.requested()) - before

    sized = {"size": "page_size", "total": "count"}
    assert requests_of(NumberedPages(10, verify=False, **sized)) == 3
    assert requests_of(NumberedPages(10, **sized)) == 5
    assert requests_of(NumberedPages(100, **sized)) == 1


def test_a_server_that_gives_fewer_rows_than_asked_for_is_read_to_the_end(running: Shop) -> None:
    """DRF's cap here is 1,000; Datasette's `_size` is the same: what came is what counts."""
    with serve_api(seed_orders(ORDERS)) as server:
        capped(server, 6)
        api = Api(server.url, headers={"Authorization": f"Bearer {server.token}"})
        for at_once in (1, 3):
            pages = api.pages("orders", records="data", paging=OffsetPages(10, at_once=at_once))
            assert len({row["id"] for page in pages for row in page.rows()}) == ORDERS


def few_distinct(server: Server, count: int, kinds: int) -> list[dict[str, Any]]:
    """Rows without a key, many of which are equal."""
    rows = [{"id": 0, "note": f"kind {n * n % kinds}"} for n in range(count)]
    server.set_rows("orders", rows)
    numbered = Moving(server, 0, edit_first).answer
    server.answer = numbered  # type: ignore[method-assign]
    return rows


@pytest.mark.parametrize(
    "paging",
    [
        OffsetPages(100),
        OffsetPages(100, at_once=3),
        OffsetPages(100, total="total"),
        NumberedPages(100),
        NumberedPages(100, at_once=3),
        NumberedPages(100, verify=False),
        NumberedPages(100, verify=False, total="total"),
    ],
)
@pytest.mark.parametrize("kinds", [13, 997])
def test_rows_that_equal_others_are_read_as_often_as_they_are_there(
    paging: Any, kinds: int
) -> None:
    with serve_api([]) as server:
        rows = few_distinct(server, 1_050, kinds)
        untold = server.answer

        def answer(request: Any) -> Any:
            answered = untold(request)
            body = {**json.loads(answered.body), "total": len(rows)}
            return type(answered)(200, json.dumps(body).encode())

        server.answer = answer  # type: ignore[method-assign]
        api = Api(server.url, headers={"Authorization": f"Bearer {server.token}"})
        pages = api.pages("orders", records="data", paging=paging)
        found = Counter(row["note"] for page in pages for row in page.rows())
        there = Counter(row["note"] for row in rows)
        if getattr(paging, "_at_once", 1) == 1:
            assert found == there
        assert found >= there


def error(running: Shop, path: str, **named: Any) -> str:
    with pytest.raises(ApiError) as caught:
        list(Api(running.url).pages(path, **named))
    return str(caught.value)


def test_fewer_rows_than_the_api_counts_are_an_error(running: Shop) -> None:
    paging = OffsetPages(10, total="count")
    told = error(running, "sliced/miscounted/", records="results", paging=paging)
    assert "says there are 26 rows at 'count'" in told
    assert "reading all pages twice found 25;" in told


def test_rows_that_differ_with_every_answer_are_known_by_the_fields_that_do_not(
    running: Shop,
) -> None:
    path = "sliced/volatile/"
    assert "`identity`" in error(running, path, records="results", paging=OffsetPages(10))
    paging = OffsetPages(10, identity=("id", "updated_at"))
    pages = Api(running.url).pages(path, records="results", paging=paging)
    assert [row["id"] for page in pages for row in page.rows()] == list(range(1, ORDERS + 1))


@pytest.mark.parametrize(
    ("path", "paging"),
    [
        ("limited/", OffsetPages(10, size="n")),
        ("numbered/", NumberedPages(10, number="seite")),
        ("circle/", CursorPages("next")),
        ("circle/", NextUrlPages()),
        ("limited/", KeysetPages("id", "beyond", limit=10)),
    ],
)
def test_pages_that_never_end_are_an_error_that_names_the_request(
    running: Shop, path: str, paging: Any
) -> None:
    records = "" if path == "limited/" else "results"
    told = error(running, path, records=records, paging=paging)
    assert f"GET {running.url}/{path}" in told
    assert "parameter" in told


def test_a_next_page_on_another_host_does_not_get_the_credentials(running: Shop) -> None:
    told = error(running, "other-host/", records="results", paging=NextUrlPages())
    assert "elsewhere.example" in told
    assert "credentials" in told


def test_one_page_of_several_is_not_taken_for_all(running: Shop) -> None:
    assert "has more pages" in error(running, "cursor/", records="results")
    assert "has more pages" in error(running, "link/")
    assert len(list(Api(running.url).pages("limited/"))) == 1


@pytest.mark.parametrize(
    ("paging", "where"),
    [
        (CursorPages("meta.next"), "at 'meta.next'"),
        (CursorPages("meta.next", has_more="next"), "at 'meta.next'"),
        (CursorPages(header="X-Next", has_more="next"), "in the header 'X-Next'"),
        (CursorPages(header="X-Next"), "in the header 'X-Next'"),
    ],
)
def test_a_cursor_that_is_elsewhere_is_an_error_if_there_are_more_pages(
    paging: CursorPages, where: str, running: Shop
) -> None:
    told = error(running, "cursor/", records="results", paging=paging)
    assert f"GET {running.url}/cursor/ has more pages" in told
    assert where in told


def test_a_cursor_of_an_only_page_is_not_missed(running: Shop) -> None:
    for paging in (CursorPages("meta.next"), CursorPages("meta.next", has_more="next")):
        params = {"since": str(START + timedelta(hours=12))}
        pages = Api(running.url).pages("cursor/", records="results", params=params, paging=paging)
        assert [row["id"] for page in pages for row in page.rows()] == [24, 25]


def test_more_rows_with_one_value_than_a_page_has_are_an_error(running: Shop) -> None:
    paging = KeysetPages("updated_at", "since", limit=2, inclusive=True)
    assert "request larger pages" in error(running, "limited/", paging=paging)


def test_a_total_that_is_not_there_is_an_error(running: Shop) -> None:
    paging = OffsetPages(10, total="meta.total")
    assert "no number of rows at 'meta.total'" in error(
        running, "offset/", records="results", paging=paging
    )


def test_an_answer_that_is_something_else_says_what_it_is(running: Shop) -> None:
    assert "no JSON list of records at 'data'" in error(running, "offset/", records="data")


def test_a_failed_page_is_an_http_error(running: Shop) -> None:
    with pytest.raises(requests.HTTPError, match="404"):
        list(Api(running.url).pages("numbered/?page=99", records="results"))


def test_a_url_of_the_next_page_in_a_header_of_its_own_or_relative() -> None:
    with serve_api(seed_orders(ORDERS)) as server:
        whole = server.answer

        def linked(request: Any) -> Any:
            offset = int(request.query.get("offset", 0))
            answer = whole(request)
            following = f"/orders?limit=10&offset={offset + 10}" if offset < 20 else None
            headers = {"Next-Page": following} if following else {}
            return type(answer)(answer.status, answer.body, answer.content_type, headers)

        server.answer = linked  # type: ignore[method-assign]
        api = Api(server.url, headers={"Authorization": f"Bearer {server.token}"})
        pages = api.pages("orders?limit=10", records="data", paging=HeaderUrlPages("Next-Page"))
        assert sum(map(len, pages)) == ORDERS


def test_windows_reach_from_the_start_until_now() -> None:
    start = datetime.now(UTC) - timedelta(days=10)
    windows = list(TimeWindows(start, days=3)._windows())
    assert windows[0][0] == start
    assert all(before[1] == after[0] for before, after in pairwise(windows))
    assert datetime.now(UTC) - windows[-1][1] < timedelta(seconds=10)


def test_windows_without_a_start_say_how_to_give_one() -> None:
    with pytest.raises(ApiError, match="`initial_value`"):
        TimeWindows(None, days=3)


def test_the_documentations_examples_read_all_rows(
    running: Shop, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Each `pages = …` of docs/paging.md, with `orders` as the endpoint that pages in that way."""
    endpoints = {
        "Next URL": "cursor/",
        "Link header": "link/",
        "Cursor": "header/",
        "Keyset": "limited/",
        "Offset": "offset/",
        "Page number": "numbered/",
        "Time windows": "offset/",
        "Searches by POST": "search/",
        "GraphQL": "",
        "Other bodies": "export/orders.csv",
    }
    text = (REPOSITORY / "docs" / "paging.md").read_text()
    sections = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    with graph(ORDERS) as graph_url:
        for title, endpoint in endpoints.items():
            api = Api(graph_url if title == "GraphQL" else running.url)
            names = {"api": api, **{name: getattr(http, name) for name in http.__all__}}
            for block in re.findall(r"```python\n(.*?)```", sections[title], re.DOTALL):
                exec(re.sub(r'"(orders|search|export)",', f'"{endpoint}",', block), names)
            assert sum(map(len, names["pages"])) == ORDERS, title
