"""Which rows the next run reads again although they have landed, each by a hash.

Few are kept in the state. Of many, such as those of a large first load out of order, the hashes
are a parquet object in the bucket, which becomes current with the state that names it.
"""

from __future__ import annotations

import base64
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypedDict

import pyarrow as pa

from landing.columns.arrow import pc, pq
from landing.columns.digest import row_hashes
from landing.extraction.cursor_values import Values
from landing.zone.bucket_file import BucketFile

IN_STATE = 5_000
"""Rows whose hashes are kept in the state itself, in 54 KB."""
_ALL_BITS = 0xFFFF_FFFF_FFFF_FFFF
_OLDER_BYTES = 12

LandedFile: TypeAlias = Path | BucketFile

Fetch = Callable[[str, Path], bool]
"""Downloads the hashes that were put with a load to a file; False if they are not there."""


def not_kept(load_id: str, file: Path) -> bool:
    return False


class KnownRowsState(TypedDict, total=False):
    hashes: str
    load_id: str
    """Names the object, where the hashes are not in the state."""


class KnownRows:
    """Hashes in order, 8 bytes each. If two rows had the same, the second would not land."""

    def __init__(self, hashes: Iterable[int] | pa.Array = ()) -> None:
        numbers = hashes if isinstance(hashes, pa.Array) else pa.array(hashes, pa.uint64())
        self._sorted = array("Q")
        self._sorted.frombytes(_bytes_of(pc.unique(numbers).sort()))

    @classmethod
    def of_state(cls, state: KnownRowsState, folder: Path, fetch: Fetch | None) -> KnownRows:
        """None are known where the object is gone: then their rows land again."""
        if not state:
            return cls()
        if "hashes" in state:
            return cls(array("Q", base64.b64decode(state["hashes"])))
        file = folder / "known-rows.parquet"
        if fetch is None or not fetch(state["load_id"], file):
            return cls()
        return cls(pq.read_table(file)["hash"].combine_chunks())

    @classmethod
    def of_older_state(cls, state: dict[str, Any] | None) -> KnownRows:
        """Of one that had hashes of 96 bits, and the position of each row."""
        data = base64.b64decode(state["hashes"]) if state else b""
        starts = range(0, len(data), _OLDER_BYTES)
        return cls(hash_of(int.from_bytes(data[n : n + _OLDER_BYTES], "big")) for n in starts)

    def __len__(self) -> int:
        return len(self._sorted)

    def __contains__(self, value: int) -> bool:
        index = bisect_left(self._sorted, value)
        return index < len(self._sorted) and self._sorted[index] == value

    @property
    def hashes(self) -> pa.Array:
        return pa.Array.from_buffers(pa.uint64(), len(self), [None, pa.py_buffer(self._sorted)])

    def in_state(self) -> KnownRowsState | None:
        """None if they are too many."""
        if len(self) > IN_STATE:
            return None
        return KnownRowsState(hashes=base64.b64encode(self._sorted.tobytes()).decode())

    def in_file(self, file: Path) -> Path:
        pq.write_table(pa.table({"hash": self.hashes}), file)
        return file


class SeenRows:
    """Rows of this run that the next one may read again: their keys, and their hashes."""

    def __init__(self) -> None:
        self._keys: list[pa.Array] = []
        self._hashes: list[pa.Array] = []

    def add(self, keys: Values, hashes: Sequence[int]) -> None:
        if hashes:
            self._keys += (
                pa.chunked_array(keys).chunks if isinstance(keys, pa.Array) else keys.chunks
            )
            self._hashes.append(pa.array(hashes, pa.uint64()))

    def matching(self, wanted: Callable[[Values], Any]) -> pa.Array:
        """The hashes of those whose keys are `wanted`."""
        if not self._hashes:
            return pa.array([], pa.uint64())
        keys, hashes = pa.chunked_array(self._keys), pa.chunked_array(self._hashes)
        found = hashes.combine_chunks().filter(wanted(keys.combine_chunks()))
        return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def hashes_of(table: pa.Table) -> list[int]:
    return [hash_of(value) for value in row_hashes(table)]


def hash_of(value: int) -> int:
    return value & _ALL_BITS


def rows_of(
    files: Iterable[LandedFile],
    name: str,
    wanted: Callable[[pa.ChunkedArray], Any],
    schema: pa.Schema,
) -> Iterator[pa.Table]:
    """The rows in these files whose column `name` is `wanted`; of others no more than that column
    is read."""
    for file in files:
        with pq.ParquetFile(file) as parquet:
            for group in range(parquet.num_row_groups):
                mask = wanted(parquet.read_row_group(group, columns=[name])[name])
                if pc.any(mask).as_py():
                    rows = parquet.read_row_group(group, columns=schema.names)
                    yield rows.select(schema.names).filter(mask)


def _bytes_of(numbers: pa.Array) -> bytes:
    start = numbers.offset * 8
    data: bytes = numbers.buffers()[1].to_pybytes() if len(numbers) else b""
    return data[start : start + len(numbers) * 8]
