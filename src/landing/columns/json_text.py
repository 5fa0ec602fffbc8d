"""Converts arrays and objects to JSON text, with only the properties that their field lists."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from landing.catalog.fields import Field
from landing.columns.plain_values import with_text_keys

MAX_NESTING = 256
"""Levels of arrays and objects in a value; readers and Python's recursion fail not far above."""

_encoder = msgspec.json.Encoder()
_NUMBER = re.compile(rb"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_STRUCTURE = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]')


_TEXT = r'"(?:[^"\\\x00-\x1f]|\\["\\bfnrt])*"'
_SHORT_NUMBER = r"(?:0|-?[1-9][0-9]{0,14}|-?(?:0|[1-9][0-9]{0,8})\.(?:0|[0-9]{0,3}[1-9]))"
"""Numbers that have one spelling: few digits, none too many, and no exponent."""
_LONGEST_SPELLING = 4_000
"""Characters of a regular expression, above which decoding is faster."""
_SCALAR = f"(?:{_TEXT}|{_SHORT_NUMBER}|true|false|null)"


class TooDeepError(ValueError):
    """A value that is nested deeper than MAX_NESTING."""


_REFUSED = (msgspec.MsgspecError, UnicodeError)


class NoShapeError(Exception):
    """A field that lists properties and allows other kinds, so each value has to be examined."""


def shape_of(field: Field) -> Any:
    """The type that keeps the properties which the field lists; Any if it lists none.

    A page of values is converted or decoded to it at once. Raises NoShapeError.
    """
    if field.kinds == {"object"} and field.properties is not None:
        members = {name: _member(nested) for name, nested in field.properties.items()}
        return object_type("Object", members, msgspec.UNSET)
    if field.kinds == {"array"} and field.items is not None:
        element = shape_of(field.items)
        return Any if element is Any else list[element | None]  # type: ignore[valid-type]
    if _lists_properties(field):
        raise NoShapeError
    return Any


def spelling_of(field: Field) -> str | None:
    """A regular expression (RE2's) of texts that stay as they are when they are decoded to the
    field's shape and encoded again. It need not match all of these; None if it would match few.

    Objects match with exactly the properties that the field lists, in their order, so that none is
    there twice.
    """
    spelling = _spelling_of(field)
    return spelling if spelling is not None and len(spelling) <= _LONGEST_SPELLING else None


def _spelling_of(field: Field) -> str | None:
    if field.kinds == {"object"} and field.properties:
        found = {name: _spelling_of(nested) for name, nested in field.properties.items()}
        members = [
            f"{re.escape(msgspec.json.encode(name).decode())}:{spelling}"
            for name, spelling in found.items()
            if spelling is not None
        ]
        return rf"(?:null|\{{{','.join(members)}\}})" if len(members) == len(found) else None
    if field.kinds == {"array"}:
        item = _SCALAR if field.items is None else _spelling_of(field.items)
        return rf"(?:null|\[(?:{item}(?:,{item})*)?\])" if item is not None else None
    return None if field.kinds & {"array", "object"} else _SCALAR


def shaped(values: Sequence[Any], shape: Any) -> Sequence[Any]:
    """Python values in their field's shape. Raises msgspec.ValidationError if one has another."""
    page = list[shape | None]
    return values if shape is Any else msgspec.convert(values, page)


def check_nesting(text: bytes) -> None:
    """Raises TooDeepError for JSON text that is nested deeper than MAX_NESTING."""
    if text.count(b"[") + text.count(b"{") <= MAX_NESTING:
        return
    depth = 0
    for match in _STRUCTURE.finditer(text):
        depth += _step(match[0])
        if depth > MAX_NESTING:
            raise TooDeepError


def without_depths(text: bytes, most: int) -> bytes:
    """JSON text with null in place of values that are nested deeper than `most` levels."""
    kept: list[bytes] = []
    start = depth = 0
    for match in _STRUCTURE.finditer(text):
        step = _step(match[0])
        depth += step
        if step > 0 and depth == most + 1:
            kept += text[start : match.start()], b"null"
        elif step < 0 and depth == most:
            start = match.end()
    return b"".join([*kept, text[start:]]) if depth == 0 else text


def _step(token: bytes) -> int:
    return 1 if token in b"[{" else -1 if token in b"]}" else 0


class Unreadable:
    """A JSON value that Python can't represent: a number with too many digits, or text that is not
    UTF-8.

    It has the value's text, in which bytes that are not UTF-8 are escaped.
    """

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def __repr__(self) -> str:
        return self._raw.decode(errors="backslashreplace")

    @property
    def raw(self) -> msgspec.Raw:
        return msgspec.Raw(self._raw)

    @property
    def is_number(self) -> bool:
        """Whether it is a valid JSON number, not `-Infinity` or `007`."""
        return _NUMBER.fullmatch(self._raw) is not None


def readable(raw: msgspec.Raw) -> Any:
    """The value; whatever can't be read is an Unreadable, the whole value or a member of it."""
    try:
        return msgspec.json.decode(raw)
    except _REFUSED:
        pass
    try:
        members = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except _REFUSED:
        return Unreadable(bytes(raw))
    return {name: _member_of(member) for name, member in members.items()}


def _member_of(raw: msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(raw)
    except _REFUSED:
        return Unreadable(bytes(raw))


def lines(values: Sequence[Any]) -> bytes:
    """The JSON text of each value, ended by a line feed, which JSON text does not contain."""
    return _encoder.encode_lines(values)


def object_type(title: str, members: Mapping[str, Any], default: Any) -> type[msgspec.Struct]:
    """A type for objects of which only these members matter; a missing one is `default`.

    Raises NoShapeError for names that the decoder does not support.
    """
    declared = [(f"member{n}", type_, default) for n, type_ in enumerate(members.values())]
    names = {f"member{n}": name for n, name in enumerate(members)}
    try:
        # Decoded JSON has no cycles, so its objects need no place for the collector.
        made = msgspec.defstruct(title, declared, rename=names, gc=False)
    except ValueError:  # quotes, backslashes and control characters
        raise NoShapeError from None
    # msgspec describes a type when it is first decoded to. A thread that comes to it meanwhile
    # takes what is there so far, and crashes: so all types have their decoder before threads do.
    msgspec.json.Decoder(made)
    return made


def _member(field: Field) -> Any:
    shape = shape_of(field)
    return Any if shape is Any else shape | None | msgspec.UnsetType


def _lists_properties(field: Field) -> bool:
    items = field.items
    return field.properties is not None or (items is not None and _lists_properties(items))


def pruned(value: Any, field: Field) -> Any:
    """One value of any kind, with what `shape_of` would keep of it."""
    if isinstance(value, Mapping) and field.properties is not None:
        value = with_text_keys(value)
        return {
            name: pruned(value[name], nested)
            for name, nested in field.properties.items()
            if name in value
        }
    if isinstance(value, list | tuple) and field.items is not None:
        return [pruned(element, field.items) for element in value]
    return value
