"""Gives the client kit access to the bucket, where it stores shared tokens and daily quotas."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from landing.catalog.settings import bucket_settings
from landing.catalog.workspace import Workspace
from landing.http.shared_objects import SharedObjects, share_by

if TYPE_CHECKING:
    pass


def share_bucket() -> None:
    """Let sources in this process store shared objects below `DLT_BUCKET_URL`."""
    share_by(_open)


def _open() -> SharedObjects | None:
    from landing.zone.bucket import Bucket  # slow to import, and few sources need it

    settings = bucket_settings(Workspace(Path.cwd()))
    return None if settings.is_default else cast(SharedObjects, Bucket(settings))
