"""DuckLake tables: parquet in the bucket, all else in a database. Each change is one commit."""

from __future__ import annotations

import fcntl
import importlib.util
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import duckdb
import pyarrow as pa

from landing.errors import SettingsError, TableError
from landing.tables.decision import decide
from landing.tables.place import CATALOG_VARIABLE, Place, ducklake_catalog
from landing.tables.table import Counts, explained
from landing.tables.winners import literal, quoted
from landing.zone.lineage import ROW_ID

_LAKE = "lake"
_SQLITE = "ducklake:sqlite:"
_NOT_MADE = "Failed to initialize DuckLake"
_OTHER_PATH = re.compile(r'does not match existing data path in the catalog "(.*)"')


def check_catalog(place: Place) -> None:
    # A catalog that is down now may be up again when the rows have landed. The connection is closed
    # because reading may take too long to keep it.
    with suppress(TableError), DuckLake(place, (), None)._connected() as lake:
        lake.close()


class DuckLake:
    def __init__(self, place: Place, key: tuple[str, ...], cursor: str | None) -> None:
        self._place = place
        self._key = key
        self._cursor = cursor
        self._schema = f"{_LAKE}.{quoted(place.paths.source)}"
        self._name = f"{self._schema}.{quoted(place.paths.stream)}"
        self._lake: duckdb.DuckDBPyConnection | None = None

    def columns(self) -> pa.Schema | None:
        with self._connected() as lake:
            return self._columns(lake)

    def _columns(self, lake: duckdb.DuckDBPyConnection) -> pa.Schema | None:
        found = lake.execute(
            "SELECT 1 FROM information_schema.tables "
            "WHERE table_catalog = ? AND table_schema = ? AND table_name = ?",
            [_LAKE, self._place.paths.source, self._place.paths.stream],
        ).fetchone()
        if found is None:
            return None
        return lake.execute(f"SELECT * FROM {self._name} LIMIT 0").to_arrow_table().schema

    def add_columns(self, fields: list[pa.Field]) -> None:
        with self._connected() as lake, _transaction(lake):
            lake.register("new", pa.schema(fields).empty_table())
            for name, kind, *_ in lake.execute("DESCRIBE new").fetchall():
                lake.execute(f"ALTER TABLE {self._name} ADD COLUMN {quoted(name)} {kind}")

    def upsert(self, changes: pa.Table) -> Counts:
        with self._connected() as lake, _transaction(lake):
            decision = decide(lake, changes, self._name, self._key, self._cursor)
            if len(decision.outdated):
                lake.register("outdated", pa.table({"id": decision.outdated}))
                lake.execute(
                    f"DELETE FROM {self._name} WHERE {quoted(ROW_ID)} IN (SELECT id FROM outdated)"
                )
            elif decision.rows.num_rows:
                self._conflict(lake)
            if decision.rows.num_rows:
                lake.register("added", decision.rows)
                lake.execute(f"INSERT INTO {self._name} BY NAME SELECT * FROM added")
        return decision.counts

    def _conflict(self, lake: duckdb.DuckDBPyConnection) -> None:
        """Let this transaction conflict with any other one that adds rows to the table.

        Of two that only add rows, both are committed, even if they add the same rows
        (duckdb/ducklake#1393). A comment, even the same one again, changes the table itself.
        """
        lake.execute(f"COMMENT ON TABLE {self._name} IS 'kept by dlt-landing'")

    def replace(self, batches: pa.RecordBatchReader, check: Callable[[], None]) -> None:
        empty = batches.schema.empty_table()
        with self._connected() as lake:
            # Its own transaction: of streams that create it at the same time, all but one fail.
            with suppress(duckdb.TransactionException):
                lake.execute(f"CREATE SCHEMA IF NOT EXISTS {self._schema}")
            self._replace(lake, empty, batches, check)

    def _replace(
        self,
        lake: duckdb.DuckDBPyConnection,
        empty: pa.Table,
        batches: pa.RecordBatchReader,
        check: Callable[[], None],
    ) -> None:
        with _transaction(lake):
            lake.register("empty", empty)
            present = self._columns(lake)
            check()
            if present == lake.execute("SELECT * FROM empty").to_arrow_table().schema:
                if lake.execute(f"DELETE FROM {self._name}").fetchone() == (0,):
                    self._conflict(lake)
            else:
                lake.execute(f"DROP TABLE IF EXISTS {self._name}")
                lake.execute(f"CREATE TABLE {self._name} AS SELECT * FROM empty")
            lake.register("batches", batches)
            lake.execute(f"INSERT INTO {self._name} SELECT * FROM batches")

    @contextmanager
    def _connected(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with explained(self._place), _alone(ducklake_catalog()):
            if self._lake is None:
                self._lake = self._attached()
            yield self._lake

    def _attached(self) -> duckdb.DuckDBPyConnection:
        catalog, connection = ducklake_catalog(), duckdb.connect()
        connection.execute("SET TimeZone = 'UTC'")
        database = "sqlite_scanner" if catalog.startswith(_SQLITE) else "postgres_scanner"
        for name in ("httpfs", database, "ducklake"):
            connection.execute(f"LOAD {literal(str(_extension(name)))}")
        self._add_keys(connection)
        root = f"{self._place.bucket.url}/"
        if self._place.bucket.is_local:
            root = self._place.uri.removesuffix(self._place.path)
            Path(root).mkdir(parents=True, exist_ok=True)
        # 0: otherwise small changes would be stored in the catalog, not in the bucket.
        options = f"DATA_PATH {literal(root)}, DATA_INLINING_ROW_LIMIT 0"
        attach = f"ATTACH {literal(catalog)} AS {_LAKE} ({options})"
        try:
            try:
                connection.execute(attach)
            except duckdb.Error as error:
                if _NOT_MADE not in str(error):
                    raise
                connection.execute(attach)  # another run has made it meanwhile
        except duckdb.Error as error:
            if other := _OTHER_PATH.search(str(error)):
                raise SettingsError(_other_path(root, other[1])) from None
            raise
        return connection

    def _add_keys(self, connection: duckdb.DuckDBPyConnection) -> None:
        if self._place.keys is None:
            return
        options = {
            "KEY_ID": self._place.keys[0],
            "SECRET": self._place.keys[1],
            "SESSION_TOKEN": "",  # or DuckDB takes that of the environment, of another account
            "SCOPE": f"s3://{urlsplit(self._place.bucket.url).netloc}",
        }
        if self._place.region is not None:
            options["REGION"] = self._place.region
        if endpoint := self._place.bucket.settings.endpoint:
            options |= {"ENDPOINT": urlsplit(endpoint).netloc, "URL_STYLE": "path"}
            options["USE_SSL"] = str(endpoint.startswith("https://")).lower()
        listed = ", ".join(f"{name} {literal(value)}" for name, value in options.items())
        connection.execute(f"CREATE SECRET (TYPE s3, {listed})")


def _other_path(root: str, other: str) -> str:
    return (
        f"the catalog of {CATALOG_VARIABLE} has the tables of {other}, but LANDING_TABLES_URL is "
        f"now {root}: a catalog serves one place only, so set LANDING_TABLES_URL back, or "
        f"{CATALOG_VARIABLE} to a new catalog, in which the next run makes the table"
    )


@contextmanager
def _alone(catalog: str) -> Iterator[None]:
    """Locks an SQLite catalog, so that streams that run side by side take turns: SQLite fails a
    transaction if another one commits meanwhile, instead of waiting."""
    if not catalog.startswith(_SQLITE):
        yield
        return
    with Path(catalog.removeprefix(_SQLITE) + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    connection.execute("BEGIN")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(duckdb.Error):  # a failed statement may have ended it already
            connection.execute("ROLLBACK")
        raise


def _extension(name: str) -> Path:
    """The extension's file in its package; DuckDB would otherwise download it."""
    spec = importlib.util.find_spec(f"duckdb_extension_{name}")
    assert spec is not None, "place_of has checked that it is installed"
    folder = Path(next(iter(spec.submodule_search_locations or ())))
    return next(folder.rglob("*.duckdb_extension"))
