"""Has httpx, aiohttp and urllib raise for bodies that are cut off; `whole_bodies` has `requests`.

None of them notices that a body with `Content-Encoding: gzip` ends too early. httpx also drops what
follows the first gzip member (encode/httpx#3270), and urllib returns what arrived of a body that it
reads by lines.
"""

from __future__ import annotations

import gzip
import http.client
import sys
import zlib
from functools import cache
from typing import Any

from urllib3.response import DeflateDecoder, GzipDecoder

from landing.http.whole_bodies import is_finished

_CUT = "the body, with Content-Encoding {}, is cut off"
_MEMBER = gzip.compress(b"whole")


def guard() -> None:
    """Call it again when further HTTP libraries may have been imported."""
    _guard_urllib()
    if "httpx" in sys.modules:
        _guard_httpx()
    if "aiohttp" in sys.modules:
        _guard_aiohttp()


@cache
def _guard_urllib() -> None:
    close = http.client.HTTPResponse._close_conn  # type: ignore[attr-defined]

    def close_whole(self: Any) -> None:
        close(self)
        is_read = not self.closed and not isinstance(sys.exception(), http.client.HTTPException)
        if is_read and self.length and self._method != "HEAD":
            raise http.client.IncompleteRead(b"", self.length)

    http.client.HTTPResponse._close_conn = close_whole  # type: ignore[attr-defined]


@cache
def _guard_httpx() -> None:
    import httpx
    from httpx._decoders import SUPPORTED_DECODERS, ContentDecoder

    def whole(coding: str, decoder: type[GzipDecoder | DeflateDecoder]) -> type[ContentDecoder]:
        class Whole(ContentDecoder):
            def __init__(self) -> None:
                self._decoder = decoder()
                self._has_data = False

            def decode(self, data: bytes) -> bytes:
                self._has_data = self._has_data or bool(data)
                try:
                    return self._decoder.decompress(data)
                except zlib.error as error:
                    raise httpx.DecodingError(str(error)) from error

            def flush(self) -> bytes:
                if self._has_data and not is_finished(self._decoder):
                    raise httpx.DecodingError(_CUT.format(coding))
                return b""

        return Whole

    SUPPORTED_DECODERS["gzip"] = whole("gzip", GzipDecoder)
    SUPPORTED_DECODERS["deflate"] = whole("deflate", DeflateDecoder)


@cache
def _guard_aiohttp() -> None:
    from aiohttp import ClientPayloadError
    from aiohttp.http_parser import DeflateBuffer

    feed_eof = DeflateBuffer.feed_eof

    def feed_whole(self: DeflateBuffer) -> None:
        if self.size and "gzip" in str(self.encoding) and not _is_fresh(self.decompressor):
            self.set_exception(ClientPayloadError(_CUT.format(self.encoding)))
        feed_eof(self)

    DeflateBuffer.feed_eof = feed_whole  # type: ignore[method-assign]


def _is_fresh(decompressor: Any) -> bool:
    """Whether another gzip member may begin here: aiohttp replaces a decompressor at its end."""
    inner = decompressor._decompressor
    if inner.eof:
        return True
    try:
        return bool(inner.copy().decompress(_MEMBER) == b"whole")
    except zlib.error:
        return False
