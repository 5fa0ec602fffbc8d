"""Small objects that all processes and machines of a source share.

The client kit does not know the bucket: whoever runs a source passes a function that opens it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from landing.errors import SettingsError


class SharedObject(Protocol):
    @property
    def data(self) -> bytes: ...


class SharedObjects(Protocol):
    """A store of objects. Each method raises BucketError if the store refuses or does not
    answer."""

    def get(self, path: str) -> SharedObject | None: ...

    def put(self, path: str, content: bytes) -> None: ...

    def create(self, path: str, content: bytes) -> SharedObject | None:
        """The new object's version; None if the object exists already."""

    def replace(self, path: str, content: bytes, seen: SharedObject) -> SharedObject | None:
        """The new version; None if the object is no longer the version that was read."""

    def location(self, path: str) -> str: ...


Open: TypeAlias = Callable[[], SharedObjects | None]

_open: Open | None = None


def share_by(open_: Open) -> None:
    """Set the function that opens the store for all sources of this process; it returns None if no
    bucket is configured."""
    global _open
    _open = open_


def shared_objects(what: str, otherwise: str) -> SharedObjects:
    """The store. Raises SettingsError if there is none for `what`; its message suggests
    `otherwise`."""
    if _open is None:
        raise SettingsError(
            f"no bucket is known here, where {what}: outside of `landing`, call "
            "landing.zone.shared_objects.share_bucket() first"
        )
    objects = _open()
    if objects is None:
        raise SettingsError(f"DLT_BUCKET_URL is not set, where {what}: set it, or {otherwise}")
    return objects
