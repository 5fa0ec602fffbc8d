"""A stream's state for a person to read; nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from landing.catalog.stream_config import StreamConfig
from landing.extraction.run_start import reads_from
from landing.zone.bucket import Bucket
from landing.zone.holder import lease_holder
from landing.zone.layout import StreamPaths
from landing.zone.load_log import LoadRecord, last_load
from landing.zone.parent_cursors import ParentCursor, parent_cursors
from landing.zone.previous_states import cursors_of, kept_numbers
from landing.zone.state import STATE_KEY, State, names_kept, read_state, resource_state

if TYPE_CHECKING:
    from landing.extraction.incremental import FrozenIncremental


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
    """Whether the stream has a state; every run that lands something writes one."""
    cursor_field: str | None = None
    cursor: Any = None
    reads_from: Any = None
    """Where the next run starts; None for the beginning."""
    lookback: str | None = None
    is_child: bool = False
    """Whether its rows are requested by the records of a parent."""
    parents: list[ParentCursor] = field(default_factory=list)
    """Where a child's parents are read from; none of a parent that each run reads as a whole."""
    schema_version: int | None = None
    load_id: str | None = None
    """The highest load id of any row."""
    last_load: LastLoad | None = None
    lease: str | None = None
    """The process that holds the lease; None if it is free."""
    keeps: list[str] = field(default_factory=list)
    """Names that the stream's code, or a parent's, stores in dlt's state."""
    earlier: list[int] = field(default_factory=list)
    """Numbers of previous states that can be restored."""


def stream_state(
    bucket: Bucket,
    paths: StreamPaths,
    config: StreamConfig | None,
    freeze: Callable[[Any], FrozenIncremental | None],
) -> StreamState:
    """`config` is None if the workspace does not know the stream. `freeze` gets the cursor and
    returns what the stream's code declares of it, if that matters for where a run starts."""
    state = read_state(bucket, paths)
    ours = {} if state is None else resource_state(state, paths.stream).get(STATE_KEY, {})
    name, cursor = cursor_in(state, paths.stream, config)
    frozen = None if config is None else freeze(cursor)
    start = reads_from(config, frozen, cursor) if config is not None and name else cursor
    lookback = None if config is None or config.lookback is None else str(config.lookback.amount)
    load_id = ours.get("load_id")
    is_full = config is not None and not config.is_incremental
    return StreamState(
        source=paths.source,
        stream=paths.stream,
        exists=state is not None,
        cursor_field=name,
        cursor=cursor,
        reads_from=start,
        lookback=lookback,
        is_child=frozen is not None and frozen.is_of_child,
        parents=[] if is_full else parent_cursors(state, paths.stream),
        schema_version=ours.get("schema", {}).get("version"),
        load_id=load_id,
        last_load=_brief(last_load(bucket, paths, load_id)),
        lease=None if (held_by := lease_holder(bucket, paths.lease)) is None else str(held_by),
        keeps=[] if state is None else names_kept(state, paths.stream),
        earlier=kept_numbers(bucket, paths),
    )


def cursor_in(
    state: State | None, stream: str, config: StreamConfig | None
) -> tuple[str | None, Any]:
    """Name and last value of a stream's cursor; the value is None before the first run."""
    cursors = {} if state is None else cursors_of(state, stream)
    if config is None:
        return next(iter(cursors.items()), (None, None))
    name = config.cursor_field if config.is_incremental else None
    return name, None if name is None else cursors.get(name)


def _brief(record: LoadRecord | None) -> LastLoad | None:
    if record is None:
        return None
    return LastLoad(record.load_id, str(record.finished), record.rows, len(record.files))
