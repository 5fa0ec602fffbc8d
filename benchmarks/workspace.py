"""A workspace of this project with one of `benchmarks/sources/`, set up as the guide says."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.process import REPOSITORY, Measurement, ProgramFailed, environment, measure
from benchmarks.records import BODY_VARIABLE, FIELDS, GENERATED, Kind


@dataclass(frozen=True)
class Workspace:
    scripts: Path
    source: str
    python: Path = Path(sys.executable)

    def run(self, env: Mapping[str, str], *words: str) -> Measurement:
        """`pipeline.py {source}` with streams or options."""
        script = str(self.scripts / "pipeline.py")
        return measure("landing_run", [script, self.source, *words], env=env, python=self.python)

    def backfill(self, env: Mapping[str, str], *words: str) -> Measurement:
        """`landing backfill {source}` with a stream and options."""
        script = self.scripts / "backfill.py"
        run = (self.scripts / "pipeline.py").read_text()
        script.write_text(run.replace('script("run"', 'script("backfill"'))
        return measure("landing_run", [str(script), self.source, *words], env=env)


def set_up(folder: Path, source: str, api: Mapping[str, str], most: int | None = None) -> Workspace:
    """Copy the scripts and the source, discover, and select the fields that are kept, of `most`
    streams if that is given."""
    root = folder / "orchestration"
    scripts = root / "dlt"
    (scripts / "sources").mkdir(parents=True)
    (root / "dag").mkdir()
    for name in ("discover-source.py", "pipeline.py"):
        shutil.copy(REPOSITORY / "orchestration" / "dlt" / name, scripts)
    package = Path(__file__).parent / "sources" / source
    shutil.copytree(
        package, scripts / "sources" / source, ignore=shutil.ignore_patterns("__pycache__")
    )
    _discover(scripts, source, api)
    configs = root / "dag" / "streams" / source
    configs.mkdir(parents=True)
    kept = FIELDS[api.get(BODY_VARIABLE, GENERATED)]
    for discovered in sorted((root / "dag" / "sources" / source).glob("*.json"))[:most]:
        config = json.loads(discovered.read_text())
        (configs / discovered.name).write_text(json.dumps(_selected(config, kept)))
    return Workspace(scripts, source)


def _discover(scripts: Path, source: str, api: Mapping[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, str(scripts / "discover-source.py"), source],
        env=environment(api),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ProgramFailed(f"discovery of '{source}' failed\n{done.stdout}{done.stderr}")


def _selected(config: dict[str, Any], kept: Mapping[str, Kind]) -> dict[str, Any]:
    fields = config["fields"]
    if kept.keys() <= fields.keys():
        fields = {name: fields[name] for name in kept}
    return {**config, "selected": True, "fields": fields}
