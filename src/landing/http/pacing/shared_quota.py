"""A daily limit that pods and machines share by counting requests in the bucket."""

from __future__ import annotations

import atexit
import hashlib
import os
import threading
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import msgspec

from landing.errors import BucketError
from landing.http.shared_objects import SharedObject, SharedObjects, shared_objects

_FIRST_LOT = 16
_LOTS = 50
"""A lot is at most 1/50 of the limit, which is what a process that dies wastes."""
_LOT_SECONDS = 600.0
"""How long a lot may be used; it counts for a day after that."""


class _Taken(msgspec.Struct, frozen=True, array_like=True):
    at: float
    permits: int


@dataclass
class _Lot:
    id: str
    taken: _Taken
    left: int
    ends: float

    @property
    def used(self) -> _Taken:
        return _Taken(self.taken.at, self.taken.permits - self.left)


class SharedQuota:
    """`_dlt/_paces/{key's digest}.json` below DLT_BUCKET_URL, written by conditional writes.

    Permits are taken in lots, small ones first, so that the object is rarely written. A process
    returns unused permits when it ends; if it is killed, its whole lot counts. Raises SettingsError
    without a bucket, and BucketError.
    """

    def __init__(self, key: str, limit: int, window: float) -> None:
        self._path = f"_dlt/_paces/{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"
        self._limit = limit
        self._window = window
        self._lock = threading.Lock()
        self._lot: _Lot | None = None
        self._size = _FIRST_LOT
        self._process = os.getpid()
        atexit.register(self.give_back)

    def take(self, cost: int) -> float:
        """Take `cost` permits and return 0, or return the seconds until there may be more."""
        with self._lock:
            lot = self._lot
            if lot is None or lot.left < cost or time.monotonic() >= lot.ends:
                wait = self._take_lot(cost)
                if wait:
                    return wait
                lot = self._lot
            assert lot is not None, "one was just taken"
            lot.left -= cost
            return 0.0

    def give_back(self) -> None:
        """Return the unused permits. Ignores BucketError, which must not fail a successful run."""
        with self._lock, suppress(BucketError):
            while self._lot is not None and os.getpid() == self._process:
                found = self._bucket.get(self._path)
                if found is None or self._write(self._current(found), found):
                    self._lot = None

    def _take_lot(self, cost: int) -> float:
        while True:
            found = self._bucket.get(self._path)
            taken = self._current(found)
            free = self._limit - sum(each.permits for each in taken.values())
            if free < cost:
                oldest = min((each.at for each in taken.values()), default=time.time())
                return max(1.0, oldest + self._window + _LOT_SECONDS - time.time())
            lot = _Taken(time.time(), min(free, max(cost, self._size)))
            ends = time.monotonic() + _LOT_SECONDS
            name = uuid.uuid4().hex
            if self._write({**taken, name: lot}, found):
                self._lot = _Lot(name, lot, lot.permits, ends)
                self._size = max(_FIRST_LOT, min(2 * self._size, self._limit // _LOTS))
                return 0.0

    def _current(self, found: SharedObject | None) -> dict[str, _Taken]:
        """The lots that count now; of our own, only the used permits."""
        since = time.time() - self._window - _LOT_SECONDS
        taken = {name: each for name, each in _read(found).items() if each.at > since}
        if self._lot is not None and self._lot.id in taken:
            taken[self._lot.id] = self._lot.used
        return taken

    def _write(self, taken: Mapping[str, _Taken], found: SharedObject | None) -> bool:
        """False if another process wrote meanwhile."""
        content = msgspec.json.encode({"written": uuid.uuid4().hex, "taken": taken})
        if found is None:
            return self._bucket.create(self._path, content) is not None
        return self._bucket.replace(self._path, content, found) is not None

    @cached_property
    def _bucket(self) -> SharedObjects:
        return shared_objects(
            "Pace(in_bucket=True) counts", "leave in_bucket out to count on this machine alone"
        )


class _Document(msgspec.Struct, frozen=True):
    taken: dict[str, _Taken]


_DECODER = msgspec.json.Decoder(_Document)


def _read(found: SharedObject | None) -> Mapping[str, _Taken]:
    """The lots in the object; none if it is damaged, so that it is overwritten."""
    try:
        return _DECODER.decode(found.data).taken if found else {}
    except msgspec.DecodeError:
        return {}
