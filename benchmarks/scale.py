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

        def workspace(name: str, streams: int, *, is_local: bool = False) -> Workspace:
            folder = setting.folder / name
            local = {"DLT_BUCKET_URL": (folder / "zone").as_uri()}
            remote = {**s3.env(), "DLT_BUCKET_URL": f"s3://{s3.bucket}/{name}"}
            bucket = local if is_local else remote
            return made(folder, {**bucket, "BENCH_STREAMS": str(streams)}, streams)

        return [
            *verbs(workspace("few", few), few, setting.few_rounds),
            *silent(workspace("silent", 1), setting.few_rounds),
            *of_many(workspace("many-local", many, is_local=True), many, "local bucket"),
            *of_many(workspace("many", many), many, "SeaweedFS"),
            *of_files(workspace("files-local", 1, is_local=True), files, "local bucket"),
            *of_files(workspace("files", 1), files, "SeaweedFS"),
        ]


def verbs(workspace: Workspace, streams: int, rounds: int) -> list[Mark]:
    workspace.measured("run", SOURCE, "--all")
    called = (["status"], ["state", SOURCE, "rows_0000"])
    doctor = workspace.median(rounds, "doctor")
    return [
        *(
            _mark(f"`landing {one[0]}` of {streams} streams", 0.6, workspace.median(rounds, *one))
            for one in called
        ),
        _mark(f"`landing doctor` of {streams} streams, which imports them", 0.6, doctor, _dlt()),
    ]


def silent(workspace: Workspace, rounds: int) -> list[Mark]:
    """A run that has no failure and no alert to send; one that has may wait longer."""
    run = ("run", SOURCE, "rows_0000")
    workspace.measured(*run)
    with _silent_server() as url:
        servers = {
            "collector": {"OTEL_EXPORTER_OTLP_ENDPOINT": url},
            "webhook": {"LANDING_ALERT_WEBHOOK": url},
            "gateway": {"LANDING_PUSHGATEWAY_URL": url},
        }
        together = {name: value for env in servers.values() for name, value in env.items()}
        cases = {"": {}, **servers, "collector, webhook and gateway": together}
        # In turn, since a slow minute of the machine would be taken for waiting.
        seconds = [
            {
                name: workspace.measured(*run, more=env).process_seconds
                for name, env in cases.items()
            }
            for _ in range(rounds)
        ]
    median = {name: sorted(one[name] for one in seconds)[rounds // 2] for name in cases}
    alone = median.pop("")
    found = {name: one - alone for name, one in median.items()}
    return [
        Mark(
            f"a run that lands, without an answer of its {name}",
            "≤ a run without + 1 s",
            f"{more:+.2f} s beside {alone:.2f} s",
            more,
        )
        for name, more in found.items()
    ]


def of_many(workspace: Workspace, streams: int, where: str) -> list[Mark]:
    run = ("run", SOURCE, "--all")
    workspace.measured(*run)
    limits = {"status": 5.0, "doctor": 10.0, "report": 15.0}
    return [
        _mark(
            f"`--all` of {streams:,} streams with nothing new, {where}",
            0.05 * streams,
            workspace.measured(*run),
        ),
        *(
            _mark(
                f"`landing {verb}` of {streams:,} streams, {where}",
                most,
                workspace.measured(verb),
            )
            for verb, most in limits.items()
        ),
    ]


def of_files(workspace: Workspace, files: int, where: str) -> list[Mark]:
    stream = (SOURCE, "rows_0000")
    measure("small_files", [*stream, str(files)], env=workspace.env)
    case = f"of a stream of {files:,} files, {where}"
    limits = {"report": 8.0, "verify": 15.0, "compact": 40.0}
    return [
        _mark(f"`landing run` {case}", 1.0, workspace.measured("run", *stream), _dlt()),
        *(
            _mark(
                f"`landing {verb}` {case}",
                most,
                workspace.measured(verb, *(stream[:1] if verb == "report" else stream)),
            )
            for verb, most in limits.items()
        ),
    ]


def _dlt() -> Measurement:
    return measure("import_dlt", env={})


def _mark(case: str, most: float, done: Measurement, bare: Measurement | None = None) -> Mark:
    """The time of a process, `bare` of which is not counted."""
    seconds, cpu = done.process_seconds, done.cpu_seconds
    target = f"≤ {most:g} s"
    if bare is not None:
        seconds, cpu = seconds - bare.process_seconds, cpu - bare.cpu_seconds
        target = f"≤ `import dlt` + {most:g} s"
    measured = f"{'+ ' if bare else ''}{seconds:.2f} s (processor: {cpu:.2f} s)"
    return Mark(case, target, measured, seconds / most)


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
