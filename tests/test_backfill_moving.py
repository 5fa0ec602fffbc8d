"""Windows of a source that is edited, or out of order, while they are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.kit import Kit, Zone

STREAM = """
import json
from pathlib import Path

import dlt

HERE = Path(__file__).parent

def rows_now():
    return json.loads((HERE / "rows.json").read_text())

@dlt.resource(primary_key="id")
def rows(at: dlt.sources.incremental[str] = dlt.sources.incremental("at"{order})):
    since, until = at.last_value or "", at.end_value or "9"
    after = 0
    while True:
        due = [row for row in rows_now() if since <= row["at"] < until and row["id"] > after]
        page = sorted(due, key=lambda row: row["id"])[:2]
        if not page:
            return
        yield page
        after = page[-1]["id"]
        if at.end_value and (edits := HERE / "edits.json").exists():
            changed = {{row["id"]: row for row in rows_now() + json.loads(edits.read_text())}}
            (HERE / "rows.json").write_text(json.dumps(list(changed.values())))
            edits.unlink()
"""
ORDERED = """
import json
from pathlib import Path

import dlt

@dlt.resource(primary_key="id")
def rows(at: dlt.sources.incremental[str] = dlt.sources.incremental("at"{order})):
    yield from json.loads((Path(__file__).parent / "rows.json").read_text())
"""
FIELDS = {"id": {"type": "integer"}, "at": {"type": "string", "format": "date-time"}}
NEWEST = (
    "SELECT id, strftime(arg_max(\"at\", _dlt_load_id), '%Y-%m-%d') FROM landed "
    "GROUP BY id ORDER BY id"
)


def row(key: int, at: str) -> dict[str, Any]:
    return {"id": key, "at": at if "T" in at else f"{at}T00:00:00Z"}


def source(kit: Kit, code: str, rows: list[Any], order: str = "") -> Path:
    folder = kit.add_source("shop", code.format(order=order))
    (folder / "rows.json").write_text(json.dumps(rows))
    kit.configure("shop", "rows", cursor_field=["at"], fields=FIELDS)
    return folder


def backfill(kit: Kit, *words: str) -> Any:
    done = kit.landing("backfill", "shop", "rows", *words)
    assert done.code == 0, done.text
    return done


@pytest.mark.parametrize("has_run_before", [True, False])
def test_what_is_edited_while_a_window_is_read_by_id_lands(
    kit: Kit, folder_zone: Zone, has_run_before: bool
) -> None:
    """Record 1 after it was read, record 4 before: neither is in its window any more."""
    days = {1: "2024-01-05", 2: "2024-01-20", 3: "2024-01-01", 4: "2024-01-31", 5: "2024-02-01"}
    folder = source(kit, STREAM, [row(key, day) for key, day in days.items()])
    if has_run_before:
        assert kit.run("shop", "rows").code == 0
    edited = {1: "2024-03-01", 4: "2024-03-02"}
    (folder / "edits.json").write_text(json.dumps([row(key, day) for key, day in edited.items()]))
    backfill(kit, "--from", "2024-01-01", "--to", "2024-03-01", "--by", "month")
    assert not (folder / "edits.json").exists()
    assert kit.run("shop", "rows").code == 0
    assert folder_zone.query("shop", "rows", NEWEST) == sorted({**days, **edited}.items())
    assert "nothing new" in kit.run("shop", "rows").text


def test_equal_times_at_the_edge_of_windows_land_once(kit: Kit, folder_zone: Zone) -> None:
    edge, before = "2024-02-01T00:00:00Z", "2024-01-31T23:59:59.999999Z"
    source(kit, STREAM, [row(key, edge if key % 2 else before) for key in range(1, 9)])
    done = backfill(kit, "--from", "2024-01-01", "--to", "2024-03-01", "--by", "month")
    assert "2024-01-01 … 2024-02-01: 4 rows" in done.out
    assert "2024-02-01 … 2024-03-01: 4 rows" in done.out
    assert folder_zone.count("shop", "rows") == 8


@pytest.mark.parametrize(
    ("order", "odd"), [("asc", "2999-01-01"), ("desc", "2020-01-01"), ("desc", "2999-01-01")]
)
def test_a_record_out_of_order_does_not_end_a_window(
    kit: Kit, folder_zone: Zone, order: str, odd: str
) -> None:
    """Such as one dated ahead, or an old one that is pinned to the top."""
    days = [f"2024-01-{day:02}" for day in range(1, 11)]
    ordered = sorted(days, reverse=order == "desc")
    pages = [[row(99, odd), row(0, ordered[0])]]
    pages += [[row(key, day)] for key, day in enumerate(ordered[1:], 1)]
    source(kit, ORDERED, pages, f', row_order="{order}"')
    backfill(kit, "--from", "2024-01-01", "--to", "2024-02-01", "--by", "month")
    assert folder_zone.count("shop", "rows") == 10
