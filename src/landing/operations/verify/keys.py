"""Checks that each record has exactly one newest row, which the query for current rows relies on.

Only keys and lineage columns are read. DuckDB counts them within a memory limit, and spills to the
local disk beyond it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from landing.tables.winners import literal
from landing.zone.lineage import LOAD_ID, ROW_ID

_MEMORY = "512MB"
_BATCH_ROWS = 100_000
_MOST_WAITING = 500
"""Small files whose rows become one batch."""


class Keys:
    """Counts the keys in a stream's rows, of which only `lineage_of` are given, and those with
    several newest rows."""

    def __init__(self, rows: Iterable[pa.Table], key: Sequence[str], folder: Path) -> None:
        names = [f"k{number}" for number in range(len(key))]
        schema = pa.schema([(name, pa.string()) for name in (*names, "load", "row")])
        batches = pa.RecordBatchReader.from_batches(schema, _batches(rows, schema))
        columns = ", ".join(names)
        with duckdb.connect(config={"memory_limit": _MEMORY, "threads": "2"}) as connection:
            connection.execute(f"SET temp_directory = {literal(str(folder))}")
            connection.register("landed", batches)
            connection.execute(
                f"CREATE TABLE newest AS SELECT {columns}, max_by(rows, load) AS rows "
                f"FROM (SELECT {columns}, load, count(DISTINCT row) AS rows FROM landed "
                f"WHERE {' AND '.join(f'{name} IS NOT NULL' for name in names)} "
                f"GROUP BY ALL) GROUP BY {columns}"
            )
            counted: Any = connection.execute(
                "SELECT count(*), count(*) FILTER (rows > 1) FROM newest"
            ).fetchone()
            self.keys, self.ambiguous = counted
            self.examples: list[tuple[Any, ...]] = connection.execute(
                f"SELECT {columns} FROM newest WHERE rows > 1 ORDER BY ALL LIMIT 3"
            ).fetchall()


def lineage_of(key: Sequence[str]) -> list[str]:
    """The columns that tell the newest row of each key."""
    return [*key, LOAD_ID, ROW_ID]


def _batches(rows: Iterable[pa.Table], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The rows as text, those of many small files together."""
    waiting: list[pa.Table] = []
    count = 0
    for table in rows:
        waiting.append(table)
        count += table.num_rows
        if count >= _BATCH_ROWS or len(waiting) >= _MOST_WAITING:
            yield from _joined(waiting, schema)
            waiting, count = [], 0
    yield from _joined(waiting, schema)


def _joined(tables: Sequence[pa.Table], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for _, alike in groupby(tables, lambda table: table.schema):
        together = pa.concat_tables(alike)
        columns = [column.cast(pa.string()) for column in together.columns]
        yield from pa.Table.from_arrays(columns, schema=schema).combine_chunks().to_batches()
