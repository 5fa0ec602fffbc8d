"""From an API to the landing zone and back: the promises of a run."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import duckdb_extension_httpfs
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from demo.servers import S3Server
from tests.kit import Kit, Zone, natural
from tests.servers.api import Api

FIELDS = {
    "id": {"type": "integer"},
    "name": {"type": "string"},
    "updated_at": {"type": "string", "format": "date-time"},
    "total": {"type": "number"},
    "tags": {"type": "array", "items": {"type": "string"}},
    "customer": {"type": "object", "properties": {"id": {"type": "integer"}}},
}


@pytest.fixture
def orders(kit: Kit, api: Api, use: Callable[[Api], None]) -> Kit:
    """The founding document's source over the test API, configured."""
    use(api)
    kit.add_founding_source()
    kit.configure(
        "my_source",
        "orders",
        sync_mode="incremental",
        destination_sync_mode="merge",
        primary_key=[["id"]],
        cursor_field=["updated_at"],
        fields=FIELDS,
    )
    return kit


def newest(zone: Zone) -> dict[int, tuple[str, float]]:
    """Current state as dbt models compute it: the newest row per key by load id."""
    rows = zone.query(
        "my_source",
        "orders",
        "SELECT id, name, total FROM landed"
        " QUALIFY row_number() OVER (PARTITION BY id ORDER BY _dlt_load_id DESC) = 1",
    )
    return {row[0]: (row[1], row[2]) for row in rows}


def expected(api: Api) -> dict[int, tuple[str, float]]:
    return {row["id"]: (row["name"], row["total"]) for row in api.rows()}


def test_the_founding_documents_source_lands_every_row_then_only_changes(
    orders: Kit, api: Api, zone: Zone
) -> None:
    first = orders.run("my_source", "orders")
    assert first.code == 0, first.text
    assert "2,350 rows" in first.out
    assert newest(zone) == expected(api)
    assert zone.count("my_source", "orders") == 2_350

    api.update("orders", 7, name="seven, changed")
    api.add("orders", {**api.rows()[0], "id": 9_001, "updated_at": "2024-06-01 00:00:00"})
    second = orders.run("my_source", "orders")
    assert second.code == 0, second.text
    assert "2 rows" in second.out
    assert newest(zone) == expected(api)
    assert zone.count("my_source", "orders") == 2_352

    files = zone.parts("my_source", "orders")
    third = orders.run("my_source", "orders")
    assert "nothing new" in third.out
    assert zone.parts("my_source", "orders") == files


def test_the_cursor_holds_still_while_the_stream_pages(orders: Kit, api: Api, zone: Zone) -> None:
    orders.run("my_source", "orders")
    assert {request.query["since"] for request in api.requests} == {"2020-01-01 00:00:00"}
    api.requests.clear()
    orders.run("my_source", "orders")
    newest_value = max(row["updated_at"] for row in api.rows())
    assert {request.query["since"] for request in api.requests} == {newest_value}


def test_a_process_on_an_empty_disk_goes_on_from_the_bucket(
    orders: Kit, api: Api, zone: Zone
) -> None:
    first = orders.script("pipeline.py", "my_source", "orders")
    assert first.code == 0, first.text
    api.update("orders", 11, total=1.5)
    second = orders.script("pipeline.py", "my_source", "--all", cwd=orders.repository)
    assert second.code == 0, second.text
    assert "1 row" in second.out
    assert newest(zone) == expected(api)
    assert list(orders.repository.rglob("*.parquet")) == []


def test_every_file_has_exactly_the_configured_columns_in_order(
    orders: Kit, api: Api, zone: Zone
) -> None:
    orders.run("my_source", "orders")
    api.add("orders", {"id": 9_002, "updated_at": "2024-06-01 00:00:00"})  # all else is missing
    orders.run("my_source", "orders")
    assert len(zone.parts("my_source", "orders")) == 2
    described = zone.query("my_source", "orders", "DESCRIBE SELECT * FROM landed")
    assert [(row[0], row[1]) for row in described][:8] == [
        ("id", "BIGINT"),
        ("name", "VARCHAR"),
        ("updated_at", "TIMESTAMP WITH TIME ZONE"),
        ("total", "DOUBLE"),
        ("tags", "VARCHAR"),
        ("customer", "VARCHAR"),
        ("_dlt_load_id", "VARCHAR"),
        ("_dlt_id", "VARCHAR"),
    ]
    schemas = {
        tuple((f.name, f.type) for f in _schema(zone.read(path)))
        for path in zone.parts("my_source", "orders")
    }
    assert len(schemas) == 1


def _schema(parquet: bytes) -> Any:
    return pq.read_schema(pa.BufferReader(parquet))


def test_values_are_encoded_as_existing_models_read_them(orders: Kit, api: Api, zone: Zone) -> None:
    orders.run("my_source", "orders")
    row = zone.query(
        "my_source",
        "orders",
        """SELECT from_json(tags, '["VARCHAR"]'), customer, updated_at::VARCHAR, total
           FROM landed WHERE id = 2""",
    )[0]
    source = next(row for row in api.rows() if row["id"] == 2)
    assert row[0] == source["tags"] == ["new", "web"]
    assert json.loads(row[1]) == {"id": 2}, "only the nested properties that are listed"
    assert row[2] == source["updated_at"] + "+00"
    assert row[3] == source["total"]


def test_ids_of_rows_are_unique_and_the_load_id_is_that_of_the_file(
    orders: Kit, zone: Zone
) -> None:
    orders.run("my_source", "orders")
    ids, loads, load = zone.query(
        "my_source",
        "orders",
        "SELECT count(DISTINCT _dlt_id), count(DISTINCT _dlt_load_id), min(_dlt_load_id)"
        " FROM landed",
    )[0]
    assert (ids, loads) == (2_350, 1)
    assert f"/{load}.00000.parquet" in zone.parts("my_source", "orders")[0]


def test_a_date_as_cursor_shared_by_many_rows_neither_repeats_nor_loses(
    kit: Kit, folder_zone: Zone
) -> None:
    kit.add_source("days", DAYS)
    kit.configure(
        "days",
        "events",
        cursor_field=["day"],
        fields={"id": {"type": "integer"}, "day": {"type": "string", "format": "date"}},
    )
    data = kit.repository / "days.json"
    many = [{"id": number, "day": "2024-05-01"} for number in range(30_000)]
    data.write_text(json.dumps(many))
    assert "30,000 rows" in kit.run("days", "events").out
    state = folder_zone.read("_dlt/days/events/state.json")
    assert len(state) < 40_000, "the state does not grow with the rows that share a cursor value"
    assert "nothing new" in kit.run("days", "events").out

    data.write_text(json.dumps([*many, {"id": 30_000, "day": "2024-05-01"}]))
    assert kit.run("days", "events").code == 0
    ids = folder_zone.query("days", "events", "SELECT count(DISTINCT id), count(*) FROM landed")
    assert ids[0][0] == 30_001
    assert ids[0][1] < 30_200, "what comes with a late row is a thousandth of its day"
    assert "nothing new" in kit.run("days", "events").out


DAYS = """
import json
from pathlib import Path

import dlt

FILE = Path(__file__).parents[4] / "days.json"

@dlt.resource(primary_key="id")
def events(day: dlt.sources.incremental[str] = dlt.sources.incremental("day")):
    rows = json.loads(FILE.read_text())
    for start in range(0, len(rows), 700):
        yield [r for r in rows[start : start + 700] if r["day"] >= (day.last_value or "")]
"""


def test_rows_without_a_cursor_value_land_once_and_are_reported(
    kit: Kit, folder_zone: Zone
) -> None:
    kit.add_source("nulls", NULLS)
    kit.configure(
        "nulls",
        "events",
        cursor_field=["at"],
        fields={"id": {"type": "integer"}, "at": {"type": "integer"}},
    )
    first = kit.run("nulls", "events")
    assert first.code == 0, first.text
    assert "3 records have no at" in first.out
    assert folder_zone.count("nulls", "events") == 10
    assert "nothing new" in kit.run("nulls", "events").out
    assert folder_zone.count("nulls", "events") == 10


NULLS = """
import dlt

@dlt.resource
def events(at=dlt.sources.incremental("at")):
    yield [{"id": n, "at": None if n % 4 == 0 else n} for n in range(10)]
"""


@pytest.mark.parametrize(
    "body",
    [
        "yield ROWS",
        "yield from ROWS",
        "yield (row for row in ROWS)",
        "yield (page for page in [ROWS[:4], ROWS[4:]])",
        "yield pa.Table.from_pylist(ROWS)",
        "yield pa.RecordBatch.from_pylist(ROWS)",
        "yield [pa.Table.from_pylist(ROWS[:5]), pa.Table.from_pylist(ROWS[5:])]",
        "yield pd.DataFrame(ROWS)",
        "yield pl.DataFrame(ROWS)",
        "yield []; yield ROWS; yield []",
        "return ROWS",
        "page = []\n    for row in ROWS:\n        page[:] = [row]\n        yield page",
        "one = dict()\n    for row in ROWS:\n        one.update(row)\n        yield one",
    ],
)
def test_streams_may_yield_what_they_like(kit: Kit, folder_zone: Zone, body: str) -> None:
    kit.add_source("shapes", SHAPES.format(body=body))
    fields = {
        "id": {"type": "integer"},
        "at": {"type": "string", "format": "date-time"},
        "tags": {"type": "array"},
        "ratio": {"type": "number"},
    }
    kit.configure("shapes", "things", cursor_field=["at"], fields=fields)
    done = kit.run("shapes", "things")
    assert done.code == 0, done.text
    rows = folder_zone.query(
        "shapes",
        "things",
        "SELECT id, strftime(\"at\", '%Y-%m-%d %H:%M'), tags, ratio FROM landed ORDER BY id",
    )
    assert rows == [(n, f"2024-01-01 00:0{n}", f'["t{n}"]', n / 2) for n in range(9)]
    assert "nothing new" in kit.run("shapes", "things").out


SHAPES = """
import dlt, pandas as pd, polars as pl, pyarrow as pa

ROWS = [
    {{"id": n, "at": f"2024-01-01 00:0{{n}}:00", "tags": [f"t{{n}}"], "ratio": n / 2, "x": n}}
    for n in range(9)
]

@dlt.resource
def things(at=dlt.sources.incremental("at")):
    {body}
"""


def test_maps_filters_parents_and_a_streams_own_state_work(kit: Kit, folder_zone: Zone) -> None:
    kit.add_source("family", FAMILY)
    kit.configure(
        "family",
        "children",
        fields={"id": {"type": "integer"}, "visit": {"type": "integer"}},
    )
    for visit in (1, 2):
        done = kit.run("family", "children")
        assert done.code == 0, done.text
        found = folder_zone.query(
            "family",
            "children",
            f"SELECT list(id ORDER BY id) FROM landed WHERE visit = {visit}",
        )
        assert found == [([0, 20, 40],)], "mapped to tens, odd ones filtered out, by visit"


FAMILY = """
import dlt

@dlt.resource
def parents():
    yield [{"number": n} for n in range(5)]

@dlt.transformer(data_from=parents)
def children(page):
    state = dlt.current.resource_state("children")
    state["visits"] = state.get("visits", 0) + 1
    for parent in page:
        yield {"id": parent["number"], "visit": state["visits"]}

children.add_filter(lambda row: row["id"] % 2 == 0)
children.add_map(lambda row: {**row, "id": row["id"] * 10})
__all__ = ["children"]
"""


def test_a_descending_stream_stops_at_what_is_known(kit: Kit, folder_zone: Zone) -> None:
    kit.add_source("newest_first", DESCENDING)
    kit.configure("newest_first", "posts", cursor_field=["at"], fields={"at": {"type": "integer"}})
    kit.run("newest_first", "posts")
    assert folder_zone.count("newest_first", "posts") == 100
    asked = kit.repository / "asked"
    asked.write_text("")
    assert "nothing new" in kit.run("newest_first", "posts").out
    assert len(asked.read_text()) < 100


DESCENDING = """
from pathlib import Path

import dlt

LOG = Path(__file__).parents[4] / "asked"

@dlt.resource
def posts(at=dlt.sources.incremental("at", row_order="desc")):
    for number in range(100, 0, -1):
        with LOG.open("a") as log:
            log.write(".")
        yield [{"at": number}] + [{"at": 0 - n} for n in range(0)]
        if at.start_out_of_range:
            return
"""


def test_initial_value_of_the_config_is_where_the_stream_starts(
    orders: Kit, api: Api, zone: Zone
) -> None:
    middle = sorted(row["updated_at"] for row in api.rows())[1_000]
    orders.configure(
        "my_source",
        "orders",
        cursor_field=["updated_at"],
        initial_value=middle,
        fields=FIELDS,
    )
    assert orders.run("my_source", "orders").code == 0
    assert {request.query["since"] for request in api.requests} == {middle}
    later = [row for row in api.rows() if row["updated_at"] >= middle]
    assert zone.count("my_source", "orders") == len(later)


def test_full_refresh_lands_everything_each_time(orders: Kit, api: Api, zone: Zone) -> None:
    orders.configure("my_source", "orders", sync_mode="full_refresh", fields=FIELDS)
    for loads in (1, 2):
        assert orders.run("my_source", "orders").code == 0
        counted = zone.query(
            "my_source", "orders", "SELECT count(*), count(DISTINCT _dlt_load_id) FROM landed"
        )
        assert counted == [(2_350 * loads, loads)]
    assert {request.query["since"] for request in api.requests} == {"2020-01-01 00:00:00"}


def test_a_cursor_that_only_the_config_names_filters_what_a_stream_gives(
    kit: Kit, folder_zone: Zone
) -> None:
    kit.add_source(
        "plain",
        "import dlt\n@dlt.resource\ndef rows():\n    yield [{'n': n} for n in range(50)]\n",
    )
    kit.configure("plain", "rows", cursor_field=["n"], fields={"n": {"type": "integer"}})
    assert "50 rows" in kit.run("plain", "rows").out
    assert "nothing new" in kit.run("plain", "rows").out


def test_field_names_land_as_the_config_writes_them(kit: Kit, folder_zone: Zone) -> None:
    names = ["orderDate", "Total $", "ünïcode", "with.dot", "SELECT", "a__b", "x" * 90, "1st"]
    kit.add_source(
        "names",
        f"import dlt\n@dlt.resource\ndef rows():\n    yield [dict.fromkeys({names!r}, 1)]\n",
    )
    kit.configure("names", "rows", fields={name: {"type": "integer"} for name in names})
    done = kit.run("names", "rows")
    assert done.code == 0, done.text
    described = folder_zone.query("names", "rows", "DESCRIBE SELECT * FROM landed")
    assert [row[0] for row in described][: len(names)] == names


@pytest.mark.parametrize("exported", ["rows", "rows(size=2)"])
def test_a_stream_that_takes_arguments_keeps_what_its_cursor_declares(
    kit: Kit, folder_zone: Zone, exported: str
) -> None:
    """dlt hides the parameters of a resource that was called, by us for the fields or by its
    author."""
    kit.add_source(
        "called",
        "import dlt\n@dlt.resource\n"
        "def rows(n: dlt.sources.incremental[int] = dlt.sources.incremental("
        "'n', initial_value=3, lag=1, row_order='asc'),\n"
        "         size: int = 1, fields: list[str] | None = None):\n"
        "    assert n.last_value is not None\n"
        "    yield [{'n': x} for x in range(10)]\n"
        f"stream = {exported}\n__all__ = ['stream']\n",
    )
    kit.configure("called", "rows", cursor_field=["n"], fields={"n": {"type": "integer"}})
    first = kit.run("called", "rows")
    assert "7 rows" in first.out, first.text
    assert "cursor 3 → 9" in first.out
    assert "cursor 9 (read from 8)" in kit.run("called", "rows").out


def test_selected_fields_are_offered_to_a_stream_that_takes_them(
    kit: Kit, folder_zone: Zone
) -> None:
    kit.add_source(
        "picky",
        "import dlt\n@dlt.resource\ndef rows(fields: list[str] | None = None):\n"
        "    yield [{'a': ','.join(fields), 'b': 1}]\n",
    )
    kit.configure("picky", "rows", fields={"b": {"type": "integer"}, "a": {"type": "string"}})
    assert kit.run("picky", "rows").code == 0
    assert folder_zone.query("picky", "rows", "SELECT a FROM landed") == [("b,a",)]


def test_rows_that_do_not_fit_go_to_quarantine_and_are_counted(
    orders: Kit, api: Api, zone: Zone
) -> None:
    unfit = {"id": "not a number", "updated_at": "2024-03-01 00:00:00", "note": "not selected"}
    api.add("orders", unfit)
    done = orders.run("my_source", "orders")
    assert done.code == 0, done.text
    assert "1 record does not fit" in done.out
    assert "id: text where an integer is configured (1)" in done.out
    assert zone.count("my_source", "orders") == 2_350
    kept = zone.paths("_quarantine/my_source/orders")
    line = json.loads(zone.read(kept[0]))
    assert line["row"] == {"id": "not a number", "updated_at": "2024-03-01 00:00:00"}
    assert (line["field"], line["reason"]) == ("id", "text where an integer is configured")
    assert kept == [f"_quarantine/my_source/orders/{line['load_id']}.jsonl"]


def test_a_row_that_still_does_not_fit_is_not_put_into_quarantine_again(
    orders: Kit, api: Api, zone: Zone
) -> None:
    api.add("orders", {"id": "x", "updated_at": "2030-01-01 00:00:00"})
    orders.run("my_source", "orders")
    before = zone.paths("_quarantine")
    again = orders.run("my_source", "orders")
    assert "1 record still does not fit" in again.out
    api.add("orders", {"id": "y", "updated_at": "2030-01-01 00:00:00"})
    third = orders.run("my_source", "orders")
    assert "1 record does not fit the configured fields" in third.out
    added = [path for path in zone.paths("_quarantine") if path not in before]
    assert [json.loads(zone.read(path))["row"]["id"] for path in added] == ["y"]


def test_a_misspelt_nested_field_is_reported_before_anything_lands(orders: Kit, zone: Zone) -> None:
    orders.discover("my_source", "orders")
    misspelt = {
        **FIELDS,
        "customer": {"type": "object", "properties": {"nmae": {"type": "string"}}},
    }
    orders.configure("my_source", "orders", cursor_field=["updated_at"], fields=misspelt)
    for arguments in (["--dry-run"], []):
        done = orders.run("my_source", "orders", *arguments)
        assert "orders.json has no field customer.nmae; did you mean 'name'?" in done.out


def test_a_field_that_no_record_has_is_reported(orders: Kit, api: Api, zone: Zone) -> None:
    orders.configure(
        "my_source",
        "orders",
        cursor_field=["updated_at"],
        fields={**FIELDS, "totl": {"type": "number"}},
    )
    assert "no record had totl" in orders.run("my_source", "orders").out


def test_files_rotate_at_the_size_that_is_set(
    orders: Kit, zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANDING_FILE_MB", "0.02")
    assert orders.run("my_source", "orders").code == 0
    parts = zone.parts("my_source", "orders")
    assert len(parts) > 2
    assert [natural(path) for path in parts] == sorted(natural(path) for path in parts)
    assert zone.count("my_source", "orders") == 2_350


@pytest.mark.parametrize("size", [1, 2, 10])
def test_of_a_record_read_twice_in_one_run_the_later_version_is_the_newest(
    kit: Kit, folder_zone: Zone, size: int
) -> None:
    rows = [{"id": n % 4, "version": n} for n in range(10)]
    kit.add_source(
        "edited",
        "import dlt\n@dlt.resource(primary_key='id')\ndef rows():\n"
        f"    rows = {rows}\n"
        f"    for n in range(0, 10, {size}):\n        yield rows[n : n + {size}]\n",
    )
    kit.configure(
        "edited",
        "rows",
        primary_key=[["id"]],
        cursor_field=["version"],
        fields={"id": {"type": "integer"}, "version": {"type": "integer"}},
    )
    assert kit.run("edited", "rows").code == 0
    assert "nothing new" in kit.run("edited", "rows").out
    newest = folder_zone.query(
        "edited",
        "rows",
        "SELECT id, arg_max(version, _dlt_load_id), count(*), count(DISTINCT _dlt_load_id)"
        " FROM landed GROUP BY id ORDER BY id",
    )
    assert newest == [(0, 8, 3, 3), (1, 9, 3, 3), (2, 6, 2, 2), (3, 7, 2, 2)]


def test_a_withheld_row_is_older_than_a_later_version_met_before_it(
    kit: Kit, folder_zone: Zone
) -> None:
    """Rows at the last cursor value are held back to the end; a newer version may come first."""
    kit.add_source("held", HELD)
    kit.configure(
        "held",
        "rows",
        primary_key=[["id"]],
        cursor_field=["at"],
        fields={
            "id": {"type": "integer"},
            "at": {"type": "integer"},
            "name": {"type": "string"},
        },
    )
    file = kit.repository / "held.json"
    file.write_text(json.dumps([[{"id": 1, "at": 5, "name": "one"}]]))
    assert kit.run("held", "rows").code == 0
    pages = [[{"id": 2, "at": 5, "name": "old"}], [{"id": 2, "at": 7, "name": "new"}]]
    file.write_text(json.dumps(pages))
    assert "2 rows" in kit.run("held", "rows").out
    newest = "SELECT id, arg_max(name, _dlt_load_id) FROM landed GROUP BY id ORDER BY id"
    assert folder_zone.query("held", "rows", newest) == [(1, "one"), (2, "new")]


HELD = """
import json
from pathlib import Path

import dlt

FILE = Path(__file__).parents[4] / "held.json"

@dlt.resource(primary_key="id")
def rows(at=dlt.sources.incremental("at")):
    yield from json.loads(FILE.read_text())
"""


def test_a_row_that_overlapping_pages_give_twice_does_not_land_at_each_run(
    kit: Kit, folder_zone: Zone
) -> None:
    kit.add_source("held", HELD)
    kit.configure("held", "rows", cursor_field=["at"], fields={"at": {"type": "integer"}})
    file = kit.repository / "held.json"
    file.write_text(json.dumps([[{"at": 1}, {"at": 2}], [{"at": 2}]]))
    assert kit.run("held", "rows").code == 0
    file.write_text(json.dumps([[{"at": 2}]]))
    assert "nothing new" in kit.run("held", "rows").out


@pytest.mark.parametrize("mode", ["full_refresh", "incremental"])
def test_a_child_of_an_incremental_parent_gets_all_of_the_parents_rows(
    kit: Kit, api: Api, use: Callable[[Api], None], folder_zone: Zone, mode: str
) -> None:
    """The parent is the founding document's example, whose cursor would move while it pages."""
    use(api)
    kit.add_founding_source()
    streams = kit.root / "dlt" / "sources" / "my_source" / "streams.py"
    streams.write_text(
        streams.read_text() + "\n@dlt.transformer(data_from=orders, primary_key='id')\n"
        "def names(page):\n"
        "    yield [{'id': row['id'], 'at': row['updated_at']} for row in page]\n"
    )
    (streams.parent / "__init__.py").write_text("from .streams import names, orders\n")
    fields = {"id": {"type": "integer"}, "at": {"type": "string", "format": "date-time"}}
    kit.configure(
        "my_source",
        "names",
        sync_mode=mode,
        cursor_field=["at"],
        primary_key=[["id"]],
        fields=fields,
    )
    assert "2,350 rows" in kit.run("my_source", "names").out
    expected = "2,350 rows" if mode == "full_refresh" else "nothing new"
    assert expected in kit.run("my_source", "names").out


def test_parts_are_published_in_the_order_of_their_rows(
    orders: Kit, zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANDING_FILE_MB", "0.004")
    orders.run("my_source", "orders")
    spans = [
        pq.read_table(pa.BufferReader(zone.read(path)), columns=["updated_at"])["updated_at"]
        for path in zone.parts("my_source", "orders")
    ]
    assert len(spans) > 5
    bounds = [(pc.min(span).as_py(), pc.max(span).as_py()) for span in spans]
    assert all(before[1] <= after[0] for before, after in pairwise(bounds))


def test_a_config_of_which_no_record_has_a_field_lands_nothing(orders: Kit, zone: Zone) -> None:
    orders.configure(
        "my_source", "orders", sync_mode="full_refresh", fields={"ident": {"type": "integer"}}
    )
    done = orders.run("my_source", "orders")
    assert done.code == 1
    assert "none of its 2,350 records has any of the fields" in done.err
    assert zone.parts("my_source", "orders") == []


def test_a_lag_finds_late_rows_and_never_moves_the_cursor_back(kit: Kit, folder_zone: Zone) -> None:
    kit.add_source(
        "late",
        "import json\nfrom pathlib import Path\nimport dlt\n"
        "FILE = Path(__file__).parents[4] / 'late.json'\n"
        "@dlt.resource\n"
        "def rows(n: dlt.sources.incremental[int] = dlt.sources.incremental('n', lag=10, "
        "row_order='asc')):\n"
        "    yield [{'n': x} for x in json.loads(FILE.read_text()) if x >= (n.last_value or 0)]\n",
    )
    kit.configure("late", "rows", cursor_field=["n"], fields={"n": {"type": "integer"}})
    file = kit.repository / "late.json"
    file.write_text(json.dumps(list(range(100))))
    assert "100 rows" in kit.run("late", "rows").out
    file.write_text("[]")
    for _ in range(3):
        assert "nothing new, cursor 99 (read from 89)" in kit.run("late", "rows").out
    file.write_text(json.dumps([95, 98, 100]))
    assert "1 row in" in kit.run("late", "rows").out


def test_a_dry_run_shows_the_plan_and_writes_nothing(orders: Kit, api: Api, zone: Zone) -> None:
    before = orders.run("my_source", "orders", "--dry-run")
    assert before.code == 0, before.text
    assert "from 2020-01-01 00:00:00" in before.out
    assert "writes nothing" in before.out
    assert "my_source/orders/year=YYYY" in before.out
    assert "updated_at    timestamp[us, tz=UTC]" in before.out
    assert zone.paths() == []
    assert len(api.requests) == 1, "the first page"

    orders.run("my_source", "orders")
    after = orders.run("my_source", "--all", "--dry-run")
    assert f"from {max(row['updated_at'] for row in api.rows())}" in after.out


def test_several_streams_one_failing_does_not_stop_the_others(
    orders: Kit, api: Api, zone: Zone
) -> None:
    orders.add_source(
        "two",
        "import dlt\n@dlt.resource\ndef bad():\n    yield {'n': 1}\n    raise ValueError('no')\n"
        "@dlt.resource\ndef good():\n    yield {'n': 1}\n",
    )
    for stream in ("bad", "good"):
        orders.configure("two", stream, fields={"n": {"type": "integer"}})
    done = orders.run("two", "--all")
    assert done.code == 1
    assert "two/good: 1 row" in done.out
    assert "stream 'two/bad'" in done.err
    assert "sources/two/streams.py, line 5: ValueError: no" in done.err
    assert zone.parts("two", "bad") == []


def test_all_runs_what_is_selected_and_ours(orders: Kit, zone: Zone) -> None:
    orders.configure("my_source", "other", '{"stream": "other", "connector": "airbyte", "x": 1}')
    orders.configure("my_source", "_notes", "not even JSON")
    orders.configure("my_source", "sometimes", selected=False, fields=FIELDS)
    done = orders.run("my_source", "--all")
    assert done.code == 0, done.text
    assert "my_source/orders: 2,350 rows" in done.out
    assert "other" not in done.text
    assert "sometimes" not in done.text


def test_a_bare_copy_of_a_discovered_schema_is_a_config(orders: Kit, api: Api, zone: Zone) -> None:
    orders.discover("my_source", "orders")
    text = orders.discovered_file("my_source", "orders").read_text()
    orders.configure("my_source", "orders", text)
    done = orders.run("my_source", "orders")
    assert done.code == 0, done.text
    assert newest(zone) == expected(api)
    assert "nothing new" in orders.run("my_source", "orders").out


def test_dlts_bookkeeping_is_where_no_glob_over_streams_meets_it(orders: Kit, zone: Zone) -> None:
    orders.run("my_source", "orders")
    others = [path for path in zone.paths() if not path.startswith("my_source/orders/year=")]
    assert others
    assert all(path.startswith("_dlt/my_source/orders/") for path in others)


def test_duckdb_reads_the_hive_partitions_over_s3(orders: Kit, zone: Zone, s3: S3Server) -> None:
    orders.run("my_source", "orders")
    extension = next(
        Path(duckdb_extension_httpfs.__file__).parent.rglob("httpfs.duckdb_extension*")
    )
    with duckdb.connect(config={"allow_unsigned_extensions": "true"}) as connection:
        connection.execute(f"LOAD '{extension}'")
        connection.execute(
            f"CREATE SECRET (TYPE s3, KEY_ID '{s3.access_key}', SECRET '{s3.secret_key}',"
            f" ENDPOINT '{s3.endpoint}', USE_SSL false, URL_STYLE 'path')"
        )
        landed = f"{os.environ['DLT_BUCKET_URL']}/my_source/orders/**/*.parquet"
        found = connection.execute(
            f"SELECT count(*), list(DISTINCT year) FROM '{landed}'"
        ).fetchone()
    assert found == (2_350, [datetime.now(UTC).year])
