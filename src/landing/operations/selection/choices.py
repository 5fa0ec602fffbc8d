"""What there is to choose of a stream: a three-way merge of its fields.

The stream config is what a person chose, the discovered schema is what the source has now, and the
base is what was discovered until the config was written. Only with a base can a field that is new
be told from one that was left out, and a changed type from one that a person has edited.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from landing.catalog.fields import Field, Privacy
from landing.catalog.stream_config import DiscoveredSchema, StreamFile
from landing.operations.discovered_changes import spelled
from landing.operations.selection.private_names import looks_private
from landing.operations.selection.widening import says_nothing, widens

FieldState = Literal["selected", "left_out", "new", "changed", "gone"]
LONGEST_SAMPLE = 30

Row = Mapping[str, Any]


class FieldChoice(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    type: str
    """In the discovered schema; of a field that is gone, in the stream config."""
    state: FieldState
    selected: bool
    """Whether the stream config has it; without a config, whether it is in the proposal."""
    configured: str | None = None
    """The type in the stream config, if it is another."""
    privacy: Privacy | None = None
    looks_private: bool = False
    nulls: float | None = None
    """The share of sampled records without a value; None without a sample."""
    sample: str | None = None
    """A sampled value; None for fields that are private, or look so."""


@dataclass(frozen=True)
class Selection:
    schema: DiscoveredSchema
    config: Mapping[str, Any] | None
    """The stream config, key by key; None if there is none yet."""
    choices: Sequence[FieldChoice]
    primary_key: Sequence[str]
    cursor_field: str | None
    base: Mapping[str, Field] | None
    widened: Collection[str]
    """Fields with a wider type at the source, whose type nobody has edited."""

    @property
    def names(self) -> list[str]:
        return [one.name for one in self.choices]

    @property
    def selected(self) -> list[str]:
        return [one.name for one in self.choices if one.selected]

    def of(self, *states: FieldState) -> list[FieldChoice]:
        return [one for one in self.choices if one.state in states]


def selection_of(
    schema: DiscoveredSchema,
    config: Mapping[str, Any] | None,
    base: Mapping[str, Field] | None,
    records: Sequence[Row] = (),
) -> Selection:
    written = None if config is None else msgspec.convert(config, StreamFile)
    ours = None if written is None else written.fields
    defaults = schema.defaults
    key, cursor = defaults.primary_key or [], defaults.cursor_field or []
    if written is not None:
        key = written.primary_key or written.defaults.primary_key or []
        cursor = written.cursor_field or written.defaults.cursor_field or []
    needed = {*(path[0] for path in key), *cursor}
    names = dict.fromkeys([*(ours or {}), *schema.fields])
    choices = [_choice(name, schema, ours, base, needed, records) for name in names]
    changed = [one.name for one in choices if one.state == "changed"]
    return Selection(
        schema=schema,
        config=config,
        choices=choices,
        primary_key=[path[0] for path in key],
        cursor_field=cursor[0] if cursor else None,
        base=base,
        widened=[
            n for n in changed if base is not None and widens((ours or {})[n], schema.fields[n])
        ],
    )


def _choice(
    name: str,
    schema: DiscoveredSchema,
    ours: Mapping[str, Field] | None,
    base: Mapping[str, Field] | None,
    needed: set[str],
    records: Sequence[Row],
) -> FieldChoice:
    configured, found = (ours or {}).get(name), schema.fields.get(name)
    field = found or configured
    assert field is not None, "one of the two has it"
    values = [row[name] for row in records if row.get(name) is not None]
    is_suspect = looks_private(schema.stream, name, field, values)
    is_hidden = is_suspect or (configured is not None and configured.is_private)
    default = name in needed or not is_suspect
    is_other = configured is not None and spelled(configured) != spelled(field)
    return FieldChoice(
        name=name,
        type=spelled(field),
        state=_state(name, configured, found, ours is None, base),
        selected=default if ours is None else configured is not None,
        configured=spelled(configured) if configured is not None and is_other else None,
        privacy=None if configured is None else configured.privacy,
        looks_private=is_suspect,
        nulls=1 - len(values) / len(records) if records else None,
        sample=_shortened(values[0]) if values and not is_hidden else None,
    )


def _state(
    name: str,
    configured: Field | None,
    found: Field | None,
    is_first: bool,
    base: Mapping[str, Field] | None,
) -> FieldState:
    if configured is None:
        is_new = is_first or (base is not None and name not in base)
        return "new" if is_new else "left_out"
    if found is None:  # one that was never discovered was written by hand
        return "gone" if base is None or name in base else "selected"
    return "changed" if _is_changed(name, configured, found, base) else "selected"


def _is_changed(
    name: str, configured: Field, found: Field, base: Mapping[str, Field] | None
) -> bool:
    """Whether the source has another type than the config, which nobody has edited, as far as is
    known."""
    if says_nothing(found, configured) or configured.privacy is not None:
        return False
    if configured.kinds == {"number"} and found.kinds == {"integer"}:
        return False  # the sample had whole numbers only
    if spelled(configured) == spelled(found):
        return False
    if base is None:
        return True
    before = base.get(name)
    return before is not None and spelled(before) == spelled(configured)


def _shortened(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= LONGEST_SAMPLE else f"{text[: LONGEST_SAMPLE - 1]}…"
