"""One stream, one run: a lease in the bucket, taken by a conditional write.

A lease says what for: a run, which has it from its first request to its end, or something that
asks no API, which is short and worth waiting for.

Whether a lease has expired is judged by the bucket's clock alone, since pods' clocks differ: the
holder rewrites its lease every few seconds, and a contender compares the time of that write with
the time of a write of its own.
"""

from __future__ import annotations

import json
import os
import random
import socket
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, cast

from landing.errors import BucketError, LandingError, LeaseHeld
from landing.zone.bucket import Bucket, StoredObject

EXPIRES_AFTER = timedelta(seconds=60)
RENEWED_EVERY = timedelta(seconds=15)
TRIED_AGAIN_AFTER = timedelta(seconds=2)
"""A renewal that the bucket did not answer."""
TRUSTED_FOR = timedelta(seconds=45)
"""After a renewal; short of EXPIRES_AFTER by what an upload may take to begin."""
RELEASED_WITHIN = timedelta(seconds=5)
PATIENCE = timedelta(minutes=15)
"""For publications of others: that of a few large windows may take minutes."""
ASKED_FIRST, ASKED_EVERY = 0.03, 0.25
"""Seconds, more or less, between two tries of one who waits: soon at first, as a publication takes
no longer than that, and another machine may be the next to take it."""

Purpose = Literal["run", "publication", "compaction", "state"]
_DOING = {
    "run": "another run is under way",
    "publication": "rows that were read before are being published",
    "compaction": "its files are being compacted",
    "state": "its state is being changed",
}


class Lease:
    """Held from `__enter__` to `__exit__`. Raises LeaseHeld if another run has it.

    What is short is waited for, and with `waits_for_runs` a run, too, for as long as it takes.
    `waiting` is called again and again meanwhile, with what is waited for; what it raises ends the
    wait.
    """

    def __init__(
        self,
        bucket: Bucket,
        path: str,
        what: str,
        purpose: Purpose = "run",
        *,
        waits_for_runs: bool = False,
        waiting: Callable[[str], None] | None = None,
        patience: timedelta | None = None,
    ) -> None:
        self._patience = PATIENCE if patience is None else patience
        self._bucket = bucket
        self._path = path
        self._what = what
        self._purpose = purpose
        self._waits_for_runs = waits_for_runs
        self._waiting = waiting
        self._token = uuid.uuid4().hex
        self._since = datetime.now(UTC)
        self._writes = 0
        self._own: StoredObject | None = None
        self._bucket_was: tuple[datetime, float] | None = None
        """Its time, and when by this machine's timer it was asked for."""
        self._confirmed = time.monotonic()
        self._renewing = threading.Lock()
        self._lost = threading.Event()
        self._done = threading.Event()
        self._renewal = threading.Thread(target=self._renew, name="landing-lease", daemon=True)

    def __enter__(self) -> Lease:
        begun = time.monotonic()
        pause = ASKED_FIRST
        while True:
            try:
                self._take()
            except _Held as held:
                if not self._is_worth_waiting(held.purpose, time.monotonic() - begun):
                    raise LeaseHeld(str(held)) from None
                if self._waiting is not None:
                    self._waiting(held.holder)
                time.sleep(pause * random.uniform(0.5, 1.5))
                pause = min(2 * pause, ASKED_EVERY)
            else:
                self._renewal.start()
                return self

    def _is_worth_waiting(self, purpose: str, waited: float) -> bool:
        if self._waits_for_runs:
            return True
        return purpose != "run" and waited < self._patience.total_seconds()

    def _take(self) -> None:
        self._since = datetime.now(UTC)
        # Read before writing: some stores make a bucket that is not there when they are written to.
        found = self._bucket.get(self._path)
        self._confirmed = time.monotonic()
        if found is None:
            self._own = self._bucket.create(self._path, self._content())
        else:
            self._own = self._take_over(found)
        if self._own is None:
            raise self._held(self._bucket.get(self._path))

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._renewal.join(RELEASED_WITHIN.total_seconds())
        try:
            # Renewed first: nobody takes it over while it is deleted, however long that takes.
            self._renew_once()
            if not self._lost.is_set():
                self._bucket.delete(self._path)
        except BucketError:
            pass  # it expires by itself, and the run's own outcome matters more

    def check(self) -> None:
        """Raises LeaseHeld unless the lease is certainly ours still, by this machine's timer."""
        silent = time.monotonic() - self._confirmed
        if self._lost.is_set():
            raise self._gone("which another run took, or someone deleted with what had landed")
        if silent > TRUSTED_FOR.total_seconds():
            raise self._gone(f"as it could not renew it for {silent:.0f} s")

    def confirm(self) -> None:
        """Raises LeaseHeld unless the lease is in the bucket, and ours.

        It is not if the bucket was deleted meanwhile, which some stores make anew when they are
        written to: a cursor that moved then would leave behind rows that are gone.
        """
        self._renew_once()
        self.check()

    def _gone(self, why: str) -> LeaseHeld:
        return LeaseHeld(
            f"{self._what}: this run lost its lease, {why}; nothing more was published, the next "
            "run completes it"
        )

    def _take_over(self, found: StoredObject) -> StoredObject | None:
        """Replace a lease whose holder has not renewed it, if nobody else does so first."""
        expires = found.modified + EXPIRES_AFTER
        # One who waits need not ask for the time at each try, but before it takes the lease over.
        if self._estimated_now() < expires or self._bucket_now() < expires:
            raise self._held(found)
        return self._bucket.replace(self._path, self._content(), found)

    def _bucket_now(self) -> datetime:
        probe = f"{self._path}.{self._token}"
        asked = time.monotonic()
        self._bucket.put(probe, b"")
        try:
            written = self._bucket.get(probe)
        finally:
            self._bucket.delete(probe)
        now = written.modified if written else datetime.now(UTC)
        self._bucket_was = now, asked
        return now

    def _estimated_now(self) -> datetime:
        """The bucket's time, by this machine's timer since it was asked for; late rather than
        early."""
        if self._bucket_was is None:
            return datetime.max.replace(tzinfo=UTC)
        now, asked = self._bucket_was
        return now + timedelta(seconds=time.monotonic() - asked)

    def _renew(self) -> None:
        pause = RENEWED_EVERY
        while not self._done.wait(pause.total_seconds()) and not self._lost.is_set():
            pause = TRIED_AGAIN_AFTER
            # `check` refuses once this has gone wrong for too long.
            with suppress(LandingError):
                self._renew_once()
                pause = RENEWED_EVERY

    def _renew_once(self) -> None:
        with self._renewing:
            begun = time.monotonic()
            assert self._own is not None, "renewals begin once the lease is taken"
            renewed = self._bucket.replace(self._path, self._content(), self._own)
            if renewed is None:
                self._lost.set()
                return
            self._own, self._confirmed = renewed, begun

    def _content(self) -> bytes:
        """Different at each write, so that a renewed lease can be told from one that is not."""
        self._writes += 1
        return json.dumps(
            {
                "token": self._token,
                "purpose": self._purpose,
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "since": self._since.isoformat(timespec="seconds"),
                "writes": self._writes,
            }
        ).encode()

    def _held(self, found: StoredObject | None) -> _Held:
        """Of a lease that was given back just now, another try will tell more."""
        return _Held(self._what, _holder(found) if found else _GIVEN_BACK)


class _Held(Exception):
    """Another has the lease."""

    def __init__(self, what: str, holder: Holder) -> None:
        self.purpose = holder.purpose
        self.holder = f"{holder.doing}: {holder}"
        super().__init__(
            f"{what}: {self.holder}; it is free when that ends, or {EXPIRES_AFTER.seconds} s "
            "after it died"
        )


@dataclass(frozen=True)
class Holder:
    """Who holds a lease, or has died with it."""

    purpose: Purpose
    host: str
    pid: str
    since: str
    renewed: datetime
    """By the bucket's clock."""

    @property
    def doing(self) -> str:
        return _DOING[self.purpose]

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} holds the lease since {self.since}"


_GIVEN_BACK = Holder("publication", "another machine", "?", "just now", datetime.now(UTC))


def lease_holder(bucket: Bucket, path: str) -> Holder | None:
    """None if it is free."""
    found = bucket.get(path)
    return None if found is None else _holder(found)


def _holder(found: StoredObject) -> Holder:
    fields = _fields(found)
    purpose = fields.get("purpose", "run")
    return Holder(
        purpose=cast(Purpose, purpose if purpose in _DOING else "run"),
        host=str(fields.get("host", "another machine")),
        pid=str(fields.get("pid", "?")),
        since=str(fields.get("since", "just now")),
        renewed=found.modified,
    )


def _fields(found: StoredObject) -> dict[str, str]:
    try:
        fields = json.loads(found.data)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}
