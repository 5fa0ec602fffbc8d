"""A stream's state in the bucket: dlt's document, including the keys that this package adds."""

from __future__ import annotations

import json
import re
import zlib
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from landing.errors import BucketError
from landing.zone.bucket import ATTEMPTS, Bucket, StoredObject
from landing.zone.layout import StreamPaths
from landing.zone.lease import Lease
from landing.zone.state_codec import decoded, encoded, version_hash

State: TypeAlias = dict[str, Any]
"""dlt's pipeline state."""

SCHEMA = "landing"
"""Name of the dlt schema, and so of the source section in dlt's state. The same for all streams,
since dlt normalizes schema names and each stream has its own state."""
STATE_KEY = "landing"
"""Key of this package's part of a stream's resource state, next to dlt's own `incremental`."""
_CURSORS = "incremental"
"""Key of the cursors in dlt's state of a resource."""
ENGINE_VERSION = 4
"""Version of dlt's state format; unchanged since before this project began."""


class StateFile:
    """The state of a running stream, read once and written after each load.

    Raises BucketError if the object is not a state, since only a person may decide to start over.
    """

    def __init__(self, bucket: Bucket, paths: StreamPaths, lease: Lease) -> None:
        self._bucket = bucket
        self._paths = paths
        self._path = paths.state
        self._lease = lease
        self._first = self._seen = bucket.get(paths.state)
        self._is_written = False
        self.state = state_in(bucket, paths, self._first) or new_state(paths)
        self._hash_of_stored = "" if self._first is None else version_hash(self.state)
        self._named = self._named_objects()
        """Loads whose known objects a state of this run has named."""

    def known_rows(self, load_id: str, file: Path) -> bool:
        """Download what the state names of rows that are read again; False if it is gone."""
        return self._bucket.download(self._paths.known_object(load_id), file)

    def write(self) -> None:
        """Write the state to the bucket as its next version, if it has changed."""
        if version_hash(self.state) != self._hash_of_stored:
            document = next_document(self.state, self.state["_state_version"] + 1)
            self._lease.confirm()
            self._put(document_json(document))
            self._hash_of_stored = version_hash(self.state)
            self._is_written = True
            self._named |= self._named_objects()

    def _put(self, content: bytes) -> None:
        """Write it on condition that the object is the one that this run has read or written."""
        if self._seen is None:
            written = self._bucket.create(self._path, content, ATTEMPTS)
        else:
            written = self._bucket.replace(self._path, content, self._seen, ATTEMPTS)
        if written is None:
            raise self._lease.lost("and another process has written the stream's state since")
        self._seen = written

    def renew(self) -> None:
        """Rewrite an unchanged state: its time in the bucket shows when a run last succeeded."""
        if not self._is_written and self._first is not None:
            renewed = {**json_document(self._first.data), "created_at": str(datetime.now(UTC))}
            self._bucket.replace(self._path, document_json(renewed), self._first)

    def put_back(self) -> None:
        """Restore the state in the bucket from the beginning of the run.

        Raises LeaseHeld if another run may own the state by now.
        """
        self._lease.confirm()
        first = state_in(self._bucket, self._paths, self._first) or new_state(self._paths)
        version = self.state["_state_version"] + 1  # so that no other run takes it for unchanged
        self._put(document_json(next_document(first, version)))
        self.state["_state_version"] = version
        self._hash_of_stored = ""

    def forget_superseded(self) -> None:
        """Delete known objects that the state no longer names, also those of runs that died. Call
        it once this run will not put its first state back.

        Objects of later loads stay: another run may have landed since this one stopped.
        """
        named = self._named_objects()
        last = resource_state(self.state, self._paths.stream).get(STATE_KEY, {}).get("load_id")
        if self._named <= named or last is None:
            return
        kept = {self._paths.known_object(load_id) for load_id in named}
        with suppress(BucketError):  # everything has landed; a later run tries again
            for path in list(self._bucket.list(self._paths.known_objects)):
                if path not in kept and path <= self._paths.known_object(last):
                    self._bucket.delete(path)

    def _named_objects(self) -> set[str]:
        ours = resource_state(self.state, self._paths.stream).get(STATE_KEY, {})
        cursors = [ours.get("cursor", {}), ours.get("resync", {}).get("cursor", {})]
        named = [ours.get("keys", {}), *(cursor.get("rows", {}) for cursor in cursors)]
        return {one["load_id"] for one in named if "load_id" in one}


def read_state(bucket: Bucket, paths: StreamPaths) -> State | None:
    return state_in(bucket, paths, bucket.get(paths.state))


def state_in(bucket: Bucket, paths: StreamPaths, stored: StoredObject | None) -> State | None:
    if stored is None:
        return None
    return state_of(json_document(stored.data), bucket.location(paths.state))


def json_document(data: bytes) -> Any:
    """The parsed JSON; None if it is invalid."""
    try:
        return json.loads(data)
    except ValueError:
        return None


def document_json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, default=str, indent=1).encode()


def state_of(document: Any, location: str) -> State:
    """Decode dlt's state from the document in `state.json`.

    Raises BucketError, which names `location`, if it is not a state.
    """
    try:
        state = decoded(document["state"])
        engine = int(state["_state_engine_version"])
    except (ValueError, KeyError, TypeError, AttributeError, zlib.error) as error:
        raise BucketError(
            f"{location} is damaged ({type(error).__name__}): put an earlier version of it back, "
            "or delete it to read the stream from its start"
        ) from error
    if engine != ENGINE_VERSION:
        raise BucketError(
            f"{location} has dlt's state format {engine}, and this version of dlt-landing reads "
            f"format {ENGINE_VERSION}: run the version that wrote it"
        )
    return state


def pipeline_name(paths: StreamPaths) -> str:
    """Name of the dlt pipeline that the stream's state belongs to."""
    return re.sub(r"\W", "_", f"{paths.source}__{paths.stream}")


def new_state(paths: StreamPaths) -> State:
    """dlt's state of a stream that has not run yet."""
    return {
        "_state_version": 0,
        "_state_engine_version": ENGINE_VERSION,
        "pipeline_name": pipeline_name(paths),
        "dataset_name": SCHEMA,
        "default_schema_name": SCHEMA,
        "schema_names": [SCHEMA],
    }


def next_document(state: State, version: int) -> dict[str, Any]:
    """The document of `state` in this version, as dlt itself would write it.

    Raises BucketError if the stream stores a value in it that JSON can't represent.
    """
    state["_state_version"] = version
    try:
        state["_version_hash"] = version_hash(state)
        text = encoded({name: value for name, value in state.items() if name != "_local"})
    except (TypeError, ValueError, OverflowError) as error:
        raise BucketError(
            f"the state of {state['pipeline_name']} can't be kept: {error}; dlt's state holds "
            "what JSON has, dates, decimals and bytes"
        ) from error
    return {
        "version": version,
        "engine_version": state["_state_engine_version"],
        "pipeline_name": state["pipeline_name"],
        "state": text,
        "created_at": str(datetime.now(UTC)),
        "version_hash": state["_version_hash"],
    }


def resource_state(state: State, stream: str) -> dict[str, Any]:
    """A stream's resource state in `state`, which the caller may change."""
    resources = state.setdefault("sources", {}).setdefault(SCHEMA, {}).setdefault("resources", {})
    found: dict[str, Any] = resources.setdefault(stream, {})
    return found


def stored_cursor(bucket: Bucket, paths: StreamPaths, field: str) -> Any:
    """The stream's cursor value in the bucket; None if it has never run."""
    resource = _resource_state(bucket, paths)
    return resource.get(_CURSORS, {}).get(field, {}).get("last_value")


def stored_load_id(bucket: Bucket, paths: StreamPaths) -> str | None:
    """The highest load id of any row in the last load; None if nothing has landed."""
    load_id = stored_by_us(bucket, paths).get("load_id")
    return None if load_id is None else str(load_id)


def stored_by_us(bucket: Bucket, paths: StreamPaths) -> dict[str, Any]:
    """This package's part of a stream's state in the bucket."""
    ours: dict[str, Any] = _resource_state(bucket, paths).get(STATE_KEY, {})
    return ours


def _resource_state(bucket: Bucket, paths: StreamPaths) -> dict[str, Any]:
    state = read_state(bucket, paths)
    return {} if state is None else resource_state(state, paths.stream)


def keeps_state(state: State, stream: str) -> bool:
    """Whether the code of a stream, or of a parent, stores anything in dlt's state."""
    return bool(names_kept(state, stream))


def names_kept(state: State, stream: str) -> list[str]:
    """Names that the code of a stream, or of a parent, stores in dlt's state."""
    sources = state.get("sources", {})
    section = sources.get(SCHEMA, {})
    resources = section.get("resources", {})
    own = set(resources.get(stream, {})) - {STATE_KEY, _CURSORS}
    others = {name for name, kept in resources.items() if set(kept) - {_CURSORS}} - {stream}
    beside = (set(sources) - {SCHEMA}) | (set(section) - {"resources"}) | others
    return [*sorted(own), *sorted(beside)]


def take_over(state: State, streams: State, stream: str) -> None:
    """Move what the stream stored in its copy into `state`, keeping this package's part."""
    sources = state.setdefault("sources", {})
    ours = sources.get(SCHEMA, {}).get("resources", {}).get(stream, {}).get(STATE_KEY, {})
    sources.clear()
    sources.update(streams.get("sources", {}))
    resource_state(state, stream)[STATE_KEY] = ours
