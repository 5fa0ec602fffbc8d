"""Bodies that are whole or refused, through a run: no exit code 0 with rows missing."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable

import pytest
import requests
from urllib3.response import HTTPResponse

from landing.http import whole_bodies
from tests.kit import Kit, Zone
from tests.servers.scripted import Exchange, serve

PLAIN = """\
import os

import dlt
import requests


@dlt.resource(primary_key="id")
def orders():
    yield requests.get(os.environ["SHOP_URL"] + "/orders", timeout=10).json()
"""
TEXT = (
    PLAIN.replace(".json()", ".text").replace("    yield", "    text =")
    + """\
    yield [{"id": int(line)} for line in text.splitlines()]
"""
)
PARTS = (
    PLAIN.replace("    yield requests", "    answer = requests").replace(
        ", timeout=10).json()", ", timeout=10, stream=True)"
    )
    + """\
    yield [{"id": int(line)} for line in answer.iter_lines()]
"""
)
KIT = """\
import os

import dlt

from landing.http import Api, JsonLines, Retries

api = Api(os.environ["SHOP_URL"], retries=Retries(total=1, base=0.01))


@dlt.resource(primary_key="id")
def orders():
    yield from api.pages("orders"RECORDS)
"""
KIT_LINES = KIT.replace("RECORDS", ", records=JsonLines()")
KIT = KIT.replace("RECORDS", "")
FIELDS = {"id": {"type": "integer"}}
ROWS = [{"id": n} for n in range(40_000)]
LINES = "".join(f"{n}\n" for n in range(40_000)).encode()


def flushed(body: bytes, window: int) -> bytes:
    """Compressed, with a point at its half to which it unpacks without what follows."""
    compress = zlib.compressobj(9, zlib.DEFLATED, window)
    half = body.index(b"\n", len(body) // 2) + 1 if b"\n" in body else len(body)
    first = compress.compress(body[:half]) + compress.flush(zlib.Z_FULL_FLUSH)
    return first + compress.compress(body[half:]) + compress.flush()


def half_of(body: bytes, window: int) -> bytes:
    compress = zlib.compressobj(9, zlib.DEFLATED, window)
    half = body.index(b"\n", len(body) // 2) + 1
    return compress.compress(body[:half]) + compress.flush(zlib.Z_FULL_FLUSH)


CODINGS = {"gzip": 31, "x-gzip": 31, "deflate": 15}


def whole(exchange: Exchange, body: bytes, coding: str) -> None:
    exchange.reply(200, body, Content_Encoding=coding)


def chunked(exchange: Exchange, body: bytes, coding: str) -> None:
    exchange.head(200, Content_Encoding=coding, Transfer_Encoding="chunked")
    exchange.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))


def until_closed(exchange: Exchange, body: bytes, coding: str) -> None:
    exchange.head(200, Content_Encoding=coding, Connection="close")
    exchange.write(body)
    exchange.cut()


@pytest.mark.parametrize("send", [whole, chunked, until_closed])
@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("streams", [TEXT, PARTS, KIT_LINES], ids=["text", "parts", "kit"])
def test_a_compressed_body_that_lacks_its_end_is_no_page(
    kit: Kit,
    folder_zone: Zone,
    monkeypatch: pytest.MonkeyPatch,
    streams: str,
    coding: str,
    send: Callable[[Exchange, bytes, str], None],
) -> None:
    lines = LINES if streams != KIT_LINES else b"".join(b'{"id": %d}\n' % n for n in range(40_000))
    kit.add_source("shop", streams)
    kit.configure("shop", "orders", fields=FIELDS)
    is_cut = True

    def answer(exchange: Exchange) -> None:
        body = (half_of if is_cut else flushed)(lines, CODINGS[coding])
        send(exchange, body, coding)

    with serve(answer) as server:
        monkeypatch.setenv("SHOP_URL", server.url)
        cut = kit.run("shop", "orders")
        assert cut.code == 1, cut.text
        assert "/orders was cut off in mid-answer" in cut.err
        assert not folder_zone.parts("shop", "orders")
        is_cut = False
        assert kit.run("shop", "orders").code == 0
    assert folder_zone.count("shop", "orders") == 40_000


def test_a_json_body_that_only_lacks_the_trailer_is_asked_for_again(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.add_source("shop", KIT)
    kit.configure("shop", "orders", fields=FIELDS)
    packed = gzip.compress(json.dumps(ROWS).encode())

    def answer(exchange: Exchange) -> None:
        exchange.reply(
            200, packed[:-8] if exchange.number == 1 else packed, Content_Encoding="gzip"
        )

    with serve(answer) as server:
        monkeypatch.setenv("SHOP_URL", server.url)
        done = kit.run("shop", "orders")
    assert done.code == 0
    assert "1 retry (cut off)" in done.out
    assert folder_zone.count("shop", "orders") == 40_000


@pytest.mark.parametrize("rest", [b"", b"\n", b"\0" * 9, b"\r\n", gzip.compress(b" ", mtime=0)])
def test_what_follows_a_whole_gzip_stream_is_no_fault(rest: bytes) -> None:
    whole_bodies.guard()
    packed = gzip.compress(b"[1]") + rest
    with serve(lambda exchange: exchange.reply(200, packed, Content_Encoding="gzip")) as server:
        assert requests.get(server.url, timeout=5).json() == [1]


@pytest.mark.parametrize("status", [200, 204, 304])
def test_a_coding_without_a_body_is_no_fault(status: int) -> None:
    whole_bodies.guard()
    with serve(lambda exchange: exchange.reply(status, Content_Encoding="gzip")) as server:
        assert requests.get(server.url, timeout=5).content == b""
        assert requests.head(server.url, timeout=5).content == b""


@pytest.mark.skipif(
    "zstd" not in HTTPResponse.CONTENT_DECODERS, reason="urllib3[zstd] is not installed"
)
def test_zstandard_is_read_where_its_package_is_there(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        from compression import zstd
    except ImportError:
        from backports import zstd
    kit.add_source("shop", KIT)
    kit.configure("shop", "orders", fields=FIELDS)
    packed = zstd.compress(json.dumps(ROWS).encode())
    with serve(lambda exchange: exchange.reply(200, packed, Content_Encoding="zstd")) as server:
        monkeypatch.setenv("SHOP_URL", server.url)
        assert kit.run("shop", "orders").code == 0
    assert folder_zone.count("shop", "orders") == 40_000


@pytest.mark.skipif("br" in HTTPResponse.CONTENT_DECODERS, reason="it can be unpacked")
@pytest.mark.parametrize("streams", [PLAIN, KIT], ids=["plain", "kit"])
def test_a_coding_that_cannot_be_unpacked_is_named(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch, streams: str
) -> None:
    kit.add_source("shop", streams)
    kit.configure("shop", "orders", fields=FIELDS)
    with serve(lambda exchange: exchange.reply(200, b"\x0b\2", Content_Encoding="br")) as server:
        monkeypatch.setenv("SHOP_URL", server.url)
        done = kit.run("shop", "orders")
        assert len(server.seen) == 1
    assert done.code == 1
    assert "answered with Content-Encoding 'br'" in done.err
    assert "pip install 'urllib3[brotli]'" in done.err
    assert not folder_zone.parts("shop", "orders")
