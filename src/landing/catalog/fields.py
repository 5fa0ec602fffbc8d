"""The types of fields, as both JSON formats write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import msgspec

Kind = Literal["integer", "number", "string", "boolean", "array", "object", "null"]
Encoding = Literal["json", "native"]
Privacy = Literal["drop", "mask", "hash"]

KINDS: tuple[str, ...] = get_args(Kind)
FORMATS = ("date-time", "date", "time", "uuid", "email", "uri")
MAX_DEPTH = 32
"""Levels that `properties` and `items` may be nested."""
DELETED_AT = "_deleted_at"
"""The column of streams whose deletions are noticed: when a record was found deleted, null for
rows of records that are there. No field can have the name."""


class Field(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """One field of a stream: a JSON Schema of the few keywords that decide a column.

    `type` is one kind or a list of kinds. Several kinds that no one column type holds land as
    text; `null` alone means that discovery never saw a value. `encoding` concerns arrays and
    objects: `json` text, which is what existing models read, or `native` lists and structs.
    `privacy` is what is written in place of a value, wherever anything is written.
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
        """The kinds besides null, `integer` swallowed by `number`."""
        names = {self.type} if isinstance(self.type, str) else set(self.type)
        if "number" in names:
            names.discard("integer")
        return frozenset(names - {"null"})

    @property
    def has_private_parts(self) -> bool:
        """Whether anything inside, at any level, is private; the field itself may not be."""
        inner = [*(self.properties or {}).values(), *([self.items] if self.items else [])]
        return any(field.privacy is not None or field.has_private_parts for field in inner)


def landing_fields(fields: Mapping[str, Field]) -> dict[str, Field]:
    """Those of the fields that have a column, or a member of one: all but the dropped."""
    return {name: field for name, field in fields.items() if field.privacy != "drop"}
