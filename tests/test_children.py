"""A child stream, whose runs go by a cursor of its parent's: what is stored, shown and moved."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from landing.catalog.settings import bucket_settings
from landing.catalog.workspace import Workspace
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths
from landing.zone.state import SCHEMA, document_json, next_document, read_state
from tests.kit import Kit, Zone

SOURCE = """
import json
from pathlib import Path
import dlt

ROWS = Path(__file__).parents[4] / "orders.json"
ASKED = ROWS.with_name("asked.txt")

@dlt.resource(primary_key="id")
def orders(at=dlt.sources.incremental("at")):
    ASKED.write_text(str(at.last_value))
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
    configure(shop, "order_at", TIME)
    give(shop, *((number, day(number), [{"id": number * 10}]) for number in (1, 2, 3)))
    for _ in range(2):
        assert shop.run("shop", "lines").code == 0
    configure(shop, "order_at", TIME, backfill=True)
    done = shop.run("shop", "lines")
    assert "3 rows" in done.out, done.text


TIME = {"type": "string", "format": "date-time"}


def day(number: int) -> str:
    return f"2026-01-{number:02}T00:00:00Z"


def asked(kit: Kit) -> str:
    return (kit.repository / "asked.txt").read_text()


def run(kit: Kit) -> str:
    done = kit.run("shop", "lines")
    assert done.code == 0, done.text
    return done.out


def state(kit: Kit, *words: str) -> Any:
    done = kit.landing("state", *words, "--json")
    assert done.code == 0, done.text
    return json.loads(done.out)


@pytest.fixture
def three(shop: Kit) -> Kit:
    """Three orders of a line each, which have landed."""
    configure(shop, "order_at", TIME)
    give(shop, *((number, day(number), [{"id": number * 10}]) for number in (1, 2, 3)))
    assert "3 rows" in run(shop)
    return shop


def test_the_state_of_a_child_shows_its_parents_cursor(three: Kit) -> None:
    document = state(three, "shop", "lines")
    assert document["is_child"]
    assert document["parents"] == [{"stream": "orders", "cursor_field": "at", "cursor": day(3)}]
    shown = three.landing("state", "shop", "lines").out
    assert f"orders, at: {day(3)}" in shown
    assert f"requests the children of orders from {day(3)} on" in shown
    assert "keeps" not in shown


def test_a_childs_cursor_that_moves_back_takes_its_parents_with_it(three: Kit) -> None:
    told = state(three, "set", "shop", "lines", "--cursor", "2026-01-02 00:00:00+00:00", "--yes")
    assert f"cursor at of the parent orders: {day(3)} → {day(2)}" in told["message"]
    assert "2 rows" in run(three)
    assert asked(three) == day(2)
    three.landing("state", "restore", "shop", "lines", "1", "--yes")
    assert state(three, "shop", "lines")["parents"][0]["cursor"] == day(3)


def test_a_parents_cursor_that_is_no_time_starts_over(shop: Kit, folder_zone: Zone) -> None:
    configure(shop, "order_at", {"type": "integer"})
    give(shop, *((number, number, [{"id": number * 10}]) for number in (1, 2, 3)))
    run(shop)
    told = state(shop, "set", "shop", "lines", "--cursor", "2", "--yes")
    assert any("that parent is read from its start" in line for line in told["message"])
    assert "2 rows" in run(shop)
    assert asked(shop) == "None"


def test_a_childs_cursor_that_moves_forward_leaves_its_parents(three: Kit) -> None:
    told = state(three, "set", "shop", "lines", "--cursor", day(9), "--yes")
    assert any(f"stays at {day(3)}" in line for line in told["message"])
    assert state(three, "shop", "lines")["parents"][0]["cursor"] == day(3)


def test_a_parents_cursor_is_set_by_itself(three: Kit) -> None:
    words = ("set", "shop", "lines", "--parent", "orders", "--yes", "--cursor")
    state(three, *words, day(1))
    run(three)
    assert asked(three) == day(1)
    bad = three.landing("state", *words, "2026-01-01")
    assert bad.code == 2
    assert f"such as {day(3)}" in bad.err
    unknown = three.landing("state", "set", "shop", "lines", "--parent", "x", "--cursor", "1")
    assert unknown.code == 2
    assert "it has those of: orders" in unknown.err


def test_a_parents_cursor_of_an_earlier_version_is_still_read(
    three: Kit, folder_zone: Zone
) -> None:
    bucket = Bucket(bucket_settings(Workspace(three.root)))
    paths = StreamPaths("shop", "lines")
    document = read_state(bucket, paths)
    assert document is not None
    resources = document["sources"][SCHEMA]["resources"]
    resources["lines"]["incremental"] |= resources.pop("orders")["incremental"]
    bucket.put(paths.state, document_json(next_document(document, 99)))
    assert "nothing new" in run(three)
    assert asked(three) == day(3)
    assert state(three, "shop", "lines")["parents"][0]["cursor"] == day(3)


@pytest.mark.parametrize("at", [day, int])
def test_discovery_finds_a_childs_copy_of_its_parents_cursor(
    at: Callable[[int], Any], shop: Kit, folder_zone: Zone
) -> None:
    (shop.root / "dlt" / "sources" / "shop" / "streams.py").write_text(SOURCE + RENAMED)
    give(shop, *((number, at(number), [{"id": number * 10}]) for number in (1, 2, 3)))
    done = shop.discover("shop")
    assert done.code == 0
    assert done.out.count("yield the parent's at with each child") == 1
    found = shop.discovered("shop", "lines")
    assert found["defaults"]["cursor_field"] == ["order_at"]
    assert found["options"]["sync_modes"][0] == "incremental"
    unnamed = shop.discovered("shop", "dated")
    assert "cursor_field" not in unnamed["defaults"]
    assert unnamed["options"]["sync_modes"] == ["full_refresh", "incremental"]
    fields = {name: found["fields"][name] for name in ("id", "order_at")}
    shop.configure("shop", "lines", primary_key=[["id"]], fields=fields)
    run(shop)
    assert state(shop, "shop", "lines")["cursor_field"] == "order_at"


RENAMED = """
@dlt.transformer(data_from=orders, primary_key="id")
def dated(page):
    for order in page:
        yield [{"id": order["id"], "order_id": order["id"], "created_at": order["at"]}]
"""


def check(kit: Kit) -> str:
    done = kit.landing("check", "shop", "lines", "--only", "incremental")
    return next(line for line in done.out.splitlines() if line.startswith("  incremental"))


def test_the_check_asks_a_childs_parent_by_its_cursor(three: Kit) -> None:
    assert "passed   2 of 3 records from the middle value on" in check(three)
    assert asked(three) == day(2)


def test_the_check_finds_a_child_that_changes_without_its_parent(three: Kit) -> None:
    configure(three, "edited", TIME)
    lines = [{"id": number, "edited": day(number)} for number in (10, 11, 12, 13)]
    give(three, (1, day(1), lines))
    assert "FAILED" in check(three)
    assert "a change of a child has to change that, too" in check(three)


def test_the_plan_of_a_childs_run_names_its_parents_cursor(three: Kit) -> None:
    plan = three.run("shop", "lines", "--dry-run", "--no-preview")
    assert f"orders, by at from {day(3)}" in plan.out
    windows = ("--from", "2026-01-01", "--to", "2026-01-03", "--by", "day", "--dry-run")
    backfill = three.landing("backfill", "shop", "lines", *windows)
    assert "the children of all parents are requested for each window" in backfill.text
