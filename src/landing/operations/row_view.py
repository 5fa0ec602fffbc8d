"""Shows some landed rows of a stream without reading all of its files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from landing.errors import BucketError, UsageError, nearest, needs
from landing.zone.bucket import Bucket, Listed
from landing.zone.layout import StreamPaths, load_id_of
from landing.zone.schema_history import schema_versions

if TYPE_CHECKING:
    import duckdb

_POSITION = "_landing_position"
_A_FILE = 64 * 1024
"""Bytes that a file counts for at least, as its footer has to be read."""


@dataclass(frozen=True)
class Wanted:
    limit: int
    where: str | None = None
    """A condition in DuckDB's SQL."""
    columns: tuple[str, ...] = ()
    """All columns if empty."""
    newest: bool = False
    """Whether to start with the rows that landed last."""
    most_bytes: int = 256 * 1024 * 1024
    """Total size of files, in bytes, after which no further file is opened."""


@dataclass
class FoundRows:
    columns: list[str] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    files: int = 0
    """All files of the stream."""
    looked_at: int = 0
    """Files that were opened."""
    is_cut: bool = False
    """Whether `most_bytes` was reached before `limit`."""


def landed_rows(bucket: Bucket, paths: StreamPaths, wanted: Wanted) -> FoundRows:
    """Raises UsageError for an invalid condition or unknown column, and SettingsError if there is
    a condition and DuckDB is not installed."""
    files = [file for file in bucket.listed(paths.data) if load_id_of(file.path)]
    files.sort(key=lambda file: file.path, reverse=wanted.newest)
    known = _known_columns(bucket, paths)
    if known:
        _check_columns(wanted, known)
    condition = None if wanted.where is None else _Condition(wanted.where, known)
    found = FoundRows(files=len(files))
    left = wanted.most_bytes
    for file in files:
        if len(found.rows) >= wanted.limit:
            break
        if left <= 0:
            found.is_cut = True
            break
        left -= max(file.bytes, _A_FILE)
        found.looked_at += 1
        for table in _matching(bucket, file, wanted, condition):
            _add(found, table, wanted)
            if len(found.rows) >= wanted.limit:
                break
    if found.rows and not known:
        _check_columns(wanted, found.columns)
    return found


def _known_columns(bucket: Bucket, paths: StreamPaths) -> list[str]:
    """All columns in the stream's schema history, newest first."""
    versions = reversed(list(schema_versions(bucket, paths)))
    return list(dict.fromkeys(column.name for one in versions for column in one.columns))


def _check_columns(wanted: Wanted, known: Sequence[str]) -> None:
    for name in wanted.columns:
        if name not in known:
            raise UsageError(f"--columns: no file has a column '{name}'{nearest(name, known)}")


def _add(found: FoundRows, table: pa.Table, wanted: Wanted) -> None:
    own = table.column_names
    names = [name for name in wanted.columns or own if name in own]
    found.columns += [name for name in names if name not in found.columns]
    found.rows += table.select(names).slice(0, wanted.limit - len(found.rows)).to_pylist()


def _matching(
    bucket: Bucket, file: Listed, wanted: Wanted, condition: _Condition | None
) -> Iterator[pa.Table]:
    """The file's matching rows, one row group at a time."""
    try:
        with bucket.file(file.path, file.bytes) as opened:
            parquet = pq.ParquetFile(pa.PythonFile(opened, mode="r"), pre_buffer=True)
            groups = range(parquet.num_row_groups)
            for number in reversed(groups) if wanted.newest else groups:
                table = parquet.read_row_group(number, columns=_needed(parquet, wanted))
                yield _chosen(table, file.path, wanted, condition)
    except pa.ArrowInvalid as error:
        raise BucketError(
            f"{bucket.location(file.path)} is damaged ({error}): put an earlier version of it "
            "back, or remove it"
        ) from None


def _chosen(table: pa.Table, path: str, wanted: Wanted, condition: _Condition | None) -> pa.Table:
    if condition is not None:
        return table.take(condition.met_at(table, path, wanted))
    if not wanted.newest:
        return table.slice(0, wanted.limit)
    last = range(len(table) - 1, max(-1, len(table) - 1 - wanted.limit), -1)
    return table.take(pa.array(last, pa.int64()))


def _needed(parquet: pq.ParquetFile, wanted: Wanted) -> list[str] | None:
    """Columns to read; None for all, since a condition may use any column."""
    if not wanted.columns or wanted.where is not None:
        return None
    return [name for name in wanted.columns if name in parquet.schema_arrow.names]


class _Condition:
    """A SQL condition on in-memory rows; it can't access files or servers."""

    def __init__(self, sql: str, known: Sequence[str]) -> None:
        with needs("--where", "tables", " (or leave --where out)"):
            import duckdb
        self._sql = sql
        self._known = known
        self._connection: duckdb.DuckDBPyConnection = duckdb.connect(
            config={"enable_external_access": "false", "threads": "1"}
        )
        self._connection.execute("SET TimeZone = 'UTC'")
        self._errors = duckdb.Error

    def met_at(self, table: pa.Table, path: str, wanted: Wanted) -> pa.Array:
        """Positions of the rows that match. Columns that only other files have are null."""
        for name in self._known:
            if name not in table.column_names:
                table = table.append_column(name, pa.nulls(len(table)))
        table = table.append_column(_POSITION, pa.array(range(len(table)), pa.int64()))
        self._connection.register("landed", table)
        order = "DESC" if wanted.newest else "ASC"
        try:
            # The line break keeps a trailing comment from swallowing the parenthesis.
            found = self._connection.sql(
                f"SELECT {_POSITION} FROM landed WHERE (\n{self._sql}\n) "
                f"ORDER BY 1 {order} LIMIT {wanted.limit}"
            ).to_arrow_table()
            return found.column(0).combine_chunks()
        except self._errors as error:
            raise UsageError(f"--where {self._sql!r}: {_brief(error)} (at {path})") from None
        finally:
            self._connection.unregister("landed")


def _brief(error: Exception) -> str:
    """DuckDB's message without the generated statement that it quotes."""
    lines = str(error).strip().partition("\n\nLINE ")[0].splitlines()
    return " ".join(line.strip() for line in lines if line.strip())
