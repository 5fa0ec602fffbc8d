"""Lists and counts quarantined rows. Imports nothing that lands them, for `landing status`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from landing.extraction.kept_rows import NO_LINE, KeptRow, read_line
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths, quarantine_file_of, time_of
from landing.zone.state import stored_load_id


@dataclass
class StreamQuarantine:
    """Quarantined rows of one stream, counted by load, and by field and reason."""

    source: str
    stream: str
    loads: Counter[str] = field(default_factory=Counter)
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    failed: int = 0
    """Rows that made the last run fail; they belong to no load, and the next run reads them
    again."""
    failed_load_id: str | None = None
    """The load id with which that run began."""

    @property
    def rows(self) -> int:
        return self.loads.total()


def quarantined_streams(
    bucket: Bucket, source: str = "", stream: str = ""
) -> list[StreamQuarantine]:
    """Streams with rows in quarantine: all, those of one source, or one stream."""
    found: dict[StreamPaths, StreamQuarantine] = {}
    for path, paths, load_id in _files(bucket, "/".join(filter(None, (source, stream)))):
        failed_load_id = _load_that_failed(bucket, paths, path) if load_id is None else None
        if load_id is None and failed_load_id is None:
            continue
        summary = found.setdefault(paths, StreamQuarantine(paths.source, paths.stream))
        summary.failed_load_id = failed_load_id or summary.failed_load_id
        for line in bucket.lines(path):
            if load_id is None:
                summary.failed += 1
            else:
                kept = read_line(line)
                summary.loads[load_id] += 1
                summary.reasons[(kept.field, kept.reason) if kept else ("?", NO_LINE)] += 1
    return list(found.values())


def quarantined_rows(bucket: Bucket, paths: StreamPaths, *, failed: bool) -> Iterator[KeptRow]:
    """Quarantined rows, oldest load first; with `failed`, those of the last failed run."""
    for path, owner, load_id in _files(bucket, paths.data):
        if owner == paths and (load_id is None) is failed:
            yield from filter(None, map(read_line, bucket.lines(path)))


def _files(bucket: Bucket, below: str) -> Iterator[tuple[str, StreamPaths, str | None]]:
    for path in sorted(bucket.list(f"_quarantine/{below}".rstrip("/"))):
        if found := quarantine_file_of(path):
            yield path, *found


def _load_that_failed(bucket: Bucket, paths: StreamPaths, failed: str) -> str | None:
    """Load id of the last run above its quarantine_limit; None if a later load has landed."""
    first = next(filter(None, map(read_line, bucket.lines(failed))), None)
    if first is None or first.load_id <= (stored_load_id(bucket, paths) or ""):
        return None
    return first.load_id


@dataclass(frozen=True)
class Waiting:
    rows: int
    oldest: datetime | None
    """When the load began from which the oldest record is."""


def waiting_in_quarantine(bucket: Bucket, paths: StreamPaths) -> Waiting:
    """Without reasons, and without the records of a failed run, which belong to no load."""
    loads = [
        (path, load_id)
        for path, owner, load_id in _files(bucket, paths.data)
        if owner == paths and load_id is not None
    ]
    rows = sum(1 for path, _ in loads for _ in bucket.lines(path))
    return Waiting(rows, min((time_of(load_id) for _, load_id in loads), default=None))
