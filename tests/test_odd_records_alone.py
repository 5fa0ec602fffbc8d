"""Runs of an incremental stream that have nothing new but odd records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.kit import Kit, Zone

SOURCE = """
import json, os
from pathlib import Path
import dlt

@dlt.resource(primary_key="id")
def rows(at=dlt.sources.incremental("at")):
    yield json.loads(Path(os.environ["ROWS"]).read_text())
"""
FIELDS = {
    "id": {"type": "integer"},
    "at": {"type": "string", "format": "date-time"},
    "n": {"type": "integer"},
}


class Shop:
    def __init__(self, kit: Kit, file: Path, fields: dict[str, Any]) -> None:
        self.kit, self.file = kit, file
        kit.add_source("shop", SOURCE)
        kit.configure("shop", "rows", cursor_field=["at"], fields=fields)

    def run(self, *rows: dict[str, Any]) -> Any:
        self.file.write_text(json.dumps(rows))
        return self.kit.run("shop", "rows")


def row(key: int, n: Any = 1, at: Any = None) -> dict[str, Any]:
    return {"id": key, "at": at or f"2024-01-{key:02}T00:00:00Z", "n": n}


@pytest.fixture
def rows_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ROWS", str(tmp_path / "rows.json"))
    return tmp_path / "rows.json"


def test_a_lone_odd_record_is_quarantined_and_the_cursor_goes_on(
    kit: Kit, folder_zone: Zone, rows_file: Path
) -> None:
    shop = Shop(kit, rows_file, FIELDS)
    assert shop.run(row(1)).code == 0
    done = shop.run(row(2, n="many"))
    assert done.code == 0, done.text
    assert "1 record does not fit the configured fields and went to quarantine" in done.text
    assert "nothing new" in shop.run(row(2, n="many")).text
    assert "1 row in" in shop.run(row(2, n="many"), row(3)).text
    assert folder_zone.query("shop", "rows", "SELECT id FROM landed ORDER BY id") == [(1,), (3,)]


@pytest.mark.parametrize(("before", "odd"), [([], 1), ([row(1)], 10)])
def test_a_first_run_or_one_with_several_records_of_which_none_fits_fails(
    kit: Kit, folder_zone: Zone, rows_file: Path, before: list[Any], odd: int
) -> None:
    shop = Shop(kit, rows_file, FIELDS)
    if before:
        assert shop.run(*before).code == 0
    done = shop.run(*(row(key, n="many") for key in range(2, 2 + odd)))
    assert done.code == 1
    assert "no record fits, so nothing was landed and the cursor stays" in done.err


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ([row(9, at="n/a")], "1 record has 'n/a' in at, which is not a time; landed if new"),
        (
            [row(8, at="n/a"), row(9, at="soon")],
            "2 records have text in at that is not a time, such as 'n/a'; landed if new",
        ),
        ([{"id": 9, "at": None, "n": 1}], "1 record has no at; landed if new"),
    ],
)
def test_text_that_is_no_time_is_quoted(
    kit: Kit, folder_zone: Zone, rows_file: Path, odd: list[Any], said: str
) -> None:
    shop = Shop(kit, rows_file, {**FIELDS, "at": {"type": "string"}})
    done = shop.run(row(1), row(2), row(3), *odd)
    assert done.code == 0, done.text
    assert said in done.text
    assert folder_zone.count("shop", "rows") == 3 + len(odd)
