"""Rows of a stream as a table of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from landing.cli.text.grid import BETWEEN, cells, columns_that_fit, grid
from landing.cli.text.output import counted, printable

_LONGEST = 1_000
"""Characters of one value."""

Row = Mapping[str, Any]


def row_lines(
    columns: Sequence[str], rows: Sequence[Row], width: int | None, more: str
) -> Iterator[str]:
    """As many of the columns as fit, and the names of the others; `more` says how to see them."""
    texts = [[_text(row.get(name)) for name in columns] for row in rows]
    shown = columns_that_fit(_widths(columns, texts), width)
    titles = [printable(name) for name in columns]
    numbers = [title for title, name in zip(titles, columns, strict=True) if _is_number(rows, name)]
    yield from grid(titles[:shown], [row[:shown] for row in texts], width, right=numbers)
    if left := titles[shown:]:
        yield f"and {counted(len(left), 'column')} more: {', '.join(left)}{more}"


def row_width(columns: Sequence[str], rows: Sequence[Row]) -> int:
    """What a table has that is cut nowhere."""
    texts = [[_text(row.get(name)) for name in columns] for row in rows]
    return sum(_widths(columns, texts)) + len(BETWEEN) * (len(columns) - 1)


def _widths(columns: Sequence[str], texts: Sequence[Sequence[str]]) -> list[int]:
    return [
        max(cells(name), *(cells(text) for text in column))
        for name, column in zip(columns, zip(*texts, strict=True), strict=True)
    ]


def _is_number(rows: Sequence[Row], name: str) -> bool:
    values = [row.get(name) for row in rows]
    return all(value is None or isinstance(value, int | float | Decimal) for value in values)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value[:_LONGEST]
    if isinstance(value, dict | list | bytes):
        return _as_json(value)[:_LONGEST]
    return str(value)


def _as_json(value: Sequence[Any] | dict[str, Any] | bytes) -> str:
    import msgspec

    return msgspec.json.encode(value, enc_hook=str).decode()
