"""What a run that finds nothing new does not import: each of these takes milliseconds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.kit import Kit, Zone

STREAMS = """\
import atexit
import json
import os
import sys

import dlt


def report():
    with open(os.environ["IMPORTED"], "w") as file:
        json.dump(sorted(sys.modules), file)


atexit.register(report)


@dlt.resource(primary_key="id")
def rows(at=dlt.sources.incremental("at")):
    if at.last_value is None or os.environ["GIVES"] == "the last row again":
        yield [{"id": 1, "at": 1}]
"""
UNUSED = {
    "dlt.sources.helpers.rest_client",
    "landing.http.api",
    "landing.observe.otel",
    "landing.tables.sync",
    "pyarrow.parquet",
    "rich.console",
    "rich.table",
    "sqlite3",
}


@pytest.mark.parametrize("gives", ["nothing", "the last row again"])
def test_a_run_that_finds_nothing_new_imports_little(
    kit: Kit, folder_zone: Zone, tmp_path: Path, gives: str
) -> None:
    kit.add_source("shop", STREAMS)
    kit.configure(
        "shop",
        "rows",
        fields={"id": {"type": "integer"}, "at": {"type": "integer"}},
        cursor_field=["at"],
    )
    imported = tmp_path / "imported.json"
    env = {"IMPORTED": str(imported), "GIVES": gives}
    for expected in ("1 row", "nothing new"):
        done = kit.script("pipeline.py", "shop", "rows", **env)
        assert done.code == 0, done.text
        assert expected in done.out
    modules = set(json.loads(imported.read_text()))
    assert "landing.operations.run" in modules
    assert UNUSED & modules == set()
