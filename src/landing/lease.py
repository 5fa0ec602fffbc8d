"""One stream, one run: a lease in the bucket, taken by a conditional write.

Whether a lease has expired is judged by the bucket's clock alone, since pods' clocks differ: the
holder rewrites its lease every few seconds, and a contender compares the time of that write with
the time of a write of its own.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import uuid
from datetime import UTC, datetime, timedelta

from landing.bucket import Bucket, StoredObject
from landing.errors import BucketError, LandingError, LeaseHeld

EXPIRES_AFTER = timedelta(seconds=60)
RENEWED_EVERY = timedelta(seconds=15)


class Lease:
    """Held from `__enter__` to `__exit__`. Raises LeaseHeld if another run has it."""

    def __init__(self, bucket: Bucket, path: str, what: str) -> None:
        self._bucket = bucket
        self._path = path
        self._what = what
        self._token = uuid.uuid4().hex
        self._since = datetime.now(UTC)
        self._lost = threading.Event()
        self._done = threading.Event()
        self._renewal = threading.Thread(target=self._renew, name="landing-lease", daemon=True)

    def __enter__(self) -> Lease:
        # Read before writing: some stores make a bucket that is not there when they are written to.
        found = self._bucket.get(self._path)
        taken = (
            self._bucket.create(self._path, self._content())
            if found is None
            else (self._take_over(found))
        )
        if not taken:
            raise self._held(self._bucket.get(self._path))
        self._renewal.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._renewal.join()
        try:
            if self._is_ours(self._bucket.get(self._path)):
                self._bucket.delete(self._path)
        except BucketError:
            pass  # it expires by itself, and the run's own outcome matters more

    def check(self) -> None:
        """Raises LeaseHeld if the lease was lost while the run was under way."""
        if self._lost.is_set():
            raise LeaseHeld(
                f"{self._what}: this run lost its lease, as it could not renew it for "
                f"{EXPIRES_AFTER.seconds} s; nothing more was published, the next run completes it"
            )

    def _take_over(self, found: StoredObject) -> bool:
        """Replace a lease whose holder has not renewed it, if nobody else does so first."""
        if self._bucket_now() - found.modified < EXPIRES_AFTER:
            raise self._held(found)
        return self._bucket.replace(self._path, self._content(), found)

    def _bucket_now(self) -> datetime:
        probe = f"{self._path}.{self._token}"
        self._bucket.put(probe, b"")
        try:
            written = self._bucket.get(probe)
        finally:
            self._bucket.delete(probe)
        return written.modified if written else datetime.now(UTC)

    def _renew(self) -> None:
        renewed = datetime.now(UTC)
        while not self._done.wait(RENEWED_EVERY.total_seconds()):
            try:
                if not self._is_ours(self._bucket.get(self._path)):
                    self._lost.set()
                    return
                self._bucket.put(self._path, self._content())
                renewed = datetime.now(UTC)
            except LandingError:
                if datetime.now(UTC) - renewed > EXPIRES_AFTER:
                    self._lost.set()
                    return

    def _is_ours(self, found: StoredObject | None) -> bool:
        return found is not None and _fields(found).get("token") == self._token

    def _content(self) -> bytes:
        return json.dumps(
            {
                "token": self._token,
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "since": self._since.isoformat(timespec="seconds"),
            }
        ).encode()

    def _held(self, found: StoredObject | None) -> LeaseHeld:
        fields = _fields(found) if found else {}
        holder = f"process {fields.get('pid', '?')} on {fields.get('host', 'another machine')}"
        return LeaseHeld(
            f"{self._what}: another run is under way: {holder} holds the lease since "
            f"{fields.get('since', 'just now')}; it is free when that run ends, or "
            f"{EXPIRES_AFTER.seconds} s after it died"
        )


def _fields(found: StoredObject) -> dict[str, str]:
    try:
        fields = json.loads(found.data)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}
