"""Days of small files made few large ones, while readers, feeders and runs go on.

Files that follow each other become one object right before the last of them in the order of names.
So it is new only to a feeder that has not come to that last one, and would lack the rest without
it. Objects never change: the new one appears, is read back and compared, and only then are the
others removed. What is under way is told in `pending.json`, from which the next compaction goes on.
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
from landing.operations.rewriting import NotEqual, alike, check_equal, rewritten, row_count
from landing.zone.bucket import Bucket, Listed
from landing.zone.layout import StreamPaths, compacted_path, load_id_of
from landing.zone.lease import ASKED_EVERY, Lease
from landing.zone.parts import Part

_DAY = re.compile(r"/year=(\d{4})/month=(\d\d)/day=(\d\d)$")
_DOWNLOADS = 8
_ASKED_AGAIN_AFTER = 5.0
"""Seconds between two tries to take a lease that is held."""
_FREE_EVERY = 5.0
"""Seconds after which the lease is left free for those who wait for it."""
_FREE_FOR = 4 * ASKED_EVERY
"""Seconds in which each of them asks at least once."""


@dataclass(frozen=True)
class Terms:
    """Which files may be replaced, and by how large ones."""

    closed_before: datetime
    """Of days that ended before it."""
    file_bytes: int
    feeder_at: str | None = None
    """Of days that this path, and all before it, were taken from."""
    keeps_table: bool = True
    """Whether the stream keeps a current-state table; if not, one that it had is not waited for."""


@dataclass(frozen=True)
class FileGroup:
    """Files that follow each other in one day's folder, and that one file may replace."""

    day: date
    files: tuple[Listed, ...]


@dataclass
class CompactionPlan:
    groups: list[FileGroup] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """Why days that are old enough stay as they are."""


@dataclass
class Compacted:
    """Of one stream: what was replaced by what, or would be."""

    source: str
    stream: str
    days: set[date] = field(default_factory=set)
    files_before: int = 0
    files_after: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    left: list[str] = field(default_factory=list)
    failure: LandingError | None = None
    """What kept it from doing all of it; the rest was done before."""

    def count(self, day: date, before: Sequence[int], after: int | None) -> None:
        """Files of so many bytes became one."""
        self.days.add(day)
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
            plan.left.append(f"{day}: its current-state table has not taken all of it in yet")
        elif terms.feeder_at is not None and last > terms.feeder_at:
            plan.left.append(f"{day}: the feeder is not behind it yet")
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
    except ValueError:  # nobody's day
        return None


def _end_of(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)


def _plan_day(plan: CompactionPlan, day: date, files: Sequence[Listed], file_bytes: int) -> None:
    names = {file.path for file in files}
    for group in _groups(files, file_bytes):
        into = compacted_path(group[-1].path)
        if into in names:
            plan.left.append(f"{day}: {into} is there beside the file that it replaced")
        elif len(group) > 1:
            plan.groups.append(FileGroup(day, tuple(group)))


def _groups(files: Sequence[Listed], file_bytes: int) -> Iterator[list[Listed]]:
    group: list[Listed] = []
    size = 0
    for file in files:
        if group and size + file.bytes > file_bytes:
            yield group
            group, size = [], 0
        group.append(file)
        size += file.bytes
    yield group


def _table_at(bucket: Bucket, paths: StreamPaths) -> str | None:
    """The last path that the stream's current-state table has taken in; None without a table."""
    stored = bucket.get(paths.table_marker)
    if stored is None:
        return None
    at = _document(bucket, paths.table_marker, stored.data).get("path")
    return at if isinstance(at, str) else ""


def planned(paths: StreamPaths, plan: CompactionPlan) -> Compacted:
    """What a plan comes to; how large the new files will be is not known before."""
    result = Compacted(paths.source, paths.stream, left=plan.left)
    for group in plan.groups:
        result.count(group.day, [file.bytes for file in group.files], None)
    return result


def compact(bucket: Bucket, paths: StreamPaths, terms: Terms, wait: float) -> Compacted:
    """Replace small files, one group after the other, holding the stream's lease for each alone.

    Waits so many seconds for a lease that is held. Whatever goes wrong is the result's `failure`,
    and leaves what was done until then.
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
        result.failure = error
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
                time.sleep(_ASKED_AGAIN_AFTER)
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="landing-"))
        yield _Replacing(bucket, paths, lease, Path(folder), result)


class _Replacing:
    """Replaces files of a stream of which the lease is held."""

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
        """Complete what a compaction began that has died."""
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
            raise BucketError(
                f"{self._bucket.location(pending)} names files that are to become {into}, and not "
                "all of them are there: put them back, or, if they were removed on purpose, "
                "delete it"
            )
        ((_, columns),) = alike(files)
        self._replace(into, paths, files, columns)

    def _compared(self, into: str, paths: Sequence[str]) -> dict[str, Any] | None:
        """The record of these files as one, which is written once that was compared with them."""
        path = self._paths.compaction(into)
        stored = self._bucket.get(path)
        if stored is None:
            return None
        record = _document(self._bucket, path, stored.data)
        return record if [file["path"] for file in record["files"]] == list(paths) else None

    def replace(self, group: FileGroup) -> None:
        """Of files of other column types than those before, another one is made."""
        files = self._fetched([file.path for file in group.files])
        if files is None:
            self._result.left.append(f"{group.day}: another compaction was there at the same time")
            return
        for run, columns in alike(files):
            if len(run) > 1:
                paths = [group.files[index].path for index in run]
                if compacted_path(paths[-1]) in paths:
                    # It would be replaced by itself, and removed with the others.
                    self._result.left.append(
                        f"{group.day}: {compacted_path(paths[-1])} is there beside the file that "
                        "it replaced"
                    )
                    continue
                own = [files[index] for index in run]
                self._replace(compacted_path(paths[-1]), paths, own, columns)

    def _fetched(self, paths: Sequence[str]) -> list[Path] | None:
        """Copies of the files; None if one of them is not there."""
        copies = [self._folder / f"{number}.copy" for number in range(len(paths))]
        with ThreadPoolExecutor(_DOWNLOADS, thread_name_prefix="landing-downloads") as threads:
            found = list(threads.map(self._bucket.download, paths, copies))
        return copies if all(found) else None

    def _replace(
        self, into: str, paths: Sequence[str], files: Sequence[Path], columns: pa.Schema
    ) -> None:
        part = rewritten(files, columns, self._folder)
        record = self._record(into, paths, files, part)
        self._lease.check()
        self._bucket.put(self._paths.pending_compaction, _json(record))
        self._lease.check()
        self._bucket.put(into, part.file)
        self._compare(into, files, columns)
        record["compared"] = datetime.now(UTC)
        self._lease.check()
        self._bucket.put(self._paths.compaction(into), _json(record))
        self._remove(paths, record)
        part.file.unlink()

    def _record(
        self, into: str, paths: Sequence[str], files: Sequence[Path], part: Part
    ) -> dict[str, Any]:
        return {
            "into": into,
            "rows": part.rows,
            "bytes": part.bytes,
            "begun": datetime.now(UTC),
            "files": [
                {"path": path, "rows": row_count(file), "bytes": file.stat().st_size}
                for path, file in zip(paths, files, strict=True)
            ],
        }

    def _compare(self, into: str, files: Sequence[Path], columns: pa.Schema) -> None:
        """What a reader gets now, not what was to be written."""
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
                f"{self._bucket.location(into)} does not read back as the files that it was to "
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
