"""What `landing run --json` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from landing.operations.planning import RunPlan
from landing.operations.preview import Preview
from landing.results import Drifted, RunResult, StreamFigures, StreamResult, shaped
from landing.zone.parent_cursors import ParentCursor
from landing.zone.schema_history import SchemaColumn, TypeChange


@dataclass(frozen=True, kw_only=True)
class StreamRun(StreamFigures):
    status: Literal["landed", "nothing_new", "failed"]
    seconds: float | None = None
    location: str | None = None
    requests: int = 0
    """Of landing's HTTP sessions, like the retries by cause, the waits and the bytes below."""
    retries: dict[str, int] = field(default_factory=dict)
    pacing_seconds: float = 0.0
    retry_seconds: float = 0.0
    answer_bytes: int = 0
    drift: Drifted | None = None
    error: Exception | None = None


class ColumnsChange(msgspec.Struct, frozen=True, kw_only=True):
    against: int | None
    """The version of the schema history; None if nothing has landed."""
    added: list[str]
    removed: list[str]
    changed: list[TypeChange]


class StreamPlanned(msgspec.Struct, frozen=True, kw_only=True):
    source: str
    stream: str
    config: str
    """The file."""
    sync_mode: str
    destination_sync_mode: str
    primary_key: list[str]
    cursor_field: str | None
    cursor: Any
    read_from: Any
    """The cursor, less a lookback."""
    parents: Sequence[ParentCursor]
    """Where a child's parents are read from that have a cursor."""
    location: str
    table: str | None
    columns: list[SchemaColumn]
    change: ColumnsChange | None
    """None if the last files have the same columns."""
    warnings: list[str]
    """Possible mistakes in the config."""
    preview: Preview | None
    """None with --no-preview."""


def results(source: str, result: RunResult, failed: Mapping[str, Exception]) -> list[StreamRun]:
    """Those that landed, then those that failed."""
    return [
        *map(_landed, result.landed),
        *(
            StreamRun(source=source, stream=stream, status="failed", error=error)
            for stream, error in failed.items()
        ),
    ]


def _landed(result: StreamResult) -> StreamRun:
    traffic = result.traffic
    return shaped(
        StreamRun,
        result,
        status="landed" if result.files else "nothing_new",
        seconds=round(result.seconds, 3),
        **traffic.figures | {"retries": dict(traffic.retries), "answer_bytes": traffic.bytes},
    )


def plan(planned: RunPlan) -> StreamPlanned:
    config, change = planned.config, planned.change
    against = None if planned.is_first or change is None else change.version - 1
    return shaped(
        StreamPlanned,
        planned,
        source=config.source,
        stream=config.stream,
        config=config.origin,
        sync_mode=config.sync_mode,
        destination_sync_mode=config.destination_sync_mode,
        primary_key=list(config.primary_key),
        cursor_field=config.cursor_field if config.is_incremental else None,
        columns=[SchemaColumn(one.name, str(one.type)) for one in planned.columns],
        change=None if change is None else shaped(ColumnsChange, change, against=against),
    )
