"""A child stream, whose runs go by a cursor of its parent's: what is stored, shown and moved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.kit import Kit, Zone

SOURCE = """
import json
from pathlib import Path
import dlt

ROWS = Path(__file__).parents[4] / "orders.json"

@dlt.resource(primary_key="id")
def orders(at=dlt.sources.incremental("at")):
    yield [row for row in json.loads(ROWS.read_text())
           if at.last_value is None or row["at"] >= at.last_value]

@dlt.transformer(data_from=orders, primary_key="id")
def lines(page):
    for order in page:
        yield [{"order_id": order["id"], "order_at": order["at"], **line}
               for line in order["lines"]]
"""


@pytest.fixture
def shop(kit: Kit, folder_zone: Zone) -> Kit:
    kit.add_source("shop", SOURCE)
    return kit


def give(kit: Kit, *orders: tuple[int, Any, list[dict[str, Any]]]) -> None:
    rows = [{"id": number, "at": at, "lines": lines} for number, at, lines in orders]
    (kit.repository / "orders.json").write_text(json.dumps(rows))


def configure(kit: Kit, cursor: str, kind: dict[str, str], **keys: Any) -> Path:
    fields = {"id": {"type": "integer"}, "order_id": {"type": "integer"}, cursor: kind}
    return kit.configure(
        "shop", "lines", cursor_field=[cursor], primary_key=[["id"]], fields=fields, **keys
    )


def landed(zone: Zone) -> set[Any]:
    return {number for (number,) in zone.query("shop", "lines", "SELECT id FROM landed")}


def test_a_childs_cursor_of_its_parents_name_is_one_of_its_own(
    shop: Kit, folder_zone: Zone
) -> None:
    configure(shop, "at", {"type": "integer"})
    first = (1, 1, [{"id": 10, "at": 900}])
    for orders in ([first], [first], [first, (2, 2, [{"id": 20, "at": 901}])]):
        give(shop, *orders)
        done = shop.run("shop", "lines")
        assert done.code == 0, done.text
    assert landed(folder_zone) == {10, 20}


def test_a_backfill_of_all_children_reads_all_parents_again(shop: Kit, folder_zone: Zone) -> None:
    time = {"type": "string", "format": "date-time"}
    configure(shop, "order_at", time)
    give(shop, *((n, f"2026-01-0{n}T00:00:00Z", [{"id": n * 10}]) for n in range(1, 4)))
    for _ in range(2):
        assert shop.run("shop", "lines").code == 0
    configure(shop, "order_at", time, backfill=True)
    done = shop.run("shop", "lines")
    assert "3 rows" in done.out, done.text
