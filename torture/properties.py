"""The property tests, with as many generated examples as are asked for."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

from tests.kit import REPOSITORY
from torture.figures import Section, Tally

FILE = REPOSITORY / "tests" / "test_properties.py"


def properties(examples: int, rows: int) -> Section:
    """So many examples of each property, which are a page of some rows, or a config.

    `rows` is how many rows each property of rows has to come to.
    """
    with tempfile.TemporaryDirectory(prefix="properties-") as folder:
        report = Path(folder) / "report.xml"
        done = subprocess.run(
            [sys.executable, "-m", "pytest", str(FILE), f"--junitxml={report}", "--timeout=0"],
            cwd=REPOSITORY,
            env={**os.environ, "PROPERTY_EXAMPLES": str(examples)},
            capture_output=True,
            text=True,
            check=False,
        )
        cases = list(ElementTree.parse(report).iter("testcase")) if report.exists() else []
    tallies = [tally for case in cases if (tally := _tally(case, rows)) is not None]
    if done.returncode and not any(tally.problems for tally in tallies):
        tallies.append(Tally("property tests", problems=[done.stdout[-1_000:] + done.stderr]))
    return Section("Generated rows and configs", tallies)


def _tally(case: ElementTree.Element, least: int) -> Tally | None:
    """The figures that a test tells of itself; None if it has none and passed."""
    what = case.get("name", "").removeprefix("test_").replace("_", " ")
    failed = [found.get("message", "") for found in case.iter("failure")]
    told = Counter({p.get("name", ""): int(p.get("value", 0)) for p in case.iter("property")})
    if not told and not failed:
        return None
    rows = told["rows"]
    note = (
        f"{told['landed']:,} rows landed, {told['quarantined']:,} in quarantine"
        if rows
        else f"{told['read']:,} configs read, {told['refused']:,} refused"
    )
    if 0 < rows < least:
        failed.append(f"{rows:,} rows instead of {least:,}")
    lost = rows - told["landed"] - told["quarantined"]
    lost += told["configs"] - told["read"] - told["refused"]
    return Tally(what, times=rows + told["configs"], lost=lost, note=note, problems=failed)
