"""Answers that are not the list yet, or not all of it, as torture's edge: wire found them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from landing.columns.expected_fields import Expected, expecting
from landing.errors import ApiError
from landing.http import Api, KeysetPages, LinkPages, NumberedPages, OffsetPages, Retries
from landing.http.links import link_to
from landing.http.traffic import counting
from tests.servers.scripted import Exchange, serve
from torture.wire.way import body, in_turn, paged

QUICK = Retries(total=1, base=0.01)
ROWS = [{"id": 1}, {"id": 2}]


def ids(url: str, retries: Retries = QUICK, **named: Any) -> list[int]:
    pages = Api(url, retries=retries).pages("orders", **named)
    return [row["id"] for page in pages for row in page.rows()]


def test_a_list_that_is_not_ready_is_asked_for_again() -> None:
    with serve(in_turn(body([], 202, Retry_After="0"), body(ROWS))) as server:
        assert ids(server.url) == [1, 2]


def test_a_list_that_does_not_get_ready_is_an_error() -> None:
    with serve(body([{"id": 1}], 202)) as server:
        with pytest.raises(ApiError, match=r"GET \S+/orders still answered 202 Accepted"):
            ids(server.url)
        assert len(server.seen) == 2
        assert ids(server.url, Retries(final=[202])) == [1]


@pytest.mark.parametrize("status", [205, 304])
@pytest.mark.parametrize("paging", [NumberedPages(100), LinkPages(), None])
def test_an_answer_that_is_no_page_is_no_end(status: int, paging: Any) -> None:
    """No request of ours is conditional, so that a cache or gateway is wrong that answers so."""

    def answer(exchange: Exchange) -> None:
        exchange.reply(status)

    with serve(in_turn(answer, body(ROWS), body([]))) as server:
        assert ids(server.url, paging=paging) == [1, 2], "it is asked for again"
    with (
        serve(answer) as server,
        pytest.raises(ApiError, match=rf"answered {status} \S.*neither has rows nor ends a list"),
    ):
        ids(server.url, paging=paging)


def test_a_job_that_is_accepted_is_no_list() -> None:
    """What a client asks for itself is its own to read."""
    with serve(body({"job": 7}, 202)) as server:
        assert Api(server.url, retries=QUICK).get("jobs").json() == {"job": 7}
        assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (body({"items": ROWS, "scroll_param": "abc"}), "'scroll_param' names where to go on"),
        (body({"items": ROWS, "remainingCount": 7}), "'remainingCount' is 7"),
        (
            body({"items": ROWS, "hasNextPage": False, "metadata": {"remainingItemCount": "7"}}),
            "'metadata.remainingItemCount' is 7",
        ),
        (body({"items": ROWS}, total="9"), "the header 'total' is 9"),
        (body({"items": ROWS}, X_Pagination_Next="3"), "the header 'X-Pagination-Next'"),
    ],
)
def test_more_words_for_more(answer: Callable[[Exchange], None], says: str) -> None:
    with serve(answer) as server, pytest.raises(ApiError, match=says):
        ids(server.url, records="items")


@pytest.mark.parametrize("members", [{"remainingCount": 0}, {"remaining": 99}])
def test_what_remains_of_a_quota_is_no_row(members: dict[str, Any]) -> None:
    with serve(body({"items": ROWS, **members})) as server:
        assert ids(server.url, records="items") == [1, 2]


@pytest.mark.parametrize(
    "header",
    [
        "garbage, <u>; rel=next",
        "<a; rel=prev, <u>; rel=next",
        "; rel=next, <u>; rel=next",
        "<a>; rel=prev, , ,<u>; rel=next",
    ],
)
def test_what_is_no_link_hides_none(header: str) -> None:
    assert link_to(header, "next") == "u"


def test_garbage_in_the_header_leads_to_the_next_page() -> None:
    first, last = body(ROWS[:1], Link='"x", </orders?page=2>; rel="next"'), body(ROWS[1:])
    with serve(in_turn(first, last)) as server:
        assert ids(server.url, paging=LinkPages()) == [1, 2]


# One row twice, and another not at all: the API counts ten and gives nine.
TWICE = [{"id": number} for number in (1, 2, 3, 4, 5, 6, 3, 8, 9, 10)]
COUNTED = [
    NumberedPages(5, total="total"),
    NumberedPages(5, total="total", verify=False),
    OffsetPages(5, total="total"),
]


@pytest.mark.parametrize("paging", COUNTED)
def test_a_row_that_comes_twice_hides_no_other_where_rows_have_a_key(paging: Any) -> None:
    with serve(paged(lambda a: {"items": a.rows, "total": 10}, rows=TWICE)) as server:
        with (
            expecting(Expected(has_key=True)),
            pytest.raises(ApiError, match=r"says there are 10 rows at 'total'.* found 9;"),
        ):
            ids(server.url, records="items", paging=paging)
        # Without a key, two equal rows may be two.
        assert len(ids(server.url, records="items", paging=paging)) >= 10


def test_a_key_may_be_named_for_the_paging_alone() -> None:
    paging = NumberedPages(5, total="total", identity=["id"])
    with (
        serve(paged(lambda a: {"items": a.rows, "total": 10}, rows=TWICE)) as server,
        pytest.raises(ApiError, match="found 9;"),
    ):
        ids(server.url, records="items", paging=paging)


EMPTY = [
    (NumberedPages(50), "'page' and 'limit'"),
    (OffsetPages(50, "skip", "top"), "'skip' and 'top'"),
    (KeysetPages("id", "after", limit=50), "'limit'"),
]


@pytest.mark.parametrize(("paging", "names"), EMPTY)
def test_a_list_that_is_empty_only_for_the_parameters_of_its_paging_is_an_error(
    paging: Any, names: str
) -> None:
    def answer(exchange: Exchange) -> None:
        body([] if set(exchange.seen.query) - {"since"} else ROWS)(exchange)

    with serve(answer) as server:
        with pytest.raises(ApiError, match=f"no rows with the parameters? {names}, and 2 without"):
            ids(server.url, params={"since": "2024-01-01"}, paging=paging)
        assert all(seen.query["since"] == "2024-01-01" for seen in server.seen)


@pytest.mark.parametrize(("paging", "names"), EMPTY)
def test_an_empty_list_costs_one_request_more(paging: Any, names: str) -> None:
    with serve(body([])) as server:
        assert ids(server.url, paging=paging) == []
        assert len(server.seen) == 2


@pytest.mark.parametrize(("paging", "names"), EMPTY)
@pytest.mark.parametrize("status", [400, 200])
def test_a_list_whose_api_insists_on_the_parameters_is_empty(
    paging: Any, names: str, status: int
) -> None:
    def answer(exchange: Exchange) -> None:
        body(*([[]] if exchange.seen.query else [{"error": "no limit"}, status]))(exchange)

    with serve(answer) as server:
        assert ids(server.url, paging=paging) == []


def test_rows_that_come_meanwhile_are_the_next_runs() -> None:
    with serve(in_turn(body([]), body(ROWS), body(ROWS))) as server:
        assert ids(server.url, paging=NumberedPages(50)) == []
        assert len(server.seen) == 3


def test_of_many_lists_the_first_alone_is_asked_for_again() -> None:
    with serve(body([])) as server, counting():
        for _ in range(3):
            assert ids(server.url, paging=NumberedPages(50)) == []
        assert len(server.seen) == 4
