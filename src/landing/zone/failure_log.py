"""Records of failed runs in the bucket."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from landing.errors import BucketError
from landing.zone.bucket import Bucket, Listed, StoredObject
from landing.zone.layout import StreamPaths
from landing.zone.records import read_record, read_records

KEPT = 1_000
"""Records kept per stream, which may fail every hour until somebody notices."""
_REMEDY = "delete it"
_CLOCKS_DIFFER = timedelta(days=1)
"""Largest expected difference between the bucket's clock, which dates the state, and a machine's
clock, which names the records."""


class StateLeft(msgspec.Struct, frozen=True):
    """Identifies the state that the failed run left; the next successful run replaces it."""

    modified: datetime
    version: str | None


class FailedRun(msgspec.Struct, frozen=True, kw_only=True):
    """`_dlt/{source}/{stream}/failures/{time}.json`, where `time` is formatted like a load id."""

    finished: datetime
    error: str
    """Class name of the exception."""
    message: str
    """Contains no secrets."""
    remedy: str | None = None
    """The remedy that the run suggested."""
    started: datetime | None = None
    """None if the run failed before it began with the stream."""
    read: int = 0
    """Records that were read."""
    published: int = 0
    """Rows in loads that the run published before it failed."""
    load_ids: list[str] = []
    """Load ids that the run had begun."""
    host: str = ""
    state: StateLeft | None = None
    """None if the stream had no state."""

    @property
    def kind(self) -> Literal["failed"]:
        return "failed"

    @property
    def was_interrupted(self) -> bool:
        """Whether a signal ended it, or Dagster."""
        return self.error == "Interrupted"

    @property
    def seconds(self) -> float | None:
        return None if self.started is None else (self.finished - self.started).total_seconds()


_DECODER = msgspec.json.Decoder(FailedRun)


def put_failed_run(
    bucket: Bucket, paths: StreamPaths, run: FailedRun, *, is_earlier: bool = False
) -> None:
    """With `is_earlier`, another run is under way since, which decides how the stream stands."""
    state = None if is_earlier else _left(bucket.get(paths.state))
    left = msgspec.structs.replace(run, state=state)
    bucket.put(paths.failed_run(run.finished), msgspec.json.format(msgspec.json.encode(left)))
    with suppress(BucketError):  # the record is written, and the next one tries again
        _forget_oldest(bucket, paths)


def _forget_oldest(bucket: Bucket, paths: StreamPaths) -> None:
    bucket.delete_all(sorted(bucket.list(paths.failed_runs))[:-KEPT])


def _left(stored: StoredObject | None) -> StateLeft | None:
    return None if stored is None else StateLeft(stored.modified, stored.version)


def failed_runs(
    bucket: Bucket, paths: StreamPaths, limit: int | None = None, since: datetime | None = None
) -> list[FailedRun]:
    """Records of failed runs, newest first, at most `limit`.

    Raises BucketError if one is damaged.
    """
    files = sorted((file.path for file in _listed(bucket, paths, since)), reverse=True)[:limit]
    return read_records(bucket, files, _DECODER, _REMEDY)


def failing_run(
    bucket: Bucket, paths: StreamPaths, stored: StoredObject | None
) -> FailedRun | None:
    """The last failed run, or None if a later run has landed; `stored` is the current state."""
    since = None if stored is None else stored.modified - _CLOCKS_DIFFER
    files = _listed(bucket, paths, since)
    if not files:
        return None
    newest = max(files, key=lambda file: (file.modified, file.path))
    last = read_record(bucket, newest.path, _DECODER, _REMEDY)
    return last if last is not None and last.state == _left(stored) else None


def _listed(bucket: Bucket, paths: StreamPaths, since: datetime | None) -> Sequence[Listed]:
    after = None if since is None else paths.failed_run(since.astimezone(UTC))
    return list(bucket.listed(paths.failed_runs, after))
