"""Hashes with which a run recognizes rows that an earlier one has landed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from zlib import crc32

import msgspec
import pyarrow as pa

from landing.columns.digest import row_hashes

_ALL_BITS = 0xFFFF_FFFF_FFFF_FFFF
NO_RECORD = 0
"""The record's hash of a row whose record is unknown."""


def _none(type_: pa.DataType) -> pa.Array:
    return pa.array([], type_)


@dataclass(frozen=True)
class Fingerprints:
    """The hash of each row, and that of its primary key, which identifies its record."""

    rows: pa.Array = field(default_factory=lambda: _none(pa.uint64()))
    records: pa.Array = field(default_factory=lambda: _none(pa.uint32()))

    def __len__(self) -> int:
        return len(self.rows)

    def filter(self, mask: pa.Array) -> Fingerprints:
        return Fingerprints(self.rows.filter(mask), self.records.filter(mask))


def fingerprints_of(table: pa.Table, primary_key: Sequence[str]) -> Fingerprints:
    rows = pa.array(hashes_of(table), pa.uint64())
    return Fingerprints(rows, pa.array(record_hashes(table, primary_key), pa.uint32()))


def joined(several: Iterable[Fingerprints]) -> Fingerprints:
    found = [Fingerprints(), *several]
    return Fingerprints(
        pa.concat_arrays([one.rows for one in found]),
        pa.concat_arrays([one.records for one in found]),
    )


def hashes_of(table: pa.Table) -> list[int]:
    return [hash_of(value) for value in row_hashes(table)]


def hash_of(value: int) -> int:
    return value & _ALL_BITS


def record_hashes(table: pa.Table, primary_key: Sequence[str]) -> list[int]:
    """The hashes of records. If two records had the same, a row might land again, but none would be
    lost."""
    if not primary_key:
        return [NO_RECORD] * table.num_rows
    encode = msgspec.json.Encoder(order=None).encode
    keys = table.select(list(primary_key)).to_pylist()
    return [crc32(encode(key)) or 1 for key in keys]
