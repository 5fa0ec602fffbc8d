"""What many streams, many files and servers that do not answer cost."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.mark import Mark, Setting
from benchmarks.process import REPOSITORY, Measurement, measure

SOURCE = "rows"
FEW, MANY = 20, 3_000
FILES = 20_000
_FIELDS = {
    "id": {"type": "integer"},
    "at": {"type": "integer"},
    "name": {"type": "string"},
    "total": {"type": "number"},
}


@dataclass(frozen=True)
class Workspace:
    folder: Path
    env: Mapping[str, str]

    def measured(self, *words: str, more: Mapping[str, str] | None = None) -> Measurement:
        """A whole process of `landing`."""
        arguments = [str(self.folder), *words]
        return measure("landing_verb", arguments, env={**self.env, **(more or {})})

    def median(
        self, rounds: int, *words: str, more: Mapping[str, str] | None = None
    ) -> Measurement:
        done = [self.measured(*words, more=more) for _ in range(rounds)]
        return sorted(done, key=lambda one: one.process_seconds)[rounds // 2]


def scale(setting: Setting, few: int = FEW, many: int = MANY, files: int = FILES) -> list[Mark]:
    from demo.servers import seaweedfs

    with seaweedfs(setting.folder / "seaweedfs") as s3:

        def workspace(name: str, streams: int) -> Workspace:
            env = {
                **s3.env(),
                "DLT_BUCKET_URL": f"s3://{s3.bucket}/{name}",
                "BENCH_STREAMS": str(streams),
            }
            return made(setting.folder / name, env, streams)

        return [
            *verbs(workspace("few", few), few, setting.few_rounds),
            *_silent(workspace("silent", 1), setting.few_rounds),
            *_many(workspace("many", many), many),
            *_files(workspace("files", 1), files),
        ]


def verbs(workspace: Workspace, streams: int, rounds: int) -> list[Mark]:
    workspace.measured("run", SOURCE, "--all")
    called = (["status"], ["state", SOURCE, "rows_0000"], ["--help"])
    return [
        _mark(f"`landing {words[0]}` of {streams} streams", 0.6, workspace.median(rounds, *words))
        for words in called
    ]


def _silent(workspace: Workspace, rounds: int) -> list[Mark]:
    """A run that has no failure and no alert to send; one that has may wait longer."""
    run = ("run", SOURCE, "rows_0000")
    workspace.measured(*run)
    alone = workspace.median(rounds, *run).process_seconds
    with _silent_server() as url:
        servers = {
            "collector": {"OTEL_EXPORTER_OTLP_ENDPOINT": url},
            "webhook": {"LANDING_ALERT_WEBHOOK": url},
            "gateway": {"LANDING_PUSHGATEWAY_URL": url},
        }
        found = {
            name: workspace.median(rounds, *run, more=env).process_seconds - alone
            for name, env in servers.items()
        }
    return [
        Mark(
            f"a run that lands, whose {name} does not answer",
            "≤ a run without + 1 s",
            f"{alone:.2f} s + {more:.2f} s",
            more,
        )
        for name, more in found.items()
    ]


def _many(workspace: Workspace, streams: int) -> list[Mark]:
    run = ("run", SOURCE, "--all")
    workspace.measured(*run)
    limits = {"status": 5.0, "doctor": 10.0, "report": 15.0}
    return [
        _mark(
            f"`--all` of {streams:,} streams with nothing new",
            0.05 * streams,
            workspace.measured(*run),
        ),
        *(
            _mark(f"`landing {verb}` of {streams:,} streams", most, workspace.measured(verb))
            for verb, most in limits.items()
        ),
    ]


def _files(workspace: Workspace, files: int) -> list[Mark]:
    stream = (SOURCE, "rows_0000")
    measure("small_files", [*stream, str(files)], env=workspace.env)
    limits = (("run", 1.0), ("report", 8.0), ("verify", 15.0), ("compact", 40.0))
    return [
        _mark(
            f"`landing {verb}` of a stream of {files:,} files",
            most,
            workspace.measured(verb, *(stream[:1] if verb == "report" else stream)),
        )
        for verb, most in limits
    ]


def _mark(case: str, most: float, done: Measurement) -> Mark:
    seconds = done.process_seconds
    measured = f"{seconds:.2f} s (processor: {done.cpu_seconds:.2f} s)"
    return Mark(case, f"≤ {most:g} s", measured, seconds / most)


def made(folder: Path, env: Mapping[str, str], streams: int) -> Workspace:
    root = folder / "orchestration"
    sources = root / "dlt" / "sources"
    sources.mkdir(parents=True)
    ours = REPOSITORY / "benchmarks" / "sources" / SOURCE
    shutil.copytree(ours, sources / SOURCE, ignore=shutil.ignore_patterns("__pycache__"))
    configs = root / "dag" / "streams" / SOURCE
    configs.mkdir(parents=True)
    for number in range(streams):
        name = f"rows_{number:04d}"
        config = {
            "stream": name,
            "selected": True,
            "primary_key": [["id"]],
            "cursor_field": ["at"],
            "schedule": "0 * * * *",
            "fields": _FIELDS,
        }
        (configs / f"{name}.json").write_text(json.dumps(config))
    return Workspace(root, env)


@contextmanager
def _silent_server() -> Iterator[str]:
    """The address of a server that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
