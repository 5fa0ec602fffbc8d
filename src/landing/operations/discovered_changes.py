"""Compares a discovered schema with the one that was discovered before, and merges the two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from landing.catalog.fields import Field
from landing.catalog.stream_config import DiscoveredSchema


def merged(old: DiscoveredSchema, new: DiscoveredSchema) -> DiscoveredSchema:
    """The new schema, with what was written into the old one by hand."""
    return msgspec.structs.replace(
        new,
        schema_ref=old.schema_ref,
        description=old.description or new.description,
        fields={
            **{name: merged_field(old.fields.get(name), f) for name, f in new.fields.items()},
            # A field with a description may just be rare, so it stays.
            **{n: f for n, f in old.fields.items() if n not in new.fields and f.description},
        },
    )


def merged_field(old: Field | None, new: Field) -> Field:
    """The new field, with the old one's descriptions, and its types where this sample had no
    value."""
    if old is None:
        return new
    if not new.kinds or (old.kinds == {"number"} and new.kinds == {"integer"}):
        return old
    properties = old.properties if new.kinds == {"object"} else None
    if new.properties:
        known = old.properties or {}
        properties = {name: merged_field(known.get(name), f) for name, f in new.properties.items()}
    return msgspec.structs.replace(
        new,
        description=old.description or new.description,
        encoding=old.encoding,
        privacy=old.privacy,
        properties=None if old.privacy else properties,
        items=merged_field(old.items, new.items) if new.items and not old.privacy else None,
    )


def without_private(found: Mapping[str, Field], listed: Mapping[str, Field]) -> dict[str, Field]:
    """Fields without the members of private ones: an object's keys may be data, too."""
    return {name: _without_private(field, listed.get(name)) for name, field in found.items()}


def _without_private(found: Field, listed: Field | None) -> Field:
    if listed is None:
        return found
    if listed.privacy is not None:
        return msgspec.structs.replace(found, properties=None, items=None)
    properties, items = found.properties, found.items
    if properties is not None:
        properties = without_private(properties, listed.properties or {})
    if items is not None:
        items = _without_private(items, listed.items)
    return msgspec.structs.replace(found, properties=properties, items=items)


def changes(old: DiscoveredSchema, new: DiscoveredSchema) -> Iterator[str]:
    for key in ("primary_key", "cursor_field"):
        before, after = getattr(old.defaults, key), getattr(new.defaults, key)
        if before != after:
            yield f"~ {key}: {_keys(before)} → {_keys(after)}"
    if old.options != new.options:
        yield "~ options"
    yield from _field_changes(old.fields, new.fields, "")


def _field_changes(
    old: Mapping[str, Field], new: Mapping[str, Field], prefix: str
) -> Iterator[str]:
    for name in old:
        if name not in new:
            yield f"- {prefix}{name}: the source no longer has it"
    for name, f in new.items():
        before = old.get(name)
        if before is None:
            yield f"+ {prefix}{name}: {spelled(f)}"
        elif spelled(before) != spelled(f):
            yield f"~ {prefix}{name}: {spelled(before)} → {spelled(f)}"
        else:
            yield from _nested_changes(before, f, f"{prefix}{name}")


def _nested_changes(old: Field, new: Field, name: str) -> Iterator[str]:
    yield from _field_changes(old.properties or {}, new.properties or {}, f"{name}.")
    if old.items and new.items:
        yield from _nested_changes(old.items, new.items, f"{name}[]")


def spelled(f: Field) -> str:
    """A field's type for a person: `string (date-time)`, `integer or string`, `array of …`."""
    kinds = [f.type] if isinstance(f.type, str) else list(f.type)
    if kinds == ["null"]:
        return "never seen"
    text = " or ".join(kinds)
    if f.items is not None:
        text += f" of {spelled(f.items)}"
    return f"{text} ({f.format})" if f.format else text


def _keys(value: Any) -> str:
    if not value:
        return "none"
    names = [name[0] if isinstance(name, list) else name for name in value]
    return ", ".join(names)
