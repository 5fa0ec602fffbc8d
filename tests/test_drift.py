"""Fields that the source gained or lost, and types that changed: told, refused, or landed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from landing.columns.conversion import NEW_FIELDS
from tests.kit import Kit, Outcome, Zone

ROWS = [{"id": n, "total": n + 0.5, "name": f"order {n}"} for n in range(150)]
FIELDS = {"id": {"type": "integer"}, "total": {"type": "number"}}
SHAPES = {
    "dictionaries": "data",
    "bytes": "JsonPage(json.dumps(data).encode())",
    "arrow": "pa.Table.from_pylist(data)",
    "frame": "pd.DataFrame(data)",
}


def shop(kit: Kit, shape: str, *pages: list[dict[str, Any]]) -> None:
    """A stream that yields what a file has, so that a test may change it."""
    if not (kit.root / "dlt" / "sources" / "shop").exists():
        kit.add_source(
            "shop",
            "import dlt, json, pathlib, pandas as pd, pyarrow as pa\n"
            "from landing.http import JsonPage\n"
            "@dlt.resource\ndef orders():\n"
            "    for data in json.loads((pathlib.Path(__file__).parent / 'pages').read_text()):\n"
            f"        yield {SHAPES[shape]}\n",
        )
    (kit.root / "dlt" / "sources" / "shop" / "pages").write_text(json.dumps(pages))


def run(kit: Kit, **keys: Any) -> Outcome:
    kit.configure("shop", "orders", **{"fields": FIELDS, **keys})
    return kit.run("shop", "orders")


@pytest.fixture(params=SHAPES)
def drifting(request: pytest.FixtureRequest, kit: Kit) -> Kit:
    """Discovered once; then a field comes, a field goes, and one changes its type."""
    shop(kit, request.param, ROWS)
    assert kit.discover("shop").code == 0
    changed = [{"id": row["id"], "name": row["id"], "gift": True} for row in ROWS]
    shop(kit, request.param, changed, changed)
    return kit


WITH_NAME = {**FIELDS, "name": {"type": "string"}}


def test_drift_is_reported_once_at_every_run(drifting: Kit, folder_zone: Zone) -> None:
    for _ in range(2):
        done = run(drifting, fields=WITH_NAME)
        assert done.code == 0, done.text
        assert done.out.count("drift:") == 1
        assert (
            "drift: + gift (boolean), not landed: add it to fields, or discover the stream again "
            "to leave it out for good; ~ name: string → integer, lands as text\n"
        ) in done.out
        assert "no record had total; such columns are all null" in done.out
    assert folder_zone.query("shop", "orders", "SELECT DISTINCT total FROM landed") == [(None,)]


def test_what_the_config_leaves_out_is_no_drift(kit: Kit, folder_zone: Zone) -> None:
    shop(kit, "dictionaries", ROWS)
    kit.discover("shop")
    assert "drift" not in run(kit).text


def test_without_a_discovered_schema_all_that_is_left_out_is_new(
    kit: Kit, folder_zone: Zone
) -> None:
    shop(kit, "dictionaries", ROWS)
    assert "drift: + name (string), not landed" in run(kit).out


def test_a_run_fails_before_anything_lands(drifting: Kit, folder_zone: Zone) -> None:
    done = run(drifting, fields=WITH_NAME, on_drift="fail")
    assert done.code == 1
    assert (
        "stream 'shop/orders' drifted, and on_drift is 'fail' in "
        "orchestration/dag/streams/shop/orders.json: + gift (boolean); ~ name: string → integer. "
        "Discover the stream again, and adapt the fields if necessary"
    ) in done.err
    assert folder_zone.parts("shop", "orders") == []
    drifting.discover("shop")
    assert run(drifting, fields={"id": {"type": "integer"}}, on_drift="fail").code == 0


def test_one_row_of_many_is_enough_to_fail(kit: Kit, folder_zone: Zone) -> None:
    shop(kit, "bytes", ROWS)
    kit.discover("shop")
    odd = [*ROWS, {**ROWS[0], "gift": 1}, *ROWS]
    shop(kit, "bytes", odd)
    assert run(kit, on_drift="fail").code == 1


@pytest.mark.parametrize(("records", "code"), [(99, 0), (100, 1)])
def test_a_field_is_lost_once_enough_records_lack_it(
    kit: Kit, folder_zone: Zone, records: int, code: int
) -> None:
    shop(kit, "bytes", ROWS)
    kit.discover("shop")
    shop(kit, "bytes", [{"id": n} for n in range(records)])
    done = run(kit, on_drift="fail")
    assert done.code == code
    assert ("total: no record had it" in done.err) == bool(code)
    assert len(folder_zone.parts("shop", "orders")) == 1 - code


def test_new_fields_land_as_one_json_column(drifting: Kit, folder_zone: Zone) -> None:
    done = run(drifting, fields=FIELDS, on_drift="land")
    assert done.code == 0, done.text
    assert f"drift: + gift (boolean), landed as JSON in {NEW_FIELDS}\n" in done.out
    described = folder_zone.query("shop", "orders", "DESCRIBE SELECT * FROM landed")
    assert [row[:2] for row in described][2:5] == [
        (NEW_FIELDS, "VARCHAR"),
        ("_dlt_load_id", "VARCHAR"),
        ("_dlt_id", "VARCHAR"),
    ]
    found = folder_zone.query("shop", "orders", f"SELECT DISTINCT {NEW_FIELDS} FROM landed")
    assert found == [('{"gift":true}',)]
    plan = drifting.run("shop", "orders", "--dry-run").out
    assert NEW_FIELDS in plan


def test_rows_without_new_fields_have_null_there(kit: Kit, folder_zone: Zone) -> None:
    shop(kit, "bytes", [{"id": 1}, {"id": 2, "gift": None, "to": {"a": [1]}}])
    assert run(kit, fields={"id": {"type": "integer"}}, on_drift="land").code == 0
    found = folder_zone.query("shop", "orders", f"SELECT id, {NEW_FIELDS} FROM landed ORDER BY id")
    assert found == [(1, None), (2, '{"gift":null,"to":{"a":[1]}}')]


def test_new_fields_go_to_quarantine_with_their_row(kit: Kit, folder_zone: Zone) -> None:
    shop(kit, "dictionaries", [{"id": 1}, {"id": "x", "gift": 7}])
    assert run(kit, on_drift="land").code == 0
    [kept] = folder_zone.paths("_quarantine")
    assert json.loads(folder_zone.read(kept))["row"] == {"id": "x", "gift": 7}


@pytest.mark.parametrize(
    ("seen", "comes", "told"),
    [
        (1, 2.0, ""),
        (1, 2.5, "~ it: integer → number, goes to quarantine where it does not fit"),
        (1, "2", "~ it: integer → string, goes to quarantine where it does not fit"),
        (1.5, 2, ""),
        (1.5, True, "~ it: number → boolean, goes to quarantine where it does not fit"),
        ("a", "b", ""),
        ("a", [1], "~ it: string → array, lands as text"),
        ("a", None, ""),
        ({"a": 1}, [1], "~ it: object → array, lands as text"),
        (None, "a", ""),
    ],
)
def test_types_that_change(kit: Kit, folder_zone: Zone, seen: Any, comes: Any, told: str) -> None:
    shop(kit, "bytes", [{"id": 1, "it": seen}])
    kit.discover("shop")
    fields = kit.discovered("shop", "orders")["fields"]
    shop(kit, "bytes", [{"id": 1, "it": comes}])
    done = run(kit, fields=fields)
    assert (f"drift: {told}\n" in done.out) == bool(told), done.text
    assert ("drift" in done.out) == bool(told)


def test_a_type_is_compared_with_what_was_discovered_not_with_a_wider_one_of_the_config(
    kit: Kit, folder_zone: Zone
) -> None:
    shop(kit, "bytes", [{"id": 1}])
    kit.discover("shop")
    shop(kit, "bytes", [{"id": "1"}])
    done = run(kit, fields={"id": {"type": "string"}})
    assert "drift: ~ id: integer → string, lands as text" in done.out


def test_many_new_fields_are_counted_beyond_the_first(kit: Kit, folder_zone: Zone) -> None:
    shop(kit, "bytes", [{"id": 1, **{f"f{n:02}": n for n in range(30)}}])
    done = run(kit, fields={"id": {"type": "integer"}})
    assert "f19 (integer) and 10 more, not landed" in done.out
    shop(kit, "bytes", [{"id": 1, **{f"f{n}": n for n in range(1_001)}}])
    assert "f19 (integer) and at least 980 more" in run(kit, fields={"id": {"type": "integer"}}).out
