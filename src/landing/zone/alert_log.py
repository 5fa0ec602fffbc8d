"""Which alerts of a source are open, and when they were sent: an object in the bucket, since the
next run may be on another machine."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from landing.errors import BucketError
from landing.zone.bucket import Bucket, StoredObject

ATTEMPTS = 5
"""At a write that another run of the source is ahead of."""


class OpenAlert(msgspec.Struct, frozen=True):
    since: datetime
    """When it was first sent."""
    sent: dict[str, datetime]
    """When each receiver last took it."""
    about: list[str] = []
    """What of the stream it is about, such as the names of fields."""

    def __post_init__(self) -> None:
        """Somebody may have edited the object, and left out the zone."""
        msgspec.structs.force_setattr(self, "since", _in_utc(self.since))
        sent = {receiver: _in_utc(moment) for receiver, moment in self.sent.items()}
        msgspec.structs.force_setattr(self, "sent", sent)


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


class AlertsSent(msgspec.Struct, frozen=True):
    """`_dlt/_alerts/{source}.json`: open alerts by stream and kind; an empty name is the whole
    source."""

    token: str
    open: dict[str, dict[str, OpenAlert]] = {}


@dataclass(frozen=True)
class Change:
    """A receiver has taken an alert, or with `sent` None the news that it is over."""

    stream: str
    kind: str
    receiver: str
    sent: datetime | None
    about: tuple[str, ...] = ()


_DECODER = msgspec.json.Decoder(AlertsSent)


class AlertLog:
    """Raises BucketError if the bucket can't be read."""

    def __init__(self, bucket: Bucket, source: str) -> None:
        self._bucket = bucket
        self._path = f"_dlt/_alerts/{source}.json"
        self._read()

    def _read(self) -> None:
        self._stored: StoredObject | None = self._bucket.get(self._path)
        self.open = _open_in(self._stored)

    def record(self, changes: Iterable[Change]) -> None:
        """On condition that no other run has written meanwhile, or else on top of what it wrote.

        Raises BucketError if that can't be written: alerts are then sent again.
        """
        changes = list(changes)
        for _ in range(ATTEMPTS):
            opened = {stream: dict(kinds) for stream, kinds in self.open.items()}
            for change in changes:
                _apply(opened, change)
            if opened == self.open or self._written(opened):
                return
            self._read()
        raise BucketError(f"{self._bucket.location(self._path)} is changed by others all the time")

    def _written(self, opened: dict[str, dict[str, OpenAlert]]) -> bool:
        content = msgspec.json.encode(AlertsSent(uuid.uuid4().hex, opened))
        if self._stored is None:
            written = self._bucket.create(self._path, content)
        else:
            written = self._bucket.replace(self._path, content, self._stored)
        if written is None:
            return False
        self._stored, self.open = written, opened
        return True


def _open_in(stored: StoredObject | None) -> dict[str, dict[str, OpenAlert]]:
    """Nothing if the object is damaged, which costs an alert that is sent again."""
    try:
        return {} if stored is None else _DECODER.decode(stored.data).open
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return {}


def _apply(opened: dict[str, dict[str, OpenAlert]], change: Change) -> None:
    kinds = opened.setdefault(change.stream, {})
    before = kinds.get(change.kind)
    sent = {} if before is None else dict(before.sent)
    sent.pop(change.receiver, None)
    if change.sent is not None:
        sent[change.receiver] = change.sent
        since = change.sent if before is None else min(before.since, change.sent)
        kinds[change.kind] = OpenAlert(since, sent, list(change.about))
    elif before is not None and sent:
        kinds[change.kind] = msgspec.structs.replace(before, sent=sent)
    else:
        kinds.pop(change.kind, None)
    if not kinds:
        del opened[change.stream]
