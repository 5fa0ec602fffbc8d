"""Compares a stream's files in the bucket with its records.

A reader that reads files in the order of their names finds each row if all recorded files exist, if
that order is the order of publication, and if there are no unrecorded files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from landing.errors import counted
from landing.operations.verify.findings import VerifyFinding
from landing.zone.bucket import Bucket, Listed
from landing.zone.compactions import Compaction, compactions, pending_compaction
from landing.zone.holder import lease_holder
from landing.zone.layout import StreamPaths, is_compacted, load_id_of, natural, sorts_after, time_of
from landing.zone.load_log import LoadRecord, RecordedFile, load_records
from landing.zone.sealing import Seal, seals
from landing.zone.state import stored_load_id

_COPIED = timedelta(hours=1)
"""A file whose time differs more from that of its load's record was copied there later."""
_CLOSE = timedelta(seconds=1)
"""Some buckets store times in whole seconds."""


@dataclass(frozen=True)
class Account:
    """A stream's records and files at about the same moment."""

    paths: StreamPaths
    records: list[LoadRecord]
    """Oldest first."""
    files: dict[str, Listed]
    expected: dict[str, RecordedFile]
    """By path; compacted files instead of those that they replaced."""
    replaced: frozenset[str]
    """Paths of files that were compacted, and should be gone."""
    seals: list[Seal]
    """Of loads that a process left unfinished, and a later one ended."""
    pending: Compaction | None
    """A compaction that is under way or was interrupted."""
    holder: str | None
    """The process that holds the stream's lease."""
    state_load_id: str | None

    @property
    def in_order(self) -> list[Listed]:
        return sorted(self.ours, key=lambda file: file.path)

    @property
    def ours(self) -> Iterator[Listed]:
        return (file for file in self.files.values() if load_id_of(file.path))


def account_of(bucket: Bucket, paths: StreamPaths) -> Account:
    """Read records first and list files second, so that each recorded file has to be listed. Read
    again if they differ: a run or a compaction may have ended in between."""
    found = _account(bucket, paths)
    return found if not list(file_findings(found)) else _account(bucket, paths)


def _account(bucket: Bucket, paths: StreamPaths) -> Account:
    holder = lease_holder(bucket, paths.lease)
    records = load_records(bucket, paths)[::-1]
    compacted = compactions(bucket, paths)
    pending = pending_compaction(bucket, paths)
    expected = {file.path: file for record in records for file in record.files}
    sealed = seals(bucket, paths)
    expected |= {one.path: RecordedFile(one.path, 0, one.bytes) for one in sealed}
    replaced: set[str] = set()
    for one in compacted:
        replaced.update(file.path for file in one.files)
        expected[one.into] = RecordedFile(one.into, one.rows, one.bytes)
    for path in replaced:
        expected.pop(path, None)
    return Account(
        paths=paths,
        records=records,
        files={file.path: file for file in bucket.listed(paths.data)},
        expected=expected,
        replaced=frozenset(replaced),
        seals=sealed,
        pending=pending,
        holder=None if holder is None else str(holder),
        state_load_id=stored_load_id(bucket, paths),
    )


def file_findings(account: Account) -> Iterator[VerifyFinding]:
    """Files that are gone, that changed, or that no record names."""
    yield from _missing(account)
    yield from _unaccounted(account)


def _missing(account: Account) -> Iterator[VerifyFinding]:
    name = f"{account.paths.source} {account.paths.stream}"
    for path, recorded in account.expected.items():
        there = account.files.get(path)
        if there is None and not _is_being_compacted(account, path):
            yield VerifyFinding(
                f"{path} is gone, with {recorded.rows:,} rows",
                "put it back from a version or copy of the bucket, or land its rows again with "
                f"`landing backfill {name} --from …`",
            )
        elif there is not None and there.bytes != recorded.bytes:
            yield VerifyFinding(
                f"{path} has {there.bytes:,} bytes, not the {recorded.bytes:,} that landed",
                "someone has changed it: restore the version that landed",
            )


def _unaccounted(account: Account) -> Iterator[VerifyFinding]:
    name = f"{account.paths.source} {account.paths.stream}"
    ids = {record.load_id for record in account.records}
    unnamed = sorted(account.files.keys() - account.expected.keys())
    ours = (file.path for file in account.ours) if unnamed else ()
    newest = max(ours, key=natural, default=None)
    for path in unnamed:
        load_id = load_id_of(path)
        if load_id is None:
            if newest is not None and path.endswith(".parquet") and sorts_after(path, newest):
                yield VerifyFinding(
                    f"{path} is another tool's file and sorts after the stream's newest file: a "
                    "reader that is past it never reads what lands today",
                    "move it, or have that tool land elsewhere",
                )
        elif path in account.replaced or _is_pending(account, path):
            if account.holder is None:
                yield VerifyFinding(
                    f"{path} exists beside the file that it was or will be compacted into: "
                    "its rows exist twice",
                    f"`landing compact {name}` completes what was interrupted",
                )
        elif load_id in ids:
            yield VerifyFinding(
                f"{path} is not in the record of its load {load_id}",
                "find out who put it there; if nobody knows, move it elsewhere",
            )
        elif not _was_cut_off(account, load_id) and account.holder is None:
            yield VerifyFinding(
                f"{path} belongs to an interrupted load, and nothing has landed since",
                f"`landing run {name}` lands its rows again; if they were a backfill's, start that "
                "again",
            )


def _is_being_compacted(account: Account, path: str) -> bool:
    pending = account.pending
    return (
        account.holder is not None
        and pending is not None
        and any(file.path == path for file in pending.files)
    )


def _is_pending(account: Account, path: str) -> bool:
    return account.pending is not None and path == account.pending.into


def _was_cut_off(account: Account, load_id: str) -> bool:
    """Whether the load died and later loads landed its rows again."""
    return account.state_load_id is not None and load_id <= account.state_load_id


def file_notes(account: Account) -> Iterator[str]:
    ids = {record.load_id for record in account.records}
    left = [
        path
        for path in account.files.keys() - account.expected.keys()
        if (load_id := load_id_of(path)) is not None
        and load_id not in ids
        and path not in account.replaced
        and not _is_pending(account, path)
        and _was_cut_off(account, load_id)
    ]
    if left:
        yield (
            f"{counted(len(left), 'further file')} of loads that died, such as {min(left)}; later "
            "ones landed their rows again"
        )
    foreign = [path for path in account.files if load_id_of(path) is None]
    if foreign:
        yield (
            f"{counted(len(foreign), 'file')} of other tools, such as {min(foreign)}; readers of "
            "this folder find them, too"
        )
    if account.holder is not None:
        yield f"{account.holder}: files that come or go meanwhile are not checked"


def order_findings(account: Account) -> Iterator[VerifyFinding]:
    """Files that were published after one whose name sorts after theirs."""
    yield from _after_seals(account)
    latest: Listed | None = None
    for file in _published(account):
        if latest is not None and file.modified < latest.modified - _CLOSE:
            yield VerifyFinding(
                f"{file.path} sorts after {latest.path}, but was published before it "
                f"({file.modified:%Y-%m-%d %H:%M:%S}, {latest.modified:%Y-%m-%d %H:%M:%S} UTC)",
                "a reader that was past the former has missed the latter: have it read from there "
                "again, and find out who else writes to the bucket",
            )
        if latest is None or file.modified > latest.modified:
            latest = file


def _after_seals(account: Account) -> Iterator[VerifyFinding]:
    """Parts of a load that appeared after another process had sealed it."""
    sealed = {seal.load_id: seal for seal in account.seals}
    for file in account.in_order if sealed else ():
        seal = sealed.get(load_id_of(file.path) or "")
        if seal is not None and not is_compacted(file.path):
            is_late = seal.sealed + _CLOSE < file.modified < seal.sealed + _COPIED
            if is_late or file.path > seal.path:
                yield VerifyFinding(
                    f"{file.path} appeared after its load had been sealed with {seal.path}",
                    "a reader that was past it has missed it; its rows landed again later. The "
                    "bucket does not honour If-None-Match: `landing doctor` tests it",
                )


def _published(account: Account) -> Iterator[Listed]:
    """Files in the order of their names, if their time in the bucket is that of their load."""
    recorded = {file.path: one.finished for one in account.records for file in one.files}
    recorded |= {one.path: one.sealed for one in account.seals}
    for file in account.in_order:
        when = recorded.get(file.path)
        if when is None and not is_compacted(file.path):  # of a load that was interrupted
            when = time_of(load_id_of(file.path) or "")
        if when is not None and abs(file.modified - when) < _COPIED:
            yield file


def put_anew(account: Account) -> int:
    """Number of files that were copied here or compacted, so their time says nothing of order."""
    return sum(1 for _ in account.ours) - sum(1 for _ in _published(account))


def part_findings(records: Iterable[LoadRecord], paths: StreamPaths) -> Iterator[VerifyFinding]:
    """Records whose files are not all parts of their load, from 0 on."""
    for record in records:
        named = [file.path for file in record.files]
        if named != [paths.part(record.load_id, number) for number in range(len(named))]:
            yield VerifyFinding(
                f"the record of load {record.load_id} does not name its parts in order",
                f"put {paths.load_record(record.load_id)} back from a version of the bucket",
            )
        elif record.rows != sum(file.rows for file in record.files):
            yield VerifyFinding(
                f"the record of load {record.load_id} says {record.rows:,} rows, and its files "
                f"{sum(file.rows for file in record.files):,}",
                f"put {paths.load_record(record.load_id)} back from a version of the bucket",
            )
