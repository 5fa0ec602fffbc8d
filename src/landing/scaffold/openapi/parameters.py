"""Reads the parameters of an endpoint from the document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from landing.scaffold.openapi.document import value

if TYPE_CHECKING:
    from jsonschema_path import SchemaPath


@dataclass(frozen=True)
class Parameter:
    name: str
    where: str
    is_required: bool
    default: str | int | None
    maximum: int | None


def read_parameter(path: SchemaPath) -> Parameter | None:
    name = value(path, "name")
    if not isinstance(name, str):
        return None
    maximum = value(path, "schema", "maximum")
    return Parameter(
        name,
        str(value(path, "in")),
        value(path, "required") is True,
        _default(path),
        maximum if isinstance(maximum, int) else None,
    )


def _default(path: SchemaPath) -> str | int | None:
    for place in (
        ("schema", "default"),
        ("schema", "enum", 0),
        ("example",),
        ("schema", "example"),
    ):
        found = value(path, *place)
        if isinstance(found, bool):
            return str(found).lower()
        if isinstance(found, str | int):
            return found
    return None
