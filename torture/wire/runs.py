"""Run a stream against an API that misbehaves, in this process, and say how the run ended."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from textwrap import indent
from typing import Any

import pyarrow.parquet as pq

from landing.cli import main
from tests.kit import Kit, own_sources
from tests.servers.scripted import Server, serve
from torture.figures import Search, Table
from torture.wire.way import FIELDS, Answers, Outcome, Way

STREAM = "orders"
TOKEN = "wire-tok3n-that-nobody-may-see"
_CLIENT = """\
import os

import dlt
import requests
from dlt.sources.helpers.rest_client import paginators

from landing.http import *

URL = os.environ["WIRE_URL"]
api = Api(
    URL, auth=Bearer(os.environ["WIRE_TOKEN"]), retries=Retries(total=2, base=0.01, deadline=10)
)
"""
_STREAM = f"""{_CLIENT}

@dlt.resource(primary_key="id")
def {STREAM}(
    at=dlt.sources.incremental("updated_at", initial_value="2020-01-01T00:00:00Z"),
):
"""


@dataclass(frozen=True)
class Ended:
    """A run, and the problem there is with how it ended: "" if it ended as it should."""

    way: Way
    outcome: Outcome
    problem: str
    search: Search


def edge_wire(ways: Iterable[Way], folder: Path) -> Table:
    """One run for each way, as lines of the table."""
    ended = [tried(way, folder / f"{number:03}") for number, way in enumerate(ways)]
    counts = {
        outcome: sum(each.outcome == outcome for each in ended)
        for outcome in ("landed", "quarantined", "warned", "failed", "silent")
    }
    search = sum((each.search for each in ended), Search())
    note = f"{len(ended)} ways: " + ", ".join(f"{name} {n}" for name, n in counts.items()) + "."
    return Table(
        "Edge: wire",
        ("what the API does", "seen in", "the run"),
        [(each.way.what, each.way.source, each.outcome) for each in ended],
        (note, str(search)),
        [f"{each.way.what}: {each.problem}" for each in ended if each.problem]
        + ([str(search)] if search.found else []),
    )


def tried(way: Way, folder: Path) -> Ended:
    with ExitStack() as stack:
        kit = Kit(folder, None)
        source = f"wire_{folder.name}"
        is_module = way.stream.lstrip().startswith("@")
        code = _CLIENT + way.stream if is_module else _STREAM + indent(way.stream, "    ")
        kit.add_source(source, code)
        kit.configure(source, STREAM, **_config(way))
        stack.enter_context(_environment(folder))
        stack.enter_context(chdir(kit.root))
        zone = _Zone(folder / "zone", source)
        if way.earlier:
            _run(way.earlier, source)
        before = zone.state()
        code, said, server = _run(way.answers, source)
        outcome, problem = _outcome(way, code, said, zone, before)
        texts = [said, *zone.texts()]
        search = Search(len(texts), sum(TOKEN in text for text in texts))
        return Ended(way, outcome, problem or _waited(way, server), search)


def _config(way: Way) -> dict[str, Any]:
    mode = {"sync_mode": "incremental", "cursor_field": ["updated_at"], "primary_key": [["id"]]}
    return {"fields": FIELDS, **mode, **way.config}


@contextmanager
def _environment(folder: Path) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(DLT_BUCKET_URL=(folder / "zone").as_uri(), WIRE_TOKEN=TOKEN)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _run(answers: Answers, source: str) -> tuple[int, str, Server]:
    said = io.StringIO()
    with (
        own_sources(),
        serve(answers) as server,
        redirect_stdout(said),
        redirect_stderr(said),
    ):
        os.environ["WIRE_URL"] = server.url
        try:
            code = int(main(["run", source, STREAM]) or 0)
        except SystemExit as stop:
            code = int(stop.code or 0)
    return code, said.getvalue(), server


class _Zone:
    def __init__(self, folder: Path, source: str) -> None:
        self._folder = folder
        self._source = source

    def rows(self) -> list[dict[str, Any]]:
        files = sorted((self._folder / self._source / STREAM).rglob("*.parquet"))
        tables = (pq.read_table(file, columns=list(FIELDS)) for file in files)
        return [row for table in tables for row in table.to_pylist()]

    def quarantined(self) -> list[dict[str, Any]]:
        files = sorted((self._folder / "_quarantine" / self._source / STREAM).glob("[0-9]*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]

    def state(self) -> bytes | None:
        file = self._folder / "_dlt" / self._source / STREAM / "state.json"
        return file.read_bytes() if file.exists() else None

    def texts(self) -> list[str]:
        files = [file for file in self._folder.rglob("*") if file.is_file()]
        return [file.read_bytes().decode(errors="replace") for file in files]


def _outcome(
    way: Way, code: int, said: str, zone: _Zone, before: bytes | None
) -> tuple[Outcome, str]:
    """How the run ended, and what is wrong with that."""
    landed = list(map(_spelled, zone.rows()))
    wanted = list(map(_spelled, way.rows))
    quarantined = zone.quarantined()
    missing = [row for row in wanted if row not in landed]
    foreign = [row for row in landed if row not in wanted]
    outcome: Outcome = "silent"
    problem = ""
    if code:
        outcome = "failed" if zone.state() == before else "silent"
        problem = "" if outcome == "failed" else "the run failed, and the cursor moved"
        if "Traceback" in said or not re.search(way.says, said):
            problem = f"the message does not name the cause: {said}"
    elif missing or foreign:
        problem = f"exit code 0, {len(missing)} rows are missing, {len(foreign)} are not the API's"
        problem += f" ({(foreign or missing)[0]}); {said}"
    elif not quarantined:
        outcome = "landed"
        if way.outcome == "warned" and re.search(way.says, said):
            outcome = "warned"
    elif all(each["reason"] for each in quarantined) and len(quarantined) == way.odd:
        outcome = "quarantined"
        reasons = " ".join(f"{each['field']}: {each['reason']}" for each in quarantined)
        problem = "" if re.search(way.says, reasons) else f"the reason is {reasons}"
    else:
        problem = f"{len(quarantined)} records are in quarantine instead of {way.odd}"
    if outcome != way.outcome and not problem:
        problem = f"{outcome} instead of {way.outcome}: {said}"
    return outcome, problem


def _spelled(row: dict[str, Any]) -> dict[str, Any]:
    """A row in one spelling, as the API has it or as parquet has it."""
    values = {name: row.get(name) for name in FIELDS}
    if isinstance(at := values["updated_at"], datetime):
        values["updated_at"] = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if values["more"] is not None and not isinstance(values["more"], str):
        values["more"] = json.dumps(values["more"], separators=(",", ":"))
    return values


def _waited(way: Way, server: Server) -> str:
    least, most = way.waits
    waited = server.seen[1].at - server.seen[0].at if len(server.seen) > 1 else 0.0
    if least <= waited <= most:
        return ""
    return f"{waited:.2f} s between two requests, instead of {least} to {most}"
