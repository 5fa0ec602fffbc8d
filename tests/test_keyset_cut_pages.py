"""Paging by key where the API does not fill its pages: of a value that many rows share, it returns
fewer rows than fit on a page, as with a limit of bytes or hidden rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from landing.errors import ApiError
from landing.http import Api, KeysetPages
from landing.http.paging.successors import successors
from tests.servers.scripted import Exchange, serve

Row = dict[str, Any]
ROWS = [{"id": n, "at": n if n <= 10 else max(11, n - 19)} for n in range(1, 61)]
"""20 of them share the value 11."""


def cut(rows: list[Row], at: Any = 11, size: int = 6) -> Callable[[Exchange], None]:
    """Pages that begin with this value have no more rows than `size`."""

    def answered(exchange: Exchange) -> None:
        query = exchange.seen.query
        after = type(at)(query.get("after", type(at)()))
        page = [row for row in rows if row["at"] >= after][: int(query["limit"])]
        if page and page[0]["at"] == at:
            page = page[:size]
        exchange.reply(200, json.dumps(page).encode())

    return answered


def read(answered: Callable[[Exchange], None], after: Any = None, **named: Any) -> set[int]:
    paging = KeysetPages("at", "after", limit=10, inclusive=True, **named)
    params = {} if after is None else {"after": after}
    with serve(answered) as server:
        pages = Api(server.url).pages("keys", params=params, paging=paging)
        return {row["id"] for page in pages for row in page.rows()}


@pytest.mark.parametrize("named", [{}, {"maximum": 20}])
@pytest.mark.parametrize("after", [None, 11])
def test_rows_beyond_a_cut_page_are_not_lost(after: int | None, named: dict[str, Any]) -> None:
    with pytest.raises(ApiError, match=r"a page of 6 rows has no other 'at' than 11.*more rows"):
        read(cut(ROWS), after, **named)


def test_a_page_with_fewer_rows_than_are_known_is_cut_at_the_lists_end_too() -> None:
    for size in (1, 6):
        with pytest.raises(ApiError, match="the API does not fill its pages"):
            read(cut(ROWS[:30], size=size))


@pytest.mark.parametrize("spelled", [int, str, float, lambda n: f"2024-01-{n:02}T00:00:00.123Z"])
def test_a_list_that_ends_with_a_shared_value_is_read(spelled: Callable[[int], Any]) -> None:
    rows = [{"id": n, "at": spelled(min(n, 16))} for n in range(10, 22)]
    assert read(cut(rows, spelled(99))) == set(range(10, 22))


def test_a_value_without_a_successor_is_an_error_unless_pages_are_filled() -> None:
    rows = [{"id": n, "at": "abc"[n // 5]} for n in range(15)]
    with pytest.raises(ApiError, match="pass `short_page_ends=True`"):
        read(cut(rows, "x"))
    assert read(cut(rows, "x"), short_page_ends=True) == set(range(15))


def test_rows_that_are_added_after_the_last_page_are_read_as_well() -> None:
    rows = ROWS[:15]
    answer = cut(rows, at=99)

    def growing(exchange: Exchange) -> None:
        if exchange.seen.query.get("after") == "12":
            rows[15:] = [{"id": 99, "at": 12}]
        answer(exchange)

    assert read(growing) == {*range(1, 16), 99}


@pytest.mark.parametrize(
    ("value", "above"),
    [
        (11, [12]),
        ("0099", ["0100"]),
        ("2024-02-29", ["2024-03-01"]),
        ("2024-12-31 23:59:59", ["2025-01-01 00:00:00"]),
        ("2024-12-31T23:59:59.999Z", ["2025-01-01T00:00:00.000Z", "2025-01-01T00:00:00.999Z"]),
        ("2024-01-01T00:00:00+02:00", ["2024-01-01T00:00:01+02:00"]),
        ("2024-01-32", []),
        ("abc", []),
        (True, []),
    ],
)
def test_the_value_above_is_spelled_like_the_value(value: Any, above: list[Any]) -> None:
    assert successors(value) == above
