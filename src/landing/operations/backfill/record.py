"""A backfill's record in the bucket, from which any process can resume it.

A record is written only under the stream's lease, so writes never overlap. A backfill's id begins
with the highest load id that is reserved for its rows: no load that begins later goes below it
(`Load.begin`), even if the stream's state is lost.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from decimal import Decimal

import msgspec

from landing.errors import UsageError
from landing.operations.backfill.windows import Bound, Request, Window, windows_of
from landing.zone.bucket import ATTEMPTS, Bucket, StoredObject
from landing.zone.layout import StreamPaths, load_id_after, reserved_by
from landing.zone.lease import Lease
from landing.zone.publication import Load
from landing.zone.records import decoded_record, read_record, read_records
from landing.zone.state import stored_load_id

ROOM = Decimal("0.01")
"""Range of load ids per window, in seconds: 10,000 versions of a record, or interrupted
publications."""


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """A window that has landed, or had nothing to land."""

    number: int
    start: Bound
    end: Bound
    load_id: str | None
    rows: int
    quarantined: int
    superseded: int = 0
    """Rows that did not land because live runs have landed newer versions of their records."""
    finished: datetime


class Backfill(
    msgspec.Struct,
    kw_only=True,
    # The names in the bucket are older than those of the attributes.
    rename={"first_row_version": "first_stamp", "row_versions": "stamps"},
):
    """`_dlt/{source}/{stream}/backfills/{id}.json`."""

    id: str
    request: Request
    start: Bound | None
    end: Bound | None
    first_row_version: str
    started: datetime
    finished: datetime | None = None
    rows: int = 0
    done: dict[str, Done] = {}
    row_versions: dict[str, str] = {}
    """By window whose publication has begun: the last load id of its rows. In a backfill of fields,
    a random id of its publication."""

    @property
    def windows(self) -> list[Window]:
        if self.start is None or self.end is None or self.request.by is None:
            return []
        return windows_of(self.start, self.end, self.request.by, self.request.step)

    def window(self, number: int) -> Window:
        windows = self.windows
        if not 0 <= number < len(windows):
            raise UsageError(
                f"backfill {self.id} has no window {number}, but 0 to {len(windows) - 1}"
            )
        return windows[number]

    @property
    def undone(self) -> list[Window]:
        return [window for window in self.windows if str(window.number) not in self.done]

    def row_version_of(self, window: Window) -> str:
        """The first load id for reading the window; above those of interrupted publications."""
        last = self.row_versions.get(str(window.number))
        if last is not None:
            return load_id_after(last)
        return load_id_after(self.first_row_version, by=window.number * ROOM)

    def end_of_row_versions(self, window: Window) -> str:
        return load_id_after(self.first_row_version, by=(window.number + 1) * ROOM)


_DECODER = msgspec.json.Decoder(Backfill)
_REMEDY = "delete it; what it landed stays"


class Records:
    """The backfills of one stream."""

    def __init__(self, bucket: Bucket, paths: StreamPaths) -> None:
        self._bucket = bucket
        self._paths = paths
        self._seen: dict[str, StoredObject] = {}

    def all(self) -> list[Backfill]:
        """All backfills, oldest first."""
        paths = [
            path
            for path in sorted(self._bucket.list(self._paths.backfills))
            if reserved_by(path) and path.endswith(".json")
        ]
        return read_records(self._bucket, paths, _DECODER, _REMEDY)

    def get(self, backfill_id: str) -> Backfill:
        path = self._paths.backfill(backfill_id)
        stored = self._bucket.get(path)
        if stored is None:
            raise UsageError(f"{self._bucket.location(path)}: there is no such backfill")
        self._seen[path] = stored
        return decoded_record(self._bucket, path, stored, _DECODER, _REMEDY)

    def put(self, backfill: Backfill, lease: Lease) -> None:
        """Write the record, on condition that it is the one that this object has read or written.

        Raises LeaseHeld if another process has written it since.
        """
        content = msgspec.json.format(msgspec.json.encode(backfill), indent=1)
        path = self._paths.backfill(backfill.id)
        seen = self._seen.get(path)
        if seen is None:
            written = self._bucket.create(path, content, ATTEMPTS)
        else:
            written = self._bucket.replace(path, content, seen, ATTEMPTS)
        if written is None:
            raise lease.lost("and another process has written the backfill's record since")
        self._seen[path] = written

    def last_of(self, request: Request) -> Backfill | None:
        """The last backfill of the same request."""
        digest = _digest(request)
        paths = sorted(self._bucket.list(self._paths.backfills))
        own = [path for path in paths if path.endswith(f"-{digest}.json")]
        return read_record(self._bucket, own[-1], _DECODER, _REMEDY) if own else None

    def begin(
        self,
        request: Request,
        bounds: tuple[Bound, Bound] | None,
        count: int,
        lease: Lease,
        *,
        again: bool,
    ) -> Backfill:
        """Create the record of a backfill of `count` windows and reserve its load ids.

        Waits for a live run that is under way: its load id is lower, though its rows may be newer.
        Returns the record of another process that has just begun the same backfill.
        """
        with lease:
            last = self.last_of(request)
            if last is not None and (last.finished is None or not again):
                return last
            known = stored_load_id(self._bucket, self._paths)
            first = Load(self._bucket, self._paths, lease, last_load_id=known).begin()
            reserved = load_id_after(first, by=max(1, count) * ROOM)
            start, end = bounds or (None, None)
            begun = Backfill(
                id=f"{reserved}-{_digest(request)}",
                request=request,
                start=start,
                end=end,
                first_row_version=first,
                started=datetime.now(UTC),
            )
            lease.check()
            self.put(begun, lease)
            return begun

    def finish(self, backfill: Backfill, lease: Lease) -> None:
        """Write the record, as finished if no window is left to do."""
        if not backfill.undone:
            backfill.finished = datetime.now(UTC)
        self.put(backfill, lease)


def _digest(request: Request) -> str:
    return hashlib.blake2b(msgspec.json.encode(request), digest_size=4).hexdigest()
