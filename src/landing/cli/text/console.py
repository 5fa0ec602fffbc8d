"""Prints lines and tables that fit the terminal; in a pipe they have any length and no colour.

Everything that a command prints goes through this module, which makes it printable and masks known
secrets.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from typing import TextIO

from landing.errors import printable, printable_lines
from landing.secrets import masked

_GAP = "  "
_WIDEST_MARK = 24
"""Cells of a mark, below whose text lines continue; further left if it is wider."""
_HANGING = 4
VERDICTS = {"passed": "green", "ok": "green", "FAILED": "bold red", "!!": "bold red"}
"""Styles of words that say how a check ended."""


_documents: TextIO | None = None
"""Standard output, while everything but documents goes to standard error."""


def presentable(text: str) -> str:
    """`text` in one line, fit to be printed."""
    return printable(masked(text))


def presentable_cells(texts: Sequence[str]) -> list[str]:
    """The same for many texts, of which mostly none has a secret."""
    whole = "\n".join(texts)
    return list(map(printable if masked(whole) == whole else presentable, texts))


def put(text: str = "", to: TextIO | None = None) -> None:
    """Print one line as it is, whatever the width of the terminal."""
    print(presentable(text), file=to or sys.stdout, flush=True)


def put_trace(text: str) -> None:
    """Print a traceback on standard error."""
    print(printable_lines(masked(text)), file=sys.stderr, flush=True)


def put_document(lines: Sequence[str]) -> None:
    """Print a document for programs on standard output; `print_json` has masked its values."""
    print("\n".join(map(printable, lines)), file=_documents or sys.stdout, flush=True)


@contextmanager
def only_documents() -> Iterator[None]:
    """Send everything else to standard error, including what a source or its subprocesses print, so
    that standard output has only documents."""
    global _documents
    with ExitStack() as stack:
        _documents = stack.enter_context(_own_stdout())
        stack.enter_context(redirect_stdout(sys.stderr))
        try:
            yield
        finally:
            _documents = None


@contextmanager
def _own_stdout() -> Iterator[TextIO]:
    """Duplicate standard output to another descriptor, and point its usual one at standard
    error."""
    is_captured = sys.stdout is not sys.__stdout__
    usual = sys.stdout
    if is_captured or usual.fileno() != 1:
        yield usual  # as in tests
        return
    usual.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with os.fdopen(os.dup(kept), "w", encoding=usual.encoding) as documents:
            yield documents
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def say(
    text: str, *, mark: str = "", style: str = "", styled: str = "", to: TextIO | None = None
) -> None:
    """Print one line.

    In a terminal, a line that is too long continues below `text`, so `mark` is alone on the left.
    `style` is a style of rich, for `styled`, a part of the mark; without it for the mark, or for
    the line if there is no mark.
    """
    to = to or sys.stdout
    mark, text = presentable(mark), presentable(text)
    shown = _wrapped(mark, text, terminal_width(to))
    first = mark.index(styled) if styled else 0
    _print(shown, to, style, first, first + len(styled or mark or shown))


def _wrapped(mark: str, text: str, width: int | None) -> str:
    """An address that is cut is none, so a word stays whole, even if it is wider than the terminal.
    It continues further left if that gives it room."""
    if width is None:
        return (mark + text).rstrip()
    longest = max(map(len, text.split()), default=0)
    is_tight = len(mark) > _WIDEST_MARK or len(mark) + longest > width
    hang = " " * (min(len(mark), _HANGING) if is_tight else len(mark))
    begin = " " * len(mark)
    if len(mark) > len(hang) and len(mark) + len(text.partition(" ")[0]) > width:
        begin = hang  # not even the first word has room beside the mark
    lines = textwrap.wrap(
        text,
        width,
        initial_indent=begin,
        subsequent_indent=hang,
        break_long_words=False,
        break_on_hyphens=False,
    )
    if len(begin) == len(mark):
        lines[:1] = [mark + "".join(lines[:1])[len(mark) :]]
    else:
        lines.insert(0, mark)
    return "\n".join(line.rstrip() for line in lines)


def _print(text: str, to: TextIO, style: str, first: int, last: int) -> None:
    """Print a text of which a part has a style of rich, where colours are shown."""
    if not style or not (to.isatty() or os.environ.get("FORCE_COLOR")):
        print(text, file=to, flush=True)
        return
    from rich.console import Console
    from rich.text import Text

    whole = Text(text)
    whole.stylize(style, first, last)
    Console(file=to, highlight=False).print(whole, soft_wrap=True)


def put_grid(
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: Sequence[str] = (),
    *,
    may_go: Sequence[str] = (),
    styled: str = "",
    styles: Mapping[str, str] | None = None,
) -> None:
    """Print a table, in a terminal without columns in `may_go` for which there is no room, the
    first of them first. `styles` are those of cells in the column `styled`, by their text."""
    width = terminal_width()
    kept = list(range(len(titles)))
    for title in may_go:
        if width is None or _width(titles, rows, kept) <= width:
            break
        kept.remove(titles.index(title))
    shown = [titles[number] for number in kept]
    lines = grid(shown, [[row[number] for number in kept] for row in rows], width, right)
    at = lines[0].find(styled) if styled else -1
    _print(lines[0], sys.stdout, "bold", 0, len(lines[0]))
    for line, row in zip(lines[1:], rows, strict=True):
        cell = row[titles.index(styled)] if styled else ""
        style = (styles or {}).get(cell, "") if at >= 0 else ""
        _print(line, sys.stdout, style, at, at + len(cell))


def _width(titles: Sequence[str], rows: Sequence[Sequence[str]], kept: Sequence[int]) -> int:
    from rich.cells import cell_len

    widths = [max(cell_len(row[number]) for row in (titles, *rows)) for number in kept]
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def grid(
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    width: int | None,
    right: Sequence[str] = (),
) -> list[str]:
    """The lines of a table of at most `width` cells; the widest columns are cut first. Columns
    whose titles are in `right` have numbers."""
    cells = iter(presentable_cells([text for row in (titles, *rows) for text in row]))
    texts = [[next(cells) for _ in row] for row in (titles, *rows)]
    if width is None:
        return _padded(texts, [title in right for title in titles])
    from io import StringIO

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, len(_GAP), 0, 0), show_header=False)
    for title in titles:
        table.add_column(justify="right" if title in right else "left")
    for row in texts:
        table.add_row(*(Text(text, no_wrap=True, overflow="ellipsis") for text in row))
    console = Console(file=StringIO(), width=width, color_system=None)
    with console.capture() as captured:
        console.print(table)
    return [line.rstrip() for line in captured.get().splitlines()]


def _padded(texts: Sequence[Sequence[str]], is_right: Sequence[bool]) -> list[str]:
    """rich takes a second for every 3,000 rows."""
    from rich.cells import cell_len

    widths = [max(map(cell_len, column)) for column in zip(*texts, strict=True)]
    lines = []
    for row in texts:
        cells = []
        for text, width, right in zip(row, widths, is_right, strict=True):
            space = " " * (width - cell_len(text))
            cells.append(space + text if right else text + space)
        lines.append(_GAP.join(cells).rstrip())
    return lines


def terminal_width(of: TextIO | None = None) -> int | None:
    """The width of the terminal; None if lines may have any length, as in a pipe."""
    return shutil.get_terminal_size().columns if (of or sys.stdout).isatty() else None


def is_watched() -> bool:
    """Whether standard error is a terminal that shows moving lines."""
    is_dumb = os.environ.get("TERM", "dumb") in ("dumb", "unknown", "")
    return sys.stderr.isatty() and not is_dumb and not is_ci()


def is_ci() -> bool:
    return os.environ.get("CI", "").strip().lower() not in ("", "0", "false", "no")
