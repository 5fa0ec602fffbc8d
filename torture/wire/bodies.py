"""Bodies that are cut or packed in another way than a client expects."""

from __future__ import annotations

import gzip
import zlib

from tests.servers.scripted import Exchange
from torture.wire.way import (
    ALL,
    LINES,
    NDJSON,
    ONE_PAGE,
    PLAIN,
    Answers,
    Way,
    in_turn,
    raw,
)


def _chunks(*chunks: bytes, end: bytes = b"0\r\n\r\n", **headers: str) -> Answers:
    def answer(exchange: Exchange) -> None:
        exchange.head(200, Transfer_Encoding="chunked", **headers)
        for chunk in chunks:
            exchange.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        exchange.write(end)
        exchange.cut()

    return answer


def _declared(content: bytes, length: int, **headers: str) -> Answers:
    """A body with a length that is not its own, after which the connection closes."""

    def answer(exchange: Exchange) -> None:
        exchange.reply(200, content, **{"Content_Length": str(length)} | headers)
        exchange.cut()

    return answer


def _until_closed(content: bytes, **headers: str) -> Answers:
    def answer(exchange: Exchange) -> None:
        exchange.head(200, Connection="close", **headers)
        exchange.write(content)
        exchange.cut()

    return answer


def _flushed_half(content: bytes, window: int = 31) -> bytes:
    """Packed, and cut where it can be unpacked up to there."""
    packer = zlib.compressobj(9, zlib.DEFLATED, window)
    half = content.rindex(b"\n", 0, len(content) * 2 // 3) + 1
    return packer.compress(content[:half]) + packer.flush(zlib.Z_FULL_FLUSH)


_CUT = "was cut off in mid-answer"

CUT = [
    Way(
        "a gzip body is cut at a point where it can be unpacked",
        "psf/requests#5887",
        raw(_flushed_half(NDJSON), Content_Encoding="gzip"),
        LINES,
        "failed",
        _CUT,
    ),
    Way(
        "a gzip body lacks its trailer, to a client of plain `requests`",
        "sindresorhus/decompress-response#19",
        raw(gzip.compress(ALL)[:-8], Content_Encoding="gzip"),
        PLAIN,
        "failed",
        _CUT,
    ),
    Way(
        "a deflate body is cut at a point where it can be unpacked",
        "nodejs/undici#2126",
        raw(_flushed_half(NDJSON, 15), Content_Encoding="deflate"),
        LINES,
        "failed",
        _CUT,
    ),
    Way(
        "a gzip body is cut once, and then whole",
        "ScilifelabDataCentre/dds_cli#962",
        in_turn(
            raw(gzip.compress(ALL)[:-9], Content_Encoding="gzip"),
            raw(gzip.compress(ALL), Content_Encoding="gzip"),
        ),
        ONE_PAGE,
        "landed",
    ),
    Way(
        "a body is shorter than its declared length",
        "psf/requests#4956",
        _declared(NDJSON[: NDJSON.rindex(b"\n", 0, 300) + 1], len(NDJSON)),
        LINES,
        "failed",
        _CUT,
    ),
    Way(
        "a body is shorter than its declared length, to a client of plain `requests`",
        "psf/requests#2275",
        _declared(NDJSON[: NDJSON.rindex(b"\n", 0, 300) + 1], len(NDJSON)),
        'text = requests.get(f"{URL}/orders", timeout=5).text\n'
        "import json\n"
        "yield [json.loads(line) for line in text.splitlines()]",
        "failed",
        _CUT,
    ),
    Way(
        "the declared length is that of the unpacked body",
        "denoland/deno#25992",
        _declared(gzip.compress(ALL), len(ALL), Content_Encoding="gzip"),
        ONE_PAGE,
        "failed",
        _CUT,
    ),
    Way(
        "a chunked body ends between two chunks, and two lines",
        "xroche/httrack#840",
        _chunks(NDJSON[: NDJSON.rindex(b"\n", 0, 300) + 1], end=b""),
        LINES,
        "failed",
        _CUT,
    ),
    Way(
        "a chunked body ends between two chunks, to a client of plain `requests`",
        "httpie/cli#296",
        _chunks(NDJSON[: NDJSON.rindex(b"\n", 0, 300) + 1], end=b""),
        'text = requests.get(f"{URL}/orders", timeout=5).text\n'
        "import json\n"
        "yield [json.loads(line) for line in text.splitlines()]",
        "failed",
        _CUT,
    ),
    Way(
        "a chunk is shorter than it says",
        "pocoproject/poco#5032",
        _chunks(end=b"%x\r\n%b" % (len(NDJSON), NDJSON[:200])),
        LINES,
        "failed",
        _CUT,
    ),
    Way(
        "a chunked body ends in its last line break",
        "oven-sh/bun#36068",
        _chunks(ALL, end=b"0\r\n"),
        ONE_PAGE,
        "landed",
    ),
    Way(
        "JSON without a declared length ends in its middle",
        "ndjson/ndjson-spec#43",
        _until_closed(ALL[: len(ALL) // 2]),
        ONE_PAGE,
        "failed",
        "not JSON|no JSON list",
    ),
]

PACKED = [
    Way(
        "a .gz file comes without a Content-Encoding",
        "lysine-dev/okhttp#3759",
        raw(gzip.compress(NDJSON), "application/x-gzip"),
        LINES,
        "landed",
    ),
    Way(
        "a gzip body has several members",
        "lysine-dev/okhttp#3759",
        raw(gzip.compress(ALL[:100]) + gzip.compress(ALL[100:]), Content_Encoding="gzip"),
        ONE_PAGE,
        "landed",
    ),
    Way(
        "the Content-Encoding is gzip, and the body is not packed",
        "curl/curl#2368",
        raw(ALL, Content_Encoding="gzip"),
        ONE_PAGE,
        "failed",
        "a damaged compressed body",
    ),
    Way(
        "a body is packed by brotli, of which the body is garbage",
        "nodiscc/hecat#73",
        raw(b"\x0b\x02\x80garbage", Content_Encoding="br"),
        ONE_PAGE,
        "failed",
        f"Content-Encoding 'br'|{_CUT}",
    ),
    Way(
        "a body is packed by what nothing here can unpack",
        "daijro/hrequests#74",
        raw(b"\x1f\x9d\x90", Content_Encoding="compress"),
        ONE_PAGE,
        "failed",
        "Content-Encoding 'compress', which can't be unpacked here",
    ),
    Way(
        "an error is packed without a Content-Encoding",
        "apache/trafficcontrol#1737",
        raw(gzip.compress(b'{"error": "no such tenant"}'), status=400),
        ONE_PAGE,
        "failed",
        "400",
    ),
]


BODIES = [*CUT, *PACKED]
