"""What deletes by snapshot take, in memory and time, for each million keys: python -m tools.keys

Full refreshes are compared as in a run, with all but the stream and its other columns.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from landing.catalog.fields import Field
from landing.catalog.settings import BucketSettings
from landing.catalog.stream_config import StreamConfig
from landing.columns.conversion import Converted, columns_of
from landing.extraction.missing_keys import KeysState, KnownKeys
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths
from landing.zone.lineage import LINEAGE_FIELDS, with_lineage

KINDS = {"integers": "integer", "texts of 36 characters": "string"}
BATCH = 5_000
PATHS = StreamPaths("shop", "rows")
LOADS = ("1769000000.000000", "1769000001.000000")


@dataclass(frozen=True)
class Taken:
    megabytes: float
    seconds: float
    state: KeysState


def config_of(kind: str) -> StreamConfig:
    return StreamConfig(
        source=PATHS.source,
        stream=PATHS.stream,
        origin="rows.json",
        sync_mode="full_refresh",
        destination_sync_mode="append",
        primary_key=("id",),
        cursor_field=None,
        initial_value=None,
        lookback=None,
        selected=True,
        fields={"id": Field(type=kind)},  # type: ignore[arg-type]
        on_drift="report",
        discovered={},
        deletes="snapshot",
    )


def measured(kind: str, count: int) -> tuple[Taken, Taken]:
    """What a run takes that finds one of so many keys gone, where the keys are known from the last
    run and where they are known from what has landed."""
    config = config_of(kind)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bucket = Bucket(BucketSettings((folder / "zone").as_uri(), None, is_default=False))
        _land(config, bucket, folder / "part.parquet", count)
        found = _refreshed(config, bucket, folder / "first", range(1, count + 1), None)
        again = _refreshed(config, bucket, folder / "second", range(2, count + 2), found.state)
    return again, found


def _land(config: StreamConfig, bucket: Bucket, file: Path, count: int) -> None:
    schema = pa.schema([*columns_of(config).schema, *LINEAGE_FIELDS])
    with pq.ParquetWriter(file, schema) as out:
        for start in range(0, count, BATCH):
            keys = _keys(config, range(start, min(count, start + BATCH)))
            out.write_table(with_lineage(keys, LOADS[0]).cast(schema), row_group_size=BATCH)
    bucket.put(PATHS.part(LOADS[0], 0), file)


def _keys(config: StreamConfig, numbers: Sequence[int]) -> pa.Table:
    schema = columns_of(config).schema
    is_number = schema.field("id").type == pa.int64()
    ids = numbers if is_number else [f"{number:036}" for number in numbers]
    return pa.table({"id": ids, "_deleted_at": [None] * len(numbers)}, schema=schema)


def _refreshed(
    config: StreamConfig, bucket: Bucket, folder: Path, keys: Sequence[int], state: KeysState | None
) -> Taken:
    folder.mkdir()
    Path("/proc/self/clear_refs").write_text("5")  # the peak is that of what follows
    before, begun = _kilobytes("VmRSS"), time.process_time()
    snapshot = KnownKeys(config, columns_of(config), folder)
    for start in range(0, len(keys), BATCH):
        table = _keys(config, keys[start : start + BATCH])
        snapshot.see(Converted(table, table.__getitem__))
    load_id, last = LOADS[state is not None], None if state is None else LOADS[0]
    gone = sum(table.num_rows for table in snapshot.deleted(bucket, PATHS, state, last))
    file = snapshot.close()
    assert file is not None, "there are keys"
    assert gone == 1, "one key is gone, all others are there"
    seconds = time.process_time() - begun
    bucket.put(PATHS.known_object(load_id), file)
    more = max(0, _kilobytes("VmHWM") - before)  # what was free already is not counted
    return Taken(more / 1024, seconds, snapshot.state(load_id))


def _kilobytes(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise LookupError(name)


def main(count: int) -> None:
    millions = count / 1e6
    for name, kind in KINDS.items():
        for what, taken in zip(("a run", "the first run"), measured(kind, count), strict=True):
            print(
                f"{count:,} {name}, {what}: {taken.megabytes / millions:.0f} MB and "
                f"{taken.seconds / millions:.1f} s of processor for each million"
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5_000_000)
