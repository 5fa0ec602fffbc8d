"""The records of a stream's compactions in the bucket, and of the one that is under way.

`pending.json` is never deleted, and each write of it requires the version that was read: what a
process that had stopped sends late is refused once another one has gone on.
"""

from __future__ import annotations

import uuid
from datetime import datetime

import msgspec

from landing.zone.bucket import ATTEMPTS, Bucket
from landing.zone.layout import StreamPaths
from landing.zone.lease import Lease
from landing.zone.load_log import RecordedFile
from landing.zone.records import decoded_record, read_record, read_records


class Compaction(msgspec.Struct, frozen=True, omit_defaults=True):
    """`_dlt/{source}/{stream}/compactions/{file}.json` and `pending.json`"""

    into: str
    rows: int
    bytes: int
    begun: datetime
    files: list[RecordedFile]
    """Those that the new file replaces."""
    compared: datetime | None = None
    """When the new file was found to be equal; from then on the others are removed."""
    unequal: str | None = None
    """What differed. An empty file takes the new one's place, and the others stay."""
    done: datetime | None = None
    write: str = ""
    """Different at each write of `pending.json`, as a conditional write requires."""


_DECODER = msgspec.json.Decoder(Compaction)


def compactions(bucket: Bucket, paths: StreamPaths) -> list[Compaction]:
    """Those that are complete but for the removal of the files that they replaced."""
    folder = paths.pending_compaction.rpartition("/")[0]
    names = [path for path in bucket.list(folder) if path != paths.pending_compaction]
    return read_records(bucket, names, _DECODER)


def compaction_into(bucket: Bucket, paths: StreamPaths, into: str) -> Compaction | None:
    return read_record(bucket, paths.compaction(into), _DECODER)


def put_compaction(bucket: Bucket, paths: StreamPaths, record: Compaction) -> None:
    bucket.put(paths.compaction(record.into), _json(record))


def pending_compaction(bucket: Bucket, paths: StreamPaths) -> Compaction | None:
    """The compaction that is under way or was interrupted."""
    found = read_record(bucket, paths.pending_compaction, _DECODER)
    return None if found is None or found.done else found


class PendingCompaction:
    """`pending.json` in the hands of the process that holds the stream's lease."""

    def __init__(self, bucket: Bucket, paths: StreamPaths, lease: Lease) -> None:
        self._bucket = bucket
        self._path = paths.pending_compaction
        self._lease = lease
        self._seen = bucket.get(self._path)

    def interrupted(self) -> Compaction | None:
        """What another process has begun and not completed."""
        if self._seen is None:
            return None
        found = decoded_record(self._bucket, self._path, self._seen, _DECODER)
        return None if found.done else found

    def put(self, compaction: Compaction) -> None:
        """Raises LeaseHeld if another process has written it meanwhile."""
        content = _json(msgspec.structs.replace(compaction, write=uuid.uuid4().hex))
        self._lease.check()
        if self._seen is None:
            written = self._bucket.create(self._path, content, ATTEMPTS)
        else:
            written = self._bucket.replace(self._path, content, self._seen, ATTEMPTS)
        if written is None:
            raise self._lease.lost("and another compaction of the stream has begun since")
        self._seen = written


def _json(record: Compaction) -> bytes:
    return msgspec.json.format(msgspec.json.encode(record), indent=1)
