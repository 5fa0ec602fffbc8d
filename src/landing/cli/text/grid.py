"""Tables of text: as wide as what is in them, or as the terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

from landing.cli.text.output import printable

BETWEEN = "  "
_LEAST = 6
"""Cells that a column keeps, however narrow the terminal."""


def grid(
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    width: int | None,
    right: Sequence[str] = (),
) -> Iterator[str]:
    """Lines of a table, no wider than `width`: the widest columns are cut first. Columns whose
    titles are in `right` are numbers."""
    texts = [list(titles), *([printable(text) for text in row] for row in rows)]
    widths = [max(cells(text) for text in column) for column in zip(*texts, strict=True)]
    if width is not None:
        _narrow(widths, width - len(BETWEEN) * (len(widths) - 1))
    for row in texts:
        fitted = [
            _placed(text, wide, to_the_right=title in right)
            for text, wide, title in zip(row, widths, titles, strict=True)
        ]
        yield BETWEEN.join(fitted).rstrip()


def columns_that_fit(widths: Sequence[int], width: int | None) -> int:
    """How many of the first columns have room, each cut as far as need be."""
    if width is None:
        return len(widths)
    taken = 0
    for count, wide in enumerate(widths):
        taken += min(wide, 2 * _LEAST) + (len(BETWEEN) if count else 0)
        if taken > width:
            return max(1, count)
    return len(widths)


def cells(text: str) -> int:
    """The width of a text in a terminal, in which a Chinese character takes two cells."""
    return sum(map(_cells_of, text))


def _cells_of(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _narrow(widths: list[int], room: int) -> None:
    while sum(widths) > room and max(widths) > _LEAST:
        widths[widths.index(max(widths))] -= 1


def _placed(text: str, width: int, *, to_the_right: bool) -> str:
    cut = _cut(text, width)
    space = " " * (width - cells(cut))
    return space + cut if to_the_right else cut + space


def _cut(text: str, width: int) -> str:
    if cells(text) <= width:
        return text
    kept, taken = "", 0
    for character in text:
        taken += _cells_of(character)
        if taken > width - 1:
            break
        kept += character
    return f"{kept}…"
