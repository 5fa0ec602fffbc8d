"""Nested fields keep the text that the API sent only where it is how they land."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from landing.catalog.fields import Field
from landing.columns.conversion import Columns
from landing.columns.json_numbers import exact_number, loses_digits
from landing.columns.json_page import JsonPage
from landing.columns.json_text import Unreadable

FIELDS = {
    "id": Field(type="integer"),
    "n": Field(type="integer"),
    "about": Field(
        type="object", properties={"a": Field(type="string"), "b": Field(type="number")}
    ),
    "items": Field(type="array", items=Field(type="integer")),
}
USUAL = '{"a":"x","b":1.5}'


@pytest.mark.parametrize(
    "odd",
    [
        '{"a":1,"a":2,"b":3}',
        '{"b":1,"a":"x"}',
        '{"a":"x","b":1.5,"c":0}',
        '{ "a":"x","b":1.5}',
        '{"a":"x",\n"b":1.5}',
        '{"a":"\\u00e9\\/","b":1.50}',
        '{"a":-0,"b":1e2}',
        '{"a":[1, 2],"b":{"c":1}}',
        "null",
        "{}",
        '"text"',
        "[1]",
        '{"a":123456789012345678901234567890,"b":0.1}',
    ],
)
def test_pages_convert_as_by_row(odd: str) -> None:
    columns = Columns(FIELDS)
    usual = _page([USUAL] * 2_000)
    assert columns.typed([usual]) is not None
    page = _page([USUAL] * 2_000 + [odd])
    expected = Columns(FIELDS).from_rows(page.rows())
    for _ in range(2):
        converted = columns.from_pages([page])
        assert converted.table.equals(expected.table)
        assert [(e.index, e.field) for e in converted.errors] == [
            (e.index, e.field) for e in expected.errors
        ]
    assert list(columns.from_pages([usual]).given("items")[:2]) == [[0], [1]]


def test_bytes_that_are_not_utf_8_are_found() -> None:
    columns = Columns(FIELDS)
    columns.from_pages([_page([USUAL] * 2_000)])
    content = _page([USUAL] * 2_000).content[:-2] + b',"items":["\xed\xa0\x80"]}]'
    expected = Columns(FIELDS).from_rows(JsonPage(content).rows())
    converted = columns.from_pages([JsonPage(content)])
    assert converted.table.equals(expected.table)
    assert len(converted.errors) == len(expected.errors)


def _page(abouts: list[str]) -> JsonPage:
    rows = (f'{{"id":{n},"n":1,"about":{about},"items":[{n}]}}' for n, about in enumerate(abouts))
    return JsonPage(f"[{','.join(rows)}]".encode())


@given(
    st.text("abc {}:,-/", max_size=9),
    st.text("0123456789", min_size=14, max_size=40),
    st.integers(1, 13),
)
def test_decimals_of_more_digits_than_a_double_keeps_are_found(
    before: str, digits: str, dot: int
) -> None:
    number = f"{int(digits[:dot])}.{digits[dot:]}"
    content = f'{{"{before}":{number}}}'.encode()
    assert loses_digits(content) == isinstance(exact_number(number), Unreadable)
