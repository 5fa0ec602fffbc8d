"""Prints rows of a stream as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from landing.cli.text.console import grid, presentable, presentable_cells
from landing.errors import counted

_LONGEST = 1_000
"""Most characters of one value."""
_LEAST = 12
"""Cells that a column keeps, if it has as many, before later columns are left out."""
_GAP = 2


def row_lines(
    columns: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    width: int | None,
    *,
    more: str = "",
    first_to_go: Sequence[str] = (),
) -> list[str]:
    """A table with as many columns as fit, and the names of the others; `more` says how to see
    them. Columns in `first_to_go` are shown only if all columns fit uncut."""
    texts = {name: presentable_cells([_text(row.get(name)) for row in rows]) for name in columns}
    if width is not None and first_to_go and _taken(texts, None) > width:
        texts = {name: values for name, values in texts.items() if name not in first_to_go}
    names = list(texts)
    shown = len(names)
    while width is not None and shown > 1 and _taken(texts, shown) > width:
        shown -= 1
    numbers = [name for name in names[:shown] if _is_number(rows, name)]
    cells = [list(row) for row in zip(*(texts[name] for name in names[:shown]), strict=True)]
    lines = grid(names[:shown], cells, width, right=numbers)
    if left := names[shown:]:
        lines.append(
            f"and {counted(len(left), 'column')} more: {presentable(', '.join(left))}{more}"
        )
    return lines


def _taken(texts: Mapping[str, Sequence[str]], first: int | None) -> int:
    """Cells of the first columns, each cut as far as may be, or of all of them uncut."""
    from rich.cells import cell_len

    widths = [max(map(cell_len, [name, *values])) for name, values in texts.items()]
    if first is not None:
        widths = [min(width, _LEAST) for width in widths[:first]]
    return sum(widths) + _GAP * (len(widths) - 1)


def _is_number(rows: Sequence[Mapping[str, Any]], name: str) -> bool:
    values = [row.get(name) for row in rows]
    return all(value is None or isinstance(value, int | float | Decimal) for value in values)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list | bytes):
        import msgspec

        value = msgspec.json.encode(value, enc_hook=str).decode()
    return str(value)[:_LONGEST]
