"""Remembers which rows were seen, in constant space."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec
import pyarrow as pa

BUCKETS = 1024
REMEMBERED_ROWS = 100_000


class Digest:
    """Which rows were seen: each row falls into a bucket, and a bucket is the sum of its rows.

    A bucket that differs has at least one row that was not seen. One that is equal has none, unless
    two 64-bit sums collide.
    """

    def __init__(self, sums: dict[str, str] | None = None) -> None:
        self._sums = {int(key, 16): int(value, 16) for key, value in (sums or {}).items()}
        self._added: set[int] = set()

    def add(self, hashes: Sequence[int]) -> None:
        """Add rows; each counts once, even if overlapping pages return it again."""
        for value in hashes:
            if value in self._added:
                continue
            if len(self._added) < REMEMBERED_ROWS:
                self._added.add(value)
            bucket = value % BUCKETS
            self._sums[bucket] = (self._sums.get(bucket, 0) + (value >> 16)) % 2**64

    def differs(self, other: Digest, bucket: int) -> bool:
        return self._sums.get(bucket) != other._sums.get(bucket)

    def as_json(self) -> dict[str, str]:
        return {f"{key:x}": f"{value:x}" for key, value in sorted(self._sums.items())}

    def __bool__(self) -> bool:
        return bool(self._sums)


def row_hashes(table: pa.Table) -> list[int]:
    encode = msgspec.json.Encoder(order=None).encode
    return [
        int.from_bytes(hashlib.blake2b(encode(row), digest_size=12).digest(), "big")
        for row in table.to_pylist()
    ]
