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
_WORD = 4
"""Bytes of a word, of which two are looked at first."""
_SURE = b"0" * (len(_LONG) - _WORD + 1)
"""The pattern from the first of these bytes within a long number to the last of them."""
_DIGITS = bytes(ord("0") if chr(byte) in "0123456789." else ord(" ") for byte in range(256))
_DECIMAL = re.compile(rb"\d+(?:\.\d+(?:[eE][+-]?\d+)?|[eE][+-]?\d+)")
_EXPONENTS = [
    re.compile(rb"%b-(?<=\d%b-)\d{3,}(?=[\s,\]}])" % (letter, letter)) for letter in (b"e", b"E")
]
"""The pattern of numbers that may be too close to 0; the search for its literal beginning is
fast."""
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
    return _has_tiny(content) or _has_long(content)


def _has_tiny(content: bytes) -> bool:
    for exponent in chain.from_iterable(pattern.finditer(content) for pattern in _EXPONENTS):
        # A number that begins even earlier is a long one.
        found = _LAST_NUMBER.search(content, max(0, exponent.start() - _WINDOW), exponent.end())
        if found is not None and isinstance(exact_number(found[0].decode()), Unreadable):
            return True
    return False


def _has_long(content: bytes) -> bool:
    """Whether the text may have a long number."""
    if len(content) < len(_LONG):
        return False
    starts = (content[at : at + len(_SURE)] for at in _candidates(content))
    if not any(start.translate(_DIGITS) == _SURE for start in starts):
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


def _candidates(content: bytes) -> list[int]:
    """Places of words in which a long number may begin: the first and third bytes of three words,
    and the first of the next, are digits or dots. Arrow finds them without the interpreter lock."""
    words = pa.Array.from_buffers(pa.uint32(), len(content) // _WORD, [None, pa.py_buffer(content)])
    first = _are_digits(words)
    both = pc.and_(first, _are_digits(pc.shift_right(words, pa.scalar(16, pa.uint32()))))
    found = pc.and_(pc.and_(both[:-3], both[1:-2]), pc.and_(both[2:-1], first[3:]))
    return [word * _WORD for word in pc.indices_nonzero(found).to_pylist()]


def _are_digits(words: pa.Array) -> pa.Array:
    """Whether the lowest byte of each word is a digit, a dot or the slash between them."""
    byte = pc.bit_wise_and(words, pa.scalar(0xFF, pa.uint32()))
    from_dot = pc.subtract(byte, pa.scalar(ord("."), pa.uint32()))  # what is less wraps around
    return pc.less_equal(from_dot, pa.scalar(ord("9") - ord("."), pa.uint32()))
