"""Ordinary mistakes of a newcomer: each message names the place, and says what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.kit import Kit, Zone
from tests.servers.scripted import Exchange, serve

STREAMS = """
import os
import dlt
from landing.http import Api, Retries

api = Api(os.environ["SHOP_URL"], retries=Retries(total=0))

@dlt.resource(primary_key="id")
def orders():
    yield [{"id": 1}, {"id": 2}]

@dlt.transformer(data_from=orders, primary_key="id")
def lines(page):
    for order in page:
        yield from api.pages(f"orders/{order['id']}/lines")

@dlt.resource
def nothing():
    return None
"""


@pytest.fixture
def shop(kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch) -> Kit:
    monkeypatch.setenv("SHOP_URL", "http://127.0.0.1:1")
    kit.add_source("shop", STREAMS)
    return kit


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('{"stream": "orders",}', "line 1, column 21: not valid JSON: there is a comma too many"),
        ('{"primary_key": [["id"],]}', "column 25: not valid JSON: there is a comma too many"),
        ('{"stream": "orders",, "fields": {}}', "a comma too many before ','"),
        ('{"stream": "orders" "fields": {}}', "Expecting ',' delimiter"),
    ],
)
def test_a_comma_too_many_is_named(shop: Kit, text: str, where: str) -> None:
    shop.configure("shop", "orders", text)
    done = shop.run("shop", "orders")
    assert done.code == 2
    assert "orchestration/dag/streams/shop/orders.json" in done.err
    assert where in done.err


def test_a_module_that_is_not_installed_is_named(shop: Kit) -> None:
    file = _streams(shop)
    file.write_text("import no_such_module\n" + STREAMS)
    done = shop.discover("shop")
    assert "streams.py, line 1: the module 'no_such_module' is not installed" in done.err
    assert "add it to the requirements" in done.err


def test_doctor_names_a_syntax_error_once(shop: Kit) -> None:
    shop.configure("shop", "orders", fields={"id": {"type": "integer"}})
    _streams(shop).write_text("def orders(:\n")
    done = shop.landing("doctor", "shop")
    assert done.out.count("not valid Python") == 1


def test_a_stream_that_returns_nothing_is_named(shop: Kit) -> None:
    done = shop.discover("shop", "nothing")
    assert "stream 'nothing' returned no list of records; it has to yield" in done.err
    assert "streams.py" in done.err


def test_a_wrong_setting_of_the_bucket_is_named_once(
    shop: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DLT_BUCKET_URL", "s4://nope")
    shop.configure("shop", "orders", fields={"id": {"type": "integer"}})
    done = shop.run("shop", "orders")
    assert done.text.count("DLT_BUCKET_URL is") == 1


def test_new_lists_the_kinds_without_a_source(shop: Kit) -> None:
    done = shop.landing("new", "--auth=help")
    assert (done.code, "--auth=bearer" in done.out) == (0, True)
    without = shop.landing("new", "--auth=bearer")
    assert (without.code, "SOURCE is missing" in without.err) == (2, True)


def test_lists_of_children_that_are_skipped_are_named_by_check_and_discovery(
    shop: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = [False]

    def answer(exchange: Exchange) -> None:
        if there[0] and "/1/" in exchange.seen.path:
            exchange.reply(200, json.dumps([{"id": 10}]).encode())
        else:
            exchange.reply(404, b"{}")

    with serve(answer) as server:
        monkeypatch.setenv("SHOP_URL", server.url)
        done = shop.discover("shop", "lines")
        assert "2 lists were skipped" in done.err
        assert "is their address right?" in done.err
        there[0] = True
        checked = shop.landing("check", "shop", "lines", "--only", "records")
        assert "1 list was skipped" in checked.out
        assert "orders/2/lines answered 404" in checked.out


def test_a_message_of_many_reasons_says_how_many_others_there_are(
    kit: Kit, folder_zone: Zone
) -> None:
    names = [f"n{number}" for number in range(5)]
    rows = [{**dict.fromkeys(names, 1), name: "text"} for name in names] + [dict.fromkeys(names, 1)]
    kit.add_source(
        "odd", f"import dlt\n\n@dlt.resource\ndef rows():\n    yield {json.dumps(rows)}\n"
    )
    kit.configure("odd", "rows", fields={name: {"type": "integer"} for name in names})
    done = kit.run("odd", "rows")
    assert "5 records do not fit" in done.out
    assert "and 2 other reasons" in done.out


def _streams(kit: Kit) -> Path:
    return kit.root / "dlt" / "sources" / "shop" / "streams.py"
