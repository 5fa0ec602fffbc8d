"""The state that a stream's last load left in the bucket, read without running anything."""

from __future__ import annotations

import json
import zlib
from typing import Any

from dlt.common.destination.client import StateInfo
from dlt.common.pipeline import TPipelineState
from dlt.common.versioned_state import decompress_state

from landing.bucket import Bucket
from landing.errors import BucketError
from landing.layout import StreamPaths

SCHEMA = "landing"
"""Name of the dlt schema and so of the source section in dlt's state; one for all streams, since
dlt normalizes schema names and each stream has a state of its own anyway."""
STATE_KEY = "landing"
"""Of what this package keeps in a stream's resource state, beside dlt's own `incremental`."""


def stored_state(bucket: Bucket, paths: StreamPaths) -> StateInfo | None:
    """What the last load wrote; None if there was none.

    Raises BucketError if the object is not a state, since to start anew would be a person's word.
    """
    stored = bucket.get(paths.state)
    if stored is None:
        return None
    try:
        document = json.loads(stored.data)
        document.pop("dlt_load_id", None)
        state = StateInfo(**document)
        decompress_state(state.state)
    except (ValueError, KeyError, TypeError, AttributeError, zlib.error) as error:
        raise BucketError(
            f"{bucket.location(paths.state)} is damaged ({type(error).__name__}): put an earlier "
            "version of it back, or delete it to read the stream from its start"
        ) from error
    return state


def stored_cursor(bucket: Bucket, paths: StreamPaths, field: str) -> Any:
    """The cursor value that the bucket's state has for a stream; None if it never ran."""
    resource = _resource_state(bucket, paths)
    return resource.get("incremental", {}).get(field, {}).get("last_value")


def stored_load_id(bucket: Bucket, paths: StreamPaths) -> str | None:
    """The highest load id that a row of the last load carries; None if there was none."""
    load_id = stored_own(bucket, paths).get("load_id")
    return None if load_id is None else str(load_id)


def stored_own(bucket: Bucket, paths: StreamPaths) -> dict[str, Any]:
    """What this package keeps there of its own."""
    own: dict[str, Any] = _resource_state(bucket, paths).get(STATE_KEY, {})
    return own


def _resource_state(bucket: Bucket, paths: StreamPaths) -> dict[str, Any]:
    state = stored_state(bucket, paths)
    if state is None:
        return {}
    sources: Any = decompress_state(state.state).get("sources", {})
    resource: dict[str, Any] = sources.get(SCHEMA, {}).get("resources", {}).get(paths.stream, {})
    return resource


def keeps_state(state: TPipelineState, stream: str) -> bool:
    """Whether a stream, or a parent of it, keeps anything in dlt's state itself."""
    sources: Any = state.get("sources", {})
    section = sources.get(SCHEMA, {})
    resources = section.get("resources", {})
    beside = (
        (set(sources) - {SCHEMA}) | (set(section) - {"resources"}) | (set(resources) - {stream})
    )
    return bool(beside or set(resources.get(stream, {})) - {STATE_KEY, "incremental"})


def forget_parents(streams: TPipelineState, stream: str) -> None:
    """Have the parents read from their start, in a copy of the state that is the stream's."""
    sources: Any = streams.get("sources", {})
    for name, kept in sources.get(SCHEMA, {}).get("resources", {}).items():
        if name != stream:
            kept.pop("incremental", None)


def take_over(state: TPipelineState, streams: TPipelineState, stream: str) -> None:
    """Put into `state` what the stream kept in a copy of its own, leaving what is ours there."""
    sources: Any = state.setdefault("sources", {})
    ours = sources.get(SCHEMA, {}).get("resources", {}).get(stream, {}).get(STATE_KEY, {})
    sources.clear()
    sources.update(streams.get("sources", {}))
    resources = sources.setdefault(SCHEMA, {}).setdefault("resources", {})
    resources.setdefault(stream, {})[STATE_KEY] = ours
