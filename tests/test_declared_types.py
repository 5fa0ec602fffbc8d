"""Columns whose data type a stream declares: what dlt converts to it lands, if nothing is lost."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import dlt
import pytest
from dlt.common.data_types import coerce_value, py_type_to_sc_type

from landing.catalog.fields import Field
from landing.columns.conversion import Columns
from landing.columns.inference import declared_fields
from tests.kit import Kit, Zone

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
CONVERTED = [
    ("bigint", "42"),
    ("bigint", " -42 "),
    ("bigint", "0x2a"),
    ("double", "1.50"),
    ("double", "1e3"),
    ("bool", "true"),
    ("bool", "No"),
    ("bool", 0),
    ("bool", 1.0),
    ("timestamp", 1767268800),
    ("timestamp", 1767268800.25),
    ("date", NOON.replace(hour=0)),
    ("date", 1767225600),
    ("date", "2026-01-01T00:00:00Z"),
]
REFUSED = [
    ("bigint", "42.0"),
    ("bigint", "1_000"),
    ("bigint", "9" * 30),
    ("double", "0.12345678901234567890"),
    ("double", "nan"),
    ("decimal", "1_000.5"),
    ("bool", 5),
    ("bool", "perhaps"),
    ("timestamp", 1767268800.1234567),
    ("timestamp", True),
    ("timestamp", -70_000_000_000),
    ("date", -70_000_000_000),
    ("date", NOON),
    ("date", "2026-01-01T00:00:00+02:00"),
    ("date", 1767268800),
]


def landed(data_type: str, value: Any) -> Any:
    """The value as it lands, with the field that discovery writes; None in quarantine."""
    columns = {"x": {"data_type": data_type}}
    fields = declared_fields(columns, {})
    converted = Columns(fields, data_types={"x": data_type}).convert([{"x": value}])
    return None if converted.errors else converted.table["x"].to_pylist()[0]


@pytest.mark.parametrize(("data_type", "value"), CONVERTED)
def test_what_dlt_converts_lands_as_dlt_has_it(data_type: Any, value: Any) -> None:
    of_dlt = coerce_value(data_type, py_type_to_sc_type(type(value)), value)
    assert landed(data_type, value) == of_dlt


def test_text_of_a_decimal_is_the_same_number() -> None:
    assert landed("decimal", "1.50") == Decimal("1.50") == coerce_value("decimal", "text", "1.50")


def test_milliseconds_are_distinguished_from_seconds() -> None:
    assert landed("timestamp", 1767268800250) == NOON.replace(microsecond=250_000)
    assert landed("date", 1767225600000) == date(2026, 1, 1)


@pytest.mark.parametrize(("data_type", "value"), REFUSED)
def test_what_would_lose_something_does_not_fit(data_type: str, value: Any) -> None:
    assert landed(data_type, value) is None


def test_a_field_of_another_type_is_not_converted() -> None:
    columns = Columns({"x": Field(type="string")}, data_types={"x": "bigint"})
    assert columns.convert([{"x": "007"}]).table["x"].to_pylist() == ["007"]
    undeclared = Columns({"x": Field(type="integer")})
    assert undeclared.convert([{"x": "42"}]).errors[0].reason == (
        "text where an integer is configured"
    )


STREAMS = """
import dlt, json
import pyarrow as pa
from landing.http import JsonPage

COLUMNS = {"id": "bigint", "at": "timestamp", "due": "date", "price": "decimal", "paid": "bool"}

@dlt.resource(
    primary_key="id", columns={name: {"data_type": kind} for name, kind in COLUMNS.items()}
)
def orders(at=dlt.sources.incremental("at", initial_value=0)):
    page = [
        {"id": str(n), "at": 1767268800 + n, "due": 1767225600, "price": f"{n}.50", "paid": n % 2}
        for n in range(200)
        if at.last_value <= 1767268800 + n
    ]
    page += [{"id": "1.5", "at": 1767268800, "due": None, "price": None, "paid": None}]
    yield SHAPE
"""


@pytest.mark.parametrize(
    "shape", ["page", "JsonPage(json.dumps(page).encode())", "pa.Table.from_pylist(page)"]
)
def test_a_run_converts_and_its_cursor_is_as_the_api_spells_it(
    kit: Kit, folder_zone: Zone, shape: str
) -> None:
    kit.add_source("shop", STREAMS.replace("SHAPE", shape))
    assert kit.discover("shop").code == 0
    fields = kit.discovered("shop", "orders")["fields"]
    assert fields["at"] == {"type": "string", "format": "date-time"}
    keys = {"sync_mode": "incremental", "cursor_field": ["at"], "primary_key": [["id"]]}
    kit.configure("shop", "orders", fields=fields, **keys)
    done = kit.run("shop", "orders")
    assert done.code == 0, done.text
    assert "1 record do" in done.text or "1 record does" in done.text, done.text
    assert "drift" not in done.text
    assert "1767268999" in done.text
    sql = 'SELECT count(*), max(id), max("at"), min(due), sum(price), sum(paid::int) FROM landed'
    last = datetime(2026, 1, 1, 12, 3, 19, tzinfo=UTC)
    expected = (200, 199, last, date(2026, 1, 1), 20000.0, 100)
    ((count, most, at, due, price, paid),) = folder_zone.query("shop", "orders", sql)
    assert (count, most, at.astimezone(UTC), due, price, paid) == expected
    assert "nothing new" in kit.run("shop", "orders").text


def test_dlt_has_the_data_types_that_are_declared_here() -> None:
    columns = {name: {"data_type": name} for name, _ in CONVERTED}
    resource = dlt.resource([], name="x", columns=columns)  # type: ignore[arg-type]
    assert set(resource.compute_table_schema()["columns"]) == set(columns)
