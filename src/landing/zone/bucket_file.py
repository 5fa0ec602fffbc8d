"""Files that are read from the bucket or sent to it, none of them as a whole in memory."""

from __future__ import annotations

import io
import mmap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

SMALL_BYTES = 128 * 1024
"""Size up to which one request for all costs less than one each for footer and columns."""


class BucketFile(io.RawIOBase):
    """A seekable file that is read from the bucket in pieces, as parquet needs it; a small one as a
    whole."""

    def __init__(self, read_range: Callable[[int, int], bytes], size: int) -> None:
        self._read_range = read_range
        self._size = size
        self._at = 0
        self._content: bytes | None = None

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
        data = self._between(self._at, end)
        self._at += len(data)
        return data

    def _between(self, start: int, end: int) -> bytes:
        self.fetch_small()
        if self._content is None:
            return self._read_range(start, end)
        return self._content[start:end]

    def fetch_small(self) -> None:
        """Read all of it now, if it is small."""
        if self._content is None and self._size <= SMALL_BYTES:
            self._content = self._read_range(0, self._size)


@contextmanager
def mapped(file: Path) -> Iterator[mmap.mmap]:
    """The file's content, which the system reads as it is sent: no copy of it is in memory."""
    with (
        file.open("rb") as opened,
        mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        yield content
