"""Records that leave quarantine because a person says so."""

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
    yield json.loads(FILE.read_text())
"""
INTEGER = {"type": "integer"}


@pytest.fixture
def shop(kit: Kit, folder_zone: Zone) -> Kit:
    """Three records in quarantine, and one that landed."""
    kit.add_source("shop", STREAM)
    fields = {"id": INTEGER, "at": INTEGER, "name": INTEGER, "size": INTEGER}
    kit.configure("shop", "rows", primary_key=[["id"]], cursor_field=["at"], fields=fields)
    rows = [(1, 1, "a", 1), (2, 2, 2, "b"), (3, 3, "c", 3), (4, 4, 4, 4)]
    document = [dict(zip(fields, row, strict=True)) for row in rows]
    (kit.repository / "rows.json").write_text(json.dumps(document))
    assert kit.run("shop", "rows").code == 0
    return kit


def drop(kit: Kit, *options: str) -> Any:
    done = kit.landing("quarantine", "drop", "shop", "rows", "--yes", "--json", *options)
    assert done.code == 0, done.text
    return json.loads(done.out)


def quarantined(kit: Kit) -> list[int]:
    out = kit.landing("quarantine", "show", "shop", "rows", "--json").out
    return [json.loads(line)["row"]["id"] for line in out.splitlines()]


def test_dropped_records_leave_quarantine_and_do_not_come_back(
    shop: Kit, folder_zone: Zone
) -> None:
    parts = folder_zone.parts("shop", "rows")
    assert drop(shop)["records"] == 3
    assert quarantined(shop) == []
    assert shop.landing("status", "shop").code == 0
    again = shop.run("shop", "rows")
    assert "nothing new" in again.out
    assert quarantined(shop) == []
    assert folder_zone.parts("shop", "rows") == parts
    (path,) = folder_zone.paths("_dlt/shop/rows/removals")
    record = json.loads(folder_zone.read(path))
    assert (record["why"], record["records"]) == ("dropped", 3)
    assert [one["records"] for one in record["reasons"]] == [2, 1]


@pytest.mark.parametrize(
    ("options", "stays"),
    [
        (["--field", "name"], [2]),
        (["--key", "3"], [1, 2]),
        (["--key", "2", "--field", "name"], [1, 2, 3]),
    ],
    ids=str,
)
def test_only_chosen_records_are_dropped(shop: Kit, options: list[str], stays: list[int]) -> None:
    drop(shop, *options)
    assert quarantined(shop) == stays


def test_nothing_is_dropped_without_a_yes(shop: Kit) -> None:
    done = shop.landing("quarantine", "drop", "shop", "rows")
    assert done.code == 2
    assert "drops 3 records from quarantine" in done.out
    assert "confirm with --yes" in done.err
    assert quarantined(shop) == [1, 2, 3]


def test_a_key_needs_a_primary_key(shop: Kit) -> None:
    shop.configure("shop", "rows", fields={"name": INTEGER})
    done = shop.landing("quarantine", "drop", "shop", "rows", "--key", "1", "--yes")
    assert done.code == 2
    assert "--key needs a primary_key" in done.err
