"""DuckLake with its catalog in PostgreSQL, as in production: our own tables, and the feeder's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.feeders import Feeder
from tests.kit import Kit, Zone
from tests.lake import reading
from tests.rowsfile import INCREMENTAL, add_shop, write_rows
from tests.servers.postgres import Postgres, serve_postgres

FIELDS = {
    "id": {"type": "integer"},
    "at": {"type": "integer"},
    "tags": {"type": "array", "encoding": "native", "items": {"type": "integer"}},
}


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
    add_shop(kit, tmp_path / "rows.json", monkeypatch)
    shared = {"fields": FIELDS, "primary_key": [["id"]], "table_format": "ducklake"}
    kit.configure("shop", "orders", destination_sync_mode="merge", **INCREMENTAL, **shared)
    kit.configure(
        "shop", "stock", sync_mode="full_refresh", destination_sync_mode="overwrite", **shared
    )
    return kit


def gives(*rows: tuple[int, int]) -> None:
    page = ({"id": key, "at": at, "tags": [key, at]} for key, at in rows)
    write_rows(Path(os.environ["ROWS_FILE"]), *page)


def landed(shop: Kit, *words: str) -> str:
    done = shop.landing(*words)
    assert done.code == 0, done.text
    return done.out


def table(catalog: str, stream: str) -> list[tuple[Any, ...]]:
    with reading(f"postgres:{catalog}") as lake:
        return lake.execute(f'SELECT id, "at", tags FROM lake.shop.{stream} ORDER BY id').fetchall()


def test_our_own_tables_are_kept_by_streams_side_by_side(shop: Kit, catalog: str) -> None:
    """Both make the schema at the same time, the first time."""
    gives((1, 10), (2, 20))
    landed(shop, "run", "shop", "--all", "--workers", "2")
    assert table(catalog, "stock") == [(1, 10, [1, 10]), (2, 20, [2, 20])]
    gives((2, 30), (3, 30))
    landed(shop, "run", "shop", "orders")
    expected = [(1, 10, [1, 10]), (2, 30, [2, 30]), (3, 30, [3, 30])]
    assert table(catalog, "orders") == expected
    landed(shop, "rebuild", "shop", "orders", "--yes")
    assert table(catalog, "orders") == expected


@pytest.fixture
def feeder(kit: Kit, zone: Zone, catalog: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Feeder]:
    kit.configure("shop", "orders", fields=FIELDS, primary_key=[["id"]], **INCREMENTAL)
    data = os.environ["LANDING_TABLES_URL"].replace("tables", "lake")
    made = Feeder(kit, f"postgres:{catalog}", data, monkeypatch)
    yield made
    made.close()


def test_two_runs_of_a_feeder_at_once_take_nothing_in_twice(
    shop: Kit, feeder: Feeder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that is behind finds that out when it commits, and leaves the rest to the other."""
    module = feeder.load()
    for at in range(3):
        gives(*((key, at) for key in range(at, at + 20)))
        landed(shop, "run", "shop", "orders")
    stream = feeder.stream("shop/orders")
    monkeypatch.setattr(module, "BATCH_FILES", 1)
    told: list[str] = []
    real, others = module.move, []

    def move(lake: Any, stream: Any, path: str) -> None:
        if not others:  # another run goes all the way while this one is about to commit
            others.append(path)
            with ThreadPoolExecutor(1) as pool:
                others.append(pool.submit(module.feed, stream, told.append).result())
        real(lake, stream, path)

    monkeypatch.setattr(module, "move", move)
    fed = module.feed(stream, told.append)
    assert fed["files"] == 0
    assert fed["cursor"] == others[1]["cursor"]
    assert others[1]["files"] == 3
    assert any("Transaction conflict" in line for line in told)
    assert told[-1] == "another run merges the same files; this one leaves the rest to it"
    newest = {key: at for at in range(3) for key in range(at, at + 20)}
    assert table(catalog_of(feeder), "orders") == [
        (key, at, [key, at]) for key, at in sorted(newest.items())
    ]


def catalog_of(feeder: Feeder) -> str:
    return feeder.catalog.removeprefix("postgres:")


def test_a_feeder_waits_out_a_restart_of_its_catalog_and_keeps_the_password(
    shop: Kit, feeder: Feeder, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = feeder.load()
    gives((1, 10))
    landed(shop, "run", "shop", "orders")
    assert feeder.feed()["rows"] == 1
    gives((1, 20))
    landed(shop, "run", "shop", "orders")
    postgres.stop()
    told: list[str] = []

    def start(seconds: float) -> None:
        if len(told) == 2:
            postgres.start()

    monkeypatch.setattr(module, "time", SimpleNamespace(sleep=start))
    assert module.feed(feeder.stream("shop/orders"), told.append)["rows"] == 1
    assert table(catalog_of(feeder), "orders") == [(1, 20, [1, 20])]
    assert "Connection refused" in told[0]
    assert "***" in told[0]
    assert postgres.password not in "".join(told)
