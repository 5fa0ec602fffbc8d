"""Runs that give nothing, over rows that are there."""

from __future__ import annotations

import pytest

from tests.kit import Kit, Zone
from tests.servers.scripted import serve

STREAMS = """\
import os

import dlt

from landing.http import Api

api = Api(os.environ["SHOP_URL"])


@dlt.resource(primary_key="id")
def orders():
    yield from api.pages("orders", records="data")
"""


def test_an_empty_answer_does_not_empty_a_table(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.add_source("shop", STREAMS)
    config = {
        "sync_mode": "full_refresh",
        "destination_sync_mode": "overwrite",
        "fields": {"id": {"type": "integer"}},
    }
    kit.configure("shop", "orders", **config)
    body = b'{"success": true, "data": [{"id": 1}]}'
    with serve(lambda exchange: exchange.reply(200, body)) as server:
        monkeypatch.setenv("SHOP_URL", server.url)
        assert kit.run("shop", "orders").code == 0
        landed = folder_zone.parts("shop", "orders")
        body = b'{"success": false, "data": []}'
        refused = kit.run("shop", "orders")
        assert refused.code == 1
        assert '"allow_empty": true' in refused.err
        assert folder_zone.parts("shop", "orders") == landed
        kit.configure("shop", "orders", allow_empty=True, **config)
        assert kit.run("shop", "orders").code == 0
        kit.configure("shop", "orders", **config)
        assert kit.run("shop", "orders").code == 0, "nothing is there that could be lost"
