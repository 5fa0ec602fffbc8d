"""The bucket: a few verbs over object_store, with errors a person can act on."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import obstore
from obstore import exceptions

from landing.catalog.settings import BucketSettings, part_bytes
from landing.errors import BucketError, BucketUnusable
from landing.zone import object_store as stores
from landing.zone.bucket_file import BucketFile, mapped
from landing.zone.bucket_messages import BucketMessages, Unanswered, is_of_no_bucket
from landing.zone.object_store import Store, local_folder
from landing.zone.waiting import waited, waited_write

_SETTLING = threading.Lock()
"""No client is created twice."""
_CHUNK_BYTES = 1024 * 1024
_SMALL_BYTES = 64 * 1024

_NEW: Any = {"mode": "create"}
ATTEMPTS = 3
"""At a conditional write that gets no answer."""
_PAUSE_SECONDS = 1.0
"""Before a conditional write that got no answer is repeated."""
Result = TypeVar("Result")
MakeStore: TypeAlias = Callable[[BucketSettings, timedelta], Store]


class ObjectMissing(BucketError):
    """An object that is read in pieces does not exist, or no longer exists."""


@dataclass(frozen=True)
class StoredObject:
    data: bytes
    modified: datetime
    """By the bucket's clock if the object was read, by this machine's if it was written."""
    version: str | None


@dataclass(frozen=True)
class Listed:
    path: str
    bytes: int
    modified: datetime
    """By the bucket's clock."""


class Bucket:
    """Objects below `DLT_BUCKET_URL`, addressed by paths relative to it.

    Every method raises BucketError if the bucket does not exist, refuses access or does not
    answer.
    """

    _as_sent = staticmethod(mapped)

    def __init__(self, settings: BucketSettings, make_store: MakeStore = stores.store_of) -> None:
        self.url = settings.url
        self.settings = settings
        self.is_local = settings.is_local
        # Google compares generations, the others entity tags.
        self._condition = "version" if settings.scheme == "gs" else "e_tag"
        self._messages = BucketMessages(settings)
        self._make_store = make_store
        self._settled: dict[timedelta, Store] = {}

    @property
    def _store(self) -> Store:
        """The client for large objects and slow requests: parts, listings."""
        return self._settled_for(stores.LARGE_WITHIN)

    @property
    def _small(self) -> Store:
        """The client for small documents, with a shorter timeout."""
        return self._settled_for(stores.SMALL_WITHIN)

    def _settled_for(self, within: timedelta) -> Store:
        with _SETTLING:
            if within not in self._settled:
                self._settled[within] = self._make_store(self.settings, within)
            return self._settled[within]

    def share_clients(self, other: Bucket) -> None:
        """Use the clients of `other`, a bucket with the same settings."""
        self._make_store, self._settled = other._make_store, other._settled

    @property
    def _uploads(self) -> Store:
        """The client for whole parts, each in one request."""
        return self._settled_for(stores.upload_within(part_bytes()))

    def settle(self) -> None:
        """Create the clients now, before other threads run: it hides variables from libraries."""
        if not self.is_local:
            _ = self._store, self._small, self._uploads

    @property
    def _is_unborn(self) -> bool:
        """Whether the local folder does not exist yet; the first write creates it, not a read."""
        return self.is_local and not local_folder(self.settings).exists()

    def put(self, path: str, content: bytes | Path) -> None:
        with self._explained("write", path):
            waited_write(obstore.put, self._for(content), path, content)

    def _for(self, content: bytes | Path) -> Store:
        is_small = isinstance(content, bytes) and len(content) <= _SMALL_BYTES
        return self._small if is_small else self._store

    def put_new(self, path: str, file: Path, check: Callable[[], None]) -> bool:
        """Upload a file unless `path` exists; whether it is there now.

        By one request, since the client can't complete a multipart upload on a condition. `check`
        is called before each attempt; it raises if this process may not write any more. If a signal
        ends the wait, the upload may arrive after another process has taken the lease: it then
        finds its name taken.
        """

        def write() -> bool:
            check()
            with self._explained("write", path):
                waited(self._upload, path, file)
            return True

        return bool(self._once(write, lambda: self._is_at(path, file), ATTEMPTS))

    def _upload(self, path: str, file: Path) -> None:
        with self._as_sent(file) as content:
            obstore.put(self._uploads, path, content, mode="create", use_multipart=False)

    def _is_at(self, path: str, file: Path) -> bool:
        """Whether the object is this file, byte by byte."""
        with self._explained("read", path), file.open("rb") as own:
            for chunk in obstore.get(self._store, path).stream(min_chunk_size=_CHUNK_BYTES):
                if own.read(len(chunk)) != bytes(chunk):
                    return False
            return not own.read(1)

    def put_page(self, path: str, html: bytes) -> None:
        """Write an HTML page with its content type; local folders store no content type."""
        kept = None if self.is_local else {"Content-Type": "text/html; charset=utf-8"}
        with self._explained("write", path):
            obstore.put(self._store, path, html, attributes=kept)

    def create(self, path: str, content: bytes, attempts: int = 1) -> StoredObject | None:
        """Write `path` atomically unless it exists; None if it does.

        `content` has to be unique to this call: if it is found there, this call wrote it.
        """

        def write() -> StoredObject:
            with self._explained("write", path):
                put = waited_write(obstore.put, self._for(content), path, content, **_NEW)
                return self._written(content, put)

        return self._once(write, lambda: self._unheard(path, content), attempts)

    def get(self, path: str, *, is_large: bool = False) -> StoredObject | None:
        if self._is_unborn:
            return None
        try:
            with self._explained("read", path):
                found = waited(obstore.get, self._store if is_large else self._small, path)
                meta = found.meta
                version = meta[self._condition]
                return StoredObject(bytes(found.bytes()), meta["last_modified"], version)
        except _Absent:
            return None

    def lines(self, path: str) -> Iterator[bytes]:
        """Stream the lines of an object; no lines if it does not exist."""
        if self._is_unborn:
            return
        try:
            with self._explained("read", path):
                begun = b""
                for chunk in obstore.get(self._store, path).stream(min_chunk_size=_CHUNK_BYTES):
                    *lines, begun = (begun + bytes(chunk)).split(b"\n")
                    yield from lines
                if begun:
                    yield begun
        except _Absent:
            return

    def download(self, path: str, file: Path) -> bool:
        """Copy an object to a local file; False if it does not exist."""
        if self._is_unborn:
            return False
        try:
            with self._explained("read", path), file.open("wb") as out:
                for chunk in obstore.get(self._store, path).stream(min_chunk_size=_CHUNK_BYTES):
                    out.write(chunk)
        except _Absent:
            file.unlink()
            return False
        return True

    def delete_all(self, paths: Sequence[str]) -> None:
        """Delete objects in bulk; ignores those that do not exist."""
        if not self.is_local and paths:
            # Azure and Google end at one that does not exist.
            with suppress(_Absent), self._explained("delete", paths[0]):
                waited_write(obstore.delete, self._store, list(paths))
                return
        waited_write(self._delete_each, paths)

    def _delete_each(self, paths: Sequence[str]) -> None:
        for path in paths:
            self.delete(path)

    def file(self, path: str, size: int | None = None) -> BucketFile:
        """Open an object for reading in pieces. Raises ObjectMissing if it does not exist.

        With the `size` from a listing no request is made, and only the first read raises it.
        """
        if size is not None:
            return self._opened(path, size)
        try:
            with self._explained("read", path):
                return self._opened(path, obstore.head(self._store, path)["size"])
        except _Absent:
            raise ObjectMissing(f"{self.location(path)} is gone: someone removed it") from None

    def _opened(self, path: str, size: int) -> BucketFile:
        return BucketFile(lambda start, end: self.range(path, start, end), size)

    def range(self, path: str, start: int, end: int) -> bytes:
        try:
            with self._explained("read", path):
                return bytes(obstore.get_range(self._store, path, start=start, end=end))
        except _Absent:
            raise ObjectMissing(f"{self.location(path)} is gone: someone removed it") from None

    def delete(self, path: str) -> None:
        try:
            with self._explained("delete", path):
                waited_write(obstore.delete, self._small, path)
        except _Absent:
            return

    def replace(
        self, path: str, content: bytes, seen: StoredObject, attempts: int = 1
    ) -> StoredObject | None:
        """Overwrite `path` if it is unchanged since it was `seen`; None if it has changed.

        `content` has to be new and unique to this call: if it is found there, this call wrote it.
        """
        if self.is_local:
            found: StoredObject | None = waited_write(self._replace_locally, path, content, seen)
            return found
        mode: Any = {self._condition: seen.version}

        def write() -> StoredObject:
            with self._explained("write", path):
                put = waited_write(obstore.put, self._for(content), path, content, mode=mode)
                return self._written(content, put)

        return self._once(write, lambda: self._unheard(path, content), attempts)

    def _written(self, content: bytes, result: Any) -> StoredObject:
        return StoredObject(content, datetime.now(UTC), result[self._condition])

    def _once(
        self, write: Callable[[], Result], ours: Callable[[], Result | None], attempts: int
    ) -> Result | None:
        """The result of a conditional write; None if its condition does not hold.

        The client does not repeat a conditional write whose answer was lost, since it may have
        succeeded: `ours` looks for what it wrote.
        """
        for attempt in range(1, attempts + 1):
            try:
                return write()
            except (_Exists, _Changed, _Absent):
                return ours()
            except BucketError as error:
                with suppress(_Absent, BucketError):  # the write's own error says more
                    if written := ours():
                        return written
                if not isinstance(error, Unanswered):
                    raise
                if attempt == attempts:
                    raise BucketUnusable(str(error)) from None
                time.sleep(_PAUSE_SECONDS)
        raise AssertionError("the last attempt returns or raises")

    def _unheard(self, path: str, content: bytes) -> StoredObject | None:
        """The object at `path` if it is `content`: the write succeeded, and its answer was lost."""
        found = self.get(path)
        return found if found is not None and found.data == content else None

    def _replace_locally(
        self, path: str, content: bytes, seen: StoredObject
    ) -> StoredObject | None:
        """A conditional overwrite in a local folder, which needs a lock; a crash releases it.

        All of it runs in one thread: if a signal ends the wait, the lock stays until the write has
        ended.
        """
        directory = os.open(local_folder(self.settings), os.O_RDONLY)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX)
            found = self.get(path)
            if found is None or found.data != seen.data:
                return None
            self.put(path, content)
            return self.get(path)
        finally:
            os.close(directory)

    def list(self, prefix: str, after: str | None = None) -> Iterator[str]:
        """Paths below `prefix`, only those that sort after `after` as text."""
        return (listed.path for listed in self.listed(prefix, after))

    def listed(self, prefix: str, after: str | None = None) -> Iterator[Listed]:
        if self._is_unborn:
            return
        with self._explained("list", prefix):
            pages = obstore.list(self._store, prefix, offset=after)
            while (page := waited(next, pages, None)) is not None:
                yield from (
                    Listed(entry["path"], entry["size"], entry["last_modified"])
                    for entry in page
                    # Not every server of Azure's API knows the parameter for it.
                    if after is None or entry["path"] > after
                )

    def location(self, path: str) -> str:
        return f"{self.url}/{path}"

    def failure(self, verb: str, path: str, detail: str) -> BucketError:
        """A BucketUnusable that explains another library's message about this bucket."""
        return self._messages.failed(verb, path, detail)

    @contextmanager
    def _explained(self, verb: str, path: str) -> Iterator[None]:
        try:
            yield
        except exceptions.AlreadyExistsError:
            raise _Exists(path) from None
        except exceptions.PreconditionError:
            raise _Changed(path) from None
        except (exceptions.NotFoundError, FileNotFoundError) as error:
            if is_of_no_bucket(str(error)):
                raise self._messages.missing() from None
            raise _Absent(path) from None
        except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
            raise self._messages.refused(verb, path, str(error)) from None
        except (exceptions.BaseError, OSError) as error:
            raise self._messages.failed(verb, path, str(error)) from None


class _Exists(Exception):
    pass


class _Absent(Exception):
    pass


class _Changed(Exception):
    pass
