"""Finds decimals in JSON text that a double would change: too many digits, or too close to 0."""

from __future__ import annotations

import math
import re
from decimal import Decimal, InvalidOperation
from itertools import chain

from landing.columns.arrow import pa, pc
from landing.columns.json_text import Unreadable

_EXACT_DIGITS = 15
"""Digits of a decimal that a double always keeps."""
_LONG = b"0" * (_EXACT_DIGITS + 1)
_STEP = 4
_SAMPLED = b"0" * (len(_LONG) // _STEP)
"""The pattern of every `_STEP`-th character of a long number."""
_DIGITS = bytes(ord("0") if chr(byte) in "0123456789." else ord(" ") for byte in range(256))
_DECIMAL = re.compile(rb"\d+(?:\.\d+(?:[eE][+-]?\d+)?|[eE][+-]?\d+)")
_EXPONENTS = [
    re.compile(rb"%b-(?<=\d%b-)\d{3,}(?=[\s,\]}])" % (letter, letter)) for letter in (b"e", b"E")
]
"""The pattern of numbers that may be too close to 0; the search for its literal beginning is
fast."""
_LONG_OR_TINY = (
    r"(?:(?:[0-9]{8}\.[0-9]+|[0-9]\.[0-9]{8,})(?:[eE][+-]?[0-9]+)?"
    r"|[0-9]{16}[eE][+-]?[0-9]+|[0-9][eE]-[0-9]{3,})[\s,\]}]"
)
"""Matches in any text with a decimal of more than `_EXACT_DIGITS` digits or close to 0."""
_LAST_NUMBER = re.compile(rb"\d+(?:\.\d+)?[eE]-\d+\Z")
_WINDOW = 64


def exact_number(text: str) -> float | Unreadable:
    """The double that a decimal stands for, or else the decimal itself.

    If a program printed a double, with the fewest digits that identify it or with more of them, the
    decimal stands for that double.
    """
    number = float(text)
    if repr(number) == text:
        return number
    decimal = decimal_of(text)
    if decimal is None or not math.isfinite(number):
        return Unreadable(text.encode())
    digits = max(len(decimal.as_tuple().digits), 17)
    if decimal in (Decimal(repr(number)), Decimal(f"{number:.{digits}g}")):
        return number
    return Unreadable(text.encode())


def decimal_of(text: str) -> Decimal | None:
    """The decimal; None if its exponent is out of range."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def loses_digits(content: bytes) -> bool:
    """Whether JSON text has a decimal that a double can't hold."""
    # Most text has none that comes close, which Arrow sees without the interpreter lock.
    text = pa.array([content], pa.binary())
    if not pc.match_substring_regex(text, _LONG_OR_TINY)[0].as_py():
        return False
    return _has_tiny(content) or _has_long(content)


def _has_tiny(content: bytes) -> bool:
    for exponent in chain.from_iterable(pattern.finditer(content) for pattern in _EXPONENTS):
        # A number that begins even earlier is a long one.
        found = _LAST_NUMBER.search(content, max(0, exponent.start() - _WINDOW), exponent.end())
        if found is not None and isinstance(exact_number(found[0].decode()), Unreadable):
            return True
    return False


def _has_long(content: bytes) -> bool:
    """Whether the text may have a long number. A quarter of its characters usually decides, which
    takes a tenth of the time of decoding."""
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
