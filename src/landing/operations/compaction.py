"""Compacts a day's many small files into a few large ones while readers, feeders and runs go on.

Consecutive files become one object whose name sorts right before the last of them. Only a feeder
that has not read that last file yet sees the object as new, and it needs all of its rows. The new
object is written, read back and compared, and only then are the others removed. `pending.json`
records each of these steps before it is taken, so that another process can complete what is left,
and never decides otherwise than the one before it.
"""

from __future__ import annotations

import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa
from msgspec.structs import replace

from landing.errors import BucketError, LandingError, LeaseHeld
from landing.operations.compaction_plan import (
    CompactionPlan,
    FileGroup,
    Terms,
    day_of,
    plan_compaction,
)
from landing.operations.rewriting import Copy, Merged, NotEqual, alike, check_equal, rewritten
from landing.zone.bucket import ATTEMPTS, Bucket, Listed
from landing.zone.compactions import (
    Compaction,
    PendingCompaction,
    compaction_into,
    pending_compaction,
    put_compaction,
)
from landing.zone.layout import StreamPaths, compacted_path
from landing.zone.lease import RETRY_EVERY, Lease
from landing.zone.load_log import RecordedFile
from landing.zone.sealing import empty_file

_DOWNLOADS = 16
_IN_MEMORY = 8 * 1024 * 1024
"""Total bytes of files that are copied into memory instead of to the disk, and ahead of time."""
_RETRY_SECONDS = 5.0
"""Seconds between two attempts to take a lease that another process holds."""
_FREE_EVERY = 5.0
"""Seconds after which a compaction pauses so that waiting processes can take the lease."""
_FREE_FOR = 4 * RETRY_EVERY
"""Length of that pause in seconds; every waiting process tries at least once within it."""


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


def planned(paths: StreamPaths, plan: CompactionPlan) -> Compacted:
    """A plan as a result. `bytes_after` stays 0, as new sizes are not known yet."""
    result = Compacted(paths.source, paths.stream, left=plan.left)
    for group in plan.groups:
        result.count(group.day, [file.bytes for file in group.files], None)
    return result


def compact(bucket: Bucket, paths: StreamPaths, terms: Terms, wait: float) -> Compacted:
    """Replace small files group by group, under the stream's lease, which it pauses to release.

    Waits up to `wait` seconds for a lease that another process holds. An error becomes the
    result's `error`; groups that were replaced before it stay replaced.
    """
    result = Compacted(paths.source, paths.stream)
    try:
        if pending_compaction(bucket, paths) is not None:
            with _replacing(bucket, paths, wait, result) as replacing:
                replacing.finish_pending()
        plan = plan_compaction(bucket, paths, terms)
        result.left = plan.left
        groups = deque(plan.groups)
        while groups:
            with _replacing(bucket, paths, wait, result) as replacing:
                replacing.finish_pending()
                replacing.replace_some(groups, until=time.monotonic() + _FREE_EVERY)
            if groups:
                time.sleep(_FREE_FOR)
    except LandingError as error:
        result.error = error
    return result


_Copying: TypeAlias = Sequence[Future[bytes | None] | Future[Path | None]]
"""Copies of files that are being made; None for one that does not exist."""


def _fit_memory(files: Sequence[Listed | RecordedFile]) -> bool:
    return sum(file.bytes for file in files) <= _IN_MEMORY


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
        threads = ThreadPoolExecutor(_DOWNLOADS, thread_name_prefix="landing-downloads")
        stack.callback(threads.shutdown, cancel_futures=True)
        yield _Replacing(bucket, paths, lease, Path(folder), threads, result)


class _Replacing:
    """Replaces files of a stream whose lease this process holds."""

    def __init__(
        self,
        bucket: Bucket,
        paths: StreamPaths,
        lease: Lease,
        folder: Path,
        threads: ThreadPoolExecutor,
        result: Compacted,
    ) -> None:
        self._bucket = bucket
        self._paths = paths
        self._lease = lease
        self._folder = folder
        self._threads = threads
        self._result = result
        self._pending = PendingCompaction(bucket, paths, lease)

    def finish_pending(self) -> None:
        """Complete the replacement that an interrupted compaction began."""
        begun = self._pending.interrupted()
        if begun is None:
            return
        if begun.compared is not None or self._was_compared(begun):
            self._remove(begun)
            return
        with self._copied(self._copying(begun.files)) as files:
            if files is None:
                raise BucketError(
                    f"{self._bucket.location(self._paths.pending_compaction)} names files to "
                    f"compact into {begun.into}, but not all of them exist: put them back, or, if "
                    "they were removed on purpose, delete it"
                )
            ((_, columns),) = alike(files)
            if begun.unequal is not None:
                self._empty(begun, columns)
            else:
                self._replace(begun.into, [file.path for file in begun.files], files, columns)

    def _was_compared(self, begun: Compaction) -> bool:
        """Whether an earlier version had compared it, which only its record says."""
        record = compaction_into(self._bucket, self._paths, begun.into)
        return record is not None and record.files == begun.files

    def replace_some(self, groups: deque[FileGroup], until: float) -> None:
        """Replace groups and take them off the queue until that time, but at least one."""
        ahead: _Copying | None = None
        goes_on = True
        while goes_on:
            group, begun = groups.popleft(), ahead
            goes_on = bool(groups) and time.monotonic() < until
            # Only while the lease is ours, so that no other compaction removes what is copied.
            is_ahead = goes_on and _fit_memory(groups[0].files)
            ahead = self._copying(groups[0].files) if is_ahead else None
            self._replace_group(group, begun or self._copying(group.files))

    def _replace_group(self, group: FileGroup, copying: _Copying) -> None:
        """Replace the group's files; where a column's type changes, a new file begins."""
        with self._copied(copying) as files:
            if files is None:
                self._result.left.append(f"{group.day}: another compaction ran at the same time")
                return
            for run, columns in alike(files):
                if len(run) > 1 and any(files[index].rows for index in run):
                    paths = [group.files[index].path for index in run]
                    own = [files[index] for index in run]
                    self._replace(compacted_path(paths[-1]), paths, own, columns)

    def _copying(self, files: Sequence[Listed | RecordedFile]) -> _Copying:
        """Begin to copy the files, to the disk if they are many or large."""
        if _fit_memory(files):
            return [self._threads.submit(self._content, file.path) for file in files]
        return [
            self._threads.submit(self._downloaded, file.path, self._folder / f"{number}.copy")
            for number, file in enumerate(files)
        ]

    def _content(self, path: str) -> bytes | None:
        found = self._bucket.get(path, is_large=True)
        return None if found is None else found.data

    def _downloaded(self, path: str, copy: Path) -> Path | None:
        return copy if self._bucket.download(path, copy) else None

    @contextmanager
    def _copied(self, copying: _Copying) -> Iterator[list[Copy] | None]:
        """The copies, for as long as they are needed; None if one of the files is missing."""
        contents = [future.result() for future in copying]
        there = [content for content in contents if content is not None]
        yield list(map(Copy.of, there)) if len(there) == len(contents) else None
        for content in there:
            if isinstance(content, Path):
                content.unlink()

    def _replace(
        self, into: str, paths: Sequence[str], files: Sequence[Copy], columns: pa.Schema
    ) -> None:
        merged = Merged(files, columns)
        part = rewritten(merged, self._folder)
        begun = Compaction(
            into,
            part.rows,
            part.bytes,
            datetime.now(UTC),
            [
                RecordedFile(path, copy.rows, copy.size)
                for path, copy in zip(paths, files, strict=True)
            ],
        )
        self._pending.put(begun)
        # If it is there already, an interrupted compaction wrote it, or one that had stopped: it is
        # compared like our own, and whatever arrives later is refused.
        self._bucket.put_new(into, part.file, self._lease.check)
        part.file.unlink()
        copy = self._folder / "into.copy"
        try:
            if not self._bucket.download(into, copy):
                raise NotEqual("it is not there")
            check_equal(merged, copy)
        except (NotEqual, pa.ArrowException, OSError) as error:
            self._empty(replace(begun, unequal=str(error)), columns)
        else:
            ended = replace(begun, compared=datetime.now(UTC), bytes=copy.stat().st_size)
            copy.unlink()
            self._pending.put(ended)
            self._remove(ended)

    def _empty(self, wrong: Compaction, columns: pa.Schema) -> None:
        """Put an empty file in the place of one that is not equal. Its name stays taken, so that
        what arrives late finds no room, and can't remove a good file."""
        content = empty_file(columns)
        found = self._bucket.get(wrong.into, is_large=True)
        # Refused if another process has gone on: what was found may then be its good file.
        self._pending.put(wrong)
        if found is None:
            written = self._bucket.create(wrong.into, content, ATTEMPTS)
        else:
            written = self._bucket.replace(wrong.into, content, found, ATTEMPTS)
        if written is None:
            raise self._lease.lost(f"and {self._bucket.location(wrong.into)} has changed since")
        empty = replace(wrong, rows=0, bytes=len(content), files=[])
        put_compaction(self._bucket, self._paths, empty)
        self._pending.put(replace(wrong, done=datetime.now(UTC)))
        raise BucketError(
            f"{self._bucket.location(wrong.into)} did not read back as the files that it should "
            f"replace: {wrong.unequal}; they stay, and an empty file was put in its place: check "
            "the bucket's disks"
        )

    def _remove(self, compared: Compaction) -> None:
        """Remove the files that are replaced."""
        put_compaction(self._bucket, self._paths, compared)
        self._lease.confirm()
        self._bucket.delete_all([file.path for file in compared.files])
        self._pending.put(replace(compared, done=datetime.now(UTC)))
        if (day := day_of(compared.into.rpartition("/")[0])) is not None:
            self._result.count(day, [file.bytes for file in compared.files], compared.bytes)
