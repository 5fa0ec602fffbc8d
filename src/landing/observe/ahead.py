"""Streams with a cursor value beyond now: their own cursor, or that of a record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from landing.catalog.files import selected_configs
from landing.catalog.stream_config import StreamConfig
from landing.catalog.workspace import Workspace
from landing.errors import BucketError, CatalogError
from landing.observe.lag import moment_of
from landing.observe.problems import Problem, of_ahead
from landing.operations.state_view import cursor_in
from landing.results import AHEAD, Ahead
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths
from landing.zone.parent_cursors import parent_ahead
from landing.zone.state import STATE_KEY, State, resource_state, state_in


@dataclass(frozen=True)
class AheadStream:
    source: str
    stream: str
    ahead: Ahead

    kind: Literal["ahead"] = "ahead"

    @property
    def problem(self) -> Problem:
        return of_ahead(self.source, self.stream, self.ahead)

    @property
    def message(self) -> str:
        return self.problem.message

    @property
    def remedy(self) -> str:
        return self.problem.remedy

    def __str__(self) -> str:
        return f"{self.source}/{self.stream}: {self.message}"


def ahead_streams(
    workspace: Workspace, source: str, bucket: Bucket, now: datetime
) -> Iterator[AheadStream]:
    """The selected streams of a source that are ahead."""
    for stream, config in selected_configs(workspace, source):
        if isinstance(config, CatalogError):
            continue  # its runs report the mistake
        paths = StreamPaths(source, stream)
        stored = bucket.get(paths.state)
        try:
            state = state_in(bucket, paths, stored)
        except BucketError:
            continue  # damaged, which `landing status` reports
        if (ahead := ahead_in(state, config, now)) is not None:
            yield AheadStream(source, stream, ahead)


def ahead_in(state: State | None, config: StreamConfig, now: datetime) -> Ahead | None:
    """What a stream's state has that is beyond now."""
    name, cursor = cursor_in(state, config.stream, config)
    if state is None or name is None:
        return None
    reached = _reached(state, config.stream)
    moment = moment_of(cursor, reached.get("unit"))
    if moment is not None and moment - now > AHEAD:
        return Ahead(name, cursor, is_cursor=True)
    if (of_parent := parent_ahead(state, config.stream, now)) is not None:
        return of_parent
    seen = reached.get("ahead")
    return None if seen is None else Ahead(name, seen, is_cursor=False, is_new=False)


def unit_in(state: State | None, stream: str) -> str | None:
    """The unit of a cursor whose numbers are times."""
    return None if state is None else _reached(state, stream).get("unit")


def _reached(state: State, stream: str) -> dict[str, Any]:
    ours = resource_state(state, stream).get(STATE_KEY, {})
    found: dict[str, Any] = ours.get("cursor", {}).get("reached", {})
    return found
