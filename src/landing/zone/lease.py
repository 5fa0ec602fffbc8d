"""A lease in the bucket, taken by a conditional write, so that a stream has one run at a time.

A lease states its purpose: a run, which holds it from its first request to its end, or an operation
without an API, which is short enough to wait for. It also names the load that is being published:
whoever takes the lease of a process that has not finished one seals that load first, so that none
of its parts can appear later.

Only the bucket's clock decides whether a lease has expired, since pods' clocks differ: the holder
rewrites its lease every few seconds, and a contender compares the time of that write with the time
of a write of its own.
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
from datetime import UTC, datetime, timedelta

from landing.columns.arrow import pa
from landing.errors import BucketError, LandingError, LeaseHeld
from landing.zone.bucket import Bucket, StoredObject
from landing.zone.holder import RELEASED, Holder, Purpose, holder_of, is_released, lease_fields
from landing.zone.layout import stream_of_lease
from landing.zone.process import process_name
from landing.zone.sealing import Publishing, seal
from landing.zone.waiting import writes_end

EXPIRES_AFTER = timedelta(seconds=60)
RENEWED_EVERY = timedelta(seconds=15)
TRIED_AGAIN_AFTER = timedelta(seconds=2)
"""Pause before a failed renewal is repeated."""
TRUSTED_FOR = timedelta(seconds=45)
"""How long the holder trusts a renewal; shorter than EXPIRES_AFTER, to leave time for an upload to
begin."""
RELEASED_WITHIN = timedelta(seconds=7)
"""How long the end of a run waits for writes under way, and then for the release."""
PATIENCE = timedelta(minutes=15)
"""Longest wait for publications of others; a few large windows may take minutes."""
FIRST_RETRY, RETRY_EVERY = 0.03, 0.25
"""Approximate seconds between two attempts to take the lease. The first ones are short, as most
publications are."""


class Lease:
    """Held from `__enter__` to `__exit__`. Raises LeaseHeld if another run holds it.

    Waits up to `patience` for short operations, and with `waits_for_runs` for anything, without a
    limit. While it waits it calls `waiting` with a description of the holder; an exception from
    `waiting` ends the wait.
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
        self._publishing: Publishing | None = None
        """A load of this process or the one before, of which parts may still be on their way."""
        self._is_released = False
        self.dead_holder: Holder | None = None
        """The process that had the lease before and died: it never released it."""
        self._own: StoredObject | None = None
        self._bucket_was: tuple[datetime, float] | None = None
        """The bucket's time, and this machine's timer when it was requested."""
        self._confirmed = time.monotonic()
        self._renewing = threading.Lock()
        self._lost = threading.Event()
        self._done = threading.Event()
        self._renewal = threading.Thread(target=self._renew, name="landing-lease", daemon=True)

    def __enter__(self) -> Lease:
        begun = time.monotonic()
        pause = FIRST_RETRY
        while True:
            try:
                self._take()
            except _TakenByAnother as other:
                if not self._is_worth_waiting(other.purpose, time.monotonic() - begun):
                    raise LeaseHeld(str(other)) from None
                if self._waiting is not None:
                    self._waiting(other.holder)
                time.sleep(pause * random.uniform(0.5, 1.5))
                pause = min(2 * pause, RETRY_EVERY)
            except KeyboardInterrupt:
                self._release_unanswered()
                raise
            else:
                self._begin()
                return self

    def _is_worth_waiting(self, purpose: str, waited: float) -> bool:
        if self._waits_for_runs:
            return True
        return purpose != "run" and waited < self._patience.total_seconds()

    def _take(self) -> None:
        self._since = datetime.now(UTC)
        self._publishing = None
        # Read before writing: a write creates a missing bucket in some stores.
        found = self._bucket.get(self._path)
        self._confirmed = time.monotonic()
        if found is None:
            self._own = self._bucket.create(self._path, self._content())
        else:
            self._own = self._take_over(found)
        if self._own is None:
            raise self._taken(self._bucket.get(self._path))

    def _release_unanswered(self) -> None:
        """Release the lease if the request for it was granted, and its answer not waited for."""
        if not writes_end(RELEASED_WITHIN.total_seconds()):
            return
        with suppress(BucketError):
            self._own = self._late_renewal()
            if self._own is not None:
                self._is_released = True
                self._renew_once()

    def _begin(self) -> None:
        try:
            self._renewal.start()
            if self._publishing is not None:
                seal(self._bucket, stream_of_lease(self._path), self._publishing, self.check)
                self._publishing = None
        except BaseException:  # a signal may come at any time
            self.__exit__()
            raise

    def publishing(self, load_id: str, columns: pa.Schema) -> None:
        """Name the load in the bucket before its first part is put. Raises LeaseHeld if the lease
        is no longer ours."""
        self._publishing = Publishing(load_id, columns)
        self.confirm()

    def published(self) -> None:
        """Call once all of the load is in the bucket."""
        self._publishing = None

    def __exit__(self, *_: object) -> None:
        """Mark the lease as released, on condition that it is ours.

        It is not deleted, since no condition holds for that: the request of a process that has
        stopped for a minute would delete the lease of another one, with the load that it names.
        Nor is it released while a write goes on that a signal left behind: it has to expire, since
        that write may still arrive.
        """
        try:
            self._end()
        except KeyboardInterrupt:  # at the end of a run, or a second one
            self._end()
            raise

    def _end(self) -> None:
        deadline = time.monotonic() + RELEASED_WITHIN.total_seconds()
        self._done.set()
        if self._renewal.is_alive():
            self._renewal.join(RELEASED_WITHIN.total_seconds())
        if not writes_end(deadline - time.monotonic()):
            return
        self._is_released = True
        # A bucket that does not answer is not waited for: the lease expires by itself.
        releasing = threading.Thread(target=self._release, name="landing-release", daemon=True)
        releasing.start()
        releasing.join(RELEASED_WITHIN.total_seconds())

    def _release(self) -> None:
        with suppress(BucketError):  # the run's outcome matters more
            self._renew_once()

    def check(self) -> None:
        """Raises LeaseHeld unless the lease is certainly still ours, by this machine's timer."""
        silent = time.monotonic() - self._confirmed
        if self._lost.is_set():
            raise self.lost("which another run took, or someone deleted with what had landed")
        if silent > TRUSTED_FOR.total_seconds():
            raise self.lost(f"as it could not renew it for {silent:.0f} s")

    def confirm(self) -> None:
        """Raises LeaseHeld unless the lease is in the bucket and ours.

        It is missing if the bucket was deleted meanwhile. Some stores recreate a bucket on write:
        if the cursor moved then, the deleted rows would never be read again.
        """
        self._renew_once()
        self.check()

    def lost(self, why: str) -> LeaseHeld:
        """The error of a run that may not go on."""
        return LeaseHeld(
            f"{self._what}: this run lost its lease, {why}; nothing more was published, the next "
            "run completes it"
        )

    def _take_over(self, found: StoredObject) -> StoredObject | None:
        """Replace an expired or released lease; None if another process was faster."""
        if not is_released(found):
            expires = found.modified + EXPIRES_AFTER
            # Request the bucket's time only if the lease may have expired by the estimate.
            if self._estimated_now() < expires or self._bucket_now() < expires:
                raise self._taken(found)
        self._publishing = Publishing.of(lease_fields(found).get("publishing"))
        taken = self._bucket.replace(self._path, self._content(), found)
        if taken is not None and not is_released(found):
            self.dead_holder = holder_of(found)
        return taken

    def _bucket_now(self) -> datetime:
        probe = f"{self._path}.{self._token}"
        requested = time.monotonic()
        self._bucket.put(probe, b"")
        try:
            written = self._bucket.get(probe)
        finally:
            with suppress(BucketError):  # some keys may write and not delete
                self._bucket.delete(probe)
        now = written.modified if written else datetime.now(UTC)
        self._bucket_was = now, requested
        return now

    def _estimated_now(self) -> datetime:
        """The bucket's time, extrapolated with this machine's timer; late rather than early."""
        if self._bucket_was is None:
            return datetime.max.replace(tzinfo=UTC)
        now, requested = self._bucket_was
        return now + timedelta(seconds=time.monotonic() - requested)

    def _renew(self) -> None:
        pause = RENEWED_EVERY
        while not self._done.wait(pause.total_seconds()) and not self._lost.is_set():
            pause = TRIED_AGAIN_AFTER
            # `check` raises if renewals fail for too long.
            with suppress(LandingError):
                self._renew_once()
                pause = RENEWED_EVERY

    def _renew_once(self) -> None:
        with self._renewing:
            begun = time.monotonic()
            assert self._own is not None, "renewals begin once the lease is taken"
            renewed = self._bucket.replace(self._path, self._content(), self._own)
            if renewed is None and (late := self._late_renewal()) is not None:
                renewed = self._bucket.replace(self._path, self._content(), late)
            if renewed is None:
                self._lost.set()
                return
            self._own, self._confirmed = renewed, begun

    def _late_renewal(self) -> StoredObject | None:
        """The lease in the bucket if this process wrote it: a renewal that was given up has arrived
        since. It could not have if another process had taken the lease meanwhile."""
        found = self._bucket.get(self._path)
        is_own = found is not None and lease_fields(found).get("token") == self._token
        return found if is_own else None

    def _content(self) -> bytes:
        """The lease's JSON, different at each write, so that a renewal can be recognized."""
        self._writes += 1
        publishing = None if self._publishing is None else self._publishing.as_json()
        return json.dumps(
            {
                "token": self._token,
                "purpose": self._purpose,
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "process": process_name(),
                "since": self._since.isoformat(timespec="seconds"),
                "writes": self._writes,
                "publishing": publishing,
                "released": self._is_released,
            }
        ).encode()

    def _taken(self, found: StoredObject | None) -> _TakenByAnother:
        """The lease may just have been released; then the next attempt takes it."""
        holder = holder_of(found) if found else RELEASED
        if holder.is_gone:  # it may have released the lease before it ended
            found = self._bucket.get(self._path)
            holder = holder_of(found) if found and not is_released(found) else RELEASED
        return _TakenByAnother(self._what, holder)


class _TakenByAnother(Exception):
    """Another process holds the lease."""

    def __init__(self, what: str, holder: Holder) -> None:
        self.purpose = holder.purpose
        self.holder = f"{holder.doing}: {holder}"
        if holder.is_gone:
            end = f"it is free {EXPIRES_AFTER.seconds} s after it died"
        else:
            end = f"it is free when that ends, or {EXPIRES_AFTER.seconds} s after it died"
        super().__init__(f"{what}: {self.holder}; {end}")
