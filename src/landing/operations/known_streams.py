"""Checks that a stream exists, for commands that read the bucket and run nothing."""

from __future__ import annotations

from landing.catalog.names import check_source
from landing.catalog.workspace import Workspace
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths


def check_known(workspace: Workspace, bucket: Bucket, paths: StreamPaths) -> None:
    """Raises UsageError if the stream is in no file, not in the bucket and not in the source's
    code; its name is most likely misspelt."""
    names = paths.source, paths.stream
    if workspace.config_file(*names).is_file() or workspace.discovered_file(*names).is_file():
        return
    if any(next(iter(bucket.list(folder)), None) for folder in paths.folders):
        return  # the bucket may have streams that no longer run
    from landing.extraction.sources import load_source  # slow: imports the engine

    load_source(workspace, check_source(workspace, paths.source)).stream(paths.stream)
