"""The state that a stream's last load left in the bucket, read without running anything."""

from __future__ import annotations

import json
import re
import zlib
from typing import Any

from dlt.common.destination.client import StateInfo
from dlt.common.pipeline import TPipelineState
from dlt.common.versioned_state import decompress_state
from dlt.pipeline.state_sync import (
    PIPELINE_STATE_ENGINE_VERSION,
    generate_pipeline_state_version_hash,
    migrate_state_to_current,
    state_doc,
)

from landing.errors import BucketError
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths

SCHEMA = "landing"
"""Name of the dlt schema and so of the source section in dlt's state; one for all streams, since
dlt normalizes schema names and each stream has a state of its own anyway."""
STATE_KEY = "landing"
"""Of what this package keeps in a stream's resource state, beside dlt's own `incremental`."""


def pipeline_name(paths: StreamPaths) -> str:
    """Of the stream's dlt pipeline, which takes no state of one with another name."""
    return re.sub(r"\W", "_", f"{paths.source}__{paths.stream}")


def stored_state(bucket: Bucket, paths: StreamPaths) -> StateInfo | None:
    """What the last load wrote; None if there was none.

    Raises BucketError if the object is not a state, since to start anew would be a person's word.
    """
    stored = bucket.get(paths.state)
    if stored is None:
        return None
    return _read(json_document(stored.data), bucket.location(paths.state))[0]


def json_document(data: bytes) -> Any:
    """None for what is no JSON."""
    try:
        return json.loads(data)
    except ValueError:
        return None


def state_of(document: Any, location: str) -> TPipelineState:
    """dlt's state in a document as `state.json` has it.

    Raises BucketError if it is none, with the location that it is from.
    """
    info, state = _read(document, location)
    return migrate_state_to_current(info.pipeline_name, state)


def _read(document: Any, location: str) -> tuple[StateInfo, dict[str, Any]]:
    try:
        fields = {name: value for name, value in document.items() if name != "dlt_load_id"}
        info = StateInfo(**fields)
        return info, decompress_state(info.state)
    except (ValueError, KeyError, TypeError, AttributeError, zlib.error) as error:
        raise BucketError(
            f"{location} is damaged ({type(error).__name__}): put an earlier version of it back, "
            "or delete it to read the stream from its start"
        ) from error


def new_state(paths: StreamPaths) -> TPipelineState:
    """As dlt's own of a stream that has not run yet."""
    return TPipelineState(
        _state_version=0,
        _state_engine_version=PIPELINE_STATE_ENGINE_VERSION,
        pipeline_name=pipeline_name(paths),
        dataset_name=SCHEMA,
        default_schema_name=SCHEMA,
        schema_names=[SCHEMA],
    )


def next_document(state: TPipelineState, version: int) -> dict[str, Any]:
    """`state` as the document of that version, as dlt itself writes it."""
    state["_state_version"] = version
    state["_version_hash"] = generate_pipeline_state_version_hash(state)
    return dict(state_doc(TPipelineState(**{**state, "_local": {}})))


def resource_state(state: TPipelineState, stream: str) -> dict[str, Any]:
    """What a stream has in it, to be read or changed."""
    sources: Any = state.setdefault("sources", {})
    resources = sources.setdefault(SCHEMA, {}).setdefault("resources", {})
    found: dict[str, Any] = resources.setdefault(stream, {})
    return found


def stored_cursor(bucket: Bucket, paths: StreamPaths, field: str) -> Any:
    """The cursor value that the bucket's state has for a stream; None if it never ran."""
    resource = _resource_state(bucket, paths)
    return resource.get("incremental", {}).get(field, {}).get("last_value")


def stored_load_id(bucket: Bucket, paths: StreamPaths) -> str | None:
    """The highest load id that a row of the last load carries; None if there was none."""
    load_id = stored_by_us(bucket, paths).get("load_id")
    return None if load_id is None else str(load_id)


def stored_by_us(bucket: Bucket, paths: StreamPaths) -> dict[str, Any]:
    """What this package has put into a stream's state."""
    ours: dict[str, Any] = _resource_state(bucket, paths).get(STATE_KEY, {})
    return ours


def _resource_state(bucket: Bucket, paths: StreamPaths) -> dict[str, Any]:
    state = stored_state(bucket, paths)
    if state is None:
        return {}
    sources: Any = decompress_state(state.state).get("sources", {})
    resource: dict[str, Any] = sources.get(SCHEMA, {}).get("resources", {}).get(paths.stream, {})
    return resource


def keeps_state(state: TPipelineState, stream: str) -> bool:
    """Whether a stream, or a parent of it, keeps anything in dlt's state itself."""
    return bool(names_kept(state, stream))


def names_kept(state: TPipelineState, stream: str) -> list[str]:
    """What a stream, or a parent of it, keeps in dlt's state itself."""
    sources: Any = state.get("sources", {})
    section = sources.get(SCHEMA, {})
    resources = section.get("resources", {})
    own = set(resources.get(stream, {})) - {STATE_KEY, "incremental"}
    beside = (
        (set(sources) - {SCHEMA}) | (set(section) - {"resources"}) | (set(resources) - {stream})
    )
    return [*sorted(own), *sorted(beside)]


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
