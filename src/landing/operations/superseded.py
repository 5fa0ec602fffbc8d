"""Leaves out rows of which a newer version has landed, from what lands after its time.

Rows from quarantine and of backfills keep the versions of their time, but their files are new: a
reader that goes by files alone would put such a row over the newer one.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pyarrow as pa

from landing.catalog.stream_config import StreamConfig
from landing.columns.arrow import pc, pq
from landing.columns.conversion import columns_of
from landing.columns.tombstones import tombstone_count
from landing.errors import BucketError
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths, is_compacted, load_id_after, load_id_of
from landing.zone.lineage import LOAD_ID
from landing.zone.parts import Part, PartWriter
from landing.zone.publication import Load

_KEYS_IN_MEMORY = 2_000_000
"""Rows to land up to which landed rows are compared with their keys while these are read. Beyond
it, as in a large window, all versions that have landed since are kept, which are then fewer."""
_MARGIN = Decimal(1)
"""Seconds; more than a row version can be above the load id of its file."""
_LANDED, _POSITION = "_landed", "_position"


@dataclass
class Current:
    """The parts of a load without rows that are superseded."""

    parts: list[Part]
    superseded: int = 0
    tombstones: int = 0
    """Of the superseded rows."""


def leave_out_superseded(
    config: StreamConfig, load: Load, folder: Path, older: Collection[str] = ()
) -> None:
    """As `without_superseded`, with a load whose lease is taken; its record counts them."""
    current = without_superseded(config, load.bucket, load.parts, folder, older)
    load.parts = current.parts
    load.superseded = current.superseded
    load.deleted -= current.tombstones


def without_superseded(
    config: StreamConfig,
    bucket: Bucket,
    parts: Sequence[Part],
    folder: Path,
    older: Collection[str] = (),
) -> Current:
    """Rewrites parts that have superseded rows, into `folder`. `older` are loads that are known to
    have no newer version, and are not read.

    Call it under the stream's lease if they are going to land, so that nothing else does meanwhile.
    Without a primary key, no row is a version of another.
    """
    current = Current([])
    key = list(config.primary_key)
    newest = _Landed(config, bucket, key).newest(parts, older) if key and parts else None
    if newest is None:
        current.parts += parts
        return current
    for number, part in enumerate(parts):
        if any(pc.any(stale).as_py() for stale in _stale(part, newest, key)):
            into = folder / f"current-{number:05d}"
            into.mkdir()
            _rewrite(part, newest, key, into, current)
        else:
            current.parts.append(part)
    return current


def superseded_rows(
    config: StreamConfig, bucket: Bucket, rows: pa.Table, landed: Sequence[str] | None = None
) -> list[int]:
    """Positions of the rows, of which only key and version are known, that are older than a landed
    version: in the files `landed`, or in any."""
    key = list(config.primary_key)
    if not rows.num_rows:
        return []
    among = _Landed(config, bucket, key)
    oldest = str(pc.min(rows[LOAD_ID]).as_py())
    files = among.files_since(oldest) if landed is None else landed
    newest = among.newest_in(files, oldest, rows.select(key).group_by(key).aggregate([]))
    if newest is None:
        return []
    stale = _is_stale(rows, newest, key)
    return [position for position, is_stale in enumerate(stale.to_pylist()) if is_stale]


class _Landed:
    def __init__(self, config: StreamConfig, bucket: Bucket, key: list[str]) -> None:
        self._paths = StreamPaths(config.source, config.stream)
        self._columns = columns_of(config, is_protected=True)
        self._bucket = bucket
        self._key = key

    def newest(self, parts: Sequence[Part], older: Collection[str]) -> pa.Table | None:
        """The newest landed version of each record that has one newer than the oldest of these
        rows; of other records than these, too, if there are many. None if there is none."""
        oldest = min(map(_oldest, parts))
        files = self.files_since(oldest, older)
        if not files:
            return None
        is_few = sum(part.rows for part in parts) <= _KEYS_IN_MEMORY
        return self.newest_in(files, oldest, _keys(parts, self._key) if is_few else None)

    def newest_in(
        self, files: Sequence[str], version: str, wanted: pa.Table | None
    ) -> pa.Table | None:
        """As `newest`, of the keys `wanted` or of all, in these files."""
        found = []
        for rows in self._rows_since(files, version):
            chosen = rows if wanted is None else rows.join(wanted, self._key, join_type="left semi")
            if chosen.num_rows:
                versions = chosen.select(self._key).append_column(
                    _LANDED, _numbers(chosen[LOAD_ID])
                )
                found.append(_newest_of(versions, self._key))
        if not found:
            return None
        return _newest_of(pa.concat_tables(found), self._key)

    def files_since(self, version: str, older: Collection[str] = ()) -> list[str]:
        after = self._paths.part(load_id_after(version, by=-_MARGIN), 0)
        return sorted(
            path
            for path in self._bucket.list(self._paths.data, after)
            if (load_id := load_id_of(path)) is not None
            and (load_id not in older or is_compacted(path))
        )

    def _rows_since(self, files: Sequence[str], version: str) -> Iterator[pa.Table]:
        """Keys, as they are now, and versions of the rows that are newer."""
        for path in files:
            try:
                with self._bucket.file(path) as opened, pq.ParquetFile(opened) as file:
                    for rows in _newer_rows(file, self._key, version):
                        key = {name: self._columns.refit(name, rows[name])[0] for name in self._key}
                        yield pa.table({**key, LOAD_ID: rows[LOAD_ID]})
            except pa.ArrowInvalid as error:
                raise BucketError(
                    f"{self._bucket.location(path)} is damaged ({error}): put an earlier version "
                    "of it back, or delete it"
                ) from None


def _newer_rows(file: pq.ParquetFile, key: Sequence[str], version: str) -> Iterator[pa.Table]:
    if not {*key, LOAD_ID} <= set(file.schema_arrow.names):
        return
    for number in range(file.num_row_groups):
        versions = _versions(file.metadata.row_group(number))
        if versions is not None and versions.max <= version:
            continue
        rows = file.read_row_group(number, columns=[*key, LOAD_ID])
        yield rows.filter(pc.greater(rows[LOAD_ID], version))


def _versions(group: pq.RowGroupMetaData) -> pq.Statistics | None:
    columns = map(group.column, reversed(range(group.num_columns)))  # the lineage comes last
    statistics = next(one.statistics for one in columns if one.path_in_schema == LOAD_ID)
    return statistics if statistics is not None and statistics.has_min_max else None


def _oldest(part: Part) -> str:
    metadata = pq.read_metadata(part.file)
    groups = [_versions(metadata.row_group(number)) for number in range(metadata.num_row_groups)]
    return str(min(group.min for group in groups if group is not None))  # our files have them


def _keys(parts: Sequence[Part], key: list[str]) -> pa.Table:
    tables = [pq.read_table(part.file, columns=key).select(key) for part in parts]
    return pa.concat_tables(tables).group_by(key).aggregate([])


def _newest_of(versions: pa.Table, key: list[str]) -> pa.Table:
    newest = versions.group_by(key).aggregate([(_LANDED, "max")])
    return newest.select([*key, f"{_LANDED}_max"]).rename_columns([*key, _LANDED])


def _stale(part: Part, newest: pa.Table, key: list[str]) -> Iterator[pa.Array]:
    """For each batch of a part, whether each row is older than the newest landed version."""
    with pq.ParquetFile(part.file) as file:
        for batch in file.iter_batches(columns=[*key, LOAD_ID]):
            yield _is_stale(pa.Table.from_batches([batch]), newest, key)


def _is_stale(rows: pa.Table, newest: pa.Table, key: list[str]) -> pa.Array:
    positions = pa.array(range(rows.num_rows), pa.int64())
    numbered = rows.select([*key, LOAD_ID]).append_column(_POSITION, positions)
    pairs = numbered.join(newest, key, join_type="inner")
    older = pairs.filter(pc.less(_numbers(pairs[LOAD_ID]), pairs[_LANDED]))
    return pc.is_in(positions, value_set=older[_POSITION].combine_chunks())


def _rewrite(part: Part, newest: pa.Table, key: list[str], folder: Path, current: Current) -> None:
    with pq.ParquetFile(part.file) as file:
        writer = PartWriter(folder, file.schema_arrow, sys.maxsize)
        for batch in file.iter_batches():
            rows = pa.Table.from_batches([batch])
            stale = _is_stale(rows, newest, key)
            gone = rows.filter(stale)
            current.superseded += gone.num_rows
            current.tombstones += tombstone_count(gone)
            if gone.num_rows < rows.num_rows:
                current.parts += writer.write(rows.filter(pc.invert(stale)))
        current.parts += writer.close()
    part.file.unlink()


def _numbers(load_ids: pa.ChunkedArray) -> pa.ChunkedArray:
    """In microseconds, of which Arrow finds the greatest of a group."""
    return pc.replace_substring(load_ids, ".", "").cast(pa.int64())
