"""Fields that a stream config gained, for rows that had landed before.

The stream is read for its primary key and those fields alone. What is read is put into the newest
landed version of each record, which lands again, complete, with a load id just above its own: so a
version that a live run lands meanwhile stays the newest.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from landing.backfill.joining import IS_DELETED, Parted, completed
from landing.backfill.reading import WindowExtraction
from landing.backfill.record import Backfill
from landing.backfill.running import Subject, bounds_of, finished, publish, subject
from landing.backfill.windows import Request, Window, shown
from landing.bucket import Bucket
from landing.catalog import StreamConfig
from landing.columns import columns_of
from landing.errors import BucketError, StreamError, UsageError, listed, nearest
from landing.failures import explained
from landing.fields import landing_fields
from landing.landing import Load
from landing.layout import is_compacted, load_id_of
from landing.lineage import LINEAGE_FIELDS
from landing.parts import PartWriter
from landing.report import Reporter, TableResult
from landing.sidebyside import Stop, waits
from landing.sources import Source
from landing.tombstones import is_tombstone
from landing.workspace import part_bytes

_TRIES = 3
"""To read all landed files, which a compaction may replace meanwhile."""


@dataclass(frozen=True)
class FieldsResult:
    read: int
    """Records that the stream gave."""
    rows: int
    files: int
    bytes: int
    unfit: int
    """Records whose values do not fit the fields' types."""
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
    subject: Subject
    request: Request
    window: Window | None
    """Of which the records are read; None for all."""

    def __str__(self) -> str:
        what = "all records" if self.window is None else f"records of {self.window}"
        return f"reads {', '.join(self.request.fields)} of {what}, for those that have landed"


def plan_fields(source: Source, stream: str, bucket: Bucket, request: Request) -> FieldsPlan:
    """Raises UsageError for fields that can't be backfilled alone, or a range that is none."""
    of = subject(source, stream, bucket)
    check_fields(of.config, request.fields)
    of.cursor()
    if request.by is not None or request.step is not None:
        raise UsageError("--fields is read in one go: leave --by and --step out")
    if request.start is None:
        if request.end is not None:
            raise UsageError("say by --from where to begin, or leave --to out as well")
        return FieldsPlan(of, request, None)
    start, end = bounds_of(of, of.cursor(), request)
    if not start < end:  # type: ignore[operator]
        raise UsageError(f"--from {shown(start)} is not before --to {shown(end)}")
    return FieldsPlan(of, request, Window(0, start, end))


def begin_fields(planned: FieldsPlan, *, again: bool, tell: Callable[[str], None]) -> Backfill:
    of, window = planned.subject, planned.window
    of.check_table()
    bounds = (window.start, window.end) if window is not None else None
    begun = of.records.begin(planned.request, bounds, 1, of.lease(tell), again=again)
    if begun.finished is not None:
        raise finished(begun)
    return begun


def run_fields(of: Subject, backfill: Backfill, reporter: Reporter) -> FieldsResult:
    """Land the rows that gain values. If it dies, it starts again from the beginning."""
    try:
        return _run(of, backfill, reporter, Stop())
    except Exception as error:
        what = f"stream '{of.name}'"
        told = explained(of.source.workspace, of.config.source, what, error)
        raise told from error if told is not error else None


def _run(of: Subject, backfill: Backfill, reporter: Reporter, stop: Stop) -> FieldsResult:
    schema = pa.schema([*columns_of(of.config).schema, *LINEAGE_FIELDS])
    with ExitStack() as stack:
        folders = [
            Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="landing-")))
            for _ in range(3)
        ]
        # Versions that land from here on are newer than the values that are read now.
        files, others = _landed(of, backfill, stop, reporter)
        read = _read(of, backfill, reporter, stop, folders[0])
        key = of.config.primary_key
        fresh = Parted(folders[1] / "fresh", key)
        for part in read.parts:
            with pq.ParquetFile(part.file) as file:
                for batch in file.iter_batches():
                    table = pa.Table.from_batches([batch])
                    # A deletion has no values to give; a live run lands it.
                    fresh.add(table.filter(pc.invert(is_tombstone(table))))
            part.file.unlink()
        landed = _read_landed(of, files, schema, folders[:2], stop, reporter)
        load = _load(of, backfill, stop, reporter)
        writer = PartWriter(folders[2], schema, part_bytes())
        for table in completed(landed, fresh, key, backfill.request.fields):
            load.parts.extend(writer.write(table))
        load.parts.extend(writer.close())
        _publish(of, backfill, load, others)
    table = of.update_table(waits(stop, lambda text: reporter.note(of.config.stream, text)))
    return FieldsResult(
        read=sum(part.rows for part in read.parts),
        rows=load.rows,
        files=len(load.files),
        bytes=load.bytes,
        unfit=read.quarantined,
        location=of.bucket.location(of.paths.data),
        table=table,
    )


class _Replaced(BucketError):
    """A file is not there any more, as its rows have become part of another one."""


def _read_landed(
    of: Subject,
    files: Sequence[str],
    schema: pa.Schema,
    folders: Sequence[Path],
    stop: Stop,
    reporter: Reporter,
) -> Parted:
    """The rows of these files; of those that were compacted meanwhile, from what they became."""
    last = files[-1] if files else ""
    for number in range(_TRIES):
        landed = Parted(folders[1] / f"landed{number}", of.config.primary_key)
        try:
            for path in files:
                stop.check()
                for table in _tables(of, path, schema, folders[0] / "landed.parquet"):
                    landed.add(table)
        except _Replaced:
            if number + 1 == _TRIES:
                raise
            landed.discard()
            files = _listed_again(of, last, stop, reporter)
        else:
            return landed
    raise AssertionError("the last try returns or raises")


def _listed_again(of: Subject, last: str, stop: Stop, reporter: Reporter) -> list[str]:
    """The files up to `last`: what landed after it is newer than the values that were read."""
    with of.lease(waits(stop, lambda text: reporter.note(of.config.stream, text))):
        files = _files(of)
    for path in files:
        if path > last and is_compacted(path):
            raise _Replaced(
                f"{of.bucket.location(path)} has rows that landed before their fields were read, "
                "and after it: run again"
            )
    return [path for path in files if path <= last]


def _tables(of: Subject, path: str, schema: pa.Schema, copy: Path) -> Iterator[pa.Table]:
    """The rows of a landed file in the columns of now."""
    if not of.bucket.download(path, copy):
        raise _Replaced(f"{of.bucket.location(path)} is not there any more: run again")
    try:
        with pq.ParquetFile(copy) as file:
            for batch in file.iter_batches():
                yield _as_now(of, path, schema, pa.Table.from_batches([batch]))
    except pa.ArrowInvalid as error:
        raise BucketError(f"{of.bucket.location(path)} is no parquet file ({error})") from error


def _as_now(of: Subject, path: str, schema: pa.Schema, table: pa.Table) -> pa.Table:
    columns = []
    protected = columns_of(of.config, is_protected=True)
    for field in schema:
        known = field.name in table.column_names
        column = table[field.name] if known else pa.nulls(table.num_rows, field.type)
        try:
            if known and _is_private(of, field.name):
                column = protected.refit(field.name, column)[0]
            columns.append(column.cast(field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise StreamError(
                f"stream '{of.name}': {of.bucket.location(path)} has '{field.name}' as "
                f"{column.type}, which can't become the {field.type} of {of.config.origin} "
                f"({error}), so its rows can't land again; backfill windows instead"
            ) from error
    return pa.table(
        [*columns, is_tombstone(table)], schema=schema.append(pa.field(IS_DELETED, pa.bool_()))
    )


def _is_private(of: Subject, name: str) -> bool:
    field = of.config.fields.get(name)
    return field is not None and (field.privacy is not None or field.has_private_parts)


def _landed(
    of: Subject, backfill: Backfill, stop: Stop, reporter: Reporter
) -> tuple[list[str], dict[str, dict[str, str]]]:
    """The files of the stream, at a moment when no load is half published, and what other
    backfills of fields have published by then."""
    with of.lease(waits(stop, lambda text: reporter.note(of.config.stream, text))):
        return _files(of), _others(of, backfill)


def _files(of: Subject) -> list[str]:
    return sorted(path for path in of.bucket.list(of.paths.data) if load_id_of(path))


def _others(of: Subject, backfill: Backfill) -> dict[str, dict[str, str]]:
    found = (other for other in of.records.all() if other.request.fields)
    return {other.id: other.stamps for other in found if other.id != backfill.id and other.stamps}


def _load(of: Subject, backfill: Backfill, stop: Stop, reporter: Reporter) -> Load:
    return Load(
        of.bucket,
        of.paths,
        of.lease(waits(stop, lambda text: reporter.note(of.config.stream, text))),
        backfill={
            "id": backfill.id,
            "from": backfill.start,
            "to": backfill.end,
            "fields": list(backfill.request.fields),
        },
    )


def _read(of: Subject, backfill: Backfill, reporter: Reporter, stop: Stop, folder: Path) -> Load:
    """Key and fields of the source's records, as parts on the local disk."""
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
    load = _load(of, backfill, stop, reporter)
    load.load_id = load.last_stamp = backfill.first_stamp
    quiet = _Quiet(reporter)
    with WindowExtraction(
        narrow, of.resource, quiet, folder, stop, of.cursor(), window
    ) as extraction:
        extraction.read(load)
    # A row of quarantine would land without the other fields: these stay as they are.
    return load


@dataclass(frozen=True)
class _Quiet(Reporter):
    """Progress alone: what does not fit is no record in quarantine here, and told as a number."""

    reporter: Reporter

    def progress(self, stream: str, rows: int) -> None:
        self.reporter.progress(stream, rows)


def _publish(
    of: Subject, backfill: Backfill, load: Load, others: dict[str, dict[str, str]]
) -> None:
    with load.lease:
        now = of.records.get(backfill.id)
        if now.finished is not None:
            raise finished(now)
        if now.stamps != backfill.stamps:
            # Its rows have the load ids that ours would have.
            raise StreamError(
                f"stream '{of.name}': another process published a part of the same meanwhile and "
                "died; start it again"
            )
        if load.parts and _others(of, backfill) != others:
            # Its rows would take the place of theirs, with the same load ids.
            raise StreamError(
                f"stream '{of.name}': another backfill landed other fields of the same rows "
                "meanwhile; start it again"
            )
        if load.parts:
            now.stamps = {"fields": uuid.uuid4().hex}
            of.records.put(now)
            publish(of, load)
        load.lease.confirm()
        now.rows = load.rows
        now.finished = datetime.now(UTC)
        of.records.put(now)
