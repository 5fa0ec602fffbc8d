"""Known rows: those that the next run reads again although they have landed, each as a hash.

A few are in the state itself. Many, such as those of a large first load out of order, are a parquet
object in the bucket, which becomes current with the state that names it.
"""

from __future__ import annotations

import base64
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias, TypedDict

import pyarrow as pa

from landing.columns.arrow import pc, pq
from landing.extraction.cursor_values import Values
from landing.extraction.fingerprints import NO_RECORD, Fingerprints, hash_of, joined
from landing.zone.bucket_file import BucketFile

IN_STATE = 5_000
"""Rows whose hashes are kept in the state itself, in 80 KB."""
_OLDER_BYTES = 12
_PIECE_ROWS = 10_000

LandedFile: TypeAlias = Path | BucketFile

Fetch = Callable[[str, Path], bool]
"""Downloads the hashes that a load has stored to a file; returns False if there are none."""


def not_kept(load_id: str, file: Path) -> bool:
    return False


class KnownRowsState(TypedDict, total=False):
    hashes: str
    records: str
    """Hashes of their primary keys; earlier versions had none."""
    load_id: str
    """Names the object, if the hashes are not in the state."""


class KnownRows:
    """Hashes in order, 12 bytes for each row. If two rows had the same, the second would not
    land."""

    def __init__(self, of: Fingerprints | None = None) -> None:
        of = of or Fingerprints()
        order = pc.sort_indices(of.rows)
        rows, records = of.rows.take(order), of.records.take(order)
        if len(rows) > 1:
            is_first = pa.concat_arrays([pa.array([True]), pc.not_equal(rows[1:], rows[:-1])])
            rows, records = rows.filter(is_first), records.filter(is_first)
        self._rows, self._records = array("Q"), array("I")
        self._rows.frombytes(_bytes_of(rows, self._rows.itemsize))
        self._records.frombytes(_bytes_of(records, self._records.itemsize))
        self._is_seen = bytearray(len(rows))

    @classmethod
    def of_state(cls, state: KnownRowsState, folder: Path, fetch: Fetch | None) -> KnownRows:
        """The known rows of a state; none if the object is gone, so that their rows land again."""
        if not state:
            return cls()
        if "hashes" in state:
            rows = array("Q", base64.b64decode(state["hashes"]))
            records = array("I", base64.b64decode(state.get("records", "")))
            return cls(_complete(pa.array(rows, pa.uint64()), pa.array(records, pa.uint32())))
        file = folder / "known-rows.parquet"
        if fetch is None or not fetch(state["load_id"], file):
            return cls()
        table = pq.read_table(file)
        has_records = "record" in table.column_names
        records = table["record"].combine_chunks() if has_records else pa.array([], pa.uint32())
        return cls(_complete(table["hash"].combine_chunks(), records))

    @classmethod
    def of_older_state(cls, state: dict[str, Any] | None) -> KnownRows:
        """The known rows of an older state, which had 96-bit hashes and each row's position."""
        data = base64.b64decode(state["hashes"]) if state else b""
        starts = range(0, len(data), _OLDER_BYTES)
        rows = [hash_of(int.from_bytes(data[n : n + _OLDER_BYTES], "big")) for n in starts]
        return cls(_complete(pa.array(rows, pa.uint64()), pa.array([], pa.uint32())))

    def __len__(self) -> int:
        return len(self._rows)

    def see(self, value: int) -> int | None:
        """The hash of the record of a known row, which counts as seen from then on; None if the row
        is unknown."""
        index = bisect_left(self._rows, value)
        if index == len(self._rows) or self._rows[index] != value:
            return None
        self._is_seen[index] = 1
        return self._records[index]

    @property
    def all(self) -> Fingerprints:
        count = len(self)
        rows, records = pa.py_buffer(self._rows), pa.py_buffer(self._records)
        return Fingerprints(
            pa.Array.from_buffers(pa.uint64(), count, [None, rows]),
            pa.Array.from_buffers(pa.uint32(), count, [None, records]),
        )

    def missed(self, changed: pa.Array) -> Fingerprints:
        """Known rows that this run has not seen, unless it saw another row of their record, whose
        hash is then in `changed`. An edit while pages are read by number shifts a row past a run.

        They are forgotten if the next run does not see them either. Empty if there are many: then
        another cause is likely.
        """
        is_seen = pa.array(self._is_seen, pa.uint8()).cast(pa.bool_())
        seen = self.all.filter(is_seen).records
        unseen = self.all.filter(pc.invert(is_seen))
        others = pa.concat_arrays([seen, changed, pa.array([NO_RECORD], pa.uint32())])
        found = unseen.filter(pc.invert(pc.is_in(unseen.records, value_set=others)))
        if len(found) > IN_STATE:
            return Fingerprints()
        return Fingerprints(found.rows, pa.array([NO_RECORD] * len(found), pa.uint32()))

    def in_state(self) -> KnownRowsState | None:
        """None if they are too many."""
        if len(self) > IN_STATE:
            return None
        rows, records = (base64.b64encode(one).decode() for one in (self._rows, self._records))
        return KnownRowsState(hashes=rows, records=records)

    def in_file(self, file: Path) -> Path:
        pq.write_table(pa.table({"hash": self.all.rows, "record": self.all.records}), file)
        return file


def _complete(rows: pa.Array, records: pa.Array) -> Fingerprints:
    """The hashes of rows and records of a state, which may lack those of records."""
    if len(records) != len(rows):
        records = pa.array([NO_RECORD] * len(rows), pa.uint32())
    return Fingerprints(rows, records)


class SeenRows:
    """Rows of this run that the next one may read again, with the keys of their cursor values."""

    def __init__(self) -> None:
        self._keys: list[pa.Array] = []
        self._rows: list[Fingerprints] = []

    def add(self, keys: Values, rows: Fingerprints) -> None:
        if len(rows):
            self._keys += (
                pa.chunked_array(keys).chunks if isinstance(keys, pa.Array) else keys.chunks
            )
            self._rows.append(rows)

    def matching(self, wanted: Callable[[Values], Any]) -> Fingerprints:
        """The rows whose keys are `wanted`."""
        if not self._rows:
            return Fingerprints()
        mask = wanted(pa.chunked_array(self._keys).combine_chunks())
        return joined(self._rows).filter(mask)


def rows_of(
    files: Iterable[LandedFile],
    name: str,
    wanted: Callable[[pa.ChunkedArray], Any],
    schema: pa.Schema,
) -> Iterator[pa.Table]:
    """The rows in these files whose column `name` is `wanted`; of other rows only that column is
    read."""
    for file in files:
        with pq.ParquetFile(file) as parquet:
            for group in range(parquet.num_row_groups):
                mask = wanted(parquet.read_row_group(group, columns=[name])[name])
                if pc.any(mask).as_py():
                    yield from _masked(parquet, group, mask, schema)


def _masked(parquet: Any, group: int, mask: Any, schema: pa.Schema) -> Iterator[pa.Table]:
    """Rows of a row group, read in pieces: most often only its last ones are wanted."""
    pieces = parquet.iter_batches(
        _PIECE_ROWS, row_groups=[group], columns=schema.names, use_threads=False
    )
    start = 0
    for piece in pieces:
        of_piece = mask.slice(start, piece.num_rows)
        start += piece.num_rows
        if pc.any(of_piece).as_py():
            yield pa.Table.from_batches([piece]).select(schema.names).filter(of_piece)


def _bytes_of(numbers: pa.Array, size: int) -> bytes:
    start = numbers.offset * size
    data: bytes = numbers.buffers()[1].to_pybytes() if len(numbers) else b""
    return data[start : start + len(numbers) * size]
