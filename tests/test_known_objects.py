"""Objects of known keys and rows stay in the bucket for as long as a state may name them."""

from __future__ import annotations

import json

import obstore
import pytest

from landing.extraction import known_rows
from tests.kit import Kit, Zone

SOURCE = """
import json
from pathlib import Path
import dlt

HERE = Path(__file__).parents[4]

@dlt.resource(primary_key="id")
def rows(n: dlt.sources.incremental[int] = dlt.sources.incremental("n", row_order="asc")):
    last = [{"id": x, "n": 1} for x in range(20)]
    yield last
    plan = json.loads((HERE / "plan.json").read_text())
    for page in range(plan["pages"]):
        start = 1000 + page * 5000
        yield [{"id": x, "n": x} for x in range(start, start + 5000)]
    if plan["fails"]:
        yield [{"id": 500, "n": 500}]  # below what was given before
        yield [{"id": x, "n": x} for x in range(100_000, 105_000)]
        raise RuntimeError("it broke")
"""
FIELDS = {"id": {"type": "integer"}, "n": {"type": "integer"}}
KNOWN = "_dlt/long/rows/keys"


@pytest.fixture
def long(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> Kit:
    monkeypatch.setattr(known_rows, "IN_STATE", 10)
    monkeypatch.setenv("LANDING_SLICE_MB", "0.01")
    kit.add_source("long", SOURCE)
    kit.configure("long", "rows", cursor_field=["n"], fields=FIELDS)
    return kit


def run(kit: Kit, pages: int, *, fails: bool = False) -> str:
    (kit.repository / "plan.json").write_text(json.dumps({"pages": pages, "fails": fails}))
    done = kit.run("long", "rows")
    assert done.code == int(fails), done.text
    return done.text


def test_a_state_that_is_put_back_still_has_the_rows_that_it_knows(
    long: Kit, folder_zone: Zone
) -> None:
    run(long, 0)
    [before] = folder_zone.paths(KNOWN)
    text = run(long, 3, fails=True)
    assert "returned a lower n after a higher one" in text
    assert before in folder_zone.paths(KNOWN)
    run(long, 0)
    known = folder_zone.query("long", "rows", "SELECT count(*) FROM landed WHERE n = 1")
    assert known == [(20,)]


def test_what_no_state_names_any_more_is_deleted(long: Kit, folder_zone: Zone) -> None:
    run(long, 0)
    assert folder_zone.paths(KNOWN)
    run(long, 3)
    assert not folder_zone.paths(KNOWN)


def test_objects_of_loads_that_the_state_does_not_know_stay(long: Kit, folder_zone: Zone) -> None:
    """Another run may have landed since this one stopped."""
    run(long, 0)
    later = f"{KNOWN}/9999999999.000000.parquet"
    obstore.put(folder_zone.store, later, b"")
    run(long, 3)
    assert folder_zone.paths(KNOWN) == [later]


def test_what_is_put_back_is_a_state_of_its_own(long: Kit, folder_zone: Zone) -> None:
    """Another run that has read the state before must not take it for unchanged."""
    run(long, 0)
    before = folder_zone.read("_dlt/long/rows/state.json")
    run(long, 3, fails=True)
    after = folder_zone.read("_dlt/long/rows/state.json")
    assert after != before
    one, other = json.loads(before), json.loads(after)
    assert other["version"] > one["version"]
    shown = json.loads(long.landing("state", "show", "long", "rows", "--json").out)
    assert shown["cursor"] == 1
