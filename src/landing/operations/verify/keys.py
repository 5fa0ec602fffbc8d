"""Checks that each record has exactly one newest row, which the query for current rows relies on.

Only keys and lineage columns are read. DuckDB counts them within a memory limit, and spills to the
local disk beyond it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from landing.tables.winners import literal
from landing.zone.bucket import Bucket, Listed, ObjectMissing
from landing.zone.lineage import LOAD_ID, ROW_ID

_MEMORY = "512MB"
_BATCH_ROWS = 100_000


class Keys:
    """Counts the keys in a stream's files, and those with several newest rows."""

    def __init__(
        self, bucket: Bucket, files: Sequence[Listed], key: Sequence[str], folder: Path
    ) -> None:
        self._bucket = bucket
        self._key = list(key)
        names = [f"k{number}" for number in range(len(key))]
        schema = pa.schema([(name, pa.string()) for name in (*names, "load", "row")])
        batches = pa.RecordBatchReader.from_batches(schema, self._batches(files, schema))
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

    def _batches(self, files: Sequence[Listed], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        wanted = [*self._key, LOAD_ID, ROW_ID]
        for listed in files:
            try:
                with self._bucket.file(listed.path, listed.bytes) as opened:
                    file = pq.ParquetFile(pa.PythonFile(opened, mode="r"))
                    if not set(wanted) <= set(file.schema_arrow.names):
                        continue  # landed before the key was configured
                    for batch in file.iter_batches(_BATCH_ROWS, columns=wanted):
                        columns = [batch.column(name).cast(pa.string()) for name in wanted]
                        yield pa.RecordBatch.from_arrays(columns, schema=schema)
            except (ObjectMissing, pa.ArrowInvalid):
                continue  # the checks of records and footers report it
