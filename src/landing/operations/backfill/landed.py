"""Reads all landed rows of a stream in its current columns, for a backfill of fields."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from landing.columns.conversion import columns_of
from landing.columns.tombstones import is_tombstone
from landing.errors import BucketError, StreamError
from landing.events import Emit, Note
from landing.extraction.side_by_side import Stop, waits
from landing.operations.backfill.joining import IS_DELETED, Parted
from landing.operations.backfill.subject import BackfilledStream
from landing.zone.layout import is_compacted, load_id_of

_TRIES = 3
"""Attempts to read all files; a compaction may replace some of them meanwhile."""


def landed_files(of: BackfilledStream) -> list[str]:
    return sorted(path for path in of.bucket.list(of.paths.data) if load_id_of(path))


class _Replaced(BucketError):
    """A file is gone because a compaction merged its rows into another one."""


def read_landed(
    of: BackfilledStream,
    files: Sequence[str],
    schema: pa.Schema,
    folders: Sequence[Path],
    stop: Stop,
    emit: Emit,
) -> Parted:
    """The rows of these files; if some are compacted meanwhile, from their replacements."""
    last = files[-1] if files else ""
    number = 0
    while True:
        landed = Parted(folders[1] / f"landed{number}", of.config.primary_key)
        try:
            for path in files:
                stop.check()
                for table in _tables(of, path, schema, folders[0] / "landed.parquet"):
                    landed.add(table)
        except _Replaced:
            number += 1
            if number == _TRIES:
                raise
            landed.discard()
            files = _listed_again(of, last, stop, emit)
        else:
            return landed


def _listed_again(of: BackfilledStream, last: str, stop: Stop, emit: Emit) -> list[str]:
    """The files up to `last`; later ones are newer than the values that were read."""
    with of.lease(waits(stop, lambda text: emit(Note(of.config.stream, text)))):
        files = landed_files(of)
    for path in files:
        if path > last and is_compacted(path):
            raise _Replaced(
                f"{of.bucket.location(path)} has rows that landed before their fields were read, "
                "and after it: run again"
            )
    return [path for path in files if path <= last]


def _tables(of: BackfilledStream, path: str, schema: pa.Schema, copy: Path) -> Iterator[pa.Table]:
    """The rows of a landed file in the current columns."""
    if not of.bucket.download(path, copy):
        raise _Replaced(f"{of.bucket.location(path)} is not there any more: run again")
    try:
        with pq.ParquetFile(copy) as file:
            for batch in file.iter_batches():
                yield _as_now(of, path, schema, pa.Table.from_batches([batch]))
    except pa.ArrowInvalid as error:
        raise BucketError(f"{of.bucket.location(path)} is no parquet file ({error})") from error


def _as_now(of: BackfilledStream, path: str, schema: pa.Schema, table: pa.Table) -> pa.Table:
    columns = []
    protected = columns_of(of.config, is_protected=True)
    for field in schema:
        known = field.name in table.column_names
        column = table[field.name] if known else pa.nulls(table.num_rows, field.type)
        try:
            own = of.config.fields.get(field.name)
            if known and own is not None and own.is_private:
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
