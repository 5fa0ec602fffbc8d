"""Streams that are behind their schedule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from landing.catalog.files import configured_streams, read_config
from landing.catalog.stream_config import StreamConfig
from landing.catalog.workspace import Workspace
from landing.errors import CatalogError
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths

GRACE = timedelta(hours=1)
"""After a stream was due, in which it is not said to be late."""


@dataclass(frozen=True)
class Late:
    source: str
    stream: str
    due: datetime
    last: datetime | None
    """When a run last moved its state; None if none ever did."""

    @property
    def message(self) -> str:
        last = "never" if self.last is None else f"last at {_shown(self.last)}"
        return f"landed {last}, but was due at {_shown(self.due)}"

    def __str__(self) -> str:
        return f"{self.source}/{self.stream}: {self.message}"


def late_streams(
    workspace: Workspace, source: str, bucket: Bucket, now: datetime, grace: timedelta = GRACE
) -> Iterator[Late]:
    """Of the selected streams with a schedule, those that have not landed since they were due.

    Each run that lands writes the stream's state, also if there was nothing new.
    """
    for stream in configured_streams(workspace, source):
        try:
            config = read_config(workspace, source, stream)
        except CatalogError:
            continue  # a run of it says so
        if not config.selected or config.schedule is None:
            continue
        state = bucket.get(StreamPaths(source, stream).state)
        late = lateness(config, None if state is None else state.modified, now, grace)
        if late is not None:
            yield late


def lateness(
    config: StreamConfig, last: datetime | None, now: datetime, grace: timedelta = GRACE
) -> Late | None:
    """Of a stream whose state was moved `last`; None if it has no schedule, or kept to it."""
    if config.schedule is None:
        return None
    due = config.schedule.before(now - grace)
    return Late(config.source, config.stream, due, last) if last is None or last < due else None


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
