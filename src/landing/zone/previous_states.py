"""Previous states of a stream, which are kept in the bucket when a person changes its state."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from landing.errors import BucketError
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths, number_of
from landing.zone.parent_cursors import ParentCursor, parent_cursors
from landing.zone.state import State, document_json, json_document, resource_state, state_of

KEPT = 20
"""Number of previous states that are kept per stream."""


@dataclass(frozen=True)
class KeptState:
    number: int
    kept: str
    before: str
    """The change that replaced it: `set`, `reset`, `copy` or `restore`."""
    cursors: dict[str, Any]
    exists: bool
    """False if the stream had no state then."""
    parents: list[ParentCursor] = field(default_factory=list)


def cursors_of(state: State, stream: str) -> dict[str, Any]:
    """The last value of each cursor field in dlt's state of the stream."""
    kept = resource_state(state, stream).get("incremental", {})
    return {name: entry.get("last_value") for name, entry in kept.items()}


def keep(bucket: Bucket, paths: StreamPaths, before: str) -> int:
    """Save the present state, even if there is none; returns its number."""
    present = bucket.get(paths.state)
    numbers = kept_numbers(bucket, paths)
    number = numbers[-1] + 1 if numbers else 1
    kept = {
        "kept": datetime.now(UTC).isoformat(timespec="seconds"),
        "before": before,
        "state": None if present is None else json_document(present.data),
    }
    if bucket.create(paths.kept_state(number), document_json(kept)) is None:
        raise BucketError(
            f"{bucket.location(paths.kept_state(number))} was written by another process at the "
            "same time: look at the state again"
        )
    return number


def forget_oldest(bucket: Bucket, paths: StreamPaths) -> None:
    bucket.delete_all([paths.kept_state(number) for number in kept_numbers(bucket, paths)[:-KEPT]])


def kept_numbers(bucket: Bucket, paths: StreamPaths) -> list[int]:
    """Numbers of the kept states, ascending."""
    found = map(number_of, bucket.list(paths.kept_states))
    return sorted(number for number in found if number is not None)


def kept_states(bucket: Bucket, paths: StreamPaths) -> list[KeptState]:
    """Kept states, newest first."""
    found = (kept_state(bucket, paths, number) for number in reversed(kept_numbers(bucket, paths)))
    return [kept for kept in found if kept is not None]


def kept_state(bucket: Bucket, paths: StreamPaths, number: int) -> KeptState | None:
    """The kept state of this number; None if it does not exist."""
    kept = _kept(bucket, paths, number)
    if kept is None:
        return None
    state = _state_in(kept, bucket, paths, number)
    cursors = {} if state is None else cursors_of(state, paths.stream)
    return KeptState(
        number,
        kept["kept"],
        kept["before"],
        cursors,
        exists=state is not None,
        parents=parent_cursors(state, paths.stream),
    )


def kept_pipeline_state(bucket: Bucket, paths: StreamPaths, number: int) -> State | None:
    """dlt's state itself, which may contain a source's secrets; None if there was none then."""
    kept = _kept(bucket, paths, number)
    return None if kept is None else _state_in(kept, bucket, paths, number)


def _kept(bucket: Bucket, paths: StreamPaths, number: int) -> dict[str, Any] | None:
    path = paths.kept_state(number)
    stored = bucket.get(path)
    if stored is None:
        return None
    kept = json_document(stored.data)
    if not isinstance(kept, dict) or not {"kept", "before", "state"} <= set(kept):
        raise BucketError(f"{bucket.location(path)} is damaged: delete it")
    return kept


def _state_in(
    kept: dict[str, Any], bucket: Bucket, paths: StreamPaths, number: int
) -> State | None:
    if kept["state"] is None:
        return None
    return state_of(kept["state"], bucket.location(paths.kept_state(number)))
