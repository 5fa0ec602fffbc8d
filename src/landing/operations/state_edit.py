"""Changes a stream's state by hand, keeping the previous state.

A change is prepared from the current state, shown to a person, and applied under the stream's
lease if the state has not changed meanwhile: the previous state is saved first, then the new one is
written. Load ids and schema versions keep ascending even if the cursor moves back.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from landing.catalog.stream_config import StreamConfig
from landing.columns.conversion import Columns
from landing.columns.fitting import ConversionError
from landing.errors import StreamError, UsageError
from landing.zone.bucket import Bucket, StoredObject
from landing.zone.layout import StreamPaths
from landing.zone.lease import Lease
from landing.zone.previous_states import (
    KeptState,
    cursors_of,
    forget_oldest,
    keep,
    kept_numbers,
    kept_pipeline_state,
    kept_state,
)
from landing.zone.state import (
    SCHEMA,
    STATE_KEY,
    State,
    document_json,
    json_document,
    names_kept,
    new_state,
    next_document,
    pipeline_name,
    read_state,
    resource_state,
    state_in,
)

_OF_READING = ("cursor", "cursor_of_last_load", "quarantined", "resync", "taken_back")
"""Keys of our part of the state that say where the next run starts. The other keys, such as the
last load id, describe landed files and are not reset with the cursor."""


@dataclass(frozen=True)
class Change:
    """A stream's new state, and a message that explains the change before it is made."""

    verb: str
    paths: StreamPaths
    before: StoredObject | None
    after: dict[str, Any]
    message: list[str]


def start_over(bucket: Bucket, paths: StreamPaths) -> Change:
    before = bucket.get(paths.state)
    state = state_in(bucket, paths, before)
    if state is None:
        raise UsageError(
            f"{paths.data} has no state in {bucket.url}: its next run reads from the start anyway"
        )
    message = ["the next run reads from the start; all rows land again"]
    if names := names_kept(state, paths.stream):
        message.append(f"what the stream itself stores is removed, too: {', '.join(names)}")
    return Change("reset", paths, before, after(_emptied(state, paths), before), message)


def copied(bucket: Bucket, source: StreamPaths, target: StreamConfig) -> Change:
    """Copy another stream's state to `target`, which continues from there."""
    paths = StreamPaths(target.source, target.stream)
    if source == paths:
        raise UsageError(f"{paths.data} can't be copied to itself: name another stream with --to")
    state = read_state(bucket, source)
    if state is None:
        raise UsageError(f"{source.data} has no state in {bucket.url}: there is nothing to copy")
    cursors = cursors_of(state, source.stream)
    _check_same_cursor(cursors, source, target)
    before = bucket.get(paths.state)
    present = state_in(bucket, paths, before)
    sources: Any = state.setdefault("sources", {})
    resources = sources[SCHEMA]["resources"]
    resources[paths.stream] = resources.pop(source.stream)
    state["pipeline_name"] = pipeline_name(paths)
    ours = _with_files_of(state, present, paths.stream)
    for of_source in ("quarantined", "cursor_of_last_load"):  # its quarantine, and its loads
        ours.pop(of_source, None)
    resource_state(state, paths.stream)[STATE_KEY] = ours
    message = [f"cursor {name}: {value}, from {source.data}" for name, value in cursors.items()]
    message.append(f"{source.data} keeps its own state; only one of the two should go on running")
    return Change("copy", paths, before, after(state, before), message)


def _check_same_cursor(cursors: dict[str, Any], source: StreamPaths, target: StreamConfig) -> None:
    name = target.cursor_field if target.is_incremental else None
    if name not in cursors and (name or cursors):
        raise UsageError(
            f"the cursor of {source.data} is {', '.join(cursors) or 'none'}, and that of "
            f"{target.origin} is {name or 'none'}: only a state of the same cursor can be copied"
        )
    if name is None:
        return
    try:
        Columns({name: target.fields[name]}).value(name, cursors[name])
    except ConversionError as error:
        raise UsageError(
            f"{source.data} is at {name} {cursors[name]}, which is {error} by {target.origin}: "
            "only a state of the same cursor can be copied"
        ) from None


def restored(bucket: Bucket, paths: StreamPaths, number: int | None) -> Change:
    """Restore a previous state, the newest if `number` is None. Raises UsageError if there is
    none."""
    kept = _chosen(bucket, paths, number)
    before = bucket.get(paths.state)
    present = state_in(bucket, paths, before)
    state = kept_pipeline_state(bucket, paths, kept.number)
    if state is None:
        state = _emptied(present or new_state(paths), paths)
        message = [f"state {kept.number}: none yet; the next run reads from the start"]
    else:
        if present is not None:
            ours = _with_files_of(state, present, paths.stream)
            resource_state(state, paths.stream)[STATE_KEY] = ours
        message = [f"state {kept.number}, as it was before '{kept.before}' at {kept.kept}"]
        message += [f"cursor {name}: {value}" for name, value in kept.cursors.items()]
        message.append("rows that landed since, and are read again, land again")
    return Change("restore", paths, before, after(state, before), message)


def _chosen(bucket: Bucket, paths: StreamPaths, number: int | None) -> KeptState:
    numbers = kept_numbers(bucket, paths)
    if number is None and numbers:
        number = numbers[-1]
    if number not in numbers:
        known = ", ".join(map(str, numbers)) or "none"
        what = "no earlier state" if number is None else f"no earlier state {number}"
        raise UsageError(f"{paths.data} has {what}; there are: {known}")
    kept = kept_state(bucket, paths, number)
    if kept is None:
        raise UsageError(f"{paths.data}: the earlier state {number} has just been removed")
    return kept


def make(bucket: Bucket, change: Change) -> int:
    """Apply the change and return the number under which the previous state is kept.

    Raises StreamError if the state has changed meanwhile, and LeaseHeld if a run is under way.
    """
    paths = change.paths
    with Lease(bucket, paths.lease, paths.data, "state") as lease:
        present = bucket.get(paths.state)
        if _data(present) != _data(change.before):
            raise StreamError(
                f"{paths.data}: its state has changed since it was read: a run has ended, or "
                "someone has changed it; nothing was changed; look at the state again",
                remedy=f"`landing state {paths.source} {paths.stream}` shows what it is now",
            )
        number = keep(bucket, paths, before=change.verb)
        lease.confirm()
        content = document_json(change.after)
        if present is None:
            written = bucket.create(paths.state, content)
        else:
            written = bucket.replace(paths.state, content, present)
        if written is None:
            raise lease.lost("and another process has written the state since")
        forget_oldest(bucket, paths)
    return number


def _data(stored: StoredObject | None) -> bytes | None:
    return None if stored is None else stored.data


def _emptied(state: State, paths: StreamPaths) -> State:
    emptied = deepcopy(state)
    emptied["sources"] = {}
    resource_state(emptied, paths.stream)[STATE_KEY] = _of_files(state, paths.stream)
    return emptied


def _of_files(state: State | None, stream: str) -> dict[str, Any]:
    ours = {} if state is None else resource_state(state, stream).get(STATE_KEY, {})
    return {name: value for name, value in ours.items() if name not in _OF_READING}


def _with_files_of(state: State, present: State | None, stream: str) -> dict[str, Any]:
    """Our part of `state`, with the keys about landed files taken from the present state."""
    ours = resource_state(state, stream).get(STATE_KEY, {})
    reading = {name: value for name, value in ours.items() if name in _OF_READING}
    return reading | _of_files(present, stream)


def after(state: State, before: StoredObject | None) -> dict[str, Any]:
    """The document to write, with a version above those of both states."""
    version = state["_state_version"]
    if before is not None:
        version = max(version, json_document(before.data)["version"])
    return next_document(state, version + 1)
