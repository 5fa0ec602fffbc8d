"""What waits in quarantine when a stream's run has ended, for metrics and alerts."""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING

from landing.catalog.settings import bucket_settings
from landing.catalog.workspace import Workspace
from landing.errors import BucketError, LandingError
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths

if TYPE_CHECKING:
    from landing.operations.quarantined import Waiting


class InQuarantine:
    """Counts once per stream, for all who want to know."""

    def __init__(self, workspace: Workspace, source: str) -> None:
        self._workspace = workspace
        self._source = source
        self._found: dict[str, Waiting | None] = {}

    def __call__(self, stream: str, error: Exception | None = None) -> Waiting | None:
        """None if it is not known: a bucket that has failed the run is not asked again."""
        from landing.operations.quarantined import waiting_in_quarantine

        if stream not in self._found:
            self._found[stream] = None
            if not isinstance(error, BucketError):
                with suppress(LandingError):  # figures are no reason for a warning
                    paths = StreamPaths(self._source, stream)
                    self._found[stream] = waiting_in_quarantine(self._bucket, paths)
        return self._found[stream]

    @cached_property
    def _bucket(self) -> Bucket:
        return Bucket(bucket_settings(self._workspace))
