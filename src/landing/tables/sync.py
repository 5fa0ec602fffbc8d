"""Updates a table from the landing zone, or makes it again.

Everything happens under the stream's lease and after its state was written. A process that dies
here leaves a table that is behind, or ahead of its marker; the next run reads again everything
after the marker.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import reduce
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from landing.catalog.stream_config import StreamConfig
from landing.errors import LeaseHeld, TableError
from landing.results import TableResult
from landing.secrets import redacted
from landing.tables.formats import check_place, open_table
from landing.tables.landed import Batch, Landed
from landing.tables.marker import Marker, check_marker, read_marker, write_marker
from landing.tables.place import Place
from landing.tables.snapshot import TableSnapshot
from landing.tables.table import Counts, plain
from landing.tables.winners import changes, keyless
from landing.zone.bucket import Bucket
from landing.zone.lease import Lease
from landing.zone.waiting import waited, waited_write

_BUGS = (
    AssertionError,
    AttributeError,
    IndexError,
    KeyError,
    NameError,
    NotImplementedError,
    RecursionError,
    TypeError,
)
"""What no bucket, table or config causes, if it was raised in this package."""


class TableSync:
    """Syncs the table of one stream. Callers of `update` and `rebuild` have the stream's lease."""

    def __init__(self, place: Place, config: StreamConfig, bucket: Bucket) -> None:
        self._place = place
        self._config = config
        self._bucket = bucket
        self._landed = Landed(bucket, config)
        self._paths = self._landed.paths
        self._table = open_table(place, config.primary_key, config.cursor_field)
        self._keyless = 0

    def check(self) -> None:
        """Raises CatalogError if the table was made with another config, and BucketError or
        SettingsError if no table can be written."""
        self._marker()
        check_place(self._place)

    def _marker(self) -> Marker | None:
        """None if there is no marker, or if it is of a table elsewhere: a new table is made."""
        marker = read_marker(self._bucket, self._paths)
        if marker is None or (marker.format, marker.location) != (
            self._place.format,
            self._place.location,
        ):
            return None
        check_marker(marker, self._config, self._landed.schema)
        return marker

    def update(self, lease: Lease) -> TableResult:
        """Adds what has landed since the last update. Raises TableError."""
        with self._completed_later():
            marker = self._marker()
            present = waited(self._table.columns)
            if self._config.destination_sync_mode == "overwrite":
                return self._overwritten(lease, marker if present is not None else None)
            if marker is None or present is None:
                return self._made(lease)
            return self._merged(lease, marker, present)

    def rebuild(self, lease: Lease) -> TableResult:
        """Makes the table again from the landing zone; readers see the old one until it is done."""
        return self._made(lease)

    @contextmanager
    def _completed_later(self) -> Iterator[None]:
        try:
            yield
        except LeaseHeld:
            raise
        except _BUGS as error:
            if not _is_ours(error):
                raise self._failed(error) from error
            raise TableError(
                f"{self._is_behind()}, because of a bug in dlt-landing "
                f"({type(error).__name__}: {redacted(plain(str(error)))}); nothing of yours is "
                "wrong, and the next run tries again",
                remedy="`--debug` shows where it happened; report that, please",
            ) from error
        except Exception as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> TableError:
        name = f"{self._config.source} {self._config.stream}"
        return TableError(
            f"{self._is_behind()}: {redacted(plain(str(error)))}; the next run completes it, "
            f"or `landing rebuild {name}` if it is damaged"
        )

    def _is_behind(self) -> str:
        return (
            f"stream '{self._config.source}/{self._config.stream}': all that was read has landed, "
            f"but the table at {self._place.location} is behind"
        )

    def _merged(self, lease: Lease, marker: Marker, present: pa.Schema) -> TableResult:
        schema = self._evolved(present)
        counts: list[Counts] = []
        for batch in self._landed.batches(marker.path):
            changed = self._changes(batch)
            lease.check()
            if changed.num_rows:
                counts.append(waited_write(self._table.upsert, _widened(changed, schema)))
            if batch.is_whole:
                lease.check()
                self._mark(batch.path, None, reduce(Counts.__add__, counts, Counts()), marker)
        total = reduce(Counts.__add__, counts, Counts())
        return self._result(total)

    def _evolved(self, present: pa.Schema) -> pa.Schema:
        """The table's columns, after adding those that are new in the config."""
        new = [field for field in self._landed.schema if field.name not in present.names]
        if new:
            self._table.add_columns(new)
        return pa.schema([*present, *new])

    def _changes(self, batch: Batch) -> pa.Table:
        key = self._config.primary_key
        self._keyless += keyless(batch.rows, key)
        earlier = self._landed.earlier(batch, key) if pc.any(batch.late).as_py() else None
        rows = batch.rows
        if earlier is not None:
            rows = pa.concat_tables([earlier, rows], promote_options="default")
        return changes(rows, key, self._config.cursor_field)

    def _overwritten(self, lease: Lease, marker: Marker | None) -> TableResult:
        load_id = self._newest_snapshot(marker.load_id if marker else None)
        is_new = marker is None or marker.load_id != load_id
        if load_id is None or not (is_new or self._landed.files(marker.path if marker else None)):
            return self._result(Counts())
        return self._made(lease, load_id)

    def _newest_snapshot(self, known: str | None) -> str | None:
        """Load id of the last complete full refresh; one that died has no load record."""
        after = self._paths.load_record(known) if known else None
        for path in sorted(self._bucket.list(self._paths.load_records, after), reverse=True):
            stored = self._bucket.get(path)
            record = json.loads(stored.data) if stored else {}
            if record.get("sync_mode") == "full_refresh" and record.get("load_id"):
                return str(record["load_id"])
        return known

    def _made(self, lease: Lease, load_id: str | None = None) -> TableResult:
        config = self._config
        if config.destination_sync_mode == "overwrite":
            load_id = load_id or self._newest_snapshot(None)
        with tempfile.TemporaryDirectory(prefix="landing-") as folder:
            snapshot = TableSnapshot(
                self._landed, config, self._row_versions(load_id), Path(folder)
            )
            lease.check()
            with snapshot.unmasked():
                waited_write(self._table.replace, snapshot.reader(), lease.check)
        self._keyless = snapshot.keyless
        lease.check()
        self._mark(snapshot.last_path, load_id, Counts(snapshot.rows), None)
        return self._result(Counts(snapshot.rows), is_new=True)

    def _row_versions(self, load_id: str | None) -> tuple[str, str] | None:
        """The first and the last load id of a full refresh's rows."""
        if load_id is None:
            return None
        stored = self._bucket.get(self._paths.load_record(load_id))
        record = json.loads(stored.data) if stored else {}
        return load_id, record.get("last_stamp") or load_id

    def _mark(
        self, path: str | None, load_id: str | None, counts: Counts, before: Marker | None
    ) -> None:
        schema = self._landed.schema
        columns = dict(before.columns) if before else {}
        marker = Marker(
            format=self._place.format,
            location=self._place.location,
            mode=self._config.destination_sync_mode,
            primary_key=list(self._config.primary_key),
            cursor_field=self._config.cursor_field,
            columns=columns | {field.name: str(field.type) for field in schema},
            privacy=(before.privacy if before else {})
            | {name: f.privacy for name, f in self._config.fields.items() if f.privacy},
            path=path,
            load_id=load_id,
            updated=datetime.now(UTC),
            upserted=counts.upserted,
            removed=counts.removed,
        )
        write_marker(self._bucket, self._paths, marker)

    def _result(self, counts: Counts, *, is_new: bool = False) -> TableResult:
        return TableResult(
            format=self._place.format,
            location=self._place.location,
            is_new=is_new,
            upserted=counts.upserted,
            inserted=counts.upserted if is_new else counts.inserted,
            removed=counts.removed,
            keyless=self._keyless,
            conversion_errors=dict(self._landed.conversion_errors),
        )


def _widened(changed: pa.Table, schema: pa.Schema) -> pa.Table:
    """Adds nulls for columns that are no longer in the config."""
    for field in schema:
        if field.name not in changed.schema.names:
            changed = changed.append_column(field.name, pa.nulls(len(changed), field.type))
    return changed


def _is_ours(error: BaseException) -> bool:
    """Whether the error was raised in this package, and not in a library by what it has read."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith("landing.")
