"""Checks of the bucket: whether it answers, accepts writes and deletes, and agrees on the time."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from landing.catalog.workspace import BucketSettings, Workspace, bucket_settings, s3_keys
from landing.errors import BucketError, SettingsError
from landing.operations.doctor.findings import Finding, fine, wrong
from landing.zone.bucket import Bucket

PROBES = "_dlt/_doctor"
_APART = timedelta(seconds=60)
"""Difference between two clocks above which names and times of loads mislead a person."""
_VARIABLES = "`landing env` lists the bucket's variables, and which are set"


def settings(workspace: Workspace) -> BucketSettings | Finding:
    try:
        found = bucket_settings(workspace)
        if not found.is_local:
            s3_keys()
    except SettingsError as error:
        return wrong("bucket", str(error), _VARIABLES)
    return found


def bucket_findings(settings: BucketSettings) -> Iterator[Finding]:
    bucket = Bucket(settings)
    try:
        next(iter(bucket.list(PROBES)), None)
    except BucketError as error:
        yield wrong("bucket", str(error), _VARIABLES)
        return
    where = f" at {settings.endpoint}" if settings.endpoint else ""
    default = ", as DLT_BUCKET_URL is not set" if settings.is_default else ""
    yield fine("bucket", f"{settings.url}{where} answers{default}")
    yield from _probed(bucket)


def _probed(bucket: Bucket) -> Iterator[Finding]:
    path = f"{PROBES}/{uuid.uuid4().hex}"
    begun = datetime.now(UTC)
    try:
        bucket.put(path, b"written by `landing doctor`; may be deleted\n")
        stored = bucket.get(path)
        # Leases need conditional writes.
        taken = bucket.create(path, b"") is None
    except BucketError as error:
        yield wrong("writing", str(error), "give the key the right to put objects there")
        return
    finally:
        ended = datetime.now(UTC)
        deleted = _deleted(bucket, path)
    if stored is None or not taken:
        yield wrong(
            "writing",
            f"{bucket.location(path)} was written, but is not there or could be created twice",
            "use a store that is consistent and supports conditional writes (If-None-Match)",
        )
        return
    yield fine("writing", "objects can be written, made only once, and read back")
    if deleted is not None:
        yield wrong("deleting", str(deleted), "give the key the right to delete objects there")
    else:
        yield fine("deleting", "objects can be deleted")
    yield _clock(begun, stored.modified, ended)


def _deleted(bucket: Bucket, path: str) -> BucketError | None:
    try:
        bucket.delete(path)
    except BucketError as error:
        return error
    return None


def _clock(begun: datetime, there: datetime, ended: datetime) -> Finding:
    # Some buckets store times in whole seconds.
    apart = max(begun - there - timedelta(seconds=1), there - ended, timedelta())
    if apart < _APART:
        message = f"{apart.total_seconds():.0f} s" if apart > timedelta(seconds=1) else "a second"
        return fine("clock", f"this machine's and the bucket's are within {message} of each other")
    ahead = "behind" if there > ended else "ahead of"
    return wrong(
        "clock",
        f"this machine's is {apart.total_seconds():,.0f} s {ahead} the bucket's",
        "set the one that is wrong, such as by NTP; load ids are times, and schedules go by them",
    )
