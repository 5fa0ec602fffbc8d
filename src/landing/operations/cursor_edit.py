"""Moves the cursor of a stream, or of a child's parent, by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from landing.catalog.stream_config import StreamConfig
from landing.columns.conversion import Columns
from landing.columns.fitting import ConversionError
from landing.errors import UsageError
from landing.extraction.cursor_values import CursorValues, Unit
from landing.extraction.incremental import FrozenIncremental
from landing.extraction.run_start import reads_from
from landing.operations.parent_state import BEYOND_NOW, parent_moved, parents_moved
from landing.operations.state_edit import Change, after
from landing.results import AHEAD
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths
from landing.zone.state import STATE_KEY, names_kept, new_state, resource_state, state_in


def cursor_set(
    bucket: Bucket, config: StreamConfig, frozen: FrozenIncremental | None, text: str
) -> Change:
    """Set the cursor to `text`. Raises UsageError if the stream has no cursor or `text` is not a
    valid value of it.

    If the cursor moves forward, the record of landed rows stays; if it moves back, that record is
    dropped so that the rows land again, and the cursors of parents move back, too.
    """
    if not config.is_incremental or config.cursor_field is None:
        raise UsageError(
            f"{config.origin}: the stream has no cursor to set: each of its runs reads everything"
        )
    paths, name = StreamPaths(config.source, config.stream), config.cursor_field
    before = bucket.get(paths.state)
    state = state_in(bucket, paths, before) or new_state(paths)
    resource = resource_state(state, config.stream)
    entry = resource.setdefault("incremental", {}).setdefault(name, _untouched(config, frozen))
    columns = Columns({name: config.fields[name]}, data_types=config.data_types)
    value, typed = _cursor_value(config, columns, text, entry["last_value"])
    old = entry["last_value"]
    forward = _is_beyond(typed, columns, name, old, frozen)
    entry |= {"last_value": value, "unique_hashes": []}
    unit = _forget(resource.setdefault(STATE_KEY, {}), forward=forward)
    start = reads_from(config, frozen, value)
    message = [f"cursor {name}: {'none' if old is None else old} → {value}"]
    message += parents_moved(state, config.stream, name, value, forward=forward)
    message += _message_of_rows(old, value, start, forward=forward)
    if not _descends(frozen) and _is_ahead(typed, columns, name, unit):
        message.append(BEYOND_NOW)
    if names := names_kept(state, config.stream):
        message.append(f"what the stream itself stores stays: {', '.join(names)}")
    return Change("set", paths, before, after(state, before), message)


def _forget(ours: dict[str, Any], *, forward: bool) -> Unit | None:
    """Drop from our part of the state what is true only of the old cursor. Returns the unit in
    which the cursor counts time."""
    if not ours.get("resync", {}).get("done"):
        ours.pop("resync", None)
    ours.pop("cursor_of_last_load", None)
    known = ours.get("cursor", {})
    # Rows with exactly that value are read again, whether they have landed or not.
    stays = ("known_without", "rows", "window") if forward else ("known_without",)
    ours["cursor"] = {key: known[key] for key in stays if key in known}
    unit: Unit | None = known.get("reached", {}).get("unit")
    if unit is not None:
        ours["cursor"]["reached"] = {"unit": unit}
    if not forward:
        ours.pop("quarantined", None)
    return unit


def parent_cursor_set(bucket: Bucket, paths: StreamPaths, parent: str, text: str) -> Change:
    """Set the cursor of a child's parent, which the child's state has. Raises UsageError."""
    before = bucket.get(paths.state)
    state = state_in(bucket, paths, before) or new_state(paths)
    message = list(parent_moved(state, paths, parent, text))
    return Change("set", paths, before, after(state, before), message)


def _message_of_rows(old: Any, value: Any, start: Any, *, forward: bool) -> Iterator[str]:
    yield f"the next run reads from {start}"
    if old is None:
        yield "rows before that do not land"
    elif forward:
        yield f"rows between {old} and {start} that have not landed are skipped for good"
    else:
        yield "rows from there on that have landed before land again"


def _untouched(config: StreamConfig, frozen: FrozenIncremental | None) -> dict[str, Any]:
    """dlt's initial state of a cursor."""
    initial = config.initial_value if frozen is None else frozen.initial_value
    return {"initial_value": initial, "last_value": None, "unique_hashes": []}


def _cursor_value(
    config: StreamConfig, columns: Columns, text: str, old: Any
) -> tuple[Any, pa.Scalar]:
    name = config.cursor_field
    assert name is not None, "only a stream with a cursor comes here"
    raw: Any = text
    if config.fields[name].kinds <= {"integer", "number"}:
        try:
            raw = json.loads(text)
        except ValueError:
            raw = text
    try:
        typed = columns.value(name, raw)
        why = None if typed.is_valid else "no value"
    except ConversionError as error:
        why = str(error)
    if why is not None:
        raise UsageError(
            f"--cursor '{text}' is {why}: give a value of {name} as the API spells it"
            + ("" if old is None else f", such as {old}")
        )
    # A stream that yields date and time objects expects its cursor as one.
    return (typed.as_py() if isinstance(old, date | datetime) else raw), typed


def _is_beyond(
    typed: pa.Scalar, columns: Columns, name: str, old: Any, frozen: FrozenIncremental | None
) -> bool:
    """Whether `typed` is beyond the old cursor; False if there is none to compare with."""
    try:
        last = columns.value(name, old)
    except ConversionError:  # the field had another type then
        return False
    if not last.is_valid:
        return False
    return bool((pc.less if _descends(frozen) else pc.greater)(typed, last).as_py())


def _descends(frozen: FrozenIncremental | None) -> bool:
    return frozen is not None and frozen.last_value_func is min


def _is_ahead(typed: pa.Scalar, columns: Columns, name: str, unit: Unit | None) -> bool:
    values = CursorValues(name, typed.type, lambda raw: columns.value(name, raw))
    key = values.key(typed)
    if values.kind != "time" and unit is None:
        return False
    return bool(pc.greater(key, values.of_time(datetime.now(UTC) + AHEAD, unit)).as_py())
