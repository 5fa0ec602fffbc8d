"""Backfills fields that were added to a stream config, for rows that landed without them.

Only the primary key and those fields are read from the source. Their values go into the newest
landed version of each record, which lands again, complete, with a load id just above its own: a
version that a live run lands meanwhile stays the newest.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from landing.catalog.fields import landing_fields
from landing.catalog.settings import part_bytes
from landing.catalog.stream_config import StreamConfig
from landing.columns.conversion import columns_of
from landing.columns.tombstones import is_tombstone
from landing.errors import StreamError, UsageError, counted, listed, nearest
from landing.events import Emit, Event, RowsRead
from landing.extraction.side_by_side import Stop
from landing.extraction.sources import Source
from landing.operations.backfill.joining import Parted, completed
from landing.operations.backfill.landed import landed_files, read_landed
from landing.operations.backfill.planning import bounds_of, finished
from landing.operations.backfill.publishing import publish
from landing.operations.backfill.reading import WindowRows, read_window
from landing.operations.backfill.record import Backfill
from landing.operations.backfill.subject import BackfilledStream, message_if_table_fails, subject
from landing.operations.backfill.windows import Request, Window, shown
from landing.operations.superseded import leave_out_superseded
from landing.results import TableResult
from landing.zone.bucket import Bucket
from landing.zone.lineage import LINEAGE_FIELDS
from landing.zone.parts import PartWriter
from landing.zone.publication import Load


@dataclass(frozen=True)
class FieldsResult:
    source: str
    stream: str
    fields: tuple[str, ...]
    read: int
    """Records that were read from the source."""
    rows: int
    files: int
    bytes: int
    unfit: int
    """Records whose values do not fit the fields' types."""
    superseded: int
    """Rows that did not land because newer versions of their records have landed meanwhile."""
    location: str
    table: TableResult | None


def check_fields(config: StreamConfig, names: Sequence[str]) -> None:
    """Raises UsageError for fields that can't be backfilled alone."""
    if not config.primary_key:
        raise UsageError(
            f"{config.origin}: primary_key: is missing, by which --fields finds the rows that the "
            "values belong to"
        )
    known = landing_fields(config.fields)
    for name in names:
        if name not in known:
            raise UsageError(
                f"--fields: '{name}' is not in the fields of {config.origin} that land"
                f"{nearest(name, known)}; there are: {listed(known)}"
            )
        if name in (*config.primary_key, config.cursor_field):
            raise UsageError(f"--fields: '{name}' is the primary key or the cursor, and has landed")


@dataclass(frozen=True)
class FieldsPlan:
    subject: BackfilledStream
    request: Request
    window: Window | None
    """The window whose records are read; None for all records."""

    def __str__(self) -> str:
        what = "all records" if self.window is None else f"records of {self.window}"
        return f"reads {', '.join(self.request.fields)} of {what}, for those that have landed"


def plan_fields(source: Source, stream: str, bucket: Bucket, request: Request) -> FieldsPlan:
    """Raises UsageError for fields that can't be backfilled alone, or an invalid range."""
    of = subject(source, stream, bucket)
    check_fields(of.config, request.fields)
    of.cursor()
    if request.by is not None or request.step is not None:
        raise UsageError("--fields is read in one go: leave --by and --step out")
    if request.start is None:
        if request.end is not None:
            raise UsageError("set --from, or leave --to out as well")
        return FieldsPlan(of, request, None)
    start, end = bounds_of(of, of.cursor(), request)
    if not start < end:  # type: ignore[operator]
        raise UsageError(f"--from {shown(start)} is not before --to {shown(end)}")
    return FieldsPlan(of, request, Window(0, start, end))


def begin_fields(planned: FieldsPlan, *, again: bool, notify: Callable[[str], None]) -> Backfill:
    of, window = planned.subject, planned.window
    of.check_table()
    bounds = (window.start, window.end) if window is not None else None
    begun = of.records.begin(planned.request, bounds, 1, of.lease(notify), again=again)
    if begun.finished is not None:
        raise finished(begun)
    return begun


def run_fields(of: BackfilledStream, backfill: Backfill, emit: Emit) -> FieldsResult:
    """Land the rows that gain values. If it dies, it starts again from the beginning."""
    try:
        return _run(of, backfill, emit, Stop())
    except Exception as error:
        message = of.source.explained(of.config.stream, error)
        raise message from error if message is not error else None


def _run(of: BackfilledStream, backfill: Backfill, emit: Emit, stop: Stop) -> FieldsResult:
    schema = pa.schema([*columns_of(of.config).schema, *LINEAGE_FIELDS])
    with ExitStack() as stack:
        folders = [
            Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="landing-")))
            for _ in range(3)
        ]
        # List files before reading: versions that land from here on are newer than these values.
        # Under the lease, so that no load is half published.
        with of.lease(of.waiting(stop, emit)):
            files, others = landed_files(of), _others(of, backfill)
        read = _read(of, backfill, emit, stop, folders[0])
        key = of.config.primary_key
        fresh = Parted(folders[1] / "fresh", key)
        for part in read.parts:
            with pq.ParquetFile(part.file) as file:
                for batch in file.iter_batches():
                    table = pa.Table.from_batches([batch])
                    # A deletion has no values to give; a live run lands it.
                    fresh.add(table.filter(pc.invert(is_tombstone(table))))
            part.file.unlink()
        landed = read_landed(of, files, schema, folders[:2], stop, emit)
        load = _load(of, backfill, stop, emit)
        writer = PartWriter(folders[2], schema, part_bytes())
        for table in completed(landed, fresh, key, backfill.request.fields):
            load.parts.extend(writer.write(table))
        load.parts.extend(writer.close())
        _publish(of, backfill, load, others, folders[2])
    with message_if_table_fails(of, emit, [f"{counted(load.rows, 'row')} landed"]):
        table = of.update_table(of.waiting(stop, emit))
    return FieldsResult(
        source=of.config.source,
        stream=of.config.stream,
        fields=backfill.request.fields,
        read=sum(part.rows for part in read.parts),
        rows=load.rows,
        files=len(load.files),
        bytes=load.bytes,
        unfit=read.quarantined,
        superseded=load.superseded,
        location=of.bucket.location(of.paths.data),
        table=table,
    )


def _others(of: BackfilledStream, backfill: Backfill) -> dict[str, dict[str, str]]:
    """What other field backfills have published."""
    found = (other for other in of.records.all() if other.request.fields)
    return {
        other.id: other.row_versions
        for other in found
        if other.id != backfill.id and other.row_versions
    }


def _load(of: BackfilledStream, backfill: Backfill, stop: Stop, emit: Emit) -> Load:
    return Load(
        of.bucket,
        of.paths,
        of.lease(of.waiting(stop, emit)),
        backfill={
            "id": backfill.id,
            "from": backfill.start,
            "to": backfill.end,
            "fields": list(backfill.request.fields),
        },
    )


def _read(of: BackfilledStream, backfill: Backfill, emit: Emit, stop: Stop, folder: Path) -> Load:
    """Read keys and fields of the source's records into parts on the local disk."""
    config = of.config
    wanted = {*config.primary_key, config.cursor_field, *backfill.request.fields}
    narrow = replace(
        config,
        fields={name: field for name, field in config.fields.items() if name in wanted},
        discovered={**config.fields, **config.discovered},
        quarantine_limit=None,
        on_drift="report",
    )
    window = None
    if backfill.start is not None and backfill.end is not None:
        window = Window(0, backfill.start, backfill.end)
    load = _load(of, backfill, stop, emit)
    load.load_id = load.last_row_version = backfill.first_row_version

    def progress(event: Event) -> None:
        """Drop notes: rows that do not fit are counted in the result, not quarantined."""
        if isinstance(event, RowsRead):
            emit(event)

    rows = WindowRows(of.cursor(), window)
    read_window(narrow, of.resource, rows, load, folder, progress, stop)
    # Nothing is quarantined: such a row would later land without its other fields.
    return load


def _publish(
    of: BackfilledStream,
    backfill: Backfill,
    load: Load,
    others: dict[str, dict[str, str]],
    folder: Path,
) -> None:
    with load.lease:
        records = of.records
        now = records.get(backfill.id)
        if now.finished is not None:
            raise finished(now)
        if now.row_versions != backfill.row_versions:
            # That process used the load ids that our rows would have.
            raise StreamError(
                f"stream '{of.name}': another process published a part of the same meanwhile and "
                "died; start it again"
            )
        if load.parts and _others(of, backfill) != others:
            # Our rows would replace theirs, with the same load ids.
            raise StreamError(
                f"stream '{of.name}': another backfill landed other fields of the same rows "
                "meanwhile; start it again"
            )
        leave_out_superseded(of.config, load, folder)
        if load.parts:
            now.row_versions = {"fields": uuid.uuid4().hex}
            records.put(now, load.lease)
            publish(of, load)
        load.lease.confirm()
        now.rows = load.rows
        now.finished = datetime.now(UTC)
        records.put(now, load.lease)
