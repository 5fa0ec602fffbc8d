"""Field types from sampled records."""

from __future__ import annotations

from datetime import UTC, date, datetime
from datetime import time as time_of_day
from decimal import Decimal
from typing import Any
from uuid import UUID

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landing.catalog.fields import MAX_DEPTH, Field
from landing.columns.conversion import Columns
from landing.columns.inference import declared_fields, fields_of


def inferred(*values: Any) -> Field:
    return fields_of([{"value": value} for value in values])["value"]


INTEGER = Field(type="integer")
NUMBER = Field(type="number")
STRING = Field(type="string")
DATE = Field(type="string", format="date")
DATE_TIME = Field(type="string", format="date-time")


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ([1], INTEGER),
        ([1.0], NUMBER),
        ([100, 99.5], NUMBER),
        ([99.5, 100], NUMBER),
        ([None, 1, None], INTEGER),
        ([True, False], Field(type="boolean")),
        (["a", ""], STRING),
        ([None, None], Field(type="null")),
        ([False, "a"], Field(type=["string", "boolean"])),
        ([1, "a", 1.5], Field(type=["number", "string"])),
        ([[1], {}], Field(type=["array", "object"], items=INTEGER)),
        ([1, True], Field(type=["integer", "boolean"])),
    ],
    ids=repr,
)
def test_all_kinds_that_occur_and_no_others(values: list[Any], field: Field) -> None:
    assert inferred(*values) == field


@pytest.mark.parametrize(
    ("values", "field"),
    [
        (["2024-01-01", None, "2023-02-28"], DATE),
        (["2024-01-01 10:00:00"], DATE_TIME),
        (["2024-01-01T10:00:00Z", "2024-01-01T10:00:00.123+02:00"], DATE_TIME),
        (["2024-01-01", "2024-01-01 10:00:00"], DATE_TIME),
        (["2024-01-01 10:00"], DATE_TIME),
        (["2024-01-01", ""], STRING),
        (["2024-01-01", "soon"], STRING),
        (["2024-01-01", "2024-02-30"], STRING),
        (["2024-01-01 10:00:00", "2024-01-01 25:00:00"], STRING),
        (["2024-01-01 10:00 at the gate"], STRING),
        (["2024-01-01T10:00:00.123456789Z"], STRING),
        (["0000-01-01 00:00:00"], STRING),
        (["9999-12-31T23:59:59-05:00"], STRING),
        (["2024-01-01 10:00:00", 7], Field(type=["integer", "string"])),
    ],
    ids=repr,
)
def test_a_format_only_where_every_value_parses(values: list[Any], field: Field) -> None:
    assert inferred(*values) == field


@pytest.mark.parametrize(
    "code",
    [
        "20240101",
        "2024",
        "2024-W01-1",
        "2024-001",
        "202401",
        "20240101T100000",
        "12:30",
        "1e5",
        "٣",
    ],
)
def test_codes_that_some_parser_would_take_for_a_date_stay_text(code: str) -> None:
    assert inferred(code) == STRING


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (datetime(2024, 1, 1), DATE_TIME),
        (datetime(2024, 1, 1, tzinfo=UTC), DATE_TIME),
        (pd.Timestamp("2024-01-01"), DATE_TIME),
        (date(2024, 1, 1), DATE),
        (Decimal("1.50"), NUMBER),
        (UUID(int=1), STRING),
        (b"\xff", STRING),
        (time_of_day(10, 30), STRING),
        ((1, 2), Field(type="array", items=INTEGER)),
    ],
    ids=repr,
)
def test_python_values_get_a_field_that_they_land_in(value: Any, field: Field) -> None:
    assert inferred(value) == field
    assert Columns({"value": field}).from_rows([{"value": value}]).errors == ()


def test_nested_fields_are_merged_over_all_elements_of_all_records() -> None:
    field = inferred(
        {"lines": [{"sku": "a", "price": 1}, {"sku": None, "on": "2024-01-01"}]},
        {"lines": []},
        {"lines": [{"price": 1.5, "on": "2024-01-01 10:00:00"}], "note": None},
    )
    line = Field(type="object", properties={"sku": STRING, "price": NUMBER, "on": DATE_TIME})
    assert field == Field(
        type="object",
        properties={"lines": Field(type="array", items=line), "note": Field(type="null")},
    )


def test_empty_arrays_and_objects_say_what_they_do_not_know() -> None:
    assert inferred([], []) == Field(type="array", items=Field(type="null"))
    assert inferred({}) == Field(type="object")


def test_fields_are_in_the_order_in_which_they_first_appear() -> None:
    assert list(fields_of([{"b": 1}, {"a": 1, "b": 2}, {"c": 1, "a": 1}])) == ["b", "a", "c"]


def test_nothing_is_described_deeper_than_a_file_may_be() -> None:
    value: Any = 1
    for _ in range(2 * MAX_DEPTH):
        value = {"x": [value]}
    field: Field | None = inferred(value)
    depth = 0
    while field is not None:
        depth += 1
        field = (field.properties or {}).get("x") or field.items
    assert depth == MAX_DEPTH


def test_declared_columns_say_more_than_a_sample() -> None:
    types = {
        "text": STRING,
        "bigint": INTEGER,
        "double": NUMBER,
        "decimal": NUMBER,
        "bool": Field(type="boolean"),
        "timestamp": DATE_TIME,
        "date": DATE,
        "time": Field(type="string", format="time"),
        "binary": STRING,
    }
    columns = {data_type: {"data_type": data_type} for data_type in types}
    assert declared_fields(columns, {}) == types
    assert declared_fields({"key": {"primary_key": True}}, {}) == {}, "no type is declared"


def test_a_declared_json_column_is_what_the_sample_shows() -> None:
    tags = Field(type="array", items=STRING)
    columns = {"tags": {"data_type": "json"}, "more": {"data_type": "json"}}
    unknown = Field(type=["array", "object"])
    assert declared_fields(columns, {"tags": tags}) == {"tags": tags, "more": unknown}
    assert declared_fields(columns, {"tags": Field(type="null")})["tags"] == unknown


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)  # no JSON
    | st.text(max_size=5)
    | st.datetimes().map(str)
    | st.dates().map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(records=st.lists(st.dictionaries(st.sampled_from("abc"), JSON, min_size=1), min_size=1))
def test_every_sampled_record_fits_the_fields_inferred_from_it(
    records: list[dict[str, Any]],
) -> None:
    converted = Columns(fields_of(records)).from_rows(records)
    assert converted.errors == ()
