"""Arrays and objects to JSON text, with only the nested properties that their field lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from landing.fields import Field

_encoder = msgspec.json.Encoder()


class NoShapeError(Exception):
    """A field that lists properties among several kinds: only a look at each value helps."""


def shape_of(field: Field) -> Any:
    """The type that keeps what the field lists and drops the rest; Any where it lists nothing.

    Values convert to it, and JSON decodes to it, in one go for a page. Raises NoShapeError.
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


def shaped(values: Sequence[Any], shape: Any) -> Sequence[Any]:
    """Python values in their field's shape. Raises msgspec.ValidationError where one has not."""
    page = list[shape | None]
    return values if shape is Any else msgspec.convert(values, page)


def lines(values: Sequence[Any]) -> bytes:
    """The JSON text of each value, ended by a line feed, which no JSON text has inside."""
    return _encoder.encode_lines(values)


def object_type(title: str, members: Mapping[str, Any], default: Any) -> type[msgspec.Struct]:
    """A type for objects of which only these members count; `default` where one is missing.

    Raises NoShapeError for names that the decoder can't look for.
    """
    declared = [(f"member{n}", type_, default) for n, type_ in enumerate(members.values())]
    names = {f"member{n}": name for n, name in enumerate(members)}
    try:
        return msgspec.defstruct(title, declared, rename=names)
    except ValueError:  # quotes, backslashes and control characters
        raise NoShapeError from None


def _member(field: Field) -> Any:
    shape = shape_of(field)
    return Any if shape is Any else shape | None | msgspec.UnsetType


def _lists_properties(field: Field) -> bool:
    items = field.items
    return field.properties is not None or (items is not None and _lists_properties(items))


def pruned(value: Any, field: Field) -> Any:
    """What `shape_of` keeps of one value, whatever it is."""
    if isinstance(value, Mapping) and field.properties is not None:
        return {
            name: pruned(value[name], nested)
            for name, nested in field.properties.items()
            if name in value
        }
    if isinstance(value, list | tuple) and field.items is not None:
        return [pruned(element, field.items) for element in value]
    return value
