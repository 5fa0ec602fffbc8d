"""Lands quarantined rows once their stream config fits them.

A row lands with the `_dlt_load_id` that it would have had in its own load, so that later versions
of its record stay the newest, but in files of a new load, so that no reader misses it. Parts are
published before rows are removed from quarantine: a kill in between loses no row, and the next
replay lands those rows again.
"""

from __future__ import annotations

import filecmp
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby, islice
from pathlib import Path
from typing import IO

import pyarrow as pa

from landing.catalog.settings import part_bytes
from landing.catalog.stream_config import StreamConfig
from landing.columns.conversion import columns_of
from landing.columns.tombstones import tombstone_count
from landing.extraction.kept_rows import NO_LINE, KeptRow, kept_line, read_line, row_json
from landing.extraction.pages import BATCH_ROWS
from landing.operations.quarantine_removal import (
    QuarantineCopy,
    Removal,
    copied_quarantine,
    move_lines,
    put_rest,
    record_removal,
    superseded_lines,
)
from landing.operations.superseded import without_superseded
from landing.results import TableResult
from landing.tables import table_sync_of
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths, time_of
from landing.zone.lease import Lease
from landing.zone.lineage import LINEAGE_FIELDS, with_lineage
from landing.zone.parts import Part, PartWriter
from landing.zone.publication import Load

NO_DELETES = "says that a record is deleted, which the stream no longer declares"
NO_JSON = "a record with values that JSON can't hold"


@dataclass(frozen=True)
class Staying:
    reason: str
    records: int


@dataclass(frozen=True)
class Replayed:
    source: str
    stream: str
    dry_run: bool
    rows: int
    files: int
    bytes: int
    location: str
    superseded: int
    """Records that do not land, because a newer version of them has."""
    stays: list[Staying]
    table: TableResult | None


def plan_replay(config: StreamConfig, bucket: Bucket) -> Replayed:
    """What `replay` would land; nothing is written."""
    paths = StreamPaths(config.source, config.stream)
    with tempfile.TemporaryDirectory(prefix="landing-") as folder:
        sorted_out = _SortedOut(config, bucket, paths, Path(folder))
        sorted_out.leave_out_superseded(config, bucket)
        return sorted_out.result(bucket, dry_run=True)


def replay(config: StreamConfig, bucket: Bucket) -> Replayed:
    """Land the quarantined rows that fit the current config.

    Raises LeaseHeld if a run of the stream is under way; waits for other publications.
    """
    paths = StreamPaths(config.source, config.stream)
    lease = Lease(bucket, paths.lease, f"{config.source}/{config.stream}", "publication")
    with lease, tempfile.TemporaryDirectory(prefix="landing-") as folder:
        table_sync = table_sync_of(config, bucket)
        if table_sync is not None:
            table_sync.check()
        sorted_out = _SortedOut(config, bucket, paths, Path(folder))
        sorted_out.leave_out_superseded(config, bucket)
        load = Load(bucket, paths, lease, parts=sorted_out.parts)
        if load.parts:
            load.superseded = sorted_out.superseded
            load.from_quarantine = sorted_out.loads
            load.deleted = sorted_out.deleted
            load.begin_outside_runs(sorted_out.schema)
            load.publish()
        sorted_out.take_out(bucket, lease)
        record_removal(bucket, paths, "superseded", sorted_out.removal)
        table = table_sync.update(lease) if table_sync is not None else None
        return sorted_out.result(bucket, dry_run=False, table=table)


class _SortedOut:
    """A stream's quarantine on the local disk: parts of rows that fit, files of rows that stay."""

    def __init__(
        self, config: StreamConfig, bucket: Bucket, paths: StreamPaths, folder: Path
    ) -> None:
        self.parts: list[Part] = []
        self.loads: list[str] = []
        """Ids of the loads whose quarantined rows land."""
        self.deleted = 0
        self.superseded = 0
        self._paths = paths
        self._folder = folder
        self._stays: Counter[str] = Counter()
        self._rests: list[QuarantineCopy] = []
        """What stays of each load."""
        self._changed: set[str] = set()
        """Paths of the loads of which something leaves."""
        self.removal = Removal()
        """Superseded records that do not fit."""
        self._columns = columns_of(config, is_protected=True)
        self.schema = pa.schema([*self._columns.schema, *LINEAGE_FIELDS])
        writer = PartWriter(folder, self.schema, part_bytes())
        for copy in copied_quarantine(bucket, paths, folder):
            self._sort_out(copy, writer)
        self.parts.extend(writer.close())

    def leave_out_superseded(self, config: StreamConfig, bucket: Bucket) -> None:
        """Rows of which a newer version has landed leave quarantine without landing, whether they
        fit or not."""
        self._leave_out_of_rest(config, bucket)
        current = without_superseded(config, bucket, self.parts, self._folder)
        self.parts = current.parts
        self.superseded += current.superseded
        self.deleted -= current.tombstones

    def _leave_out_of_rest(self, config: StreamConfig, bucket: Bucket) -> None:
        files = [rest.file for rest in self._rests]
        for rest, stale in zip(self._rests, superseded_lines(config, bucket, files), strict=True):
            if stale:
                all_lines = rest.file.rename(rest.file.with_suffix(".all"))
                move_lines(all_lines, rest.file, stale, rest.load_id, self.removal)
                self._changed.add(rest.path)
        self._stays.subtract(
            f"{field}: {reason}" for field, reason in self.removal.reasons.elements()
        )
        self._stays = +self._stays

    def _sort_out(self, copy: QuarantineCopy, writer: PartWriter) -> None:
        rest = copy.file.with_suffix(".rest")
        fitting = 0
        with copy.file.open("rb") as lines, rest.open("wb") as out:
            for table in self._fitting(lines, out):
                fitting += table.num_rows
                self.parts.extend(writer.write(table))
        if fitting:
            self.loads.append(copy.load_id)
        if not filecmp.cmp(rest, copy.file, shallow=False):
            self._changed.add(copy.path)
        self._rests.append(replace(copy, file=rest))
        copy.file.unlink()

    def _fitting(self, lines: Iterable[bytes], rest: IO[bytes]) -> Iterator[pa.Table]:
        """Rows that fit now, with their lineage; writes the other lines to `rest`."""
        kept = self._readable(lines, rest)
        for row_version, rows in groupby(kept, key=lambda row: row.row_version):
            while batch := list(islice(rows, BATCH_ROWS)):
                table = self._columns.dated(self._converted(batch, rest), time_of(row_version))
                self.deleted += tombstone_count(table)
                yield with_lineage(table, row_version)

    def _readable(self, lines: Iterable[bytes], rest: IO[bytes]) -> Iterator[KeptRow]:
        for line in lines:
            kept = read_line(line)
            if kept is None or isinstance(kept.row, str):
                self._stays[NO_LINE if kept is None else NO_JSON] += 1
                rest.write(line)
            elif kept.is_tombstone and self._columns.tombstones is None:
                self._stays[NO_DELETES] += 1
                rest.write(line)
            else:
                yield kept

    def _converted(self, batch: list[KeptRow], rest: IO[bytes]) -> pa.Table:
        rows = [kept.row for kept in batch if not isinstance(kept.row, str)]
        converted = self._columns.from_rows(rows, [kept.is_tombstone for kept in batch])
        for error in converted.errors:
            kept = batch[error.index]
            self._stays[f"{error.field}: {error.reason}"] += 1
            row = row_json(error.row)
            rest.write(kept_line(row, error, kept.load_id, kept.row_version))
        return converted.table

    def take_out(self, bucket: Bucket, lease: Lease) -> None:
        """Remove landed rows from quarantine; the rest stays, with current reasons."""
        for rest in self._rests:
            if rest.path in self._changed:
                lease.check()
                put_rest(bucket, rest)

    def result(
        self, bucket: Bucket, *, dry_run: bool, table: TableResult | None = None
    ) -> Replayed:
        return Replayed(
            source=self._paths.source,
            stream=self._paths.stream,
            dry_run=dry_run,
            rows=sum(part.rows for part in self.parts),
            files=len(self.parts),
            bytes=sum(part.bytes for part in self.parts),
            location=bucket.location(self._paths.data),
            superseded=self.superseded + self.removal.rows,
            stays=[Staying(reason, count) for reason, count in self._stays.most_common()],
            table=table,
        )
