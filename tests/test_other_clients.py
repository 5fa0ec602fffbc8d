"""Bodies that are cut off, or have several parts, through clients other than `requests`."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable

import pytest

from tests.kit import Kit, Zone
from tests.servers.scripted import Exchange, serve

HTTPX = """\
import json, os
import dlt, httpx

@dlt.resource(primary_key="id")
def orders():
    text = httpx.get(os.environ["SHOP_URL"]).text
    yield [json.loads(line) for line in text.splitlines() if line.endswith("}")]
"""
AIOHTTP = """\
import json, os
import dlt, aiohttp

@dlt.resource(primary_key="id")
async def orders():
    async with aiohttp.ClientSession() as session, session.get(os.environ["SHOP_URL"]) as response:
        text = await response.text()
    yield [json.loads(line) for line in text.splitlines() if line.endswith("}")]
"""
URLLIB = """\
import io, json, os
import dlt
from urllib.request import urlopen

@dlt.resource(primary_key="id")
def orders():
    with urlopen(os.environ["SHOP_URL"]) as response:
        yield [json.loads(line) for line in response]
"""
URLLIB_TEXT = URLLIB.replace("in response]", "in io.TextIOWrapper(response)]")
LINES = [json.dumps({"id": n, "name": f"{n**9:x}"}).encode() + b"\n" for n in range(500)]
TEXT = b"".join(LINES)


def packed(exchange: Exchange, body: bytes, coding: str = "gzip") -> None:
    exchange.reply(200, body, Content_Encoding=coding)


def cut(exchange: Exchange) -> None:
    packed(exchange, gzip.compress(TEXT)[:2_000])


def without_trailer(exchange: Exchange) -> None:
    packed(exchange, gzip.compress(TEXT)[:-4])


def short(exchange: Exchange) -> None:
    exchange.head(200, Content_Length=str(len(TEXT)))
    exchange.write(b"".join(LINES[:100]))
    exchange.cut()


def members(exchange: Exchange) -> None:
    packed(exchange, b"".join(map(gzip.compress, LINES)))


def raw_deflate(exchange: Exchange) -> None:
    made = zlib.compressobj(wbits=-15)
    packed(exchange, made.compress(TEXT) + made.flush(), "deflate")


@pytest.mark.parametrize(
    ("source", "answer", "told"),
    [
        (HTTPX, without_trailer, "is cut off"),
        (HTTPX, members, ""),
        (HTTPX, raw_deflate, ""),
        (AIOHTTP, cut, "is cut off"),
        (AIOHTTP, members, ""),
        (URLLIB_TEXT, short, "IncompleteRead"),
    ],
)
def test_a_body_is_whole_or_refused(
    source: str,
    answer: Callable[[Exchange], None],
    told: str,
    kit: Kit,
    folder_zone: Zone,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kit.add_source("shop", source)
    kit.configure("shop", "orders", fields={"id": {"type": "integer"}, "name": {"type": "string"}})
    with serve(answer) as server:
        monkeypatch.setenv("SHOP_URL", server.url)
        done = kit.run("shop", "orders")
    if told:
        assert done.code == 1, done.text
        assert told in done.text
        assert not folder_zone.parts("shop", "orders")
    else:
        assert done.code == 0, done.text
        assert folder_zone.count("shop", "orders") == len(LINES)
