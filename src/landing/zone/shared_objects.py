"""The bucket, handed to the client kit: shared tokens and a day's quota are kept in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from landing.catalog.workspace import Workspace, bucket_settings
from landing.http.shared_objects import SharedObjects, share_by

if TYPE_CHECKING:
    pass


def share_bucket() -> None:
    """Sources of this process keep what they share below `DLT_BUCKET_URL`."""
    share_by(_open)


def _open() -> SharedObjects | None:
    from landing.zone.bucket import Bucket  # its client, which most sources do without

    settings = bucket_settings(Workspace(Path.cwd()))
    return None if settings.is_default else cast(SharedObjects, Bucket(settings))
