"""Lines that are as wide as a terminal, and of any length elsewhere."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from typing import TextIO


def terminal_width(of: TextIO | None = None) -> int | None:
    """Of standard output, or another; None where lines may be of any length, as in a pipe."""
    return shutil.get_terminal_size().columns if (of or sys.stdout).isatty() else None


def is_dumb() -> bool:
    """Whether the terminal, if there is one, knows neither colours nor a line's beginning."""
    return os.environ.get("TERM", "dumb") in ("dumb", "unknown", "")


def hanging(line: str, under: int, width: int | None) -> str:
    """A line that goes on under its own cell `under` where it is too long; nothing is cut."""
    if width is None or len(line) <= width or " " not in line[under:]:
        return line  # an address that is cut is none
    start = line[:under]
    return textwrap.fill(
        line[under:],
        max(width, under + 20),
        initial_indent=start,
        subsequent_indent=" " * under,
        break_long_words=False,
        break_on_hyphens=False,
    )
