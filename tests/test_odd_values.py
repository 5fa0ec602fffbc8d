"""Values that Python code makes and JSON does not have: each lands as what it stands for."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from http import HTTPStatus
from typing import Any

import numpy as np
import pytest

from landing.catalog.fields import Field
from landing.catalog.stream_config import HardDelete
from landing.columns.conversion import Columns
from landing.columns.inference import kind_of
from landing.columns.tombstones import Tombstones
from tests.kit import Kit, Zone


class Number(int):
    pass


class Text(str):
    __slots__ = ()


class Fraction(float):
    pass


class Color(Enum):
    RED = "red"


def landed(field: Field, value: Any) -> Any:
    """A value as it lands beside others of the same page; the reason if it does not."""
    converted = Columns({"x": field}).convert([{"x": value}, {"x": None}])
    if converted.errors:
        return converted.errors[0].reason
    return converted.table["x"].to_pylist()[0]


INTEGER, NUMBER, TEXT = Field(type="integer"), Field(type="number"), Field(type="string")
OBJECT = Field(type="object")


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        (INTEGER, HTTPStatus.OK, 200),
        (INTEGER, Number(7), 7),
        (INTEGER, np.int64(7), 7),
        (NUMBER, Fraction(2.5), 2.5),
        (NUMBER, np.float32(0.5), 0.5),
        (Field(type="boolean"), np.bool_(True), True),
        (TEXT, HTTPStatus.OK, "200"),
        (TEXT, Number(7), "7"),
        (TEXT, Text("a"), "a"),
        (TEXT, Fraction(2.5), "2.5"),
        (TEXT, np.int64(7), "7"),
        (TEXT, np.str_("a"), "a"),
        (TEXT, Color.RED, "red"),
        (TEXT, Decimal("1.50"), "1.50"),
        (TEXT, float("nan"), "a number that is not finite where text is configured"),
        (OBJECT, {"a": np.int64(7), "b": Number(8), "c": Color.RED}, '{"a":7,"b":8,"c":"red"}'),
        (OBJECT, {"a": Decimal("1.50")}, '{"a":"1.50"}'),
        (OBJECT, {1: 2}, '{"1":2}'),
        (OBJECT, {True: 1, None: 2, 1.5: 3}, '{"true":1,"null":2,"1.5":3}'),
        (OBJECT, {"a": [{False: 1}]}, '{"a":[{"false":1}]}'),
        (OBJECT, {(1, 2): 3}, "an object that has no JSON form"),
        (Field(type="array"), np.array([1, 2]), "[1,2]"),
        (Field(type="string", format="date-time"), np.datetime64("2026-01-01", "ns"), ...),
    ],
)
def test_a_value_lands_as_what_it_stands_for(field: Field, value: Any, expected: Any) -> None:
    if expected is ...:
        expected = datetime(2026, 1, 1, tzinfo=UTC)
    assert landed(field, value) == expected


@pytest.mark.parametrize("encoding", ["json", "native"])
def test_a_listed_property_is_found_by_a_key_that_is_no_text(encoding: Any) -> None:
    properties = {"1": Field(type="integer")}
    field = Field(type="object", properties=properties, encoding=encoding)
    assert landed(field, {1: np.int64(5), None: 6}) in ('{"1":5}', {"1": 5})


@pytest.mark.parametrize("value", [HTTPStatus.OK, Number(7), np.int64(7)])
def test_the_kind_of_a_subclass_is_found_at_once(value: Any) -> None:
    assert kind_of(value) == ("integer", None)


PAGES = """
import dlt
from http import HTTPStatus
import numpy as np

@dlt.resource(primary_key="id")
def calls():
    for page in range(2):
        yield [
            {"id": np.int64(page * 100 + n), "status": HTTPStatus.OK if n % 2 else 404}
            for n in range(100)
        ]
"""


@pytest.mark.parametrize("type_", ["integer", "string"])
def test_a_run_lands_them(kit: Kit, folder_zone: Zone, type_: str) -> None:
    kit.add_source("shop", PAGES)
    fields = {"id": {"type": "integer"}, "status": {"type": type_}}
    kit.configure("shop", "calls", primary_key=[["id"]], fields=fields)
    done = kit.run("shop", "calls")
    assert done.code == 0, done.text
    sql = "SELECT count(*), count(DISTINCT id), min(status)::int, max(status)::int FROM landed"
    assert folder_zone.query("shop", "calls", sql) == [(200, 200, 200, 404)]


@pytest.mark.parametrize(
    "value",
    [
        *("", " ", 0, 0.0, "0", "0.0", False, "false", "FALSE", "no", "null", [], {}, np.int64(0)),
        *("0000-00-00", "0000-00-00 00:00:00", "0001-01-01T00:00:00Z"),
        *("1970-01-01T00:00:00+00:00", datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_what_says_never_is_no_deletion(value: Any) -> None:
    tombstones = Tombstones(("id",), None, HardDelete("gone", is_boolean=False))
    assert tombstones.found([value, "2026-01-01", 1767225600]) == [False, True, True]


ALL_GONE = """
import dlt

@dlt.resource(primary_key="id", columns={"gone": {"hard_delete": True, "data_type": "bool"}})
def calls():
    yield [{"id": n, "gone": True} for n in range(150)]
"""


def test_tombstones_alone_are_no_drift(kit: Kit, folder_zone: Zone) -> None:
    kit.add_source("shop", ALL_GONE)
    fields = {"id": {"type": "integer"}, "status": {"type": "string"}}
    kit.configure("shop", "calls", primary_key=[["id"]], fields=fields, on_drift="fail")
    done = kit.run("shop", "calls")
    assert done.code == 0, done.text
    assert "no record had" not in done.text
    assert folder_zone.query("shop", "calls", "SELECT count(_deleted_at) FROM landed") == [(150,)]
