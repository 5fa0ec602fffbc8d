"""Sets of primary keys and their differences, at 8 bytes of memory per key.

A key becomes a mark of 64 bits: the key itself if it is a single integer, otherwise a hash. Keys
with equal marks count as one, which may hide a deletion but never invents one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
import pyarrow as pa

from landing.columns.arrow import pc, pq

# Compared one after another, since Arrow's set of marks takes ten times their size.
_BUCKETS = 64
_CHUNK_ROWS = 1_000_000
_MIX = 0x9E3779B97F4A7C15
_SHIFT = 64 - (_BUCKETS.bit_length() - 1)

_encode = msgspec.json.Encoder().encode


class KeySet:
    def __init__(self) -> None:
        self._chunks: list[pa.Array] = []
        self._small: list[pa.Array] = []
        self._in_small = 0

    def add(self, keys: pa.Table) -> None:
        self._small.append(marks_of(keys))
        self._in_small += keys.num_rows
        if self._in_small >= _CHUNK_ROWS:
            self._merge()

    def _merge(self) -> None:
        """Merge small chunks, which would slow down every bucket."""
        if self._small:
            self._chunks.append(pa.concat_arrays(self._small))
        self._small, self._in_small = [], 0

    def bucket(self, number: int) -> pa.Array:
        """The distinct marks of one bucket."""
        self._merge()
        found = []
        for marks in self._chunks:
            of = pc.shift_right(pc.multiply(marks, _uint64(_MIX)), _uint64(_SHIFT))
            found.append(marks.filter(pc.equal(of, _uint64(number))))
        return pc.unique(pa.chunked_array(found, pa.uint64()))


def compared(known: KeySet, present: KeySet) -> tuple[int, int, pa.Array]:
    """The number of distinct known keys, that of present ones, and the marks of known keys that
    are not present."""
    known_count = present_count = 0
    gone = []
    for number in range(_BUCKETS):
        marks, there = known.bucket(number), present.bucket(number)
        known_count += len(marks)
        present_count += len(there)
        gone.append(marks.filter(pc.invert(pc.is_in(marks, value_set=there))))
    return known_count, present_count, pa.concat_arrays(gone)


def _uint64(number: int) -> pa.Scalar:
    return pa.scalar(number, pa.uint64())


def marks_of(keys: pa.Table) -> pa.Array:
    """A mark for each row of a table of key columns without nulls."""
    if keys.num_columns == 1 and keys.schema.types[0] == pa.int64():
        return keys.column(0).combine_chunks().view(pa.uint64())
    rows = zip(*(column.to_pylist() for column in keys.columns), strict=True)
    digests = b"".join(hashlib.blake2b(_encode(row), digest_size=8).digest() for row in rows)
    return pa.Array.from_buffers(pa.uint64(), keys.num_rows, [None, pa.py_buffer(digests)])


def with_marks(files: Iterable[Path], marks: pa.Array) -> Iterator[pa.Table]:
    """The keys in the files that have these marks, each once."""
    for keys in tables(files) if len(marks) else ():
        found = marks_of(keys)
        first = _first_of_each(found, pc.is_in(found, value_set=marks))
        if len(first):
            marks = marks.filter(pc.invert(pc.is_in(marks, value_set=found.take(first))))
            yield keys.take(first)


def _first_of_each(marks: pa.Array, wanted: pa.Array) -> pa.Array:
    """The first position of each wanted mark."""
    rows = pa.array(range(len(marks)), pa.int64())
    table = pa.table({"mark": marks, "row": rows}).filter(wanted)
    return table.group_by("mark").aggregate([("row", "min")])["row_min"].combine_chunks()


def tables(files: Iterable[Path]) -> Iterator[pa.Table]:
    for file in files:
        with pq.ParquetFile(file) as parquet:
            for group in range(parquet.num_row_groups):
                yield parquet.read_row_group(group)


def whole(table: pa.Table, key: Sequence[str]) -> pa.Table:
    """The key columns of the rows whose key has no nulls."""
    keys = table.select(list(key))
    for name in key:
        if keys[name].null_count:
            keys = keys.filter(pc.is_valid(keys[name]))
    return keys
