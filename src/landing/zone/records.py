"""Reads records from the bucket: JSON objects of a known type."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import msgspec

from landing.errors import BucketError
from landing.zone.bucket import Bucket, StoredObject

RESTORE = "put an earlier version of it back, or delete it"
_AT_ONCE = 16

Record = TypeVar("Record")


def read_record(
    bucket: Bucket, path: str, decoder: msgspec.json.Decoder[Record], remedy: str = RESTORE
) -> Record | None:
    """Read one record; None if it does not exist. Raises BucketError, with `remedy`, if it is
    damaged."""
    stored = bucket.get(path)
    return None if stored is None else decoded_record(bucket, path, stored, decoder, remedy)


def decoded_record(
    bucket: Bucket,
    path: str,
    stored: StoredObject,
    decoder: msgspec.json.Decoder[Record],
    remedy: str = RESTORE,
) -> Record:
    try:
        return decoder.decode(stored.data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BucketError(f"{bucket.location(path)} is damaged ({error}): {remedy}") from None


def read_records(
    bucket: Bucket,
    paths: Sequence[str],
    decoder: msgspec.json.Decoder[Record],
    remedy: str = RESTORE,
) -> list[Record]:
    """Read records concurrently, in the order of `paths`; leaves out those that do not exist."""

    def read(path: str) -> Record | None:
        return read_record(bucket, path, decoder, remedy)

    if len(paths) < 2:
        found = list(map(read, paths))
    else:
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="landing-records") as threads:
            found = list(threads.map(read, paths))
    return [record for record in found if record is not None]
