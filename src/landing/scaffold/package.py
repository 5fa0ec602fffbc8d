"""Writes a planned source as a package of its own, which workspaces install."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

from landing.catalog.installed import GROUP
from landing.catalog.workspace import Workspace
from landing.scaffold import render
from landing.scaffold.engine import PACKAGE, packages_of
from landing.scaffold.files import write_files
from landing.scaffold.plan import SourcePlan


def package_name(source: str) -> str:
    return f"landing-source-{source.lower().replace('_', '-')}"


def write_package(parent: Path, plan: SourcePlan) -> Sequence[Path]:
    """Writes `parent/landing-source-{source}/`. Its repository is a workspace, too, in which the
    source is discovered, checked and recorded.

    Raises UsageError, and leaves nothing behind, if the folder exists or can't be written.
    """
    name = package_name(plan.name)
    folder = parent / name
    files = {folder / file: text for file, text in _files(plan, name).items()}
    return write_files(Workspace(folder), folder, files)


def _files(plan: SourcePlan, name: str) -> Mapping[str, str]:
    module = name.replace("-", "_")
    dev = "\n".join(f'    "{one}",' for one in (*packages_of(("dev",)), "ruff>=0.8"))
    values = {
        "name": name,
        "module": module,
        "source": plan.name,
        "group": GROUP,
        "engine": f"{PACKAGE}[auth]>={metadata.version(PACKAGE)}",
        "dev": dev,
        "variables": "\n".join(f"| `{one}` | {what} |" for one, what in plan.variables()),
        "streams": ", ".join(f"`{stream.name}`" for stream in plan.streams),
    }
    return {
        "pyproject.toml": _PROJECT.format_map(values),
        "README.md": _README.format_map(values),
        ".gitignore": ".venv/\n.env\n/landing-zone/\n/dist/\n__pycache__/\n",
        ".env.example": render.settings(plan.name, plan.example(), f"src/{module}").lstrip(),
        ".github/workflows/test.yml": _WORKFLOW.format_map(values),
        f"src/{module}/__init__.py": render.init(plan),
        f"src/{module}/client.py": render.client(plan),
        f"src/{module}/streams.py": render.streams(plan),
        f"src/{module}/py.typed": "",
        f"tests/test_{plan.name}.py": render.test(plan),
        # Makes the repository a workspace; what `landing check --record` writes goes there.
        "orchestration/dlt/sources/.gitkeep": "",
    }


_PROJECT = """\
[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "{name}"
version = "0.1.0"
description = "The source {source} for dlt-landing"
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["{engine}"]

[project.optional-dependencies]
dev = [
{dev}
]

# `landing discover {source}` finds the source by this.
[project.entry-points."{group}"]
{source} = "{module}"

[tool.pytest.ini_options]
testpaths = ["tests"]
addopts = "-q --import-mode=importlib"

[tool.ruff]
line-length = 100

[tool.ruff.lint]
select = ["E", "F", "W", "I", "B", "UP"]

[tool.ruff.lint.flake8-bugbear]
extend-immutable-calls = ["dlt.sources.incremental"]

[tool.ruff.lint.isort]
known-first-party = ["landing"]
"""

_README = """\
# {name}

The source `{source}` for dlt-landing. Streams: {streams}.

```bash
pip install {name}
landing discover {source}
```

Run these in a workspace. A folder `dlt/sources/{source}/` there comes before this package.

| variable | meaning |
|---|---|
{variables}

## Development

```bash
python -m venv .venv && source .venv/bin/activate
pip install -e '.[dev]'
cp .env.example .env             # and fill it in
landing check {source} --record     # tests the source, and records the API's responses
pytest                           # replays them
```

`landing check` takes secrets out of a recording. Look at it all the same before you commit it.
"""

_WORKFLOW = """\
name: test
on:
  push:
    branches: [main]
  pull_request:
permissions:
  contents: read
jobs:
  test:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.12"
          cache: pip
          cache-dependency-path: pyproject.toml
      - run: pip install -e '.[dev]'
      - run: ruff check .
      - run: ruff format --check .
      # They need no secrets: they replay what `landing check {source} --record` recorded. The first
      # fails as long as nothing is recorded, while pytest would skip its tests.
      - run: landing check {source} --replay
      - run: pytest
"""
