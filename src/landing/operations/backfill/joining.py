"""Joins the newest landed versions of records with newly read values, on the local disk.

Both sides are partitioned by a hash of their keys, so that memory holds one partition at a time.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from landing.columns.digest import row_hashes
from landing.zone.lineage import LINEAGE_FIELDS, row_ids

SHARES = 64
LOAD_ID, ROW_ID = (field.name for field in LINEAGE_FIELDS)
IS_DELETED = "_is_deleted"
_LEFT, _RIGHT = "_left", "_right"
_MICROSECOND = pa.scalar("0.000001").cast(pa.decimal128(16, 6))


class Parted:
    """Tables of one schema, partitioned by key into files in `folder`, which it creates."""

    def __init__(self, folder: Path, key: Sequence[str]) -> None:
        folder.mkdir()
        self._folder = folder
        self._key = list(key)
        self._writers: dict[int, pa.ipc.RecordBatchStreamWriter] = {}

    def add(self, table: pa.Table) -> None:
        shares = [value % SHARES for value in row_hashes(table.select(self._key))]
        parted = table.take(pc.sort_indices(pa.array(shares)))
        start = 0
        for share, count in sorted(Counter(shares).items()):
            self._writer(share, table.schema).write_table(parted.slice(start, count))
            start += count

    def _writer(self, share: int, schema: pa.Schema) -> pa.ipc.RecordBatchStreamWriter:
        if share not in self._writers:
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            self._writers[share] = pa.ipc.new_stream(self._file(share), schema, options=options)
        return self._writers[share]

    def _file(self, share: int) -> str:
        return str(self._folder / f"{share:02d}.arrow")

    def discard(self) -> None:
        """Delete its files; call instead of reading it."""
        for writer in self._writers.values():
            writer.close()
        shutil.rmtree(self._folder)

    def newest(self, share: int) -> pa.Table | None:
        """The version of each record with the highest load id; the last added among equal ones.

        Leaves out rows whose key is incomplete. Do not call `add` after this.
        """
        writer = self._writers.get(share)
        if writer is None:
            return None
        writer.close()
        with pa.OSFile(self._file(share)) as file:
            table = pa.ipc.open_stream(file).read_all()
        Path(self._file(share)).unlink()
        for name in self._key:
            table = table.filter(pc.is_valid(table[name]))
        # The sort is stable, and so is the order of groups in one thread.
        table = table.take(pc.sort_indices(table, sort_keys=[(LOAD_ID, "ascending")]))
        keys = table.select(self._key).append_column(_LEFT, _numbers(table))
        last = keys.group_by(self._key, use_threads=False).aggregate([(_LEFT, "last")])
        return table.take(last[f"{_LEFT}_last"])


def completed(
    landed: Parted, fresh: Parted, key: Sequence[str], names: Sequence[str]
) -> Iterator[pa.Table]:
    """The newest landed rows with the values of `names` that were read, each with a load id just
    above its own; those that have these values already, or are deleted, are left out."""
    for share in range(SHARES):
        old, new = landed.newest(share), fresh.newest(share)
        if old is None or new is None:
            continue
        table = _joined(old.filter(pc.invert(old[IS_DELETED])), new, list(key), names)
        if table.num_rows:
            yield _with_new_versions(table.drop_columns([IS_DELETED]))


def _joined(old: pa.Table, new: pa.Table, key: list[str], names: Sequence[str]) -> pa.Table:
    left = old.select(key).append_column(_LEFT, _numbers(old))
    right = new.select(key).append_column(_RIGHT, _numbers(new))
    # Keys alone: Arrow's join takes no lists or structs along.
    pairs = left.join(right, key, join_type="inner")
    old, new = old.take(pairs[_LEFT]), new.take(pairs[_RIGHT])
    gains = pa.repeat(False, old.num_rows)
    for name in names:
        gains = pc.or_(gains, _differs(old[name], new[name]))
        old = old.set_column(old.schema.get_field_index(name), old.field(name), new[name])
    return old.filter(gains)


def _differs(old: pa.ChunkedArray, new: pa.ChunkedArray) -> pa.Array:
    with suppress(pa.ArrowNotImplementedError):  # lists and structs
        values = pc.fill_null(pc.not_equal(old, new), False)
        return pc.or_(values, pc.xor(pc.is_null(old), pc.is_null(new)))
    return pa.repeat(True, len(old))


def _with_new_versions(table: pa.Table) -> pa.Table:
    row_versions = pc.add(table[LOAD_ID].cast(pa.decimal128(16, 6)), _MICROSECOND).cast(
        pa.decimal128(16, 6)
    )
    for name, values in (
        (LOAD_ID, row_versions.cast(pa.string())),
        (ROW_ID, row_ids(table.num_rows)),
    ):
        index = table.schema.get_field_index(name)
        table = table.set_column(index, table.field(index), values)
    return table


def _numbers(table: pa.Table) -> pa.Array:
    return pa.array(range(table.num_rows), pa.int64())
