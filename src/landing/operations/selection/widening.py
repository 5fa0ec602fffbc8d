"""Takes over the type that a field has at the source now, and nothing that a person left out."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from landing.catalog.fields import Field
from landing.operations.selection.private_names import looks_private

_SCALARS = frozenset({"integer", "number", "string", "boolean"})


def widens(ours: Field, found: Field) -> bool:
    """Whether all values of our type fit the one that was found, which may land as text."""
    mine, theirs = ours.kinds, found.kinds
    if not mine:
        return theirs <= _SCALARS
    if mine == theirs == {"array"} and ours.items is not None and found.items is not None:
        return widens(ours.items, found.items)
    if _lists_members(ours):
        return mine == theirs  # text may have members that were left out
    if mine <= _SCALARS and theirs <= _SCALARS and (theirs == {"string"} or len(theirs) > 1):
        return found.format is None or (found.format == ours.format and mine <= theirs)
    if mine == {"integer"} and theirs == {"number"}:
        return True
    return mine <= theirs and found.format in (None, ours.format)


def says_nothing(found: Field, ours: Field) -> bool:
    """Whether a sample had no value, or no element of an array, to tell the type by."""
    if found.kinds == ours.kinds == {"array"} and ours.items is not None:
        return found.items is None or says_nothing(found.items, ours.items)
    return not found.kinds


def _lists_members(field: Field) -> bool:
    items = field.items
    is_chosen = field.properties is not None or field.privacy is not None
    return is_chosen or (items is not None and _lists_members(items))


def with_found_type(ours: Field, found: Field, before: Field | None, name: str) -> Field:
    """Our field with the type that was found. Of its members, it has our own and those that are
    new against `before` and don't look private."""
    return msgspec.structs.replace(
        ours,
        type=found.type,
        format=found.format,
        properties=_properties(ours, found, before, name),
        items=_items(ours, found, before, name),
    )


def _properties(
    ours: Field, found: Field, before: Field | None, name: str
) -> dict[str, Field] | None:
    if "object" not in found.kinds:
        return None
    members = found.properties or {}
    if "object" not in ours.kinds:
        return _new_members(members, {}, {}, name)
    if ours.properties is None:
        return None  # which means all members
    known = None if before is None else before.properties
    return {**ours.properties, **_new_members(members, known, ours.properties, name)}


def _new_members(
    found: Mapping[str, Field],
    known: Mapping[str, Field] | None,
    ours: Mapping[str, Field],
    name: str,
) -> dict[str, Field]:
    if known is None:
        return {}
    return {
        member: field
        for member, field in found.items()
        if member not in ours and member not in known and not looks_private(name, member, field)
    }


def _items(ours: Field, found: Field, before: Field | None, name: str) -> Field | None:
    if "array" not in found.kinds:
        return None
    if found.items is None or (ours.items is None and "array" in ours.kinds):
        return ours.items
    inner, own = None if before is None else before.items, ours.items or Field(type="null")
    if own.privacy is not None or not found.items.kinds:
        return ours.items
    return with_found_type(own, found.items, inner, name)
