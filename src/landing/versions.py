"""Which of two versions of a record in one run is the newer one.

A record that is edited while its stream is read may come twice. Readers take the newest row per
key by load id, so the second version must carry a later one than the first: rows are stamped in
stretches in which no key repeats, each with a load id of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

# Keys kept at most; a stretch ends there, so that memory does not grow with the backlog.
STRETCH_ROWS = 500_000


class Stretches:
    """Cuts tables where a key repeats. Without a primary key there is nothing to tell apart."""

    def __init__(self, primary_key: tuple[str, ...]) -> None:
        self._primary_key = list(primary_key)
        self._seen: set[Any] = set()

    def cut(self, table: pa.Table) -> Iterator[tuple[bool, pa.Table]]:
        """Pieces of the table in order, each with whether it begins a new stretch."""
        if not self._primary_key:
            yield False, table
            return
        keys = self._keys(table)
        start, begins = 0, False
        while start < len(keys):
            if len(self._seen) >= STRETCH_ROWS:
                self._seen, begins = set(), True
            end = self._until_repeated(keys, start)
            if end > start:
                yield begins, table.slice(start, end - start)
                begins = False
            start = end
            if start < len(keys):
                self._seen, begins = set(), True

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

    def _keys(self, table: pa.Table) -> list[Any]:
        columns = [table[name].to_pylist() for name in self._primary_key]
        return columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
