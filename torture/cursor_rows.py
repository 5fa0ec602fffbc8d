"""What goes wrong with cursors, one kind after another, each with what is right for it.

The streams are code of a workspace, read over real HTTP and run by the command `landing`.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, chdir, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from obstore.store import LocalStore

from tests.kit import Kit, Outcome, Zone, own_sources
from torture.figures import Tally
from torture.moving_api import Edit, MovingApi, Order, Paging, serving

HOUR = 3_600
DAY = 24 * HOUR
_HEAD = """\
import os
import dlt, requests
from landing.http import Api, CursorPages

def pages(query):
    while True:
        page = requests.get(os.environ["MOVING_API"] + "/rows", params=query).json()
        yield page["rows"]
        if page["next"] is None:
            return
        query["token"] = page["next"]

def by_kit(query):
    api, paging = Api(os.environ["MOVING_API"]), CursorPages("next", "token")
    yield from api.pages("rows", records="rows", params=query, paging=paging)

def since(at):
    return {} if at.last_value is None else {"since": at.last_value}
"""
_ROWS = """
@dlt.resource(primary_key="id")
def rows(at=dlt.sources.incremental({incremental})):
    yield from {reader}(since(at))
"""
_GIVEN = """
@dlt.resource(primary_key="id")
def rows(at=dlt.sources.incremental("at")):
    yield {rows!r}
"""


class _Capture:
    """What a command writes, as pytest's capsys has it."""

    def __init__(self) -> None:
        self.out, self.err = io.StringIO(), io.StringIO()

    def readouterr(self) -> Any:
        found = _Written(self.out.getvalue(), self.err.getvalue())
        for stream in (self.out, self.err):
            stream.seek(0)
            stream.truncate()
        return found


class _Written(NamedTuple):
    out: str
    err: str


@dataclass
class Shop:
    """A workspace with one stream, the API that it reads, and the bucket where it lands."""

    kit: Kit
    zone: Zone
    lost: int = 0
    problems: list[str] = field(default_factory=list)

    def write(self, body: str, cursor: dict[str, Any] | None = None, **config: Any) -> None:
        self.kit.add_source("shop", _HEAD + body)
        self.configure(cursor, **config)

    def configure(self, cursor: dict[str, Any] | None = None, **config: Any) -> None:
        fields = {"id": {"type": "integer"}, "at": cursor or {"type": "string"}}
        fields |= {"text": {"type": "string"}, "n": {"type": "integer"}}
        self.kit.configure("shop", "rows", fields=fields, **config)

    def incremental(self, api: MovingApi, declares: str = '"at"', reader: str = "pages") -> None:
        body = _ROWS.format(incremental=declares, reader=reader)
        self.write(body, api.field_type, cursor_field=["at"])

    def run(self, rows: int | None = None, code: int = 0) -> Outcome:
        done = self.kit.run("shop", "rows")
        if done.code != code:
            self.problems.append(f"exit code {done.code} instead of {code}: {done.text}")
        if rows is not None:
            said = "nothing new" if rows == 0 else f"{rows} row{'s' * (rows > 1)} in"
            self.says(done, said)
        return done

    def says(self, done: Outcome, *texts: str) -> None:
        self.problems += [
            f"{text!r} is not in: {done.text}" for text in texts if text not in done.text
        ]

    def count_lost(self, api: MovingApi) -> None:
        newest = "SELECT id, arg_max(text, _dlt_load_id) FROM landed GROUP BY id"
        landed = dict(self.zone.query("shop", "rows", newest))
        fitting = {key: row["text"] for key, row in api.rows.items() if row["n"] == key}
        self.lost += sum(landed.get(key) != text for key, text in fitting.items())


Case = Callable[[Shop], None]


@contextmanager
def _shop() -> Iterator[Shop]:
    capture = _Capture()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cursor-rows-")))
        kit = Kit(folder / "repository", capture)
        zone = folder / "zone"
        stack.enter_context(chdir(kit.root / "dlt"))
        stack.enter_context(own_sources())
        stack.enter_context(mock.patch.dict(os.environ, {"DLT_BUCKET_URL": zone.as_uri()}))
        stack.enter_context(mock.patch.multiple(sys, stdout=capture.out, stderr=capture.err))
        yield Shop(kit, Zone(LocalStore(zone, mkdir=True), folder / "copies"))


@contextmanager
def _api(
    kind: str, order: Order = "key", paging: Paging = "token", count: int = 60
) -> Iterator[MovingApi]:
    """Its records are days old, the last one a week after the first."""
    api = MovingApi(kind, order, paging, size=20)
    for key in range(1, count + 1):
        api.put(key, api.now - timedelta(seconds=DAY + (count - key) * 7 * DAY / count))
    with serving(api) as url, mock.patch.dict(os.environ, {"MOVING_API": url}):
        yield api


def _edited_while_read(kind: str, reader: str, order: Order, declares: str) -> Case:
    def case(shop: Shop) -> None:
        with _api(kind, order) as api:
            shop.incremental(api, declares, reader)
            api.begin({1: (Edit(2),), 2: (Edit(54),)}, pace=1)
            shop.run()
            api.begin({}, pace=0)
            shop.run()
            shop.count_lost(api)
            shop.run(rows=0)

    return case


def _of_the_future(kind: str, fits: bool) -> Case:
    def case(shop: Shop) -> None:
        with _api(kind) as api:
            shop.incremental(api)
            api.make(Edit(60, ahead=355_000, fits=fits))
            shop.says(shop.run(), "beyond the source's time")
            for place in (6, 61):
                api.wait(HOUR)
                api.make(Edit(place))
                if "beyond the source's time" in shop.run(rows=1).text:
                    shop.problems.append("the record of the future is reported again")
            shop.count_lost(api)
            shop.says(shop.kit.landing("status", "shop", "--json"), '"ahead"')

    return case


def _argument(body: str) -> Case:
    """Of records of a week, those of the last three days, less a lag of one."""

    def case(shop: Shop) -> None:
        with _api("ISO times", "oldest") as api:
            start = api.rows[30]["at"]
            text = body.replace("START", repr(start)) + '\n\n__all__ = ["given"]\n'
            shop.write(text, api.field_type, cursor_field=["at"])
            due = sum(row["at"] >= start for row in api.rows.values())
            shop.run(rows=due)
            if shop.problems:
                return
            before = api.rows_given
            shop.run(rows=0)
            if not 0 < api.rows_given - before < due:
                shop.problems.append(f"{api.rows_given - before} rows were read again")

    return case


_GIVEN_AS = {
    "a resource": """
@dlt.resource(primary_key="id")
def inner(at: dlt.sources.incremental[str] = None):
    yield from pages(since(at))

@dlt.source
def given():
    at = dlt.sources.incremental("at", initial_value=START, lag=86400)
    return inner(at=at).with_name("rows")
""",
    "rest_api_resources": """
from dlt.sources.rest_api import rest_api_resources

@dlt.source
def given():
    at = {"cursor_path": "at", "initial_value": START, "start_param": "since", "lag": 86400}
    paginator = {"type": "cursor", "cursor_path": "next", "cursor_param": "token"}
    endpoint = {"path": "rows", "incremental": at, "data_selector": "rows"}
    client = {"base_url": os.environ["MOVING_API"], "paginator": paginator}
    resource = {"name": "rows", "primary_key": "id", "endpoint": endpoint}
    return rest_api_resources({"client": client, "resources": [resource]})
""",
}


def _spelled(kind: str, order: Order) -> Case:
    def case(shop: Shop) -> None:
        with _api(kind, order) as api:
            shop.incremental(api)
            spelled = {row["at"] for row in api.rows.values()}
            for place in (1, 59, 3):
                shop.run()
                api.wait(HOUR)
                api.make(Edit(place))
                spelled.add(api.rows[place + 1]["at"])
            shop.run()
            shop.count_lost(api)
            if strange := set(api.asked) - spelled:
                shop.problems.append(f"the API was asked for {strange}, which it never gave")

    return case


def _refused(values: Sequence[str]) -> Case:
    def case(shop: Shop) -> None:
        rows = [{"id": n, "at": value} for n, value in enumerate(values)]
        shop.write(_GIVEN.format(rows=rows), cursor_field=["at"])
        shop.says(shop.run(code=1), "cursor 'at'", *map(repr, values))
        if shop.zone.paths("shop"):
            shop.problems.append("rows landed")

    return case


def _below_is_counted(shop: Shop) -> None:
    declares = "at=dlt.sources.incremental('at', row_order='asc')"
    file = shop.kit.repository / "rows.json"
    body = f"""
import json

@dlt.resource(primary_key="id")
def rows({declares}):
    yield json.loads(open({str(file)!r}).read())
"""
    shop.write(body, cursor_field=["at"])
    file.write_text('[{"id": 1, "at": "v-b"}]')
    shop.run(rows=1)
    file.write_text('[{"id": 2, "at": "v-a"}, {"id": 3, "at": "v-c"}]')
    shop.says(shop.run(rows=1), "1 record with a at below 'v-b', compared as text")


def _incremental_without_saying(where: str) -> Case:
    def case(shop: Shop) -> None:
        with _api("ISO times", "oldest") as api:
            declared = "'at'" if where == "stream" else None
            body = _ROWS.format(incremental=declared, reader="pages")
            if declared is None:
                body = body.replace("dlt.sources.incremental(None)", "None").replace(
                    "since(at)", "{}"
                )
            shop.write(body, api.field_type)
            if where == "discovery":
                shop.kit.discover("shop", "rows")
                file = shop.kit.discovered_file("shop", "rows")
                found = json.loads(file.read_text())
                found["defaults"]["cursor_field"] = ["at"]
                found["options"]["sync_modes"] = ["incremental", "full_refresh"]
                file.write_text(json.dumps(found))
            shop.run(rows=60)
            shop.run(rows=0)

    return case


def _without_effect(shop: Shop) -> None:
    body = _GIVEN.format(rows=[{"id": 1, "at": "2026-01-01"}]).replace(
        'dlt.sources.incremental("at")', "None"
    )
    shop.write(body, initial_value="2026-01-01")
    shop.says(shop.run(code=2), "initial_value: has no effect")
