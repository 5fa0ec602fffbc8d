"""All rows of a table, read from the landing zone in bounded memory.

The files are read twice: first the columns that decide which rows are current, which DuckDB sorts
on disk, and then the current rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from landing.catalog.stream_config import StreamConfig
from landing.tables.landed import Landed, RowGroup
from landing.tables.winners import Winners, keyless, narrow
from landing.zone.lineage import LOAD_ID, ROW_ID


class TableSnapshot:
    """The current rows of a stream, or, with `row_versions`, the rows of one full refresh: those
    with a load id from the first to the second, since a record's versions have their own ids."""

    def __init__(
        self,
        landed: Landed,
        config: StreamConfig,
        row_versions: tuple[str, str] | None,
        folder: Path,
    ) -> None:
        self.rows = 0
        """Rows that were read so far."""
        self.keyless = 0
        self._landed = landed
        self._row_versions = row_versions
        self._is_whole = config.destination_sync_mode == "overwrite"
        # A compaction that died may leave a row in two files; its row id makes it one again.
        self._key = config.primary_key or (ROW_ID,)
        # In a full refresh, the row that came last wins.
        self._cursor = None if self._is_whole else config.cursor_field
        self._folder = folder
        self._failure: Exception | None = None
        self._files = self._relevant()
        self.last_path = self._all[-1] if self._all else None

    def _relevant(self) -> list[str]:
        self._all = self._landed.files()
        if not self._is_whole:
            return self._all
        if self._row_versions is None:
            return []
        day = self._landed.paths.part(self._row_versions[0], 0).rpartition("/")[0]
        return [path for path in self._all if path > day]

    def reader(self) -> pa.RecordBatchReader:
        return pa.RecordBatchReader.from_batches(self._landed.schema, self._batches())

    @contextmanager
    def unmasked(self) -> Iterator[None]:
        """Raises our own error if reading fails inside another library, whose error says less."""
        try:
            yield
        except Exception:
            if self._failure is not None:
                raise self._failure from None
            raise

    def _batches(self) -> Iterator[pa.RecordBatch]:
        try:
            for table in self._current():
                self.rows += table.num_rows
                yield from table.combine_chunks().to_batches()
        except Exception as error:
            self._failure = error
            raise

    def _current(self) -> Iterator[pa.Table]:
        winners = Winners(self._folder, len(self._key), keyless=self._is_whole)
        try:
            for start, group in self._groups():
                winners.add(self._narrow(group, start))
            yield from self._taken(winners.positions())
        finally:
            winners.close()

    def _narrow(self, group: RowGroup, start: int) -> pa.Table:
        names = [*self._key, LOAD_ID, *([self._cursor] if self._cursor else [])]
        rows = self._landed.rows(group, names)
        versions = narrow(rows, self._key, self._cursor, start)
        if self._is_whole:
            assert self._row_versions is not None, "_relevant returns no files without it"
            first, last = self._row_versions
            of_load = pc.and_(
                pc.greater_equal(rows[LOAD_ID], first), pc.less_equal(rows[LOAD_ID], last)
            )
            return versions.filter(of_load)
        self.keyless += keyless(rows, self._key)
        return versions

    def _groups(self) -> Iterator[tuple[int, RowGroup]]:
        """Each row group with the position of its first row."""
        start = 0
        for path in self._files:
            for group in self._landed.groups(path):
                if self._row_versions is None or group.may_have(*self._row_versions):
                    yield start, group
                start += group.row_count

    def _taken(self, positions: Iterator[int]) -> Iterator[pa.Table]:
        position = next(positions, None)
        for start, group in self._groups():
            end = start + group.row_count
            chosen = []
            while position is not None and position < end:
                chosen.append(position - start)
                position = next(positions, None)
            if chosen:
                rows = self._landed.rows(group).select(self._landed.schema.names)
                yield rows.take(pa.array(chosen, pa.int64())).cast(self._landed.schema)
