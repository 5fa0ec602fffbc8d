"""What a stream's state comes to, for a person to look at; nothing is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from dlt.common.pipeline import TPipelineState

from landing.bucket import Bucket
from landing.catalog import StreamConfig
from landing.incremental import HeldIncremental, reads_from
from landing.keptstates import cursors_of, kept_numbers, read_state
from landing.layout import StreamPaths, load_id_after
from landing.lease import lease_holder
from landing.state import STATE_KEY, json_document, names_kept, resource_state

_STAMPED_AHEAD = Decimal(1)
"""Rows of a load are stamped less than that above its id."""


@dataclass(frozen=True)
class LastLoad:
    load_id: str
    finished: str
    rows: int
    files: int


@dataclass(frozen=True)
class StreamState:
    source: str
    stream: str
    exists: bool = False
    """Whether the stream has a state, which any run leaves that landed something."""
    cursor_field: str | None = None
    cursor: Any = None
    reads_from: Any = None
    """Where the next run starts; None is the beginning."""
    lookback: str | None = None
    schema_version: int | None = None
    load_id: str | None = None
    """The highest that a row carries."""
    last_load: LastLoad | None = None
    lease: str | None = None
    """Who holds it."""
    keeps: list[str] = field(default_factory=list)
    """Names of what the stream itself, or a parent of it, keeps in dlt's state."""
    earlier: list[int] = field(default_factory=list)
    """Previous states that can be restored."""


def stream_state(
    bucket: Bucket, paths: StreamPaths, config: StreamConfig | None, held: HeldIncremental | None
) -> StreamState:
    """`config` and `held` are what the workspace knows of the stream, if it does."""
    state = read_state(bucket, paths)
    ours = {} if state is None else resource_state(state, paths.stream).get(STATE_KEY, {})
    name, cursor = _cursor(state, paths.stream, config)
    start = reads_from(config, held, cursor) if config is not None and name else cursor
    lookback = None if config is None or config.lookback is None else str(config.lookback.amount)
    load_id = ours.get("load_id")
    return StreamState(
        source=paths.source,
        stream=paths.stream,
        exists=state is not None,
        cursor_field=name,
        cursor=cursor,
        reads_from=start,
        lookback=lookback,
        schema_version=ours.get("schema", {}).get("version"),
        load_id=load_id,
        last_load=_last_load(bucket, paths, load_id),
        lease=lease_holder(bucket, paths.lease),
        keeps=[] if state is None else names_kept(state, paths.stream),
        earlier=kept_numbers(bucket, paths),
    )


def _cursor(
    state: TPipelineState | None, stream: str, config: StreamConfig | None
) -> tuple[str | None, Any]:
    cursors = {} if state is None else cursors_of(state, stream)
    if config is None:
        return next(iter(cursors.items()), (None, None))
    name = config.cursor_field if config.is_incremental else None
    return name, None if name is None else cursors.get(name)


def _last_load(bucket: Bucket, paths: StreamPaths, load_id: str | None) -> LastLoad | None:
    """That of the newest record, which may be of rows from quarantine."""
    # Only the last of a year's records are listed.
    after = load_id and paths.load_record(load_id_after(load_id, by=-_STAMPED_AHEAD))
    records = sorted(bucket.list(paths.load_records, after or None))
    stored = bucket.get(records[-1]) if records else None
    record = None if stored is None else json_document(stored.data)
    if not isinstance(record, dict):
        return None
    return LastLoad(
        load_id=str(record.get("load_id")),
        finished=str(record.get("finished")),
        rows=int(record.get("rows", 0)),
        files=len(record.get("files", ())),
    )
