"""What many streams, many files and servers that do not answer cost."""

from __future__ import annotations

import json
import shutil
import socket
import statistics
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.process import REPOSITORY, Measurement, measure

if TYPE_CHECKING:
    from benchmarks.marks import Mark, Setting

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

    def seconds(self, *words: str, more: Mapping[str, str] | None = None) -> float:
        """Of a whole process of `landing`."""
        return self.measured(*words, more=more).process_seconds

    def measured(self, *words: str, more: Mapping[str, str] | None = None) -> Measurement:
        arguments = [str(self.folder), *words]
        return measure("landing_verb", arguments, env={**self.env, **(more or {})})


def scale(setting: Setting, few: int = FEW, many: int = MANY, files: int = FILES) -> list[Mark]:
    from demo.servers import seaweedfs

    with seaweedfs(setting.folder / "seaweedfs") as s3:

        def workspace(name: str, streams: int) -> Workspace:
            env = {
                **s3.env(),
                "DLT_BUCKET_URL": f"s3://{s3.bucket}/{name}",
                "BENCH_STREAMS": str(streams),
            }
            return _made(setting.folder / name, env, streams)

        return [
            *_few(workspace("few", few), few, setting.few_rounds),
            *_stalled(workspace("stalled", 1), setting.few_rounds),
            *_many(workspace("many", many), many),
            *_files(workspace("files", 1), files),
        ]


def _few(workspace: Workspace, streams: int, rounds: int) -> list[Mark]:
    workspace.seconds("run", SOURCE, "--all")
    verbs = (["status"], ["state", SOURCE, "rows_0000"], ["doctor"], ["--help"])
    return [
        _mark(
            f"`landing {words[0]}` of {streams} streams",
            0.6,
            statistics.median(workspace.seconds(*words) for _ in range(rounds)),
        )
        for words in verbs
    ]


def _stalled(workspace: Workspace, rounds: int) -> list[Mark]:
    """A run that fails, so that there is an alert to send, with and without who gets it."""

    def seconds(more: Mapping[str, str]) -> float:
        run = ("run", SOURCE, "rows_0000")
        return statistics.median(workspace.seconds(*run, more=more) for _ in range(rounds))

    late = workspace.folder / "dag" / "streams" / SOURCE / "late.json"
    late.write_text((late.parent / "rows_0000.json").read_text().replace("rows_0000", "late"))
    workspace.seconds("run", SOURCE, "rows_0000")
    alone = seconds({})
    with _silent() as url:
        servers = {
            "collector": {"OTEL_EXPORTER_OTLP_ENDPOINT": url},
            "webhook": {"LANDING_ALERT_WEBHOOK": url},
            "gateway": {"LANDING_PUSHGATEWAY_URL": url},
        }
        return [
            _mark(f"a {name} that does not answer: more than a run without", 1.0, more)
            for name, env in servers.items()
            for more in [max(0.0, seconds(env) - alone)]
        ]


def _many(workspace: Workspace, streams: int) -> list[Mark]:
    run = ("run", SOURCE, "--all")
    workspace.seconds(*run)
    nothing_new = workspace.seconds(*run) / streams
    verbs = {"status": 5.0, "doctor": 10.0, "report": 15.0}
    return [
        _mark("`--all` with nothing new, a stream of " + f"{streams:,}", 0.05, nothing_new),
        *(
            _mark(f"`landing {verb}` of {streams:,} streams", most, workspace.seconds(verb))
            for verb, most in verbs.items()
        ),
    ]


def _files(workspace: Workspace, files: int) -> list[Mark]:
    stream = (SOURCE, "rows_0000")
    measure("small_files", [*stream, str(files)], env=workspace.env)
    verbs = (("run", 1.0), ("report", 8.0), ("verify", 15.0), ("compact", 40.0))
    return [
        _mark(
            f"`landing {verb}` of a stream of {files:,} files",
            most,
            workspace.seconds(verb, *(stream[:1] if verb == "report" else stream)),
        )
        for verb, most in verbs
    ]


def _mark(case: str, most: float, seconds: float) -> Mark:
    from benchmarks.marks import Mark

    return Mark(case, f"≤ {most:g} s", f"{seconds:.2f} s", seconds / most)


def _made(folder: Path, env: Mapping[str, str], streams: int) -> Workspace:
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
def _silent() -> Iterator[str]:
    """The address of a server that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
