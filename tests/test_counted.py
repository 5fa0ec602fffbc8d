"""Rows that a run reads and does not land, or lands twice, are counted where a person looks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.kit import Kit, Zone

STREAM = """
import json
from pathlib import Path

import dlt

FILE = Path(__file__).parents[4] / "rows.json"

@dlt.resource(primary_key="id")
def rows(at=dlt.sources.incremental("at")):
    yield from json.loads(FILE.read_text())
"""
FIELDS = {
    "id": {"type": "integer"},
    "at": {"type": "string", "format": "date-time"},
}


class Shop:
    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        kit.add_source("shop", STREAM)
        kit.configure("shop", "rows", cursor_field=["at"], primary_key=[["id"]], fields=FIELDS)

    def give(self, *pages: list[tuple[int, int]]) -> None:
        """Pages of records, each an id and the day of January on which it changed."""
        rows = [[{"id": n, "at": f"2024-01-{day:02}T00:00:00Z"} for n, day in p] for p in pages]
        (self.kit.repository / "rows.json").write_text(json.dumps(rows))

    def run(self) -> dict[str, Any]:
        done = self.kit.run("shop", "rows", "--json")
        assert done.code == 0, done.text
        return dict(json.loads(done.out)[0])

    def newest_load(self) -> dict[str, Any]:
        found = json.loads(self.kit.landing("history", "shop", "rows", "--json").out)
        return dict(found[0])


@pytest.fixture
def shop(kit: Kit, folder_zone: Zone) -> Shop:
    return Shop(kit)


def counts(of: dict[str, Any]) -> dict[str, int]:
    return {name: of[name] for name in ("rows", "below_cursor", "known", "repeated")}


def test_rows_below_the_cursor_and_known_ones_are_counted(shop: Shop) -> None:
    shop.give([(1, 1), (2, 2), (3, 3)])
    assert counts(shop.run()) == {"rows": 3, "below_cursor": 0, "known": 0, "repeated": 0}
    shop.give([(1, 1), (2, 2), (3, 3), (4, 4)])
    expected = {"rows": 1, "below_cursor": 2, "known": 1, "repeated": 0}
    assert counts(shop.run()) == expected
    assert counts(shop.newest_load()) == expected
    shown = shop.kit.landing("history", "shop", "rows").out
    assert "1 known already; 2 below the cursor, left out" in shown
    nothing = shop.run()
    assert nothing["status"] == "nothing_new"
    assert counts(nothing) == {"rows": 0, "below_cursor": 3, "known": 1, "repeated": 0}


def test_rows_that_are_given_twice_are_counted(shop: Shop, folder_zone: Zone) -> None:
    shop.give([(1, 1), (2, 2)], [(1, 3), (2, 4), (1, 5)], [(3, 6)])
    assert counts(shop.run()) == {"rows": 6, "below_cursor": 0, "known": 0, "repeated": 3}
    assert counts(shop.newest_load())["repeated"] == 3
    assert (
        "3 with a key that the run had read before"
        in shop.kit.landing("history", "shop", "rows").out
    )
    newest = "SELECT count(DISTINCT (id, _dlt_load_id)) FROM landed"
    assert folder_zone.query("shop", "rows", newest) == [(6,)]


def test_rows_without_a_cursor_value_that_are_known_are_counted(shop: Shop) -> None:
    rows = [{"id": 1, "at": "2024-01-01T00:00:00Z"}, {"id": 2, "at": None}, {"id": 3, "at": None}]
    shop.kit.repository.joinpath("rows.json").write_text(json.dumps([rows]))
    streams = shop.kit.root / "dlt" / "sources" / "shop" / "streams.py"
    declared = 'incremental("at", on_cursor_value_missing="include")'
    streams.write_text(streams.read_text().replace('incremental("at")', declared))
    assert shop.run()["rows"] == 3
    second = shop.run()
    assert (second["rows"], second["known"]) == (0, 3)


def test_slices_count_what_each_read(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANDING_SLICE_MB", "0.000001")
    monkeypatch.setattr("landing.extraction.reader.BATCH_ROWS", 1)
    streams = shop.kit.root / "dlt" / "sources" / "shop" / "streams.py"
    declared = 'incremental("at", row_order="asc")'
    streams.write_text(streams.read_text().replace('incremental("at")', declared))
    shop.give([(1, 1)])
    shop.run()
    shop.give([(1, 1)], [(2, 2), (2, 3)], [(3, 4), (3, 5)])
    done = shop.run()
    assert len(done["load_ids"]) > 1
    assert (done["known"], done["repeated"]) == (1, 2)
    loads = json.loads(shop.kit.landing("history", "shop", "rows", "--json").out)
    assert sum(load["repeated"] for load in loads) == 2
    assert sum(load["known"] for load in loads) == 1
