"""Rows that are committed behind the cursor, read again without landing twice."""

from __future__ import annotations

import json
from typing import Any

import pytest

from landing.extraction import known_rows
from tests.kit import Kit, Zone

STREAM = """\
import json
from pathlib import Path
import dlt

FILE = Path(__file__).parents[4] / "rows.json"

@dlt.resource(primary_key="id")
def rows(at: dlt.sources.incremental[str] = dlt.sources.incremental("at")):
    (FILE.parent / "asked.txt").write_text(str(at.last_value))
    yield [row for row in json.loads(FILE.read_text()) if at.last_value is None
           or row["at"] >= at.last_value]
"""
TIME = {"type": "string", "format": "date-time"}


@pytest.fixture
def late(kit: Kit) -> Kit:
    kit.add_source("late", STREAM)
    return kit


def configure(kit: Kit, lookback: Any, at: dict[str, Any] = TIME) -> None:
    fields = {"id": {"type": "integer"}, "at": at}
    kit.configure("late", "rows", cursor_field=["at"], lookback=lookback, fields=fields)


def give(kit: Kit, *rows: tuple[int, Any]) -> None:
    text = json.dumps([{"id": key, "at": at} for key, at in rows])
    (kit.repository / "rows.json").write_text(text)


def asked(kit: Kit) -> str:
    return (kit.repository / "asked.txt").read_text()


def minute(number: int) -> str:
    return f"2026-01-05 10:{number:02}:00"


def test_a_row_that_was_committed_late_lands_and_the_others_do_not_again(
    late: Kit, folder_zone: Zone
) -> None:
    configure(late, "30m")
    rows = [(n, minute(n)) for n in range(0, 60, 2)]
    give(late, *rows)
    assert "30 rows" in late.run("late", "rows").out
    give(late, *rows, (31, minute(31)), (5, minute(5)))
    second = late.run("late", "rows")
    assert asked(late) == minute(28)
    assert "1 row in" in second.out, second.text
    assert "nothing new" in late.run("late", "rows").out
    assert folder_zone.query("late", "rows", "SELECT count(*), max(id) FROM landed") == [(31, 58)]


def test_a_row_within_the_lookback_that_changed_without_its_cursor_lands(
    late: Kit, folder_zone: Zone
) -> None:
    configure(late, "1h")
    give(late, (1, minute(1)), (2, minute(2)))
    late.run("late", "rows")
    give(late, (1, minute(1)), (3, minute(2)))
    assert "1 row in" in late.run("late", "rows").out


def test_the_window_moves_with_the_cursor(late: Kit, folder_zone: Zone) -> None:
    configure(late, "10m")
    for start in range(0, 50, 10):
        give(late, *[(n, minute(n)) for n in range(start, start + 10)])
        assert "10 rows" in late.run("late", "rows").out
        assert "nothing new" in late.run("late", "rows").out
    state = folder_zone.read("_dlt/late/rows/state.json")
    assert len(state) < 3_000


def test_runs_say_where_they_read_from_and_where_the_cursor_is(
    late: Kit, folder_zone: Zone
) -> None:
    configure(late, "10m")
    give(late, (1, minute(20)))
    assert "cursor    at, from the beginning\n" in late.run("late", "rows", "--dry-run").out
    first = late.run("late", "rows").out
    assert f", cursor {minute(20)}, " in first
    dry = late.run("late", "rows", "--dry-run").out
    assert f"at, from {minute(10)} (the cursor is at {minute(20)})\n" in dry
    idle = late.run("late", "rows").out
    assert f"nothing new, cursor {minute(20)} (read from {minute(10)}), " in idle
    give(late, (1, minute(20)), (2, minute(25)))
    moved = late.run("late", "rows").out
    assert f", cursor {minute(20)} → {minute(25)} (read from {minute(10)}), " in moved
    record = json.loads(folder_zone.read(folder_zone.paths("_dlt/late/rows/loads")[-1]))
    assert record["read_from"] == minute(10)
    assert record["cursor_before"] == minute(20)


@pytest.mark.parametrize(
    ("field", "lookback", "values", "start"),
    [
        ({"type": "integer"}, 5, [1, 20], "15"),
        ({"type": "number"}, 0.5, [1.0, 20.25], "19.75"),
        ({"type": "string", "format": "date"}, "36h", ["2026-01-01", "2026-01-20"], "2026-01-18"),
        (TIME, "1d12h", ["2026-01-01T00:00:00Z", "2026-01-20T12:00:00Z"], "2026-01-19T00:00:00Z"),
        (TIME, "1w", ["2026-01-01", "2026-01-20"], "2026-01-13"),
    ],
)
def test_what_a_stream_is_asked_for_is_spelled_as_its_api_spells_it(
    late: Kit, folder_zone: Zone, field: Any, lookback: Any, values: list[Any], start: str
) -> None:
    configure(late, lookback, field)
    give(late, *enumerate(values))
    assert "2 rows" in late.run("late", "rows").out
    for _ in range(2):  # the cursor of numbers in no declared order trails by one run
        again = late.run("late", "rows")
        assert "nothing new" in again.out, again.text
    assert asked(late) == start


@pytest.mark.parametrize(
    ("field", "lookback", "said"),
    [
        (TIME, 3600, "lookback: '3600' has to be a duration such as '30m', '2h' or '1d12h'"),
        (TIME, "2 hours", "has to be a duration"),
        (TIME, "0s", "has to be above 0"),
        ({"type": "integer"}, "2h", "'2h' has to be a number, because the cursor is one"),
        ({"type": "integer"}, 1.5, "has to be a whole number"),
        ({"type": "integer"}, -1, "has to be above 0"),
        ({"type": "string"}, "2h", "needs a cursor that is a date-time, a date, or a number"),
    ],
)
def test_a_lookback_that_can_not_be_counted_is_refused(
    late: Kit, folder_zone: Zone, field: Any, lookback: Any, said: str
) -> None:
    configure(late, lookback, field)
    give(late, (1, minute(1)))
    done = late.run("late", "rows")
    assert done.code == 2
    assert "dag/streams/late/rows.json: lookback: " in done.err
    assert said in done.err


def test_rows_within_the_lookback_that_are_too_many_for_the_state_are_known_by_a_file(
    late: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_rows, "IN_STATE", 10)
    configure(late, "1h")
    rows = [(n, minute(n)) for n in range(20)]
    give(late, *rows)
    late.run("late", "rows")
    assert len(folder_zone.paths("_dlt/late/rows/keys")) == 1
    assert "nothing new" in late.run("late", "rows").out
    give(late, *rows, (20, minute(3)))
    assert "1 row in" in late.run("late", "rows").out
    assert len(folder_zone.paths("_dlt/late/rows/keys")) == 1
    assert "nothing new" in late.run("late", "rows").out


def test_a_lookback_given_later_lands_its_rows_once_more_and_then_only_late_ones(
    late: Kit, folder_zone: Zone
) -> None:
    configure(late, None)
    rows = [(n, minute(n)) for n in range(20)]
    give(late, *rows)
    late.run("late", "rows")
    configure(late, "5m")
    assert "5 rows in" in late.run("late", "rows").out
    give(late, *rows, (100, minute(18)))
    assert "1 row in" in late.run("late", "rows").out


@pytest.mark.parametrize("lookback", ["30m", None])
def test_a_row_that_becomes_again_what_it_was_lands_again(
    late: Kit, folder_zone: Zone, lookback: Any
) -> None:
    fields = {"id": {"type": "integer"}, "at": TIME, "state": {"type": "string"}}
    late.configure("late", "rows", cursor_field=["at"], lookback=lookback, fields=fields)
    for state in ("open", "closed", "open"):
        rows = [{"id": 1, "at": minute(1), "state": state}, {"id": 2, "at": None, "state": state}]
        text = json.dumps(rows)
        (late.repository / "rows.json").write_text(text.replace("null", f'"{minute(1)}"'))
        assert "2 rows" in late.run("late", "rows").out
    newest = "SELECT arg_max(state, _dlt_load_id), count(*) FROM landed GROUP BY id"
    assert folder_zone.query("late", "rows", newest) == [("open", 3), ("open", 3)]


def test_a_row_without_cursor_that_becomes_again_what_it_was_lands_again(
    kit: Kit, folder_zone: Zone
) -> None:
    kit.add_source(
        "late", STREAM.replace("if at.last_value is None", "if True or at.last_value is None")
    )
    fields = {"id": {"type": "integer"}, "at": TIME, "state": {"type": "string"}}
    kit.configure("late", "rows", cursor_field=["at"], fields=fields)
    for state in ("open", "closed", "open"):
        row = {"id": 2, "at": None, "state": state}
        (kit.repository / "rows.json").write_text(json.dumps([row]))
        assert "1 row in" in kit.run("late", "rows").out
        assert "nothing new" in kit.run("late", "rows").out


def test_a_lookback_from_values_of_any_spelling_ends_at_the_initial_value(
    late: Kit, folder_zone: Zone
) -> None:
    fields = {"id": {"type": "integer"}, "at": TIME}
    late.configure(
        "late",
        "rows",
        cursor_field=["at"],
        lookback="1h",
        initial_value="2026-01-05 10:00:00",
        fields=fields,
    )
    give(late, (1, "2026-01-05T10:30:00"))
    assert "1 row in" in late.run("late", "rows").out
    late.run("late", "rows")
    assert asked(late) == "2026-01-05 10:00:00"


def test_a_lookback_before_the_year_one_is_none(late: Kit, folder_zone: Zone) -> None:
    configure(late, "1h")
    give(late, (1, "0001-01-01T00:00:00"))
    assert "1 row in" in late.run("late", "rows").out
    assert "nothing new" in late.run("late", "rows").out
