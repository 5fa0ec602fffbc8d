"""A bucket some of whose folders were listed once, for those who look at all streams of a source.

They ask for a few names below each stream's folders, most of which do not exist. One listing of the
source's folders answers that for all streams; only objects that exist are requested.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice

from landing.zone.bucket import Bucket, Listed, StoredObject

_NAMES = 1_000
"""Names of a folder that are listed in any case: those of one answer of S3."""
_PER_STREAM = 50
"""Names for each stream, above which requests for each stream cost less than the listing."""
_CLOSE = timedelta(seconds=1)
"""S3 gives the time of an object in whole seconds, that in a listing may be finer."""


class ListedBucket(Bucket):
    """Only for reading. What it says of names is as old as the listing; content is current."""

    def __init__(self, bucket: Bucket) -> None:
        super().__init__(bucket.settings)
        self.share_clients(bucket)
        self.live = bucket
        self._folders: dict[str, _Folder] = {}

    def list_once(self, folder: str, streams: int) -> None:
        """List the folder of so many streams now, unless it has too many names."""
        most = _NAMES + _PER_STREAM * streams
        found = list(islice(super().listed(folder), most + 1))
        if len(found) <= most:
            self._folders[folder] = _Folder(found)

    def modified(self, path: str) -> datetime | None:
        """When an object was written, None if there is none."""
        folder = self._folder_of(path)
        if folder is None:
            stored = super().get(path)
            return None if stored is None else stored.modified
        listed = folder.get(path)
        return None if listed is None else listed.modified

    def has_changed(self, path: str, modified: datetime | None) -> bool:
        """Whether the object was another one at the time of the listing."""
        folder = self._folder_of(path)
        if folder is None:
            return False
        listed = folder.get(path)
        if listed is None or modified is None:
            return not (listed is None and modified is None)
        return abs(listed.modified - modified) >= _CLOSE

    def get(self, path: str, *, is_large: bool = False) -> StoredObject | None:
        folder = self._folder_of(path)
        is_absent = folder is not None and folder.get(path) is None
        return None if is_absent else super().get(path, is_large=is_large)

    def listed(self, prefix: str, after: str | None = None) -> Iterator[Listed]:
        folder = self._folder_of(f"{prefix}/")
        if folder is None:
            return super().listed(prefix, after)
        return folder.below(f"{prefix}/", after or "")

    def _folder_of(self, path: str) -> _Folder | None:
        """The listed folder that the path is in: `{source}`, or `_dlt/{source}` and the like."""
        first, second, *_ = *path.split("/", 2), ""
        return self._folders.get(first) or self._folders.get(f"{first}/{second}")


class _Folder:
    def __init__(self, listed: Sequence[Listed]) -> None:
        self._listed = sorted(listed, key=lambda one: one.path)
        self._paths = [one.path for one in self._listed]

    def get(self, path: str) -> Listed | None:
        at = bisect_left(self._paths, path)
        return self._listed[at] if at < len(self._paths) and self._paths[at] == path else None

    def below(self, prefix: str, after: str) -> Iterator[Listed]:
        first = max(bisect_left(self._paths, prefix), bisect_right(self._paths, after))
        for at in range(first, len(self._paths)):
            if not self._paths[at].startswith(prefix):
                return
            yield self._listed[at]
