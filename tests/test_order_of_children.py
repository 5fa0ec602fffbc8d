"""A transformer's row_order is that of each parent's children, not of the whole stream."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.kit import Kit, Zone

CHILDREN = """\
import json
from pathlib import Path

import dlt

@dlt.resource
def lists():
    yield from json.loads((Path(__file__).parent / "lists.json").read_text())

@dlt.transformer(primary_key="id")
def children(item, at=dlt.sources.incremental("at", row_order="ORDER")):
    for day in item["days"]:
        if at.start_out_of_range or at.end_out_of_range:
            return
        yield [{"id": item["id"] * 100 + day, "at": CURSOR}]

rows = lists | children
"""
TIME = ('f"2024-01-{day:02}T00:00:00Z"', {"type": "string", "format": "date-time"})
NUMBER = ("day", {"type": "integer"})


class Children:
    def __init__(self, kit: Kit, order: str, cursor: tuple[str, dict[str, str]] = TIME) -> None:
        code = CHILDREN.replace("ORDER", order).replace("CURSOR", cursor[0])
        init = "from .streams import rows\n\n__all__ = ['rows']\n"
        self._file = kit.add_source("shop", code, init=init) / "lists.json"
        fields = {"id": {"type": "integer"}, "at": cursor[1]}
        kit.configure("shop", "children", cursor_field=["at"], fields=fields)

    def are(self, *lists: list[Any]) -> None:
        found = [{"id": number, "days": days} for number, days in enumerate(lists, 1)]
        self._file.write_text(json.dumps(found))


def landed(zone: Zone) -> list[int]:
    return [row[0] for row in zone.query("shop", "children", "SELECT id FROM landed ORDER BY id")]


def test_children_of_all_parents_are_read_newest_first(kit: Kit, folder_zone: Zone) -> None:
    children = Children(kit, "desc")
    children.are([2, 1], [2, 1])
    assert kit.run("shop", "children").code == 0
    children.are([3, 2, 1], [9, 8, 7, 6, 5, 4, 3, 2, 1])
    assert kit.run("shop", "children").code == 0
    assert landed(folder_zone) == [101, 102, 103, *range(201, 210)]


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_a_backfill_reads_the_children_of_all_parents(
    kit: Kit, folder_zone: Zone, order: str
) -> None:
    children = Children(kit, order)
    days = list(range(1, 10))
    days = days if order == "asc" else days[::-1]
    children.are(days, days, days)
    done = kit.landing("backfill", "shop", "children", "--from", "2024-01-03", "--to", "2024-01-05")
    assert done.code == 0, done.text
    assert landed(folder_zone) == [103, 104, 203, 204, 303, 304]


def test_a_child_edited_after_its_parent_was_read_lands(kit: Kit, folder_zone: Zone) -> None:
    """The versions came in order, so that the cursor would pass the edit."""
    children = Children(kit, "asc", NUMBER)
    children.are([1, 3], [2, 7])  # dlt takes one of each parent in turn
    assert kit.run("shop", "children").code == 0
    children.are([1, 6], [2, 7])
    assert kit.run("shop", "children").code == 0
    assert landed(folder_zone) == [101, 103, 106, 202, 207]
