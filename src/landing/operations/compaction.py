"""Compacts a day's many small files into a few large ones while readers, feeders and runs go on.

Consecutive files become one object whose name sorts right before the last of them. Only a feeder
that has not read that last file yet sees the object as new, and it needs all of its rows. Objects
never change: the new one is written, read back and compared, and only then are the others removed.
`pending.json` records the replacement under way; the next compaction resumes from it.
"""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa

from landing.errors import BucketError, LandingError, LeaseHeld
from landing.operations.rewriting import Copy, NotEqual, alike, check_equal, rewritten
from landing.zone.bucket import Bucket, Listed
from landing.zone.layout import StreamPaths, compacted_path, is_compacted, load_id_of
from landing.zone.lease import RETRY_EVERY, Lease
from landing.zone.parts import Part

_DAY = re.compile(r"/year=(\d{4})/month=(\d\d)/day=(\d\d)$")
_DOWNLOADS = 8
_RETRY_SECONDS = 5.0
"""Seconds between two attempts to take a lease that another process holds."""
_FREE_EVERY = 5.0
"""Seconds after which a compaction pauses so that waiting processes can take the lease."""
_FREE_FOR = 4 * RETRY_EVERY
"""Length of that pause in seconds; every waiting process tries at least once within it."""


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


@dataclass
class Compacted:
    """What was replaced in one stream, or would be."""

    source: str
    stream: str
    days: list[date] = field(default_factory=list)
    files_before: int = 0
    files_after: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    left: list[str] = field(default_factory=list)
    """Why some days stay as they are."""
    error: LandingError | None = None
    """The error that ended the compaction early; groups replaced before it stay replaced."""

    def count(self, day: date, before: Sequence[int], after: int | None) -> None:
        """Count files that became one. `before` and `after` are sizes in bytes."""
        if day not in self.days:
            self.days.append(day)
        self.files_before += len(before)
        self.files_after += 1
        self.bytes_before += sum(before)
        self.bytes_after += after or 0


def plan_compaction(bucket: Bucket, paths: StreamPaths, terms: Terms) -> CompactionPlan:
    plan = CompactionPlan()
    table_at = _table_at(bucket, paths) if terms.keeps_table else None
    for day, files in _days(bucket, paths):
        if _end_of(day) > terms.closed_before or len(files) < 2:
            continue
        last = files[-1].path
        if table_at is not None and last > table_at:
            plan.left.append(f"{day}: the current-state table does not include all of it yet")
        elif terms.feeder_at is not None and last > terms.feeder_at:
            plan.left.append(f"{day}: the feeder has not read all of it yet")
        else:
            _plan_day(plan, day, files, terms.file_bytes)
    return plan


def _days(bucket: Bucket, paths: StreamPaths) -> Iterator[tuple[date, list[Listed]]]:
    ours = (file for file in bucket.listed(paths.data) if load_id_of(file.path))
    in_order = sorted(ours, key=lambda file: file.path)
    for folder, files in groupby(in_order, key=lambda file: file.path.rpartition("/")[0]):
        if (day := _day_of(folder)) is not None:
            yield day, list(files)


def _day_of(folder: str) -> date | None:
    found = _DAY.search(folder)
    try:
        return date(*map(int, found.groups())) if found else None
    except ValueError:  # not a date, such as month=13
        return None


def _end_of(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)


def _plan_day(plan: CompactionPlan, day: date, files: Sequence[Listed], file_bytes: int) -> None:
    names = {file.path for file in files}
    for group in _groups(files, file_bytes):
        into = compacted_path(group[-1].path)
        if into in names:
            plan.left.append(f"{day}: {into} exists beside the file that it replaced")
        elif len(group) > 1:
            plan.groups.append(FileGroup(day, tuple(group)))


def _groups(files: Sequence[Listed], file_bytes: int) -> Iterator[list[Listed]]:
    """Consecutive files of at most that size together, none of them compacted.

    A compacted file is never replaced: its name would be free again, and the upload of a process
    that had stopped in its middle would bring the same rows a second time.
    """
    group: list[Listed] = []
    size = 0
    for file in files:
        ends = is_compacted(file.path)
        if group and (ends or size + file.bytes > file_bytes):
            yield group
            group, size = [], 0
        if not ends:
            group.append(file)
            size += file.bytes
    if group:
        yield group


def _table_at(bucket: Bucket, paths: StreamPaths) -> str | None:
    """The last path that the current-state table includes; None without a table."""
    stored = bucket.get(paths.table_marker)
    if stored is None:
        return None
    at = _document(bucket, paths.table_marker, stored.data).get("path")
    return at if isinstance(at, str) else ""


def planned(paths: StreamPaths, plan: CompactionPlan) -> Compacted:
    """A plan as a result. `bytes_after` stays 0, as new sizes are not known yet."""
    result = Compacted(paths.source, paths.stream, left=plan.left)
    for group in plan.groups:
        result.count(group.day, [file.bytes for file in group.files], None)
    return result


def compact(bucket: Bucket, paths: StreamPaths, terms: Terms, wait: float) -> Compacted:
    """Replace small files group by group, taking the stream's lease for each group.

    Waits up to `wait` seconds for a lease that another process holds. An error becomes the
    result's `error`; groups that were replaced before it stay replaced.
    """
    result = Compacted(paths.source, paths.stream)
    try:
        if bucket.get(paths.pending_compaction) is not None:
            with _replacing(bucket, paths, wait, result) as replacing:
                replacing.finish_pending()
        plan = plan_compaction(bucket, paths, terms)
        result.left = plan.left
        freed = time.monotonic()
        for group in plan.groups:
            if time.monotonic() - freed > _FREE_EVERY:
                time.sleep(_FREE_FOR)
                freed = time.monotonic()
            with _replacing(bucket, paths, wait, result) as replacing:
                replacing.finish_pending()
                replacing.replace(group)
    except LandingError as error:
        result.error = error
    return result


@contextmanager
def _replacing(
    bucket: Bucket, paths: StreamPaths, wait: float, result: Compacted
) -> Iterator[_Replacing]:
    deadline = time.monotonic() + wait
    with ExitStack() as stack:
        while True:
            left = timedelta(seconds=max(0.0, deadline - time.monotonic()))
            lease = Lease(bucket, paths.lease, paths.data, "compaction", patience=left)
            try:
                stack.enter_context(lease)
                break
            except LeaseHeld:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_RETRY_SECONDS)
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="landing-"))
        yield _Replacing(bucket, paths, lease, Path(folder), result)


class _Replacing:
    """Replaces files of a stream whose lease this process holds."""

    def __init__(
        self,
        bucket: Bucket,
        paths: StreamPaths,
        lease: Lease,
        folder: Path,
        result: Compacted,
    ) -> None:
        self._bucket = bucket
        self._paths = paths
        self._lease = lease
        self._folder = folder
        self._result = result

    def finish_pending(self) -> None:
        """Complete the replacement that an interrupted compaction began."""
        pending = self._paths.pending_compaction
        stored = self._bucket.get(pending)
        if stored is None:
            return
        begun = _document(self._bucket, pending, stored.data)
        try:
            into = str(begun["into"])
            paths = [str(file["path"]) for file in begun["files"]]
            record = self._compared(into, paths)
        except (KeyError, TypeError):
            raise _damaged(self._bucket, pending) from None
        if record is not None:
            self._remove(paths, record)
            return
        files = self._fetched(paths)
        if files is None:
            if self._is_outdated(paths):
                self._bucket.delete(pending)
                return
            raise BucketError(
                f"{self._bucket.location(pending)} names files to compact into {into}, but not "
                "all of them exist: put them back, or, if they were removed on purpose, "
                "delete it"
            )
        ((_, columns),) = alike(files)
        self._replace(into, paths, files, columns)

    def _is_outdated(self, paths: Sequence[str]) -> bool:
        """Whether other compactions replaced the missing files: a process that had stopped wrote
        its plan after another one had taken the lease and compacted them."""
        folder = self._paths.pending_compaction.rpartition("/")[0]
        replaced: set[str] = set()
        for path in self._bucket.list(folder):
            stored = self._bucket.get(path)
            if stored is not None and path != self._paths.pending_compaction:
                record = _document(self._bucket, path, stored.data)
                replaced.update(file["path"] for file in record["files"])
        there = set(self._bucket.list(self._paths.data))
        return all(path in there or path in replaced for path in paths)

    def _compared(self, into: str, paths: Sequence[str]) -> dict[str, Any] | None:
        """The record of this replacement; None until the new file was compared with its sources."""
        path = self._paths.compaction(into)
        stored = self._bucket.get(path)
        if stored is None:
            return None
        record = _document(self._bucket, path, stored.data)
        return record if [file["path"] for file in record["files"]] == list(paths) else None

    def replace(self, group: FileGroup) -> None:
        """Replace the group's files; where a column's type changes, a new file begins."""
        files = self._fetched([file.path for file in group.files])
        if files is None:
            self._result.left.append(f"{group.day}: another compaction ran at the same time")
            return
        for run, columns in alike(files):
            if len(run) > 1 and any(files[index].rows for index in run):
                paths = [group.files[index].path for index in run]
                if compacted_path(paths[-1]) in paths:
                    # The new file has the name of one of its sources and would be removed with it.
                    self._result.left.append(
                        f"{group.day}: {compacted_path(paths[-1])} exists beside the file that "
                        "it replaced"
                    )
                    continue
                own = [files[index] for index in run]
                self._replace(compacted_path(paths[-1]), paths, own, columns)

    def _fetched(self, paths: Sequence[str]) -> list[Copy] | None:
        """Local copies of the files; None if one of them is missing."""
        copies = [self._folder / f"{number}.copy" for number in range(len(paths))]
        with ThreadPoolExecutor(_DOWNLOADS, thread_name_prefix="landing-downloads") as threads:
            found = list(threads.map(self._bucket.download, paths, copies))
        return list(map(Copy.of, copies)) if all(found) else None

    def _replace(
        self, into: str, paths: Sequence[str], files: Sequence[Copy], columns: pa.Schema
    ) -> None:
        part = rewritten(files, columns, self._folder)
        record = self._record(into, paths, files, part)
        self._lease.check()
        self._bucket.put(self._paths.pending_compaction, _json(record))
        # If it is there already, an interrupted compaction wrote it, or one that had stopped: it is
        # compared like our own, and whatever arrives later is refused.
        self._bucket.put_new(into, part.file, self._lease.check)
        self._compare(into, files, columns)
        record["compared"] = datetime.now(UTC)
        self._lease.check()
        self._bucket.put(self._paths.compaction(into), _json(record))
        self._remove(paths, record)
        part.file.unlink()

    def _record(
        self, into: str, paths: Sequence[str], files: Sequence[Copy], part: Part
    ) -> dict[str, Any]:
        return {
            "into": into,
            "rows": part.rows,
            "bytes": part.bytes,
            "begun": datetime.now(UTC),
            "files": [
                {"path": path, "rows": copy.rows, "bytes": copy.file.stat().st_size}
                for path, copy in zip(paths, files, strict=True)
            ],
        }

    def _compare(self, into: str, files: Sequence[Copy], columns: pa.Schema) -> None:
        """Read the new file back from the bucket and compare it with its sources."""
        copy = self._folder / "into.copy"
        try:
            if not self._bucket.download(into, copy):
                raise NotEqual("it is not there")
            check_equal(files, columns, copy)
        except (NotEqual, pa.ArrowException, OSError) as error:
            self._lease.confirm()
            self._bucket.delete(into)
            self._bucket.delete(self._paths.pending_compaction)
            raise BucketError(
                f"{self._bucket.location(into)} does not read back as the files that it should "
                f"replace: {error}; they stay, and it was deleted again: check the bucket's disks"
            ) from error
        copy.unlink()

    def _remove(self, paths: Sequence[str], record: dict[str, Any]) -> None:
        self._lease.confirm()
        self._bucket.delete_all(paths)
        self._bucket.delete(self._paths.pending_compaction)
        if (day := _day_of(paths[-1].rpartition("/")[0])) is not None:
            self._result.count(day, [file["bytes"] for file in record["files"]], record["bytes"])


def _document(bucket: Bucket, path: str, data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise _damaged(bucket, path)
    return document


def _damaged(bucket: Bucket, path: str) -> BucketError:
    return BucketError(
        f"{bucket.location(path)} is damaged: put an earlier version of it back, or delete it"
    )


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, default=str, indent=1).encode()
