"""Which files of a stream may be compacted: consecutive ones of days that are over.

A file stays as it is if its name must not become free, because an upload of it may still be on its
way from a process that had stopped: a compacted file, and those of a load that was sealed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Any

import msgspec

from landing.zone.bucket import Bucket, Listed
from landing.zone.layout import StreamPaths, compacted_path, is_compacted, load_id_of
from landing.zone.records import read_record
from landing.zone.sealing import sealed_loads

_MARKER = msgspec.json.Decoder(dict[str, Any])
_DAY = re.compile(r"/year=(\d{4})/month=(\d\d)/day=(\d\d)$")


@dataclass(frozen=True)
class Terms:
    """Which files may be replaced, and the size of their replacements."""

    closed_before: datetime
    """Only days that ended before this time are compacted."""
    file_bytes: int
    """Largest total size of the files that become one, in bytes."""
    feeder_at: str | None = None
    """The last path that the feeder has read; days with later paths are left alone."""
    keeps_table: bool = True
    """Whether the stream keeps a current-state table. If False, the marker of an earlier table is
    ignored."""


@dataclass(frozen=True)
class FileGroup:
    """Consecutive files of one day that one file may replace."""

    day: date
    files: tuple[Listed, ...]


@dataclass
class CompactionPlan:
    groups: list[FileGroup] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """Why days that are old enough are not compacted."""


def plan_compaction(bucket: Bucket, paths: StreamPaths, terms: Terms) -> CompactionPlan:
    plan = CompactionPlan()
    table_at = _table_at(bucket, paths) if terms.keeps_table else None
    sealed = sealed_loads(bucket, paths)
    for day, files in _days(bucket, paths):
        if _end_of(day) > terms.closed_before or len(files) < 2:
            continue
        last = files[-1].path
        if table_at is not None and last > table_at:
            plan.left.append(f"{day}: the current-state table does not include all of it yet")
        elif terms.feeder_at is not None and last > terms.feeder_at:
            plan.left.append(f"{day}: the feeder has not read all of it yet")
        else:
            _plan_day(plan, day, files, sealed, terms.file_bytes)
    return plan


def _days(bucket: Bucket, paths: StreamPaths) -> Iterator[tuple[date, list[Listed]]]:
    ours = (file for file in bucket.listed(paths.data) if load_id_of(file.path))
    in_order = sorted(ours, key=lambda file: file.path)
    for folder, files in groupby(in_order, key=lambda file: file.path.rpartition("/")[0]):
        if (day := day_of(folder)) is not None:
            yield day, list(files)


def day_of(folder: str) -> date | None:
    found = _DAY.search(folder)
    try:
        return date(*map(int, found.groups())) if found else None
    except ValueError:  # not a date, such as month=13
        return None


def _end_of(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)


def _plan_day(
    plan: CompactionPlan,
    day: date,
    files: Sequence[Listed],
    sealed: Collection[str],
    file_bytes: int,
) -> None:
    names = {file.path for file in files}
    for group in _groups(files, sealed, file_bytes):
        into = compacted_path(group[-1].path)
        if into in names:
            plan.left.append(f"{day}: {into} exists beside the file that it was to replace")
        elif len(group) > 1:
            plan.groups.append(FileGroup(day, tuple(group)))


def _groups(
    files: Sequence[Listed], sealed: Collection[str], file_bytes: int
) -> Iterator[list[Listed]]:
    """Consecutive files of at most that size together, without those that have to stay."""
    group: list[Listed] = []
    size = 0
    for file in files:
        stays = is_compacted(file.path) or load_id_of(file.path) in sealed
        if group and (stays or size + file.bytes > file_bytes):
            yield group
            group, size = [], 0
        if not stays:
            group.append(file)
            size += file.bytes
    if group:
        yield group


def _table_at(bucket: Bucket, paths: StreamPaths) -> str | None:
    """The last path that the current-state table includes; None without a table."""
    marker = read_record(bucket, paths.table_marker, _MARKER)
    at = None if marker is None else marker.get("path")
    return at if marker is None or isinstance(at, str) else ""
