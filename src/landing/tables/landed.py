"""Reads a stream's landed files for its table: in order, one row group at a time, converted to the
columns of the present stream config."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from landing.catalog.fields import DELETED_AT
from landing.catalog.stream_config import StreamConfig
from landing.columns.conversion import columns_of
from landing.columns.tombstones import is_tombstone
from landing.errors import TableError
from landing.tables.winners import among
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths, load_id_after, load_id_of
from landing.zone.lineage import LINEAGE_FIELDS, LOAD_ID

BATCH_ROWS = 250_000
BATCH_BYTES = 128 * 1024 * 1024
_FILE = "_dlt_file"
_LINEAGE = tuple(field.name for field in LINEAGE_FIELDS)
_MARGIN = Decimal(1)
"""Seconds; more than a row version can be above the load id of its file."""


@dataclass(frozen=True)
class RowGroup:
    """A row group of a landed file."""

    path: str
    number: int
    is_last: bool
    """Whether it is the last of its file."""
    file: pq.ParquetFile

    @property
    def row_count(self) -> int:
        return int(self.file.metadata.row_group(self.number).num_rows)

    @property
    def has_tombstones(self) -> bool:
        statistics = self._statistics(DELETED_AT)
        if statistics is None:
            return DELETED_AT in self.file.schema_arrow.names
        return not statistics.has_null_count or statistics.null_count < self.row_count

    def may_have(self, first: str, last: str) -> bool:
        """Whether a row may have a load id from `first` to `last`."""
        statistics = self._statistics(LOAD_ID)
        if statistics is None or not statistics.has_min_max:
            return True
        return bool(statistics.min <= last and first <= statistics.max)

    def _statistics(self, name: str) -> pq.Statistics | None:
        group = self.file.metadata.row_group(self.number)
        for index in range(group.num_columns):
            if group.column(index).path_in_schema == name:
                return group.column(index).statistics
        return None


@dataclass(frozen=True)
class Batch:
    rows: pa.Table
    """With the column DELETED_AT if one of the files has it."""
    late: pa.Array
    """A boolean per row: whether it may be older than rows that landed before it. Rows from
    quarantine may, and so may the rest of a load that began in an earlier batch."""
    path: str
    """The file that the last row is in."""
    is_whole: bool
    """Whether the last row is the last of its file."""


class Landed:
    """The landed files of one stream."""

    def __init__(self, bucket: Bucket, config: StreamConfig) -> None:
        self.paths = StreamPaths(config.source, config.stream)
        self.conversion_errors: dict[str, int] = {}
        """Number of values of older files, by column, that don't fit the column's current type."""
        self._bucket = bucket
        self._columns = columns_of(config, is_protected=True)
        nullable = [field.with_nullable(True) for field in LINEAGE_FIELDS]
        # The table has no deleted records, and so no time of deletion.
        lasting = [field for field in self._columns.schema if field.name != DELETED_AT]
        self.schema = pa.schema([*lasting, *nullable])
        self._without_tombstones: set[str] = set()
        """Files known to have no tombstones."""

    def files(self, after: str | None = None) -> list[str]:
        """The files that sort after a path, in the order in which readers read them."""
        return sorted(
            path for path in self._bucket.list(self.paths.data, after) if load_id_of(path)
        )

    def groups(self, path: str) -> Iterator[RowGroup]:
        try:
            with self._bucket.file(path) as opened:
                file = pq.ParquetFile(pa.PythonFile(opened, mode="r"), pre_buffer=True)
                count = file.num_row_groups
                for number in range(count):
                    yield RowGroup(path, number, number == count - 1, file)
        except pa.ArrowInvalid as error:
            raise TableError(
                f"{self._bucket.location(path)} is damaged ({error}): put an earlier version of "
                "it back, or delete it"
            ) from None

    def rows(self, group: RowGroup, names: Sequence[str] | None = None) -> pa.Table:
        """A row group's columns of these names, or all, and DELETED_AT if the file has it."""
        wanted = [name for name in self.schema.names if names is None or name in names]
        present = set(group.file.schema_arrow.names).intersection([*wanted, DELETED_AT])
        table = group.file.read_row_group(group.number, columns=sorted(present))
        columns = {name: self._column(table, name) for name in wanted}
        if DELETED_AT in present:
            columns[DELETED_AT] = table[DELETED_AT]
        return pa.table(columns)

    def _column(self, table: pa.Table, name: str) -> pa.ChunkedArray:
        if name in _LINEAGE:
            return table[name]
        if name not in table.schema.names:
            return pa.chunked_array([pa.nulls(table.num_rows, self.schema.field(name).type)])
        values, errors = self._columns.refit(name, table[name])
        if errors:
            self.conversion_errors[name] = self.conversion_errors.get(name, 0) + errors
        return values

    def batches(self, after: str | None) -> Iterator[Batch]:
        """All rows of the files after a path; many small files make one batch."""
        pending: list[pa.Table] = []
        group: RowGroup | None = None
        for path in self.files(after):
            for group in self.groups(path):
                rows = self.rows(group)
                pending.append(rows.append_column(_FILE, pa.repeat(_load_id(path), len(rows))))
                if _is_full(pending):
                    yield _batch(pending, path, group.is_last, begun=after)
                    pending, after = [], path
        if pending and group is not None:
            yield _batch(pending, group.path, True, begun=after)

    def earlier(self, batch: Batch, key: Sequence[str]) -> pa.Table | None:
        """Rows that landed before a batch and affect its late rows: tombstones that remove them,
        and, if a tombstone itself is late, rows that it does not remove."""
        found: list[pa.Table] = []
        for is_late, only_tombstones in (
            (pc.and_(batch.late, pc.invert(is_tombstone(batch.rows))), True),
            (pc.and_(batch.late, is_tombstone(batch.rows)), False),
        ):
            late = batch.rows.select([*key, LOAD_ID]).filter(is_late)
            if late.num_rows:
                found += self._versions(late, key, batch.path, only_tombstones=only_tombstones)
        return pa.concat_tables(found, promote_options="default") if found else None

    def _versions(
        self, late: pa.Table, key: Sequence[str], until: str, *, only_tombstones: bool
    ) -> Iterator[pa.Table]:
        since = load_id_after(pc.min(late[LOAD_ID]).as_py(), by=-_MARGIN)
        for path in self.files(self.paths.part(since, 0)):
            if path > until:
                break
            if only_tombstones and path in self._without_tombstones:
                continue
            has_any = False
            for group in self.groups(path):
                has_any = has_any or group.has_tombstones
                if only_tombstones and not group.has_tombstones:
                    continue
                candidates = self.rows(group, (*key, LOAD_ID))
                chosen = among(late, candidates, key, only_tombstones=only_tombstones)
                if len(chosen):
                    yield self.rows(group).take(chosen)
            if not has_any:
                self._without_tombstones.add(path)


def _load_id(path: str) -> str:
    return load_id_of(path) or ""


def _is_full(pending: list[pa.Table]) -> bool:
    rows = sum(table.num_rows for table in pending)
    size = sum(table.nbytes for table in pending)
    return bool(rows >= BATCH_ROWS or size >= BATCH_BYTES)


def _batch(pending: list[pa.Table], path: str, is_whole: bool, *, begun: str | None) -> Batch:
    rows = pa.concat_tables(pending, promote_options="default")
    late = pc.or_(pc.less(rows[LOAD_ID], rows[_FILE]), pc.equal(rows[_FILE], _load_id(begun or "")))
    return Batch(rows.drop_columns([_FILE]), late, path, is_whole)
