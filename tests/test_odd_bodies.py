"""What an API may answer with status 200, through a run: landed, in quarantine, or an error."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kit import Kit, Zone
from tests.servers.scripted import serve

STREAMS = """\
import os

import dlt

from landing.http import Api, Csv, JsonLines, NextUrlPages, Retries

api = Api(os.environ["SHOP_URL"], retries=Retries(total=0))


@dlt.resource(primary_key="id")
def orders():
    yield from api.pages("orders", records=RECORDS)
"""
FIELDS: dict[str, Any] = {
    "id": {"type": "integer"},
    "total": {"type": "number"},
    "note": {"type": "string"},
    "more": {"type": "object"},
}


def answered(
    kit: Kit, patch: pytest.MonkeyPatch, records: str, body: bytes, kind: str = "text/plain"
) -> Any:
    kit.add_source("shop", STREAMS.replace("RECORDS", records))
    kit.configure("shop", "orders", fields=FIELDS)
    with serve(lambda exchange: exchange.reply(200, body, Content_Type=kind)) as server:
        patch.setenv("SHOP_URL", server.url)
        return kit.run("shop", "orders")


@pytest.mark.parametrize(
    ("records", "body", "says"),
    [
        ("Csv()", b'{"error": "too many requests"}', "JSON where CSV is expected: too many"),
        ("Csv()", b"<html><body>Down</body></html>", "HTML or XML where CSV is expected"),
        ("Csv()", b"service is down\n", "none of the stream's fields (service is down)"),
        ("Csv()", b"id,id\n1,2\n", "the name 'id' is there 2 times"),
        ("JsonLines()", b'{"id": 1}\n{"error": "timed out"}\n', "but error: timed out"),
        ("JsonLines()", b'{"id": 1}\n{"id": 2', "no JSON object in each line"),
        ('""', b'[{"id": 1}, {"errors": [{"message": "gone\\u001b[1m"}]}]', "but errors: gone [1m"),
        ('""', b'[{"error": "timed out"}]', "none of its 1 records has any"),
        ('""', b'[{"id": 1}, {"id": 2}', "no JSON list of records"),
        ('""', b'{"message": "no such shop"}', "it says: no such shop"),
        ('""', b'["no such shop"]', "a record of the page is a str"),
    ],
)
def test_an_error_with_status_200_is_no_page(
    kit: Kit,
    folder_zone: Zone,
    monkeypatch: pytest.MonkeyPatch,
    records: str,
    body: bytes,
    says: str,
) -> None:
    done = answered(kit, monkeypatch, records, body)
    assert done.code == 1, done.text
    assert says in done.err
    assert not folder_zone.parts("shop", "orders")


@pytest.mark.parametrize(
    "record",
    [
        b'{"id": 3, "note": "\\ud83d"}',
        b'{"id": 3, "total": NaN}',
        b'{"id": 3, "total": -Infinity}',
        b'{"id": 3, "more": {"a": [NaN]}}',
        b'{"id": 3, "more": ' + b"[" * 2_000 + b"]" * 2_000 + b"}",
        b"null",
        b"[]",
        b"7",
        b'{"id": 3, "total": 0.12345678901234567890}',
        b'{"id": 3, "total": 9007199254740993.0}',
        b'{"id": 3, "total": 1e400}',
        b'{"id": 3, "total": 1e-400}',
        b'{"id": 3, "total": -0.5E-0400}',
        b'{"id": 3, "total": 1e99999999999999999999}',
        b'{"id": 1e99999999999999999999}',
        b'{"id": 1e-99999999999999999999}',
        b'{"id": 3.5}',
    ],
    ids=lambda record: str(record)[2:30],
)
@pytest.mark.parametrize("records", ['"data.list"', "JsonLines()"])
def test_one_odd_record_is_one_odd_record(
    kit: Kit,
    folder_zone: Zone,
    monkeypatch: pytest.MonkeyPatch,
    records: str,
    record: bytes,
) -> None:
    rows = [b'{"id": 1, "note": "a,]}"}', record, b'{"id": 2, "total": 1.5}']
    body = b'{"data": {"list": [%b]}}' % b",".join(rows) if "data" in records else b"\n".join(rows)
    done = answered(kit, monkeypatch, records, body)
    assert done.code == 0, done.text
    assert folder_zone.query("shop", "orders", "SELECT id, note, total FROM landed ORDER BY 1") == [
        (1, "a,]}", None),
        (2, None, 1.5),
    ]
    assert "1 record does not fit the configured fields and went to quarantine" in done.text
    assert kit.landing("quarantine", "show", "shop", "orders").code == 0


def test_what_stands_beside_odd_records_still_leads_to_the_next_page(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.add_source("shop", STREAMS.replace("RECORDS", '"data.list", paging=NextUrlPages()'))
    kit.configure("shop", "orders", fields=FIELDS)
    with serve(lambda exchange: exchange.reply(200, pages[exchange.seen.path])) as server:
        first = '{"took": NaN, "data": {"max": Infinity, "list": [{"id": 1}, {"total": NaN}]}, '
        first += f'"next": "{server.url}/more"}}'
        last = '{"data": {"list": [{"id": 2}]}, "next": null}'
        pages = {"/orders": first.encode(), "/more": last.encode()}
        monkeypatch.setenv("SHOP_URL", server.url)
        assert kit.run("shop", "orders").code == 0
    assert folder_zone.query("shop", "orders", "SELECT id FROM landed") == [(1,), (2,)]


def test_text_keeps_every_digit_and_doubles_stay_doubles(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    pi = "3.14159265358979323846264338327950288"
    body = f'[{{"id": 1, "note": {pi}, "more": {{"a": [{pi}, 1e400, 1e-400]}}}},'
    body += '{"id": 2, "total": 0.1},'
    body += '{"id": 3, "total": 0.10000000000000001}, {"id": 4, "total": 0.30000000000000004},'
    body += '{"id": 5, "total": 0.1000000000000000055511151231257827}, {"id": 6.0}]'
    assert answered(kit, monkeypatch, '""', body.encode()).code == 0
    assert folder_zone.query("shop", "orders", "SELECT id, note, more, total FROM landed") == [
        (1, pi, f'{{"a":[{pi},1e400,1e-400]}}', None),
        (2, None, None, 0.1),
        (3, None, None, 0.1),
        (4, None, None, 0.30000000000000004),
        (5, None, None, 0.1),
        (6, None, None, None),
    ]


@pytest.mark.parametrize(
    ("records", "text"), [('""', '[{"id": 1, "note": "ä"}]'), ("Csv({'id': int})", "id,note\n1,ä")]
)
@pytest.mark.parametrize(
    ("encoding", "kind"),
    [
        ("utf-8", "x"),
        ("utf-8-sig", "x"),
        ("utf-16", "x"),
        ("latin-1", 'text/csv; charset="iso-8859-1"'),
        ("utf-8", "text/csv; charset=iso-8859-1"),
    ],
)
def test_text_of_any_encoding_is_read(
    kit: Kit,
    folder_zone: Zone,
    monkeypatch: pytest.MonkeyPatch,
    records: str,
    text: str,
    encoding: str,
    kind: str,
) -> None:
    done = answered(kit, monkeypatch, records, text.encode(encoding), kind)
    assert done.code == 0, done.text
    assert folder_zone.query("shop", "orders", "SELECT id, note FROM landed") == [(1, "ä")]


def test_csv_values_that_are_no_numbers_go_to_quarantine(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = b"id,total,note\n1,2.5,%b\n1_000,1,\n2,1e999,\n3,1e-400,\n" % (b"x" * 200_000)
    done = answered(kit, monkeypatch, 'Csv({"id": int, "total": float})', body)
    assert done.code == 0
    assert "3 records do not fit" in done.text
    assert folder_zone.query("shop", "orders", "SELECT id, length(note) FROM landed") == [
        (1, 200_000)
    ]
