"""Decimal numbers in JSON text of which a double would lose digits."""

from __future__ import annotations

import re
from decimal import Decimal

from landing.columns.json_text import Unreadable

_EXACT_DIGITS = 15
"""Every decimal of so many digits comes back from a double as it was."""
_LONG = b"0" * (_EXACT_DIGITS + 1)
_STEP = 4
_SAMPLED = b"0" * (len(_LONG) // _STEP)
"""How each `_STEP`-th character of a long number looks."""
_DIGITS = bytes(ord("0") if chr(byte) in "0123456789." else ord(" ") for byte in range(256))
_DECIMAL = re.compile(rb"\d+(?:\.\d+(?:[eE][+-]?\d+)?|[eE][+-]?\d+)")


def exact_number(text: str) -> float | Unreadable:
    """The double that a decimal is, or the decimal as it is spelled where there is none.

    What a program printed of a double is that double, whether with the fewest digits that tell it
    from others or with more of them.
    """
    number = float(text)
    if repr(number) == text:
        return number
    decimal = Decimal(text)
    if not decimal.is_finite() or number in (float("inf"), float("-inf")):
        return Unreadable(text.encode())
    digits = max(len(decimal.as_tuple().digits), 17)
    if decimal in (Decimal(repr(number)), Decimal(f"{number:.{digits}g}")):
        return number
    return Unreadable(text.encode())


def loses_digits(content: bytes) -> bool:
    """Whether JSON text has a decimal of more digits than a double holds.

    Most text is told from a quarter of its characters, since that takes a tenth of the time that
    decoding takes.
    """
    if _SAMPLED not in content[::_STEP].translate(_DIGITS):
        return False
    translated = content.translate(_DIGITS)
    at = translated.find(_LONG)
    while at >= 0:
        found = _DECIMAL.match(content, at)
        if found is not None and isinstance(exact_number(found[0].decode()), Unreadable):
            return True
        end = translated.find(b" ", at)
        at = translated.find(_LONG, end) if end >= 0 else -1
    return False
