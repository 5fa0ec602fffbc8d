"""The figures of RESULTS.md that pages of the documentation cite."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import takewhile
from pathlib import Path

from benchmarks.contenders import DICTIONARY, DOWNLOAD, KIT
from benchmarks.process import REPOSITORY
from benchmarks.report import table

BEGIN, END = "<!-- figures: written by python -m benchmarks -->", "<!-- end of figures -->"
COLUMNS = ("contender", "rows/s", "speed to plain dlt")

Rows = list[list[str]]


def write_citations(results: str) -> None:
    for document in CITATIONS:
        document.write_text(cited(document, results))


def cited(document: Path, results: str) -> str:
    """The document with the figures of these results."""
    before, _, rest = document.read_text().partition(BEGIN)
    figures = CITATIONS[document](results)
    around = "\n\n" if "\n" in figures else " "
    return f"{before}{BEGIN}{around}{figures}{around}{END}{rest.partition(END)[2]}"


def comparison(results: str) -> str:
    """The table with the most contenders, in three columns, and what belongs to it."""
    head, *rows = max(_tables(results, COLUMNS[0]), key=len)
    places = [head.index(column) for column in COLUMNS]
    measured = [row for row in rows if row[0] != DOWNLOAD.title and row[places[1]]]
    verdicts = [row[3] for row in _targets(results)]
    missed = sum(verdict.startswith("missed") for verdict in verdicts)
    machine = _said(r"\n(\d+ cores \(.+?\))", results)
    return "\n\n".join(
        [
            table(COLUMNS, [[row[place] for place in places] for row in measured]),
            f"Measured on {_day(results)} on {machine}. {missed} of the {len(verdicts)} targets "
            "that the project set itself are "
            "[not reached](../benchmarks/RESULTS.md#targets).",
        ]
    )


def memory(results: str) -> str:
    """Of streams side by side, beside what a pod requests."""
    rows = [
        [count, *re.findall(r"(\d+) MiB", f"{measured} {asked}")]
        for case, asked, measured, _ in _targets(results)
        for count in re.findall(r"^peak memory, (\d+) streams side by side", case)
    ]
    figures = table(("streams in parallel", "peak, MiB", "requested, MiB"), rows)
    return f"On {_day(results)}:\n\n{figures}"


def rates(results: str) -> str:
    """Rows a second, of dictionaries and of the kit, to the next 1,000."""
    head, *rows = next(_tables(results, COLUMNS[0]))
    found = {row[0]: row[head.index(COLUMNS[1])] for row in rows}
    low, high = (
        round(int(found[contender.title].replace(",", "")), -3) for contender in (DICTIONARY, KIT)
    )
    return f"{low:,} (dictionaries) to {high:,} (pages of the kit)"


CITATIONS: Mapping[Path, Callable[[str], str]] = {
    REPOSITORY / "docs" / "comparison.md": comparison,
    REPOSITORY / "docs" / "deployment.md": memory,
    REPOSITORY / "docs" / "scaling.md": rates,
}


def _day(results: str) -> str:
    return _said(r"on (\d{4}-\d\d-\d\d):", results)


def _said(pattern: str, results: str) -> str:
    found = re.search(pattern, results)
    if found is None:
        raise ValueError(f"RESULTS.md has nothing like {pattern}")
    return found[1]


def _targets(results: str) -> Rows:
    return [row for rows in _tables(results, "case") for row in rows[1:]]


def _tables(text: str, first: str) -> Iterator[Rows]:
    """Of each table whose first column has this name: its rows, but the rule below the head."""
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith(f"| {first} |"):
            rows = [line, *takewhile(lambda each: each.startswith("|"), lines)]
            cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
            yield [cells[0], *cells[2:]]


if __name__ == "__main__":
    write_citations((Path(__file__).parent / "RESULTS.md").read_text())
