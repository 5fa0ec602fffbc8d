"""Publishes loads: rows of one stream, uploaded part by part in the order of their names.

Parts are numbered in the order of publication, so that no name appears that sorts before one that
is already visible. Each is put on condition that nothing has its name: a process that takes the
lease over first puts an empty file there (`sealing`), which ends the load. The quarantine and the
load's record follow when all parts are uploaded; the run writes the state with the cursor last.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from landing.catalog.stream_config import SyncMode
from landing.columns.arrow import pa, pq
from landing.errors import StreamError
from landing.events import Emit, LoadStarted, PartUploaded, PublishingStarted, ignore
from landing.results import Drifted
from landing.zone.allocator import return_freed
from landing.zone.bucket import ATTEMPTS, Bucket
from landing.zone.layout import (
    StreamPaths,
    load_id_after,
    load_id_of,
    next_load_id,
    quarantine_file_of,
    reserved_by,
    sorts_after,
)
from landing.zone.lease import Lease
from landing.zone.parts import Part
from landing.zone.schema_history import KnownSchema, SchemaVersion, recorded
from landing.zone.state import document_json, stored_by_us


@dataclass(frozen=True)
class LandedFile:
    path: str
    rows: int
    bytes: int


@dataclass
class Load:
    """Rows of one stream that are published together, with one record in the bucket."""

    bucket: Bucket
    paths: StreamPaths
    lease: Lease
    sync_mode: SyncMode | None = None
    """The sync mode of its run; None for rows that were read earlier, such as quarantined ones."""
    last_load_id: str | None = None
    """The state's last load id, which this load follows."""
    load_id: str | None = None
    last_row_version: str | None = None
    parts: list[Part] = field(default_factory=list)
    """In the order of publication."""
    files: list[LandedFile] = field(default_factory=list)
    quarantine_file: Path | None = None
    quarantined: int = 0
    deleted: int = 0
    """Tombstones among the rows."""
    gone: int = 0
    """Children that the API no longer had."""
    below_cursor: int = 0
    """Rows that were left out because they are below the value from which its run read."""
    known: int = 0
    """Rows that were read again and had landed before, unchanged."""
    repeated: int = 0
    """Rows whose primary key its run had read already."""
    superseded: int = 0
    """Rows that did not land because a newer version of their record had landed by then."""
    known_file: Path | None = None
    """Of keys or rows that the next run has to know; the new state names it by the load id."""
    from_quarantine: list[str] = field(default_factory=list)
    """Loads whose quarantined rows land with this one."""
    read_from: Any = None
    """Where its run started reading; earlier than the cursor if the stream has a lookback."""
    follows_unknown: bool = False
    """Whether it follows loads that the state does not know: those of backfills, of rows from
    quarantine, and of runs that died."""
    schema: SchemaVersion | None = None
    """The version of its columns, if the bucket does not have it yet."""
    backfill: dict[str, Any] | None = None
    """Id and bounds of the backfill that its rows belong to."""
    drift: Drifted = field(default_factory=Drifted)
    cursor_before: Any = None
    cursor_after: Any = None
    cursor_of_last_load: Any = None
    """The previous load's, if runs that found nothing new have moved the cursor since."""
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    emit: Emit = ignore

    def begin(self) -> str:
        """Choose the load id: above the last load, loads of interrupted runs, and ids that
        backfills have reserved.

        The first call makes three listings, only of names that sort after the last load; later
        calls return the same id. Raises StreamError if another tool's file would hide this load
        from feeders.
        """
        if self.load_id is not None:
            return self.load_id
        # Row versions of an interrupted run may be a little above its load id. Rows of a backfill
        # have their versions already and only need a later name.
        by = Decimal(1) if self.backfill is None else Decimal(0)
        after = self.paths.end_of(self.last_load_id) if self.last_load_id else None
        later = list(self.bucket.list(self.paths.data, after))
        above = [load_id_after(load_id, by) for load_id in self._interrupted(later)]
        since = f"{self.paths.backfills}/{self.last_load_id}" if self.last_load_id else None
        reserved = map(reserved_by, self.bucket.list(self.paths.backfills, since))
        last = max([self.last_load_id or "", *above, *filter(None, reserved)])
        load_id = next_load_id(datetime.now(UTC), last or None)
        self._check_neighbours(later, load_id)
        self.load_id = self.last_row_version = load_id
        self.follows_unknown = bool(above)
        self.emit(LoadStarted(self.paths.stream, self.load_id))
        return self.load_id

    def begin_outside_runs(self, columns: pa.Schema) -> str:
        """Begin a load outside a run. It follows the last load of the bucket's state, which does
        not change."""
        ours = stored_by_us(self.bucket, self.paths)
        self.last_load_id = ours.get("load_id")
        load_id = self.begin()
        self.settle_columns(self.still_known(ours.get("schema")), columns)
        return load_id

    def _check_neighbours(self, paths: Iterable[str], load_id: str) -> None:
        first = self.paths.part(load_id, 0)
        for path in paths:
            is_foreign = load_id_of(path) is None and path.endswith(".parquet")
            if is_foreign and sorts_after(path, first):
                raise StreamError(
                    f"stream '{self.paths.data}': {self.bucket.location(path)} is another tool's "
                    "file and sorts after those of this run, so a feeder that has read it would "
                    "never read them; nothing was landed",
                    remedy="move that file, name the stream otherwise (name= in streams.py), or "
                    "set DLT_BUCKET_URL to a prefix of its own",
                )

    def _interrupted(self, later: Iterable[str]) -> Iterator[str]:
        """Ids of loads after the last one that left files, which are in `later`, or only rows in
        quarantine."""
        paths, last_load_id = self.paths, self.last_load_id
        yield from filter(None, map(load_id_of, later))
        after = paths.quarantine(last_load_id) if last_load_id else None
        for path in self.bucket.list(paths.quarantined, after):
            found = quarantine_file_of(path)
            if found is not None and found[1] is not None:
                yield found[1]
        if self.sync_mode == "full_refresh":
            # A full refresh without rows only leaves its record.
            after = paths.load_record(last_load_id) if last_load_id else None
            for path in self.bucket.list(paths.load_records, after):
                yield path.rsplit("/", 1)[-1].removesuffix(".json")

    def still_known(self, known: KnownSchema | None) -> KnownSchema | None:
        """The state's schema version, with an empty fingerprint if unknown loads may have had other
        columns, so that the bucket's schema history is read."""
        if known is None or not self.follows_unknown:
            return known
        return KnownSchema(version=known["version"], fingerprint="")

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    def settle_columns(self, known: KnownSchema | None, columns: pa.Schema) -> KnownSchema | None:
        """The schema version from this load on; `publish` writes it to the bucket if it is new."""
        assert self.load_id is not None, "it has rows, so it has begun"
        found = recorded(self.bucket, self.paths, known, columns, self.load_id)
        if found is None:
            return known
        self.schema = found.new
        return found.known

    def publish(self) -> None:
        """Write everything of the load to the bucket, in order; nothing if it has not begun."""
        if self.load_id is None:
            return
        self.lease.check()
        if self.schema is not None:
            # Before the first file with these columns, so that no file is without its version.
            _create(
                self.bucket,
                self.lease,
                self.paths.schema(self.schema.version),
                self.schema.as_json(),
            )
        if self.parts:
            self.emit(PublishingStarted(self.paths.stream, len(self.parts)))
            # Before the first part, so that another process knows what to seal if this one stops.
            self.lease.publishing(self.load_id, pq.read_schema(self.parts[0].file))
        return_freed()  # files count as memory, too, while they are uploaded
        for number, part in enumerate(self.parts):
            self._put_part(self.paths.part(self.load_id, number), part)
        self.lease.check()
        if self.quarantine_file is not None:
            self.bucket.put(self.paths.quarantine(self.load_id), self.quarantine_file)
        if self.known_file is not None:
            self.bucket.put(self.paths.known_object(self.load_id), self.known_file)
        _create(
            self.bucket,
            self.lease,
            self.paths.load_record(self.load_id),
            document_json(self._record()),
        )
        self.lease.published()

    def _put_part(self, path: str, part: Part) -> None:
        self.lease.check()
        clock = time.monotonic()
        if not self.bucket.put_new(path, part.file, self.lease.check):
            raise self.lease.lost("which another process took and then sealed this load")
        took = time.monotonic() - clock
        self.files.append(LandedFile(path, part.rows, part.bytes))
        self.emit(PartUploaded(self.paths.stream, path, part.rows, part.bytes, took))
        part.file.unlink()

    def put_failed_quarantine(self) -> None:
        """Keep the rows that made a run fail, for a person; the next run reads them again."""
        assert self.quarantine_file is not None, "nothing else makes a run fail"
        self.lease.check()
        self.bucket.put(self.paths.failed_quarantine, self.quarantine_file)

    def _record(self) -> dict[str, Any]:
        return {
            "load_id": self.load_id,
            "last_stamp": self.last_row_version,
            "sync_mode": self.sync_mode,
            "started": self.started,
            "finished": datetime.now(UTC),
            "rows": self.rows,
            "bytes": self.bytes,
            "quarantined": self.quarantined,
            "deleted": self.deleted,
            "gone": self.gone,
            "below_cursor": self.below_cursor,
            "known": self.known,
            "repeated": self.repeated,
            "superseded": self.superseded,
            "from_quarantine": self.from_quarantine,
            "read_from": self.read_from,
            "backfill": self.backfill,
            "drift": asdict(self.drift) if self.drift else None,
            "cursor_before": self.cursor_before,
            "cursor_after": self.cursor_after,
            "cursor_of_last_load": self.cursor_of_last_load,
            "files": [asdict(file) for file in self.files],
        }


def _create(bucket: Bucket, lease: Lease, path: str, content: bytes) -> None:
    if bucket.create(path, content, ATTEMPTS) is None:
        raise lease.lost(f"and another process has written {bucket.location(path)}")
