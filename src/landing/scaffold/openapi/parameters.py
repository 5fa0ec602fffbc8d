"""Reads the parameters of an endpoint from the document."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from landing.scaffold.openapi.document import Schema, at, described, value

if TYPE_CHECKING:
    from jsonschema_path import SchemaPath

_NUMBER = r"(\d{1,3}(?:,\d{3})+|\d+)"
_BOUNDS = tuple(
    re.compile(pattern.replace("N", _NUMBER), re.IGNORECASE)
    for pattern in (
        r"(?:between|from)\s+\d+\s+(?:and|to|through)\s+N",
        r"\b\d+\s*(?:to|through|-|–|\.\.)\s*N\b",
        r"\bmax(?:imum)?\b[a-z ]{0,40}?(?:is|of|:|=|\()?\s*N",
        r"(?:up to|at most|no more than|not exceed|cannot exceed|less than or equal to|<=|≤)"
        r"[a-z ]{0,24}?\s*N",
        r"\bN\s*(?:\(?max(?:imum)?\b|is the max)",
    )
)
_USUAL = re.compile(r"\bdefaults?\b[a-z ]{0,20}?(?:is|to|of|:|=)?\s*N".replace("N", _NUMBER), re.I)
_MARKUP = re.compile(r"<[^>]+>|[`*_]")
_COUNTS_FROM_0 = re.compile(
    r"\b(zero|0)[- ]?(based|indexed)|(starts?|starting|begins?|counted) (at|with|from) (0|zero)\b"
    r"|\b(zero|0) (being|is|as|for) the first|\bdefaults?( is| to|:|=)? *(0|zero)\b",
    re.IGNORECASE,
)
_COUNTS_FROM_1 = re.compile(
    r"\b(one|1)[- ]?(based|indexed)|(starts?|starting|begins?|counted) (at|with|from) (1|one)\b"
    r"|\b(one|1) (being|is|as|for) the first|\bdefaults?( is| to|:|=)? *(1|one)\b",
    re.IGNORECASE,
)
_TIME = re.compile(
    r"\b(time|timestamp|date|datetime|epoch|unix|seconds|iso.?8601|rfc.?3339)\b", re.I
)
_ID = re.compile(r"\b(id|ids|identifier|object)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Parameter:
    name: str
    where: str
    is_required: bool
    kinds: frozenset[str]
    format: str
    description: str
    default: str | int | None
    """The default, or the only value that is allowed."""
    choices: tuple[str, ...]
    minimum: int | None
    maximum: int | None
    example: str | int | None

    @property
    def is_text(self) -> bool:
        """Whether it takes texts only, as cursors are."""
        return self.kinds == {"string"}

    @property
    def is_time(self) -> bool:
        """Whether it can be the time of a change: it may also be the id of a record."""
        return not self.is_id or "string" in self.kinds or not self.kinds

    @property
    def is_id(self) -> bool:
        return not self.is_described_as_time and bool(_ID.search(self.description))

    @property
    def is_described_as_time(self) -> bool:
        return self.format.startswith("date") or bool(_TIME.search(self.description))

    def first_page(self) -> tuple[int, str] | None:
        """The number of the first page, and what says so; None if nothing does."""
        for pattern, number in ((_COUNTS_FROM_0, 0), (_COUNTS_FROM_1, 1)):
            if pattern.search(self.description):
                return number, "description"
        for what in ("default", "minimum", "example"):
            if (number := getattr(self, what)) in (0, 1, "0", "1"):
                return int(number), what
        return None

    def largest_page(self) -> tuple[int, str] | None:
        """The most rows of a page, and what says so; None if nothing does."""
        if self.maximum is not None and self.maximum > 0:
            return self.maximum, "maximum"
        for pattern in _BOUNDS:
            if found := pattern.search(self.description):
                rows = int(found[1].replace(",", ""))
                if 0 < rows <= 100_000:
                    return rows, "description"
        usual = str(self.default)
        if usual.isdecimal() and int(usual):
            return int(usual), "default"
        found = _USUAL.search(self.description)
        rows = int(found[1].replace(",", "")) if found else 0
        return (rows, "default in the description") if 0 < rows <= 100_000 else None


def read_parameter(path: SchemaPath) -> Parameter | None:
    """Of OpenAPI 3, whose parameters have a schema, or of Swagger 2, where they are one."""
    name = value(path, "name")
    if not isinstance(name, str):
        return None
    schema = Schema(at(path, "schema") or path)
    choices = value(schema.path, "enum")
    choices = choices if isinstance(choices, list) else []
    own = value(schema.path, "default")
    example = value(path, "example")
    return Parameter(
        name,
        str(value(path, "in")),
        value(path, "required") is True,
        schema.kinds,
        schema.format,
        " ".join(_MARKUP.sub("", described(path)).split()),
        _plain(choices[0] if own is None and len(choices) == 1 else own),
        tuple(str(choice) for choice in choices),
        _whole(value(schema.path, "minimum")),
        _most(schema.path),
        _plain(value(schema.path, "example") if example is None else example),
    )


def _most(schema: SchemaPath) -> int | None:
    maximum, beyond = _whole(value(schema, "maximum")), value(schema, "exclusiveMaximum")
    if (number := _whole(beyond)) is not None:  # as OpenAPI 3.1 has it
        return number - 1
    is_below = beyond is True and maximum is not None  # as OpenAPI 3.0 has it
    return maximum - 1 if is_below and maximum else maximum


def _whole(found: Any) -> int | None:
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def _plain(found: Any) -> str | int | None:
    if isinstance(found, bool):
        return str(found).lower()
    return found if isinstance(found, str | int) else None
