"""No run ends silently, whatever an API answers; and what would let one do so is noticed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from landing.http import whole_bodies
from landing.http.paging.more import Evidence
from tests.kit import REPOSITORY
from torture.__main__ import REPORT
from torture.figures import Table
from torture.wire import WAYS
from torture.wire.bodies import CUT
from torture.wire.formats import FAILURES
from torture.wire.more_pages import NOT_ALL
from torture.wire.runs import edge_wire
from torture.wire.way import ROWS, Way, body, listed

RUN = "run python -m torture --only edge-wire"
pytestmark = pytest.mark.timeout(400)


@pytest.mark.long
def test_whatever_an_api_answers_no_run_ends_silently(tmp_path: Path) -> None:
    table = edge_wire(WAYS, tmp_path)
    assert table.problems == []
    assert not [line for line in table.lines if line[-1] == "silent"]
    assert REPOSITORY / "docs" / "reliability.md" == REPORT
    assert table.markdown().split("\n\n")[-1] in REPORT.read_text(), RUN


def test_some_of_each_kind_of_answer_end_as_they_should(tmp_path: Path) -> None:
    assert edge_wire(WAYS[::8], tmp_path).problems == []


def test_the_ways_are_many_and_each_has_its_source_and_its_line_in_the_docs() -> None:
    assert len(WAYS) >= 280
    assert not [what for what, count in Counter(way.what for way in WAYS).items() if count > 1]
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+#\d+", way.source) for way in WAYS)
    assert all(way.says for way in WAYS if way.outcome == "failed")
    assert not [way for way in WAYS if way.outcome == "silent"]
    report = REPORT.read_text()
    for way in WAYS:
        line = f"| {way.what} | {way.source} | {way.outcome} |"
        assert line in report, RUN


def silent(table: Table) -> set[str]:
    return {line[0] for line in table.lines if line[-1] == "silent"}


def nothing_more(*_: object, **__: object) -> None:
    """What paging sees where an answer says that there is more."""


@pytest.mark.parametrize(
    ("ways", "owner", "name", "broken"),
    [
        (NOT_ALL[:6], Evidence, "sign_of_more", nothing_more),
        (CUT[:1], whole_bodies, "check_whole", nothing_more),
    ],
    ids=["paging", "bodies"],
)
def test_an_engine_that_loses_rows_is_noticed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ways: list[Way],
    owner: object,
    name: str,
    broken: Callable[..., None],
) -> None:
    monkeypatch.setattr(owner, name, broken)
    if owner is whole_bodies:
        monkeypatch.setattr("landing.http.sending.check_whole", broken)
    table = edge_wire(ways, tmp_path)
    assert silent(table) == {way.what for way in ways}
    assert len(table.problems) == len(ways)
    assert "rows are missing" in table.problems[0]


@pytest.mark.parametrize(
    ("way", "says"),
    [
        (
            Way("it lacks a row", "a/b#1", body({"items": ROWS[1:]}), listed(), "landed"),
            "1 rows are missing",
        ),
        (
            Way(
                "a value is another",
                "a/b#1",
                body({"items": [{**ROWS[0], "total": 7}, *ROWS[1:]]}),
                listed(),
                "landed",
            ),
            "1 rows are missing, 1 are not the API's",
        ),
        (
            Way("a record is odd", "a/b#1", body({"items": [*ROWS, None]}), listed(), "landed"),
            "quarantined instead of landed",
        ),
        (
            Way("two are", "a/b#1", body({"items": [*ROWS, None, None]}), listed(), "quarantined"),
            "2 records are in quarantine instead of 1",
        ),
        (
            Way("it fails", "a/b#1", body({}, 500), listed(), "failed", "the moon"),
            "the message does not name the cause",
        ),
    ],
    ids=lambda each: each.what if isinstance(each, Way) else "",
)
def test_a_run_that_ends_otherwise_is_a_problem(tmp_path: Path, way: Way, says: str) -> None:
    [problem] = edge_wire([way], tmp_path).problems
    assert says in problem


def test_the_command_takes_each_kind_of_failure() -> None:
    """The table would be no proof if it had only ways that are read whole."""
    counts = Counter(way.outcome for way in WAYS)
    assert counts["failed"] > 50
    assert counts["landed"] > 50
    assert counts["quarantined"] >= 10
    assert len(FAILURES) > 20
