"""A process stops while it writes a table, another one writes the table, and the first goes on."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from functools import partial

import pyarrow as pa
import pytest

from demo.servers import S3Server
from landing.catalog.settings import bucket_settings, tables_settings
from landing.catalog.stream_config import TableFormat
from landing.catalog.workspace import Workspace
from landing.errors import TableError
from landing.tables.formats import open_table
from landing.tables.place import CATALOG_VARIABLE, Place
from landing.tables.table import Table
from landing.tables.winners import changes
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths
from tests.current_tables import table_rows
from tests.kit import Kit, Zone
from tests.servers.postgres import Postgres, serve_postgres
from tests.servers.proxy import Request, late, serve_proxy

PATHS = StreamPaths("shop", "orders")


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with serve_postgres() as server:
        yield server


def opened(kit: Kit, table_format: TableFormat) -> Table:
    bucket = Bucket(tables_settings(bucket_settings(Workspace(kit.root))))
    return open_table(Place(table_format, bucket, PATHS), ("id",), None)


def rows(*keys: int, load_id: str) -> pa.Table:
    size = len(keys)
    return pa.table(
        {
            "id": pa.array(keys, pa.int64()),
            "_dlt_load_id": [load_id] * size,
            "_dlt_id": [f"{load_id}.{key}" for key in keys],
        }
    )


def upsert(table: Table, given: pa.Table) -> None:
    table.columns()
    table.upsert(changes(given, ["id"], None))


def replace(table: Table, given: pa.Table) -> None:
    table.columns()
    table.replace(given.to_reader(), lambda: None)


@pytest.mark.parametrize(
    ("table_format", "does"), [("delta", replace), ("iceberg", upsert), ("ducklake", upsert)]
)
def test_a_write_that_arrives_late_is_refused(
    kit: Kit,
    zone: Zone,
    s3: S3Server,
    postgres: Postgres,
    monkeypatch: pytest.MonkeyPatch,
    table_format: TableFormat,
    does: Callable[[Table, pa.Table], None],
) -> None:
    monkeypatch.setenv(CATALOG_VARIABLE, postgres.new_database())
    replace(opened(kit, table_format), rows(1, load_id="1"))
    may_arrive = threading.Event()
    refused: list[str] = []
    with serve_proxy(s3.endpoint) as proxy:
        with monkeypatch.context() as patch:
            patch.setenv("S3_ENDPOINT", proxy.endpoint)
            slow = opened(kit, table_format)

        def write() -> None:
            try:
                does(slow, rows(2, load_id="2"))
            except TableError as error:
                refused.append(str(error))

        spoiled = proxy.spoil(late(may_arrive), when=partial(_commits, table_format))
        writing = threading.Thread(target=write)
        writing.start()
        while not spoiled.hits:
            assert writing.is_alive(), refused
            writing.join(0.01)
        upsert(opened(kit, table_format), rows(2, 3, load_id="3"))
        may_arrive.set()
        writing.join()
    found = table_rows(table_format, os.environ["LANDING_TABLES_URL"], PATHS.data, os.environ)
    assert sorted(found["id"].to_pylist()) == [1, 2, 3]
    assert len(refused) == 1


def _commits(table_format: TableFormat, request: Request) -> bool:
    """The commit itself; for DuckLake, whose commits are in its catalog, what comes before it."""
    if request.method not in ("PUT", "POST"):
        return False
    names = {"delta": "_delta_log", "iceberg": "version-hint.text", "ducklake": ".parquet"}
    return names[table_format] in request.path
