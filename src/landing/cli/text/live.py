"""Lines at the bottom of a terminal that are redrawn during a command."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from math import ceil
from typing import TYPE_CHECKING, Self

from landing.cli.text.console import is_watched, presentable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_AFTER = 0.5
"""Seconds before lines are first drawn; a command that ends earlier never imports rich."""
_EVERY = 0.2

Line = Sequence[tuple[str, str]]
"""Pieces of text, each with its style as rich has it."""


class Live:
    """Draws lines on standard error in a thread of its own, from a moment after its creation until
    `close`, which removes them. Other output is printed above them.

    `lines` is called with the width and the height of the terminal.
    """

    def __init__(self, lines: Callable[[int, int], Sequence[Line]]) -> None:
        self._lines = lines
        self._cells: list[int] = []
        """Of the lines as they were drawn last."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="landing-live", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        if self._over.wait(_AFTER):
            return
        from rich.console import Console
        from rich.live import Live as Drawn

        # Colours as the environment says; that it is a terminal was checked before.
        console = Console(stderr=True, force_terminal=True, highlight=False)
        drawn = Drawn(
            get_renderable=lambda: self._text(console),
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),  # a file gets what is printed as it is
            vertical_overflow="crop",
        )
        with drawn:
            while not self._over.wait(_EVERY):
                self._take_back(console)
                drawn.refresh()

    def _take_back(self, console: Console) -> None:
        """Erase the rows that a terminal added when it became narrower and wrapped lines: rich
        erases only as many rows as it drew."""
        from rich.control import Control
        from rich.segment import ControlType

        extra = sum(max(0, ceil(cells / console.width) - 1) for cells in self._cells)
        for _ in range(extra):
            console.control(
                Control(
                    ControlType.CARRIAGE_RETURN,
                    (ControlType.ERASE_IN_LINE, 2),
                    (ControlType.CURSOR_UP, 1),
                )
            )

    def _text(self, console: Console) -> Text:
        from rich.text import Text

        width, height = console.size
        # Without the last cell, so that no terminal wraps a line and then loses count of them.
        rows = [
            Text.assemble(*((presentable(piece), style) for piece, style in line))
            for line in self._lines(width - 1, max(1, height - 1))
        ]
        for row in rows:
            row.truncate(width - 1, overflow="ellipsis")
        self._cells = [row.cell_len for row in rows]
        text = Text("\n", no_wrap=True, overflow="crop").join(rows)
        text.no_wrap = True
        return text


class Sampling:
    """In a terminal, a line with the stream that discovery is sampling."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._message = "begins"
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if is_watched():
            self._live = Live(self._line)
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.close()

    def notify(self, stream: str, number: int, count: int) -> None:
        self._message = f"samples {stream} ({number} of {count})"

    def _line(self, width: int, height: int) -> Sequence[Line]:
        return [[("• ", "cyan"), (f"{self._source}: ", "bold"), (self._message, "")]]
