"""A sign in an answer that there is more, and the paging that would follow it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from landing.http.paging.words import Word, is_url

Weight: TypeAlias = Literal["next", "flag", "pages", "total"]
ALL: frozenset[Weight] = frozenset({"next", "flag", "pages", "total"})


@dataclass(frozen=True)
class Sign:
    """Something in an answer that says that there is more."""

    weight: Weight
    place: str
    """A path in the body, or the name of a header."""
    is_header: bool
    shown: str
    """What it says, without a URL or a cursor, which may hold a key."""
    paging: str
    """What would follow it."""
    value: Any = None

    @property
    def where(self) -> str:
        return f"the header '{self.place}'" if self.is_header else f"'{self.place}'"


BY_REQUEST = "KeysetPages, OffsetPages or NumberedPages, by what the API takes"


def paging_by(word: Word) -> str:
    if word.is_header:
        if is_url(word.value):
            return f'HeaderUrlPages("{word.place}")'
        return f'CursorPages(header="{word.place}", param="{_parameter(word)}")'
    if is_url(word.value):
        return f'NextUrlPages("{word.place}")'
    return f'CursorPages("{word.place}", "{_parameter(word)}")'


def _parameter(word: Word) -> str:
    """What a parameter is probably called, whose value is under such a name in the answer."""
    name = word.place.rpartition(".")[2] if not word.is_header else word.name.lower()
    name = re.sub(r"^(x-)?_*next[-_]?", "", name, flags=re.IGNORECASE)
    return name[:1].lower() + name[1:] if name else "cursor"
