"""A stream for each table, read as a whole or from a cursor on.

A stream config may name any column as the cursor. Rows are read in its order, so a row that changes
during the run moves to the end and is read again there.
"""

# No `from __future__ import annotations`: dlt looks for the incremental in the signature.
from collections.abc import Iterator
from typing import Any

import dlt
from dlt.common.schema.typing import TColumnSchema
from dlt.extract.resource import DltResource

from .client import DatasetteDatabase, DatasetteError, Page, Query, Row, Table

# As many as the instance allows, which by default are 1,000.
PAGE_ROWS = 10_000

# SQLite converts what is compared with a column of these types, and nothing else.
_WHOLE_NUMBERS = {"INT", "INTEGER", "TINYINT", "SMALLINT", "MEDIUMINT", "BIGINT"}
_FRACTIONS = {"REAL", "FLOAT", "DOUBLE", "DOUBLE PRECISION"}
_UNCONVERTED = {"", "BLOB", "ANY"}


@dlt.source
def datasette() -> Iterator[DltResource]:
    """All tables of the database at DATASETTE_URL."""
    database = DatasetteDatabase()
    for table in database.tables():
        yield table_stream(database, table)


def table_stream(database: DatasetteDatabase, table: Table) -> DltResource:
    @dlt.resource(
        name=table.name,
        write_disposition="merge",
        primary_key=list(table.key) if len(table.key) > 1 else table.key[0],
        columns=declared_columns(table),
    )
    def rows(
        cursor: dlt.sources.incremental[Any] | None = None,
        limit: int = PAGE_ROWS,
        fields: list[str] | None = None,
    ) -> Iterator[list[Row]]:
        reader = TableReader(database, table, limit)
        if cursor is None:
            yield from reader.all_rows(selected(table, fields))
            return
        query = selected(table, fields, cursor.cursor_path)
        with_nulls = cursor.on_cursor_value_missing != "exclude"
        if cursor.end_value is not None:  # of a backfill; rows without a value are in no window
            query, with_nulls = {**query, **_before(cursor.cursor_path, cursor.end_value)}, False
        yield from reader.rows_since(cursor.cursor_path, cursor.last_value, query, with_nulls)

    return rows


def declared_columns(table: Table) -> list[TColumnSchema]:
    """All columns in the table's order, with types for numbers only.

    SQLite does not enforce types, but a column declared as INTEGER that is empty in the sample most
    likely has numbers. For text the sample decides, since dates and times are text in SQLite.
    """
    added = [name for name in table.key if name not in table.columns]
    return [_declared_column(name, table.declared.get(name)) for name in (*added, *table.columns)]


def _declared_column(name: str, declared: str | None) -> TColumnSchema:
    if declared in _WHOLE_NUMBERS:
        return {"name": name, "data_type": "bigint"}
    if declared in _FRACTIONS:
        return {"name": name, "data_type": "double"}
    return {"name": name}


def selected(table: Table, fields: list[str] | None, cursor: str | None = None) -> Query:
    """The columns to request, without the key: Datasette adds it, and would return it twice."""
    if fields is None:
        return {}
    others = [name for name in table.columns if name not in table.key]
    wanted = [name for name in others if name in fields or name == cursor]
    if wanted == others:
        return {}
    return {"_col": wanted or [table.columns[0]]}


class TableReader:
    def __init__(self, database: DatasetteDatabase, table: Table, limit: int) -> None:
        self._database = database
        self._table = table
        self._limit = limit

    def all_rows(self, query: Query, after: str | None = None) -> Iterator[list[Row]]:
        """All pages of `query`, in the order of the key unless the query says otherwise."""
        while True:
            page = self._page(query, after)
            yield page.rows
            after = page.next
            if after is None:
                return

    def rows_since(
        self, cursor: str, start: Any, query: Query, with_nulls: bool
    ) -> Iterator[list[Row]]:
        """The rows at or beyond `start`, then those without a value in `cursor`.

        The latter are read in every run, since nothing else would reveal a new one.
        """
        self._refuse_unconverted(cursor, start)
        since = {**query, **_from(cursor, start)}
        if self._table.key == (cursor,):
            yield from self.all_rows(since)
            return
        yield from self._sorted_rows(cursor, since)
        if with_nulls:
            yield from self.all_rows({**query, f"{cursor}__isnull": "1"})

    def _sorted_rows(self, cursor: str, query: Query) -> Iterator[list[Row]]:
        """Rows in the order of `cursor`, each once.

        Datasette sorts the first page by the cursor alone, and later pages by cursor and key. Any
        of the rows that share the first page's last value may be on it, so continuing after the
        last of them would skip others. These rows are requested separately.
        """
        in_order = {**query, f"{cursor}__notnull": "1", "_sort": cursor}
        first = self._page(in_order)
        if first.next is None:
            yield first.rows
            return
        tied = first.rows[-1][cursor]
        self._refuse_unconverted(cursor, tied)
        yield _without(first.rows, cursor, tied)
        yield from self.all_rows({**query, f"{cursor}__exact": tied})
        for rows in self.all_rows(in_order, first.next):
            yield _without(rows, cursor, tied)

    def _page(self, query: Query, after: str | None = None) -> Page:
        page = self._database.page(self._table, self._limit, query, after)
        if page.next is not None:
            for name in self._table.key:
                self._refuse_unconverted(name, page.rows[-1][name])
        return page

    def _refuse_unconverted(self, column: str, value: Any) -> None:
        """Raises DatasetteError for a number in a column without a number type: Datasette compares
        with text, and SQLite sorts any text after any number."""
        if self._table.declared.get(column) in _UNCONVERTED and isinstance(value, (int, float)):
            raise DatasetteError(
                f"table '{self._table.name}': column '{column}' holds numbers but is declared "
                "without a number type, so Datasette can't read on from one; declare it INTEGER "
                "or REAL, or choose another cursor"
            )


def _from(cursor: str, start: Any) -> dict[str, str | int | float]:
    """The condition for rows at or beyond `start`. Datasette would take text such as `0042` for the
    number 42, so all rows are requested then, and the caller drops the known ones."""
    if start is None or (isinstance(start, str) and _is_spelled_otherwise(start)):
        return {}
    return {f"{cursor}__gte": start}


def _before(cursor: str, end: Any) -> dict[str, str | int | float]:
    """The condition for rows below `end`; none if `_from` has none."""
    is_no_number = isinstance(end, str) and _is_spelled_otherwise(end)
    return {} if is_no_number else {f"{cursor}__lt": end}


def _is_spelled_otherwise(text: str) -> bool:
    return text.isdigit() and not (text.isascii() and text == str(int(text)))


def _without(rows: list[Row], cursor: str, value: Any) -> list[Row]:
    return [row for row in rows if row[cursor] != value]
