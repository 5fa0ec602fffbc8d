"""Each change of a stream's columns is in the bucket, once, and old and new files read together."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from demo.servers import S3Server
from landing.catalog.settings import bucket_settings
from landing.catalog.workspace import Workspace
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths
from landing.zone.state import stored_by_us
from tests.kit import Kit, Zone
from tests.servers.proxy import Proxy, Request, passed_on, refuses, serve_proxy

STREAM = """\
import json
from pathlib import Path
import dlt

@dlt.resource
def rows(id: dlt.sources.incremental[int] = dlt.sources.incremental("id")):
    given = json.loads((Path(__file__).parents[4] / "rows.json").read_text())
    yield [row for row in given if id.last_value is None or row["id"] > id.last_value]
"""
ID = {"id": {"type": "integer"}}
NAME = {"name": {"type": "string"}}
TOTAL = {"total": {"type": "integer"}}


@pytest.fixture
def shop(kit: Kit, folder_zone: Zone) -> Kit:
    kit.add_source("shop", STREAM)
    return kit


def land(kit: Kit, number: int, **fields: dict[str, Any]) -> None:
    """One row more, with these columns."""
    give(kit, number, **fields)
    done = kit.run("shop", "rows")
    assert "1 row in" in done.out, done.text


def give(kit: Kit, number: int, *more: Any, **fields: dict[str, Any]) -> None:
    kit.configure("shop", "rows", cursor_field=["id"], fields=fields)
    row = {"id": number, "name": f"n{number}", "total": number}
    (kit.repository / "rows.json").write_text(json.dumps([row, *more]))


def versions(kit: Kit) -> list[dict[str, Any]]:
    done = kit.landing("schema", "shop", "rows", "--history", "--json")
    assert done.code == 0, done.text
    found: list[dict[str, Any]] = json.loads(done.out)
    return found


def known_version(kit: Kit) -> Any:
    bucket = Bucket(bucket_settings(Workspace(kit.root)))
    return stored_by_us(bucket, StreamPaths("shop", "rows"))["schema"]["version"]


def test_each_change_of_columns_is_a_version(shop: Kit, folder_zone: Zone) -> None:
    assert "no load has recorded its columns yet" in shop.landing("schema", "shop", "rows").out
    land(shop, 1, **ID)
    land(shop, 2, **ID)
    land(shop, 3, **ID, **NAME, **TOTAL)
    land(shop, 4, **ID, total={"type": "number"})
    land(shop, 5, **ID, total={"type": "number"})
    first, second, third = versions(shop)
    assert [column["name"] for column in first["columns"]] == ["id", "_dlt_load_id", "_dlt_id"]
    assert (first["added"], first["removed"], first["changed"]) == ([], [], [])
    assert (second["version"], second["added"]) == (2, ["name", "total"])
    assert third["removed"] == ["name"]
    assert third["changed"] == [{"name": "total", "before": "int64", "after": "double"}]
    assert third["load_id"] in folder_zone.parts("shop", "rows")[3]

    told = shop.landing("schema", "shop", "rows").out
    assert "version 3 since" in told
    assert "total         double" in told
    history = shop.landing("schema", "shop", "rows", "--history").out
    assert "+ name (string)" in history
    assert "- name" in history
    assert "~ total: int64 → double" in history


def test_columns_that_come_back_are_a_version_again(shop: Kit) -> None:
    land(shop, 1, **ID, **NAME)
    land(shop, 2, **ID)
    land(shop, 3, **ID, **NAME)
    assert [(v["version"], v["added"], v["removed"]) for v in versions(shop)] == [
        (1, [], []),
        (2, [], ["name"]),
        (3, ["name"], []),
    ]


def test_another_order_of_the_columns_is_no_change(shop: Kit) -> None:
    land(shop, 1, **ID, **NAME)
    land(shop, 2, **NAME, **ID)
    assert len(versions(shop)) == 1


def test_old_and_new_files_read_together(shop: Kit, folder_zone: Zone) -> None:
    land(shop, 1, **ID)
    land(shop, 2, **ID, **NAME, **TOTAL)
    land(shop, 3, **ID, total={"type": "number"})
    sql = "SELECT id, name, total FROM landed ORDER BY id"
    assert folder_zone.query("shop", "rows", sql, union_by_name=True) == [
        (1, None, None),
        (2, "n2", 2.0),
        (3, None, 3.0),
    ]


def test_the_bucket_knows_the_versions_when_the_state_is_gone(shop: Kit, folder_zone: Zone) -> None:
    land(shop, 1, **ID)
    land(shop, 2, **ID, **NAME)
    folder_zone.delete("_dlt/shop/rows/state.json")
    land(shop, 3, **ID, **NAME)
    assert len(versions(shop)) == 2
    assert known_version(shop) == 2
    folder_zone.delete("_dlt/shop/rows/state.json")
    land(shop, 4, **ID)
    assert [v["removed"] for v in versions(shop)] == [[], [], ["name"]]


def test_rows_from_quarantine_that_land_with_other_columns_are_a_version(
    shop: Kit, folder_zone: Zone
) -> None:
    land(shop, 1, **ID)
    give(shop, 2, {"id": 2}, **ID, name={"type": "integer"})
    assert "went to quarantine" in shop.run("shop", "rows").out
    shop.configure("shop", "rows", cursor_field=["id"], fields={**ID, **NAME})
    assert "1 row" in shop.landing("quarantine", "land", "shop", "rows").out
    assert [v["added"] for v in versions(shop)] == [[], ["name"], []], "its type changed"
    land(shop, 3, **ID, **NAME)
    assert len(versions(shop)) == 3
    assert known_version(shop) == 3


@pytest.fixture
def proxy(s3: S3Server, zone: Zone, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    with serve_proxy(s3.endpoint) as running:
        monkeypatch.setenv("S3_ENDPOINT", running.endpoint)
        yield running


def test_a_run_that_changes_no_columns_asks_the_bucket_for_nothing(kit: Kit, proxy: Proxy) -> None:
    kit.add_source("shop", STREAM)
    land(kit, 1, **ID)
    asked = proxy.spoil(passed_on, when=_is_about_schemas, times=float("inf"))
    land(kit, 2, **ID)
    assert asked.hits == 0
    land(kit, 3, **ID, **NAME)
    assert asked.hits == 3  # which are new, the last one, and the new one put


def _is_about_schemas(request: Request) -> bool:
    return "/schemas" in request.path or "schemas" in request.query.get("prefix", "")


@pytest.mark.parametrize("died_at", ["schemas/00002.json", ".parquet", "state.json"])
@pytest.mark.parametrize("then", ["the same columns", "others"])
def test_a_run_that_dies_neither_loses_nor_doubles_a_version(
    kit: Kit, proxy: Proxy, zone: Zone, died_at: str, then: str
) -> None:
    kit.add_source("shop", STREAM)
    land(kit, 1, **ID)
    give(kit, 2, **ID, **NAME)
    proxy.spoil(
        refuses(403, "AccessDenied"),
        when=lambda request: request.method == "PUT" and request.path.endswith(died_at),
    )
    assert kit.run("shop", "rows").code == 1
    proxy.fix()
    columns = {**ID, **NAME} if then == "the same columns" else {**ID, **TOTAL}
    land(kit, 2, **columns)
    found = versions(kit)
    assert [v["version"] for v in found] == list(range(1, len(found) + 1))
    names = [
        {column["name"] for column in v["columns"]} - {"_dlt_id", "_dlt_load_id"} for v in found
    ]
    assert names[-1] == set(columns)
    # The version of the run that died is there once, if any file may have its columns.
    assert names.count({"id", "name"}) == (then == "the same columns" or "schemas" not in died_at)
    assert known_version(kit) == len(found)
