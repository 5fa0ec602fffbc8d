"""What a newcomer meets next to `landing select`: advice that leads somewhere."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.kit import Kit, Zone
from tests.servers.api import Api

STREAMS = """\
import os

import dlt
from landing.http import Api, Bearer, OffsetPages


@dlt.resource(primary_key="id")
def orders(
    updated_at: dlt.sources.incremental[str] = dlt.sources.incremental(
        "updated_at", initial_value="2020-01-01 00:00:00"
    ),
):
    api = Api(os.environ["MY_API_URL"], auth=Bearer(os.environ["MY_API_KEY"]))
    params = {"since": updated_at.last_value}
    yield from api.pages("orders", records="data", params=params, paging=OffsetPages(500))
"""


@pytest.fixture
def shop(kit: Kit, api: Api, folder_zone: Zone, use: Callable[[Api], None]) -> Kit:
    use(api)
    rows = [
        {
            "id": n,
            "total": n * 1.5,
            "note": "x",
            "updated_at": f"2024-01-01 {n // 60:02}:{n % 60:02}:00",
        }
        for n in range(120)
    ]
    api.set_rows("orders", rows)
    kit.add_source("shop", STREAMS)
    assert kit.discover("shop").code == 0
    assert kit.landing("select", "shop", "orders", "--all-fields").code == 0
    return kit


def test_a_few_changed_records_say_nothing_of_fields_they_lack(shop: Kit, api: Api) -> None:
    assert shop.run("shop", "orders").code == 0
    api.add("orders", {"id": 500, "total": 2.5, "updated_at": "2024-02-01 00:00:00"})
    done = shop.run("shop", "orders")
    assert "1 row" in done.out
    assert "no record had" not in done.text
    assert "landing discover" not in done.text


def test_a_type_that_discovery_does_not_sample_is_settled_in_the_config(
    shop: Kit, api: Api
) -> None:
    for row in list(api.rows())[110:]:
        api.update("orders", row["id"], total="dear")
    done = shop.run("shop", "orders")
    assert "~ total: number → string" in done.out
    said = '"total": {"type": ["number", "string"]}'
    assert said in done.err
    assert "updates the discovered schema" not in done.err
    file = shop.config_file("shop", "orders")
    config = json.loads(file.read_text())
    config["fields"]["total"] = {"type": ["number", "string"]}
    file.write_text(json.dumps(config))
    api.add("orders", {"id": 501, "total": "dearer", "updated_at": "2024-03-01 00:00:00"})
    assert "total: number" not in shop.run("shop", "orders").text


def test_a_check_fails_for_a_field_that_nothing_has(shop: Kit) -> None:
    file = shop.config_file("shop", "orders")
    config = json.loads(file.read_text())
    config["fields"]["totl"] = config["fields"].pop("total")
    file.write_text(json.dumps(config))
    done = shop.landing("check", "shop", "--only=types")
    assert done.code == 1
    assert "the discovered schema has 'totl'; did you mean 'total'?" in done.out


def test_words_of_another_kind_are_explained(shop: Kit) -> None:
    status = shop.landing("status", "shop", "orders")
    assert status.code == 2
    assert "'orders' is a stream of 'shop', and this command takes sources" in status.err
    assert "landing new" not in status.err
    rebuild = shop.landing("rebuild", "shop", "order", "--yes")
    assert rebuild.code == 2
    assert "source 'shop' has no stream 'order'; did you mean 'orders'?" in rebuild.err
