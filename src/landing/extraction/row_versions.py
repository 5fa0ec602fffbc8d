"""Which of two versions of a record in one run is the newer one.

A record that is edited while its stream is read may come twice. Readers take the newest row per
key by load id, so the second version must carry a later one than the first: rows are stamped in
stretches in which no key repeats, each with a load id of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from landing.columns.conversion import Columns, Row
from landing.columns.fitting import ConversionError
from landing.zone.layout import DEFERRED_VERSIONS, load_id_after

# Keys kept at most; a stretch ends there, so that memory does not grow with the backlog.
STRETCH_ROWS = 500_000


class RowVersions:
    """Load ids from `first` on. Without a primary key there are no versions to tell apart."""

    def __init__(self, first: str, primary_key: tuple[str, ...]) -> None:
        self._row_version = first
        self._primary_key = primary_key
        self._seen: set[Any] = set()

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
            if end < len(keys) or len(self._seen) >= STRETCH_ROWS:
                self._seen = set()
                self._row_version = load_id_after(self._row_version)
            start = end

    def of(self, key: Any) -> str:
        """The load id of a row that comes next and goes to quarantine, so that it has its place
        between the versions of its record that land."""
        if self._primary_key:
            if key in self._seen or len(self._seen) >= STRETCH_ROWS:
                self._seen = set()
                self._row_version = load_id_after(self._row_version)
            self._seen.add(key)
        return self._row_version

    def _until_repeated(self, keys: list[Any], start: int) -> int:
        """Where the next repeated key is; all before it are seen from now on."""
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
    """The row versions of a run's loads, one after another."""

    def __init__(self, primary_key: tuple[str, ...]) -> None:
        self._primary_key = primary_key
        self._load_id = ""
        self._deferred: RowVersions | None = None

    def of(self, load_id: str, *, is_deferred: bool) -> RowVersions:
        """Deferred rows come last, and are older than any other version of them."""
        if self._deferred is None:
            older = load_id_after(load_id, by=-DEFERRED_VERSIONS)
            self._deferred = RowVersions(older, self._primary_key)
        if load_id != self._load_id:
            self._load_id = load_id
            self._fresh = RowVersions(load_id, self._primary_key)
        return self._deferred if is_deferred else self._fresh


def keys_of(table: pa.Table, primary_key: Sequence[str]) -> list[Any]:
    columns = [table[name].to_pylist() for name in primary_key]
    keys = columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
    if not any(table[name].null_count for name in primary_key):
        return keys
    # A key that is not there repeats no other.
    return [object() if _lacks(key) else key for key in keys]


def key_of(row: Row, columns: Columns, primary_key: Sequence[str]) -> Any:
    """The key of a row that is in no table, as `keys_of` would give it."""
    try:
        values = tuple(columns.value(name, row.get(name)).as_py() for name in primary_key)
    except ConversionError:
        return object()
    key = values[0] if len(values) == 1 else values
    return object() if _lacks(key) else key


def _lacks(key: Any) -> bool:
    return key is None or (isinstance(key, tuple) and None in key)
