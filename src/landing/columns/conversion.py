"""Converts batches of rows to Arrow tables with exactly the columns of the stream config.

Every file of a stream has the same columns, whatever a page contains. A row with a value that its
type can't hold without loss is rejected, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial, reduce
from operator import itemgetter
from typing import Any, TypeAlias

import msgspec
import pyarrow as pa

from landing.catalog.fields import DELETED_AT, Field, landing_fields
from landing.catalog.names import LINEAGE_PREFIX
from landing.catalog.stream_config import StreamConfig
from landing.columns import background
from landing.columns.arrow import pc
from landing.columns.arrow_pages import PageColumns, record_type
from landing.columns.column_types import NOT_IN_ARROW, column_of, python_values
from landing.columns.declared_types import converting
from landing.columns.json_page import JsonPage
from landing.columns.json_text import readable
from landing.columns.odd_records import OddRecord
from landing.columns.size_limits import TOO_LARGE, largest_column, oversized
from landing.columns.tombstones import DELETED_AT_FIELD, NO_KEY, Tombstones, blanked, tombstones_of

NEW_FIELDS = "_dlt_new_fields"
"""The column of new fields, as one JSON object, if the config lands them."""

RECORD = "record"
"""Stands for the field if the record as a whole does not convert."""

Row = Mapping[str, Any]
Batch: TypeAlias = list[Row] | pa.Table | tuple[JsonPage, ...]


@dataclass(frozen=True)
class RowError:
    index: int
    """The row's position in the batch."""
    row: Row
    field: str
    reason: str
    is_tombstone: bool = False


@dataclass(frozen=True)
class Converted:
    """A batch as columns. `kept` has the positions of the rows that fit; None if all did."""

    table: pa.Table
    given: Callable[[str], Sequence[Any]]
    """A field's values of all rows, as the API gave them."""
    errors: Sequence[RowError] = ()
    kept: Sequence[int] | None = None

    def blank(self) -> list[int]:
        """Positions in the batch of rows without any value."""
        columns = self.table.columns
        if not columns or not all(column.null_count for column in columns):
            return []
        rows = reduce(pc.and_, map(pc.is_null, columns)).to_pylist()
        found = [index for index, is_blank in enumerate(rows) if is_blank]
        return found if self.kept is None else [self.kept[index] for index in found]

    def raw(self, name: str) -> Sequence[Any]:
        """A field's values of the rows in `table`, as the API gave them."""
        values = self.given(name)
        return values if self.kept is None else [values[index] for index in self.kept]


class Columns:
    """The columns of one stream, in config order.

    With `known`, one more column has all fields other than these names; with `tombstones`, the last
    one marks deleted records. `data_types` are those that the stream declares; values that dlt
    converts to them are converted. With `is_protected`, private values may be protected already, as
    in quarantine. Raises SettingsError if a field is to be hashed and there is no key.
    """

    def __init__(
        self,
        fields: Mapping[str, Field],
        *,
        known: Collection[str] | None = None,
        is_protected: bool = False,
        tombstones: Tombstones | None = None,
        data_types: Mapping[str, str] | None = None,
    ) -> None:
        self.fields = fields
        declared = data_types or {}
        self._columns = {
            name: converting(column_of(field, is_protected=is_protected), declared.get(name))
            for name, field in landing_fields(fields).items()
        }
        self._known = known
        if known is not None:
            self._columns[NEW_FIELDS] = column_of(Field(type="object"))
        self.tombstones = tombstones
        hint = tombstones.hint if tombstones is not None else None
        self._hint = hint.column if hint is not None else None
        of_fields = pa.schema([(name, column.type) for name, column in self._columns.items()])
        self.schema = of_fields.append(DELETED_AT_FIELD) if tombstones is not None else of_fields
        self.record = record_type(self._columns, self._hint) if known is None else None
        """The type to decode a JSON record to; None if only a dictionary will do."""
        self._of_pages: PageColumns | None = None
        if self.record is not None and tombstones is None:
            self._of_pages = PageColumns(self._columns)
        self._has_decimals = any(column.may_round for column in self._columns.values())
        self.has_private = any(column.is_private for column in self._columns.values())

    def convert(self, batch: Batch) -> Converted:
        if isinstance(batch, tuple):
            return self.from_pages(batch)
        return self.from_rows(batch) if isinstance(batch, list) else self.from_arrow(batch)

    def from_pages(self, pages: Sequence[JsonPage]) -> Converted:
        """Like `from_rows` of the pages' rows, but only the configured fields are decoded.

        Pages with a value that is not of its field's type are decoded as for `from_rows`.
        """
        converted = self.typed(pages)
        return self.carefully(pages) if converted is None else converted

    def carefully(self, pages: Sequence[JsonPage]) -> Converted:
        return self.from_rows([row for page in pages for row in page.rows()])

    def typed(self, pages: Sequence[JsonPage]) -> Converted | None:
        """The batch; None if a value is not of its field's type, or has to be examined alone."""
        if self.record is None or not any(pages):
            return None
        losing = background.start(partial(_lose_digits, pages)) if self._has_decimals else None
        found = self._of_pages.read(pages) if self._of_pages is not None else None
        if losing is not None and losing.result():
            return None
        if found is not None:
            arrays = [found.arrays[name] for name in self._columns]
            table = self._table(arrays, None, found.rows)
            return None if oversized(table) else Converted(table, found.given)
        try:
            records = [record for page in pages for record in page.decoded(self.record)]
            rows = map(msgspec.structs.astuple, records)
            values = dict(zip(self._names, zip(*rows, strict=True), strict=True))
            gone = self._gone(values)
            arrays = [
                column.from_json(self._of_live(name, values[name], gone))
                for name, column in self._columns.items()
            ]
        except NOT_IN_ARROW:
            return None
        table = self._table(arrays, gone, len(records))
        if oversized(table) or (gone is not None and self._keyless(table)):
            return None
        return Converted(table, values.__getitem__)

    def from_rows(self, rows: Sequence[Row], gone: Sequence[bool] | None = None) -> Converted:
        """The batch. `gone` marks the rows that are tombstones, if that is known already."""
        arrays: list[pa.Array] = []
        errors: dict[int, RowError] = {}
        values = self._values(rows)
        if gone is None:
            gone = self._gone(values)
        elif not any(gone):
            gone = None
        for name, column in self._columns.items():
            array, reasons = column.convert(self._of_live(name, values[name], gone))
            arrays.append(array)
            for index, reason in reasons.items():
                errors.setdefault(index, RowError(index, rows[index], name, reason))
        for index, row in _odd_records(rows):
            errors[index] = RowError(index, row, RECORD, f"{row.in_words} where an object belongs")
        table = self._table(arrays, gone, len(rows))
        return self._fitting(table, gone, errors, values.__getitem__, rows.__getitem__)

    def from_arrow(self, given: pa.Table) -> Converted:
        """Like `from_rows`, for streams that yield Arrow tables or data frames."""
        arrays: list[pa.Array | pa.ChunkedArray] = []
        errors: dict[int, RowError] = {}
        gone = None
        if self._hint is not None and self._hint in given.schema.names:
            gone = self._gone({self._hint: python_values(given[self._hint])})
        for name, column in self._columns.items():
            if name == NEW_FIELDS:
                array, reasons = column.convert(self._of_live(name, self._new_of(given), gone))
            elif name in given.schema.names:
                values = given[name]
                if gone is not None and not self._is_kept(name):
                    values = blanked(values, pa.array(gone))
                array, reasons = column.convert_arrow(values)
            else:
                arrays.append(pa.nulls(given.num_rows, column.type))
                continue
            arrays.append(array)
            for index, reason in reasons.items():
                if index not in errors:
                    errors[index] = RowError(index, _arrow_row(given, index), name, reason)
        table = self._table(arrays, gone, given.num_rows)
        return self._fitting(table, gone, errors, given.__getitem__, partial(_arrow_row, given))

    @property
    def _names(self) -> list[str]:
        """The fields of a record that have to be read."""
        names = [name for name in self._columns if name != NEW_FIELDS]
        return names if self._hint is None or self._hint in names else [*names, self._hint]

    def _gone(self, values: Mapping[str, Sequence[Any]]) -> list[bool] | None:
        """Which rows are tombstones; None if none is."""
        if self.tombstones is None or self._hint is None:
            return None
        gone = self.tombstones.found(values[self._hint])
        return gone if any(gone) else None

    def _is_kept(self, name: str) -> bool:
        return self.tombstones is not None and self.tombstones.keeps(name)

    def _of_live(
        self, name: str, values: Sequence[Any], gone: Sequence[bool] | None
    ) -> Sequence[Any]:
        """A column's values, with null for tombstones, which have only their key."""
        if gone is None or self._is_kept(name):
            return values
        return [None if is_gone else v for v, is_gone in zip(values, gone, strict=True)]

    def _table(
        self,
        arrays: list[pa.Array | pa.ChunkedArray],
        gone: Sequence[bool] | None,
        count: int,
    ) -> pa.Table:
        if self.tombstones is not None:
            none = pa.nulls(count, DELETED_AT_FIELD.type)
            arrays = [*arrays, none if gone is None else self.tombstones.undated(gone)]
        return pa.Table.from_arrays(arrays, schema=self.schema)

    def _keyless(self, table: pa.Table) -> dict[int, str]:
        """Tombstones without a complete key, with the field that they lack."""
        assert self.tombstones is not None, "only such streams have tombstones"
        gone = table[DELETED_AT].is_valid()
        lacking: dict[int, str] = {}
        for name in self.tombstones.key:
            lacks = pc.and_(gone, table[name].is_null())
            lacking |= {index: name for index, lack in enumerate(lacks.to_pylist()) if lack}
        return lacking

    def dated(self, table: pa.Table, noticed: datetime) -> pa.Table:
        """The rows as they land, with this time for their tombstones."""
        return table if self.tombstones is None else self.tombstones.dated(table, noticed)

    def _values(self, rows: Sequence[Row]) -> dict[str, Sequence[Any]]:
        """Each column's values of all rows."""
        values = _values(rows, self._names)
        if NEW_FIELDS in self._columns:
            values[NEW_FIELDS] = [self._new_in(row) for row in rows]
        return values

    def _new_in(self, row: Row) -> Row | None:
        known = self._known or ()
        return {n: v for n, v in row.items() if not _is_known(n, known)} or None

    def _new_of(self, given: pa.Table) -> list[Row | None]:
        names = [name for name in given.schema.names if not _is_known(name, self._known or ())]
        columns = [python_values(given[name]) for name in names]
        if not names:
            return [None] * given.num_rows
        return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]

    def value(self, name: str, raw: Any) -> pa.Scalar:
        """One raw value in its column's type. Raises ConversionError."""
        return self._columns[name].value(raw)

    def refit(self, name: str, values: pa.ChunkedArray) -> tuple[pa.ChunkedArray, int]:
        """An older file's column in its current type, and the number of values that do not fit and
        are null."""
        array, reasons = self._columns[name].convert_arrow(values)
        return (array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])), len(
            reasons
        )

    def _fitting(
        self,
        table: pa.Table,
        gone: Sequence[bool] | None,
        errors: dict[int, RowError],
        given: Callable[[str], Sequence[Any]],
        row_at: Callable[[int], Row],
    ) -> Converted:
        for index in oversized(table):
            name = largest_column(table, index)
            errors.setdefault(index, RowError(index, row_at(index), name, TOO_LARGE))
        if gone is not None:
            for index, name in self._keyless(table).items():
                errors.setdefault(index, RowError(index, row_at(index), name, NO_KEY))
            errors = {n: replace(one, is_tombstone=gone[n]) for n, one in errors.items()}
        if not errors:
            return Converted(table, given)
        kept = [index for index in range(table.num_rows) if index not in errors]
        in_order = [errors[index] for index in sorted(errors)]
        return Converted(table.take(pa.array(kept, pa.int64())), given, in_order, kept)


def record_at(batch: Batch, index: int) -> Row:
    """One record of a batch with all its fields."""
    if isinstance(batch, pa.Table):
        return _arrow_row(batch, index)
    if isinstance(batch, list):
        return batch[index]
    for page in batch:
        if index < len(page):
            record = readable(page.decoded(msgspec.Raw)[index])
            return record if isinstance(record, dict) else {}
        index -= len(page)
    raise IndexError(index)


def columns_of(config: StreamConfig, *, is_protected: bool = False) -> Columns:
    """The columns of a stream's files, without the lineage columns."""
    known = config.known_names if config.on_drift == "land" else None
    tombstones = tombstones_of(config)
    return Columns(
        config.fields,
        known=known,
        is_protected=is_protected,
        tombstones=tombstones,
        data_types=config.data_types,
    )


def _is_known(name: str, known: Collection[str]) -> bool:
    return name in known or name.startswith(LINEAGE_PREFIX)


def _odd_records(rows: Sequence[Row]) -> Iterator[tuple[int, OddRecord]]:
    if OddRecord in set(map(type, rows)):
        yield from ((n, row) for n, row in enumerate(rows) if isinstance(row, OddRecord))


def _lose_digits(pages: Sequence[JsonPage]) -> bool:
    return any(page.loses_digits for page in pages)


def _values(rows: Sequence[Row], names: Sequence[str]) -> dict[str, Sequence[Any]]:
    """Each field's values of all rows; None if a row lacks it."""
    if len(names) > 1 and set(map(type, rows)) == {dict}:
        try:  # at once, which takes rows with all the fields
            return dict(zip(names, zip(*map(itemgetter(*names), rows), strict=True), strict=True))
        except KeyError:
            pass
    return {name: [row.get(name) for row in rows] for name in names}


def _arrow_row(table: pa.Table, index: int) -> Row:
    row = table.slice(index, 1)
    return {
        name: python_values(column)[0]
        for name, column in zip(row.schema.names, row.columns, strict=True)
    }
