"""How far a parent's cursor goes: no further than what was certain when its child's run began."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import obstore
import pytest

from landing.zone.state import State, document_json, next_document, resource_state, state_of
from tests.kit import Kit, Zone

SOURCE = """
import json, os
from pathlib import Path
import dlt

ROWS = Path(os.environ["PARENTS"])

@dlt.resource(primary_key="id")
def orders(at=dlt.sources.incremental("at")):
    for page in range(2):
        # Read by id: the file may change between the pages.
        yield json.loads(ROWS.read_text())[page]

@dlt.transformer(data_from=orders, primary_key="id")
def lines(page):
    for order in page:
        if order.get("then"):
            ROWS.write_text(json.dumps(order["then"]))
        yield [{"id": order["id"], "version": order["at"]}]
"""


@pytest.fixture
def parents(kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "parents.json"
    monkeypatch.setenv("PARENTS", str(file))
    kit.add_source("shop", SOURCE)
    fields = {"id": {"type": "integer"}, "version": {"type": "string"}}
    kit.configure("shop", "lines", sync_mode="full_refresh", fields=fields)
    return file


def run(kit: Kit, parents: Path, *pages: list[dict[str, Any]]) -> None:
    if pages:
        parents.write_text(json.dumps(pages))
    done = kit.run("shop", "lines")
    assert done.code == 0, done.text


def order(number: int, at: Any, **then: Any) -> dict[str, Any]:
    return {"id": number, "at": at, **then}


def ago(**past: float) -> str:
    return (datetime.now(UTC) - timedelta(**past)).isoformat()


def landed(zone: Zone) -> set[tuple[Any, ...]]:
    return set(zone.query("shop", "lines", "SELECT id, version FROM landed"))


@pytest.fixture
def incremental(kit: Kit, parents: Path) -> Path:
    """The child has a cursor, so that its runs follow its parents'."""
    kit.configure(
        "shop",
        "lines",
        sync_mode="incremental",
        cursor_field=["version"],
        primary_key=[["id"]],
        fields={"id": {"type": "integer"}, "version": {"type": "string", "format": "date-time"}},
    )
    return parents


@pytest.fixture
def numbered(kit: Kit, parents: Path) -> Path:
    kit.configure(
        "shop",
        "lines",
        sync_mode="incremental",
        cursor_field=["version"],
        primary_key=[["id"]],
        fields={"id": {"type": "integer"}, "version": {"type": "integer"}},
    )
    return parents


def test_a_parent_dated_into_the_future_stops_no_later_ones(
    kit: Kit, incremental: Path, folder_zone: Zone
) -> None:
    future = order(2, "2999-01-01T00:00:00+00:00")
    run(kit, incremental, [order(1, ago(days=1))], [future])
    run(kit, incremental, [order(1, ago(days=1)), order(3, ago(hours=1))], [future])
    assert {number for number, _ in landed(folder_zone)} == {1, 2, 3}


@pytest.mark.parametrize("bad", ["n/a", "21.11.2026", "2026-13-45T00:00:00Z"])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_parent_whose_time_is_none_stops_no_later_ones(
    bad: str, is_first: bool, kit: Kit, incremental: Path, folder_zone: Zone
) -> None:
    odd, old = order(9, bad), order(1, ago(days=3))
    run(kit, incremental, [odd, old] if is_first else [old, odd], [])
    for number in (2, 3, 4):
        run(kit, incremental, [odd, old], [order(number, ago(hours=10 - number))])
    assert {number for number, _ in landed(folder_zone)} == {1, 2, 3, 4}


def test_a_parent_that_is_edited_after_it_was_read_is_requested_again(
    kit: Kit, incremental: Path, folder_zone: Zone
) -> None:
    old, first, second = ago(days=2), ago(seconds=2), ago(seconds=1)
    run(kit, incremental, [order(1, old)], [order(2, old)])
    edited = [[order(1, first)], [order(2, second)]]
    run(kit, incremental, [order(0, ago(hours=1), then=edited), order(1, old)], [])
    run(kit, incremental)
    at = {moment.isoformat() for number, moment in landed(folder_zone) if number == 1}
    assert at == {old, first}


def test_times_as_text_compare_as_times(kit: Kit, incremental: Path, folder_zone: Zone) -> None:
    """As text, both times of the second run sort before the first's."""
    run(kit, incremental, [order(1, "2026-01-01T00:00:00.5Z")], [])
    later = [order(2, "2026-01-01T00:00:00.50001Z"), order(3, "2026-01-01T00:00:00Z")]
    run(kit, incremental, later, [order(4, "2026-01-01T02:00:00+01:00")])
    assert {number for number, _ in landed(folder_zone)} == {1, 2, 4}


def test_a_parents_cursor_beyond_now_is_ahead_until_it_is_put_back(
    kit: Kit, incremental: Path, folder_zone: Zone
) -> None:
    run(kit, incremental, [order(1, ago(days=2))], [])
    state = ("state", "set", "shop", "lines", "--parent", "orders", "--yes", "--cursor")
    assert "beyond now" in kit.landing(*state, "2999-01-01T00:00:00+00:00").out
    run(kit, incremental, [order(1, ago(days=2)), order(2, ago(days=1))], [])
    assert {number for number, _ in landed(folder_zone)} == {1}
    done = kit.landing("status", "shop", "--json")
    assert done.code == 1
    (found,) = json.loads(done.out)
    (parent,) = found["parents"]
    assert (parent["stream"], parent["cursor_field"]) == ("orders", "at")
    assert parent["cursor"].startswith("2999")
    assert found["ahead"]["parent"] == "orders"
    shown = kit.run("shop", "lines").text
    assert "the cursor at of the parent orders is at 2999-01-01T00:00:00+00:00, beyond" in shown
    assert "`landing state set shop lines --parent orders --cursor VALUE` puts the cursor" in shown
    assert "beyond now" not in kit.landing(*state, ago(days=3)).out
    run(kit, incremental)
    assert {number for number, _ in landed(folder_zone)} == {1, 2}
    assert json.loads(kit.landing("status", "shop", "--json").out)[0]["ahead"] is None


def test_numbers_as_text_are_refused(kit: Kit, numbered: Path) -> None:
    numbered.write_text(json.dumps([[order(1, "9")], [order(2, "10")]]))
    done = kit.run("shop", "lines")
    assert done.code == 2
    assert "parent stream 'orders': cursor 'at': '9' and '10' are numbers as text" in done.err


def test_a_parent_dated_into_the_future_in_seconds_stops_no_later_ones(
    kit: Kit, numbered: Path, folder_zone: Zone
) -> None:
    future, now = 32_472_144_000, int(datetime.now(UTC).timestamp())
    first = [order(number, now - 90_000 + number) for number in range(1, 30)]
    run(kit, numbered, first, [order(99, future)])
    run(kit, numbered, first, [order(99, future), order(30, now - 3_600)])
    assert {number for number, _ in landed(folder_zone)} == {*range(1, 31), 99}


def test_parents_in_their_declared_order_do_not_trail(kit: Kit, numbered: Path) -> None:
    ordered(kit)
    run(kit, numbered, [order(1, 1)], [order(2, 2)])
    state = json.loads(kit.landing("state", "show", "shop", "lines", "--json").out)
    assert [(one["stream"], one["cursor"]) for one in state["parents"]] == [("orders", 2)]


def test_what_an_earlier_version_stored_of_a_parent_is_still_read(
    kit: Kit, numbered: Path, folder_zone: Zone
) -> None:
    run(kit, numbered, [order(1, 1)], [order(2, 2)])
    path = "_dlt/shop/lines/state.json"

    def state() -> State:
        return state_of(json.loads(folder_zone.read(path)), path)

    before = state()
    kept = resource_state(before, "orders")["incremental"]["at"]
    assert kept.pop("landing_reached") == {"seen": 2, "unit": None}
    kept["landing_seen"] = 2
    document = next_document(before, before["_state_version"] + 1)
    obstore.put(folder_zone.store, path, document_json(document))
    run(kit, numbered, [order(1, 1)], [order(2, 2)])
    kept = resource_state(state(), "orders")["incremental"]["at"]
    assert kept["last_value"] == 2
    assert "landing_seen" not in kept


def test_versions_trail_by_one_run(kit: Kit, numbered: Path, folder_zone: Zone) -> None:
    run(kit, numbered, [order(1, 1)], [order(2, 2)])
    edited = [[order(1, 4)], [order(2, 5)]]
    run(kit, numbered, [order(0, 3, then=edited), order(1, 1)], [])
    run(kit, numbered)
    run(kit, numbered)
    assert landed(folder_zone) == {(0, 3), (1, 1), (2, 2), (1, 4), (2, 5)}


def ordered(kit: Kit, *, pages: int = 2) -> None:
    streams = kit.repository / "orchestration" / "dlt" / "sources" / "shop" / "streams.py"
    source = SOURCE.replace("range(2)", f"range({pages})")
    streams.write_text(source.replace('("at")', '("at", row_order="asc")'))


def kept_of_orders(zone: Zone) -> dict[str, Any]:
    path = "_dlt/shop/lines/state.json"
    state = state_of(json.loads(zone.read(path)), path)
    return dict(resource_state(state, "orders")["incremental"]["at"])


def test_a_last_page_out_of_the_range_that_breaks_the_order_takes_the_cursor_back(
    kit: Kit, numbered: Path, folder_zone: Zone
) -> None:
    ordered(kit, pages=3)
    run(kit, numbered, [order(9, 9), order(10, 10)], [], [])
    pages = [order(11, 11), order(12, 12)], [order(22, 22)], [order(5, 5), order(6, 6)]
    run(kit, numbered, *pages)
    kept = kept_of_orders(folder_zone)
    assert kept["landing_reached"]["disordered"] is True
    assert kept["last_value"] < 22


def test_a_broken_order_of_numbers_that_may_be_times_is_remembered(
    kit: Kit, numbered: Path, folder_zone: Zone
) -> None:
    """So few numbers beyond now don't show whether they are times; the cursor stays meanwhile."""
    ordered(kit)
    later = 32_472_144_000
    run(kit, numbered, [order(2, later + 2)], [order(1, later + 1)])
    assert kept_of_orders(folder_zone)["landing_reached"] == {"disordered": True}


LAGGING = """
import json, os
from pathlib import Path
import dlt

@dlt.resource(primary_key="id")
def orders(at=dlt.sources.incremental("at", lag=3 * 86400)):
    yield from json.loads(Path(os.environ["PARENTS"]).read_text())

@dlt.transformer(data_from=orders, primary_key="id")
def lines(page):
    yield [{"id": order["id"], "version": order["id"]} for order in page]
"""


def test_a_lag_of_another_kind_than_the_childs_cursor_loses_no_children(
    kit: Kit, numbered: Path, folder_zone: Zone
) -> None:
    """The numbers of the child's own cursor can't be compared with the times of the lag."""
    streams = kit.repository / "orchestration" / "dlt" / "sources" / "shop" / "streams.py"
    streams.write_text(LAGGING)
    big = 10_000_000
    run(kit, numbered, [order(big, ago(days=1))])
    run(kit, numbered, [order(big, ago(days=1)), order(1, ago(days=2)), order(2, ago(days=9))])
    assert landed(folder_zone) == {(big, big), (1, 1)}


def test_setting_a_parents_cursor_back_says_how_to_move_the_childs(
    kit: Kit, incremental: Path
) -> None:
    run(kit, incremental, [order(1, ago(days=2))], [])
    state = ("state", "set", "shop", "lines", "--parent", "orders", "--yes", "--cursor")
    shown = kit.landing(*state, ago(days=9)).out
    assert "`landing state set shop lines --cursor VALUE` moves" in shown
