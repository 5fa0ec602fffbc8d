"""The stream that is backfilled."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from landing.catalog.stream_config import StreamConfig
from landing.columns.privacy import check_key
from landing.events import Emit, Note
from landing.extraction.dlt_bridge import DltResource, clone
from landing.extraction.failures import raise_if_interrupted
from landing.extraction.side_by_side import Stop, waits
from landing.extraction.sources import Source
from landing.operations.backfill.reading import cursor_of
from landing.operations.backfill.record import Records
from landing.operations.backfill.windows import Cursor
from landing.results import TableResult
from landing.tables import table_sync_of
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths
from landing.zone.lease import Lease

_turns: dict[str, threading.Lock] = {}
"""By lease: a process takes it for one window after the other, without waiting for itself."""


@dataclass(frozen=True)
class BackfilledStream:
    """The stream that is backfilled."""

    source: Source
    config: StreamConfig
    resource: DltResource
    bucket: Bucket

    @property
    def name(self) -> str:
        return f"{self.config.source}/{self.config.stream}"

    @property
    def paths(self) -> StreamPaths:
        return StreamPaths(self.config.source, self.config.stream)

    @property
    def records(self) -> Records:
        return Records(self.bucket, self.paths)

    @property
    def turn(self) -> threading.Lock:
        """To publish, within this process. Of this stream alone, since its holder may have to wait
        for a live run of the stream."""
        return _turns.setdefault(self.bucket.location(self.paths.lease), threading.Lock())

    def cursor(self) -> Cursor:
        return cursor_of(self.config, self.resource, self.bucket)

    def waiting(self, stop: Stop, emit: Emit) -> Callable[[str], None]:
        """For `lease` and `update_table`: a note says once what is waited for."""
        return waits(stop, lambda text: emit(Note(self.config.stream, text)))

    def lease(self, waiting: Callable[[str], None]) -> Lease:
        return Lease(
            self.bucket,
            self.paths.lease,
            self.name,
            "publication",
            waits_for_runs=True,
            waiting=waiting,
        )

    def check_table(self) -> None:
        """Raises, before anything is read, what would keep `update_table` from its work."""
        table_sync = table_sync_of(self.config, self.bucket)
        if table_sync is not None:
            table_sync.check()

    def update_table(self, waiting: Callable[[str], None]) -> TableResult | None:
        """Have the stream's table take in what has landed; None if it keeps none."""
        table_sync = table_sync_of(self.config, self.bucket)
        if table_sync is None:
            return None
        with self.lease(waiting) as lease:
            return table_sync.update(lease)


def subject(source: Source, stream: str, bucket: Bucket) -> BackfilledStream:
    config = source.config(stream)
    check_key(config.fields, config.origin)
    return BackfilledStream(source, config, clone(source.stream(stream)), bucket)


@contextmanager
def message_if_table_fails(
    of: BackfilledStream, emit: Emit, message: Iterable[str]
) -> Iterator[None]:
    """Around what updates the table: if that raises, nobody would hear what was done before."""
    try:
        yield
    except Exception as error:
        raise_if_interrupted(error)
        for text in message:
            emit(Note(of.config.stream, text))
        raise
