"""The bucket: a few verbs over object_store, with errors a person can act on."""

from __future__ import annotations

import fcntl
import io
import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import obstore
from obstore import exceptions
from obstore.store import LocalStore, S3Store

from landing.catalog.workspace import BucketSettings
from landing.errors import BucketError, BucketUnusable
from landing.zone import object_store as stores
from landing.zone.object_store import local_folder

_SETTLING = threading.Lock()
"""The environment, which making a store hides some of, is that of the whole process."""
_CHUNK_BYTES = 1024 * 1024
_SMALL_BYTES = 64 * 1024

_CHECK_KEYS = "check S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY"
_REFUSALS = (
    "AccessDenied",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "RequestTimeTooSkewed",
)
_ANSWERED = re.compile(r"non-2xx status code: (\d{3}[ \w]*)")
_ERROR_CODE = re.compile(r"<Code>(\w+)</Code>")
_RETRIED = re.compile(r"after (\d+) retries")
_CONNECTION_FAULTS = {
    "Connect": "no connection",
    "Timeout": "no answer in time",
    "Interrupted": "the connection was closed in mid-answer",
}


class Gone(BucketError):
    """Of an object that was to be read in pieces, and is not there, or not any more."""


@dataclass(frozen=True)
class StoredObject:
    data: bytes
    modified: datetime
    """By the bucket's clock, if it was read from there."""
    version: str | None


@dataclass(frozen=True)
class Listed:
    path: str
    bytes: int
    modified: datetime
    """By the bucket's clock."""


class Bucket:
    """Objects below `DLT_BUCKET_URL`, by paths relative to it.

    Every method raises BucketError when the bucket is missing, refuses, or does not answer.
    """

    def __init__(self, settings: BucketSettings) -> None:
        self.url = settings.url
        self.settings = settings
        self.is_local = settings.is_local
        self._settled: dict[timedelta, LocalStore | S3Store] = {}

    @property
    def _store(self) -> LocalStore | S3Store:
        """For what may be large, or takes the server long: parts, listings."""
        return self._settled_for(stores.LARGE_WITHIN)

    @property
    def _small(self) -> LocalStore | S3Store:
        """For documents, which fit into memory."""
        return self._settled_for(stores.SMALL_WITHIN)

    def _settled_for(self, within: timedelta) -> LocalStore | S3Store:
        with _SETTLING:
            if within not in self._settled:
                self._settled[within] = stores.store_of(self.settings, within)
            return self._settled[within]

    def settle(self) -> None:
        """Make what talks to S3 now, before other threads read the environment."""
        if not self.is_local:
            _ = self._store, self._small

    @property
    def _is_unborn(self) -> bool:
        """A folder that the first write will make; reading must not."""
        return self.is_local and not local_folder(self.settings).exists()

    def put(self, path: str, content: bytes | Path) -> None:
        is_small = isinstance(content, bytes) and len(content) <= _SMALL_BYTES
        with self._explained("write", path):
            obstore.put(self._small if is_small else self._store, path, content)

    def put_page(self, path: str, html: bytes) -> None:
        """What a browser is to open; a folder keeps no type."""
        kept = None if self.is_local else {"Content-Type": "text/html; charset=utf-8"}
        with self._explained("write", path):
            obstore.put(self._store, path, html, attributes=kept)

    def create(self, path: str, content: bytes) -> StoredObject | None:
        """Write `path` unless it exists, atomically; None if it does.

        `content` has to be the caller's alone: where it is found, this call wrote it.
        """
        try:
            with self._explained("write", path):
                return _written(content, obstore.put(self._small, path, content, mode="create"))
        except _Exists:
            return self._unheard(path, content)
        except BucketError:
            if written := self._unheard(path, content):
                return written
            raise

    def get(self, path: str) -> StoredObject | None:
        if self._is_unborn:
            return None
        try:
            with self._explained("read", path):
                found = obstore.get(self._small, path)
                meta = found.meta
                return StoredObject(bytes(found.bytes()), meta["last_modified"], meta["e_tag"])
        except _Absent:
            return None

    def lines(self, path: str) -> Iterator[bytes]:
        """The lines of an object that memory need not hold; none if it is not there."""
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
        """Copy an object to a local file; whether it was there."""
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
        """A thousand a request; those that are not there are no mistake."""
        if self.is_local:
            for path in paths:
                self.delete(path)
        elif paths:
            with self._explained("delete", paths[0]):
                obstore.delete(self._store, list(paths))

    def file(self, path: str, size: int | None = None) -> BucketFile:
        """An object of which only what is asked for is read; BucketError if there is none.

        With the `size` that a listing told, that is noticed with the first reading.
        """
        if size is not None:
            return BucketFile(self, path, size)
        try:
            with self._explained("read", path):
                return BucketFile(self, path, obstore.head(self._store, path)["size"])
        except _Absent:
            raise Gone(f"{self.location(path)} is gone: someone removed it") from None

    def range(self, path: str, start: int, end: int) -> bytes:
        try:
            with self._explained("read", path):
                return bytes(obstore.get_range(self._store, path, start=start, end=end))
        except _Absent:
            raise Gone(f"{self.location(path)} is gone: someone removed it") from None

    def delete(self, path: str) -> None:
        try:
            with self._explained("delete", path):
                obstore.delete(self._small, path)
        except _Absent:
            return

    def replace(self, path: str, content: bytes, seen: StoredObject) -> StoredObject | None:
        """Overwrite `path` if it is still what was `seen`; None if it changed meanwhile.

        `content` has to be the caller's alone, and new: where it is found, this call wrote it.
        """
        if self.is_local:
            return self._replace_locally(path, content, seen)
        try:
            with self._explained("write", path):
                mode: Any = {"e_tag": seen.version}
                return _written(content, obstore.put(self._small, path, content, mode=mode))
        except (_Changed, _Absent):
            return self._unheard(path, content)
        except BucketError:
            if written := self._unheard(path, content):
                return written
            raise

    def _unheard(self, path: str, content: bytes) -> StoredObject | None:
        """What is at `path` if it is `content`: written, though the answer never came.

        The client tries no conditional write again of which it can't know whether it was done.
        """
        found = self.get(path)
        return found if found is not None and found.data == content else None

    def _replace_locally(
        self, path: str, content: bytes, seen: StoredObject
    ) -> StoredObject | None:
        """A folder knows no conditional overwrite; its own lock makes one, and ends with us."""
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
        """Paths below `prefix`, of those that sort after `after` as text."""
        return (listed.path for listed in self.listed(prefix, after))

    def listed(self, prefix: str, after: str | None = None) -> Iterator[Listed]:
        if self._is_unborn:
            return
        with self._explained("list", prefix):
            for page in obstore.list(self._store, prefix, offset=after):
                yield from (
                    Listed(entry["path"], entry["size"], entry["last_modified"]) for entry in page
                )

    def location(self, path: str) -> str:
        return f"{self.url}/{path}"

    def failure(self, verb: str, path: str, detail: str) -> BucketError:
        """What another library's message about this bucket means to a person."""
        return BucketUnusable(self._failed(verb, path, detail))

    @contextmanager
    def _explained(self, verb: str, path: str) -> Iterator[None]:
        try:
            yield
        except exceptions.AlreadyExistsError:
            raise _Exists(path) from None
        except exceptions.PreconditionError:
            raise _Changed(path) from None
        except (exceptions.NotFoundError, FileNotFoundError) as error:
            if "NoSuchBucket" in str(error):
                raise BucketUnusable(self._missing()) from None
            raise _Absent(path) from None
        except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
            raise BucketUnusable(self._refused(verb, path, str(error))) from None
        except (exceptions.BaseError, OSError) as error:
            raise BucketUnusable(self._failed(verb, path, str(error))) from None

    def _missing(self) -> str:
        name = urlsplit(self.url).netloc
        return (
            f"bucket '{name}' does not exist at {self._server()}: create it, or mend "
            f"{self.settings.variable} or S3_ENDPOINT"
        )

    def _refused(self, verb: str, path: str, detail: str) -> str:
        why = f"the key may not {verb} there; {_CHECK_KEYS}"
        if "InvalidAccessKeyId" in detail or "SignatureDoesNotMatch" in detail:
            why = f"the key is not known or its secret is wrong; {_CHECK_KEYS}"
        if "RequestTimeTooSkewed" in detail:
            why = "this machine's clock and the bucket's differ too much; set the one that is wrong"
        return f"the bucket refuses to {verb} {self.location(path)} at {self._server()}: {why}"

    def _failed(self, verb: str, path: str, detail: str) -> str:
        if any(refusal in detail for refusal in _REFUSALS):
            return self._refused(verb, path, detail)
        if "NoSuchBucket" in detail:
            return self._missing()
        return f"could not {verb} {self.location(path)} at {self._server()}: {_brief(detail)}"

    def _server(self) -> str:
        return self.settings.endpoint or ("this machine" if self.is_local else "AWS S3")


class BucketFile(io.RawIOBase):
    """A file that is read from the bucket piece by piece, as parquet is."""

    def __init__(self, bucket: Bucket, path: str, size: int) -> None:
        self._bucket = bucket
        self._path = path
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = base + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = self._size if size < 0 else min(self._size, self._at + size)
        if end <= self._at:
            return b""
        data = self._bucket.range(self._path, self._at, end)
        self._at += len(data)
        return data


def _written(content: bytes, result: Any) -> StoredObject:
    return StoredObject(content, datetime.now(UTC), result["e_tag"])


class _Exists(Exception):
    pass


class _Absent(Exception):
    pass


class _Changed(Exception):
    pass


def _brief(detail: str) -> str:
    """What happened, from a library's message that says it with all that led to it."""
    for kind, message in _CONNECTION_FAULTS.items():
        if f"kind: {kind}," in detail:
            return message + _attempts(detail)
    if found := _ANSWERED.search(detail):
        code = _ERROR_CODE.search(detail)
        return f"it answered {found[1]}{f' ({code[1]})' if code else ''}{_attempts(detail)}"
    text = detail.strip().splitlines()[0] if detail.strip() else "no reason given"
    return text if len(text) <= 300 else text[:300] + "…"


def _attempts(detail: str) -> str:
    retries = _RETRIED.search(detail)
    return f", {int(retries[1]) + 1} times" if retries else ""
