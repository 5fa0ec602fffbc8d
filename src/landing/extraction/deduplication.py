"""Leaves out rows that a run reads again although they have landed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypedDict

import pyarrow as pa

from landing.columns.arrow import pc
from landing.columns.digest import Digest
from landing.columns.tombstones import is_tombstone
from landing.extraction.cursor_values import CursorValues, Values
from landing.extraction.deferred_rows import DeferredRows
from landing.extraction.fingerprints import (
    NO_RECORD,
    Fingerprints,
    fingerprints_of,
    hashes_of,
    joined,
    record_hashes,
)
from landing.extraction.known_rows import (
    Fetch,
    KnownRows,
    KnownRowsState,
    LandedFile,
    SeenRows,
    rows_of,
)
from landing.extraction.reached import ReachedState


class CursorState(TypedDict, total=False):
    """What dlt's resource state has of a cursor, in addition to dlt's own `incremental` entry."""

    reached: ReachedState
    rows: KnownRowsState
    known_without: dict[str, str]
    at: str
    """From states that earlier versions of this project wrote."""
    known: dict[str, str]
    window: dict[str, Any]


class Deduplication:
    """The deduplication of one run, which began with the cursor `before`."""

    def __init__(
        self,
        values: CursorValues,
        before: Any,
        state: CursorState,
        folder: Path,
        fetch: Fetch,
        primary_key: Sequence[str],
    ) -> None:
        self.known_count = 0
        """Number of rows that had landed before and did not land again."""
        self.rows_state = state.get("rows", KnownRowsState())
        self._values = values
        self._before = before
        self._folder = folder
        self._primary_key = primary_key
        self._known = KnownRows.of_state(self.rows_state, folder, fetch)
        if "window" in state:
            self._known = KnownRows.of_older_state(state["window"])
        self._seen = SeenRows()
        self._changed: list[pa.Array] = []
        """Hashes of records of which this run read an unknown row."""
        is_same = state.get("at") == json.dumps(before, default=str)
        self._older_known = Digest(state.get("known") if is_same and not self._known else None)
        self._known_without = Digest(state.get("known_without"))
        self._at_before = DeferredRows(folder / "at-last.arrow")
        self._without = DeferredRows(folder / "without-cursor.arrow")

    def defer(self, without_cursor: pa.Table) -> None:
        """Defer rows without a cursor value, which each run reads again."""
        self._without.add(without_cursor)
        if self._known:
            self._note_changed(without_cursor)

    def new(self, table: pa.Table, keys: Values) -> pa.Table:
        """The rows that have certainly not landed. Rows that may have landed are deferred."""
        if self._known:
            table, keys = self._unknown(table, keys)
        if self._older_known:
            at_before = pc.equal(keys, self._values.key_of(self._before))
            deferred = table.filter(at_before)
            self._at_before.add(deferred)
            self._seen.add(keys.filter(at_before), self._fingerprints(deferred))
            table, keys = table.filter(pc.invert(at_before)), keys.filter(pc.invert(at_before))
        gone = is_tombstone(table)
        if pc.any(gone).as_py():  # which land without their cursor value
            self._seen.add(keys.filter(gone), self._fingerprints(table.filter(gone)))
        return table

    def _fingerprints(self, table: pa.Table) -> Fingerprints:
        return fingerprints_of(table, self._primary_key)

    def _unknown(self, table: pa.Table, keys: Values) -> tuple[pa.Table, Values]:
        hashes = hashes_of(table)
        records = [self._known.see(value) for value in hashes]
        mask = pa.array([record is not None for record in records], pa.bool_())
        unknown = table.filter(pc.invert(mask))
        self._note_changed(unknown)
        if unknown.num_rows == table.num_rows:
            return table, keys
        self.known_count += table.num_rows - unknown.num_rows
        found = Fingerprints(pa.array(hashes, pa.uint64()), pa.array(records, pa.uint32()))
        again = found.filter(mask)
        if NO_RECORD in again.records.to_pylist():
            again = self._fingerprints(table.filter(mask))
            self._changed.append(again.records)
        self._seen.add(keys.filter(mask), again)
        return unknown, keys.filter(pc.invert(mask))

    def _note_changed(self, table: pa.Table) -> None:
        self._changed.append(pa.array(record_hashes(table, self._primary_key), pa.uint32()))

    def deferred_at_before(self) -> Iterator[pa.Table]:
        """Deferred rows with the last run's cursor value; call it once no more can follow."""
        yield from self._unknown_of(self._at_before, self._older_known)
        self._at_before = DeferredRows(self._folder / "at-last.arrow")

    def rest(self) -> Iterator[pa.Table]:
        """Deferred rows of which at least one was unknown; call it once the stream has ended."""
        yield from self._unknown_of(self._at_before, self._older_known)
        yield from self._unknown_of(self._without, self._known_without)

    def _unknown_of(self, deferred: DeferredRows, known: Digest) -> Iterator[pa.Table]:
        yield from deferred.unknown(known)
        self.known_count += deferred.known_count

    def landed(
        self, files: Iterable[LandedFile], schema: pa.Schema, is_read_again: Callable[[Any], Any]
    ) -> None:
        """Note the rows that land, by the keys of their cursor values, if the next run reads them
        again."""
        values, name = self._values, self._values.name
        for table in rows_of(files, name, lambda raw: is_read_again(values.keys(raw)), schema):
            self._seen.add(values.keys(table[name]), self._fingerprints(table))

    def known(
        self, is_read_again: Callable[[Values], Any], *, ended: bool, has_moved: bool
    ) -> KnownRows:
        """The known rows for the next run.

        Once the stream has `ended`, the rows of this run replace them, so that a row that changed
        back lands again. Rows that this run missed stay known, and all rows do if it read none and
        the cursor did not move.
        """
        seen = self._seen.matching(is_read_again)
        is_kept = not ended or not (len(seen) or has_moved)
        changed = pa.concat_arrays([pa.array([], pa.uint32()), *self._changed])
        before = self._known.all if is_kept else self._known.missed(changed)
        return KnownRows(joined([seen, before]))

    def without_cursor(self, *, ended: bool) -> dict[str, str]:
        """A digest of the rows without a cursor value: of this run if the stream has `ended`."""
        digest = self._without.digest if ended and self._without.digest else self._known_without
        return digest.as_json()
