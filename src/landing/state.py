"""The state that a stream's last load left in the bucket, read without running anything."""

from __future__ import annotations

import json
from typing import Any

from dlt.common.versioned_state import decompress_state

from landing.bucket import Bucket
from landing.errors import BucketError
from landing.layout import StreamPaths

SCHEMA = "landing"
"""Name of the dlt schema and so of the source section in dlt's state; one for all streams, since
dlt normalizes schema names and each stream has a state of its own anyway."""


def stored_cursor(bucket: Bucket, paths: StreamPaths, field: str) -> Any:
    """The cursor value that the bucket's state has for a stream; None if it never ran."""
    stored = bucket.get(paths.state)
    if stored is None:
        return None
    try:
        state: Any = decompress_state(json.loads(stored.data)["state"])
    except (ValueError, KeyError) as error:
        raise BucketError(
            f"{bucket.location(paths.state)} is not a state this project wrote: {error}"
        ) from error
    resources = state.get("sources", {}).get(SCHEMA, {}).get("resources", {})
    return resources.get(paths.stream, {}).get("incremental", {}).get(field, {}).get("last_value")
