"""What a run and its converters write to each other: bytes, each after their length."""

from __future__ import annotations

from typing import Any, BinaryIO

import msgspec
import pyarrow as pa

from landing.fields import Field
from landing.tombstones import Tombstones

READY = b"ready"
"""The first frame of a converter."""
_LENGTH_BYTES = 8


class Spec(msgspec.Struct):
    """What makes `Columns`."""

    fields: dict[str, Field]
    tombstones: Tombstones | None


class PageHead(msgspec.Struct):
    records: str
    """Where they are in the page, as JsonPage takes it."""
    skipped: int


class Request(msgspec.Struct):
    """Followed by the content of each page."""

    columns: int
    """A number for the stream's columns."""
    spec: Spec | None
    """With the converter's first request for them."""
    given: str | None
    pages: list[PageHead]


class Answer(msgspec.Struct):
    """Followed by the table, if all values fit their columns."""

    fits: bool
    given: list[Any] = []
    """The values of the field `Request.given`, as the API gave them."""


encode = msgspec.msgpack.Encoder().encode
decode_request = msgspec.msgpack.Decoder(Request).decode
decode_answer = msgspec.msgpack.Decoder(Answer).decode


def send(stream: BinaryIO, frame: bytes | pa.Buffer) -> None:
    stream.write(len(frame).to_bytes(_LENGTH_BYTES))
    stream.write(frame)


def receive(stream: BinaryIO) -> bytes:
    """Raises EOFError if the other process is gone."""
    length = stream.read(_LENGTH_BYTES)
    size = int.from_bytes(length)
    frame = stream.read(size)
    if len(length) < _LENGTH_BYTES or len(frame) < size:
        raise EOFError
    return frame
