"""Single records that are spelled or shaped otherwise than the others."""

from __future__ import annotations

from torture.wire.way import (
    ONE_PAGE,
    ROWS,
    Way,
    body,
    raw,
    records,
    row,
)


def _odd(
    what: str, source: str, text: str, says: str = "", stream: str = ONE_PAGE, odd: int = 1
) -> Way:
    """All rows, and one other record as it is spelled."""
    return Way(what, source, raw(records(text)), stream, "quarantined", says, odd=odd)


def _member(name: str, value: str) -> str:
    return f'{{"id": 13, "updated_at": "2026-01-02T00:00:00Z", "{name}": {value}}}'


BIG = [row(n, id=3791411052119578827 + n) for n in (1, 2)]

RECORDS = [
    _odd("a number is `NaN`", "brian7704/OpenTAKServer#291", _member("total", "NaN")),
    _odd("a number is `Infinity`", "mozilla-services/telescope#171", _member("total", "Infinity")),
    _odd(
        "a number is `+Infinity`",
        "jeroen/jsonlite#281",
        _member("total", "+Infinity"),
        "total: JSON that can't be read",
    ),
    _odd("a number is `-nan`", "WreckedAvent/slimCat#383", _member("total", "-nan")),
    _odd("a number is `nan`", "brian7704/OpenTAKServer#291", _member("note", "nan")),
    _odd("a value is `undefined`", "mozilla-services/telescope#171", _member("note", "undefined")),
    _odd("a number begins with zeros", "trentm/json#140", '{"id": 0013, "note": "x"}'),
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
        "failed",
        "could not load order 7",
    ),
    Way(
        "errors stand in place of all records",
        "lacuna-tech/mds-core#272",
        body({"items": [{"error": "timed out"}]}),
        ONE_PAGE,
        "failed",
        "none of its 1 records has any",
    ),
]
