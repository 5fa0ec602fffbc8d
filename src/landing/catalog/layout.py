"""The JSON text of the catalog's files, and how it is laid out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec

LINE_WIDTH = 100
_MARK = "\ue000"
_MARKED = re.compile(f'"{_MARK}([-+.0-9eE]+){_MARK}"')


class Exact(float):
    """A number of a file, which is written as it was: not 1.5 for 1.50, nor with fewer digits."""

    def __new__(cls, text: str) -> Exact:
        one = super().__new__(cls, text)
        one.text = text
        return one

    text: str


def encode(document: msgspec.Struct) -> bytes:
    """The JSON text of a file, with each field on one line if it fits."""
    return (own_layout(msgspec.to_builtins(document)) + "\n").encode()


def own_layout(document: Any) -> str:
    return _laid_out(document, 0)


def like(current: Any, text: str) -> Callable[[Any], str]:
    """The layout that `text` has; our own if it is none of those that are known."""
    known = (one for one in LAYOUTS if rendered(one, current).strip() == text.strip())
    return partial(rendered, next(known, own_layout))


def rendered(layout: Callable[[Any], str], document: Any) -> str:
    return _MARKED.sub(r"\1", layout(_marked(document)))


def plain(value: Any) -> Any:
    """The document with ordinary numbers."""
    return _mapped(value, float)


def _marked(value: Any) -> Any:
    """Python's JSON encoder has no other way to write a number as it was."""
    return _mapped(value, lambda one: f"{_MARK}{one.text}{_MARK}")


def _mapped(value: Any, change: Callable[[Exact], Any]) -> Any:
    if isinstance(value, Exact):
        return change(value)
    if isinstance(value, Mapping):
        return {key: _mapped(one, change) for key, one in value.items()}
    return [_mapped(one, change) for one in value] if isinstance(value, list) else value


def _laid_out(value: Any, depth: int) -> str:
    flat = json.dumps(value, ensure_ascii=False)
    fits = len(flat) + 2 * depth <= LINE_WIDTH
    if not isinstance(value, dict) or not value or (fits and depth > 1):
        return flat
    inner, outer = "  " * (depth + 1), "  " * depth
    lines = [
        f"{inner}{json.dumps(key, ensure_ascii=False)}: {_laid_out(nested, depth + 1)}"
        for key, nested in value.items()
    ]
    return "{\n" + ",\n".join(lines) + f"\n{outer}}}"


LAYOUTS: tuple[Callable[[Any], str], ...] = (
    own_layout,
    *(partial(json.dumps, ensure_ascii=False, indent=indent) for indent in (2, 4, "\t")),
)
