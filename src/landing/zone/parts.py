"""Writes tables into a few large parquet parts on the local disk, in bounded memory.

A thread writes one row group while the rows of the next are read and converted, so that memory
holds at most two row groups.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from landing.columns.arrow import pa, pc, pq
from landing.zone.allocator import return_freed

# DuckDB's own row group size: its scans go parallel by row group.
ROW_GROUP_ROWS = 122_880
ROW_GROUP_BYTES = 16 * 1024 * 1024
# Enough to see whether a column has few distinct values or many.
SAMPLE_ROWS = 10_000


@dataclass(frozen=True)
class Part:
    file: Path
    rows: int
    bytes: int


class PartWriter:
    """Writes tables of one schema into files of about `part_bytes`; `write` and `close` yield
    the parts they finish."""

    def __init__(self, folder: Path, schema: pa.Schema, part_bytes: int) -> None:
        self._folder = folder
        self._schema = schema
        self._part_bytes = part_bytes
        self._group_bytes = min(ROW_GROUP_BYTES, part_bytes)
        self._pending: list[pa.Table] = []
        self._pending_rows = 0
        self._pending_bytes = 0
        self._open: _OpenPart | None = None
        self._count = 0
        self._finished_bytes = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="landing-parts")
        self._writing: Future[None] | None = None

    @property
    def bytes(self) -> int:
        """Bytes written so far plus pending ones, which are counted uncompressed."""
        open_bytes = self._open.size if self._open is not None else 0
        return self._finished_bytes + open_bytes + self._pending_bytes

    @property
    def open_bytes(self) -> int:
        """The part of `bytes` that is in no finished part yet."""
        return self.bytes - self._finished_bytes

    def write(self, table: pa.Table) -> Iterator[Part]:
        for piece in self._pieces(table):
            yield from self._write_piece(piece)

    def _pieces(self, table: pa.Table) -> Iterator[pa.Table]:
        """The table in pieces of at most one row group."""
        bytes_per_row = max(1, table.nbytes // max(1, table.num_rows))
        # Round up: a piece just below the limit would wait for a second one.
        rows = min(ROW_GROUP_ROWS, math.ceil(self._group_bytes / bytes_per_row))
        for start in range(0, table.num_rows, rows):
            yield table.slice(start, rows)

    def _write_piece(self, table: pa.Table) -> Iterator[Part]:
        self._pending.append(table)
        self._pending_rows += table.num_rows
        self._pending_bytes += table.nbytes
        if self._pending_rows >= ROW_GROUP_ROWS or self._pending_bytes >= self._group_bytes:
            self._settle()
            if self._open is not None and self._open.size >= self._part_bytes:
                yield self._finish()
            self._write_row_group()

    def close(self) -> Iterator[Part]:
        self._settle()
        if self._open is not None and self._open.size >= self._part_bytes:
            yield self._finish()
        if self._pending:
            self._write_row_group()
            self._settle()
        if self._open is not None:
            yield self._finish()
        self._thread.shutdown()

    def _settle(self) -> None:
        """Wait for the row group that is being written; raises the exception of that write."""
        if self._writing is not None:
            self._writing.result()
            self._writing = None

    def _write_row_group(self) -> None:
        table = pa.concat_tables(self._pending)
        self._pending, self._pending_rows, self._pending_bytes = [], 0, 0
        if self._open is None:
            file = self._folder / f"{self._count:05d}.parquet"
            self._open = _OpenPart(file, self._schema, _repeating(table))
            self._count += 1
        self._writing = self._thread.submit(self._open.write, table)

    def _finish(self) -> Part:
        assert self._open is not None
        part, self._open = self._open.finish(), None
        self._finished_bytes += part.bytes
        return part


def _repeating(table: pa.Table) -> list[str]:
    """Columns that profit from a dictionary; in others it costs time and bytes."""
    sample = table.slice(0, SAMPLE_ROWS)
    return [
        name
        for name, column in zip(sample.schema.names, sample.columns, strict=True)
        if (pa.types.is_primitive(column.type) or pa.types.is_string(column.type))
        and 2 * pc.count_distinct(column).as_py() <= len(column)
    ]


class _OpenPart:
    def __init__(self, file: Path, schema: pa.Schema, with_dictionary: list[str]) -> None:
        self._file = file
        self._sink = pa.OSFile(str(file), "wb")
        self._rows = 0
        self._writer = pq.ParquetWriter(
            self._sink,
            schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=with_dictionary,
            write_statistics=True,
        )

    @property
    def size(self) -> int:
        return int(self._sink.tell())

    def write(self, table: pa.Table) -> None:
        self._writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
        self._rows += table.num_rows
        return_freed()

    def finish(self) -> Part:
        self._writer.close()
        self._sink.close()
        return Part(self._file, self._rows, self._file.stat().st_size)
