"""Describes a JSON value by names and types alone, since values may be private."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from landing.columns.fitting import kind_in_words

_MOST_NAMES = 12
_NAME = re.compile(r"[@$]?[A-Za-z_][\w.:-]{0,40}")
"""Other keys may be data themselves, such as the addresses of a map by e-mail."""


def shape_of(value: Any) -> str:
    """`an object with 'rows' (12 objects with 'id', 'name'), 'total' (an integer)`."""
    if isinstance(value, Mapping):
        members = [f"'{name}' ({_inner(member)})" for name, member in _named(value)]
        return f"an object with {_joined(members, value)}" if value else "an empty object"
    return "null" if value is None else _inner(value)


def _inner(value: Any) -> str:
    if isinstance(value, list):
        objects = [each for each in value if isinstance(each, Mapping)]
        if value and len(objects) == len(value):
            return f"{len(value):,} {'object' if len(value) == 1 else 'objects'}{_names(value[0])}"
        return f"an array of {len(value):,}"
    if isinstance(value, Mapping):
        return f"an object{_names(value)}"
    return "null" if value is None else kind_in_words(value)


def _names(value: Mapping[str, Any]) -> str:
    names = [f"'{name}'" for name, _ in _named(value)]
    return f" with {_joined(names, value)}" if value else ""


def _named(value: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [each for each in value.items() if _NAME.fullmatch(each[0])][:_MOST_NAMES]


def _joined(shown: list[str], value: Mapping[str, Any]) -> str:
    more = len(value) - len(shown)
    rest = [f"{more:,} more"] if shown and more else [f"{more:,} members"] if more else []
    return ", ".join(shown + rest)
