"""Deletes, tables, backfills, compaction and quarantine of one stream, one after the other."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from tests.kit import Kit, Zone

STREAMS = """\
import json
from pathlib import Path
import dlt

FILE = Path(__file__).parents[4] / "rows.json"

def pages():
    for row in json.loads(FILE.read_text()):
        yield [row]

@dlt.resource(primary_key="id", columns={"gone": {"hard_delete": True, "data_type": "bool"}})
def changes(at: dlt.sources.incremental[str] = dlt.sources.incremental("at")):
    yield from pages()

@dlt.resource(primary_key="id")
def stock():
    yield from pages()
"""
FIELDS = {
    "id": {"type": "integer"},
    "at": {"type": "string", "format": "date-time"},
    "n": {"type": "integer"},
}


class Shop:
    def __init__(self, kit: Kit, tables: Path, streams: str = STREAMS) -> None:
        self.kit = kit
        self._tables = tables
        kit.add_source("shop", streams)

    def has(self, *rows: dict[str, Any]) -> None:
        (self.kit.repository / "rows.json").write_text(json.dumps(rows))

    def does(self, *words: str) -> str:
        done = self.kit.landing(*words)
        assert done.code == 0, done.text
        return done.out

    def lands(self, stream: str, *rows: dict[str, Any]) -> str:
        self.has(*rows)
        return self.does("run", "shop", stream)

    def table(self, stream: str) -> list[tuple[int, int]]:
        return sorted((row["id"], row["n"]) for row in self.table_rows(stream))

    def table_rows(self, stream: str) -> list[dict[str, Any]]:
        return DeltaTable(str(self.table_folder(stream))).to_pyarrow_table().to_pylist()

    def table_folder(self, stream: str) -> Path:
        return self._tables / "shop" / stream


@pytest.fixture
def shop(kit: Kit, folder_zone: Zone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    tables = tmp_path / "tables"
    monkeypatch.setenv("LANDING_TABLES_URL", tables.as_uri())
    return Shop(kit, tables)


def row(key: int, day: int, n: int, **more: Any) -> dict[str, Any]:
    return {"id": key, "at": f"2024-03-{day:02}T00:00:00Z", "n": n, **more}


def test_an_overwritten_table_has_all_rows_of_a_refresh_whose_versions_have_load_ids_of_their_own(
    shop: Shop,
) -> None:
    shop.kit.configure(
        "shop",
        "stock",
        sync_mode="full_refresh",
        destination_sync_mode="overwrite",
        primary_key=[["id"]],
        deletes="snapshot",
        fields=FIELDS,
    )
    # The key 1 comes twice, so that what follows has a later load id.
    shop.lands("stock", row(1, 1, 10), row(2, 1, 20), row(1, 1, 11), row(3, 1, 30))
    assert shop.table("stock") == [(1, 11), (2, 20), (3, 30)]
    assert "1 deleted" in shop.lands("stock", row(1, 1, 12), row(3, 1, 31))
    assert shop.table("stock") == [(1, 12), (3, 31)]
    shop.does("rebuild", "shop", "stock", "--yes")
    assert shop.table("stock") == [(1, 12), (3, 31)]


def test_what_a_stream_says_is_gone_leaves_the_table_and_stays_gone(
    shop: Shop, folder_zone: Zone
) -> None:
    shop.kit.configure(
        "shop",
        "changes",
        cursor_field=["at"],
        primary_key=[["id"]],
        destination_sync_mode="merge",
        fields=FIELDS,
    )
    shop.lands("changes", row(1, 1, 1), row(2, 2, 2), row(3, 3, 3))
    shop.lands("changes", row(2, 4, 2, gone=True), row(4, 4, 4), row(5, 5, "much"))
    assert shop.table("changes") == [(1, 1), (3, 3), (4, 4)]

    # A backfill brings a fixed row to the landing zone and the table, and nothing back.
    shop.has(row(1, 1, 100), row(3, 3, 3), row(4, 4, 4), row(5, 5, 5))
    words = ("--from", "2024-03-01", "--to", "2024-03-04", "--by", "day")
    told = shop.does("backfill", "shop", "changes", *words)
    assert "upserted" in told
    assert shop.table("changes") == [(1, 100), (3, 3), (4, 4)]
    assert folder_zone.query("shop", "changes", "SELECT count(*) FROM landed") == [(7,)]

    # The stream's columns change, a row leaves quarantine, files become one: the table follows.
    shop.kit.configure(
        "shop",
        "changes",
        cursor_field=["at"],
        primary_key=[["id"]],
        destination_sync_mode="merge",
        fields={**FIELDS, "n": {"type": "integer"}, "note": {"type": "string"}},
    )
    shop.lands("changes", row(6, 6, 6, note="new"))
    newest = "SELECT max(_dlt_load_id)::DOUBLE FROM landed"
    ((last,),) = folder_zone.query("shop", "changes", newest, union_by_name=True)
    assert last < time.time() + 60
    before = shop.table("changes")
    assert before == [(1, 100), (3, 3), (4, 4), (6, 6)]
    assert "note" in shop.does("schema", "shop", "changes")
    told = shop.does("rebuild", "shop", "changes", "--yes")
    assert shop.table("changes") == before


def test_a_backfill_of_a_stream_that_lands_deletions_has_their_column(
    shop: Shop, folder_zone: Zone
) -> None:
    shop.kit.configure("shop", "changes", cursor_field=["at"], primary_key=[["id"]], fields=FIELDS)
    shop.lands("changes", row(1, 9, 1))
    shop.has(row(1, 9, 1), row(2, 2, 2), row(7, 3, 7, gone=True))
    shop.does(
        "backfill", "shop", "changes", "--from", "2024-03-01", "--to", "2024-04-01", "--by", "month"
    )
    rows = folder_zone.query(
        "shop",
        "changes",
        "SELECT id, n, _deleted_at IS NOT NULL FROM landed ORDER BY id, _dlt_load_id",
    )
    assert rows == [(1, 1, False), (1, 1, False), (2, 2, False), (7, None, True)]
