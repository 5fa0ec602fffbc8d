"""The client kit: pages as bytes, and requests under way at once."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landing.catalog.fields import Field
from landing.columns.conversion import Columns
from landing.http import JsonPage, in_flight
from tests.kit import FOUNDING_CLIENT, Kit, Zone
from tests.servers.api import Api

ORDER = {"sku": Field(type="string"), "prices": Field(type="array", items=Field(type="number"))}
FIELDS = {
    "id": Field(type="integer"),
    "ratio": Field(type="number"),
    "name": Field(type="string"),
    "paid": Field(type="boolean"),
    "at": Field(type="string", format="date-time"),
    "day": Field(type="string", format="date"),
    "tags": Field(type="array"),
    "order": Field(type="object", properties=ORDER),
    "orders": Field(type="array", items=Field(type="object", properties=ORDER)),
    "mixed": Field(type=["integer", "string"]),
    'odd "name"': Field(type="null"),
    "native": Field(type="object", encoding="native", properties={"n": Field(type="integer")}),
}
# Quotes in a name keep the typed decoder from looking for it.
DECODED_FIELDS = {name: field for name, field in FIELDS.items() if '"' not in name}

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(["2024-01-01 10:00:00", "2024-01-01T10:00:00Z", "2024-02-30", "2024-01-01"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["sku", "prices", "n", "x"]), inner, max_size=3),
    ),
    max_leaves=6,
)
PLAUSIBLE = {
    "id": st.integers(-(2**63), 2**63 - 1),
    "ratio": st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-9, 9)),
    "name": st.text(max_size=8),
    "paid": st.booleans(),
    "at": st.sampled_from(["2024-01-01 10:00:00", "2024-12-31 23:59:59.5"]),
    "day": st.sampled_from(["2024-01-01", "1999-12-31"]),
    "tags": st.lists(SCALARS, max_size=2),
    "order": st.fixed_dictionaries({}, optional={"sku": st.text(max_size=3), "x": SCALARS}),
}


def rows_of(values: Any) -> Any:
    return st.lists(st.fixed_dictionaries({}, optional=values), min_size=1, max_size=6)


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(rows_of(PLAUSIBLE), rows_of(dict.fromkeys(FIELDS, VALUES))),
    st.sampled_from([FIELDS, DECODED_FIELDS]),
)
def test_a_page_of_bytes_gives_the_same_rows_and_conversion_errors_as_dictionaries(
    rows: list[dict[str, Any]], fields: dict[str, Field]
) -> None:
    columns = Columns(fields)
    assert (columns.record is None) == (fields is FIELDS)
    page = JsonPage(json.dumps({"result": {"data": rows}}).encode(), records="result.data")
    assert len(page) == len(rows)
    typed, careful = columns.convert((page,)), columns.convert(page.rows())
    assert typed.table.equals(careful.table)
    assert [(m.field, m.reason, m.row) for m in typed.errors] == [
        (m.field, m.reason, m.row) for m in careful.errors
    ]
    assert list(typed.raw("id")) == list(careful.raw("id"))


def test_the_number_of_records_ends_a_paging_loop() -> None:
    assert len(JsonPage(b'[{"id": 1}, {"id": 2}]')) == 2
    assert not JsonPage(b'{"data": []}', records="data")


@pytest.mark.parametrize("content", [b"<html>", b'{"data": 1}', b'{"dat": []}', b"", b"[1"])
def test_what_is_no_page_of_records_is_refused_at_once(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        JsonPage(content, records="data")


def test_records_that_are_no_objects_are_refused() -> None:
    with pytest.raises(ValueError, match="a record of the page is a int"):
        Columns(FIELDS).convert((JsonPage(b"[1, 2]"),))


def test_a_stream_of_byte_pages_lands_what_the_dictionary_stream_lands(
    kit: Kit, api: Api, use: Callable[[Api], None], folder_zone: Zone
) -> None:
    use(api)
    kit.add_founding_source()
    client = FOUNDING_CLIENT.replace(
        'return response.json()["data"]', 'return JsonPage(response.content, records="data")'
    )
    streams = (
        "import dlt\nfrom itertools import count\nfrom landing.http import in_flight\n"
        "from .client import MyAPI\n"
        "@dlt.resource(primary_key='id')\n"
        "def orders(updated_at=dlt.sources.incremental('updated_at'), limit: int = 100):\n"
        "    api, since = MyAPI(), updated_at.last_value\n"
        "    ask = lambda offset: api.get('orders', {'limit': limit, 'offset': offset,"
        " 'since': since})\n"
        "    for page in in_flight(ask, count(0, limit), at_once=4):\n"
        "        if not page:\n            return\n"
        "        yield page\n"
    )
    kit.add_source("bytes", streams, "from landing.http import JsonPage\n" + client)
    for source in ("my_source", "bytes"):
        assert kit.discover(source).code == 0
        text = kit.discovered_file(source, "orders").read_text()
        kit.configure(source, "orders", text)
        done = kit.run(source, "orders")
        assert "2,350 rows" in done.out, done.text
    sql = "SELECT * EXCLUDE (_dlt_id, _dlt_load_id) FROM landed ORDER BY id"
    assert folder_zone.query("bytes", "orders", sql) == folder_zone.query(
        "my_source", "orders", sql
    )
    assert "nothing new" in kit.run("bytes", "orders").out


def test_results_of_requests_in_flight_keep_their_order() -> None:
    started: list[int] = []
    lock = threading.Lock()

    def fetch(number: int) -> int:
        with lock:
            started.append(number)
        time.sleep(0.02 if number % 3 == 0 else 0)
        return number

    assert list(in_flight(fetch, range(20), at_once=4)) == list(range(20))
    assert sorted(started) == list(range(20))


def test_no_more_requests_are_in_flight_than_allowed_and_none_after_the_loop() -> None:
    under_way, most = 0, 0
    lock = threading.Lock()

    def fetch(number: int) -> int:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        time.sleep(0.005)
        with lock:
            under_way -= 1
        return number

    for number in in_flight(fetch, iter(range(1_000_000)), at_once=3):
        if number == 10:
            break
    assert most == 3
    assert under_way == 0


def test_an_exception_comes_in_its_place() -> None:
    seen: list[int] = []
    with pytest.raises(ZeroDivisionError):
        seen.extend(in_flight(lambda n: 6 // (3 - n), range(6), at_once=6))
    assert seen == [2, 3, 6]
