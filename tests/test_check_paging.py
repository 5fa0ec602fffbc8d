"""`landing check` proves paging: it asks for other pages than a stream does, and compares."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.kit import Kit, Zone
from tests.servers.scripted import Exchange, serve

STREAMS = """\
import os

import dlt

from landing.http import Api, CursorPages, NumberedPages, Retries

api = Api(os.environ["SHOP_URL"], retries=Retries(total=0))


@dlt.resource(primary_key="id")
def orders():
    yield from CALL
"""
ROWS = [{"id": number, "note": "x"} for number in range(1, 31)]


def checked(
    kit: Kit, patch: pytest.MonkeyPatch, call: str, answer: Callable[[Exchange], None]
) -> tuple[str, str, list[Any]]:
    """The status and the detail of the check `paging`, and the requests."""
    kit.add_source("shop", STREAMS.replace("CALL", call))
    with serve(answer) as server:
        patch.setenv("SHOP_URL", server.url)
        done = kit.landing("check", "shop", "--only=paging", "--json")
    found = [one for one in json.loads(done.out)["results"] if one["check"] == "paging"]
    return found[0]["status"], found[0]["detail"], server.seen


def rows_by(*, page: str = "", offset: str = "", first: int = 1) -> Callable[[Exchange], None]:
    """Ten rows by the parameter that the API knows; the answer says nothing of more."""

    def answer(exchange: Exchange) -> None:
        query = exchange.seen.query
        start = (int(query.get(page, first)) - first) * 10 if page else 0
        start = int(query.get(offset, 0)) if offset else start
        exchange.reply(200, json.dumps(ROWS[max(start, 0) : start + 10]).encode())

    return answer


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (rows_by(page="page"), "with page=2 the API returns 10 others"),
        (rows_by(page="page", first=0), "with page=2 the API returns 10 others"),
        (rows_by(offset="offset"), "offset=10&skip=10&start=10 the API returns 10 others"),
        (rows_by(offset="skip"), "pass paging=OffsetPages(limit)"),
    ],
)
def test_a_page_that_nothing_speaks_of_is_found(
    kit: Kit,
    folder_zone: Zone,
    monkeypatch: pytest.MonkeyPatch,
    answer: Callable[[Exchange], None],
    says: str,
) -> None:
    status, detail, _ = checked(kit, monkeypatch, 'api.pages("orders")', answer)
    assert status == "failed", detail
    assert "the stream reads one page of 10 records" in detail
    assert says in detail


def by_size(query: dict[str, str]) -> list[Any]:
    return ROWS[: int(query.get("per_page", 10))]


def by_key(query: dict[str, str]) -> list[Any]:
    after = int(query.get("starting_after", 0))
    return ROWS[after : after + 10]


def by_page(query: dict[str, str]) -> list[Any]:
    page = int(query.get("page", 1)) - 1
    return ROWS[page * 10 : page * 10 + 10]


@pytest.mark.parametrize(
    ("rows", "call", "says"),
    [
        (by_size, 'api.pages("o")', "per_page=20"),
        (by_key, 'api.pages("o")', 'pass paging=KeysetPages("id", parameter, limit=limit)'),
        (by_page, 'api.pages("o", paging=CursorPages("nowhere"))', "with page=2"),
        (by_page, 'api.pages("o", paging=CursorPages(header="X-Nowhere"))', "with page=2"),
    ],
)
def test_what_only_a_guess_finds(
    kit: Kit,
    folder_zone: Zone,
    monkeypatch: pytest.MonkeyPatch,
    rows: Callable[[dict[str, str]], list[Any]],
    call: str,
    says: str,
) -> None:
    def answer(exchange: Exchange) -> None:
        exchange.reply(200, json.dumps(rows(dict(exchange.seen.query))).encode())

    status, detail, _ = checked(kit, monkeypatch, call, answer)
    assert status == "failed", detail
    assert "the stream reads one page of 10 records" in detail
    assert says in detail


def test_an_api_that_knows_no_pages_or_refuses_them_is_no_failure(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(exchange: Exchange) -> None:
        if exchange.seen.query.get("page"):
            return exchange.reply(400, b'{"error": "what page?"}')
        return exchange.reply(200, json.dumps(ROWS).encode())

    status, detail, _ = checked(kit, monkeypatch, 'api.pages("orders")', answer)
    assert status == "skipped", detail
    assert "no parameter for a page's size that is known" in detail


def test_a_parameter_of_the_stream_s_own_is_left_alone(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(exchange: Exchange) -> None:
        assert exchange.seen.query["start"] == "2024-01-01"
        exchange.reply(200, json.dumps(ROWS).encode())

    call = 'api.pages("orders", params={"start": "2024-01-01"})'
    status, detail, seen = checked(kit, monkeypatch, call, answer)
    assert status == "skipped", detail
    assert {one.query["start"] for one in seen} == {"2024-01-01"}


@pytest.mark.parametrize("size", ["size", "paging.limit"])
def test_a_size_in_a_body_is_varied_where_the_function_has_no_limit(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch, size: str
) -> None:
    """The API loses the last row of each page that is not of ten."""

    def answer(exchange: Exchange) -> None:
        body = json.loads(exchange.seen.body)
        rows = body["paging"]["limit"] if size != "size" else body["size"]
        start = int(body.get("cursor", 0))
        found = ROWS[start : start + rows]
        is_last = start + rows >= len(ROWS)
        page = found if rows == 10 or is_last else found[:-1]
        after = None if is_last else str(start + rows)
        exchange.reply(200, json.dumps({"data": page, "next": after}).encode())

    asked = '{"paging": {"limit": 10}}' if size != "size" else '{"size": 10}'
    call = f'api.pages("o", records="data", json={asked}, paging=CursorPages("next", "cursor"))'
    status, detail, seen = checked(kit, monkeypatch, call, answer)
    assert status == "failed", detail
    assert "records less" in detail
    assert len({one.body for one in seen if b"10" not in one.body}) > 1


CONNECTION = "query ($first: Int, $after: String) { orders { totalCount nodes { id } } }"


@pytest.mark.parametrize("kind", ["nodes", "edges"])
def test_a_connection_is_read_in_pages_of_another_size(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    def answer(exchange: Exchange) -> None:
        variables = json.loads(exchange.seen.body)["variables"]
        start = int(variables.get("after") or 0)
        end = start + int(variables["first"])
        rows: list[Any] = ROWS[start:end]
        if kind == "edges":
            rows = [{"node": row} for row in rows]
        info = {"hasNextPage": end < len(ROWS), "endCursor": str(end)}
        orders = {"totalCount": len(ROWS), kind: rows, "pageInfo": info}
        exchange.reply(200, json.dumps({"data": {"orders": orders}}).encode())

    call = f'api.graphql("{CONNECTION}", "orders", variables={{"first": 10}})'
    status, detail, seen = checked(kit, monkeypatch, call, answer)
    assert status == "passed", detail
    assert any(json.loads(one.body)["variables"]["first"] == 9 for one in seen)


def test_a_list_that_ends_before_its_total_is_a_failure_in_plain_loops_too(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(exchange: Exchange) -> None:
        page = int(exchange.seen.query["page"])
        rows = ROWS[page * 10 : page * 10 + 10]
        exchange.reply(200, json.dumps({"results": rows, "total": 30}).encode())

    call = '(api.get("o", params={"page": n}).json()["results"] for n in (0, 1))'
    status, detail, _ = checked(kit, monkeypatch, call, answer)
    assert status == "failed", detail
    assert "'total' is 30, and 20 rows came" in detail


def test_a_count_above_the_records_is_a_failure_whatever_else_the_response_says(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(exchange: Exchange) -> None:
        body = {"results": ROWS[:10], "next": None, "count": 30}
        exchange.reply(200, json.dumps(body).encode())

    status, detail, _ = checked(kit, monkeypatch, 'api.pages("o", records="results")', answer)
    assert status == "failed", detail
    assert "'count' is 30, and 10 rows came" in detail
