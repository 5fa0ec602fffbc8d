"""An answer that says that there is more is never taken for all, in whatever words it says so."""

from __future__ import annotations

import json
from typing import Any

import pytest

from landing.errors import ApiError
from landing.http import (
    Api,
    CursorPages,
    HeaderUrlPages,
    KeysetPages,
    LinkPages,
    NextUrlPages,
    NumberedPages,
    OffsetPages,
    SinglePage,
)
from tests.servers.scripted import Exchange, serve
from tests.servers.styles import ROWS, STYLES, Style, api_of

every_style = pytest.mark.parametrize("style", STYLES, ids=[style.name for style in STYLES])
WRONG = [
    CursorPages("nowhere.cursor"),
    CursorPages(header="X-Nowhere"),
    CursorPages("nowhere.cursor", has_more="nowhere.more"),
    NextUrlPages("nowhere.next"),
    HeaderUrlPages("X-Nowhere"),
    LinkPages("onward"),
]


def ids(url: str, **named: Any) -> list[int]:
    return [row["id"] for page in Api(url).pages("", **named) for row in page.rows()]


@every_style
def test_one_page_is_not_taken_for_all(style: Style) -> None:
    with api_of(style) as server:
        for paging in (None, SinglePage()):
            with pytest.raises(ApiError) as caught:
                ids(server.url, records=style.records, paging=paging)
            assert "has more pages than were read" in str(caught.value)
            assert style.seen in str(caught.value)


@every_style
def test_paging_that_finds_no_next_page_is_not_taken_for_all(style: Style) -> None:
    with api_of(style) as server:
        for paging in WRONG:
            with pytest.raises(ApiError, match="has more pages than were read"):
                ids(server.url, records=style.records, paging=paging)


@every_style
def test_the_right_paging_reads_all(style: Style) -> None:
    with api_of(style) as server:
        assert ids(server.url, records=style.records, paging=style.right) == list(
            range(1, ROWS + 1)
        )


@every_style
def test_a_page_that_is_all_is_no_error(style: Style) -> None:
    with api_of(style, size=ROWS) as server:
        for paging in (None, *WRONG):
            found = ids(server.url, records=style.records, paging=paging)
            assert found == list(range(1, ROWS + 1)), paging


@every_style
def test_a_person_who_knows_better_says_so(style: Style) -> None:
    with api_of(style) as server:
        ignored: list[str] = []
        for _ in range(4):  # an answer may say it in several ways
            try:
                found = ids(server.url, records=style.records, ignore_more=ignored)
            except ApiError as error:
                ignored += json.loads(
                    "[" + str(error).split("ignore_more=[")[1].split("]")[0] + "]"
                )
            else:
                assert len(found) == 25
                assert ignored
                return
        pytest.fail(f"still refused with {ignored}")


def body(content: Any, **headers: str) -> Any:
    def answer(exchange: Exchange) -> None:
        text = content if isinstance(content, bytes) else json.dumps(content).encode()
        exchange.reply(200, text, Content_Type="application/json", **headers)

    return answer


TWO = [{"id": 1}, {"id": 2}]


@pytest.mark.parametrize(
    "content",
    [
        {"items": TWO, "next": None},
        {"items": TWO, "next": ""},
        {"items": TWO, "next": False},
        {"items": TWO, "next": 0},
        {"items": TWO, "next_cursor": "0"},
        {"items": TWO, "next_cursor": -1},
        {"items": TWO, "has_more": "false"},
        {"items": TWO, "has_more": "0"},
        {"items": TWO, "total": 2},
        {"items": TWO, "total": "2"},
        {"items": TWO, "total": 1},
        {"items": TWO, "count": 2, "page": 1, "pages": 1},
        {"items": TWO, "total": 1250.75},  # of money
        {"items": TWO, "total": {"amount": 1250, "currency": "EUR"}},
        {"items": TWO, "cursor": "c2", "has_more": False},  # where a next sync goes on
        {"items": TWO, "next": None, "cursor": "c2"},
        {"items": TWO, "next": None, "total": 60},
        {"items": TWO, "nextSyncToken": "abc", "kind": "calendar#events"},
        {"items": TWO, "@odata.deltaLink": "https://graph.example/delta"},
        {"items": TWO, "paging": {"cursors": {"before": "a", "after": "b"}}},  # Facebook
        {"items": TWO, "offset": 0, "limit": 25},
        {"items": TWO, "recordsTotal": 60, "recordsFiltered": 2},  # DataTables
        {"items": TWO, "meta": {"total_count": 60, "filter_count": 2}},  # Directus
        {"items": TWO, "summary": {"next": "2026-01-01", "total": 900}},
        {"items": TWO, "pageInfo": {"hasNextPage": False, "endCursor": "Mg=="}},
        {"items": TWO, "links": {"self": "/", "first": "/", "last": "/", "next": None}},
        {"items": TWO, "links": {"next": "/"}},  # this page
        {"items": TWO, "number": 0, "totalPages": 1, "last": True},
        {"items": [{"id": 1, "next": "/2", "has_more": True, "total": 60}, {"id": 2}]},
    ],
    ids=lambda content: json.dumps({k: v for k, v in content.items() if v != TWO}),
)
def test_what_only_looks_like_more_is_no_error(content: Any) -> None:
    with serve(body(content)) as server:
        for paging in (None, *WRONG):
            assert ids(server.url, records="items", paging=paging) == [1, 2]


@pytest.mark.parametrize(
    "headers",
    [
        {"Link": '<https://api.w.org/>; rel="https://api.w.org/"'},
        {"Link": '</a>; rel="last", </>; rel="prev"'},
        {"Link": '</a>; title="rel=next"'},
        {"X_Next_Page": ""},
        {"X_Total_Count": "2"},
        {"Content_Range": "items 0-1/2"},
        {"Content_Range": "0-1/*"},
        {"X_Pagination": "none"},
    ],
    ids=str,
)
def test_headers_of_a_last_page_are_no_error(headers: dict[str, str]) -> None:
    with serve(body(TWO, **headers)) as server:
        assert ids(server.url) == [1, 2]


def test_a_total_of_all_rows_does_not_stop_a_stream_that_asks_for_what_changed() -> None:
    """It counts rows that the filter leaves out; the page is short, and nothing is beyond it."""

    def answer(exchange: Exchange) -> None:
        start = int(exchange.seen.query.get("offset", 0))
        rows = TWO[start : start + 1] if start else TWO
        body({"items": rows, "total": 60})(exchange)

    with serve(answer) as server:
        assert ids(server.url, records="items", paging=OffsetPages(25)) == [1, 2]


def test_a_page_asked_for_by_its_place_is_not_measured_by_the_total() -> None:
    with serve(body({"items": TWO, "total": 60, "page": 30, "pages": 30})) as server:
        for params in ({"offset": 58}, {"page": 30}, {"$skip": 58}):
            assert ids(server.url, records="items", params=params) == [1, 2]
