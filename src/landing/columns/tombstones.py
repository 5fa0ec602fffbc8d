"""Tombstones: rows with the key of a deleted record and the time when the deletion was detected.

All files of a stream with deletes have the column `_deleted_at`, even if they have no tombstones.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from landing.catalog.fields import DELETED_AT
from landing.catalog.stream_config import HardDelete, StreamConfig
from landing.columns.arrow import pc
from landing.columns.plain_values import plain

DELETED_AT_FIELD = pa.field(DELETED_AT, pa.timestamp("us", tz="UTC"))
NO_KEY = "no value, so it is unknown which record is deleted"
_NEVER = frozenset({"", "0", "false", "f", "no", "n", "null", "none"})
_ZERO_TIME = re.compile(
    r"(?:0000-00-00|0001-01-01|1970-01-01)(?:[t ]00:00(?::00(?:\.0+)?)?)?"
    r"\s*(?:z|utc|\+00:?00)?|0+\.0+"
)
"""The zero times of MySQL, of .NET and Go, and of Unix; and 0 as a fraction."""
_UNDATED = datetime.fromtimestamp(0, UTC)


def is_tombstone(table: pa.Table) -> pa.ChunkedArray | pa.Array:
    """Booleans that mark the tombstones of a landed table; all false in files without
    `_deleted_at`."""
    if DELETED_AT not in table.schema.names:
        return pa.repeat(False, table.num_rows)
    return pc.is_valid(table[DELETED_AT])


def tombstone_count(table: pa.Table) -> int:
    if DELETED_AT not in table.schema.names:
        return 0
    return int(table.num_rows - table[DELETED_AT].null_count)


@dataclass(frozen=True)
class Tombstones:
    """Recognizes a stream's tombstones, and makes the rows that land for them."""

    key: tuple[str, ...]
    cursor: str | None
    """The cursor field, whose values an incremental run needs of tombstones too."""
    hint: HardDelete | None

    def found(self, hinted: Sequence[Any]) -> list[bool]:
        """Which rows are tombstones, by their values in the hinted column."""
        assert self.hint is not None, "only a stream with the hint has such values"
        test = _is_true if self.hint.is_boolean else _is_set
        return [not _is_null(value) and test(value) for value in hinted]

    def keeps(self, column: str) -> bool:
        """Whether a tombstone keeps its value in this column until the cursor was read."""
        return column in self.key or column == self.cursor

    def undated(self, gone: Sequence[bool]) -> pa.Array:
        """The column `_deleted_at` for rows just read: the same for each reading of a tombstone, so
        that one that has landed is recognized."""
        return pa.array([_UNDATED if is_gone else None for is_gone in gone], DELETED_AT_FIELD.type)

    def dated(self, table: pa.Table, noticed: datetime) -> pa.Table:
        """The rows as they land."""
        if not tombstone_count(table):
            return table
        mask = pc.is_valid(table[DELETED_AT])
        values = {DELETED_AT: pc.if_else(mask, _scalar(noticed), _scalar(None))}
        if self.cursor is not None and self.cursor not in self.key:
            values[self.cursor] = blanked(table[self.cursor], mask)
        for name, column in values.items():
            index = table.schema.get_field_index(name)
            table = table.set_column(index, table.schema.field(index), column)
        return table

    def of_keys(self, keys: pa.Table, schema: pa.Schema, noticed: datetime) -> pa.Table:
        """Tombstones of the records with these keys."""
        count = keys.num_rows
        columns = {name: keys[name] for name in keys.schema.names}
        columns[DELETED_AT] = pa.repeat(_scalar(noticed), count)
        arrays = [columns.get(field.name, pa.nulls(count, field.type)) for field in schema]
        return pa.Table.from_arrays(arrays, schema=schema)


def tombstones_of(config: StreamConfig) -> Tombstones | None:
    """The tombstones of a stream; None if its deletions are not detected."""
    if not config.has_deletes:
        return None
    cursor = config.cursor_field if config.is_incremental else None
    return Tombstones(config.primary_key, cursor, config.hard_delete)


def blanked(values: pa.ChunkedArray, gone: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray:
    """The values with null in place of those of tombstones, whatever their type."""
    rows = pa.array(range(len(values)), pa.int64())
    kept = pc.if_else(gone, pa.scalar(None, pa.int64()), rows)
    return values.take(kept)


def _scalar(moment: datetime | None) -> pa.Scalar:
    return pa.scalar(moment, DELETED_AT_FIELD.type)


def _is_null(value: Any) -> bool:
    """pandas' nulls among numbers and times equal nothing, themselves included."""
    return value is None or (isinstance(value, float | datetime) and value != value)


def _is_set(value: Any) -> bool:
    """Whether a value means that a record was deleted; APIs spell "not deleted" in many ways."""
    value = plain(value)
    if isinstance(value, str):
        text = value.strip().lower()
        return text not in _NEVER and not _ZERO_TIME.fullmatch(text)
    if isinstance(value, date):
        return not _ZERO_TIME.fullmatch(value.isoformat().lower())
    return value not in (None, 0, [], {})


def _is_true(value: Any) -> bool:
    """Whether a value of a boolean column means true, as in dlt; other values mean nothing."""
    if isinstance(value, bool | int | float | Decimal):
        return bool(value)
    from dlt.common.data_types import coerce_value  # large, and not for each reader of a config

    try:
        return bool(coerce_value("bool", "text", value)) if isinstance(value, str) else False
    except ValueError:
        return False
