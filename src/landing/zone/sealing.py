"""Seals a load whose run may still be publishing it, so that nothing more of it can appear.

Parts are put in order, each on condition that nothing has its name. An empty file with the name of
the next part therefore ends the load: an upload that arrives later is refused, and so is every part
that would follow it.
"""

from __future__ import annotations

import base64
import zlib
from binascii import Error as NotBase64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from landing.columns.arrow import pa, pq
from landing.errors import BucketError
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths, part_number_of
from landing.zone.records import read_records


@dataclass(frozen=True)
class Publishing:
    """A load whose parts are being put, as the lease names it."""

    load_id: str
    columns: pa.Schema

    def as_json(self) -> dict[str, str]:
        packed = zlib.compress(self.columns.serialize().to_pybytes())
        return {"load_id": self.load_id, "columns": base64.b64encode(packed).decode()}

    @classmethod
    def of(cls, found: Any) -> Publishing | None:
        """None if a lease names no load, or was written by an older version."""
        if not isinstance(found, Mapping):
            return None
        try:
            packed = zlib.decompress(base64.b64decode(found["columns"], validate=True))
            return cls(str(found["load_id"]), pa.ipc.read_schema(pa.py_buffer(packed)))
        except (KeyError, TypeError, NotBase64, zlib.error, pa.ArrowException):
            return None


class Seal(msgspec.Struct, frozen=True):
    """`_dlt/{source}/{stream}/seals/{load_id}.json`"""

    load_id: str
    path: str
    """The empty file after which no part of the load can appear."""
    bytes: int
    sealed: datetime
    """By the bucket's clock."""


_DECODER = msgspec.json.Decoder(Seal)


def seal(
    bucket: Bucket, paths: StreamPaths, publishing: Publishing, check: Callable[[], None]
) -> None:
    """Create the next part of the load as an empty file, unless all of the load is there.

    `check` raises if this process may not write any more.
    """
    load_id = publishing.load_id
    if bucket.get(paths.load_record(load_id)) is not None:
        return  # the record is put after the last part
    there = _parts_there(bucket, paths, load_id)
    last = max(there, default=-1)
    if last < 0 or not _is_empty(bucket, there[last]):
        last = _end(bucket, paths, publishing, last + 1, check)
        there[last] = paths.part(load_id, last)
    # Else a process that died made the empty file. If that was before it put the record:
    if (found := bucket.get(there[last])) is not None:
        made = Seal(load_id, there[last], len(found.data), found.modified)
        bucket.put(paths.seal(load_id), msgspec.json.encode(made))


def _end(
    bucket: Bucket,
    paths: StreamPaths,
    publishing: Publishing,
    first: int,
    check: Callable[[], None],
) -> int:
    """Create an empty file with the first name that is free; the number of that part."""
    content = empty_file(publishing.columns)
    for number in range(first, paths.MOST_PARTS):
        check()
        # If the name is taken meanwhile, the part has just arrived, and the next name is tried.
        if bucket.create(paths.part(publishing.load_id, number), content) is not None:
            return number
    raise BucketError(f"{paths.data}: load {publishing.load_id} has no free name to end it with")


def seals(bucket: Bucket, paths: StreamPaths) -> list[Seal]:
    return read_records(bucket, sorted(bucket.list(paths.seals)), _DECODER)


def sealed_loads(bucket: Bucket, paths: StreamPaths) -> set[str]:
    """Ids of the loads that another process has ended."""
    names = (path.rpartition("/")[2] for path in bucket.list(paths.seals))
    return {name.removesuffix(".json") for name in names}


def _parts_there(bucket: Bucket, paths: StreamPaths, load_id: str) -> dict[int, str]:
    """The paths of its parts by their numbers."""
    day = paths.part(load_id, 0).rpartition("/")[0]
    found = bucket.list(day, f"{day}/{load_id}")
    numbers = ((part_number_of(path, load_id), path) for path in found)
    return {number: path for number, path in numbers if number is not None}


def _is_empty(bucket: Bucket, path: str) -> bool:
    """Whether a part has no rows, as those of a run all have some."""
    with bucket.file(path) as file:
        return bool(pq.read_metadata(file).num_rows == 0)


def empty_file(columns: pa.Schema) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(columns.empty_table(), sink)
    return bytes(sink.getvalue().to_pybytes())
