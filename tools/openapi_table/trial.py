"""Writes a source from a document, runs it against a stand-in, and counts what has landed."""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import duckdb

from tests.servers.scripted import serve
from tools.openapi_table.apis import Api
from tools.openapi_table.documents import ListEndpoint
from tools.openapi_table.standin import StandIn

Landing = Callable[..., tuple[int, str, str]]
"""Runs a command in the workspace: exit code, output, errors."""
Outcome = Literal["whole", "told", "missed", "silent"]


@dataclass(frozen=True)
class Verdict:
    path: str
    outcome: Outcome
    """`told` if it failed or warned; `missed` if no stream was written; `silent` if it landed a
    part, or has a key that is none, and neither failed nor warned."""
    why: str


def tried(
    api: Api, document: Path, endpoints: Sequence[ListEndpoint], landing: Landing, root: Path
) -> list[Verdict]:
    """`root` is the workspace's folder; DLT_BUCKET_URL is set and a folder."""
    stand_in = StandIn(api, endpoints)
    with serve(stand_in.answer) as server:
        written = _landing_json(
            landing,
            "new",
            api.name,
            f"--openapi={document}",
            f"--base-url={server.url}",
            *api.options,
            "--no-trial",
            "--json",
        )
        if "error" in written:
            return [Verdict(one.path, "told", written["error"]["message"]) for one in endpoints]
        os.environ.update(_values(api, written["variables"], server.url))
        streams = dict(_streams(root / "dlt" / "sources" / api.name / "streams.py"))
        discovered = _landing_json(landing, "discover", api.name, "--json")
        errors = {one["stream"]: one["error"] for one in discovered["failed"]}
        for stream in {one["stream"] for one in discovered["streams"]}:
            file = root / "dag" / "streams" / api.name / f"{stream}.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            schema = root / "dag" / "sources" / api.name / f"{stream}.json"
            file.write_text(json.dumps({**json.loads(schema.read_text()), "selected": True}))
        _, out, err = landing("run", api.name, "--all", "--json", "--log-format=json")
    if "error" in (answered := json.loads(out)):
        return [Verdict(one.path, "told", answered["error"]["message"]) for one in endpoints]
    runs = {run["stream"]: run for run in answered}
    warnings = dict(_warnings(err))
    of_path = {path: stream for stream, path in streams.items()}
    verdicts = []
    for one in endpoints:
        stream = of_path.get(one.path)
        run, error = runs.get(stream or ""), errors.get(stream or "")
        said = str(error["message"]) if error else warnings.get(stream or "", "")
        landed = _landed(root, api.name, stream) if run and not run["error"] and stream else (0, 0)
        verdicts.append(_verdict(one.path, stream, run, said, landed, stand_in.count(one.path)))
    return verdicts


def _landing_json(landing: Landing, *arguments: str) -> Any:
    code, out, err = landing(*arguments)
    try:
        return json.loads(out)
    except ValueError:
        raise SystemExit(f"landing {' '.join(arguments)} ended with {code}: {out}{err}") from None


def _values(api: Api, variables: Sequence[str], url: str) -> dict[str, str]:
    """What a person would set."""
    _, _, word = api.auth.partition(" ")
    key = f"{word} key-of-the-stand-in".strip()
    known = {"URL": url, "API_KEY": key, "TOKEN": "token-of-the-stand-in"}
    prefix = f"{api.name.upper()}_"
    return {name: known.get(name.removeprefix(prefix), "1") for name in variables}


def _streams(file: Path) -> Iterator[tuple[str, str]]:
    """Names and paths, from the written file."""
    for function in ast.parse(file.read_text()).body:
        if not isinstance(function, ast.FunctionDef):
            continue
        name = function.name
        for node in ast.walk(function):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if node.func.attr == "resource":
                named = {k.arg: k.value for k in node.keywords}
                name = ast.literal_eval(named["name"]) if "name" in named else name
            elif node.func.attr == "pages":
                yield name, "/" + ast.literal_eval(node.args[0])


def _warnings(log: str) -> Iterator[tuple[str, str]]:
    for line in log.splitlines():
        event = json.loads(line) if line.startswith("{") else {}
        if event.get("level") == "warning" and event.get("stream"):
            yield event["stream"], event["message"]


def _verdict(
    path: str,
    stream: str | None,
    run: Any,
    said: str,
    landed: tuple[int, int],
    count: int,
) -> Verdict:
    """`said` is the error of the discovery or a warning of the run."""
    if stream is None:
        return Verdict(path, "missed", "no stream was written")
    if run is None or run["error"]:
        return Verdict(path, "told", said or run["error"]["message"])
    rows, keys = landed
    if rows == keys == count:
        return Verdict(path, "whole", "")
    what = f"{rows:,} of {count:,} rows, {keys:,} keys"
    if said or run["quarantined"] or run["repeated"]:
        return Verdict(path, "told", f"{what}: {said}")
    return Verdict(path, "silent", what)


def _landed(root: Path, source: str, stream: str) -> tuple[int, int]:
    """Rows, and values of the primary key."""
    folder = Path(os.environ["DLT_BUCKET_URL"].removeprefix("file://")) / source / stream
    if not any(folder.rglob("*.parquet")):
        return 0, 0
    discovered = json.loads((root / "dag" / "sources" / source / f"{stream}.json").read_text())
    names = ", ".join(f'"{name}"' for name in discovered.get("primary_key") or [])
    keys = f"count(DISTINCT ({names}))" if names else "count(*)"
    with duckdb.connect() as connection:
        rows = f"FROM read_parquet('{folder}/**/*.parquet', union_by_name = true)"
        found = connection.execute(f"SELECT count(*), {keys} {rows}").fetchone()
    assert found is not None
    return int(found[0]), int(found[1])
