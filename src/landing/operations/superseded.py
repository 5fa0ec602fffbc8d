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
import pyarrow.compute as pc
import pyarrow.parquet as pq

from landing.catalog.stream_config import StreamConfig
from landing.columns.conversion import columns_of
from landing.columns.tombstones import tombstone_count
from landing.errors import BucketError
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths, is_compacted, load_id_after, load_id_of
from landing.zone.lineage import LOAD_ID
from landing.zone.parts import Part, PartWriter
from landing.zone.publication import Load

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
    key = list(config.primary_key)
    current = Current([])
    versions = [_versions(part.file, key) for part in parts] if key else []
    newest = _newest(config, bucket, versions, older) if versions else None
    if newest is None:
        current.parts += parts
        return current
    for number, (part, own) in enumerate(zip(parts, versions, strict=True)):
        is_stale = _is_stale(own, newest, key)
        if not pc.any(is_stale).as_py():
            current.parts.append(part)
            continue
        into = folder / f"current-{number:05d}"
        into.mkdir()
        _rewrite(part, is_stale, into, current)
    return current


def leave_out_superseded(
    config: StreamConfig, load: Load, folder: Path, older: Collection[str] = ()
) -> None:
    """As `without_superseded`, with a load whose lease is taken; its record counts them."""
    current = without_superseded(config, load.bucket, load.parts, folder, older)
    load.parts = current.parts
    load.superseded = current.superseded
    load.deleted -= current.tombstones


def _versions(file: Path, key: Sequence[str]) -> pa.Table:
    return pq.read_table(file, columns=[*key, LOAD_ID]).select([*key, LOAD_ID])


def _newest(
    config: StreamConfig, bucket: Bucket, versions: Sequence[pa.Table], older: Collection[str]
) -> pa.Table | None:
    """The newest landed version of each of these records that has landed since the oldest."""
    key = list(config.primary_key)
    oldest = min(pc.min(table[LOAD_ID]).as_py() for table in versions)
    keys = pa.concat_tables(table.select(key) for table in versions)
    keys = keys.group_by(key).aggregate([])
    found = [
        rows.join(keys, key, join_type="left semi")
        for rows in _landed_since(config, bucket, oldest, keys.schema, older)
    ]
    if not any(rows.num_rows for rows in found):
        return None
    together = pa.concat_tables(found)
    numbers = pa.table({**_columns(together, key), _LANDED: _numbers(together[LOAD_ID])})
    newest = numbers.group_by(key).aggregate([(_LANDED, "max")])
    return newest.select([*key, f"{_LANDED}_max"]).rename_columns([*key, _LANDED])


def _landed_since(
    config: StreamConfig,
    bucket: Bucket,
    version: str,
    schema: pa.Schema,
    older: Collection[str],
) -> Iterator[pa.Table]:
    """Keys and versions of the rows in files that may have a newer one."""
    columns = columns_of(config, is_protected=True)
    paths = StreamPaths(config.source, config.stream)
    after = paths.part(load_id_after(version, by=-_MARGIN), 0)
    for path in sorted(bucket.list(paths.data, after)):
        load_id = load_id_of(path)
        if load_id is None or (load_id in older and not is_compacted(path)):
            continue
        try:
            with bucket.file(path) as opened, pq.ParquetFile(opened) as file:
                for rows in _newer_rows(file, schema.names, version):
                    key = {name: columns.refit(name, rows[name])[0] for name in schema.names}
                    yield pa.table({**key, LOAD_ID: rows[LOAD_ID]})
        except pa.ArrowInvalid as error:
            raise BucketError(
                f"{bucket.location(path)} is damaged ({error}): put an earlier version of it back, "
                "or delete it"
            ) from None


def _newer_rows(file: pq.ParquetFile, key: Sequence[str], version: str) -> Iterator[pa.Table]:
    """Keys and versions of the rows that are newer."""
    if not {*key, LOAD_ID} <= set(file.schema_arrow.names):
        return
    for number in range(file.num_row_groups):
        if not _may_have_newer(file.metadata.row_group(number), version):
            continue
        rows = file.read_row_group(number, columns=[*key, LOAD_ID])
        yield rows.filter(pc.greater(rows[LOAD_ID], version))


def _may_have_newer(group: pq.RowGroupMetaData, version: str) -> bool:
    columns = map(group.column, reversed(range(group.num_columns)))  # the lineage comes last
    statistics = next(one.statistics for one in columns if one.path_in_schema == LOAD_ID)
    return statistics is None or not statistics.has_min_max or statistics.max > version


def _is_stale(versions: pa.Table, newest: pa.Table, key: list[str]) -> pa.Array:
    """Whether each row is older than the newest landed version of its record."""
    positions = pa.array(range(versions.num_rows), pa.int64())
    numbered = versions.append_column(_POSITION, positions)
    pairs = numbered.join(newest, key, join_type="inner")
    older = pairs.filter(pc.less(_numbers(pairs[LOAD_ID]), pairs[_LANDED]))
    return pc.is_in(positions, value_set=older[_POSITION].combine_chunks())


def _rewrite(part: Part, is_stale: pa.Array, folder: Path, current: Current) -> None:
    with pq.ParquetFile(part.file) as file:
        writer = PartWriter(folder, file.schema_arrow, sys.maxsize)
        start = 0
        for batch in file.iter_batches():
            rows = pa.Table.from_batches([batch])
            stale = is_stale[start : start + rows.num_rows]
            start += rows.num_rows
            gone = rows.filter(stale)
            current.superseded += gone.num_rows
            current.tombstones += tombstone_count(gone)
            if gone.num_rows < rows.num_rows:
                current.parts += writer.write(rows.filter(pc.invert(stale)))
        current.parts += writer.close()
    part.file.unlink()


def _columns(table: pa.Table, names: Sequence[str]) -> dict[str, pa.ChunkedArray]:
    return {name: table[name] for name in names}


def _numbers(load_ids: pa.ChunkedArray) -> pa.ChunkedArray:
    """In microseconds, of which Arrow finds the greatest of a group."""
    return pc.replace_substring(load_ids, ".", "").cast(pa.int64())
