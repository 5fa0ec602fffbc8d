"""A table made again, whenever a person asks for it."""

from __future__ import annotations

from landing.catalog.stream_config import StreamConfig
from landing.results import TableResult
from landing.tables import table_sync_of
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths
from landing.zone.lease import Lease


def rebuild(config: StreamConfig, bucket: Bucket) -> TableResult:
    """Raises LeaseHeld if a run of the stream is under way."""
    paths = StreamPaths(config.source, config.stream)
    table_sync = table_sync_of(config, bucket)
    assert table_sync is not None, "only a stream with a table has one to make again"
    with Lease(bucket, paths.lease, f"{config.source}/{config.stream}") as lease:
        return table_sync.rebuild(lease)
