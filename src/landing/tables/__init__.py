"""Current-state tables beside the landing zone: one row per key, or the newest full refresh.

A table follows the landing zone as any feeder does. It reads the landed files in the order of
their names, and a marker in the bucket names the last one that it has. The rows themselves decide
which version of a record is newer, so a file may be read twice; the marker is written after the
table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from landing.catalog.stream_config import StreamConfig
from landing.results import TableResult
from landing.tables.place import place_of
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths
from landing.zone.lease import Lease

if TYPE_CHECKING:
    from landing.tables.sync import TableSync


def table_sync_of(config: StreamConfig, bucket: Bucket) -> TableSync | None:
    """The sync of the stream's table; None, without imports, if the stream keeps no table.

    Raises UsageError if the table can't be written from here.
    """
    place = place_of(config, bucket.settings)
    if place is None:
        return None
    from landing.tables.sync import TableSync

    return TableSync(place, config, bucket)


def rebuild(config: StreamConfig, bucket: Bucket) -> TableResult:
    """Makes the table again from the landing zone. Raises LeaseHeld if a run is in progress."""
    table_sync = table_sync_of(config, bucket)
    assert table_sync is not None, "the caller has checked that the stream keeps a table"
    paths = StreamPaths(config.source, config.stream)
    with Lease(bucket, paths.lease, f"{config.source}/{config.stream}") as lease:
        return table_sync.rebuild(lease)


__all__ = ["place_of", "rebuild", "table_sync_of"]
