"""One odd record among others lands apart from them, wherever its page has the records."""

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

from landing.http import Api, CursorPages, KeysetPages, NextUrlPages, OffsetPages, Retries

api = Api(os.environ["SHOP_URL"], retries=Retries(total=0))


@dlt.resource(primary_key="id")
def orders():
    yield from CALL
"""
FIELDS: dict[str, Any] = {
    "id": {"type": "integer"},
    "note": {"type": "string"},
    "more": {"type": "object"},
}
ODD = {
    "surrogate": b'{"id": 2, "note": "\\ud83d"}',
    "NaN": b'{"id": 2, "more": {"a": NaN}}',
    "-nan": b'{"id": 2, "more": {"a": [1, -nan]}}',
    "+Infinity": b'{"note": "a, b: {c}", "id": 2, "more": +Infinity}',
    "zeros": b'{"id": 2, "note": 007}',
    "undefined": b'{"id": 2, "note":undefined}',
    "deep": b'{"id": 2, "more": ' + b'{"a":' * 2000 + b"1" + b"}" * 2000 + b"}",
    "null": b"null",
    "list": b"[]",
}


def rows(odd: bytes) -> list[bytes]:
    return [b'{"id": 1}', odd, b'{"id": 3}']


def listed(found: list[bytes]) -> bytes:
    return b"[" + b",".join(found) + b"]"


def once(body: Callable[[bytes], bytes]) -> Callable[[bytes], Callable[[Exchange], None]]:
    """The page with the odd record, and after it one with the row 4, by the path /next."""

    def made(odd: bytes) -> Callable[[Exchange], None]:
        def answer(exchange: Exchange) -> None:
            is_next = "next" in exchange.seen.query or b"CURSOR" in exchange.seen.body
            found = [b'{"id": 4}'] if is_next else rows(odd)
            content = body(b"\0".join(found))
            reference = b"null" if is_next else b'"CURSOR"'
            exchange.reply(200, content.replace(b"NEXT", reference))

        return answer

    return made


def body_of(place: bytes) -> Callable[[bytes], bytes]:
    return lambda found: place.replace(b"ROWS", listed(found.split(b"\0")))


def connection(kind: str) -> Callable[[bytes], bytes]:
    def body(found: bytes) -> bytes:
        each = found.split(b"\0")
        if kind == "edges":
            each = [b'{"cursor": "c", "node": ' + one + b"}" for one in each]
        return (
            b'{"data": {"shop": {"orders": {"'
            + kind.encode()
            + b'": '
            + listed(each)
            + b', "pageInfo": {"hasNextPage": true, "endCursor": NEXT}}}}}'
        ).replace(b"true", b"false" if b'"id": 4' in found else b"true")

    return body


PLACES: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "place": (
        'api.pages("o", records="data.0.items", paging=CursorPages("meta.1", "next"))',
        body_of(b'{"data": [{"items": ROWS}], "meta": [0, NEXT]}'),
    ),
    "JSONPath": (
        """api.pages("o", records="$['odd.name'][1]", paging=CursorPages("cursor", "next"))""",
        body_of(b'{"odd.name": [[], ROWS], "cursor": NEXT}'),
    ),
    "dotted": (
        'api.pages("o", records="odata.value", paging=CursorPages("@odata.nextToken", "next"))',
        body_of(b'{"odata.value": ROWS, "@odata.nextToken": NEXT}'),
    ),
    "nodes": ('api.graphql("{…}", "shop.orders")', connection("nodes")),
    "edges": ('api.graphql("{…}", "shop.orders")', connection("edges")),
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("place", PLACES)
def test_the_other_records_land_and_the_next_page_is_found(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch, place: str, odd: str
) -> None:
    call, body = PLACES[place]
    kit.add_source("shop", STREAMS.replace("CALL", call))
    kit.configure("shop", "orders", fields=FIELDS)
    with serve(once(body)(ODD[odd])) as server:
        monkeypatch.setenv("SHOP_URL", server.url)
        done = kit.run("shop", "orders")
    assert done.code == 0, done.text
    landed = folder_zone.query("shop", "orders", "SELECT id FROM landed ORDER BY id")
    assert landed == [(1,), (3,), (4,)]
    assert "1 record does not fit" in done.out


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize(
    "paging",
    [
        'KeysetPages("id", "after", limit=3)',
        'OffsetPages(3, identity=["id"])',
    ],
)
def test_paging_by_fields_passes_an_odd_record(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch, paging: str, odd: str
) -> None:
    every = [*rows(ODD[odd]), *(json.dumps({"id": n}).encode() for n in range(4, 8))]

    def answer(exchange: Exchange) -> None:
        query = exchange.seen.query
        start = int(query.get("after", query.get("offset", 0)))
        exchange.reply(200, listed(every[start : start + int(query["limit"])]))

    kit.add_source("shop", STREAMS.replace("CALL", f'api.pages("o", paging={paging})'))
    kit.configure("shop", "orders", fields=FIELDS)
    with serve(answer) as server:
        monkeypatch.setenv("SHOP_URL", server.url)
        done = kit.run("shop", "orders")
    assert done.code == 0, done.text
    landed = folder_zone.query("shop", "orders", "SELECT id FROM landed ORDER BY id")
    assert landed == [(1,), (3,), (4,), (5,), (6,), (7,)]
    assert "1 record does not fit" in done.out
