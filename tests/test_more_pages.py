"""An answer that says that there is more is never taken for all, in whatever words it says so."""

from __future__ import annotations

import json
from typing import Any

import pytest
from dlt.sources.helpers.rest_client.paginators import BasePaginator

from landing.errors import ApiError, SourceError
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
from landing.http.links import link_to
from tests.kit import Kit, Zone
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


def test_a_run_that_would_miss_pages_fails_and_leaves_nothing(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    style = next(style for style in STYLES if style.name == "Microsoft Graph")
    right = STREAM.replace('"value")', '"value", paging=NextUrlPages("@odata.nextLink"))')
    for name, streams in (("graph", STREAM), ("right", right)):
        kit.add_source(name, streams)
        kit.configure(name, "orders", fields={"id": {"type": "integer"}}, sync_mode="full_refresh")
    with api_of(style) as server:
        monkeypatch.setenv("GRAPH_URL", server.url)
        done = kit.run("graph", "orders")
        assert done.code == 1
        assert 'Page by NextUrlPages("@odata.nextLink").' in done.text
        assert not folder_zone.parts("graph", "orders")
        assert kit.run("right", "orders").code == 0
        assert folder_zone.count("right", "orders") == ROWS


STREAM = """
import os
import dlt
from landing.http import Api, NextUrlPages

@dlt.resource(primary_key="id")
def orders():
    yield from Api(os.environ["GRAPH_URL"]).pages("", records="value")
"""


# Counted pages


def counted(rows: list[int], *, hidden: range = range(0), clamps: bool = False, **more: Any) -> Any:
    """An API by offset or page number that shows no rows of `hidden` places, and beyond the end
    gives its last page again if it `clamps`."""

    def answer(exchange: Exchange) -> None:
        query = exchange.seen.query
        size = min(int(query["limit"]), 10)
        start = (int(query["page"]) - 1) * size if "page" in query else int(query["offset"])
        if clamps:
            start = min(start, len(rows) - size)
        found = [rows[n] for n in range(start, min(start + size, len(rows))) if n not in hidden]
        body({"items": [{"id": n} for n in found], **more})(exchange)

    return answer


ALL = list(range(1, ROWS + 1))


@pytest.mark.parametrize(
    "paging",
    [
        NumberedPages(10),
        NumberedPages(10, at_once=3),
        NumberedPages(10, verify=False),
        NumberedPages(500),
        OffsetPages(10),
        OffsetPages(10, at_once=3),
    ],
)
def test_a_page_without_rows_in_the_middle_is_passed_over(paging: Any) -> None:
    hidden = range(20, 30)
    with serve(counted(ALL, hidden=hidden)) as server:
        found = ids(server.url, records="items", paging=paging)
        assert sorted(set(found)) == [n for n in ALL if n - 1 not in hidden]


@pytest.mark.parametrize("paging", [NumberedPages(10), OffsetPages(10)])
@pytest.mark.parametrize("more", [{"total": 60}, {"has_more": True}])
def test_pages_without_rows_are_passed_over_as_long_as_the_answers_say_there_is_more(
    paging: Any, more: dict[str, Any]
) -> None:
    hidden = range(20, 50)
    with serve(counted(ALL, hidden=hidden, **more)) as server:
        # 30 rows stay hidden, and the API counts them.
        with pytest.raises(ApiError, match="has more pages than were read"):
            ids(server.url, records="items", paging=paging)
        found = ids(server.url, records="items", paging=paging, ignore_more=["has_more", "total"])
        assert set(found) <= set(ALL)


def test_rows_that_no_request_reaches_are_an_error() -> None:
    """As where an API gives no more than its first 10,000 by offset."""
    rows = [*range(1, 31)]
    with serve(counted(rows, total=60)) as server:
        for paging in (NumberedPages(10), OffsetPages(10)):
            with pytest.raises(ApiError, match="'total' is 60, and 30 rows came"):
                ids(server.url, records="items", paging=paging)


@pytest.mark.parametrize(
    ("paging", "more"),
    [
        (NumberedPages(10), {"total": 60}),
        (NumberedPages(10), {"pages": 6}),
        (NumberedPages(10, total="stats.n"), {"stats": {"n": 60}}),
        (OffsetPages(10), {"total": 60}),
        (OffsetPages(10, total="stats.n"), {"stats": {"n": 60}}),
    ],
)
def test_the_last_page_again_is_the_end_once_all_rows_are_there(
    paging: Any, more: dict[str, Any]
) -> None:
    with serve(counted(ALL, clamps=True, **more)) as server:
        assert ids(server.url, records="items", paging=paging) == ALL


def test_the_last_page_again_is_an_error_where_nothing_says_that_it_is_the_last() -> None:
    with (
        serve(counted(ALL, clamps=True)) as server,
        pytest.raises(ApiError, match="two pages hold the same rows"),
    ):
        ids(server.url, records="items", paging=NumberedPages(10))


def test_looking_beyond_the_end_costs_a_small_stream_nothing() -> None:
    with serve(counted(ALL[:3])) as server:
        assert ids(server.url, records="items", paging=NumberedPages(10, verify=False)) == [1, 2, 3]
        assert ids(server.url, records="items", paging=OffsetPages(10)) == [1, 2, 3]
        assert len(server.seen) == 4


# Keys


@pytest.mark.parametrize(
    "values",
    [
        [5, 4, 3],
        [1, 3, 2],
        ["2024-03-01T00:00:00Z", "2024-02-01T00:00:00Z"],
        ["2024-03-01T00:00:00+02:00", "2024-02-29T21:00:00Z"],
        ["b", "a"],
        ["20", "3", "10"],
    ],
)
def test_rows_that_do_not_ascend_by_their_key_are_an_error(values: list[Any]) -> None:
    def answer(exchange: Exchange) -> None:
        after = exchange.seen.query.get("after")
        body([] if after else [{"id": 0, "k": value} for value in values])(exchange)

    with serve(answer) as server:
        with pytest.raises(ApiError, match="do not come in the ascending order of 'k'"):
            ids(server.url, paging=KeysetPages("k", "after", limit=10))
        paging = KeysetPages("k", "after", limit=10, check_order=False)
        assert len(ids(server.url, paging=paging)) == len(values)


@pytest.mark.parametrize(
    "values",
    [
        [1, 2, 2.5, 10],
        ["9", "10"],
        ["10", "9"],
        ["2024-01-01", "2024-01-01T00:00:00.5Z", "2024-01-02 00:00:00+00:00"],
        ["a", "B", "c"],
        ["B", "a"],
        ["de-la", "dela", "de-lb"],
        ["eclair", "Éclair", "fig"],
        [None, 1, 2],
        ["6f9619ff-8b86-d011-b42d-00cf4fc964ff", "1f9619ff-8b86-d011-b42d-00cf4fc964ff"],
    ],
)
def test_rows_that_ascend_by_any_common_rule_are_read(values: list[Any]) -> None:
    def answer(exchange: Exchange) -> None:
        after = exchange.seen.query.get("after")
        body([] if after else [{"id": 0, "k": value} for value in values])(exchange)

    with serve(answer) as server:
        assert len(ids(server.url, paging=KeysetPages("k", "after", limit=10))) == len(values)


def test_a_page_that_goes_back_behind_the_one_before_is_an_error() -> None:
    """As of an API that does not know the parameter, where rows may share a key."""
    rows = [{"id": n, "k": n // 2} for n in range(10)]
    with (
        serve(body(rows)) as server,
        pytest.raises(ApiError, match="do not come in the ascending order of 'k'"),
    ):
        ids(server.url, paging=KeysetPages("k", "beyond", limit=50, inclusive=True))


# Ends


@pytest.mark.parametrize("end", [None, "", False, 0, "0", -1, ...], ids=str)
@pytest.mark.parametrize(
    ("name", "paging"),
    [("next", NextUrlPages()), ("cursor", CursorPages("cursor"))],
    ids=["url", "cursor"],
)
def test_an_end_in_any_spelling_is_one(name: str, paging: Any, end: Any) -> None:
    def answer(exchange: Exchange) -> None:
        if exchange.seen.query.get("cursor"):
            last = {} if end is ... else {name: end}
            return body({"items": [{"id": 2}], **last})(exchange)
        following = "/?cursor=c1" if name == "next" else "c1"
        return body({"items": [{"id": 1}], name: following})(exchange)

    with serve(answer) as server:
        assert ids(server.url, records="items", paging=paging) == [1, 2]


@pytest.mark.parametrize(
    "last",
    [
        (200, b'{"items": null}'),
        (200, b"{}"),
        (200, b'{"kind": "events", "etag": "x", "total": 1}'),
        (200, b""),
        (204, b""),
    ],
    ids=str,
)
def test_an_answer_without_records_is_a_page_without_rows(last: tuple[int, bytes]) -> None:
    def answer(exchange: Exchange) -> None:
        if exchange.seen.query.get("cursor") or exchange.seen.query.get("page", "1") != "1":
            return exchange.reply(*last)
        return body({"items": [{"id": 1}], "next": "c1"})(exchange)

    with serve(answer) as server:
        for paging in (CursorPages("next"), NumberedPages(10)):
            assert ids(server.url, records="items", paging=paging) == [1]


@pytest.mark.parametrize("said", [b'{"error": "no"}', b'{"other": []}', b'{"items": {}}'], ids=str)
def test_an_answer_that_is_something_else_is_no_end(said: bytes) -> None:
    with serve(body(said)) as server, pytest.raises(ApiError, match="no JSON list of records"):
        ids(server.url, records="items")


@pytest.mark.parametrize("said", ["true", True, 1, "1"])
def test_a_flag_may_be_a_text(said: Any) -> None:
    def answer(exchange: Exchange) -> None:
        number = int(exchange.seen.query.get("cursor", 1))
        flag = said if number < 3 else {"true": "false", "1": "0", 1: 0}.get(said, False)
        body({"items": [{"id": number}], "at": number + 1, "go_on": flag})(exchange)

    with serve(answer) as server:
        paging = CursorPages("at", has_more="go_on")
        assert ids(server.url, records="items", paging=paging) == [1, 2, 3]


def test_a_cursor_that_stays_where_it_is_ends_with_an_empty_page() -> None:
    """As in APIs of events, where it is what a later request goes on from."""

    def answer(exchange: Exchange) -> None:
        last = int(exchange.seen.query.get("cursor", 0))
        rows = [{"id": n} for n in (last + 1, last + 2) if n <= 4]
        body({"items": rows, "cursor": str(last + len(rows))})(exchange)

    with serve(answer) as server:
        assert ids(server.url, records="items", paging=CursorPages("cursor")) == [1, 2, 3, 4]


# Paths, headers


@pytest.mark.parametrize(
    ("path", "made"),
    [
        ("@odata.nextLink", lambda url: {"@odata.nextLink": url}),
        ('["page.next"]', lambda url: {"page.next": url}),
        ("$['a.b'].next", lambda url: {"a.b": {"next": url}}),
        ("a.b.next", lambda url: {"a.b": {"next": url}}),
        ("links[0].href", lambda url: {"links": [{"href": url}]}),
        ("links.0.href", lambda url: {"links": [{"href": url}]}),
        ("_links.next", lambda url: {"_links": {"next": {"href": url}}}),
    ],
)
def test_a_path_leads_through_names_with_dots_and_places_in_lists(path: str, made: Any) -> None:
    def answer(exchange: Exchange) -> None:
        is_first = not exchange.seen.query
        more = made("/?page=2") if is_first else {}
        body({"my.data": [{"rows": [{"id": 1 if is_first else 2}]}], **more})(exchange)

    with serve(answer) as server:
        for records in ('$["my.data"][0].rows', "my.data.0.rows"):
            assert ids(server.url, records=records, paging=NextUrlPages(path)) == [1, 2]


def test_parameters_of_a_posted_body_may_be_in_a_list() -> None:
    """As in JSON-RPC."""

    def answer(exchange: Exchange) -> None:
        search, paged = json.loads(exchange.seen.body)["params"]
        assert search == {"kind": "order"}
        first = paged["page.offset"]
        body({"result": [{"id": n} for n in ALL[first : first + paged["limit"]]]})(exchange)

    with serve(answer) as server:
        asked = {"params": [{"kind": "order"}, {"page.offset": 0}]}
        paging = OffsetPages(20, '$.params[1]["page.offset"]', "params.1.limit")
        assert ids(server.url, records="result", json=asked, paging=paging) == ALL
        with pytest.raises(SourceError, match=r"no place for the parameter 'params\.4\.x'"):
            ids(server.url, json=asked, paging=OffsetPages(20, "params.4.x"))


def test_a_path_of_several_places_is_refused() -> None:
    with serve(body({"data": []})) as server:
        for path, said in (("data[*]", "can mean several places"), ("data[", "is no JSONPath")):
            with pytest.raises(SourceError, match=said):
                ids(server.url, records=path)


def test_a_paginator_may_page_by_a_request_header() -> None:
    class ByHeader(BasePaginator):
        def update_state(self, response: Any, data: list[Any] | None = None) -> None:
            self.cursor = response.headers.get("X-Position")
            self._has_next_page = self.cursor is not None

        def update_request(self, request: Any) -> None:
            request.headers = {**request.headers, "X-Position": self.cursor}

    def answer(exchange: Exchange) -> None:
        number = int(exchange.seen.headers.get("X-Position", 1))
        headers = {"X_Position": str(number + 1)} if number < 3 else {}
        body([{"id": number}], **headers)(exchange)

    with serve(answer) as server:
        assert ids(server.url, paging=ByHeader(), headers={"X-Own": "1"}) == [1, 2, 3]
        assert ids(server.url, paging=ByHeader()) == [1, 2, 3]


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ('<u>; rel="next"', "u"),
        ('<u>; Rel="next"', "u"),
        ('<u>; rel="Next"', "u"),
        ('<u>; rel="last next"', "u"),
        ("<u>; rel=next", "u"),
        ("<u>;rel='next'", "u"),
        ('<a>; title="x, <y>; rel=\\"next\\""; rel="prev", <u,1>; title="p, q"; rel="next"', "u,1"),
        ("<a>; rel=prev; rel=next, <u>; rel=next", "u"),
        ('<u>; anchor="#part"; rel=next', None),
        ('<a>; rel="prev",, <u> ; rel = "next"', "u"),
        ("", None),
        ("none", None),
    ],
)
def test_links_are_read_as_rfc_8288_has_them(header: str, found: str | None) -> None:
    assert link_to(header, "next") == found
