"""A stream that splits its records over several tables is refused: it would mix them in one."""

from __future__ import annotations

import pytest

from tests.kit import Kit, Zone

FIELDS = {"id": {"type": "integer"}, "kind": {"type": "string"}}
ROWS = """\
import dlt

ROWS = [{"id": 1, "kind": "user"}, {"id": 2, "kind": "team"}]

"""
BY_FUNCTION = """\
@dlt.resource(primary_key="id", table_name=lambda row: row["kind"])
def events():
    yield ROWS
"""
BY_MARK = """\
@dlt.resource(primary_key="id")
def events():
    for row in ROWS:
        yield dlt.mark.with_table_name(row, row["kind"])
"""
BY_HINTS = """\
@dlt.resource(primary_key="id")
def events():
    for row in ROWS:
        yield dlt.mark.with_hints(row, dlt.mark.make_hints(table_name=row["kind"]))
"""
BY_FUNCTION_OF_HINTS = """\
@dlt.resource(primary_key="id")
def events():
    hints = dlt.mark.make_hints(table_name=lambda row: row["kind"])
    yield dlt.mark.with_hints(ROWS, hints)
"""
ONE_TABLE = """\
@dlt.resource(primary_key="id", table_name="all_events")
def events():
    for row in ROWS:
        yield dlt.mark.with_table_name(row, "all_events")
"""
A_STREAM_EACH = """\
@dlt.resource(primary_key="id")
def events():
    yield ROWS

users = events.with_name("users").add_filter(lambda row: row["kind"] == "user")
teams = events.with_name("teams").add_filter(lambda row: row["kind"] == "team")
"""


@pytest.mark.parametrize(
    ("stream", "how"),
    [
        (BY_FUNCTION, "(table_name= is a function)"),
        (BY_MARK, "(a page is marked for table 'user')"),
        (BY_HINTS, "(a page is marked for table 'user')"),
        (BY_FUNCTION_OF_HINTS, "(a page is marked by a function of each record)"),
    ],
)
@pytest.mark.parametrize("command", ["run", "discover"])
def test_several_tables_are_refused(
    kit: Kit, folder_zone: Zone, stream: str, how: str, command: str
) -> None:
    kit.add_source("shop", ROWS + stream)
    kit.configure("shop", "events", fields=FIELDS)
    done = kit.landing(command, "shop", "events")
    assert done.code != 0
    assert f"stream 'events' sends its records to several tables {how}" in done.err
    assert "Traceback" not in done.text
    assert folder_zone.parts("shop", "events") == []


def test_one_table_of_another_name_is_none_of_several(kit: Kit, folder_zone: Zone) -> None:
    kit.add_source("shop", ROWS + ONE_TABLE)
    kit.configure("shop", "events", fields=FIELDS)
    done = kit.run("shop", "events")
    assert done.code == 0, done.text
    assert folder_zone.count("shop", "events") == 2


def test_a_stream_each_as_the_message_says(kit: Kit, folder_zone: Zone) -> None:
    init = "from .streams import teams, users\n\n__all__ = ['teams', 'users']\n"
    kit.add_source("shop", ROWS + A_STREAM_EACH, init=init)
    for stream in ("users", "teams"):
        kit.configure("shop", stream, fields=FIELDS)
        done = kit.run("shop", stream)
        assert done.code == 0, done.text
    assert folder_zone.query("shop", "users", "SELECT id FROM landed") == [(1,)]
    assert folder_zone.query("shop", "teams", "SELECT id FROM landed") == [(2,)]
