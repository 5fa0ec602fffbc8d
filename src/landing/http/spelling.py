"""Reads names, ends, flags and counts in the different ways in which APIs spell them."""

from __future__ import annotations

import re
from collections.abc import Iterable

ENDS = frozenset({"", "0", "-1", "false", "null", "none"})
"""Spellings of "there is no next page" in a place that otherwise has a URL or a cursor."""


def names_in(text: str) -> tuple[str, ...]:
    """Splits a list whose separators are spaces."""
    return tuple(text.split())


def plain(name: str) -> str:
    """A name in lower case, without punctuation."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def plain_set(names: Iterable[str]) -> frozenset[str]:
    return frozenset(map(plain, names))


def is_end(value: object) -> bool:
    """Whether a value means that nothing follows."""
    return value is None or value is False or str(value).strip().lower() in ENDS


def yes_or_no(value: object) -> bool | None:
    """A flag as a boolean; None if the value is no flag."""
    text = str(value).strip().lower()
    if isinstance(value, bool | int | str):
        if text in ("true", "1", "yes", "y", "t"):
            return True
        if text in ("false", "0", "no", "n", "f", ""):
            return False
    return None


def whole_number(value: object) -> int | None:
    """A count as an integer; None if the value is no count."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    text = str(value).strip().removesuffix(".0")
    return int(text) if text.isascii() and text.isdecimal() else None
