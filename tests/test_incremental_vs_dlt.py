"""What dlt's incremental makes of a stream, beside what a run does: each line of the table in
docs/incremental.md."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import dlt
import pyarrow.parquet as pq
import pytest

from tests.kit import REPOSITORY, Kit, Zone

# Rows 0 to 99 in pages of ten; of a page, only when it is asked for.
STREAM = """
import dlt
from pathlib import Path

incremental = dlt.sources.incremental
ASKED = Path({asked!r})

@dlt.resource(primary_key="id")
def rows(at={declared}):
    since = at.last_value or 0
    order = range(99, -1, -1) if at.row_order == "desc" else range(100)
    for start in range(0, 100, 10):
        page = [
            {{"id": n, "at": n, "meta": {{"at": n}}}}
            for n in list(order)[start : start + 10]
            {condition}
        ]
        if page:
            with ASKED.open("a") as file:
                file.write(f"{{since}} ")
        yield page
{after}
"""
FIELDS = {"id": {"type": "integer"}, "at": {"type": "integer"}}
LINES = {
    "last_value": ('incremental("at")', "if n >= since", ""),
    "initial_value": ('incremental("at", initial_value=50)', "if n >= since", ""),
    "bound as argument": (
        'incremental("at")',
        "if n >= since",
        'bound = rows(at=incremental("at", initial_value=60))',
    ),
    "initial_value bound as argument": (
        'incremental("at", initial_value=10)',
        "if n >= since",
        "bound = rows(at=60)",
    ),
    "range_start": ('incremental("at", initial_value=50, range_start="open")', "", ""),
    "last_value_func min": (
        'incremental("at", initial_value=40, last_value_func=min)',
        "if n <= since",
        "",
    ),
    "row_order desc": ('incremental("at", initial_value=70, row_order="desc")', "", ""),
    "row_order asc": ('incremental("at", initial_value=0, row_order="asc")', "if n >= since", ""),
}


def source_text(line: str, asked: Path) -> str:
    declared, condition, after = LINES[line]
    return STREAM.format(asked=str(asked), declared=declared, condition=condition, after=after)


def extracted(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ids that plain dlt lands in two runs."""
    module = ModuleType("plain_dlt")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(text, module.__dict__)
    resource = module.__dict__.get("bound", module.__dict__["rows"])
    where = dlt.destinations.filesystem((folder / "plain").as_uri())
    pipeline = dlt.pipeline("plain", pipelines_dir=str(folder / "p"), destination=where)
    for _ in range(2):
        pipeline.run(resource, loader_file_format="parquet", write_disposition="append")
    files = (folder / "plain").rglob("rows/*.parquet")
    ids = [n for file in files for n in pq.read_table(file, columns=["id"])["id"].to_pylist()]
    return sorted(ids)


@pytest.mark.parametrize("line", LINES)
def test_a_run_does_as_dlt(
    kit: Kit, folder_zone: Zone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    asked = tmp_path / "asked"
    text = source_text(line, asked)
    init = "from .streams import bound\n" if "bound =" in text else "from .streams import rows\n"
    kit.add_source("shop", text, init=init)
    kit.configure("shop", "rows", fields=FIELDS, sync_mode="incremental", cursor_field=["at"])
    for _ in range(2):
        done = kit.run("shop", "rows")
        assert done.code == 0, done.text
    asked_by_dlt = tmp_path / "dlt-asked"
    of_dlt = extracted(source_text(line, asked_by_dlt), tmp_path, monkeypatch)
    assert ids_of(folder_zone) == of_dlt
    ours, its = asked.read_text().split(), asked_by_dlt.read_text().split()
    # A run reads up to three pages ahead of what it converts.
    assert set(ours) == set(its)
    assert len(its) <= len(ours) <= len(its) + 2 * 4


def shop(kit: Kit, text: str, init: str = "from .streams import rows\n") -> None:
    kit.add_source("shop", text, init=init)
    kit.configure("shop", "rows", fields=FIELDS, sync_mode="incremental", cursor_field=["at"])


def declaring(incremental: str, asked: Path, after: str = "") -> str:
    return STREAM.format(
        asked=str(asked), declared=incremental, condition="if n >= since", after=after
    )


def ids_of(zone: Zone) -> list[int]:
    return sorted(row[0] for row in zone.query("shop", "rows", "SELECT id FROM landed"))


def lag(kit: Kit, zone: Zone, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """dlt lands the rows of the lag with each run; a run, only what has changed."""
    text = declaring('incremental("at", initial_value=0, lag=5)', folder / "asked")
    shop(kit, text)
    assert [kit.run("shop", "rows").code for _ in range(2)] == [0, 0]
    assert ids_of(zone) == list(range(100))
    assert "94 " in (folder / "asked").read_text(), "it reads from behind the cursor, as dlt does"
    assert extracted(text, folder, monkeypatch) == sorted([*range(100), *range(94, 100)])


def end_value(kit: Kit, zone: Zone, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """dlt loads a range and keeps no state; a backfill does that here."""
    text = declaring('incremental("at", initial_value=10, end_value=20)', folder / "asked")
    shop(kit, text)
    done = kit.run("shop", "rows")
    assert done.code == 2
    assert "end_value" in done.err
    assert extracted(text, folder, monkeypatch) == sorted([*range(10, 20)] * 2)


def nested_path(kit: Kit, zone: Zone, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """dlt takes it; a run says how to yield the value at the top."""
    text = declaring('incremental("$.meta.at", initial_value=50)', folder / "asked")
    shop(kit, text)
    for done in (kit.run("shop", "rows"), kit.discover("shop", "rows")):
        assert done.code == 2
        assert """add_map(lambda row: {**row, "at": row['meta']['at']})""" in done.err
    assert extracted(text, folder, monkeypatch) == list(range(50, 100))
    lifted = """rows.add_map(lambda row: {**row, "at": row['meta']['at']})"""
    text = declaring('incremental("at", initial_value=50)', folder / "asked", lifted)
    made = text.replace('"at": n, "meta"', '"meta"')
    (kit.root / "dlt" / "sources" / "shop" / "streams.py").write_text(made)
    for name in [name for name in sys.modules if name.startswith("sources.shop")]:
        monkeypatch.delitem(sys.modules, name)
    done = kit.run("shop", "rows")
    assert done.code == 0, done.text
    assert ids_of(zone) == list(range(50, 100))


OTHERWISE = {"lag": lag, "end_value": end_value, "nested path": nested_path}


@pytest.mark.parametrize("line", OTHERWISE)
def test_a_run_does_otherwise(
    kit: Kit, folder_zone: Zone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    OTHERWISE[line](kit, folder_zone, tmp_path, monkeypatch)


def test_each_line_of_the_table_has_a_test() -> None:
    page = (REPOSITORY / "docs" / "incremental.md").read_text()
    lines = re.findall(r"^\| ([^|]+) \| [^|]+ \| [^|]+ \|$", page, re.MULTILINE)
    named = {line.replace("`", "") for line in lines} - {"declared", "---"}
    assert named == {*LINES, *OTHERWISE}
