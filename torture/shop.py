"""A workspace with one stream, whose source is read over real HTTP by the command `landing`."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, chdir, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from obstore.store import LocalStore

from tests.kit import Kit, Outcome, Zone, own_sources
from torture.moving_api import MovingApi

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
ROWS = """
@dlt.resource(primary_key="id")
def rows(at=dlt.sources.incremental({incremental})):
    yield from {reader}(since(at))
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
        body = ROWS.format(incremental=declares, reader=reader)
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


@contextmanager
def shop() -> Iterator[Shop]:
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
