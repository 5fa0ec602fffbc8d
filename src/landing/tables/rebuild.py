"""A table made again, whenever a person asks for it."""

from __future__ import annotations

from landing.bucket import Bucket
from landing.layout import StreamPaths
from landing.lease import Lease
from landing.report import TableResult
from landing.streamconfig import StreamConfig
from landing.tables import keeper_of


def rebuild(config: StreamConfig, bucket: Bucket) -> TableResult:
    """Raises LeaseHeld if a run of the stream is under way."""
    paths = StreamPaths(config.source, config.stream)
    keeper = keeper_of(config, bucket)
    assert keeper is not None, "only a stream with a table has one to make again"
    with Lease(bucket, paths.lease, f"{config.source}/{config.stream}") as lease:
        return keeper.rebuild(lease)
