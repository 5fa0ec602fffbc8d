"""Small objects that all processes and machines of a source share.

The kit knows no bucket: whoever runs a source hands over what opens one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from landing.errors import SettingsError


class SharedObject(Protocol):
    @property
    def data(self) -> bytes: ...


class SharedObjects(Protocol):
    """Each method raises BucketError if what keeps the objects refuses or does not answer."""

    def get(self, path: str) -> SharedObject | None: ...

    def put(self, path: str, content: bytes) -> None: ...

    def create(self, path: str, content: bytes) -> SharedObject | None:
        """None if the object is there already."""

    def replace(self, path: str, content: bytes, seen: SharedObject) -> SharedObject | None:
        """None if it is no longer the object that was seen."""

    def location(self, path: str) -> str: ...


Open: TypeAlias = Callable[[], SharedObjects | None]

_open: Open | None = None


def share_by(open_: Open) -> None:
    """From now on, the sources of this process share what this opens; None where nothing is set."""
    global _open
    _open = open_


def shared_objects(what: str, otherwise: str) -> SharedObjects:
    """Raises SettingsError if there is no place for `what`, which says what to do `otherwise`."""
    if _open is None:
        raise SettingsError(
            f"no bucket is known here, where {what}: outside of `landing`, call "
            "landing.zone.shared_objects.share_bucket() first"
        )
    objects = _open()
    if objects is None:
        raise SettingsError(f"DLT_BUCKET_URL is not set, where {what}: set it, or {otherwise}")
    return objects
