"""Pages that Arrow reads have the rows that they have decoded, or are left to the decoder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from unittest import mock

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landing.catalog.fields import Field
from landing.columns import arrow_pages as pagecolumns
from landing.columns.arrow_pages import PageColumns
from landing.columns.conversion import Columns, Converted
from landing.http import JsonPage
from tests.test_http import DECODED_FIELDS, PLAUSIBLE, VALUES, rows_of

PLAIN = {
    "id": Field(type="integer"),
    "ratio": Field(type="number"),
    "price": Field(type="number"),
    "paid": Field(type="boolean"),
    "name": Field(type="string"),
    "city": Field(type="string"),
    "at": Field(type="string", format="date-time"),
    "day": Field(type="string", format="date"),
}
FIELDS = {**PLAIN, "tags": Field(type="array"), "mixed": Field(type=["integer", "string"])}


def row(number: int, **other: Any) -> dict[str, Any]:
    plain = {
        "id": number,
        "ratio": number / 8,
        "price": number if number % 2 else number + 0.5,
        "paid": number % 3 == 0,
        "name": f"näme {number}\n\u0000\U0001f600",
        "city": None if number % 5 else "x" * 60,
        "at": f"2024-01-01 10:00:{number % 60:02d}",
        "day": "2024-02-29",
    }
    nested = {"tags": [number, {"a": None}], "mixed": number if number % 2 else "n"}
    return {**plain, **nested, "unwanted": {"id": -1}, **other}


def pages_of(*bodies: bytes, records: str = "data") -> list[JsonPage]:
    return [JsonPage(body, records) for body in bodies]


def tries_arrow(columns: Columns) -> bool:
    return columns._of_pages is not None and columns._of_pages.is_worth_it


def body(*rows: dict[str, Any], **style: Any) -> bytes:
    return json.dumps({"next": None, "data": rows}, **style).encode()


def read_by_arrow(columns: Columns, pages: list[JsonPage]) -> Converted | None:
    """None where it is not Arrow that reads them."""
    assert columns._of_pages is not None
    return columns.typed(pages) if columns._of_pages.read(pages) is not None else None


def carefully(columns: Columns, pages: list[JsonPage]) -> Converted:
    return columns.from_rows([row for page in pages for row in page.rows()])


@pytest.fixture
def of_any_size() -> Iterator[None]:
    with mock.patch.object(pagecolumns, "LEAST_BYTES", 0):
        yield


@pytest.mark.parametrize("fields", [FIELDS, PLAIN])
@pytest.mark.parametrize("style", [{}, {"indent": 1}, {"ensure_ascii": False}])
def test_large_pages_are_read_by_arrow_and_have_the_same_rows(
    fields: dict[str, Field], style: dict[str, Any]
) -> None:
    columns = Columns(fields)
    bodies = [body(*map(row, range(n, n + 400)), **style) for n in (0, 400, 800)]
    pages = pages_of(bodies[0], body(), *bodies[1:])
    found = read_by_arrow(columns, pages)
    assert found is not None
    expected = carefully(columns, pages)
    assert found.table.equals(expected.table)
    assert found.table.schema.equals(expected.table.schema)
    for name in fields:
        here, there = found.raw(name), expected.raw(name)
        assert list(map(repr, here)) == list(map(repr, there)), "spelled as the API has it"
        assert here[7] == there[7]
        assert list(here[3:9]) == list(there[3:9])


@pytest.mark.parametrize("records", ["", "data"])
@pytest.mark.parametrize("line_break", [b"\n", b"\r\n", b"\r"])
def test_pages_of_very_different_sizes_are_read_in_order(records: str, line_break: bytes) -> None:
    """Arrow divides the joined pages into blocks at line breaks, of which a page may have some."""
    columns = Columns(FIELDS)
    bodies = []
    for first, count in ((0, 1), (1, 3_000), (4_000, 0), (4_001, 700), (5_000, 2)):
        found = list(map(row, range(first, first + count)))
        text = json.dumps({"data": found} if records else found, indent=[None, 0][first % 2])
        bodies.append(text.encode().replace(b"\n", line_break))
    pages = pages_of(*bodies, records=records)
    assert len(bodies[1]) > 2 * pagecolumns.LEAST_BLOCK > len(bodies[0]), "several blocks"
    converted = read_by_arrow(columns, pages)
    assert converted is not None
    assert converted.table.equals(carefully(columns, pages).table)


@pytest.mark.usefixtures("of_any_size")
@pytest.mark.parametrize("records", ["", "data", "result.all.data"])
def test_records_are_found_wherever_they_are_in_a_page(records: str) -> None:
    columns = Columns(FIELDS)
    found: Any = [row(1), row(2)]
    for key in reversed(records.split(".") if records else []):
        found = {"data": 1, "other": [{"id": "no"}], key: found}
    pages = pages_of(json.dumps(found).encode(), records=records)
    converted = read_by_arrow(columns, pages)
    assert converted is not None
    assert converted.table.equals(carefully(columns, pages).table)


@pytest.mark.usefixtures("of_any_size")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", "1.0"),
        ("id", "1e3"),
        ("id", "9223372036854775808"),
        ("id", "true"),
        ("id", '"7"'),
        ("id", '1, "id": 2'),
        ("ratio", "9007199254740993"),
        ("ratio", "123456789012345678901234567890"),
        ("ratio", "1e400"),
        ("ratio", "-0"),
        ("ratio", '"0.5"'),
        ("name", "7"),
        ("paid", "0"),
        ("at", '"yesterday"'),
        ("day", '"2024-02-30"'),
    ],
)
def test_what_needs_a_look_of_its_own_gets_it(name: str, value: str) -> None:
    columns = Columns(FIELDS)
    odd = json.dumps(row(2, **{name: "HERE"})).replace('"HERE"', value)
    first = json.dumps(row(1)).encode()
    pages = pages_of(b'{"data": [%b, %b]}' % (first, odd.encode()))
    assert read_by_arrow(columns, pages) is None
    converted, expected = columns.convert(tuple(pages)), carefully(columns, pages)
    assert converted.table.equals(expected.table)
    assert repr(converted.table["ratio"].to_pylist()) == repr(expected.table["ratio"].to_pylist())
    assert [(m.index, m.field, m.reason) for m in converted.errors] == [
        (m.index, m.field, m.reason) for m in expected.errors
    ]


@pytest.mark.usefixtures("of_any_size")
def test_text_that_is_not_utf_8_is_no_text() -> None:
    columns = Columns(PLAIN)
    content = body(row(1), row(2)).replace(b"2024-02-29", b"\xff")
    assert read_by_arrow(columns, pages_of(content)) is None
    in_text = body(row(1, city="HERE"), row(2)).replace(b"HERE", b"\xed\xa0\x80")
    pages = pages_of(in_text)
    assert read_by_arrow(columns, pages) is None
    assert [m.field for m in columns.convert(tuple(pages)).errors] == ["city"]


@pytest.mark.usefixtures("of_any_size")
@pytest.mark.parametrize("record", ["null", "7", "[]"])
def test_records_that_are_no_objects_are_no_rows_of_nulls(record: str) -> None:
    columns = Columns(PLAIN)
    pages = pages_of(b'{"data": [%b, %b]}' % (json.dumps(row(1)).encode(), record.encode()))
    assert columns.typed(pages) is None
    converted = columns.convert(tuple(pages))
    assert converted.table.num_rows == 1
    assert [(m.index, m.field) for m in converted.errors] == [(1, "record")]


@pytest.mark.usefixtures("of_any_size")
def test_a_page_without_its_first_records_is_decoded() -> None:
    columns = Columns(FIELDS)
    (page,) = pages_of(body(*map(row, range(9))))
    rest = [page.without_first(4)]
    assert read_by_arrow(columns, rest) is None
    assert columns.convert(tuple(rest)).table["id"].to_pylist() == [4, 5, 6, 7, 8]


@pytest.mark.usefixtures("of_any_size")
def test_what_is_refused_again_and_again_is_decoded_from_then_on() -> None:
    columns = Columns(FIELDS)
    assert tries_arrow(columns)
    for number in range(2):
        assert columns.typed(pages_of(body(row(number, id="7")))) is None
        assert columns.typed(pages_of(body(row(number)))) is not None
    for number in range(3):
        assert tries_arrow(columns)
        assert columns.typed(pages_of(body(row(number, id="7")))) is None
    assert not tries_arrow(columns)
    pages = pages_of(body(row(1)))
    assert columns.typed(pages) is not None
    assert read_by_arrow(columns, pages) is None


@pytest.mark.usefixtures("of_any_size")
def test_pages_of_which_little_is_wanted_are_decoded() -> None:
    columns = Columns(PLAIN)
    content = body(*(row(n, unwanted="x" * 2_000) for n in range(9)))
    for _ in range(3):
        assert tries_arrow(columns)
        assert columns.typed(pages_of(content)) is not None
    assert not tries_arrow(columns)


def test_small_pages_and_nested_fields_alone_are_decoded() -> None:
    columns = Columns(FIELDS)
    assert read_by_arrow(columns, pages_of(body(row(1)))) is None
    nested = Columns({"tags": FIELDS["tags"]})
    assert not tries_arrow(nested)


def test_a_field_of_a_name_that_the_decoder_can_not_look_for_keeps_arrow_out() -> None:
    assert not tries_arrow(Columns({**PLAIN, 'odd "name"': Field(type="array")}))
    assert PageColumns({}).record is msgspec.Raw


@settings(max_examples=250, deadline=None)
@given(
    st.one_of(rows_of(PLAUSIBLE), rows_of(dict.fromkeys(DECODED_FIELDS, VALUES))),
    st.sampled_from([None, 1]),
)
def test_any_page_has_the_same_rows_and_conversion_errors_as_dictionaries(
    rows: list[dict[str, Any]], indent: int | None
) -> None:
    with (
        mock.patch.object(pagecolumns, "LEAST_BYTES", 0),
        mock.patch.object(pagecolumns, "_BYTES_A_VALUE", 10**9),
    ):
        columns = Columns(DECODED_FIELDS)
        pages = pages_of(body(*rows, indent=indent))
        found, expected = columns.convert(tuple(pages)), carefully(columns, pages)
    same_as_dictionaries(found, expected)
    assert list(found.raw("id")) == list(expected.raw("id"))
    assert list(map(repr, found.raw("ratio"))) == list(map(repr, expected.raw("ratio")))


def same_as_dictionaries(found: Converted, expected: Converted) -> None:
    assert found.table.equals(expected.table)
    assert [(m.field, m.reason, repr(m.row)) for m in found.errors] == [
        (m.field, m.reason, repr(m.row)) for m in expected.errors
    ]


INTEGER = Field(type="integer")
NESTED = {
    "tags": Field(type="array", items=Field(type="string")),
    "any": Field(type="array"),
    "customer": Field(
        type="object",
        properties={"id": Field(type="integer"), 'say "é"': Field(type=["string", "null"])},
    ),
    "lines": Field(
        type="array",
        items=Field(
            type="object",
            properties={
                "price": Field(type="number"),
                "colours": Field(type="array", items=Field(type="string")),
                "size": Field(type="object", properties={"x": Field(type="number")}),
            },
        ),
    ),
}
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**17), 10**17),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(-100, 100).map(lambda number: round(number, 4)),
    st.text(max_size=6),
    st.sampled_from(["\\", '"', "\n", "\u2028", "\x7f", "a/b", "\x00", "\U0001f600", "null", ", "]),
)
OTHER = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
NUMBERS = st.sampled_from(
    [
        *("0", "-0", "0.0", "-0.0", "1.0", "1.50", "0.5", "0.0001", "0.00001", "1e5", "1E-3"),
        *("123456789.1234", "1234567890.5", "12345678901234567890", "1.23456789012345678", "-5"),
        *("100000000000000", "1234567890123456", "999999999.9999", "-0.25"),
    ]
)


def nested_values() -> st.SearchStrategy[dict[str, Any]]:
    size = st.fixed_dictionaries({"x": SCALARS})
    line = st.fixed_dictionaries(
        {"price": SCALARS, "colours": st.lists(st.text(max_size=3), max_size=2), "size": size}
    )
    customer = st.fixed_dictionaries(
        {"id": st.integers(), 'say "é"': st.none() | st.text(max_size=4)}
    )
    return st.fixed_dictionaries(
        {
            "tags": st.none() | st.lists(st.text(max_size=4), max_size=3) | OTHER,
            "any": st.none() | st.lists(SCALARS, max_size=3) | OTHER,
            "customer": st.none() | customer | OTHER,
            "lines": st.none() | st.lists(line, max_size=2) | OTHER,
        }
    )


@given(
    rows=st.lists(nested_values(), min_size=1, max_size=3),
    spaced=st.booleans(),
    escaped=st.booleans(),
    numbers=st.lists(NUMBERS, min_size=1, max_size=3),
    twice=st.sampled_from([b"", b'"tags":["first"],', b'"customer":{"id":1,"id":2},']),
)
@settings(deadline=None, max_examples=100)
def test_nested_fields_land_as_they_would_from_dictionaries(
    rows: list[dict[str, Any]], spaced: bool, escaped: bool, numbers: list[str], twice: bytes
) -> None:
    separators = (", ", ": ") if spaced else (",", ":")
    text = json.dumps(rows, separators=separators, ensure_ascii=escaped)
    content = text.encode("utf-8", "surrogatepass").replace(b'"any"', twice + b'"any"')
    more = ",".join(
        f'{{"any":[{number}],"lines":[{{"price":{number},"colours":[],"size":{{"x":{number}}}}}]}}'
        for number in numbers
    )
    page = JsonPage(content[:-1] + b"," + more.encode() + b"]")
    columns = {**PLAIN, **NESTED}
    with (
        mock.patch.object(pagecolumns, "LEAST_BYTES", 0),
        mock.patch.object(pagecolumns, "_BYTES_A_VALUE", 10**6),
    ):
        found = Columns(columns).from_pages([page])
        same_as_dictionaries(found, Columns(columns).carefully([page]))


def test_compact_json_is_not_decoded_and_other_json_soon_is_as_before() -> None:
    compact = [row(number, customer={"id": number, 'say "é"': None}) for number in range(2000)]
    kept = {
        **PLAIN,
        "tags": Field(type="array", items=Field(type="integer")),
        "customer": NESTED["customer"],
    }
    for one in compact:
        one["tags"] = [1, 2]
    columns = Columns(kept)
    with mock.patch.object(msgspec.json, "decode", side_effect=AssertionError("decoded")):
        columns.from_pages(pages_of(body(*compact, separators=(",", ":"), ensure_ascii=False)))
    spaced = pages_of(body(*compact, indent=1))
    expected = columns.carefully(spaced)
    for _ in range(4):
        same_as_dictionaries(columns.from_pages(spaced), expected)
    assert columns._of_pages is not None
    assert columns._of_pages._respelled == {}


def test_a_page_in_which_fields_begin_to_be_decoded_has_the_same_rows() -> None:
    nested = {f"n{n}": Field(type="object", properties={"id": INTEGER}) for n in range(5)}
    columns = Columns({**PLAIN, **nested})
    customer = {"id": 7, "ssn": "078-05-1120"}
    rows = [row(number, **dict.fromkeys(nested, customer)) for number in range(1000)]
    for rest in ({}, {"n3": None}, {"n1": {"id": 1}}, {}):
        page = pages_of(body(*({**one, **rest} for one in rows)))
        with mock.patch.object(pagecolumns, "_BYTES_A_VALUE", 10**9):
            same_as_dictionaries(columns.from_pages(page), columns.carefully(page))
