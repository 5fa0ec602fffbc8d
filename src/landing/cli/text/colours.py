"""Colours for what a person is to find in a text; never the only sign of anything."""

from __future__ import annotations

import os
from typing import Literal, TextIO

from landing.cli.text.lines import is_dumb

_CODES = {"bold": "1", "red": "1;31", "yellow": "33"}


def painted(text: str, style: Literal["bold", "red", "yellow"], on: TextIO) -> str:
    """The text, in a colour where what it is written to shows colours."""
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if _shows_colours(on) else text


def _shows_colours(on: TextIO) -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return on.isatty() and not is_dumb()
