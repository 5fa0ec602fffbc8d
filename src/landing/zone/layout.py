"""Names in the bucket, which keep files for feeders apart from all others.

    {source}/{stream}/year=YYYY/month=MM/day=DD/{load_id}.{part}.parquet
    _quarantine/{source}/{stream}/{load_id}.jsonl · failed-run.jsonl
    _dlt/{source}/{stream}/state.json · lease.json · table.json · loads/{load_id}.json
    _dlt/{source}/{stream}/keys/{load_id}.parquet · states/{number}.json · schemas/{version}.json
    _dlt/{source}/{stream}/compactions/{file}.json · pending.json
    _dlt/{source}/{stream}/failures/{time}.json · seals/{load_id}.json · removals/{time}.json
    _report/index.html
    _dlt/{source}/{stream}/backfills/{load_id}-{digest}.json

A load id is the seconds since 1970, in UTC, with six decimals. Its width is fixed, so that names
sort the same as text and in natural order, which compares runs of digits as numbers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import ClassVar

from landing.errors import SettingsError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COMPACTED = ".compacted.parquet"
_PART = re.compile(r"/(\d{10}\.\d{6})\.\d{5,}(?:\.compacted)*\.parquet$")
_QUARANTINE = re.compile(r"_quarantine/([^/]+)/([^/]+)/(\d{10}\.\d{6}|failed-run)\.jsonl$")
_LEASE = re.compile(r"_dlt/([^/]+)/([^/]+)/lease\.json$")
_BACKFILL = re.compile(r"/backfills/(\d{10}\.\d{6})-")
_DIGITS = re.compile(r"([0-9]+)")
_LAST_PART = 99_999
PARTITIONS = ("year", "month", "day")
"""Names of the folders that hold a stream's files."""
DEFERRED_VERSIONS = Decimal("0.001")
"""Range of load ids below each load's own, in seconds, reserved for its deferred (older) rows."""


@dataclass(frozen=True)
class StreamPaths:
    source: str
    stream: str

    MOST_PARTS: ClassVar[int] = _LAST_PART + 1
    """Parts that a load may have."""

    @property
    def data(self) -> str:
        return f"{self.source}/{self.stream}"

    @property
    def folders(self) -> tuple[str, ...]:
        """All folders of the stream in the bucket."""
        return self.data, f"_dlt/{self.data}", self.quarantined

    def part(self, load_id: str, number: int) -> str:
        if number > _LAST_PART:  # a sixth digit would sort before the five of earlier parts
            raise SettingsError(
                f"{self.data}: one load can't have more than {_LAST_PART + 1:,} files; raise "
                "LANDING_FILE_MB, so that each holds more"
            )
        day = _EPOCH + timedelta(seconds=int(load_id.split(".")[0]))
        return f"{self.data}/{day:year=%Y/month=%m/day=%d}/{load_id}.{number:05d}.parquet"

    def end_of(self, load_id: str) -> str:
        """A path that sorts after every part of this load and before any part of a later one."""
        return self.part(load_id, _LAST_PART)

    @property
    def quarantined(self) -> str:
        return f"_quarantine/{self.data}"

    def quarantine(self, load_id: str) -> str:
        return f"{self.quarantined}/{load_id}.jsonl"

    @property
    def failed_quarantine(self) -> str:
        """Rows of the last run that exceeded its quarantine_limit; they belong to no load."""
        return f"{self.quarantined}/failed-run.jsonl"

    @property
    def state(self) -> str:
        return f"_dlt/{self.data}/state.json"

    @property
    def lease(self) -> str:
        return f"_dlt/{self.data}/lease.json"

    @property
    def known_objects(self) -> str:
        return f"_dlt/{self.data}/keys"

    def known_object(self, load_id: str) -> str:
        """What the run after this load has to know: the primary keys of the records that the
        source had, or hashes of the rows that are read again."""
        return f"{self.known_objects}/{load_id}.parquet"

    @property
    def table_marker(self) -> str:
        """Names the last path that the stream's current-state table includes, if it has one."""
        return f"_dlt/{self.data}/table.json"

    @property
    def load_records(self) -> str:
        return f"_dlt/{self.data}/loads"

    def load_record(self, load_id: str) -> str:
        return f"{self.load_records}/{load_id}.json"

    @property
    def seals(self) -> str:
        return f"_dlt/{self.data}/seals"

    def seal(self, load_id: str) -> str:
        """Names the empty file that ends a load which another process left unfinished."""
        return f"{self.seals}/{load_id}.json"

    @property
    def failed_runs(self) -> str:
        return f"_dlt/{self.data}/failures"

    def failed_run(self, moment: datetime) -> str:
        return f"{self.failed_runs}/{next_load_id(moment, None)}.json"

    def removal(self, moment: datetime) -> str:
        """The record of rows that left quarantine without landing."""
        return f"_dlt/{self.data}/removals/{next_load_id(moment, None)}.json"

    @property
    def kept_states(self) -> str:
        return f"_dlt/{self.data}/states"

    def kept_state(self, number: int) -> str:
        return f"{self.kept_states}/{number:06d}.json"

    @property
    def schemas(self) -> str:
        return f"_dlt/{self.data}/schemas"

    def schema(self, version: int) -> str:
        return f"{self.schemas}/{version:05d}.json"

    @property
    def pending_compaction(self) -> str:
        return f"_dlt/{self.data}/compactions/pending.json"

    def compaction(self, into: str) -> str:
        """The record of the files that were compacted into `into`."""
        name = into.rsplit("/", 1)[-1].removesuffix(".parquet")
        return f"_dlt/{self.data}/compactions/{name}.json"

    @property
    def backfills(self) -> str:
        return f"_dlt/{self.data}/backfills"

    def backfill(self, backfill_id: str) -> str:
        return f"{self.backfills}/{backfill_id}.json"

    def begun_window(self, backfill_id: str, number: int) -> str:
        return f"{self.backfills}/{backfill_id}/{number:05d}.begun"


def natural(path: str) -> list[tuple[int, int | str]]:
    """A sort key that compares runs of digits as numbers, as many readers do."""
    pieces = _DIGITS.split(path)
    return [(0, int(piece)) if piece.isdecimal() else (1, piece) for piece in pieces if piece]


def sorts_after(path: str, other: str) -> bool:
    """Whether `path` sorts after `other` as text or in natural order."""
    return path > other or natural(path) > natural(other)


def load_id_of(path: str) -> str | None:
    """The load id in a part's path; None for another tool's file."""
    match = _PART.search(path)
    return match[1] if match else None


def part_number_of(path: str, load_id: str) -> int | None:
    """The number of a part of this load; None for other files."""
    first = path.rsplit("/", 1)[-1].removeprefix(f"{load_id}.").split(".")[0]
    return int(first) if load_id_of(path) == load_id else None


def stream_of_lease(path: str) -> StreamPaths:
    match = _LEASE.fullmatch(path)
    assert match is not None, f"{path} is no lease"
    return StreamPaths(match[1], match[2])


def time_of(load_id: str) -> datetime:
    return _EPOCH + timedelta(microseconds=int(load_id.replace(".", "")))


def compacted_path(last: str) -> str:
    """The compacted path of files that end with `last`. It sorts right before `last` in either
    order, so only a reader that has not reached `last` sees it as new."""
    return last.removesuffix(".parquet") + _COMPACTED


def is_compacted(path: str) -> bool:
    return path.endswith(_COMPACTED)


def number_of(path: str) -> int | None:
    """The number of a kept state or a schema version; None for other files."""
    name = path.rsplit("/", 1)[-1].removesuffix(".json")
    return int(name) if name.isdecimal() else None


def reserved_by(path: str) -> str | None:
    """The highest load id that a backfill reserves, from its path; None for other files."""
    match = _BACKFILL.search(path)
    return match[1] if match else None


def quarantine_file_of(path: str) -> tuple[StreamPaths, str | None] | None:
    """Stream and load id of a quarantine file; the load id is None for a failed run's file."""
    match = _QUARANTINE.fullmatch(path)
    if match is None:
        return None
    load_id = match[3] if match[3] != "failed-run" else None
    return StreamPaths(match[1], match[2]), load_id


def next_load_id(now: datetime, last: str | None) -> str:
    """A load id for `now`, or just above `last` if this machine's clock is behind it."""
    own = Decimal((now - _EPOCH) // timedelta(microseconds=1)).scaleb(-6)
    spelled = f"{own:017.6f}"
    if last is None:
        return spelled
    return max(spelled, load_id_after(load_id_after(last), by=DEFERRED_VERSIONS))


def load_id_after(load_id: str, by: Decimal = Decimal("0.000001")) -> str:
    return f"{Decimal(load_id) + by:017.6f}"
