"""Years of small loads of one stream: `small_files SOURCE STREAM FILES`, in the bucket of the
environment, with the records and the state that their runs would have left."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from landing.catalog.settings import bucket_settings
from landing.catalog.workspace import Workspace
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths
from landing.zone.lease import Lease
from landing.zone.lineage import with_lineage
from landing.zone.load_log import LoadRecord, RecordedFile
from landing.zone.state import STATE_KEY, StateFile, document_json, resource_state

_ROWS = 20
_A_DAY = 24


def fill(bucket: Bucket, paths: StreamPaths, files: int) -> None:
    first = datetime.now(UTC) - timedelta(hours=files * 24 / _A_DAY)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: _put(bucket, paths, first, number), range(files)))
    with Lease(bucket, paths.lease, paths.data) as lease:
        state = StateFile(bucket, paths, lease)
        ours = resource_state(state.state, paths.stream)
        last = files * _ROWS
        ours["incremental"] = {
            "at": {"initial_value": None, "last_value": last, "unique_hashes": []}
        }
        ours[STATE_KEY] = {"load_id": _load_id(first, files - 1)}
        state.write()


def _put(bucket: Bucket, paths: StreamPaths, first: datetime, number: int) -> None:
    load_id = _load_id(first, number)
    ids = range(number * _ROWS + 1, (number + 1) * _ROWS + 1)
    columns = {
        "id": pa.array(ids, pa.int64()),
        "at": pa.array(ids, pa.int64()),
        "name": [f"name {n}" for n in ids],
        "total": [n * 1.5 for n in ids],
    }
    sink = pa.BufferOutputStream()
    pq.write_table(with_lineage(pa.table(columns), load_id), sink, compression="zstd")
    content = sink.getvalue().to_pybytes()
    path = paths.part(load_id, 0)
    bucket.put(path, content)
    finished = first + timedelta(hours=number * 24 / _A_DAY, seconds=1)
    record = LoadRecord(
        load_id=load_id,
        started=finished,
        finished=finished,
        sync_mode="incremental",
        rows=_ROWS,
        bytes=len(content),
        cursor_before=number * _ROWS or None,
        cursor_after=ids[-1],
        files=[RecordedFile(path, _ROWS, len(content))],
    )
    bucket.put(paths.load_record(load_id), document_json(msgspec.to_builtins(record)))


def _load_id(first: datetime, number: int) -> str:
    moment = first + timedelta(hours=number * 24 / _A_DAY)
    return f"{moment.timestamp():017.6f}"


if __name__ == "__main__":
    source, stream, count = sys.argv[1:]
    opened = Bucket(bucket_settings(Workspace(Path.cwd())))
    fill(opened, StreamPaths(source, stream), int(count))
