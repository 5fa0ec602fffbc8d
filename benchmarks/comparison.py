"""The figures of RESULTS.md that docs/comparison.md cites."""

from __future__ import annotations

import re
from itertools import takewhile
from pathlib import Path

from benchmarks.contenders import DOWNLOAD
from benchmarks.process import REPOSITORY
from benchmarks.report import table

DOCUMENT = REPOSITORY / "docs" / "comparison.md"
COLUMNS = ("contender", "rows/s", "speed to plain dlt")
BEGIN, END = "<!-- figures: written by python -m benchmarks -->", "<!-- end of figures -->"


def write_comparison(results: str, document: Path = DOCUMENT) -> None:
    before, _, rest = document.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    document.write_text(f"{before}{BEGIN}\n\n{figures(results)}\n\n{END}{after}")


def figures(results: str) -> str:
    """The table with the most contenders, in three columns, and what belongs to it."""
    tables = [rows for rows in _tables(results) if rows[0][0] == COLUMNS[0]]
    head, *rows = max(tables, key=len)
    places = [head.index(column) for column in COLUMNS]
    measured = [row for row in rows if row[0] != DOWNLOAD.title and row[places[1]]]
    verdicts = [row[3] for rows in _tables(results) for row in rows[1:] if rows[0][0] == "case"]
    missed = sum(verdict.startswith("missed") for verdict in verdicts)
    day, machine = (
        _said(r"on (\d{4}-\d\d-\d\d):", results),
        _said(r"\n(\d+ cores \(.+?\))", results),
    )
    return "\n\n".join(
        [
            table(COLUMNS, [[row[place] for place in places] for row in measured]),
            f"Measured on {day} on {machine}. {missed} of the {len(verdicts)} targets that the "
            "project set itself are [not reached](../benchmarks/RESULTS.md#targets).",
        ]
    )


def _said(pattern: str, results: str) -> str:
    found = re.search(pattern, results)
    if found is None:
        raise ValueError(f"RESULTS.md has nothing like {pattern}")
    return found[1]


def _tables(text: str) -> list[list[list[str]]]:
    """Of each table, the cells of its rows but the rule below the head."""
    lines = iter(text.splitlines())
    found = []
    for line in lines:
        if line.startswith("|"):
            rows = [line, *takewhile(lambda each: each.startswith("|"), lines)]
            cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
            found.append([cells[0], *cells[2:]])
    return found


if __name__ == "__main__":
    write_comparison((Path(__file__).parent / "RESULTS.md").read_text())
