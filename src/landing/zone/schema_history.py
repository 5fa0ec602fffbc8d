"""The schema history: a version in the bucket for each change of a stream's columns.

The state has the number and fingerprint of the last version, so that a run without changes reads
nothing. The bucket is authoritative, since an interrupted run may be ahead of the state.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TypedDict

import msgspec

from landing.columns.arrow import pa
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths, number_of
from landing.zone.records import read_record


class KnownSchema(TypedDict):
    """The last version, as the state stores it."""

    version: int
    fingerprint: str


class SchemaColumn(msgspec.Struct, frozen=True):
    name: str
    type: str


class TypeChange(msgspec.Struct, frozen=True):
    name: str
    before: str
    after: str


class SchemaVersion(msgspec.Struct, frozen=True):
    version: int
    load_id: str
    time: datetime
    columns: list[SchemaColumn]
    added: list[str] = []
    """`added`, `removed` and `changed` compare it with the previous version."""
    removed: list[str] = []
    changed: list[TypeChange] = []

    @property
    def types(self) -> dict[str, str]:
        return {column.name: column.type for column in self.columns}

    def as_json(self) -> bytes:
        return msgspec.json.format(msgspec.json.encode(self), indent=1)


_DECODER = msgspec.json.Decoder(SchemaVersion)


class Recorded(msgspec.Struct, frozen=True):
    known: KnownSchema
    new: SchemaVersion | None
    """The version to write to the bucket; None if it is there already."""


def recorded(
    bucket: Bucket, paths: StreamPaths, known: KnownSchema | None, columns: pa.Schema, load_id: str
) -> Recorded | None:
    """The schema version of a load's columns; None if it is the state's version."""
    types = {field.name: str(field.type) for field in columns}
    fingerprint = _fingerprint(types)
    if known is not None and known["fingerprint"] == fingerprint:
        return None
    last = last_version(bucket, paths, at_least=known["version"] if known else 0)
    if last is not None and _fingerprint(last.types) == fingerprint:
        return Recorded(KnownSchema(version=last.version, fingerprint=fingerprint), None)
    number = max(last.version if last else 0, known["version"] if known else 0) + 1
    new = _version(number, load_id, types, last)
    return Recorded(KnownSchema(version=number, fingerprint=fingerprint), new)


def _version(
    number: int, load_id: str, types: Mapping[str, str], last: SchemaVersion | None
) -> SchemaVersion:
    before = types if last is None else last.types
    return SchemaVersion(
        version=number,
        load_id=load_id,
        time=datetime.now(UTC),
        columns=[SchemaColumn(name, type_) for name, type_ in types.items()],
        added=[name for name in types if name not in before],
        removed=[name for name in before if name not in types],
        changed=[
            TypeChange(name, before[name], type_)
            for name, type_ in types.items()
            if before.get(name, type_) != type_
        ],
    )


def _fingerprint(types: Mapping[str, str]) -> str:
    """A hash of names and types, independent of the order of columns."""
    text = msgspec.json.encode(sorted(types.items()))
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def schema_versions(bucket: Bucket, paths: StreamPaths) -> Iterator[SchemaVersion]:
    """All versions, oldest first."""
    for number in _numbers(bucket, paths, 1):
        if (found := _read(bucket, paths, number)) is not None:
            yield found


def last_version(bucket: Bucket, paths: StreamPaths, at_least: int = 1) -> SchemaVersion | None:
    """The last version; None if there is none numbered `at_least` or higher."""
    numbers = _numbers(bucket, paths, at_least)
    return _read(bucket, paths, numbers[-1]) if numbers else None


def _numbers(bucket: Bucket, paths: StreamPaths, at_least: int) -> list[int]:
    found = map(number_of, bucket.list(paths.schemas, paths.schema(max(0, at_least - 1))))
    return sorted(number for number in found if number is not None)


def _read(bucket: Bucket, paths: StreamPaths, number: int) -> SchemaVersion | None:
    return read_record(bucket, paths.schema(number), _DECODER)
