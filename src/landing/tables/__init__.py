"""Current-state tables beside the landing zone: one row per key, or the newest full refresh.

A table follows the landing zone as any feeder does. It reads the landed files in the order of
their names, and a marker in the bucket names the last one that it has. The rows themselves decide
which version of a record is newer, so a file may be read twice; the marker is written after the
table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from landing.catalog.stream_config import StreamConfig
from landing.tables.place import place_of
from landing.zone.bucket import Bucket

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


__all__ = ["place_of", "table_sync_of"]
