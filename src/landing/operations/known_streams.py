"""Whether there is such a stream, for commands that look at the bucket and run nothing."""

from __future__ import annotations

from landing.catalog.names import check_source
from landing.catalog.workspace import Workspace
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths


def check_known(workspace: Workspace, bucket: Bucket, paths: StreamPaths) -> None:
    """Raises a UsageError if neither a file, nor the bucket, nor the source's code has the stream:
    most likely, its name is misspelt."""
    names = paths.source, paths.stream
    if workspace.config_file(*names).is_file() or workspace.discovered_file(*names).is_file():
        return
    if any(next(iter(bucket.list(folder)), None) for folder in paths.folders):
        return  # the bucket may have streams that nobody runs any more
    from landing.extraction.sources import load_source  # the engine, which the others do without

    load_source(workspace, check_source(workspace, paths.source)).stream(paths.stream)
