"""A stream's current state beside its landing zone: one row per key, or its newest snapshot.

A table is to the landing zone what any feeder is: it takes in the files after the last one that it
has, in the order of their names, and a marker in the bucket says which that was. Which of two
versions of a record is the newer one is in the versions themselves, so that files may be taken in
twice; the marker is written after the table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from landing.catalog.stream_config import StreamConfig
from landing.tables.place import place_of
from landing.zone.bucket import Bucket

if TYPE_CHECKING:
    from landing.tables.sync import TableSync


def table_sync_of(config: StreamConfig, bucket: Bucket) -> TableSync | None:
    """What keeps the stream's table; None for a stream that has none, which pays for no import.

    Raises a UsageError if the table can't be written here.
    """
    place = place_of(config, bucket.settings)
    if place is None:
        return None
    from landing.tables.sync import TableSync

    return TableSync(place, config, bucket)


__all__ = ["keeper_of", "place_of"]
