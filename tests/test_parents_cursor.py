"""How far a parent's cursor goes: no further than what was certain when its child's run began."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

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


def test_versions_trail_by_one_run(kit: Kit, parents: Path, folder_zone: Zone) -> None:
    fields = {"id": {"type": "integer"}, "version": {"type": "integer"}}
    kit.configure(
        "shop",
        "lines",
        sync_mode="incremental",
        cursor_field=["version"],
        primary_key=[["id"]],
        fields=fields,
    )
    run(kit, parents, [order(1, 1)], [order(2, 2)])
    edited = [[order(1, 4)], [order(2, 5)]]
    run(kit, parents, [order(0, 3, then=edited), order(1, 1)], [])
    run(kit, parents)
    run(kit, parents)
    assert landed(folder_zone) == {(0, 3), (1, 1), (2, 2), (1, 4), (2, 5)}
