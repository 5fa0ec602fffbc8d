"""Bodies that are cut, packed, spelled or shaped in another way than a client expects."""

from __future__ import annotations

import gzip
import zlib

from tests.servers.scripted import Exchange
from torture.wire.way import (
    ROWS,
    SIZE,
    Answers,
    Way,
    body,
    in_turn,
    listed,
    pages,
    raw,
    records,
    row,
    spelled,
    whole,
)

ONE_PAGE = listed()
LIST = pages()
LINES = pages("records=JsonLines()")
CSV = pages('records=Csv({"id": int, "total": float})')
GRAPHQL = 'yield from api.graphql("{ orders { nodes { id } } }", "orders")'
PLAIN = 'yield requests.get(f"{URL}/orders", timeout=5).json()["items"]'

ALL = spelled({"items": ROWS}).encode()
NDJSON = "".join(f"{spelled(row)}\n" for row in ROWS).encode()
TABLE = "id,updated_at,note,total\n" + "".join(
    f"{r['id']},{r['updated_at']},{r['note']},{r['total']}\n" for r in ROWS
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
        "told",
        _CUT,
    ),
    Way(
        "a gzip body lacks its trailer, to a client of plain `requests`",
        "sindresorhus/decompress-response#19",
        raw(gzip.compress(ALL)[:-8], Content_Encoding="gzip"),
        PLAIN,
        "told",
        _CUT,
    ),
    Way(
        "a deflate body is cut at a point where it can be unpacked",
        "nodejs/undici#2126",
        raw(_flushed_half(NDJSON, 15), Content_Encoding="deflate"),
        LINES,
        "told",
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
        "told",
        _CUT,
    ),
    Way(
        "a body is shorter than its declared length, to a client of plain `requests`",
        "psf/requests#2275",
        _declared(NDJSON[: NDJSON.rindex(b"\n", 0, 300) + 1], len(NDJSON)),
        'text = requests.get(f"{URL}/orders", timeout=5).text\n'
        "import json\n"
        "yield [json.loads(line) for line in text.splitlines()]",
        "told",
        _CUT,
    ),
    Way(
        "the declared length is that of the unpacked body",
        "denoland/deno#25992",
        _declared(gzip.compress(ALL), len(ALL), Content_Encoding="gzip"),
        ONE_PAGE,
        "told",
        _CUT,
    ),
    Way(
        "a chunked body ends between two chunks, and two lines",
        "xroche/httrack#840",
        _chunks(NDJSON[: NDJSON.rindex(b"\n", 0, 300) + 1], end=b""),
        LINES,
        "told",
        _CUT,
    ),
    Way(
        "a chunked body ends between two chunks, to a client of plain `requests`",
        "httpie/cli#296",
        _chunks(NDJSON[: NDJSON.rindex(b"\n", 0, 300) + 1], end=b""),
        'text = requests.get(f"{URL}/orders", timeout=5).text\n'
        "import json\n"
        "yield [json.loads(line) for line in text.splitlines()]",
        "told",
        _CUT,
    ),
    Way(
        "a chunk is shorter than it says",
        "pocoproject/poco#5032",
        _chunks(end=b"%x\r\n%b" % (len(NDJSON), NDJSON[:200])),
        LINES,
        "told",
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
        "told",
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
        "told",
        "a damaged compressed body",
    ),
    Way(
        "a body is packed by brotli, of which the body is garbage",
        "nodiscc/hecat#73",
        raw(b"\x0b\x02\x80garbage", Content_Encoding="br"),
        ONE_PAGE,
        "told",
        f"Content-Encoding 'br'|{_CUT}",
    ),
    Way(
        "a body is packed by what nothing here can unpack",
        "daijro/hrequests#74",
        raw(b"\x1f\x9d\x90", Content_Encoding="compress"),
        ONE_PAGE,
        "told",
        "Content-Encoding 'compress', which can't be unpacked here",
    ),
    Way(
        "an error is packed without a Content-Encoding",
        "apache/trafficcontrol#1737",
        raw(gzip.compress(b'{"error": "no such tenant"}'), status=400),
        ONE_PAGE,
        "told",
        "400",
    ),
]


def _in(encoding: str, kind: str) -> Answers:
    return raw(ALL.decode().encode(encoding), kind)


CHARSETS = [
    Way(
        "JSON begins with a byte order mark",
        "woocommerce/wc-api-python#40",
        _in("utf-8-sig", "application/json"),
        ONE_PAGE,
        "landed",
    ),
    Way(
        "JSON is in UTF-16, with a byte order mark",
        "aacerox/node-rest-client#197",
        _in("utf-16", "application/json"),
        ONE_PAGE,
        "landed",
    ),
    Way(
        "JSON is in UTF-32, with a byte order mark",
        "aacerox/node-rest-client#197",
        _in("utf-32", "application/json"),
        ONE_PAGE,
        "landed",
    ),
    Way(
        "JSON is in UTF-8, and declared to be in ISO-8859-1",
        "OneBusAway/onebusaway-android#2147",
        _in("utf-8", "application/json;charset=ISO-8859-1"),
        ONE_PAGE,
        "landed",
    ),
    Way(
        "JSON is in ISO-8859-1, as declared",
        "twilio/twilio-java#96",
        _in("iso-8859-1", "application/json;charset=ISO-8859-1"),
        ONE_PAGE,
        "landed",
    ),
    Way(
        "JSON is in ISO-8859-1, and nothing declares it",
        "opentripplanner/OpenTripPlanner#578",
        _in("iso-8859-1", "application/json"),
        ONE_PAGE,
        "told",
        "note: JSON that can't be read",
    ),
    Way(
        "the charset is spelled `utf8`",
        "jishi/node-sonos-http-api#233",
        _in("utf-8", "application/json; charset=utf8"),
        ONE_PAGE,
        "landed",
    ),
    Way(
        "the charset of a CSV file is declared",
        "brianchandotcom/liferay-portal#54840",
        raw(TABLE.encode("windows-1252"), 'text/csv; charset="windows-1252"'),
        CSV,
        "landed",
    ),
]

FAILURES = [
    Way(
        "status 200 and `success` false with an error",
        "airbytehq/airbyte#15055",
        body({"success": False, "error": {"code": 101, "message": "no valid access key"}}),
        ONE_PAGE,
        "told",
        "it says: no valid access key",
    ),
    Way(
        "status 200 and `ok` false",
        "NangoHQ/nango-sync#95",
        body({"ok": False, "error": "missing_scope"}),
        ONE_PAGE,
        "told",
        "it says: missing_scope",
    ),
    Way(
        "a failure comes as a list without rows, over a table that had some",
        "OpenCTI-Platform/connectors#6727",
        body({"success": False, "items": []}),
        ONE_PAGE,
        "told",
        '"allow_empty": true',
        earlier=whole(),
        config={"sync_mode": "full_refresh", "destination_sync_mode": "overwrite"},
    ),
    Way(
        "status 200 and the page of a sign-in form",
        "Autodesk/genetic-constructor#957",
        raw("<!DOCTYPE html><html><body>Sign in</body></html>", "text/html"),
        ONE_PAGE,
        "told",
        "answered with text/html",
    ),
    Way(
        "an error of PHP comes before the JSON, in HTML",
        "konklone/json#132",
        raw(b"<div><h4>A PHP Error was encountered</h4></div>" + ALL),
        ONE_PAGE,
        "told",
        "no JSON list of records",
    ),
    Way(
        "a warning of PHP comes before the JSON",
        "Dolibarr/dolibarr#37445",
        raw(b"<br />\n<b>Warning</b>: Undefined index in <b>/a.php</b><br />\n" + ALL),
        ONE_PAGE,
        "told",
        "no JSON list of records",
    ),
    Way(
        "JSON begins with `)]}'`",
        "postmanlabs/postman-app-support#251",
        raw(b")]}'\n" + ALL),
        ONE_PAGE,
        "told",
        "no JSON list of records",
    ),
    Way(
        "the list is an object, as PHP spells what has gaps",
        "matomo-org/matomo#7725",
        body({"items": {str(n): row for n, row in enumerate(ROWS) if n}}),
        ONE_PAGE,
        "told",
        "no JSON list of records at 'items'",
    ),
    Way(
        "a single record is an object instead of a list",
        "uwaterloo/OpenData#2",
        body({"items": ROWS[0]}),
        ONE_PAGE,
        "told",
        "no JSON list of records at 'items'",
    ),
    Way(
        "the body is a list where it is an object otherwise",
        "EDSM-NET/FrontEnd#110",
        body([]),
        ONE_PAGE,
        "told",
        "no JSON list of records at 'items'",
    ),
    Way(
        "GraphQL has errors and no data",
        "camunda/connectors#6702",
        body({"errors": [{"message": "Cannot query field 'x'"}]}),
        GRAPHQL,
        "told",
        "GraphQL says: Cannot query field 'x'",
    ),
    Way(
        "GraphQL has errors beside a part of the data",
        "meltano/sdk#3684",
        body(
            {
                "errors": [{"message": "could not resolve 'lines'"}],
                "data": {"orders": {"nodes": ROWS[:SIZE], "pageInfo": {"hasNextPage": False}}},
            }
        ),
        GRAPHQL,
        "told",
        "GraphQL says: could not resolve 'lines'",
    ),
    Way(
        "lines of JSON end in an error",
        "GenSpectrum/LAPIS#1323",
        raw(NDJSON + b'{"error": "query timed out"}\n', "application/x-ndjson"),
        LINES,
        "told",
        "error: query timed out",
    ),
    Way(
        "lines of JSON end in half a line",
        "brimdata/super#4537",
        raw(NDJSON + b'{"id": 13, "no', "application/x-ndjson"),
        LINES,
        "told",
        "no JSON object in each line",
    ),
    Way(
        "a line in the middle is not JSON",
        "pamelafox/ndjson-readablestream#11",
        raw(NDJSON.replace(b"\n", b'\n{"id": 13,\n', 1), "application/x-ndjson"),
        LINES,
        "told",
        "no JSON object in each line",
    ),
    Way(
        "there are empty lines between lines of JSON",
        "cucumber/common#1181",
        raw(NDJSON.replace(b"\n", b"\r\n\r\n"), "application/x-ndjson"),
        LINES,
        "landed",
    ),
    Way(
        "the last line of JSON has no line break",
        "eviltester/thingifier#122",
        raw(NDJSON.rstrip(), "application/x-ndjson"),
        LINES,
        "landed",
    ),
    Way(
        "a page of HTML comes instead of CSV",
        "SETI/rms-opus#298",
        raw("<html><body>You've fallen into our black hole</body></html>", "text/html"),
        CSV,
        "told",
        "HTML or XML where CSV is expected",
    ),
    Way(
        "an error in JSON comes instead of CSV",
        "PostHog/posthog#10823",
        body({"detail": "export failed"}),
        CSV,
        "told",
        "JSON where CSV is expected: export failed",
    ),
    Way(
        "CSV has its names alone",
        "everypolitician/everypolitician#31",
        raw("id,updated_at,note,total\n", "text/csv"),
        CSV,
        "landed",
        rows=[],
    ),
    Way(
        "CSV has a byte order mark and nothing else",
        "highcharts/highcharts#25090",
        raw(b"\xef\xbb\xbf", "text/csv"),
        CSV,
        "landed",
        rows=[],
    ),
    Way(
        "values of CSV are separated by semicolons",
        "centreon-archive/centreon-archived#32",
        raw(TABLE.replace(",", ";"), "text/csv"),
        CSV,
        "told",
        "none of|has any",
    ),
    Way(
        "a name of CSV is there twice",
        "alan-turing-institute/CleverCSV#23",
        raw(TABLE.replace("note", "id", 1), "text/csv"),
        CSV,
        "told",
        "the name 'id' is there 2 times",
    ),
    Way(
        "a value of CSV is longer than 128 KiB",
        "harelba/q#97",
        raw(TABLE.replace("Größe 1,", f"{'x' * 200_000},", 1), "text/csv"),
        CSV,
        "landed",
        rows=[row(1, note="x" * 200_000), *ROWS[1:]],
    ),
    Way(
        "a line of CSV has more values than names",
        "bitwarden/clients#416",
        raw(TABLE.replace("Größe 3", "Größe 3,x"), "text/csv"),
        CSV,
        "told",
        "a line of 5 values under 4 names",
    ),
    Way(
        "a report is not ready, with status 202 and no body",
        "mozilla/release-services#654",
        raw(b"", status=202),
        ONE_PAGE,
        "told",
        "202",
    ),
    Way(
        "a report is not ready, with status 202 and a part of it",
        "anmol098/waka-readme-stats#316",
        body({"items": ROWS[:3], "percent_calculated": 25}, 202),
        ONE_PAGE,
        "told",
        "202",
    ),
    Way(
        "a report is not ready at first, with status 202",
        "nmfta-repo/nmfta-opentelematics-api#119",
        in_turn(body({"items": []}, 202), whole()),
        ONE_PAGE,
        "landed",
    ),
]


def _odd(
    what: str, source: str, text: str, says: str = "", stream: str = ONE_PAGE, odd: int = 1
) -> Way:
    """All rows, and one other record as it is spelled."""
    return Way(what, source, raw(records(text)), stream, "quarantined", says, odd=odd)


def _member(name: str, value: str) -> str:
    return f'{{"id": 13, "updated_at": "2026-01-02T00:00:00Z", "{name}": {value}}}'


BIG = [row(n, id=3791411052119578827 + n) for n in (1, 2)]
MALFORMED = "JSON is malformed"

RECORDS = [
    _odd("a number is `NaN`", "brian7704/OpenTAKServer#291", _member("total", "NaN")),
    _odd("a number is `Infinity`", "mozilla-services/telescope#171", _member("total", "Infinity")),
    Way(
        "a number is `+Infinity`",
        "jeroen/jsonlite#281",
        raw(records(_member("total", "+Infinity"))),
        ONE_PAGE,
        "told",
        MALFORMED,
    ),
    Way(
        "a number is `-nan`",
        "WreckedAvent/slimCat#383",
        raw(records(_member("total", "-nan"))),
        ONE_PAGE,
        "told",
        MALFORMED,
    ),
    _odd(
        "a number is the text `NaN`",
        "googleapis/google-api-go-client#139",
        _member("total", '"NaN"'),
    ),
    _odd(
        "a text has half a surrogate pair",
        "molecular-labs/fertilizer#57",
        _member("note", '"\\ud83d"'),
    ),
    _odd("a record is `null`", "foojayio/discoapi#132", "null"),
    _odd("two records are `null`", "algolia/api-clients-automation#6582", "null, null", odd=2),
    _odd("a record is a list", "EDSM-NET/FrontEnd#110", "[]"),
    _odd(
        "a record is nested 2,000 deep",
        "simplejson/simplejson#334",
        _member("more", "[" * 2_000 + "]" * 2_000),
    ),
    _odd(
        "a whole number has more than 64 bits",
        "trentm/json#140",
        '{"id": 1234567890123456789012, "updated_at": "2026-01-02T00:00:00Z"}',
    ),
    _odd(
        "a number has more digits than a double",
        "mozilla/rhino#1089",
        _member("total", "1461225923504726021.01"),
    ),
    _odd(
        "a time is spelled as MySQL's zero",
        "estuary/connectors#512",
        '{"id": 13, "updated_at": "0000-00-00 00:00:00"}',
    ),
    Way(
        "a whole number is above those that a double has",
        "rhysd/fixjson#19",
        body({"items": BIG}),
        ONE_PAGE,
        "landed",
        rows=BIG,
    ),
    Way(
        "an object without members is `[]`",
        "ChurchSuite/churchsuite-api#11",
        body({"items": [row(1, more={"a": 1}), row(2, more=[])]}),
        ONE_PAGE,
        "landed",
        rows=[row(1, more={"a": 1}), row(2, more=[])],
    ),
    Way(
        "a name is there twice in a record",
        "stleary/JSON-java#956",
        raw(records().replace('"id": 1,', '"id": 77, "id": 1,')),
        ONE_PAGE,
        "landed",
    ),
    Way(
        "records hold the words of paging themselves",
        "dlt-hub/dlt-init-openapi#48",
        body({"items": [each | {"next": "/2", "has_more": True, "count": 99} for each in ROWS]}),
        ONE_PAGE,
        "landed",
    ),
    Way(
        "an error stands between the records",
        "apisyouwonthate/style-guide#25",
        raw(records('{"error": {"message": "could not load order 7"}}')),
        ONE_PAGE,
        "told",
        "could not load order 7",
    ),
    Way(
        "errors stand in place of all records",
        "lacuna-tech/mds-core#272",
        body({"items": [{"error": "timed out"}]}),
        ONE_PAGE,
        "told",
        "none of its 1 records has any",
    ),
]

BODIES = [*CUT, *PACKED, *CHARSETS, *FAILURES, *RECORDS]
