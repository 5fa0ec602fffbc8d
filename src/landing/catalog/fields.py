"""Field types, as discovered schemas and stream configs spell them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, get_args

import msgspec

Kind = Literal["integer", "number", "string", "boolean", "array", "object", "null"]
Encoding = Literal["json", "native"]
Privacy = Literal["drop", "mask", "hash"]

KINDS: tuple[str, ...] = get_args(Kind)
FORMATS = ("date-time", "date", "time", "uuid", "email", "uri")
MAX_DEPTH = 32
"""How many levels deep `properties` and `items` may be nested."""
DELETED_AT = "_deleted_at"
"""Column of streams that detect deletions: the time a record was found deleted, null in rows of
records that still exist. No field can have this name."""


class Field(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """One field of a stream: the few JSON Schema keywords that decide its column.

    `type` is one type or a list of types. Types that don't fit one column type land as text;
    `null` alone means that discovery never saw a value. `encoding` applies to arrays and objects:
    `json` text, which existing models read, or `native` lists and structs. `privacy` decides what
    is written instead of the value, wherever the value would be written.
    """

    type: Kind | list[Kind]
    format: str | None = None
    description: str | None = None
    encoding: Encoding = "json"
    privacy: Privacy | None = None
    properties: dict[str, Field] | None = None
    items: Field | None = None

    @property
    def kinds(self) -> frozenset[str]:
        """The types without null, and without `integer` where `number` is one of them."""
        names = {self.type} if isinstance(self.type, str) else set(self.type)
        if "number" in names:
            names.discard("integer")
        return frozenset(names - {"null"})

    @property
    def is_private(self) -> bool:
        """Whether it is private, or a part of it."""
        return self.privacy is not None or self.has_private_parts

    @property
    def has_private_parts(self) -> bool:
        """Whether a nested field, at any level, is private; the field itself does not count."""
        inner = [*(self.properties or {}).values(), *([self.items] if self.items else [])]
        return any(field.is_private for field in inner)


def names_in(fields: Mapping[str, Field]) -> Iterator[str]:
    """The names of all fields, at any depth."""
    for name, field in fields.items():
        yield name
        while field.items is not None:
            field = field.items
        yield from names_in(field.properties or {})


def landing_fields(fields: Mapping[str, Field]) -> dict[str, Field]:
    """The fields that get a column or a member of one: all that are not dropped."""
    return {name: field for name, field in fields.items() if field.privacy != "drop"}
