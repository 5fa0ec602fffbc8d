"""Rows to Arrow columns: the type is the config's, and what it can't hold is told with why."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landing.catalog.fields import Field
from landing.columns.conversion import Columns, Converted
from landing.columns.fitting import ConversionError
from landing.columns.json_text import pruned
from landing.zone.parts import PartWriter

INTEGER = Field(type="integer")
NUMBER = Field(type="number")
BOOLEAN = Field(type="boolean")
STRING = Field(type="string")
DATE_TIME = Field(type="string", format="date-time")
DATE = Field(type="string", format="date")
ARRAY = Field(type="array")
OBJECT = Field(type="object")
MIXED = Field(type=["integer", "string", "object"])
NATIVE_LIST = Field(type="array", encoding="native", items=INTEGER)
NATIVE_STRUCT = Field(
    type="object",
    encoding="native",
    properties={
        "sku": STRING,
        "at": DATE_TIME,
        "sizes": Field(type="array", items=NUMBER),
        "box": Field(type="object", properties={"id": INTEGER}),
        "free": OBJECT,
    },
)

NOT_DATE_TIME = "text that is not an ISO date-time"
NOT_DATE = "text that is not an ISO date"
TOO_FINE = "a time finer than microseconds; configure it as a string"
OUTSIDE = "a date-time outside the years 1 to 9999"


def page(field: Field, *values: Any) -> Converted:
    return Columns({"value": field}).from_rows([{"value": value} for value in values])


def column(field: Field, values: pa.Array) -> Converted:
    return Columns({"value": field}).from_arrow(pa.table({"value": values}))


def landed(converted: Converted) -> list[Any]:
    values: list[Any] = converted.table["value"].to_pylist()
    return values


def reasons(converted: Converted) -> list[str]:
    return [error.reason for error in converted.errors]


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("field", "arrow"),
    [
        (INTEGER, pa.int64()),
        (NUMBER, pa.float64()),
        (Field(type=["integer", "number", "null"]), pa.float64()),
        (BOOLEAN, pa.bool_()),
        (STRING, pa.string()),
        (Field(type="string", format="uuid"), pa.string()),
        (Field(type="string", format="time"), pa.string()),
        (DATE_TIME, pa.timestamp("us", tz="UTC")),
        (Field(type=["string", "null"], format="date-time"), pa.timestamp("us", tz="UTC")),
        (DATE, pa.date32()),
        (ARRAY, pa.string()),
        (OBJECT, pa.string()),
        (MIXED, pa.string()),
        (Field(type="null"), pa.string()),
        (Field(type=["integer", "string"], format="date-time"), pa.string()),
        (NATIVE_LIST, pa.list_(pa.int64())),
        (Field(type="array", encoding="native"), pa.list_(pa.string())),
        (Field(type="object", encoding="native"), pa.string()),
        (
            NATIVE_STRUCT,
            pa.struct(
                [
                    ("sku", pa.string()),
                    ("at", pa.timestamp("us", tz="UTC")),
                    ("sizes", pa.list_(pa.float64())),
                    ("box", pa.struct([("id", pa.int64())])),
                    ("free", pa.string()),
                ]
            ),
        ),
    ],
)
def test_a_field_has_one_arrow_type_whatever_a_page_holds(field: Field, arrow: pa.DataType) -> None:
    columns = Columns({"value": field})
    assert columns.schema.field("value").type == arrow
    for rows in ([], [{}], [{"value": None}], [{"value": "x"}], [{"value": 1}]):
        assert columns.from_rows(rows).table.schema == columns.schema


def test_columns_are_those_of_the_config_in_its_order() -> None:
    columns = Columns({"b": INTEGER, "a": STRING})
    table = columns.from_rows([{"a": "x", "more": 1}, {"b": 2}]).table
    assert table.to_pylist() == [{"b": None, "a": "x"}, {"b": 2, "a": None}]
    given = pa.table({"more": [1], "a": ["x"]})
    assert columns.from_arrow(given).table.to_pylist() == [{"b": None, "a": "x"}]


def test_rows_that_make_up_missing_values_are_asked_for_none() -> None:
    row = defaultdict(int, a="x")
    table = Columns({"a": STRING, "b": INTEGER}).from_rows([row]).table
    assert table.to_pylist() == [{"a": "x", "b": None}]
    assert row == {"a": "x"}


def named(value: Any) -> str:
    """The same in every process: without addresses."""
    text = str(value.type) if isinstance(value, pa.Array) else repr(value)
    return re.sub(r" at 0x[0-9a-f]+", "", text)


FITTING = [
    (INTEGER, 1, 1),
    (INTEGER, 2**63 - 1, 2**63 - 1),
    (INTEGER, -(2**63), -(2**63)),
    (INTEGER, 100.0, 100),
    (INTEGER, Decimal("100.00"), 100),
    (NUMBER, 1.5, 1.5),
    (NUMBER, 2, 2.0),
    (NUMBER, 2**63, float(2**63)),
    (NUMBER, 2**53, float(2**53)),
    (NUMBER, Decimal("0.25"), 0.25),
    (NUMBER, Decimal("58489929559173568"), 58489929559173568.0),  # repr() has other digits
    (BOOLEAN, True, True),
    (STRING, "Grüße 🚀", "Grüße 🚀"),
    (STRING, "", ""),
    (STRING, 12, "12"),
    (STRING, True, "true"),
    (STRING, [1, "a"], '[1,"a"]'),
    (STRING, {"a": None}, '{"a":null}'),
    (STRING, Decimal("1.50"), "1.50"),
    (STRING, UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (STRING, datetime(2024, 1, 1, 10), "2024-01-01T10:00:00"),
    (STRING, pd.Timestamp("2024-01-01 10:00"), "2024-01-01T10:00:00"),
    (STRING, date(2024, 1, 1), "2024-01-01"),
    (STRING, b"\x00\xff", "AP8="),
    (STRING, b"text", "dGV4dA=="),
    (DATE_TIME, "2024-01-01 10:00:00", utc(2024, 1, 1, 10)),
    (DATE_TIME, "2024-01-01T10:00:00", utc(2024, 1, 1, 10)),
    (DATE_TIME, "2024-01-01T10:00:00Z", utc(2024, 1, 1, 10)),
    (DATE_TIME, "2024-01-01T10:00:00+05:30", utc(2024, 1, 1, 4, 30)),
    (DATE_TIME, "2024-01-01T10:00:00-0800", utc(2024, 1, 1, 18)),
    (DATE_TIME, "2024-01-01T10:00:00.123456", utc(2024, 1, 1, 10, 0, 0, 123456)),
    (DATE_TIME, "2024-01-01T10:00:00.1Z", utc(2024, 1, 1, 10, 0, 0, 100000)),
    (DATE_TIME, "2024-01-01T10:00:00.123456000Z", utc(2024, 1, 1, 10, 0, 0, 123456)),
    (DATE_TIME, " 2024-01-01 10:00 ", utc(2024, 1, 1, 10)),
    (DATE_TIME, "2024-01-01", utc(2024, 1, 1)),
    (DATE_TIME, "0001-01-01T00:00:00", utc(1, 1, 1)),
    (DATE_TIME, "9999-12-31T23:59:59.999999", utc(9999, 12, 31, 23, 59, 59, 999999)),
    (DATE_TIME, datetime(2024, 1, 1), utc(2024, 1, 1)),
    (DATE_TIME, datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=2))), utc(2023, 12, 31, 22)),
    (DATE_TIME, pd.Timestamp("2024-01-01", tz="Europe/Berlin"), utc(2023, 12, 31, 23)),
    (DATE_TIME, pd.NaT, None),
    (DATE_TIME, date(2024, 1, 1), utc(2024, 1, 1)),
    (DATE, "2024-02-29", date(2024, 2, 29)),
    (DATE, "0001-01-01", date(1, 1, 1)),
    (DATE, "9999-12-31", date(9999, 12, 31)),
    (DATE, date(2024, 1, 1), date(2024, 1, 1)),
    (ARRAY, [1, None, "ü"], '[1,null,"ü"]'),
    (ARRAY, (1, 2), "[1,2]"),
    (ARRAY, [2**70], "[1180591620717411303424]"),
    (ARRAY, [pd.Timestamp("2024-01-01 10:00")], '["2024-01-01T10:00:00"]'),
    (ARRAY, "not a list", '"not a list"'),
    (
        OBJECT,
        {"at": datetime(2024, 1, 1), "of": UUID(int=1)},
        '{"at":"2024-01-01T00:00:00","of":"00000000-0000-0000-0000-000000000001"}',
    ),
    (OBJECT, {}, "{}"),
    (MIXED, "plain", "plain"),
    (MIXED, 5, "5"),
    (MIXED, {"a": 1}, '{"a":1}'),
    (NATIVE_LIST, [1, None, 3], [1, None, 3]),
    (NATIVE_LIST, (1, 2), [1, 2]),
    (NATIVE_LIST, [], []),
    (
        NATIVE_STRUCT,
        {"sku": "a", "at": "2024-01-01", "sizes": [1, 2.5], "box": {"id": 3}, "free": {"x": 1}},
        {
            "sku": "a",
            "at": utc(2024, 1, 1),
            "sizes": [1.0, 2.5],
            "box": {"id": 3},
            "free": '{"x":1}',
        },
    ),
    (
        NATIVE_STRUCT,
        {"unlisted": 1},
        dict.fromkeys(["sku", "at", "sizes", "box", "free"]),
    ),
]


@pytest.mark.parametrize(("field", "value", "lands"), FITTING, ids=repr)
def test_what_fits_lands_as_the_type_says(field: Field, value: Any, lands: Any) -> None:
    converted = page(field, value)
    assert reasons(converted) == []
    assert landed(converted) == [lands]
    assert converted.kept is None


MISFITS = [
    (INTEGER, 1.5, "a number where an integer is configured"),
    (INTEGER, math.nan, "a number where an integer is configured"),
    (INTEGER, math.inf, "a number where an integer is configured"),
    (INTEGER, Decimal("NaN"), "a number where an integer is configured"),
    (INTEGER, Decimal("sNaN"), "a number where an integer is configured"),
    (INTEGER, Decimal("Infinity"), "a number where an integer is configured"),
    (INTEGER, Decimal("1E+999999999"), "a number where an integer is configured"),
    (INTEGER, True, "a boolean where an integer is configured"),
    (INTEGER, "1", "text where an integer is configured"),
    (INTEGER, [1], "an array where an integer is configured"),
    (INTEGER, 2**63, "an integer that does not fit into 64 bits; configure it as a string"),
    (INTEGER, float(2**63), "an integer that does not fit into 64 bits; configure it as a string"),
    (INTEGER, -(2**63) - 1, "an integer that does not fit into 64 bits; configure it as a string"),
    (NUMBER, "1.5", "text where a number is configured"),
    (NUMBER, False, "a boolean where a number is configured"),
    (NUMBER, {"a": 1}, "an object where a number is configured"),
    (
        NUMBER,
        2**53 + 1,
        "an integer that a double can't hold exactly; configure it as a string",
    ),
    (NUMBER, 10**400, "an integer that a double can't hold exactly; configure it as a string"),
    (NUMBER, Decimal("1E+400"), "a number that a double can't hold; configure it as a string"),
    (NUMBER, Decimal("sNaN"), "a number that a double can't hold; configure it as a string"),
    (BOOLEAN, 1, "an integer where a boolean is configured"),
    (BOOLEAN, "true", "text where a boolean is configured"),
    (STRING, "\ud83d", "text that is not valid Unicode"),
    (STRING, object(), "a object that has no JSON form"),
    (DATE_TIME, "soon", NOT_DATE_TIME),
    (DATE_TIME, "", NOT_DATE_TIME),
    (DATE_TIME, "2024-02-30 00:00:00", NOT_DATE_TIME),
    (DATE_TIME, "0000-01-01 00:00:00", NOT_DATE_TIME),
    (DATE_TIME, "10000-01-01 00:00:00", NOT_DATE_TIME),
    (DATE_TIME, "0001-01-01T00:00:00+05:00", OUTSIDE),
    (DATE_TIME, "9999-12-31T23:59:59-05:00", OUTSIDE),
    (DATE_TIME, "2024-01-01T10:00:00.123456789Z", TOO_FINE),
    (DATE_TIME, pd.Timestamp("2024-01-01 10:00:00.123456789"), TOO_FINE),
    (DATE_TIME, 1704067200, "an integer where a date-time is configured"),
    (DATE_TIME, b"2024-01-01", "a bytes where a date-time is configured"),
    (DATE, "2024-01-01T00:00:00", NOT_DATE),
    (DATE, "2024-02-30", NOT_DATE),
    (DATE, "0000-01-01", NOT_DATE),
    (DATE, datetime(2024, 1, 1), "a date-time where a date is configured"),
    (DATE, 20240101, "an integer where a date is configured"),
    (ARRAY, ["\ud83d"], "an array that has no JSON form"),
    (OBJECT, {"a": object()}, "an object that has no JSON form"),
    (NATIVE_LIST, {"a": 1}, "an object where an array is configured"),
    (NATIVE_LIST, [1, "2"], "text where an integer is configured"),
    (NATIVE_STRUCT, [1], "an array where an object is configured"),
    (NATIVE_STRUCT, {"at": "soon"}, NOT_DATE_TIME),
    (NATIVE_STRUCT, {"box": {"id": "x"}}, "text where an integer is configured"),
]


@pytest.mark.parametrize(("field", "value", "reason"), MISFITS, ids=named)
def test_what_does_not_fit_is_reported_without_its_value(
    field: Field, value: Any, reason: str
) -> None:
    converted = page(field, None, value, None)
    assert landed(converted) == [None, None]
    assert reasons(converted) == [reason]
    assert converted.kept == [0, 2]
    assert converted.errors[0].row == {"value": value}
    assert converted.errors[0].field == "value"


def test_a_row_with_several_conversion_errors_counts_once_by_its_first_field() -> None:
    row = {"id": "x", "at": "soon"}
    converted = Columns({"id": INTEGER, "at": DATE_TIME}).from_rows([row, {"id": 1}])
    assert [(error.row, error.field) for error in converted.errors] == [(row, "id")]
    assert converted.table.to_pylist() == [{"id": 1, "at": None}]


def test_nan_and_infinity_are_numbers() -> None:
    values = landed(page(NUMBER, math.nan, math.inf, 1))
    assert math.isnan(values[0])
    assert values[1:] == [math.inf, 1.0]


def test_a_boolean_among_numbers_is_none() -> None:
    for values in ([1.5, True], [None, 0.0, False], [True, 1.5], [1, True]):
        assert len(reasons(page(NUMBER, *values))) == 1


def test_times_with_and_without_offset_mix_in_a_page() -> None:
    values = ["2024-01-01 10:00:00", "2024-01-01T10:00:00+02:00", datetime(2024, 1, 1, 12)]
    assert landed(page(DATE_TIME, *values)) == [
        utc(2024, 1, 1, 10),
        utc(2024, 1, 1, 8),
        utc(2024, 1, 1, 12),
    ]


def test_only_listed_properties_land_at_every_level() -> None:
    line = Field(
        type="object", properties={"sku": STRING, "of": Field(type="object", properties={})}
    )
    field = Field(
        type="object", properties={"id": INTEGER, "lines": Field(type="array", items=line)}
    )
    value = {
        "lines": [{"sku": "a", "price": 1, "of": {"x": 1}}, None, "odd"],
        "id": 7,
        "secret": "x",
    }
    assert pruned(value, field) == {"id": 7, "lines": [{"sku": "a", "of": {}}, None, "odd"]}
    assert landed(page(field, value)) == ['{"id":7,"lines":[{"sku":"a","of":{}},null,"odd"]}']
    assert landed(page(OBJECT, value)) == [msgspec.json.encode(value).decode()], "none listed: all"


def test_a_value_nested_too_deeply_for_json_is_rejected() -> None:
    value: list[Any] = []
    for _ in range(1_500):
        value = [value]
    for field in (INTEGER, STRING, DATE_TIME, ARRAY, MIXED):
        assert len(page(field, value).errors) == 1


def test_a_single_value_in_its_columns_type() -> None:
    columns = Columns({"at": DATE_TIME})
    assert columns.value("at", "2024-01-01 10:00:00").as_py() == utc(2024, 1, 1, 10)
    assert not columns.value("at", None).is_valid
    with pytest.raises(ConversionError, match=NOT_DATE_TIME):
        columns.value("at", "soon")


NANOSECONDS = pa.array([1_000, 1_001, None], pa.timestamp("ns"))
AFTER_9999 = pa.array([10**15, 0], pa.timestamp("s"))


@pytest.mark.parametrize(
    ("field", "given", "lands", "errors"),
    [
        (INTEGER, pa.array([1, None], pa.int32()), [1, None], []),
        (INTEGER, pa.array([1, 2**64 - 1], pa.uint64()), [1], ["an integer that does not fit"]),
        (INTEGER, pa.array([1.0, 1.5]), [1], ["a number where an integer"]),
        (INTEGER, pa.array([Decimal(10), None], pa.decimal128(38, 0)), [10, None], []),
        (INTEGER, pa.array([True]), [], ["a boolean where an integer"]),
        (INTEGER, pa.nulls(2), [None, None], []),
        (NUMBER, pa.array([1.5], pa.float32()), [1.5], []),
        (NUMBER, pa.array([Decimal("1.25")]), [1.25], []),
        (NUMBER, pa.array([1], pa.int8()), [1.0], []),
        (STRING, pa.array(["ü", None], pa.large_string()), ["ü", None], []),
        (STRING, pa.array(["ü", None], pa.string_view()), ["ü", None], []),
        (STRING, pa.array(["a", "a", None]).dictionary_encode(), ["a", "a", None], []),
        (STRING, pa.array([b"text", b"\xff"]), ["dGV4dA==", "/w=="], []),
        (STRING, pa.array([Decimal("1.50")]), ["1.50"], []),
        (STRING, pa.array([[1, 2]]), ["[1,2]"], []),
        (
            DATE_TIME,
            pa.array(["2024-01-01", None]).dictionary_encode(),
            [utc(2024, 1, 1), None],
            [],
        ),
        (DATE_TIME, pa.array(["2024-01-01"], pa.large_string()), [utc(2024, 1, 1)], []),
        (DATE_TIME, pa.array([datetime(2024, 1, 1)]), [utc(2024, 1, 1)], []),
        (DATE_TIME, pa.array([0], pa.timestamp("s", "Europe/Berlin")), [utc(1970, 1, 1)], []),
        (DATE_TIME, pa.array([1], pa.timestamp("ms")), [utc(1970, 1, 1, 0, 0, 0, 1_000)], []),
        (DATE_TIME, NANOSECONDS, [utc(1970, 1, 1, 0, 0, 0, 1), None], [TOO_FINE]),
        (DATE_TIME, AFTER_9999, [utc(1970, 1, 1)], [NOT_DATE_TIME]),
        (DATE_TIME, pa.array([date(2024, 1, 1)]), [utc(2024, 1, 1)], []),
        (DATE, pa.array([date(2024, 1, 1)], pa.date64()), [date(2024, 1, 1)], []),
        (DATE, pa.array([datetime(2024, 1, 1)]), [], ["a date-time where a date"]),
        (ARRAY, pa.array([[1, None], None]), ["[1,null]", None], []),
        (ARRAY, pa.array([[1]], pa.large_list(pa.int8())), ["[1]"], []),
        (OBJECT, pa.array([{"a": 1, "b": None}]), ['{"a":1,"b":null}'], []),
        (
            Field(type="object", properties={"a": INTEGER}),
            pa.array([{"a": 1, "b": 2}]),
            ['{"a":1}'],
            [],
        ),
        (NATIVE_LIST, pa.array([[1], None], pa.large_list(pa.int32())), [[1], None], []),
        (NATIVE_LIST, pa.array([["1"]]), [], ["text where an integer"]),
        (
            Field(type="object", encoding="native", properties={"a": INTEGER}),
            pa.array([{"b": 2, "a": 1}]),
            [{"a": 1}],
            [],
        ),
    ],
    ids=named,
)
def test_arrow_columns_of_other_types(
    field: Field, given: pa.Array, lands: list[Any], errors: list[str]
) -> None:
    converted = column(field, given)
    assert landed(converted) == lands
    assert len(reasons(converted)) == len(errors)
    for reason, expected in zip(reasons(converted), errors, strict=True):
        assert reason.startswith(expected)
    assert all(error.row.keys() == {"value"} for error in converted.errors)


def test_a_column_that_has_its_type_already_is_not_copied() -> None:
    given = pa.chunked_array([pa.array([1, 2])])
    assert column(INTEGER, given).table["value"].chunk(0).buffers()[1].address == (
        given.chunk(0).buffers()[1].address
    )


FRAME_FIELDS = {"id": INTEGER, "name": STRING, "at": DATE_TIME, "price": NUMBER, "tags": ARRAY}
FRAME = {
    "id": [1, None],
    "name": ["a", None],
    "at": [datetime(2024, 1, 1), None],
    "price": [None, 2.5],
    "tags": [["x"], None],
}
FRAME_ROWS = [
    {"id": 1, "name": "a", "at": utc(2024, 1, 1), "price": None, "tags": '["x"]'},
    {"id": None, "name": None, "at": None, "price": 2.5, "tags": None},
]


def test_pandas_nan_and_nat_are_null() -> None:
    frame = pd.DataFrame(FRAME)
    assert frame["id"].dtype == float
    given = pa.Table.from_pandas(frame, preserve_index=False)
    assert Columns(FRAME_FIELDS).from_arrow(given).table.to_pylist() == FRAME_ROWS


def test_polars_columns() -> None:
    given = pl.DataFrame(FRAME).to_arrow()
    assert Columns(FRAME_FIELDS).from_arrow(given).table.to_pylist() == FRAME_ROWS


FIELDS = {
    "integer": INTEGER,
    "number": NUMBER,
    "boolean": BOOLEAN,
    "string": STRING,
    "date_time": DATE_TIME,
    "date": DATE,
    "array": ARRAY,
    "object": Field(type="object", properties={"a": INTEGER}),
    "mixed": MIXED,
    "list": Field(type="array", encoding="native", items=STRING),
    "struct": Field(type="object", encoding="native", properties={"a": INTEGER, "b": DATE}),
}
TIMES = st.one_of(
    st.datetimes().map(str),
    st.datetimes(timezones=st.timezones() | st.just(UTC)).map(datetime.isoformat),
    st.dates().map(str),
    st.builds(
        "{:04}-{:02}-{:02}{}{:02}:{:02}{}{}".format,
        st.integers(0, 9999),
        st.integers(0, 13),
        st.integers(0, 32),
        st.sampled_from("T _"),
        st.integers(0, 24),
        st.integers(0, 60),
        st.sampled_from(["", ":00", ":60", ":59.9", ":00.123456", ":00.123456789", ":00.0000000"]),
        st.sampled_from(["", "Z", "z", "+05:30", "-0800", "+01", " +02:00", "-23:59", "+24:00"]),
    ),
    st.datetimes(),
    st.dates(),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(-(2**65), 2**65),
    st.integers(2**53 - 2, 2**53 + 2),
    st.integers(2**63 - 2, 2**63 + 2),
    st.floats(),
    st.integers(-10, 10).map(float),
    st.decimals(),
    st.text(st.characters(), max_size=6),
    st.sampled_from(["\ud800", "1", "true", "2024-01-01", "2024-02-30", "20240101", " 2024-01-01"]),
    st.binary(max_size=3),
    TIMES,
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3)
    ),
    max_leaves=4,
)
LIKELY: dict[str, st.SearchStrategy[Any]] = {
    "integer": st.integers(-(2**63), 2**63 - 1),
    "number": st.floats() | st.integers(-(2**53), 2**53),
    "boolean": st.booleans(),
    "string": st.text(max_size=6),
    "date_time": TIMES,
    "date": st.dates().map(str) | st.dates(),
    "array": st.lists(st.integers() | st.text(max_size=3), max_size=3),
    "object": st.dictionaries(st.sampled_from(["a", "b"]), st.integers(), max_size=2),
    "mixed": st.text(max_size=6) | st.integers(),
    "list": st.lists(st.none() | st.text(max_size=3), max_size=3),
    "struct": st.fixed_dictionaries({}, optional={"a": st.integers(-9, 9), "b": st.dates()}),
}


@st.composite
def pages(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Rows that fit mostly, so that quick paths are taken, and now and then hold anything."""
    names = draw(st.lists(st.sampled_from(list(FIELDS)), min_size=1, max_size=3, unique=True))
    anything = draw(st.sampled_from([False, False, True]))
    value = {name: (VALUES if anything else LIKELY[name]) | st.none() for name in names}
    return draw(st.lists(st.fixed_dictionaries({}, optional=value), min_size=1, max_size=5))


def read_back(folder: Path, table: pa.Table) -> list[dict[str, Any]]:
    writer = PartWriter(folder, table.schema, 1_000_000)
    parts = [*writer.write(table), *writer.close()]
    rows: list[dict[str, Any]] = pq.ParquetFile(parts[0].file).read().to_pylist() if parts else []
    return rows


@settings(max_examples=400, deadline=None)
@given(rows=pages())
def test_each_row_reads_back_equal_from_parquet_or_is_rejected(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    converted = Columns(FIELDS).from_rows(rows)
    kept = range(len(rows)) if converted.kept is None else converted.kept
    lost = [row for index, row in enumerate(rows) if index not in kept]
    assert sorted(map(id, lost)) == sorted(id(error.row) for error in converted.errors)

    found = read_back(tmp_path_factory.getbasetemp(), converted.table)
    assert len(found) == len(kept)
    for index, row in zip(kept, found, strict=True):
        for name, value in row.items():
            assert means(FIELDS[name], value, rows[index].get(name)), (name, value, rows[index])


def means(field: Field, found: Any, given: Any) -> bool:
    """`found` in parquet says no less and nothing else than `given` in a row."""
    if given is None or found is None:
        return given is None and found is None
    if field.kinds == {"integer"} or field.kinds == {"number"}:
        both_nan = given != given and found != found
        return type(given) is not bool and (both_nan or found == given or found == float(given))
    if field.kinds == {"boolean"}:
        return found is given
    if field.format == "date-time":
        return bool(found == in_utc(given))
    if field.format == "date":
        return bool(str(found) == str(given).strip() or found == date.fromisoformat(given))
    if field.encoding == "native" and isinstance(found, list):
        return all(map(means, [STRING] * len(found), found, given))
    if field.encoding == "native":
        return all(means(f, found[n], given.get(n)) for n, f in (field.properties or {}).items())
    if isinstance(given, str) and not field.kinds <= {"array", "object"}:
        return bool(found == given)
    expected = msgspec.json.encode(pruned(given, field))
    return found in (expected.decode(), expected.decode().strip('"')) and is_json(field, found)


def is_json(field: Field, text: str) -> bool:
    return not field.kinds <= {"array", "object"} or json.loads(text) is not ...


def in_utc(given: Any) -> datetime:
    if type(given) is date:
        given = datetime(given.year, given.month, given.day)
    moment = given if isinstance(given, datetime) else datetime.fromisoformat(given.strip())
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


@settings(max_examples=400, deadline=None)
@given(rows=pages())
def test_a_row_converts_alike_whatever_else_its_page_holds(rows: list[dict[str, Any]]) -> None:
    columns = Columns(FIELDS)
    together = columns.from_rows(rows)
    assert outcomes([together]) == outcomes([columns.from_rows([row]) for row in rows])


@settings(max_examples=150, deadline=None)
@given(rows=pages())
def test_quick_and_careful_paths_agree(rows: list[dict[str, Any]]) -> None:
    columns = Columns(FIELDS)
    odd = dict.fromkeys(FIELDS, object())  # no quick path takes a page with this
    careful = columns.from_rows([*rows, odd])
    others = [error for error in careful.errors if error.row is not odd]
    assert len(others) == len(careful.errors) - 1
    assert outcomes([columns.from_rows(rows)]) == outcomes([replace(careful, errors=others)])


def outcomes(pages_: list[Converted]) -> list[tuple[list[str], list[tuple[Any, ...]]]]:
    def told() -> Iterator[tuple[Any, ...]]:
        for converted in pages_:
            yield from ((id(m.row), m.field, m.reason) for m in converted.errors)

    # As text, since NaN equals nothing.
    rows = [repr(row) for converted in pages_ for row in converted.table.to_pylist()]
    return [(rows, sorted(told()))]
