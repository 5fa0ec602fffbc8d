"""Checks of the bucket: whether it answers, accepts writes and deletes, and agrees on the time."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from landing.catalog.settings import BucketSettings, bucket_settings, s3_keys
from landing.catalog.store_options import store_options
from landing.catalog.workspace import Workspace
from landing.errors import BucketError, BucketUnusable, SettingsError
from landing.operations.doctor.findings import Finding, fine, wrong
from landing.zone.bucket import Bucket, StoredObject

PROBES = "_dlt/_doctor"
_APART = timedelta(seconds=60)
"""Difference between two clocks above which names and times of loads mislead a person."""
_VARIABLES = "`landing env` lists the bucket's variables, and which are set"


def settings(workspace: Workspace) -> BucketSettings | Finding:
    try:
        found = bucket_settings(workspace)
        if found.scheme == "s3":
            s3_keys()
        store_options(found)
    except SettingsError as error:
        return wrong("bucket", str(error), _VARIABLES)
    return found


def bucket_findings(settings: BucketSettings) -> Iterator[Finding]:
    bucket = Bucket(settings)
    try:
        next(iter(bucket.list(PROBES)), None)
    except BucketError as error:
        yield wrong("bucket", str(error), _remedy(error))
        return
    where = f" at {settings.endpoint}" if settings.endpoint else ""
    default = ", as DLT_BUCKET_URL is not set" if settings.is_default else ""
    yield fine("bucket", f"{settings.url}{where} answers{default}")
    yield from _probed(bucket)


def _remedy(error: BucketError, otherwise: str = _VARIABLES) -> str:
    """The error's own, unless that is to run this command."""
    own = error.remedy
    return otherwise if own is None or own == BucketUnusable.remedy else own


def _probed(bucket: Bucket) -> Iterator[Finding]:
    path = f"{PROBES}/{uuid.uuid4().hex}"
    begun = datetime.now(UTC)
    try:
        bucket.put(path, b"written by `landing doctor`; may be deleted\n")
        stored = bucket.get(path)
        conditions = _unkept_conditions(bucket, path, stored)
    except BucketError as error:
        right = "give the key the right to put objects there"
        yield wrong("writing", str(error), _remedy(error, right))
        return
    finally:
        ended = datetime.now(UTC)
        deleted = _deleted(bucket, path)
    if stored is None or conditions:
        found = " and ".join(conditions) or "is not there"
        yield wrong(
            "writing",
            f"{bucket.location(path)} was written, but {found}",
            "use a store that is consistent and supports conditional writes (If-None-Match and "
            "If-Match, on Google generations): leases, the order of files and the state rely on "
            "them",
        )
        return
    yield fine(
        "writing",
        "objects can be written, made only once, replaced only in the version that was read, and "
        "read back",
    )
    if deleted is not None:
        yield wrong("deleting", str(deleted), "give the key the right to delete objects there")
    else:
        yield fine("deleting", "objects can be deleted")
    yield _clock(begun, stored.modified, ended)


def _unkept_conditions(bucket: Bucket, path: str, stored: StoredObject | None) -> list[str]:
    """What the bucket allows although the condition of the write does not hold."""
    if stored is None:
        return []
    found = []
    # Parts, and leases that are free, are written only where there is nothing.
    if bucket.create(path, b"a second one") is not None:
        found.append("could be created twice")
    # Leases and states are replaced only in the version that was read.
    if bucket.replace(path, b"the next version", stored) is None:
        found.append("could not be replaced in the version that was read")
    elif bucket.replace(path, b"a version of another process", stored) is not None:
        found.append("could be replaced in a version that was no longer there")
    return found


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
