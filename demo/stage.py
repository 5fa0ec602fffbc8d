"""What the demo plays on: a workspace of its own, and the servers that it points to."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import obstore
from obstore.store import S3Store

from demo.flights import build_database
from demo.servers import HOST, DatasetteServer, S3Server, datasette, seaweedfs
from demo.shell import Shell

REPOSITORY = Path(__file__).parent.parent
SOURCE = "datasette"

_SETTINGS = ("DLT_", "S3_", "AWS_", "LANDING_", "DATASETTE_", "FEEDER_")


@dataclass(frozen=True)
class Stage:
    folder: Path
    s3: S3Server
    web: DatasetteServer

    @property
    def database(self) -> Path:
        return _database(self.folder)

    @property
    def scripts(self) -> Path:
        return self.folder / "orchestration" / "dlt"

    @property
    def shell(self) -> Shell:
        return Shell(self.scripts)

    @property
    def settings(self) -> Path:
        return self.folder / ".env"

    @property
    def landed(self) -> S3Store:
        """`DLT_BUCKET_URL` as any S3 client sees it."""
        return S3Store(
            self.s3.bucket,
            prefix="raw",
            endpoint=self.s3.url,
            region="us-east-1",
            access_key_id=self.s3.access_key,
            secret_access_key=self.s3.secret_key,
            client_options={"allow_http": True},
        )

    def files(self, prefix: str = "") -> list[tuple[str, int]]:
        """Paths below `DLT_BUCKET_URL` with their sizes."""
        entries = [entry for page in obstore.list(self.landed, prefix) for entry in page]
        return sorted((entry["path"], entry["size"]) for entry in entries)

    def edit_config(self, stream: str, *, drop: tuple[str, ...] = (), **keys: Any) -> None:
        """What a person does to a stream config in an editor."""
        file = self.folder / "orchestration" / "dag" / "streams" / SOURCE / f"{stream}.json"
        config = json.loads(file.read_text())
        fields = {name: f for name, f in config.pop("fields").items() if name not in drop}
        file.write_text(_laid_out({**config, **keys, "fields": fields}))

    def check_out_anew(self) -> None:
        """Remove the workspace and bring back what a person keeps in git: code and JSON files."""
        dag = self.folder / "orchestration" / "dag"
        kept = {file.relative_to(dag): file.read_bytes() for file in dag.rglob("*.json")}
        shutil.rmtree(self.folder / "orchestration")
        _copy_sources(self.folder)
        for name, content in kept.items():
            (dag / name).parent.mkdir(parents=True, exist_ok=True)
            (dag / name).write_bytes(content)


def leave_the_environment() -> None:
    """Forget settings that would outrank the demo's own `.env`, and proxies between its servers.

    Whoever has a bucket set in their shell does not want flights in it.
    """
    for name in [name for name in os.environ if name.startswith(_SETTINGS)]:
        del os.environ[name]
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = HOST


@contextmanager
def set_up(folder: Path, until: date) -> Iterator[Stage]:
    """Make `folder` anew and run both servers; Datasette has the flights until that day."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    _copy_sources(folder)
    build_database(_database(folder), until=until)
    with seaweedfs(folder / "seaweedfs") as s3, datasette(_database(folder)) as web:
        stage = Stage(folder, s3, web)
        _write_settings(stage)
        yield stage


def _database(folder: Path) -> Path:
    return folder / "flights.db"


def _copy_sources(folder: Path) -> None:
    shutil.copytree(
        REPOSITORY / "orchestration" / "dlt",
        folder / "orchestration" / "dlt",
        ignore=shutil.ignore_patterns("__pycache__"),
    )


def _write_settings(stage: Stage) -> None:
    settings = {**stage.s3.env(), "DATASETTE_URL": stage.web.database("flights")}
    stage.settings.touch(mode=0o600)
    stage.settings.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))


def _laid_out(config: Mapping[str, Any]) -> str:
    """JSON with a field to a line, which an editor shows at a glance."""
    keys = [f"  {json.dumps(key)}: {_value(value)}" for key, value in config.items()]
    return "{\n" + ",\n".join(keys) + "\n}\n"


def _value(value: Any) -> str:
    if not isinstance(value, dict):
        return json.dumps(value)
    lines = [f"    {json.dumps(key)}: {json.dumps(nested)}" for key, nested in value.items()]
    return "{\n" + ",\n".join(lines) + "\n  }"
