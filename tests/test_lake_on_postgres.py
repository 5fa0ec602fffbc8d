"""DuckLake with its catalog in PostgreSQL, as in production: our own tables, and the feeder's."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kit import Kit, Zone
from tests.lake import reading
from tests.servers.postgres import Postgres, serve_postgres

STREAMS = """\
import json, os
from pathlib import Path
import dlt

def pages():
    yield from json.loads(Path(os.environ["ROWS_FILE"]).read_text())

@dlt.resource(primary_key="id")
def orders(at=dlt.sources.incremental("at", initial_value=0)):
    yield from pages()

@dlt.resource(primary_key="id")
def returns(at=dlt.sources.incremental("at", initial_value=0)):
    yield from pages()

@dlt.resource(primary_key="id")
def stock():
    yield from pages()
"""
FIELDS = {
    "id": {"type": "integer"},
    "at": {"type": "integer"},
    "tags": {"type": "array", "encoding": "native", "items": {"type": "integer"}},
}
INCREMENTAL = {"sync_mode": "incremental", "cursor_field": ["at"], "lookback": 1000}


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with serve_postgres() as server:
        yield server


@pytest.fixture
def catalog(postgres: Postgres) -> str:
    return postgres.new_database()


@pytest.fixture
def shop(
    kit: Kit, zone: Zone, catalog: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Kit:
    monkeypatch.setenv("LANDING_DUCKLAKE_CATALOG", catalog)
    monkeypatch.setenv("ROWS_FILE", str(tmp_path / "rows.json"))
    kit.add_source("shop", STREAMS)
    shared = {"fields": FIELDS, "primary_key": [["id"]], "table_format": "ducklake"}
    for stream in ("orders", "returns"):
        kit.configure("shop", stream, destination_sync_mode="merge", **INCREMENTAL, **shared)
    kit.configure(
        "shop", "stock", sync_mode="full_refresh", destination_sync_mode="overwrite", **shared
    )
    return kit


def gives(*rows: tuple[int, int]) -> None:
    page = [{"id": key, "at": at, "tags": [key, at]} for key, at in rows]
    Path(os.environ["ROWS_FILE"]).write_text(json.dumps([page]))


def landed(shop: Kit, *words: str) -> str:
    done = shop.landing(*words)
    assert done.code == 0, done.text
    return done.out


def table(catalog: str, stream: str) -> list[tuple[Any, ...]]:
    with reading(f"postgres:{catalog}") as lake:
        return lake.execute(f'SELECT id, "at", tags FROM lake.shop.{stream} ORDER BY id').fetchall()


def test_our_own_tables_are_kept_by_streams_side_by_side(shop: Kit, catalog: str) -> None:
    """All of them make the schema at the same time, the first time."""
    gives((1, 10), (2, 20))
    landed(shop, "run", "shop", "--all", "--workers", "3")
    gives((2, 30), (3, 30))
    landed(shop, "run", "shop", "--all", "--workers", "3")
    for stream in ("orders", "returns"):
        assert table(catalog, stream) == [(1, 10, [1, 10]), (2, 30, [2, 30]), (3, 30, [3, 30])]
    assert table(catalog, "stock") == [(2, 30, [2, 30]), (3, 30, [3, 30])]
    before = table(catalog, "orders")
    landed(shop, "rebuild", "shop", "orders", "--yes")
    assert table(catalog, "orders") == before
