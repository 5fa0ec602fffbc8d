"""Separates the records of a page that a strict decoder refuses from those that it accepts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from landing.columns.fitting import kind_in_words
from landing.columns.json_numbers import exact_number
from landing.columns.json_text import Unreadable

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{},:]', re.DOTALL)
_MARK = "\0odd record\0"
"""Begins the JSON text of a record that stands, as a string, in its own place."""


class OddRecord(dict[str, Any]):
    """What stands in the place of a record and is no object: a row without fields."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value

    def __repr__(self) -> str:
        try:
            return msgspec.json.encode(self.value).decode()
        except (TypeError, ValueError, RecursionError):
            return self.in_words

    @property
    def in_words(self) -> str:
        """What it is, without what it says."""
        return "null" if self.value is None else kind_in_words(self.value)


def marked(content: bytes, path: tuple[str, ...]) -> bytes:
    """The body with a string in place of each record, and each value beside them, that is no
    strict JSON.

    Raises ValueError if it is cut off, has no list there, or one of its records is no JSON even to
    a reader who allows NaN, Infinity, control characters in strings, and halves of surrogates.
    """
    if path:
        return b"{" + b",".join(_marked_members(content, path)) + b"}"
    if content.lstrip()[:1] != b"[":
        raise ValueError("no list")
    return b"[" + b",".join(map(_strict_or_marked, _elements(content))) + b"]"


def _marked_members(text: bytes, path: tuple[str, ...]) -> Iterator[bytes]:
    """Those beside the records stay, as paginators look there for what follows."""
    is_there = False
    for element in _elements(text) if text.lstrip()[:1] == b"{" else ():
        key = _TOKEN.match(element)
        if key is None:
            raise ValueError("no name")
        value = element[key.end() :].lstrip().removeprefix(b":").lstrip()
        is_next = json.loads(key[0], strict=False) == path[0]
        is_there = is_there or is_next
        yield key[0] + b":" + (marked(value, path[1:]) if is_next else _strict_or_marked(value))
    if not is_there:
        raise ValueError(f"no '{path[0]}'")


def unmarked(record: Any) -> Any:
    """The record that a string stands for, or what stands in the place of one."""
    if isinstance(record, dict):
        return record
    if isinstance(record, str) and record.startswith(_MARK):
        record = _lenient(record.removeprefix(_MARK))
    return record if isinstance(record, dict) else OddRecord(record)


def is_refused(records: list[OddRecord]) -> bool:
    """Whether a page of such records alone is none: they say something, so it is not by mistake
    that no object is there."""
    return any(record.value not in (None, [], "") for record in records)


def _strict_or_marked(text: bytes) -> bytes:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        plain = text.decode(errors="backslashreplace")
        _lenient(plain)
        return json.dumps(_MARK + plain).encode()
    return text


def _lenient(text: str) -> Any:
    try:
        return json.loads(text, strict=False, parse_float=exact_number, parse_constant=_unreadable)
    except RecursionError:
        return Unreadable(text.encode())


def _unreadable(constant: str) -> Unreadable:
    return Unreadable(constant.encode())


def _elements(text: bytes) -> Iterator[bytes]:
    """The elements of an array or the members of an object, as they are spelled."""
    depth = start = 0
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in b"[{":
            depth += 1
            start = match.end() if depth == 1 else start
        elif token in b"]}":
            depth -= 1
            if depth == 0:
                if last := text[start : match.start()].strip():
                    yield last
                if text[match.end() :].strip():
                    raise ValueError("something follows its end")
                return
        elif token == b"," and depth == 1:
            yield text[start : match.start()].strip()
            start = match.end()
    raise ValueError("cut off")
