"""What deletes by snapshot take, in memory and time, for each million keys: python -m tools.keys

Two full refreshes are compared, as in a run, with everything but the stream and its other columns.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from landing.bucket import Bucket
from landing.catalog import StreamConfig
from landing.columns import Converted, columns_of
from landing.fields import Field
from landing.layout import StreamPaths
from landing.snapshot import KeysState, Snapshot
from landing.workspace import BucketSettings

KINDS = {"integers": "integer", "texts of 36 characters": "string"}
BATCH = 5_000
PATHS = StreamPaths("shop", "rows")
LOADS = ("1769000000.000000", "1769000001.000000")


@dataclass(frozen=True)
class Taken:
    megabytes: float
    seconds: float
    gone: int


def refreshed_twice(kind: str, count: int) -> Taken:
    """What the second of two full refreshes takes, which lacks the first of so many keys."""
    fields = {"id": Field(type=kind)}  # type: ignore[arg-type]
    config = StreamConfig(
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
        fields=fields,
        on_drift="report",
        discovered={},
        deletes="snapshot",
    )
    with tempfile.TemporaryDirectory() as folder:
        bucket = Bucket(BucketSettings((Path(folder) / "zone").as_uri(), None, is_default=False))
        state, _ = _refreshed(config, bucket, Path(folder) / "first", range(count), None)
        Path("/proc/self/clear_refs").write_text("5")  # the peak is that of what follows
        before, begun = _kilobytes("VmRSS"), time.process_time()
        _, gone = _refreshed(config, bucket, Path(folder) / "second", range(1, count + 1), state)
        seconds = time.process_time() - begun
        return Taken((_kilobytes("VmHWM") - before) / 1024, seconds, gone)


def _refreshed(
    config: StreamConfig, bucket: Bucket, folder: Path, keys: Sequence[int], state: KeysState | None
) -> tuple[KeysState, int]:
    folder.mkdir()
    columns = columns_of(config)
    snapshot = Snapshot(config, columns, folder)
    for start in range(0, len(keys), BATCH):
        some = keys[start : start + BATCH]
        ids = some if columns.schema.field("id").type == pa.int64() else [f"{n:036}" for n in some]
        table = pa.table({"id": ids, "_deleted_at": [None] * len(some)}, schema=columns.schema)
        snapshot.see(Converted(table, table.__getitem__))
    load_id = LOADS[state is not None]
    last = None if state is None else LOADS[0]
    gone = sum(t.num_rows for t in snapshot.deleted(bucket, PATHS, state, last))
    file = snapshot.close()
    assert file is not None, "there are keys"
    bucket.put(PATHS.keys(load_id), file)
    return snapshot.state(load_id), gone


def _kilobytes(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise LookupError(name)


def main(count: int) -> None:
    for name, kind in KINDS.items():
        taken = refreshed_twice(kind, count)
        millions = count / 1e6
        print(
            f"{count:,} {name}: {taken.megabytes / millions:.0f} MB and "
            f"{taken.seconds / millions:.1f} s of processor for each million"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5_000_000)
