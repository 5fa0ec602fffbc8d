"""Current-state tables beside the landing zone, read back with readers that are not ours."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from pyiceberg.table import StaticTable

from demo.servers import S3Server
from tests.kit import Kit, Zone

FORMATS = ("delta", "iceberg", "ducklake")

# Gives what stands in a file, as pages of rows.
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
def stock():
    yield from pages()
"""
FIELDS = {
    "id": {"type": "integer"},
    "at": {"type": "integer"},
    "name": {"type": "string"},
    "when": {"type": "string", "format": "date-time"},
    "tags": {"type": "array", "encoding": "native", "items": {"type": "integer"}},
}
COLUMNS = tuple(FIELDS)


def row(id: int, at: int | None, name: str = "", **more: Any) -> dict[str, Any]:
    return {
        "id": id,
        "at": at,
        "name": name or f"{id} at {at}",
        "when": "2026-01-01T00:00:00Z",
        "tags": [id, at],
        **more,
    }


@dataclass
class Shop:
    """A source whose rows a test says, and its tables as others read them."""

    kit: Kit
    s3: S3Server
    tables: str
    catalog: Path
    file: Path
    format: str = "delta"

    def gives(self, *rows: dict[str, Any]) -> None:
        self.file.write_text(json.dumps([list(rows)]))

    def configure(self, stream: str = "orders", **keys: Any) -> None:
        incremental = {"sync_mode": "incremental", "cursor_field": ["at"], "lookback": 1000}
        self.kit.configure(
            "shop",
            stream,
            **{
                "primary_key": [["id"]],
                "destination_sync_mode": "merge",
                "table_format": self.format,
                "fields": FIELDS,
                **(incremental if stream == "orders" else {"sync_mode": "full_refresh"}),
                **keys,
            },
        )

    def run(self, stream: str = "orders") -> str:
        done = self.kit.run("shop", stream)
        assert done.code == 0, done.text
        return done.out

    def lands(self, *rows: dict[str, Any], stream: str = "orders") -> str:
        self.gives(*rows)
        return self.run(stream)

    def rebuild(self, stream: str = "orders") -> str:
        done = self.kit.landing("rebuild", "shop", stream, "--yes")
        assert done.code == 0, done.text
        return done.out

    def rows(self, stream: str = "orders") -> list[dict[str, Any]]:
        """By key, as the format's own reader gives them."""
        return sorted(self.read(stream).to_pylist(), key=lambda row: (row["id"], row["_dlt_id"]))

    def current(self, stream: str = "orders") -> dict[int, str]:
        rows = self.rows(stream)
        current = {row["id"]: row["name"] for row in rows}
        assert len(current) == len(rows), "one row per key"
        return current

    def read(self, stream: str = "orders") -> pa.Table:
        location = f"{self.tables}/shop/{stream}"
        if self.format == "delta":
            return DeltaTable(location, storage_options=self.options()).to_pyarrow_table()
        if self.format == "iceberg":
            return StaticTable.from_metadata(location, self.properties()).scan().to_arrow()
        with self.lake() as lake:
            return lake.execute(f"SELECT * FROM lake.shop.{stream}").to_arrow_table()

    def options(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.s3.url,
            "AWS_ACCESS_KEY_ID": self.s3.access_key,
            "AWS_SECRET_ACCESS_KEY": self.s3.secret_key,
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
        }

    def properties(self) -> dict[str, str]:
        return {
            "s3.endpoint": self.s3.url,
            "s3.access-key-id": self.s3.access_key,
            "s3.secret-access-key": self.s3.secret_key,
            "s3.region": "us-east-1",
        }

    def lake(self) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect()
        for name in ("httpfs", "sqlite_scanner", "ducklake"):
            connection.execute(f"LOAD '{extension(name)}'")
        connection.execute(
            f"CREATE SECRET (TYPE s3, KEY_ID '{self.s3.access_key}', SECRET '{self.s3.secret_key}'"
            f", ENDPOINT '{self.s3.endpoint}', USE_SSL false, URL_STYLE 'path')"
        )
        connection.execute(f"ATTACH 'ducklake:sqlite:{self.catalog}' AS lake (READ_ONLY)")
        return connection


def extension(name: str) -> Path:
    spec = find_spec(f"duckdb_extension_{name}")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return next(Path(spec.submodule_search_locations[0]).rglob("*.duckdb_extension"))


@pytest.fixture
def shop(
    kit: Kit, s3: S3Server, zone: Zone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Shop:
    tables = os.environ["DLT_BUCKET_URL"].replace("raw-", "tables-")
    file, catalog = tmp_path / "rows.json", tmp_path / "catalog.sqlite"
    monkeypatch.setenv("LANDING_TABLES_URL", tables)
    monkeypatch.setenv("LANDING_DUCKLAKE_CATALOG", f"sqlite://{catalog}")
    monkeypatch.setenv("ROWS_FILE", str(file))
    kit.add_source("shop", STREAMS)
    return Shop(kit, s3, tables, catalog, file)


@pytest.fixture(params=FORMATS)
def each(request: pytest.FixtureRequest, shop: Shop) -> Shop:
    shop.format = request.param
    return shop


def test_a_table_has_one_row_per_key_the_newest(each: Shop) -> None:
    each.configure()
    told = each.lands(row(1, 10), row(2, 20), row(2, 25), row(3, 30))
    assert f"table  {each.format} at {each.tables}/shop/orders: made of all that landed" in told
    assert each.current() == {1: "1 at 10", 2: "2 at 25", 3: "3 at 30"}

    told = each.lands(row(1, 40), row(4, 50), row(4, None), row(5, None))
    assert "4 rows upserted" in told or "3 rows upserted" in told, told
    assert each.current() == {
        1: "1 at 40",
        2: "2 at 25",
        3: "3 at 30",
        4: "4 at 50",
        5: "5 at None",
    }
    assert each.rows()[0]["tags"] == [1, 40]
    before = each.rows()
    each.rebuild()
    assert each.rows() == before
    assert "up to date" in each.run()
