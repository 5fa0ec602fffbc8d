"""A year's small files in a bucket, and two ways to make large ones of them.

compaction fill FILES ROWS   so many files of so many rows, 24 a day; prints their bytes
compaction size              prints the bytes of all of them
compaction landing           `landing compact`: under leases, journaled, read back and compared
compaction plain             what a script does: read a day, write one file, delete the others
"""

from __future__ import annotations

import json
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks.programs.clock import framework_import

with framework_import():
    import pyarrow as pa
    import pyarrow.parquet as pq

    from landing.catalog.settings import bucket_settings
    from landing.catalog.workspace import Workspace
    from landing.operations.compaction import Terms, compact
    from landing.zone.bucket import Bucket
    from landing.zone.layout import StreamPaths
    from landing.zone.lineage import with_lineage

A_DAY = 24
PATHS = StreamPaths("bench", "bench")
_FIRST = datetime(2025, 1, 1, tzinfo=UTC)
_FILE_BYTES = 128 * 1024 * 1024


def fill(bucket: Bucket, files: int, rows: int) -> None:
    from benchmarks.records import KEPT
    from tests.servers.api import bench_record

    size = 0
    for number in range(files):
        records = [bench_record(number * rows + row) for row in range(rows)]
        columns = {name: [_plain(record[name]) for record in records] for name in KEPT}
        moment = _FIRST + timedelta(hours=number * 24 / A_DAY)
        load_id = f"{moment.timestamp():017.6f}"
        sink = pa.BufferOutputStream()
        table = with_lineage(pa.table(columns), load_id)
        pq.write_table(table, sink, compression="zstd", compression_level=1)
        content = sink.getvalue().to_pybytes()
        bucket.put(PATHS.part(load_id, 0), content)
        size += len(content)
    print(size)


def _plain(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict | list) else value


def with_landing(bucket: Bucket) -> None:
    terms = Terms(closed_before=datetime.now(UTC), file_bytes=_FILE_BYTES)
    compact(bucket, PATHS, terms, wait=0)


def with_plain_script(bucket: Bucket) -> None:
    paths = sorted(bucket.list(PATHS.data))
    for folder, of_day in groupby(paths, key=lambda path: path.rpartition("/")[0]):
        day = list(of_day)
        found = [bucket.get(path) for path in day]
        tables = [pq.read_table(pa.BufferReader(one.data)) for one in found if one is not None]
        with tempfile.TemporaryDirectory() as local:
            file = Path(local) / "day.parquet"
            table = pa.concat_tables(tables)
            pq.write_table(table, file, compression="zstd", compression_level=1)
            bucket.put(f"{folder}/day.parquet", file)
        bucket.delete_all(day)


if __name__ == "__main__":
    opened = Bucket(bucket_settings(Workspace(Path.cwd())))
    match sys.argv[1:]:
        case ["fill", files, rows]:
            fill(opened, int(files), int(rows))
        case ["landing"]:
            with_landing(opened)
        case ["plain"]:
            with_plain_script(opened)
