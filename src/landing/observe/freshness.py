"""Streams that are behind their schedule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from landing.bucket import Bucket
from landing.catalog import configured_streams, read_config
from landing.errors import CatalogError
from landing.layout import StreamPaths
from landing.workspace import Workspace

GRACE = timedelta(hours=1)
"""After a stream was due, in which it is not said to be late."""


@dataclass(frozen=True)
class Late:
    source: str
    stream: str
    due: datetime
    last: datetime | None
    """When a run last moved its state; None if none ever did."""

    def __str__(self) -> str:
        last = "never" if self.last is None else f"last at {_shown(self.last)}"
        return f"{self.source}/{self.stream}: landed {last}, but was due at {_shown(self.due)}"


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
        due = config.schedule.before(now - grace)
        state = bucket.get(StreamPaths(source, stream).state)
        if state is None or state.modified < due:
            yield Late(source, stream, due, None if state is None else state.modified)


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
