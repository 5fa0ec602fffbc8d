"""The JSON text of nested fields, taken from a page's bytes if it is spelled as it would land.

A pattern that is learned from a page's values says so for the next pages: names of the same order
and number, no white space, numbers and text in the encoder's spelling. Arrow compares a whole
column with it, and holds no interpreter lock meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import msgspec

from landing.catalog.fields import Field
from landing.columns.arrow import pa, pc
from landing.columns.json_text import lines, shape_of

NULL = msgspec.Raw(b"null")
_SAMPLE = 200
_MOST_CHARACTERS = 10_000
_NAME = re.compile(r"[\w@$:/. #-]+")
_TEXT = r'"(?:[^"\\\x00-\x1f]|\\["\\bfnrt])*"'
_INTEGER = r"0|-?[1-9][0-9]{0,17}"
# Those that need no exponent, and no more digits than a double always keeps.
_DECIMAL = r"-?(?:0\.(?:0|[0-9]{0,3}[1-9])|[1-9][0-9]{0,8}\.(?:0|[0-9]{0,5}[1-9]))"
_SCALAR = f"(?:{_TEXT}|{_INTEGER}|{_DECIMAL}|true|false|null)"


class NoPatternError(Exception):
    """Values of several structures."""


def pattern_of(texts: pa.Array, field: Field) -> str:
    """The pattern of texts with the structure that a sample of these have, which are as they land.

    Raises NoPatternError.
    """
    sample = texts.take(pa.array(range(0, len(texts), len(texts) // _SAMPLE + 1)))
    values = [msgspec.json.decode(text) for text in sample.to_pylist() if text is not None]
    pattern = f"^{_pattern(values, field)}$"
    if len(pattern) > _MOST_CHARACTERS:
        raise NoPatternError
    return pattern


def _pattern(values: Sequence[Any], field: Field | None) -> str:
    values = [value for value in values if value is not None]
    if not values:
        return "null"
    if all(isinstance(value, dict) for value in values):
        return f"(?:{_object(values, field)}|null)"
    if all(isinstance(value, list) for value in values):
        inner = _pattern(list(chain.from_iterable(values)), field and field.items)
        return rf"(?:\[(?:{inner}(?:,{inner})*)?\]|null)"
    if any(isinstance(value, dict | list) for value in values):
        raise NoPatternError
    if field is not None and shape_of(field) is not Any:
        raise NoPatternError  # all of them may be refused
    return _SCALAR


def _object(values: Sequence[Mapping[str, Any]], field: Field | None) -> str:
    names = list(values[0])
    if any(list(value) != names for value in values) or not all(map(_NAME.fullmatch, names)):
        raise NoPatternError
    properties = (field and field.properties) or {}
    members = (
        rf'"\Q{name}\E":{_pattern([value[name] for value in values], properties.get(name))}'
        for name in names
    )
    return r"\{" + ",".join(members) + r"\}"


def matching(values: Sequence[msgspec.Raw], pattern: str) -> pa.Array | None:
    """The undecoded values as text, or null; None if one does not match the pattern."""
    whole = pa.array([lines(values)[:-1]], pa.string())
    texts = pc.split_pattern(whole, "\n").flatten()
    if len(texts) != len(values) or not pc.all(pc.match_substring_regex(texts, pattern)).as_py():
        return None
    texts.validate(full=True)  # it is UTF-8
    nulls = pc.equal(texts, "null")
    return (
        pc.if_else(nulls, pa.scalar(None, pa.string()), texts) if pc.any(nulls).as_py() else texts
    )
