"""Sizes that no row may exceed, so that one row can't take a run's or a reader's memory."""

from __future__ import annotations

import msgspec
import pyarrow as pa

MAX_ROW_BYTES = 16 * 1024 * 1024
"""Most bytes of a row in its configured columns, as Arrow counts them."""
MAX_KEPT_BYTES = MAX_ROW_BYTES
"""Most bytes of a row's JSON in quarantine; of a longer one, its beginning is kept as text."""
TOO_LARGE = f"the largest value of a row above {MAX_ROW_BYTES // 1024**2} MB"


def oversized(table: pa.Table) -> list[int]:
    """Positions of the rows above MAX_ROW_BYTES; searched only if the table is that large."""
    if table.nbytes <= MAX_ROW_BYTES or table.num_rows == 0:
        return []
    if table.num_rows == 1:
        return [0]
    middle = table.num_rows // 2
    after = [middle + index for index in oversized(table.slice(middle))]
    return oversized(table.slice(0, middle)) + after


def largest_column(table: pa.Table, index: int) -> str:
    """The column with the largest value in a row."""
    row = table.slice(index, 1)
    sizes = {
        name: column.nbytes for name, column in zip(row.schema.names, row.columns, strict=True)
    }
    return str(max(sizes, key=lambda name: sizes[name]))


def bounded(row: bytes) -> bytes:
    """A row's JSON; if it is too long to keep, a JSON string with its beginning."""
    if len(row) <= MAX_KEPT_BYTES:
        return row
    return msgspec.json.encode(row[:MAX_KEPT_BYTES].decode(errors="ignore") + "…")
