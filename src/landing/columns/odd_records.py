"""Separates invalid records of a page from those that a strict JSON decoder accepts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

import msgspec

from landing.columns.fitting import kind_in_words
from landing.columns.json_numbers import exact_number
from landing.columns.json_path import Path, Step, place_of
from landing.columns.json_text import Unreadable

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{},:]', re.DOTALL)
_WORD = re.compile(
    r'"(?:[^"\\]|\\.)*"'
    r"|(?<![^\[:,\s])"
    r"(?:[+-]?(?:nan|inf(?:inity)?|\.?\d[\w.+#:-]*)(?:\(\w*\))?|undefined|none|true|false)"
    r"(?![^\s,\]}])",
    re.DOTALL | re.IGNORECASE,
)
"""Strings, and spellings of numbers and constants that programs print: `-nan(ind)`, `1.#INF`,
`None`."""
_ODD_VALUE = "\0odd value\0"
_MARK = "\0odd record\0"
"""Begins the string that replaces an invalid record with its own text."""


class OddRecord(dict[str, Any]):
    """An item of the list of records that is not an object: a row without fields."""

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
        """Its kind, without its value."""
        return "null" if self.value is None else kind_in_words(self.value)


EACH: Final = "[*]"
"""A step of a path: each element of a list."""


def marked(content: bytes, path: Path) -> bytes:
    """The body with a string in place of each record, and each value beside the records, that is
    not valid JSON. The records are the elements of the list at the path, or a member of each.

    Raises ValueError if the body is cut off, has no list there, or has a record that is not JSON
    even if NaN, Infinity, `+1`, `None`, control characters in strings and halves of surrogate pairs
    are allowed.
    """
    walk = _Walk(path.is_exact)
    body = walk.marked(content.strip(), path.steps)
    if not walk.is_there:
        raise ValueError("no list there")
    return body


class _Walk:
    """Walks to the records. Members beside the path stay, since paginators read them."""

    def __init__(self, is_exact: bool) -> None:
        self._is_exact = is_exact
        self.is_there = False

    def marked(self, text: bytes, steps: tuple[Step, ...]) -> bytes:
        first = text[:1]
        if first == b"{" and steps:
            return b"{" + b",".join(self._members(text, steps)) + b"}"
        if first == b"[" and (not steps or steps[0] == EACH):
            self.is_there = True
            rest = steps[1:]
            one = partial(self.marked, steps=rest) if rest else _strict_or_marked
            return b"[" + b",".join(map(one, _elements(text))) + b"]"
        if first == b"[" and (place := place_of(steps[0])) is not None:
            return b"[" + b",".join(self._places(text, place, steps[1:])) + b"]"
        return _strict_or_marked(text)

    def _members(self, text: bytes, steps: tuple[Step, ...]) -> Iterator[bytes]:
        for element in _elements(text):
            key = _TOKEN.match(element)
            if key is None:
                raise ValueError("no name")
            value = element[key.end() :].lstrip().removeprefix(b":").lstrip()
            rest = self._after(json.loads(key[0], strict=False), steps)
            is_on = rest is not None
            yield (
                key[0]
                + b":"
                + (self.marked(value, rest or ()) if is_on else _strict_or_marked(value))
            )

    def _after(self, name: str, steps: tuple[Step, ...]) -> tuple[Step, ...] | None:
        """The steps that are left inside a member; None if the path does not lead there."""
        most = 1 if self._is_exact else len(steps)
        lengths = range(1, most + 1)
        found = (n for n in lengths if ".".join(map(str, steps[:n])) == name)
        return next((steps[n:] for n in found), None)

    def _places(self, text: bytes, place: int, steps: tuple[Step, ...]) -> Iterator[bytes]:
        elements = list(_elements(text))
        for index, element in enumerate(elements):
            is_on = index == place % len(elements)
            yield self.marked(element, steps) if is_on else _strict_or_marked(element)


def unmarked(record: Any) -> Any:
    """The record that a string stands for, or the OddRecord for anything else."""
    if isinstance(record, dict):
        return record
    if isinstance(record, str) and record.startswith(_MARK):
        record = _lenient(record.removeprefix(_MARK))
    return record if isinstance(record, dict) else OddRecord(record)


def is_refused(records: list[OddRecord]) -> bool:
    """Whether a page that has only such items is an error: at least one of them has a message."""
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
        try:
            return _loads(text)
        except ValueError:
            return _restored(_loads(_WORD.sub(_quoted, text)))
    except RecursionError:
        return Unreadable(text.encode())


def _loads(text: str) -> Any:
    return json.loads(text, strict=False, parse_float=exact_number, parse_constant=_unreadable)


def _quoted(word: re.Match[str]) -> str:
    """A string in place of a number or constant that is not JSON, such as `+Infinity`."""
    if word[0].startswith('"'):
        return word[0]
    try:
        json.loads(word[0], strict=False)
    except ValueError:
        return json.dumps(_ODD_VALUE + word[0])
    return word[0]


def _restored(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _restored(member) for name, member in value.items()}
    if isinstance(value, list):
        return list(map(_restored, value))
    if isinstance(value, str) and value.startswith(_ODD_VALUE):
        return Unreadable(value.removeprefix(_ODD_VALUE).encode())
    return value


def _unreadable(constant: str) -> Unreadable:
    return Unreadable(constant.encode())


def _elements(text: bytes) -> Iterator[bytes]:
    """The text of each element of an array or member of an object."""
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
