"""The questions of `landing select` in a terminal. Ctrl-C raises KeyboardInterrupt."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from landing.cli.text.console import grid, presentable, terminal_width
from landing.errors import needs

if TYPE_CHECKING:
    from landing.catalog.fields import Privacy
    from landing.operations.selection import Decisions, FieldChoice, Selection

with needs("landing select in a terminal", "select", "; or name the fields: --fields A,B"):
    import questionary
    from questionary import Choice, Separator

_KEYS = "\n  space: on or off, a: all, i: invert, Enter: done"
_MARGIN = 6
"""Cells that a checklist has left of its lines."""
_SAMPLES = (30, 20, 10, 1)
"""Lengths of sampled values, of which the first is taken that fits."""
_TITLES = ("FIELD", "TYPE", "NULL", "SAMPLE", "")
_NOTES: Mapping[str, str] = {"new": "new", "gone": "gone", "changed": "type changed"}


def chosen_streams(source: str, streams: Mapping[str, bool]) -> list[str]:
    """The streams to select, of all by whether they are selected now."""
    choices = [Choice(name, checked=checked) for name, checked in streams.items()]
    return list(_asked(questionary.checkbox(f"Streams of {source}", choices, instruction=_KEYS)))


def decided(selection: Selection) -> Decisions:
    """Ask about each change of the source, then for the fields, and for what is open."""
    from landing.operations.selection import Decisions

    stream = selection.schema.stream
    retyped = {one.name for one in selection.of("changed") if _takes_type(stream, one)}
    dropped = {one.name for one in selection.of("gone") if _drops(selection, one)}
    fields = _fields(selection, dropped)
    privacy = _privacy(selection, fields)
    plain = [name for name in fields if name not in privacy]
    key = selection.primary_key or _key(selection, plain)
    cursor = selection.cursor_field or _cursor(selection, plain)
    needed = {*key, *([cursor] if cursor else [])}
    return Decisions({*fields, *needed}, cursor, key, retyped, privacy)


def _asked(question: Any) -> Any:
    return question.unsafe_ask()


def _takes_type(stream: str, one: FieldChoice) -> bool:
    text = f"{stream}.{one.name} is {one.configured}; in the source: {one.type}. Take that type?"
    return bool(_asked(questionary.confirm(presentable(text))))


def _drops(selection: Selection, one: FieldChoice) -> bool:
    if one.name in (*selection.primary_key, selection.cursor_field):
        return False
    text = f"{selection.schema.stream}.{one.name} is not in the discovered schema. Remove it?"
    return bool(_asked(questionary.confirm(presentable(text), default=False)))


def _fields(selection: Selection, dropped: Collection[str]) -> list[str]:
    shown = [one for one in selection.choices if one.name not in dropped]
    head, *lines = _table(selection, shown)
    choices: list[Choice] = [Separator(f"  {head}")]
    choices += [
        Choice(line, value=one.name, checked=one.selected)
        for one, line in zip(shown, lines, strict=True)
    ]
    question = questionary.checkbox(
        f"Fields of {selection.schema.stream} to land",
        choices,
        instruction=_KEYS,
        validate=lambda names: bool(names) or "choose at least one field",
    )
    return list(_asked(question))


def _table(selection: Selection, shown: Sequence[FieldChoice]) -> list[str]:
    """Lines that fit the terminal; sampled values are cut before names are."""
    from rich.cells import cell_len

    room = (terminal_width() or sys.maxsize) - _MARGIN
    for longest in _SAMPLES:
        rows = [_row(selection, one, longest) for one in shown]
        lines = grid(_TITLES, rows, None, right=("NULL",))
        if max(map(cell_len, lines)) <= room:
            return lines
    return grid(_TITLES, rows, room, right=("NULL",))


def _row(selection: Selection, one: FieldChoice, longest: int) -> Sequence[str]:
    nulls = "" if one.nulls is None else f"{one.nulls:.0%}"
    sample = one.sample or ""
    shown = sample if len(sample) <= longest else f"{sample[: longest - 1]}…"
    return (one.name, one.configured or one.type, nulls, shown, _note(selection, one))


def _note(selection: Selection, one: FieldChoice) -> str:
    notes = []
    if one.name in selection.primary_key:
        notes.append("key")
    if one.name == selection.cursor_field:
        notes.append("cursor")
    if selection.config is not None and one.state in _NOTES:
        notes.append(_NOTES[one.state])
    if one.privacy is not None:
        notes.append(one.privacy)
    elif one.looks_private:
        notes.append("private?")
    return ", ".join(notes)


def _privacy(selection: Selection, fields: Collection[str]) -> dict[str, Privacy]:
    """What becomes of fields that look private and are chosen for the first time."""
    found: dict[str, Privacy] = {}
    for one in selection.choices:
        is_kept = one.selected and selection.config is not None
        if one.name not in fields or not one.looks_private or is_kept:
            continue
        choices = [
            Choice("land it as it is", value=""),
            Choice("hash it (needs LANDING_PRIVACY_KEY)", value="hash"),
            Choice("mask it", value="mask"),
        ]
        answer = _asked(questionary.select(f"{one.name} looks private", choices))
        if answer:
            found[one.name] = answer
    return found


def _key(selection: Selection, fields: Collection[str]) -> list[str]:
    if selection.config is not None:
        return []
    kinds = {"integer", "string"}
    names = [n for n in fields if (f := selection.schema.fields.get(n)) and f.kinds <= kinds]
    choices = [Choice(name, checked=name == "id") for name in names]
    if not choices:
        return []
    return list(_asked(questionary.checkbox("Primary key", choices, instruction=_KEYS)))


def _cursor(selection: Selection, fields: Collection[str]) -> str | None:
    """Only for a stream that can be asked for changes by some field."""
    schema = selection.schema
    if selection.config is not None or "incremental" not in schema.options.sync_modes:
        return None
    kinds = ({"integer"}, {"number"}, {"string"})
    names = [n for n in fields if (f := schema.fields.get(n)) and f.kinds in kinds]
    choices = [Choice("none: each run reads everything", value="")]
    choices += [Choice(name) for name in names]
    answer = _asked(questionary.select("Cursor: the field that grows with every change", choices))
    return answer or None
