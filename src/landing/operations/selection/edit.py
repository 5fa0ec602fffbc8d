"""The stream config with what a person decided, its other keys and their order as they were."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from landing.catalog.fields import Field, Privacy
from landing.operations.discovered_changes import spelled
from landing.operations.selection.choices import Selection
from landing.operations.selection.widening import with_found_type


@dataclass(frozen=True)
class Decisions:
    fields: Collection[str]
    """Names of the fields to land."""
    cursor: str | None
    primary_key: Sequence[str]
    retyped: Collection[str] = ()
    """Fields that take the type of the discovered schema."""
    privacy: Mapping[str, Privacy] = field(default_factory=dict)
    is_selected: bool = True


def edited(selection: Selection, decided: Decisions) -> dict[str, Any]:
    """The document to write."""
    if selection.config is None:
        document = _new(selection, decided)
    else:
        document = dict(selection.config)
        document["selected"] = decided.is_selected
        if decided.cursor != selection.cursor_field:
            _set(document, "cursor_field", [decided.cursor] if decided.cursor else None)
            document["sync_mode"] = "incremental" if decided.cursor else "full_refresh"
        if list(decided.primary_key) != list(selection.primary_key):
            _set(document, "primary_key", [[name] for name in decided.primary_key] or None)
    document["fields"] = _fields(selection, decided)
    if list(document)[-1] != "fields" and list(selection.config or {})[-1:] in ([], ["fields"]):
        document["fields"] = document.pop("fields")  # new keys come before it
    return document


def _new(selection: Selection, decided: Decisions) -> dict[str, Any]:
    schema = selection.schema
    document = {
        "stream": schema.stream,
        "description": schema.description,
        "sync_mode": "incremental" if decided.cursor else "full_refresh",
        "destination_sync_mode": "append",
        "primary_key": [[name] for name in decided.primary_key] or None,
        "cursor_field": [decided.cursor] if decided.cursor else None,
        "selected": decided.is_selected,
    }
    return {key: value for key, value in document.items() if value is not None}


def _set(document: dict[str, Any], key: str, value: Any) -> None:
    """Defaults that came with a copied discovered schema would count again without the key."""
    document.pop(key, None)
    if value is not None:
        document[key] = value
    elif key in document.get("defaults", {}):
        rest = {name: kept for name, kept in document["defaults"].items() if name != key}
        document["defaults"] = rest


def _fields(selection: Selection, decided: Decisions) -> dict[str, Any]:
    written = {} if selection.config is None else selection.config["fields"]
    return {
        name: _written(name, written.get(name), selection, decided)
        for name in selection.names
        if name in decided.fields
    }


def _written(name: str, raw: Any, selection: Selection, decided: Decisions) -> Any:
    """A field as the config has it already, key by key, unless something was decided about it."""
    ours = None if raw is None else msgspec.convert(raw, Field)
    found = selection.schema.fields.get(name)
    chosen = ours or found
    if ours is not None and found is not None and name in decided.retyped:
        chosen = with_found_type(ours, found, (selection.base or {}).get(name), name)
    if (privacy := decided.privacy.get(name)) is not None and chosen is not None:
        chosen = msgspec.structs.replace(chosen, privacy=privacy, properties=None, items=None)
    return raw if chosen is ours else msgspec.to_builtins(chosen)


def edits(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> Iterator[str]:
    """How the document changed, in lines for a person."""
    old = dict(before or {})
    for key in dict.fromkeys([*old, *after]):
        if key != "fields" and before is not None and old.get(key) != after.get(key):
            yield f"~ {key}: {_word(old.get(key))} → {_word(after.get(key))}"
    fields = old.get("fields", {})
    for name, raw in fields.items():
        if name not in after["fields"]:
            yield f"- {name}"
        elif raw != after["fields"][name]:
            yield f"~ {name}: {_spelled(raw)} → {_spelled(after['fields'][name])}"
            one, other = (msgspec.convert(field, Field) for field in (raw, after["fields"][name]))
            yield from _new_members(one, other, name)
    yield from (f"+ {n}: {_spelled(raw)}" for n, raw in after["fields"].items() if n not in fields)


def _new_members(old: Field, new: Field, name: str) -> Iterator[str]:
    known = old.properties or {}
    for member, found in (new.properties or {}).items():
        if member not in known:
            yield f"+ {name}.{member}: {spelled(found)}"
    if old.items is not None and new.items is not None:
        yield from _new_members(old.items, new.items, f"{name}[]")


def _word(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return "none" if value is None else text


def _spelled(raw: Any) -> str:
    one = msgspec.convert(raw, Field)
    return spelled(one) if one.privacy is None else f"{spelled(one)}, {one.privacy}"
