"""dlt's own paging by offset, of an API that returns fewer rows than it is asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.kit import Kit, Zone
from tests.servers.scripted import Exchange, serve

CLIENT = """\
import os
import dlt
from dlt.sources.helpers.rest_client import RESTClient
from dlt.sources.helpers.rest_client.paginators import OffsetPaginator
from landing.http import Api

@dlt.resource(primary_key="id")
def orders():
    paging = OffsetPaginator(limit=100, total_path=TOTAL)
    PAGES
"""
REST_CLIENT = 'yield from RESTClient(os.environ["SHOP_URL"]).paginate("o", paginator=paging)'
API = 'yield from Api(os.environ["SHOP_URL"]).pages("o", records="data", paging=paging)'


def test_rows_that_the_api_hides_are_no_cap(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(exchange: Exchange) -> None:
        start = int(exchange.seen.query["offset"])
        rows: Any = [{"id": n} for n in range(start, min(start + 100, 500)) if n % 10 < 7]
        exchange.reply(200, json.dumps({"data": rows}).encode())

    kit.add_source("shop", CLIENT.replace("TOTAL", "None").replace("PAGES", REST_CLIENT))
    kit.configure("shop", "orders", fields={"id": {"type": "integer"}})
    with serve(answer) as server:
        monkeypatch.setenv("SHOP_URL", server.url)
        assert kit.run("shop", "orders").code == 0
    assert folder_zone.query("shop", "orders", "SELECT count(*) FROM landed") == [(350,)]


@pytest.mark.parametrize(("pages", "total"), [(REST_CLIENT, "None"), (API, "'total'")])
def test_rows_beyond_a_cap_are_read(
    pages: str, total: str, kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(exchange: Exchange) -> None:
        start = int(exchange.seen.query["offset"])
        rows: Any = [{"id": n} for n in range(start, min(start + 30, 70))]
        exchange.reply(200, json.dumps({"data": rows, "total": 70}).encode())

    kit.add_source("shop", CLIENT.replace("TOTAL", total).replace("PAGES", pages))
    kit.configure("shop", "orders", fields={"id": {"type": "integer"}})
    with serve(answer) as server:
        monkeypatch.setenv("SHOP_URL", server.url)
        done = kit.run("shop", "orders")
    assert done.code == 0, done.text
    assert folder_zone.query("shop", "orders", "SELECT count(DISTINCT id) FROM landed") == [(70,)]
