"""What landed, counted with DuckDB, beside what Datasette itself counts."""

from __future__ import annotations

import json
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import duckdb
import obstore

from demo.stage import SOURCE, Stage


@dataclass(frozen=True)
class Count:
    stream: str
    in_datasette: int
    landed: int
    landed_keys: int

    @property
    def is_equal(self) -> bool:
        """Every row landed, and none landed twice."""
        return self.in_datasette == self.landed == self.landed_keys


def count(stage: Stage, stream: str, key: str) -> Count:
    with _landed(stage, stream) as rows:
        ((landed, keys),) = duckdb.sql(
            f'SELECT count(*), count(DISTINCT "{key}") FROM {rows}'
        ).fetchall()
    return Count(stream, _in_datasette(stage, stream), landed, keys)


def rows_by_load(stage: Stage, stream: str) -> list[tuple[str, int]]:
    with _landed(stage, stream) as rows:
        return duckdb.sql(
            f"SELECT _dlt_load_id, count(*) FROM {rows} GROUP BY ALL ORDER BY ALL"
        ).fetchall()


@contextmanager
def _landed(stage: Stage, stream: str) -> Iterator[str]:
    """A DuckDB expression over copies of the stream's files.

    DuckDB reads S3 itself once it has its extension httpfs, which it would download here.
    """
    with tempfile.TemporaryDirectory(prefix="landed-") as folder:
        for path, _ in stage.files(f"{SOURCE}/{stream}"):
            copy = Path(folder, path)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(obstore.get(stage.landed, path).bytes())
        yield f"read_parquet('{folder}/**/*.parquet', hive_partitioning = true)"


def _in_datasette(stage: Stage, table: str) -> int:
    query = urlencode({"sql": f'select count(*) from "{table}"', "_shape": "arrayfirst"})
    with urllib.request.urlopen(f"{stage.web.database('flights')}.json?{query}") as answer:
        return int(json.load(answer)[0])
