"""Makes text of others safe to print: nothing in it steers a terminal or looks like another line.

An API, a file or a library chooses the text of cursors, reasons and messages, so it may contain
escape sequences, line breaks, or characters that reverse the direction of writing.
"""

from __future__ import annotations

import json


def printable(text: str) -> str:
    """`text` in one line, with each character that does not print spelled as in JSON."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def printable_lines(text: str) -> str:
    """As `printable`, but a text of several lines stays so. Lines after the first are indented:
    none looks like the first line of another message."""
    if text.isprintable():
        return text
    first, *more = text.split("\n")
    return "\n".join([printable(first), *(f"  {_tabbed(line)}" for line in more)])


def _tabbed(line: str) -> str:
    return "\t".join(map(printable, line.split("\t")))


def _escaped(character: str) -> str:
    number = ord(character)
    return f"\\u{number:04x}" if number < 0x10000 else json.dumps(character)[1:-1]
