"""A workspace of a test's own, and the ways to look at what landed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb
import obstore
from obstore.store import LocalStore, S3Store

from landing.cli import main
from tests.command import Program

REPOSITORY = Path(__file__).parent.parent

# The founding document's example, as a person would paste it; only the import of `Incremental`,
# which dlt does not have, is left out.
FOUNDING_CLIENT = """\
import os
import requests

class MyAPI:
    def __init__(self):
        self.base_url = os.environ["MY_API_URL"]
        self.api_key = os.environ["MY_API_KEY"]
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {self.api_key}"

    def get(self, endpoint: str, params: dict = None) -> list:
        response = self.session.get(f"{self.base_url}/{endpoint}", params=params)
        response.raise_for_status()
        return response.json()["data"]
"""
FOUNDING_STREAMS = '''\
import dlt
from .client import MyAPI

@dlt.resource(write_disposition="merge", primary_key="id")
def orders(
    updated_at: dlt.sources.incremental[str] = dlt.sources.incremental(
        "updated_at", initial_value="2020-01-01 00:00:00"
    ),
    limit: int = 100,
):
    """Orders stream with incremental loading."""
    api = MyAPI()
    offset = 0

    while True:
        params = {
            "limit": limit,
            "offset": offset,
            "since": updated_at.last_value,
        }
        batch = api.get("orders", params=params)

        if not batch:
            break

        yield batch

        if len(batch) < limit:
            break
        offset += limit
'''
FOUNDING_INIT = """\
from .streams import orders

__all__ = ["orders"]
"""


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


@contextmanager
def own_sources() -> Iterator[None]:
    """Within, the sources of another workspace than the repository's are imported."""
    imported = _sources()
    try:
        yield
    finally:
        # dlt looks up the module of a function, whose place the other import took.
        for name in _sources():
            del sys.modules[name]
        sys.modules.update(imported)


def _sources() -> dict[str, ModuleType]:
    return {
        name: module
        for name, module in list(sys.modules.items())  # a thread may import meanwhile
        if name == "sources" or name.startswith("sources.")
    }


class Kit:
    """`orchestration/` in a folder of its own, landing in a prefix of its own."""

    def __init__(self, repository: Path, capture: Any) -> None:
        self.repository = repository
        self.root = repository / "orchestration"
        self._capture = capture
        shutil.copytree(
            REPOSITORY / "orchestration" / "dlt",
            self.root / "dlt",
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        (self.root / "dag").mkdir()

    def add_source(self, name: str, streams: str, client: str = "", init: str = "") -> Path:
        folder = self.root / "dlt" / "sources" / name
        folder.mkdir()
        (folder / "streams.py").write_text(streams)
        (folder / "client.py").write_text(client)
        (folder / "__init__.py").write_text(init or "from .streams import *\n")
        return folder

    def add_founding_source(self, name: str = "my_source") -> Path:
        return self.add_source(name, FOUNDING_STREAMS, FOUNDING_CLIENT, FOUNDING_INIT)

    def config_file(self, source: str, stream: str) -> Path:
        return self.root / "dag" / "streams" / source / f"{stream}.json"

    def discovered_file(self, source: str, stream: str) -> Path:
        return self.root / "dag" / "sources" / source / f"{stream}.json"

    def discovered(self, source: str, stream: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.discovered_file(source, stream).read_text())
        return document

    def configure(self, source: str, stream: str, text: str = "", **keys: Any) -> Path:
        file = self.config_file(source, stream)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text or json.dumps({"stream": stream, "selected": True, **keys}))
        return file

    def landing(self, *arguments: str) -> Outcome:
        """The console script's main, in this process, with the workspace as current folder."""
        return self.called(lambda: main(arguments))

    def called(self, command: Callable[[], Any]) -> Outcome:
        """What a function says that ends as a command does; its result may be the exit code."""
        self._capture.readouterr()
        code = 0
        try:
            result = command()
            code = result if isinstance(result, int) else 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = self._capture.readouterr()
        return Outcome(code, captured.out, captured.err)

    def run(self, *arguments: str) -> Outcome:
        return self.landing("run", *arguments)

    def discover(self, *arguments: str) -> Outcome:
        return self.landing("discover", *arguments)

    def script(self, name: str, *arguments: str, cwd: Path | None = None, **env: str) -> Outcome:
        """One of the workspace's own scripts, as a process of its own."""
        done = subprocess.run(
            [sys.executable, str(self.root / "dlt" / name), *arguments],
            cwd=cwd or self.root / "dlt",
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def forked(self, name: str, *arguments: str, cwd: Path | None = None, **env: str) -> Outcome:
        """As `script`, in a process that has the engine imported already."""
        program = self.start(name, *arguments, cwd=cwd, **env)
        out, err = program.communicate()
        return Outcome(program.wait(), out, err)

    def start(self, name: str, *arguments: str, cwd: Path | None = None, **env: str) -> Program:
        folder = self.root / "dlt"
        return Program(cwd or folder, {**os.environ, **env}, arguments, folder / name)


class Zone:
    """The landing zone as its readers see it: any S3 client, and DuckDB over the files."""

    def __init__(self, store: S3Store | LocalStore, folder: Path) -> None:
        self.store = store
        self._folder = folder

    def paths(self, prefix: str = "") -> list[str]:
        found = [entry["path"] for page in obstore.list(self.store, prefix) for entry in page]
        return sorted(found, key=natural)

    def paths_but_failures(self) -> list[str]:
        """All but the records that runs which failed leave."""
        return [path for path in self.paths() if "/failures/" not in path]

    def paths_but_released(self) -> list[str]:
        """All but leases that were released, and records of runs that a signal ended, which stay in
        the bucket."""
        left = [path for path in self.paths() if not self._is_released(path)]
        return [path for path in left if not self._is_of_interrupted(path)]

    def is_released(self, source: str, stream: str) -> bool:
        return self._is_released(f"_dlt/{source}/{stream}/lease.json")

    def _is_released(self, path: str) -> bool:
        return path.endswith("/lease.json") and bool(json.loads(self.read(path))["released"])

    def _is_of_interrupted(self, path: str) -> bool:
        return "/failures/" in path and json.loads(self.read(path))["error"] == "Interrupted"

    def parts(self, source: str, stream: str) -> list[str]:
        return self.paths(f"{source}/{stream}")

    def read(self, path: str) -> bytes:
        return bytes(obstore.get(self.store, path).bytes())

    def delete(self, path: str) -> None:
        obstore.delete(self.store, path)

    def query(
        self, source: str, stream: str, sql: str, *, union_by_name: bool = False
    ) -> list[tuple[Any, ...]]:
        """Rows of an SQL text in which `landed` stands for the stream's files."""
        copies = self._folder / f"{source}-{stream}"
        shutil.rmtree(copies, ignore_errors=True)
        for path in self.parts(source, stream):
            copy = copies / path
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(self.read(path))
        view = f"read_parquet('{copies}/**/*.parquet', union_by_name = {union_by_name})"
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return connection.execute(sql.replace("landed", view)).fetchall()

    def count(self, source: str, stream: str) -> int:
        return int(self.query(source, stream, "SELECT count(*) FROM landed")[0][0])


def natural(path: str) -> list[tuple[int, int | str]]:
    """Sort key of a feeder's order: runs of digits compare as numbers."""
    pieces = re.split(r"(\d+)", path)
    return [(0, int(piece)) if piece.isdigit() else (1, piece) for piece in pieces]
