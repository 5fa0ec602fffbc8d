"""Runs that are interrupted, in a temporary landing zone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from landing.catalog.fields import DELETED_AT
from landing.catalog.settings import BucketSettings
from landing.catalog.stream_config import StreamConfig
from landing.columns.conversion import Batch, Row
from landing.errors import BucketError
from landing.events import Event, Note
from landing.extraction.dlt_bridge import BaseItemTransform, DltResource, ItemTransform
from landing.extraction.failures import causes, raise_if_interrupted
from landing.operations.checks.subject import CheckedStream
from landing.operations.run import run_stream
from landing.zone.bucket import Bucket, StoredObject
from landing.zone.layout import StreamPaths
from landing.zone.lineage import LINEAGE_FIELDS


class Died(Exception):
    """Simulates the death of a process."""


class NothingDied(Exception):
    """A run that was meant to die completed, so resuming could not be tested."""


class _Cut(ItemTransform[Any, Any]):
    """Ends a stream after the page that reaches `rows`. With `dies`, raises Died at the next page
    instead, if there is one."""

    placement_affinity: ClassVar[float] = 2  # after the maps and filters of the source

    def __init__(self, rows: int, *, dies: bool) -> None:
        BaseItemTransform.__init__(self)
        self._rows = rows
        self._dies = dies

    def bind(self, pipe: Any) -> _Cut:
        self._generator = pipe.gen
        self._seen = 0
        return self

    def __call__(self, item: Any, meta: Any = None) -> Any:
        if item is None:
            return None
        if self._seen >= self._rows:
            if self._dies:
                raise Died
            return None
        self._seen += len(item) if not isinstance(item, dict) else 1
        if self._seen >= self._rows and not self._dies and hasattr(self._generator, "close"):
            self._generator.close()
        return item


class _BucketThatDies(Bucket):
    """Stores all files of a load, but fails to store the state that would complete it."""

    def __init__(self, settings: BucketSettings, last: str) -> None:
        super().__init__(settings)
        self._last = last

    def create(self, path: str, content: bytes, attempts: int = 1) -> StoredObject | None:
        if path == self._last:
            raise BucketError("the process died before it wrote the state")
        return super().create(path, content, attempts)


def _print_note(event: Event) -> None:
    if isinstance(event, Note):
        print(event.text)


def landing_folder(subject: CheckedStream) -> Path:
    return subject.folder / "landing-zone"


def rows_after_interruptions(subject: CheckedStream) -> list[Row]:
    """The landed rows, in the order of loads, after three runs: one that died while reading, one
    that died before it wrote the state, and one that completed.

    Raises NothingDied if one of the first two completed.
    """
    settings = BucketSettings(landing_folder(subject).as_uri(), None, is_default=False)
    paths = StreamPaths(subject.config.source, subject.config.stream)
    _expect_death(subject, _Cut(_rows_before_death(subject), dies=True), Bucket(settings))
    _expect_death(subject, None, _BucketThatDies(settings, paths.state))
    run_stream(_without_table(subject.config), _limited(subject), Bucket(settings), _print_note)
    return _rows(landing_folder(subject) / paths.data)


def _without_table(config: StreamConfig) -> StreamConfig:
    """The config without its table: the environment's settings would lead to the real one."""
    return replace(config, destination_sync_mode="append", table_format=None)


def _rows_before_death(subject: CheckedStream) -> int:
    """About half of the rows, but never including the last page; 0 if there is only one page."""
    sizes = [size for size in subject.first.sizes if size]
    return min(sum(sizes) // 2, sum(sizes[:-1]))


def _expect_death(subject: CheckedStream, cut: _Cut | None, bucket: Bucket) -> None:
    resource = _limited(subject)
    if cut is not None:
        resource.add_step(cut)
    try:
        run_stream(_without_table(subject.config), resource, bucket, _print_note)
    except Exception as error:
        raise_if_interrupted(error)
        if not any(isinstance(cause, Died | BucketError) for cause in causes(error)):
            raise
    else:
        raise NothingDied("the stream ended before a run of it could die: nothing was resumed")


def _limited(subject: CheckedStream) -> DltResource:
    """The stream for a run, cut off at the same page as the first read."""
    resource = subject.resource()
    if not subject.first.is_whole:
        resource.add_step(_Cut(len(subject.first.rows), dies=False))
    return resource


def _rows(folder: Path) -> list[Row]:
    tables = [pq.read_table(file, partitioning=None) for file in sorted(folder.rglob("*.parquet"))]
    if not tables:
        return []
    table = pa.concat_tables(tables).sort_by("_dlt_load_id")
    return _comparable(table.drop_columns([field.name for field in LINEAGE_FIELDS]))


def as_landed(subject: CheckedStream, page: Batch) -> list[Row]:
    """The records of a page as rows that can be compared with landed ones."""
    table = subject.columns.convert(page).table
    return _comparable(subject.columns.dated(table, datetime.now(UTC)))


def _comparable(table: pa.Table) -> list[Row]:
    """Rows without the times at which deletions were detected, which differ between runs."""
    names = [name for name in table.schema.names if name != DELETED_AT]
    return list(table.select(names).to_pylist())
