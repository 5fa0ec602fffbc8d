"""One request after the other, answered; in a process without the engine and the source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

import pyarrow as pa

from landing.columns import Columns, Converted
from landing.converters.frames import (
    READY,
    Answer,
    Request,
    decode_request,
    encode,
    receive,
    send,
)
from landing.http.jsonpage import JsonPage, decoding_to


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Raises EOFError or BrokenPipeError once nobody asks any more."""
    known: dict[int, Columns] = {}
    _tell(answers, READY)
    while True:
        # In a call, after which nothing of the last pages takes memory.
        _answer(known, requests, answers)


def _answer(known: dict[int, Columns], requests: BinaryIO, answers: BinaryIO) -> None:
    request = decode_request(receive(requests))
    contents = [receive(requests) for _ in request.pages]
    if request.spec is not None:
        spec = request.spec
        known[request.columns] = Columns(spec.fields, tombstones=spec.tombstones)
    converted = _converted(known[request.columns], request, contents)
    head = None if converted is None else _head(converted, request.given)
    if converted is None or head is None:
        _tell(answers, encode(Answer(fits=False)))
    else:
        _tell(answers, head, _arrow(converted.table))


def _head(converted: Converted, name: str | None) -> bytes | None:
    """None if a value as the API gave it, such as an integer of 65 bits, has no form here."""
    given = [] if name is None else list(converted.given(name))
    try:
        return encode(Answer(fits=True, given=given))
    except (OverflowError, TypeError, ValueError):
        return None


def _tell(answers: BinaryIO, *frames: bytes | pa.Buffer) -> None:
    for frame in frames:
        send(answers, frame)
    answers.flush()


def _converted(columns: Columns, request: Request, contents: Sequence[bytes]) -> Converted | None:
    with decoding_to(lambda: columns.early):
        try:
            pages = [
                JsonPage(content, head.records).without_first(head.skipped)
                for head, content in zip(request.pages, contents, strict=True)
            ]
        except ValueError:
            return None
    return columns.typed(pages)


def _arrow(table: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue()
