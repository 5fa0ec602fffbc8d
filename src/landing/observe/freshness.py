"""Streams that are behind their schedule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from landing.catalog.files import selected_configs
from landing.catalog.schedule import GRACE
from landing.catalog.stream_config import StreamConfig
from landing.catalog.workspace import Workspace
from landing.errors import CatalogError
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths
from landing.zone.listed_bucket import ListedBucket


@dataclass(frozen=True)
class Late:
    source: str
    stream: str
    due: datetime
    last: datetime | None
    """When a run last wrote its state; None if no run ever did."""
    message: str

    kind: Literal["late"] = "late"

    @property
    def remedy(self) -> str:
        run = f"`landing run {self.source} {self.stream}`"
        return f"{run} lands what is new; then find out why nothing started it"

    def __str__(self) -> str:
        return f"{self.source}/{self.stream}: {self.message}"


def late_streams(
    workspace: Workspace, source: str, bucket: Bucket, now: datetime, grace: timedelta = GRACE
) -> Iterator[Late]:
    """The selected streams with a schedule that have not landed since they were due.

    Every successful run writes the stream's state, even if nothing was new.
    """
    # The runs of a config that can't be read report the mistake.
    scheduled = [
        config
        for _, config in selected_configs(workspace, source)
        if not isinstance(config, CatalogError) and config.schedule is not None
    ]
    listed = ListedBucket(bucket)
    if scheduled:
        listed.list_once(f"_dlt/{source}", len(scheduled))
    for config in scheduled:
        last = listed.modified(StreamPaths(source, config.stream).state)
        if (late := lateness(config, last, now, grace)) is not None:
            yield late


def lateness(
    config: StreamConfig, last: datetime | None, now: datetime, grace: timedelta = GRACE
) -> Late | None:
    """`last` is when the state was last written. None if the stream is on time or unscheduled."""
    if config.schedule is None:
        return None
    due = config.schedule.before(now - grace)
    if last is not None and last >= due:
        return None
    shown = "never" if last is None else f"last at {_shown(last)}"
    message = f"landed {shown}, but was due at {_shown(due)}"
    return Late(config.source, config.stream, due, last, message)


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
