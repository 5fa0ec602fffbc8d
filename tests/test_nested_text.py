"""Nested fields keep the text that the API sent only where it is how they land."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from landing.catalog.fields import Field
from landing.columns.conversion import Columns
from landing.columns.json_numbers import exact_number, loses_digits
from landing.columns.json_page import JsonPage
from landing.columns.json_text import Unreadable
from landing.columns.nested_text import NoPatternError, matching, pattern_of

NESTED = Field(type="object")
ANY = Field(type=["array", "object", "string", "number", "boolean", "null"])
FIELDS = {
    "id": Field(type="integer"),
    "n": Field(type="integer"),
    "about": Field(type="object", properties={"a": ANY, "b": ANY}),
    "items": Field(type="array"),
}
USUAL = '{"a":"x","b":1.5}'
_scalars = (
    st.text() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
) | st.sampled_from([None, True, False])


@given(_scalars, st.sampled_from(["", " "]), st.booleans())
@example(1e-05, "", False)
@example(-0.0, "", False)
@example("\x7f/\u2028\x1b", "", False)
def test_what_matches_is_spelled_as_the_encoder_does(
    value: Any, space: str, is_ascii: bool
) -> None:
    text = json.dumps({"a": value}, separators=("," + space, ":" + space), ensure_ascii=is_ascii)
    _check_same(text.encode(errors="replace"), '{"a":1}')


@pytest.mark.parametrize(
    "number",
    [
        *("-0", "1.50", "1.0", "1e5", "0.0001", "0.00001", "-0.0", "123456789.123456", "01"),
        *("1E2", "18446744073709551616", "999999999999999999", "999999999.1", "0.1000", "-7"),
    ],
)
def test_numbers(number: str) -> None:
    _check_same(f'{{"a":{number}}}'.encode(), '{"a":1}')


def _check_same(text: bytes, usual: str) -> None:
    found = matching([msgspec.Raw(text)], pattern_of(pa.array([usual]), NESTED))
    if found is not None:
        assert found[0].as_py().encode() == msgspec.json.encode(msgspec.json.decode(text))


def test_usual_texts_match() -> None:
    texts = [
        '{"a":[{"b":"\\"\\n","c":null}]}',
        '{"a":[]}',
        '{"a":null}',
        '{"a":[{"b":"é","c":0.25}]}',
    ]
    found = matching([msgspec.Raw(t.encode()) for t in texts], pattern_of(pa.array(texts), NESTED))
    assert found is not None
    assert found.to_pylist() == texts


def test_several_structures_have_no_pattern() -> None:
    for other in ('{"b":1}', '{"a":{}}', "[]"):
        with pytest.raises(NoPatternError):
            pattern_of(pa.array(['{"a":1}', other]), NESTED)


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
def test_pages_convert_as_without_what_was_learned(odd: str) -> None:
    learned = Columns(FIELDS)
    usual = _page([USUAL] * 2_000)
    assert learned.typed([usual]) is not None
    page = _page([USUAL] * 2_000 + [odd])
    expected = Columns(FIELDS).from_rows(page.rows())
    for _ in range(2):
        converted = learned.from_pages([page])
        assert converted.table.equals(expected.table)
        assert [(e.index, e.field) for e in converted.errors] == [
            (e.index, e.field) for e in expected.errors
        ]
    assert list(learned.from_pages([usual]).given("items")[:2]) == [[0], [1]]


def test_bytes_that_are_not_utf_8_are_found() -> None:
    learned = Columns(FIELDS)
    learned.from_pages([_page([USUAL] * 2_000)])
    content = _page([USUAL] * 2_000).content[:-2] + b',"items":["\xed\xa0\x80"]}]'
    expected = Columns(FIELDS).from_rows(JsonPage(content).rows())
    converted = learned.from_pages([JsonPage(content)])
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
