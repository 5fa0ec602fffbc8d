"""dlt's incremental in a pipeline of plain dlt and in a run of ours: one stream, the same records.

Each line of the table "dlt's incremental" in docs/sync-modes.md is a test here.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import dlt
import pytest

from tests.kit import REPOSITORY, Kit, Zone
from tests.servers.scripted import Exchange, serve

HEAD = """\
import json
import os
from pathlib import Path

import dlt
from dlt.sources.rest_api import rest_api_resources

incremental = dlt.sources.incremental
HERE = Path(__file__).parent

def pages(at=None):
    for page in json.loads((HERE / "pages.json").read_text()):
        with (HERE / "requested").open("a") as log:
            log.write(json.dumps(at and at.last_value) + "\\n")
        yield page

"""
MODULE = "streams_of_plain_dlt"
AT = {"type": "string", "format": "date-time"}
Page: TypeAlias = list[dict[str, Any]]


def record(key: int, day: int | None = None, **others: Any) -> dict[str, Any]:
    return {"id": key, "at": at(day or key), **others}


def at(day: int) -> str:
    return f"2024-01-{day:02}T00:00:00Z"


def records(*keys: int) -> list[Page]:
    return [[record(key) for key in keys]]


@dataclass(frozen=True)
class Ended:
    """One run."""

    ids: list[int]
    """Of the rows that it loaded."""
    requested: list[Any]
    """The `last_value` with which the stream requested each page."""
    error: str = ""


class Dlt:
    """A pipeline of plain dlt."""

    def __init__(self, folder: Path, code: str, stream: str) -> None:
        self._folder = folder
        self._stream = stream
        self._loaded: list[int] = []
        folder.mkdir()
        (folder / "streams.py").write_text(HEAD + code)
        loaded = self._loaded

        @dlt.destination(batch_size=1000, name="rows", skip_dlt_columns_and_tables=True)
        def destination(items: list[dict[str, Any]], table: Any) -> None:
            loaded.extend(item["id"] for item in items)

        self._destination = destination

    def run(self, pages: Sequence[Page]) -> Ended:
        _give(self._folder, pages)
        self._loaded.clear()
        error = ""
        folder = str(self._folder / "pipelines")
        pipeline = dlt.pipeline("plain", destination=self._destination, pipelines_dir=folder)
        try:
            pipeline.run(self._resource())
        except Exception as failure:
            error = str(failure)
            pipeline.abort_packages()
        finally:
            pipeline.deactivate()
            del sys.modules[MODULE]
        return Ended(sorted(self._loaded), _requested(self._folder), error)

    def _resource(self) -> Any:
        spec = importlib.util.spec_from_file_location(MODULE, self._folder / "streams.py")
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[MODULE] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return getattr(module, self._stream)


class Ours:
    def __init__(self, kit: Kit, zone: Zone, code: str, stream: str, **config: Any) -> None:
        self._kit, self._zone, self._stream = kit, zone, stream
        init = f"from .streams import {stream}\n\n__all__ = ['{stream}']\n"
        self._folder = kit.add_source("plain", HEAD + code, init=init)
        fields = {"id": {"type": "integer"}, "at": AT}
        kit.configure("plain", stream, **{"fields": fields, **config})
        self._loads: set[str] = set()

    def run(self, pages: Sequence[Page]) -> Ended:
        _give(self._folder, pages)
        done = self._kit.run("plain", self._stream)
        ids = []
        if self._zone.parts("plain", self._stream):
            query = "SELECT id, _dlt_load_id FROM landed ORDER BY id"
            rows = self._zone.query("plain", self._stream, query)
            ids = [key for key, load in rows if load not in self._loads]
            self._loads.update(load for _, load in rows)
        return Ended(ids, _requested(self._folder), done.err if done.code else "")


def _give(folder: Path, pages: Sequence[Page]) -> None:
    (folder / "pages.json").write_text(json.dumps(pages))
    (folder / "requested").write_text("")


def _requested(folder: Path) -> list[Any]:
    return [json.loads(line) for line in (folder / "requested").read_text().splitlines()]


Result: TypeAlias = list[int] | str
"""The rows that a run loads, or a part of its error."""


@dataclass(frozen=True)
class Line:
    """Of the table; its first cell is the name of the test."""

    code: str
    runs: Sequence[list[Page]]
    dlt: Sequence[Result]
    ours: Sequence[Result] | None = None
    """None if they are those of dlt."""
    stream: str = "rows"
    config: dict[str, Any] | None = None


def function(declared: str, key: str = 'primary_key="id"', prepare: str = "") -> str:
    """A stream with an incremental as its default."""
    return (
        f"@dlt.resource({key})\ndef rows(at=incremental({declared})):\n"
        f"    yield from pages(at)\n{prepare}\n"
    )


def called(given: str, declared: str = "None") -> str:
    """A stream that is called with an incremental."""
    return (
        f'@dlt.resource(primary_key="id")\ndef inner(at: incremental[str] = {declared}):\n'
        f"    yield from pages(at)\nrows = inner(at={given}).with_name('rows')\n"
    )


def hinted(prepare: str) -> str:
    """A stream without a parameter for its incremental."""
    return (
        f'@dlt.resource(primary_key="id")\ndef made():\n    yield from pages()\n'
        f"rows = made().with_name('rows')\n{prepare}\n"
    )


PARENT = """\
@dlt.resource
def lists(at=incremental("at", initial_value="2024-01-02T00:00:00Z"{more})):
    yield from pages(at)

@dlt.transformer(primary_key="id"{own})
def rows(page):
    yield [{{"id": row["id"], "at": row["at"]}} for row in page]

rows = lists | rows
"""


def parent(declared: str, *runs: list[Page], dlt: Sequence[Result], ours: Any = None) -> Line:
    """A transformer's parent. Children have a cursor of their own, which lets all of them pass."""
    code = f"""\
@dlt.resource
def lists(at=incremental({declared})):
    yield from pages(at)

@dlt.transformer(primary_key="id")
def rows(page):
    yield [{{"id": row["id"], "n": 1}} for row in page]

rows = lists | rows
"""
    fields = {"id": {"type": "integer"}, "n": {"type": "integer"}}
    return Line(code, runs, dlt, ours, config={"cursor_field": ["n"], "fields": fields})


NESTED = [[{"id": key, "meta": {"at": at(key)}} for key in (1, 2, 3)]]
COPIED = """\
def copied(row):
    return {**row, "at": row["meta"]["at"]}

@dlt.resource(primary_key="id")
def made():
    yield from pages()

rows = made().add_map(copied).add_step(incremental("at")).with_name("rows")
"""
LACKING = [[record(1), {"id": 2, "at": None}, {"id": 3}]]
AT_2 = f'initial_value="{at(2)}"'

LINES = {
    "a default of the function": Line(
        function(f'"at", {AT_2}'), [records(1, 2, 3), records(1, 2, 3, 4)], [[2, 3], [4]]
    ),
    "an argument": Line(
        called(f'incremental("at", {AT_2})'), [records(1, 2, 3), records(1, 2, 3, 4)], [[2, 3], [4]]
    ),
    "an argument that completes the default": Line(
        called(f"incremental({AT_2})", 'incremental("at")'),
        [records(1, 2, 3), records(1, 2, 3, 4)],
        [[2, 3], [4]],
    ),
    "a plain value as argument": Line(
        called(f'"{at(2)}"', 'incremental("at")'),
        [records(1, 2, 3), records(1, 2, 3, 4)],
        [[2, 3], [4]],
    ),
    "`apply_hints(incremental=)`": Line(
        hinted(f'rows.apply_hints(incremental=incremental("at", {AT_2}))'),
        [records(1, 2, 3), records(1, 2, 3, 4)],
        [[2, 3], [4]],
    ),
    "`add_step(incremental())`": Line(
        hinted(f'rows.add_step(incremental("at", {AT_2}))'),
        [records(1, 2, 3), records(1, 2, 3, 4)],
        [[2, 3], [4]],
    ),
    "the parent of a transformer": Line(
        PARENT.format(more="", own=""),
        [records(1, 2, 3), records(1, 2, 3, 4)],
        [[2, 3], [4]],
        config={"cursor_field": ["at"]},
    ),
    "the parent of a transformer without a cursor": Line(
        PARENT.format(more="", own=""),
        [records(1, 2, 3), records(1, 2, 3, 4)],
        [[2, 3], [4]],
        [[2, 3], [2, 3, 4]],
    ),
    "`end_value` of a transformer's parent": parent(
        f'"at", {AT_2}, end_value="{at(4)}"',
        records(1, 2, 3, 4, 5),
        [*records(1, 2, 3, 4, 5), [record(8, day=2), record(9, day=4)]],
        dlt=[[2, 3], [2, 3, 8]],
        ours=[[2, 3], [8]],
    ),
    '`range_end="closed"` of a transformer\'s parent': parent(
        f'"at", {AT_2}, end_value="{at(4)}", range_end="closed", row_order="asc"',
        [*records(1, 2, 3), *records(4, 5), *records(4)],
        dlt=[[2, 3, 4]],
    ),
    '`range_start="open"` of a transformer\'s parent': parent(
        f'"at", {AT_2}, range_start="open"',
        records(1, 2, 3),
        [[record(3), record(9, day=3), record(4)]],
        dlt=[[3], [4]],
    ),
    "`lag` of a transformer's parent": parent(
        '"at", lag=86400',
        records(1, 2, 3),
        [[record(1), record(8, day=1), record(2), record(3), record(9, day=2)]],
        dlt=[[1, 2, 3], [2, 3, 9]],
        ours=[[1, 2, 3], [9]],
    ),
    "`last_value_func=min` of a transformer's parent": parent(
        '"at", last_value_func=min',
        records(3, 4),
        records(1, 2, 3, 4, 5),
        records(1, 2, 3, 4, 5, 6),
        dlt=[[3, 4], [1, 2], []],
        ours=[[3, 4], [1, 2, 5], []],
    ),
    '`row_order="desc"` of a parent, an older record before newer ones': parent(
        '"at", row_order="desc"',
        [[record(3)], [record(2)], [record(1)]],
        [[record(1), record(6)], [record(5)], [record(4)], [record(3)]],
        dlt=[[1, 2, 3], [6]],
        ours=[[1, 2, 3], [4, 5, 6]],
    ),
    '`on_cursor_value_missing="exclude"` of a transformer\'s parent': parent(
        '"at", on_cursor_value_missing="exclude"', LACKING, LACKING, dlt=[[1], []]
    ),
    "a nested path of a transformer's parent": parent(
        f'"meta.at", {AT_2}',
        NESTED,
        [[*NESTED[0], {"id": 4, "meta": {"at": at(4)}}, {"id": 5, "meta": {"at": at(1)}}]],
        dlt=[[2, 3], [4]],
    ),
    "`initial_value`, lowered later": Line(
        function(
            f'"at", initial_value="{at(2)}" if (HERE / "pages.json").stat().st_size > 200'
            f' else "{at(1)}"'
        ),
        [records(1, 2, 3, 4, 5), records(1, 2, 6)],
        [[2, 3, 4, 5], [6]],
    ),
    "`lag`": Line(
        function('"at", lag=86400'),
        [records(1, 2, 3), [[record(1), record(2), record(3), record(9, day=2)]]],
        [[1, 2, 3], [2, 3, 9]],
        [[1, 2, 3], [9]],
    ),
    "`last_value_func=min`": Line(
        function('"at", last_value_func=min'),
        [records(3, 4), records(1, 2, 3, 4, 5), records(1, 2, 3, 4, 5, 6)],
        [[3, 4], [1, 2], []],
        [[3, 4], [1, 2, 5], []],
    ),
    "another `last_value_func`": Line(
        function('"at", last_value_func=lambda values: sorted(values)[-1]'),
        [records(1, 2), records(1, 2, 3)],
        [[1, 2], [3]],
        ["last_value_func has to be max or min"] * 2,
    ),
    "`end_value`": Line(
        function(f'"at", {AT_2}, end_value="{at(4)}"'),
        [records(1, 2, 3, 4, 5), [*records(1, 2, 3, 4, 5), [record(9, day=3)]]],
        [[2, 3], [2, 3, 9]],
        [[2, 3], [9]],
    ),
    '`range_end="closed"`': Line(
        function(f'"at", {AT_2}, end_value="{at(4)}", range_end="closed"'),
        [records(1, 2, 3, 4, 5)],
        [[2, 3, 4]],
    ),
    '`row_order="asc"` with `end_value`': Line(
        function(f'"at", {AT_2}, end_value="{at(4)}", row_order="asc"'),
        [[*records(1, 2, 3), *records(4, 5), *records(6)]],
        [[2, 3]],
    ),
    "`end_value` without `initial_value`": Line(
        function(f'"at", end_value="{at(4)}"'),
        [records(1)],
        ["`initial_value` is required when using `end_value`"],
        ["declares an end_value for 'at' but no initial_value"],
    ),
    '`range_start="open"`': Line(
        function(f'"at", {AT_2}, range_start="open"'),
        [records(1, 2, 3), [[record(3), record(9, day=3), record(4)]]],
        [[3], [4]],
    ),
    '`row_order="asc"`': Line(
        function('"at", row_order="asc"'),
        [records(1, 2), records(1, 2, 3)],
        [[1, 2], [3]],
    ),
    '`on_cursor_value_missing="raise"`, the default': Line(
        function('"at"'), [LACKING], ["on_cursor_value_missing"], [[1, 2, 3]]
    ),
    '`on_cursor_value_missing="include"`': Line(
        function('"at", on_cursor_value_missing="include"'),
        [LACKING, LACKING],
        [[1, 2, 3], [2, 3]],
        [[1, 2, 3], []],
    ),
    '`on_cursor_value_missing="exclude"`': Line(
        function('"at", on_cursor_value_missing="exclude"'), [LACKING, LACKING], [[1], []]
    ),
    "a nested path": Line(
        function('"meta.at"'), [NESTED], [[1, 2, 3]], ["which is inside another field"]
    ),
    "a nested path, copied by `add_map`": Line(COPIED, [NESTED, NESTED], [[1, 2, 3], []]),
    "another record at the cursor": Line(
        function('"at"'),
        [records(1, 2), [[record(1), record(2), record(9, day=2)]]],
        [[1, 2], [9]],
    ),
    "an edit of a record at the cursor": Line(
        function('"at"'),
        [[[record(1), record(2, name="old")]], [[record(1), record(2, name="new")]]],
        [[1, 2], []],
        [[1, 2], [2]],
        config={"fields": {"id": {"type": "integer"}, "at": AT, "name": {"type": "string"}}},
    ),
    "`primary_key=()`": Line(
        function('"at", primary_key=()'),
        [records(1, 2), records(1, 2, 3)],
        [[1, 2], [2, 3]],
        [[1, 2], [3]],
    ),
    "a record of the future": Line(
        function('"at"'),
        [[[record(1), {"id": 99, "at": "2999-01-01T00:00:00Z"}]], records(1, 2)],
        [[1, 99], []],
        [[1, 99], [2]],
    ),
    "text that sorts in another order": Line(
        function('"at"'),
        [
            [[{"id": 1, "at": "2024-01-01T00:00:00.5Z"}]],
            [[{"id": 2, "at": "2024-01-01T00:00:00.50001Z"}, {"id": 3, "at": at(1)}]],
            [[{"id": 4, "at": "2024-01-01T02:00:00+01:00"}]],
        ],
        [[1], [3], [4]],
        [[1], [2], [4]],
        config={"fields": {"id": {"type": "integer"}, "at": {"type": "string"}}},
    ),
    "a record below the cursor": Line(
        function('"at"'), [records(2, 3), records(1, 2, 3)], [[2, 3], []]
    ),
    "`allow_external_schedulers=True`": Line(
        function('"at", allow_external_schedulers=True'),
        [records(1, 2)],
        ["DLT_INTERVAL_START"],
        [[1, 2]],
    ),
    "a full refresh": Line(
        function(f'"at", {AT_2}', 'primary_key="id", write_disposition="replace"'),
        [records(1, 2, 3)] * 2,
        [[2, 3], [2, 3]],
        [[1, 2, 3], [1, 2, 3]],
        config={"sync_mode": "full_refresh"},
    ),
}
TESTED = set(LINES)


def both(line: Line, kit: Kit, zone: Zone, folder: Path) -> tuple[Dlt, Ours]:
    ours = Ours(kit, zone, line.code, line.stream, **(line.config or {}))
    return Dlt(folder / "dlt", line.code, line.stream), ours


@pytest.mark.parametrize("name", LINES)
def test_a_line_of_the_table(name: str, kit: Kit, folder_zone: Zone, tmp_path: Path) -> None:
    line = LINES[name]
    plain, ours = both(line, kit, folder_zone, tmp_path)
    for number, pages in enumerate(line.runs):
        for run, expected in (
            (plain.run(pages), line.dlt[number]),
            (ours.run(pages), (line.ours or line.dlt)[number]),
        ):
            if isinstance(expected, str):
                assert expected in run.error
                assert run.ids == []
            else:
                assert run.error == ""
                assert run.ids == expected, number


@pytest.mark.parametrize(
    "name", ["`end_value`", '`range_end="closed"`', "`lag`", "`last_value_func=min`"]
)
def test_children_that_carry_their_parents_cursor(
    name: str, kit: Kit, folder_zone: Zone, tmp_path: Path
) -> None:
    """Their own cursor leaves out none that the parent's range requests again."""
    line = LINES[f"{name} of a transformer's parent"]
    code = line.code.replace('"n": 1', '"at": row["at"]')
    assert code != line.code
    ours = Ours(kit, folder_zone, code, line.stream, cursor_field=["at"])
    results = [ours.run(pages) for pages in line.runs]
    assert [result.error for result in results] == [""] * len(results)
    assert [result.ids for result in results] == list(line.ours or line.dlt)
    assert ours.run(line.runs[-1]).ids == []


def newest_first(newest: int) -> list[Page]:
    """A page for each day."""
    return [[record(key)] for key in range(newest, 0, -1)]


def requested(line: Line, kit: Kit, zone: Zone, folder: Path) -> list[tuple[list[Any], list[Any]]]:
    """With plain dlt and by us in each run, which land the same."""
    plain, ours = both(line, kit, zone, folder)
    ended = [(plain.run(pages), ours.run(pages)) for pages in line.runs]
    for expected, found in ended:
        assert found.ids == expected.ids
        assert found.error == ""
    return [(expected.requested, found.requested) for expected, found in ended]


TESTED.add("`last_value` while the stream reads")


def test_the_last_value_while_the_stream_reads(kit: Kit, folder_zone: Zone, tmp_path: Path) -> None:
    line = Line(function('"at"'), [[[record(1)], [record(2)], [record(3)]]], [])
    [(plain, ours)] = requested(line, kit, folder_zone, tmp_path)
    assert plain == [None, at(1), at(2)]
    assert ours == [None, None, None]


TESTED.add('`row_order="desc"`')


def test_newest_first_ends_at_the_start(kit: Kit, folder_zone: Zone, tmp_path: Path) -> None:
    """dlt ends with the first row it knows, we with the first below: others at it may be new."""
    declared = function(f'"at", initial_value="{at(25)}", row_order="desc"')
    line = Line(declared, [newest_first(28), newest_first(29)], [])
    first, second = requested(line, kit, folder_zone, tmp_path)
    assert [len(pages) for pages in first] == [5, 5]
    assert [len(pages) for pages in second] == [2, 3]


TESTED.add('`row_order="desc"`, new rows at the cursor')


def test_newest_first_with_new_rows_at_the_cursor(
    kit: Kit, folder_zone: Zone, tmp_path: Path
) -> None:
    plain, ours = both(Line(function('"at", row_order="desc"'), [], []), kit, folder_zone, tmp_path)
    pages = [[record(2)], [record(1)]]
    assert plain.run(pages).ids == ours.run(pages).ids == [1, 2]
    pages.insert(1, [record(9, day=2)])
    assert plain.run(pages).ids == []
    assert ours.run(pages).ids == [9]


TESTED.add('`row_order="desc"`, an older record before newer ones')


def test_newest_first_with_an_older_record_on_top(
    kit: Kit, folder_zone: Zone, tmp_path: Path
) -> None:
    """Such as a pinned post."""
    plain, ours = both(Line(function('"at", row_order="desc"'), [], []), kit, folder_zone, tmp_path)
    pages = [[record(3)], [record(2)], [record(1)]]
    assert plain.run(pages).ids == ours.run(pages).ids == [1, 2, 3]
    pages = [[record(1), record(6)], [record(5)], [record(4)], *pages]
    assert plain.run(pages).ids == [6]
    assert ours.run(pages).ids == [4, 5, 6]


TESTED.add('`row_order="desc"` of a transformer\'s parent')


def test_a_parent_that_gives_its_newest_first_ends_at_the_start(
    kit: Kit, folder_zone: Zone, tmp_path: Path
) -> None:
    code = PARENT.format(more=', row_order="desc"', own="").replace("01-02", "01-25")
    runs = [newest_first(28), newest_first(29)]
    line = Line(code, runs, [], config={"cursor_field": ["at"]})
    first, second = requested(line, kit, folder_zone, tmp_path)
    assert [len(pages) for pages in first] == [5, 5]
    assert [len(pages) for pages in second] == [2, 3]


TESTED.add("`rest_api`")
REST = """\
declared = {"path": "api", "incremental":
    {"cursor_path": "at", "initial_value": "2024-01-02T00:00:00Z", "start_param": "since"}}
config = {"client": {"base_url": os.environ["API"], "paginator": "single_page"},
    "resources": [{"name": "rows", "primary_key": "id", "endpoint": declared}]}
[rows] = rest_api_resources(config)
"""


def test_rest_api(
    kit: Kit, folder_zone: Zone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now: list[Page] = [[]]

    def answer(exchange: Exchange) -> None:
        exchange.reply(200, json.dumps(now[0]).encode(), Content_Type="application/json")

    with serve(answer) as server:
        monkeypatch.setenv("API", server.url)
        plain, ours = both(Line(REST, [], []), kit, folder_zone, tmp_path)
        for keys, expected in (((1, 2, 3), [2, 3]), ((1, 2, 3, 4), [4])):
            now[:] = records(*keys)
            assert plain.run([]).ids == expected
            assert ours.run([]).ids == expected
        since = [seen.query["since"] for seen in server.seen]
    assert since == [at(2), at(2), at(3), at(3)]


def test_each_line_of_the_table_is_tested() -> None:
    page = (REPOSITORY / "docs" / "sync-modes.md").read_text()
    section = page.split("### dlt's incremental\n")[1].split("\n## ")[0]
    lines = re.findall(r"^\| (.+?) \|", section, re.MULTILINE)
    found = [name for name in lines if name not in ("declared", "---")]
    assert sorted(found) == sorted(TESTED)
