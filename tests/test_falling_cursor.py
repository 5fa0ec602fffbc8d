"""A cursor that falls: `row_order` says how rows come as the cursor goes, as dlt has it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.kit import Kit, Zone

SOURCE = """
import json, os
from pathlib import Path
import dlt

@dlt.resource(primary_key="id")
def rows(n=dlt.sources.incremental("n", last_value_func=min, row_order=ORDER)):
    yield from json.loads(Path(os.environ["ROWS"]).read_text())
"""


@pytest.mark.parametrize("order", ["asc", "desc", None])
@pytest.mark.parametrize("falls", [True, False])
def test_rows_below_the_cursor_land_in_any_order(
    kit: Kit,
    folder_zone: Zone,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    order: str | None,
    falls: bool,
) -> None:
    """The API gives all rows each time, whatever it is asked for."""
    file = tmp_path / "rows.json"
    monkeypatch.setenv("ROWS", str(file))
    kit.add_source("shop", SOURCE.replace("ORDER", repr(order)))
    integer = {"type": "integer"}
    kit.configure("shop", "rows", cursor_field=["n"], fields={"id": integer, "n": integer})
    for least in (50, 1, 1):
        numbers = sorted(range(least, 100), reverse=falls)
        pages = [numbers[start : start + 20] for start in range(0, len(numbers), 20)]
        file.write_text(json.dumps([[{"id": n, "n": n} for n in page] for page in pages]))
        done = kit.run("shop", "rows")
        assert done.code == 0, done.text
    landed = folder_zone.query("shop", "rows", "SELECT DISTINCT n FROM landed ORDER BY n")
    assert [number for (number,) in landed] == list(range(1, 100))
