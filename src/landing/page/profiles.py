"""Profiles the columns of a stream's newest rows, with the values that a page may show."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from landing.catalog.stream_config import StreamConfig
from landing.errors import needs
from landing.page.discretion import FREQUENT, FREQUENT_AT_LEAST, Discretion, discretion_of
from landing.secrets import redacted
from landing.zone.bucket import Bucket, Listed, ObjectMissing
from landing.zone.layout import StreamPaths, load_id_of, next_load_id, time_of

if TYPE_CHECKING:
    import duckdb

MEGABYTE = 1024 * 1024
_OURS = "_dlt_"
"""Prefix of our own columns."""
_IN_MEMORY = threading.Semaphore(2)
"""How many streams' rows are in memory at once. A page after a run shares the run's memory."""
_LONGEST = 80
"""Characters of a value that are shown."""


@dataclass(frozen=True)
class Depth:
    """How much of a stream is read for its profile."""

    values: bool = True
    """Whether any value may be shown."""
    most_bytes: int = 16 * MEGABYTE
    """Bytes of parquet to read, newest first; 0 for no profile."""


class Frequent(msgspec.Struct, frozen=True):
    value: str
    rows: int


class ColumnProfile(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    type: str
    privacy: str | None = None
    nulls: int
    distinct: int | None
    """None for lists and structs, which are not counted."""
    least: str | None = None
    most: str | None = None
    frequent: list[Frequent] = []
    withheld: str | None = None
    """Why no values are shown; None if some are."""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    rows: int
    files: int
    since: datetime
    """When the oldest load began that has a row in the profile."""
    is_cut: bool
    """Whether the period has more rows than were read."""
    columns: list[ColumnProfile]


def check_installed() -> None:
    with needs("a report", "report"):
        import duckdb  # noqa: F401


def profile_of(
    bucket: Bucket, paths: StreamPaths, config: StreamConfig, since: datetime, depth: Depth
) -> Profile | None:
    """Profile of the newest rows that landed after `since`; None if there are none.

    Reading stops at the first file whose columns differ from those of the newest.
    """
    files = _files(bucket, paths, since) if depth.most_bytes else []
    rows = _Newest(bucket, depth.most_bytes)
    with _IN_MEMORY:
        try:
            rows.read(files)
        except (
            pa.ArrowInvalid,
            ObjectMissing,
        ):  # damaged (`landing verify` reports it) or just compacted
            rows.is_cut = True
        if not rows.tables:
            return None
        table = pa.concat_tables(rows.tables)
        return Profile(
            rows=len(table),
            files=rows.files,
            since=time_of(rows.oldest),
            is_cut=rows.is_cut,
            columns=list(_profiles(table, config, depth)),
        )


def _files(bucket: Bucket, paths: StreamPaths, since: datetime) -> list[Listed]:
    """Newest first."""
    first = paths.part(next_load_id(since, None), 0)
    files = [file for file in bucket.listed(paths.data, first) if load_id_of(file.path)]
    return sorted(files, key=lambda file: file.path, reverse=True)


class _Newest:
    def __init__(self, bucket: Bucket, most_bytes: int) -> None:
        self.tables: list[pa.Table] = []
        self.files = 0
        self.oldest = ""
        self.is_cut = False
        self._bucket = bucket
        self._left = most_bytes

    def read(self, files: list[Listed]) -> None:
        for file in files:
            with self._bucket.file(file.path, file.bytes) as opened:
                parquet = pq.ParquetFile(pa.PythonFile(opened, mode="r"), pre_buffer=True)
                if self.tables and not parquet.schema_arrow.equals(self.tables[0].schema):
                    self.is_cut = True
                    return
                before = len(self.tables)
                self._read_groups(parquet)
                if len(self.tables) > before:
                    self.files += 1
                    self.oldest = load_id_of(file.path) or self.oldest
                if self.is_cut:
                    return

    def _read_groups(self, parquet: pq.ParquetFile) -> None:
        """Reads row groups, last first, while they fit; the first one in any case."""
        for number in reversed(range(parquet.num_row_groups)):
            group = parquet.metadata.row_group(number)
            size = sum(group.column(n).total_compressed_size for n in range(group.num_columns))
            if self.tables and size > self._left:
                self.is_cut = True
                return
            self._left -= size
            self.tables.append(parquet.read_row_group(number))


def _profiles(table: pa.Table, config: StreamConfig, depth: Depth) -> Iterator[ColumnProfile]:
    import duckdb

    with duckdb.connect(config={"enable_external_access": "false", "threads": "2"}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("landed", table)
        for column in table.schema:
            if not column.name.startswith(_OURS):
                yield _profile(connection, column, config, depth)


def _profile(
    connection: duckdb.DuckDBPyConnection, column: pa.Field, config: StreamConfig, depth: Depth
) -> ColumnProfile:
    name = '"' + column.name.replace('"', '""') + '"'
    field = config.fields.get(column.name)
    nulls = _one(connection, f"SELECT count(*) - count({name}) FROM landed")[0]
    described = {
        "name": column.name,
        "type": str(column.type),
        "privacy": None if field is None else field.privacy,
        "nulls": nulls,
    }
    if pa.types.is_nested(column.type):
        return ColumnProfile(**described, distinct=None, withheld="nested")
    (distinct,) = _one(connection, f"SELECT count(DISTINCT {name}) FROM landed")
    discretion = discretion_of(column, config) if depth.values else Discretion("not asked for")
    least, most = None, None
    if discretion.shows_range and distinct:
        least, most = _one(connection, f"SELECT min({name}), max({name}) FROM landed")
    frequent = []
    if discretion.shows_frequent(distinct):
        frequent = connection.execute(
            f"SELECT {name}, count(*) AS n FROM landed WHERE {name} IS NOT NULL GROUP BY 1 "
            f"HAVING n >= {FREQUENT_AT_LEAST} ORDER BY n DESC, 1 LIMIT {FREQUENT}"
        ).fetchall()
    return ColumnProfile(
        **described,
        distinct=distinct,
        least=None if least is None else _text(least),
        most=None if most is None else _text(most),
        frequent=[Frequent(_text(value), count) for value, count in frequent],
        withheld=discretion.withheld or (None if frequent or least is not None else "too varied"),
    )


def _one(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    found = connection.execute(sql).fetchone()
    assert found is not None, "an aggregate has one row"
    return found


def _text(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case float() | Decimal() as number:
            return f"{float(number):.6g}"
        case datetime():
            return value.isoformat(sep=" ", timespec="seconds").removesuffix("+00:00")
        case date() | time():
            return value.isoformat()
    text = redacted(str(value))  # before half of a secret is cut off
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
