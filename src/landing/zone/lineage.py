"""The lineage columns: which load a row belongs to, and a unique id for each row."""

from __future__ import annotations

import base64
import os

import pyarrow as pa

LINEAGE_FIELDS = (
    pa.field("_dlt_load_id", pa.string(), nullable=False),
    pa.field("_dlt_id", pa.string(), nullable=False),
)
LOAD_ID, ROW_ID = (field.name for field in LINEAGE_FIELDS)
_ID_BYTES = 12
_ID_CHARACTERS = 16


def with_lineage(table: pa.Table, load_id: str) -> pa.Table:
    values = (pa.repeat(load_id, table.num_rows), row_ids(table.num_rows))
    for field, column in zip(LINEAGE_FIELDS, values, strict=True):
        table = table.append_column(field, column)
    return table


def row_ids(count: int) -> pa.StringArray:
    """`count` random ids of 96 bits, generated as one block, which is much faster than one by
    one."""
    text = pa.py_buffer(base64.urlsafe_b64encode(os.urandom(count * _ID_BYTES)))
    ids = pa.FixedSizeBinaryArray.from_buffers(pa.binary(_ID_CHARACTERS), count, [None, text])
    return ids.cast(pa.string())
