"""Rows that are too large or too deep are told one by one; none ends a run."""

from __future__ import annotations

import json
import math
from typing import Any

import pyarrow as pa
import pytest

from landing.catalog.fields import Field
from landing.columns.conversion import Columns, Converted
from landing.columns.json_text import MAX_NESTING, TooDeepError, check_nesting, without_depths
from landing.columns.size_limits import MAX_KEPT_BYTES, MAX_ROW_BYTES, TOO_LARGE, bounded
from landing.extraction.pages import BATCH_BYTES, MOST_ROWS, Page, batches, row_count
from landing.http import JsonPage
from tests.kit import Kit, Zone

FIELDS = {"id": Field(type="integer"), "body": Field(type="array"), "text": Field(type="string")}
TOO_DEEP = f"an array that is nested deeper than {MAX_NESTING} levels"


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


def records(*bodies: bytes) -> bytes:
    rows = [b'{"id": %d, "body": %s}' % (n, body) for n, body in enumerate(bodies)]
    return b'{"data": [%s]}' % b", ".join(rows)


def told(converted: Converted) -> tuple[list[int], list[str]]:
    return converted.table["id"].to_pylist(), [error.reason for error in converted.errors]


@pytest.mark.parametrize("levels", [MAX_NESTING + 1, 900, 5_000, 200_000])
def test_a_value_nested_too_deeply_is_rejected_alone(levels: int) -> None:
    page = JsonPage(records(b"[1]", nested(levels), nested(MAX_NESTING)), "data")
    assert told(Columns(FIELDS).convert((page,))) == ([0, 2], [TOO_DEEP])
    others = {"id": FIELDS["id"]}
    assert told(Columns(others).convert((page,))) == ([0, 1, 2], []), "not decoded, not told"


def test_a_python_value_nested_too_deeply_is_rejected_alone() -> None:
    value: list[Any] = []
    for _ in range(2_000):
        value = [value]
    rows = [{"id": 0, "body": [1]}, {"id": 1, "body": value}]
    assert told(Columns(FIELDS).from_rows(rows)) == ([0], [TOO_DEEP])


def test_brackets_in_text_are_no_levels() -> None:
    text = json.dumps(['["\\' * 2 * MAX_NESTING] * 3).encode()
    check_nesting(text)
    with pytest.raises(TooDeepError):
        check_nesting(b"[" * MAX_NESTING + text + b"]" * MAX_NESTING)


@pytest.mark.parametrize("most", [1, 2, 3])
def test_what_is_too_deep_becomes_null(most: int) -> None:
    text = b'{"a": [1, {"b": "]"}, [2, [3]]], "c": {}}'
    expected = {
        1: {"a": None, "c": None},
        2: {"a": [1, None, None], "c": {}},
        3: {"a": [1, {"b": "]"}, [2, None]], "c": {}},
    }
    assert json.loads(without_depths(text, most)) == expected[most]


NUMBER = "a number out of range where an integer is configured"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"9" * 5_000, NUMBER),
        (b"-" + b"9" * 5_000, NUMBER),
        (b"1e400", NUMBER),
        (b'"\xff"', "JSON that can't be read where an integer is configured"),
        (b"[" + b"9" * 5_000 + b"]", "JSON that can't be read where an integer is configured"),
        (b'"' + b"9" * 100_000 + b'"', "text where an integer is configured"),
        (b"9" * 4_000, "an integer that does not fit into 64 bits; configure it as a string"),
    ],
    ids=lambda value: str(value)[:12],
)
def test_a_record_that_no_decoder_takes_is_rejected_alone(value: bytes, reason: str) -> None:
    page = JsonPage(b'[{"id": 1}, {"id": %s}, {"id": 2}]' % value)
    assert told(Columns(FIELDS).convert((page,))) == ([1, 2], [reason])


def test_a_number_of_any_length_lands_as_text() -> None:
    digits = "9" * 5_000
    page = JsonPage(b'[{"text": %s}]' % digits.encode())
    assert Columns(FIELDS).convert((page,)).table["text"].to_pylist() == [digits]


LARGE = "x" * MAX_ROW_BYTES


@pytest.mark.parametrize("shape", ["rows", "pages", "arrow"])
def test_a_row_that_is_too_large_is_rejected_alone(shape: str) -> None:
    rows = [{"id": n, "text": LARGE if n == 3 else str(n)} for n in range(7)]
    batch: Any = {
        "rows": rows,
        "pages": (JsonPage(json.dumps(rows).encode()),),
        "arrow": pa.Table.from_pylist(rows),
    }[shape]
    converted = Columns(FIELDS).convert(batch)
    assert told(converted) == ([0, 1, 2, 4, 5, 6], [TOO_LARGE])
    assert converted.errors[0].field == "text"


def test_many_rows_that_are_large_together_land() -> None:
    rows = [{"id": n, "text": "x" * (MAX_ROW_BYTES // 2)} for n in range(4)]
    assert told(Columns(FIELDS).from_rows(rows)) == ([0, 1, 2, 3], [])


def test_of_a_row_that_is_too_large_quarantine_keeps_the_start(kit: Kit, folder_zone: Zone) -> None:
    kit.add_source(
        "big",
        "import dlt\n@dlt.resource\ndef rows():\n"
        f"    yield [{{'id': 1}}, {{'id': 2, 'text': 'x' * {MAX_ROW_BYTES}}}]\n"
        "    value = []\n    for _ in range(3000): value = [value]\n"
        "    yield [{'id': 3, 'body': value}, {'id': 10 ** 5000, 'text': '\\ud800'}]\n",
    )
    fields = {name: {"type": field.type} for name, field in FIELDS.items()}
    kit.configure("big", "rows", fields=fields)
    done = kit.run("big", "rows")
    assert done.code == 0, done.text
    assert "3 records do not fit" in done.out
    assert folder_zone.query("big", "rows", "SELECT id FROM landed") == [(1,)]
    [kept] = folder_zone.paths("_quarantine")
    lines = folder_zone.read(kept).splitlines()
    assert max(map(len, lines)) < 1.1 * MAX_KEPT_BYTES
    kept_rows = [json.loads(line)["row"] for line in lines]
    assert any(row.startswith('{"id":2,"text":"xxx') for row in kept_rows)


def test_a_kept_row_is_cut_between_characters() -> None:
    row = json.dumps({"a": "ü" * MAX_KEPT_BYTES}, ensure_ascii=False).encode()
    assert json.loads(bounded(row)).startswith('{"a": "üü')
    assert bounded(b"{}") == b"{}"


def pages(*sizes: int, text: str = "") -> list[Page]:
    return [Page([{"n": n, "text": text} for n in range(size)]) for size in sizes]


def test_a_page_of_very_many_rows_comes_in_pieces() -> None:
    size = 2 * MOST_ROWS + 1
    rows = [{"n": n} for n in range(size)]
    shapes = [rows, (JsonPage(json.dumps(rows).encode()),), pa.Table.from_pylist(rows)]
    for shape in shapes:
        pieces = list(batches([Page(shape)]))  # type: ignore[arg-type]
        assert list(map(row_count, pieces)) == [MOST_ROWS, MOST_ROWS, 1]
        columns = Columns({"n": Field(type="integer")})
        found = [n for piece in pieces for n in columns.convert(piece).table["n"].to_pylist()]
        assert found == list(range(size))


def test_a_batch_has_few_rows_where_they_are_large() -> None:
    text = "x" * (BATCH_BYTES // 100)
    sizes = list(map(row_count, batches(pages(*[1] * 200, text=text))))
    assert max(sizes) <= 2 * 100
    assert sum(sizes) == 200
    bodies = [JsonPage(json.dumps([{"text": text}]).encode()) for _ in range(200)]
    sizes = list(map(row_count, batches(Page((body,)) for body in bodies)))
    assert max(sizes) <= 128
    assert sum(sizes) == 200
    assert list(map(row_count, batches(pages(*[1] * 10_001)))) == [5_000, 5_000, 1]


def test_rows_that_are_no_json_are_batched_by_their_number() -> None:
    odd = [Page([{"n": math.nan, "of": object(), 1: "\ud800"}]) for _ in range(10)]  # type: ignore[dict-item]
    assert list(map(row_count, batches(odd))) == [10]
