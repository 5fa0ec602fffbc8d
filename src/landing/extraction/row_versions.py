"""Orders several versions of a record within one run.

A record that is edited while its stream is read may come twice. Readers take the newest row per
key by load id, so the second version needs a higher one: rows are divided into stretches in which
no key repeats, and each stretch gets its own load id.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from landing.columns.conversion import Columns, Row
from landing.columns.fitting import ConversionError
from landing.zone.layout import DEFERRED_VERSIONS, load_id_after

# Most keys of a stretch, so that memory does not grow with the backlog.
STRETCH_ROWS = 250_000


class RowVersions:
    """Assigns load ids from `first` on. Without a primary key, all rows get `first`."""

    def __init__(self, first: str, primary_key: tuple[str, ...]) -> None:
        self.repeated = 0
        """Rows whose key came before. Not exact beyond STRETCH_ROWS different keys."""
        self._row_version = first
        self._primary_key = primary_key
        self._seen: set[Any] = set()
        self._earlier: set[Any] = set()
        """Keys of the stretches before, of which a repeated key ended the last."""

    def versioned(self, table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
        """Pieces of the table in order, each with its load id."""
        if not self._primary_key:
            yield self._row_version, table
            return
        keys = keys_of(table, self._primary_key)
        start = 0
        while start < len(keys):
            end = self._until_repeated(keys, start)
            if end > start:
                yield self._row_version, table.slice(start, end - start)
            if self._earlier:
                self.repeated += sum(key in self._earlier for key in keys[start:end])
            if end < len(keys) or len(self._seen) >= STRETCH_ROWS:
                self._begin_stretch()
            start = end

    def of(self, key: Any) -> str:
        """The load id of the next row if it goes to quarantine, which orders it among the versions
        of its record that land."""
        if self._primary_key:
            if key in self._seen or len(self._seen) >= STRETCH_ROWS:
                self._begin_stretch()
            self._seen.add(key)
        return self._row_version

    def _begin_stretch(self) -> None:
        self._earlier |= self._seen
        if len(self._earlier) >= STRETCH_ROWS:
            self._earlier = set()
        self._seen = set()
        self._row_version = load_id_after(self._row_version)

    def _until_repeated(self, keys: list[Any], start: int) -> int:
        """The position of the next repeated key; the keys before it become seen."""
        ahead = set(keys[start:] if start else keys)
        if len(ahead) == len(keys) - start and ahead.isdisjoint(self._seen):
            self._seen |= ahead
            return len(keys)
        for index in range(start, len(keys)):
            if keys[index] in self._seen:
                return index
            self._seen.add(keys[index])
        return len(keys)


class LoadVersions:
    """The row versions of a run's loads."""

    def __init__(self, primary_key: tuple[str, ...]) -> None:
        self._primary_key = primary_key
        self._load_id = ""
        self._deferred: RowVersions | None = None
        self._fresh: RowVersions | None = None
        self._repeated = 0

    def of(self, load_id: str, *, is_deferred: bool) -> RowVersions:
        """The row versions of a load. Those of deferred rows are below the run's first load id,
        since they are older than any other version of their records."""
        if self._deferred is None:
            older = load_id_after(load_id, by=-DEFERRED_VERSIONS)
            self._deferred = RowVersions(older, self._primary_key)
        if self._fresh is None or load_id != self._load_id:
            self._repeated = self.repeated
            self._load_id = load_id
            self._fresh = RowVersions(load_id, self._primary_key)
        return self._deferred if is_deferred else self._fresh

    @property
    def repeated(self) -> int:
        """Rows of all loads whose key had come before in their load."""
        return self._repeated + (0 if self._fresh is None else self._fresh.repeated)


def keys_of(table: pa.Table, primary_key: Sequence[str]) -> list[Any]:
    columns = [table[name].to_pylist() for name in primary_key]
    keys = columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
    if not any(table[name].null_count for name in primary_key):
        return keys
    # A missing key equals no other.
    return [object() if _lacks(key) else key for key in keys]


def key_of(row: Row, columns: Columns, primary_key: Sequence[str]) -> Any:
    """The key of a rejected row, comparable with those of `keys_of`."""
    try:
        values = tuple(columns.value(name, row.get(name)).as_py() for name in primary_key)
    except ConversionError:
        return object()
    key = values[0] if len(values) == 1 else values
    return object() if _lacks(key) else key


def _lacks(key: Any) -> bool:
    return key is None or (isinstance(key, tuple) and None in key)
