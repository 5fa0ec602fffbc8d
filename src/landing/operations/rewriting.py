"""Merges parquet files into one, keeping the order of rows, and verifies the result."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby, islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from landing.zone.lineage import LINEAGE_FIELDS
from landing.zone.parts import Part, PartWriter

_TOGETHER = 4 * 1024 * 1024
"""Bytes of rows from which they are written and compared."""
_MOST_WAITING = 500
_ROWS = 65_536
"""Rows that are read at once."""
_LINEAGE = frozenset(field.name for field in LINEAGE_FIELDS)


class NotEqual(Exception):
    """`str()` says what differs first."""


def united(older: pa.Schema, newer: pa.Schema) -> pa.Schema | None:
    """The columns of both in the newer schema's order; None if a common column's type differs."""
    common = set(older.names) & set(newer.names)
    if any(older.field(name).type != newer.field(name).type for name in common):
        return None
    gone = [field.with_nullable(True) for field in older if field.name not in common]
    fields = [_field(field, older) for field in newer]
    own = [field for field in fields if field.name not in _LINEAGE]
    lineage = [field for field in fields if field.name in _LINEAGE]
    return pa.schema([*own, *gone, *lineage])


def _field(field: pa.Field, older: pa.Schema) -> pa.Field:
    index = older.get_field_index(field.name)
    nullable = field.nullable or index < 0 or older.field(index).nullable
    return pa.field(field.name, field.type, nullable)


@dataclass(frozen=True)
class Copy:
    """A copy of a parquet file, in memory or on the disk, and what its footer says."""

    content: bytes | Path
    size: int
    columns: pa.Schema
    rows: int

    @classmethod
    def of(cls, content: bytes | Path) -> Copy:
        size = len(content) if isinstance(content, bytes) else content.stat().st_size
        with _opened(content) as parquet:
            columns = parquet.schema_arrow.remove_metadata()
            return cls(content, size, columns, parquet.metadata.num_rows)


def _opened(content: bytes | Path) -> pq.ParquetFile:
    return pq.ParquetFile(pa.BufferReader(content) if isinstance(content, bytes) else content)


def alike(files: Sequence[Copy]) -> Iterator[tuple[list[int], pa.Schema]]:
    """Groups of consecutive files that one file can hold without changing a value: their positions
    and the merged columns."""
    run: list[int] = []
    columns: pa.Schema | None = None
    for index, file in enumerate(files):
        both = file.columns if columns is None else united(columns, file.columns)
        if both is None:
            assert columns is not None, "a file alone fits itself"
            yield run, columns
            run, both = [], file.columns
        run.append(index)
        columns = both
    if columns is not None:
        yield run, columns


class Merged:
    """The rows of files in their order, with all columns: pieces of at most one row group, but
    those of many small files together. If that is one piece, it is read only once."""

    def __init__(self, files: Sequence[Copy], columns: pa.Schema) -> None:
        self.columns = columns
        self._files = files
        self._few: list[pa.Table] | None = None

    def __iter__(self) -> Iterator[pa.Table]:
        if self._few is not None:
            return iter(self._few)
        pieces = _pieces(self._files, self.columns)
        first = list(islice(pieces, 2))
        if len(first) < 2:
            self._few = first
        return chain(first, pieces)


def rewritten(merged: Merged, folder: Path) -> Part:
    writer = PartWriter(folder, merged.columns, sys.maxsize)
    parts = [part for table in merged for part in writer.write(table)]
    (part,) = [*parts, *writer.close()]
    return part


def check_equal(merged: Merged, one: Path) -> None:
    """Raises NotEqual unless `one` has these rows, in their order, value by value."""
    columns = merged.columns
    rows = _Rows(one)
    if missing := [name for name in columns.names if name not in rows.names]:
        raise NotEqual(f"column {missing[0]} is missing")
    count = 0
    for table in merged:
        read = rows.next(table.num_rows)
        if read.num_rows != table.num_rows:
            raise NotEqual(f"it has {count + read.num_rows:,} rows and not all of them")
        for name in columns.names:
            if not _same(table[name], read[name]):
                raise NotEqual(f"column {name} differs within {table.num_rows:,} rows from {count}")
        count += table.num_rows
    if rows.next(1).num_rows:
        raise NotEqual(f"it has more than {count:,} rows")


def _pieces(files: Sequence[Copy], columns: pa.Schema) -> Iterator[pa.Table]:
    waiting: list[pa.Table] = []
    size = 0
    for file in files:
        for batch in _batches(file.content):
            waiting.append(batch)
            size += batch.nbytes
            if size >= _TOGETHER or len(waiting) >= _MOST_WAITING:
                yield _joined(waiting, columns)
                waiting, size = [], 0
    if waiting:
        yield _joined(waiting, columns)


def _joined(tables: Sequence[pa.Table], columns: pa.Schema) -> pa.Table:
    alike = (pa.concat_tables(some) for _, some in groupby(tables, lambda one: one.schema))
    return pa.concat_tables([_as(columns, table) for table in alike]).combine_chunks()


def _batches(content: bytes | Path) -> Iterator[pa.Table]:
    """A file's rows in tables of at most one row group, to bound memory."""
    with _opened(content) as parquet:
        if parquet.metadata.num_rows <= _ROWS:
            yield parquet.read(use_threads=False)  # sooner than threads would begin
            return
        for batch in parquet.iter_batches(_ROWS):
            yield pa.Table.from_batches([batch])


def _as(columns: pa.Schema, table: pa.Table) -> pa.Table:
    arrays = [
        table[one.name] if one.name in table.column_names else pa.nulls(table.num_rows, one.type)
        for one in columns
    ]
    return pa.Table.from_arrays(arrays, schema=columns)


def _same(values: pa.ChunkedArray, others: pa.ChunkedArray) -> bool:
    if values.type != others.type:
        return False
    # A column with NaN does not equal itself.
    return bool(values.equals(others)) or repr(values.to_pylist()) == repr(others.to_pylist())


class _Rows:
    """Reads a file's rows, `count` at a time."""

    def __init__(self, file: Path) -> None:
        self.names = pq.read_schema(file).names
        self._batches = _batches(file)
        self._left: pa.Table | None = None

    def next(self, count: int) -> pa.Table:
        """The next `count` rows; fewer at the end of the file."""
        tables = [] if self._left is None else [self._left]
        while sum(table.num_rows for table in tables) < count:
            batch = next(self._batches, None)
            if batch is None:
                break
            tables.append(batch)
        if not tables:
            return pa.table({})
        together = pa.concat_tables(tables)
        self._left = together.slice(count)
        return together.slice(0, count)
