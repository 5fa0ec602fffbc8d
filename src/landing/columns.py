"""Batches of rows to Arrow tables with exactly the columns that the stream config says.

Every file of a stream carries the same columns, whatever a page holds. A value that its type
can't hold without loss takes its row out, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, TypeAlias

import msgspec
import pyarrow as pa

from landing.columntypes import NOT_IN_ARROW, Column, column_of, python_values
from landing.fields import Field
from landing.http import JsonPage
from landing.jsontext import NoShapeError, object_type

Row = Mapping[str, Any]
Batch: TypeAlias = list[Row] | pa.Table | tuple[JsonPage, ...]


@dataclass(frozen=True)
class MisfitRow:
    index: int
    """Its position in the batch."""
    row: Row
    field: str
    reason: str


@dataclass(frozen=True)
class Converted:
    """A batch as columns. `kept` are the positions of its rows that fit, None if all did."""

    table: pa.Table
    given: Callable[[str], Sequence[Any]]
    """A field's values of all rows, as the API gave them."""
    misfits: Sequence[MisfitRow] = ()
    kept: Sequence[int] | None = None

    def raw(self, name: str) -> Sequence[Any]:
        """A field's values of the rows in `table`, as the API gave them."""
        values = self.given(name)
        return values if self.kept is None else [values[index] for index in self.kept]


class Columns:
    """The columns of one stream, in config order."""

    def __init__(self, fields: Mapping[str, Field]) -> None:
        self._columns = {name: column_of(field) for name, field in fields.items()}
        self.schema = pa.schema([(name, column.type) for name, column in self._columns.items()])
        self.record = _record_type(self._columns)
        """What a record in JSON decodes to; None if only a dictionary will do."""

    def convert(self, batch: Batch) -> Converted:
        if isinstance(batch, tuple):
            return self.from_pages(batch)
        return self.from_rows(batch) if isinstance(batch, list) else self.from_arrow(batch)

    def from_pages(self, pages: Sequence[JsonPage]) -> Converted:
        """Like `from_rows` of the pages' rows, but only the configured fields are decoded.

        Pages with any value that is not of its field's type go the way of `from_rows`.
        """
        if self.record is None or not any(pages):
            return self.from_rows(_rows(pages))
        try:
            records = [record for page in pages for record in page.decoded(self.record)]
            rows = map(msgspec.structs.astuple, records)
            values = dict(zip(self._columns, zip(*rows, strict=True), strict=True))
            arrays = [column.from_json(values[name]) for name, column in self._columns.items()]
        except NOT_IN_ARROW:
            return self.from_rows(_rows(pages))
        return Converted(pa.Table.from_arrays(arrays, schema=self.schema), values.__getitem__)

    def from_rows(self, rows: Sequence[Row]) -> Converted:
        arrays: list[pa.Array] = []
        misfits: dict[int, MisfitRow] = {}
        values = _values(rows, list(self._columns))
        for name, column in self._columns.items():
            array, reasons = column.convert(values[name])
            arrays.append(array)
            for index, reason in reasons.items():
                misfits.setdefault(index, MisfitRow(index, rows[index], name, reason))
        return self._fitting(arrays, misfits, values.__getitem__)

    def from_arrow(self, given: pa.Table) -> Converted:
        """Like `from_rows`, for streams that yield Arrow tables or data frames."""
        arrays: list[pa.Array | pa.ChunkedArray] = []
        misfits: dict[int, MisfitRow] = {}
        for name, column in self._columns.items():
            if name not in given.schema.names:
                arrays.append(pa.nulls(given.num_rows, column.type))
                continue
            array, reasons = column.convert_arrow(given[name])
            arrays.append(array)
            for index, reason in reasons.items():
                if index not in misfits:
                    misfits[index] = MisfitRow(index, _arrow_row(given, index), name, reason)
        return self._fitting(arrays, misfits, given.__getitem__)

    def value(self, name: str, raw: Any) -> pa.Scalar:
        """One raw value in its column's type. Raises Misfit."""
        column = self._columns[name]
        return pa.array([None if raw is None else column.fit(raw)], column.type)[0]

    def _fitting(
        self,
        arrays: list[pa.Array | pa.ChunkedArray],
        misfits: Mapping[int, MisfitRow],
        given: Callable[[str], Sequence[Any]],
    ) -> Converted:
        table = pa.Table.from_arrays(arrays, schema=self.schema)
        if not misfits:
            return Converted(table, given)
        kept = [index for index in range(table.num_rows) if index not in misfits]
        in_order = [misfits[index] for index in sorted(misfits)]
        return Converted(table.take(pa.array(kept, pa.int64())), given, in_order, kept)


def _rows(pages: Sequence[JsonPage]) -> list[Row]:
    return [row for page in pages for row in page.rows()]


def _values(rows: Sequence[Row], names: Sequence[str]) -> dict[str, Sequence[Any]]:
    """Each field's values of all rows, None where a row has not got it."""
    if rows and len(names) > 1 and all(type(row) is dict for row in rows):
        try:  # at once, which takes rows with all the fields
            return dict(zip(names, zip(*map(itemgetter(*names), rows), strict=True), strict=True))
        except KeyError:
            pass
    return {name: [row.get(name) for row in rows] for name in names}


def _record_type(columns: Mapping[str, Column]) -> type[msgspec.Struct] | None:
    """What a record decodes to: its configured fields alone, null where it has not got one."""
    members = {
        name: Any if column.json_type is Any else column.json_type | None
        for name, column in columns.items()
    }
    try:
        return object_type("Record", members, None)
    except NoShapeError:
        return None


def _arrow_row(table: pa.Table, index: int) -> Row:
    row = table.slice(index, 1)
    return {
        name: python_values(column)[0]
        for name, column in zip(row.schema.names, row.columns, strict=True)
    }
