"""Lists that paging does not enter at the beginning, or that may have more than was read."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from landing.errors import ApiError
from landing.events import Event, Note
from landing.http import (
    Api,
    CursorPages,
    KeysetPages,
    NextUrlPages,
    NumberedPages,
    OffsetPages,
    Retries,
    SinglePage,
    traffic,
)
from landing.http.links import link_to
from tests.servers.scripted import Exchange, serve

ROWS = [{"id": number, "note": f"n{number}"} for number in range(1, 231)]
Answering = Callable[[Exchange], None]


def directus(exchange: Exchange) -> None:
    """Pages of 100 unless asked for another size, by offset or number, and no word about others."""
    query = exchange.seen.query
    size = int(query.get("limit", 100))
    start = int(query.get("offset", 0)) or (int(query.get("page", 1)) - 1) * size
    exchange.reply(200, json.dumps({"data": ROWS[start : start + size]}).encode())


def answers(make: Callable[[int, list[Any]], Any], size: int = 50, **headers: str) -> Answering:
    def answer(exchange: Exchange) -> None:
        number = int(exchange.seen.query.get("page", 1))
        rows = ROWS[(number - 1) * size : number * size]
        exchange.reply(200, json.dumps(make(number, rows)).encode(), **headers)

    return answer


def read(answer: Answering, **named: Any) -> tuple[int, list[str]]:
    """How many rows came, and the warnings of the run."""
    events: list[Event] = []
    with serve(answer) as server, traffic.counting(events.append, "orders"):
        api = Api(server.url, retries=Retries(total=1, base=0.01))
        pages = list(api.pages("orders", records="data", **named))
    rows = {row["id"] for page in pages for row in page.rows()}
    return len(rows), [event.text for event in events if isinstance(event, Note)]


@pytest.mark.parametrize(
    "before",
    [
        {"previous": "/orders?page=1&limit=50"},
        {"prev": "http://127.0.0.1/orders"},
        {"links": {"prev": {"href": "/orders?page=1"}}},
        {"links": [{"rel": "previous", "href": "/orders?page=1"}]},
        {"prev_page": 1},
        {"meta": {"prevPage": "1"}},
        {"pageInfo": {"hasPreviousPage": True}},
        {"pagination": {"has_prev": "true"}},
        {"first": False},
        {"page": {"isFirst": False}},
    ],
    ids=json.dumps,
)
def test_a_page_before_the_first_is_an_error_in_any_words(before: dict[str, Any]) -> None:
    answer = answers(lambda number, rows: {"data": rows} | before)
    with pytest.raises(ApiError, match="has pages before the first that was requested") as caught:
        read(answer, paging=NumberedPages(50, first=2))
    assert "first=1" in str(caught.value)
    assert "ignore_more=[" in str(caught.value)


def test_a_header_says_it_too() -> None:
    answer = answers(
        lambda number, rows: {"data": rows}, Link='</orders?page=1>; rel="prev", <x>; rel="first"'
    )
    with pytest.raises(ApiError, match="the header 'Link' names a page before it"):
        read(answer, paging=NumberedPages(50, first=2))
    assert link_to('</orders?page=1>; rel="prev"', "prev") == "/orders?page=1"


@pytest.mark.parametrize(
    "before",
    [
        {"previous": None},
        {"prev": ""},
        {"prev_page": 0},
        {"prev_page": 1},
        {"first": True},
        {"links": {"first": "/orders?page=1", "prev": "/orders?page=1&limit=50"}},
        {"has_previous": False},
        {"previous": "/orders?page=7"},
    ],
    ids=json.dumps,
)
def test_the_first_page_itself_is_none_before_it(before: dict[str, Any]) -> None:
    answer = answers(lambda number, rows: {"data": rows} | (before if number == 1 else {}))
    assert read(answer, paging=NumberedPages(50)) == (230, [])


def test_whoever_knows_better_says_so() -> None:
    answer = answers(lambda number, rows: {"data": rows, "prev": "/orders?filter=x"})
    with pytest.raises(ApiError, match="names a page before it"):
        read(answer, paging=NumberedPages(50))
    assert read(answer, paging=NumberedPages(50), ignore_more=["prev"]) == (230, [])


@pytest.mark.parametrize("at_once", [1, 3])
@pytest.mark.parametrize("first", [2, 3, 5])
def test_a_page_that_no_word_speaks_of_is_asked_for(first: int, at_once: int) -> None:
    with pytest.raises(ApiError, match="the page before the first that was requested has 50 rows"):
        read(directus, paging=NumberedPages(50, first=first, at_once=at_once))


def test_a_count_above_the_rows_is_warned_of_where_other_words_say_that_it_is_the_end() -> None:
    """`next` is null on a page of which there are more, as where a gateway cut the list."""
    answer = answers(lambda number, rows: {"data": rows[:10], "next": None, "count": 230})
    for paging in (NextUrlPages("next"), None):
        rows, [warning] = read(answer, paging=paging)
        assert rows == 10
        assert "the API counts 230 rows at 'count', and 10 came" in warning
    assert read(answer, paging=SinglePage(), ignore_more=["count"]) == (10, [])


def test_rows_that_came_or_went_while_a_list_was_read_are_no_warning() -> None:
    def answer(exchange: Exchange) -> None:
        page = int(exchange.seen.query.get("page", 1))
        total = 230 if page == 1 else 100
        link = f"/orders?page={page + 1}" if page < 2 else None
        rows = ROWS[(page - 1) * 50 : page * 50]
        exchange.reply(200, json.dumps({"data": rows, "next": link, "total": total}).encode())

    assert read(answer, paging=NextUrlPages("next")) == (100, [])


@pytest.mark.parametrize(
    ("paging", "remedy"),
    [
        (None, "pass paging="),
        (NextUrlPages("links.next"), "its next page would be at 'links.next'"),
        (CursorPages(header="X-Next"), "its next page would be in the header 'X-Next'"),
    ],
)
def test_a_full_page_of_which_nothing_says_that_it_is_all_is_warned_of(
    paging: Any, remedy: str
) -> None:
    rows, [warning] = read(directus, paging=paging)
    assert rows == 100
    assert "the response has exactly 100 rows, as a full page would have" in warning
    assert remedy in warning


def test_no_warning_of_other_lists() -> None:
    assert read(directus, paging=SinglePage()) == (100, [])
    assert read(directus, params={"limit": 93})[1] != []
    assert read(directus, params={"limit": 1000}) == (230, [])
    assert read(directus, paging=OffsetPages(50)) == (230, [])
    assert read(directus, paging=NumberedPages(50)) == (230, [])
    whole = answers(lambda number, rows: {"data": rows, "has_more": False}, size=100)
    assert read(whole) == (100, [])


def test_one_warning_for_thousands_of_lists() -> None:
    events: list[Event] = []
    with serve(directus) as server, traffic.counting(events.append, "orders"):
        for number in range(5):
            list(Api(server.url).pages(f"orders/{number}/lines", records="data"))
    assert sum(isinstance(event, Note) for event in events) == 1


def test_a_cursor_that_leads_to_no_body_is_the_end_with_a_warning() -> None:
    def answer(exchange: Exchange) -> None:
        if exchange.seen.query.get("cursor"):
            return exchange.reply(204)
        return exchange.reply(200, json.dumps({"data": ROWS[:3], "next": "c3"}).encode())

    rows, [warning] = read(answer, paging=CursorPages("next", "cursor"))
    assert rows == 3
    assert "the last cursor led to 204 without a body" in warning


@pytest.mark.parametrize("status", [200, 204])
def test_a_link_that_leads_to_no_body_is_followed_again_and_then_an_error(status: int) -> None:
    def answer(exchange: Exchange) -> None:
        if exchange.number == 1:
            return exchange.reply(200, json.dumps({"data": ROWS[:3], "next": "/2"}).encode())
        if exchange.number == recovers_at:
            return exchange.reply(200, json.dumps({"data": ROWS[3:5], "next": None}).encode())
        return exchange.reply(status)

    recovers_at = 3
    assert read(answer, paging=NextUrlPages("next")) == (5, [])
    recovers_at = 0
    with pytest.raises(ApiError, match=rf"answered {status} without a body.*tried 2 times"):
        read(answer, paging=NextUrlPages("next"))


def test_a_key_that_leads_through_all_counts_no_more_than_there_are() -> None:
    def answer(exchange: Exchange) -> None:
        after = int(exchange.seen.query["after"])
        rows = ROWS[after : min(after + 50, 100)]
        exchange.reply(200, json.dumps({"data": rows, "total": 230}).encode())

    paging = KeysetPages("id", "after", limit=50)
    rows, [warning] = read(answer, params={"after": 0}, paging=paging)
    assert rows == 100
    assert "counts 230 rows at 'total', and 100 came" in warning
    assert read(answer, params={"after": 60}, paging=paging) == (40, [])
