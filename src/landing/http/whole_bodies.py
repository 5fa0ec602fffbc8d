"""Finds compressed bodies that are cut off, or that can't be unpacked here."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import requests
from requests.exceptions import ChunkedEncodingError

from landing.http.retries import GaveUp

_PACKAGES = {"br": "urllib3[brotli]", "zstd": "urllib3[zstd]"}
"""The packages that decode what Python itself can't."""
_UNKNOWN_TO_ALL = ("compress", "x-compress", "dcb", "dcz")

_iter_content = requests.Response.iter_content


def guard() -> None:
    """Make every `requests` session in this process raise for a compressed body that is cut off.

    zlib reports no error at the end of its input, so `requests` returns the part that arrived.
    """
    requests.Response.iter_content = _whole_content  # type: ignore[method-assign]


def check_unpackable(response: requests.Response) -> None:
    """Raises GaveUp if the body has a Content-Encoding that can't be decoded here."""
    for coding in _codings(response):
        if coding not in getattr(response.raw, "CONTENT_DECODERS", (coding,)):
            package = _PACKAGES.get(coding)
            remedy = f"`pip install '{package}'`, or ask for" if package else "ask for"
            raise GaveUp(
                f"answered with Content-Encoding '{coding}', which can't be unpacked here: "
                f"{remedy} another one with the header Accept-Encoding: gzip",
                request=response.request,
                response=response,
            )


def check_whole(response: requests.Response) -> None:
    """Raises ChunkedEncodingError if the body, which was read to its end, is cut off."""
    decoder = getattr(response.raw, "_decoder", None)
    if decoder is None or not _was_fed(response.raw):
        return
    if not all(map(is_finished, getattr(decoder, "_decoders", (decoder,)))):
        raise ChunkedEncodingError(
            f"the body, with Content-Encoding {', '.join(_codings(response))}, is cut off",
            request=response.request,
            response=response,
        )


def _whole_content(
    self: requests.Response, chunk_size: int | None = 1, decode_unicode: bool = False
) -> Iterator[Any]:
    check_unpackable(self)
    chunks = _iter_content(self, chunk_size, decode_unicode)  # raises at once, as it always did

    def whole() -> Iterator[Any]:
        yield from chunks
        check_whole(self)

    return whole()


def _codings(response: requests.Response) -> list[str]:
    """The encodings that compress; values such as `Content-Encoding: utf-8` are ignored."""
    known = {"gzip", "x-gzip", "deflate", *_PACKAGES, *_UNKNOWN_TO_ALL}
    named = response.headers.get("Content-Encoding", "").lower().split(",")
    return [coding for name in named if (coding := name.strip()) in known]


def _was_fed(raw: Any) -> bool:
    """Whether there was a body: responses to HEAD, 204 and 304 may name an encoding without one."""
    if raw.tell() > 0:
        return True
    # `read_chunked` does not count its bytes.
    return bool(getattr(raw, "chunked", False) and getattr(raw, "_has_decoded_content", False))


def is_finished(decoder: Any) -> bool:
    """Whether a decoder of urllib3, which was given data, has reached the data's end."""
    compressed = getattr(decoder, "_obj", None)
    if compressed is not None and hasattr(compressed, "is_finished"):  # brotli
        return bool(compressed.is_finished())
    if compressed is None or getattr(compressed, "eof", True):
        return True
    return _is_padding(decoder)


def _is_padding(decoder: Any) -> bool:
    """Whether a single byte after the last gzip member is padding, not the start of another."""
    if getattr(decoder, "_state", 0) == 0 or not hasattr(decoder._obj, "copy"):
        return False
    try:
        decoder._obj.copy().decompress(b"\x8b\x08")
    except zlib.error as error:
        return "incorrect header" in str(error)
    return False
