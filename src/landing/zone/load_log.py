"""Reads the records of a stream's loads from the bucket."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, TypeAlias

import msgspec

from landing.results import Drifted
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths, load_id_after, next_load_id
from landing.zone.records import RESTORE, read_record, read_records

Kind: TypeAlias = Literal["run", "backfill", "quarantine"]
_VERSIONS_AHEAD = Decimal(1)
"""Row versions of a load are less than this above its id, in seconds."""
_REMEDY = f"{RESTORE}; the rows stay"


class RecordedFile(msgspec.Struct, frozen=True):
    path: str
    rows: int
    bytes: int


class LoadFigures(msgspec.Struct, frozen=True, kw_only=True):
    finished: datetime
    started: datetime | None = None
    sync_mode: str | None = None
    rows: int = 0
    bytes: int = 0
    quarantined: int = 0
    deleted: int = 0
    gone: int = 0
    """Children that the API no longer had, in the run of which this was the last load."""
    below_cursor: int = 0
    """Rows left out because they are below `read_from`."""
    known: int = 0
    """Rows that had landed before, unchanged."""
    repeated: int = 0
    """Rows whose primary key had come before in the run; included in `rows`."""
    superseded: int = 0
    """Rows left out because a newer version of their record had landed."""
    from_quarantine: list[str] = []
    read_from: Any = None
    backfill: dict[str, Any] | None = None
    cursor_before: Any = None
    cursor_after: Any = None


class LoadRecord(LoadFigures, frozen=True, kw_only=True):
    """`_dlt/{source}/{stream}/loads/{load_id}.json`; fields that older records lack have
    defaults."""

    load_id: str
    drift: Drifted | None = None
    """Lists lost fields only if enough records were read to be sure."""
    cursor_of_last_load: Any = None
    """The previous load's, if runs that found nothing new have moved the cursor since."""
    files: list[RecordedFile] = []

    @property
    def kind(self) -> Kind:
        """The operation that published the load."""
        if self.backfill is not None:
            return "backfill"
        return "quarantine" if self.from_quarantine else "run"

    @property
    def seconds(self) -> float | None:
        """Time from its first rows to its record."""
        return None if self.started is None else (self.finished - self.started).total_seconds()


_DECODER = msgspec.json.Decoder(LoadRecord)


def load_records(
    bucket: Bucket, paths: StreamPaths, limit: int | None = None, since: datetime | None = None
) -> list[LoadRecord]:
    """Records of loads that began at or after `since`, newest first, at most `limit`.

    Raises BucketError if one is damaged.
    """
    after = None if since is None else paths.load_record(next_load_id(since, None))
    files = sorted(bucket.list(paths.load_records, after), reverse=True)
    return read_records(bucket, files[:limit], _DECODER, _REMEDY)


def last_load(bucket: Bucket, paths: StreamPaths, load_id: str | None) -> LoadRecord | None:
    """The newest record, given the state's `load_id`; None if there is no record."""
    # List only the newest records, of which there may be a year's.
    after = load_id and paths.load_record(load_id_after(load_id, by=-_VERSIONS_AHEAD))
    found = sorted(bucket.list(paths.load_records, after or None))
    return read_record(bucket, found[-1], _DECODER, _REMEDY) if found else None
