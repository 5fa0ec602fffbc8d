"""A field named like a folder of the landing zone."""

from __future__ import annotations

import os
import re

import duckdb
import pytest

from tests.kit import REPOSITORY, Kit, Zone

STREAMS = """\
import dlt


@dlt.resource(primary_key="id")
def budgets():
    yield [{"id": 1, "year": 1999, "month": 2, "amount": 7}]
"""
CASES = STREAMS.replace('"month": 2', '"Day": 2, "Amount": 3')


def test_discovery_warns_and_the_readmes_query_is_right(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.add_source("shop", STREAMS)
    found = kit.discover("shop")
    for name in ("year", "month"):
        assert f"  ! {name}: a folder of the landing zone has this name, too" in found.out
    assert "  ! amount" not in found.out
    kit.configure("shop", "budgets", kit.discovered_file("shop", "budgets").read_text())
    config = kit.config_file("shop", "budgets")
    config.write_text(config.read_text().replace('"stream"', '"selected": true, "stream"', 1))
    assert kit.run("shop", "budgets").code == 0

    block = re.search(
        r"```python\nimport duckdb\n\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL
    )
    assert block is not None
    folder = os.environ["DLT_BUCKET_URL"].removeprefix("file://")
    query = block[1].replace("../../landing-zone", folder).replace("orders", "budgets")
    shown: list[duckdb.DuckDBPyRelation] = []
    query = query.replace("duckdb.sql(", "shown.append(duckdb.sql(").replace(").show()", "))")
    exec(query, {"duckdb": duckdb, "shown": shown})
    (row,) = shown[0].project("year, month, amount").fetchall()
    assert row == (1999, 2, 7)


def test_discovery_warns_of_names_that_differ_only_in_case(kit: Kit) -> None:
    kit.add_source("shop", CASES)
    found = kit.discover("shop")
    assert "  ! Day: a folder of the landing zone has this name, too" in found.out
    assert re.search("! (amount|Amount): differs from (amount|Amount) only in case", found.out)
