"""`landing init`."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from landing.catalog.workspace import Workspace
from landing.cli.answers import asked
from landing.cli.arguments import add_flag, add_json
from landing.cli.text.console import say
from landing.cli.text.output import print_json
from landing.cli.verbs.k8s import FOLDER, rendered
from landing.cli.verbs.new import (
    Planned,
    add_answers,
    planned_source,
    print_kinds,
    print_made,
    written,
)
from landing.errors import UsageError, WorkspaceError, counted

if TYPE_CHECKING:
    from landing.cli.json.shapes import NewSource, NewWorkspace
    from landing.kubernetes import Timetable
    from landing.scaffold.workspace import Design, Made

HELP = "create a workspace: folders, scripts, settings, Makefile, CI, a first source"
_PARTS = ("deploy", "dagster", "feeder")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Writes only new files. In a terminal, it asks for the first source, unless options "
        "describe it, as for `landing new`."
    )
    parser.add_argument("folder", metavar="FOLDER", nargs="?", type=Path, default=Path())
    add_flag(parser, "--keep", "keep files that exist, add the others")
    add_flag(
        parser,
        "--deploy",
        "add a Dockerfile, Kubernetes manifests, settings of Dagster, and CI that builds the image",
    )
    add_flag(parser, "--dagster", "add a code location for Dagster")
    add_flag(parser, "--feeder", "add the reference feeder, which merges files into DuckLake")
    parser.add_argument(
        "--engine",
        metavar="REQUIREMENT",
        help="what the workspace installs as dlt-landing; default: as it is installed here",
    )
    first = parser.add_mutually_exclusive_group()
    first.add_argument("--source", metavar="NAME", help="write a first source")
    add_flag(first, "--no-source", "write no source")
    first.add_argument(
        "--add",
        metavar="PART",
        choices=_PARTS,
        action="append",
        help=f"add a part to the workspace that FOLDER is in: {', '.join(_PARTS)}",
    )
    add_json(parser)
    add_answers(parser.add_argument_group("the first source"))


def without_workspace(options: argparse.Namespace, error: WorkspaceError) -> int:
    return call(options)


def call(options: argparse.Namespace, workspace: Workspace | None = None) -> int:
    if print_kinds(options):
        return 0
    made = _added(options) if options.add else _made(options, _planned(options))
    if options.json:
        print_json(made)
    else:
        _print(options, made)
    return 1 if made.source is not None and made.source.failed else 0


def _planned(options: argparse.Namespace) -> Planned | None:
    """The first source; all questions come before anything is written."""
    if options.source is None and not options.no_source and sys.stdin.isatty():
        options.source = asked("Name of the first source (just Enter: none yet)", "") or None
    if options.source is not None:
        return planned_source(options)
    if options.base_url or options.openapi:
        raise UsageError("options for a first source need its name: add --source NAME")
    return None


def _made(options: argparse.Namespace, planned: Planned | None) -> NewWorkspace:
    from landing.kubernetes import Timetable
    from landing.scaffold.workspace import write_workspace

    design = _design(options, options.folder)
    if "deploy" in design.parts:
        design = _with_base(design, Workspace(options.folder / "orchestration"), Timetable((), ()))
    made = write_workspace(design)
    return _shown(made, None if planned is None else written(made.workspace, planned))


def _added(options: argparse.Namespace) -> NewWorkspace:
    from landing.catalog.workspace import find_workspace
    from landing.kubernetes import timetable
    from landing.scaffold.engine import lacking_in
    from landing.scaffold.workspace import add_parts

    workspace = find_workspace(options.folder)
    design = _design(options, workspace.repository)
    base = workspace.repository / FOLDER
    there = [base] if base.exists() else []
    if "deploy" in design.parts and not there:
        design = _with_base(design, workspace, timetable(workspace, "source"))
    made = add_parts(workspace, design)
    requirements = workspace.repository / "requirements.txt"
    lacking = lacking_in(requirements.read_text(encoding="utf-8", errors="replace"), made.engine)
    if lacking is not None:
        say(f"{workspace.shown(requirements)} {lacking}", mark="! ")
    return _shown(replace(made, kept=[*made.kept, *there]), None)


def _design(options: argparse.Namespace, folder: Path) -> Design:
    from landing.scaffold.workspace import Design

    parts = {part for part in _PARTS if getattr(options, part)} | set(options.add or ())
    return Design(folder, frozenset(parts), engine=options.engine, keeps=options.keep)


def _with_base(design: Design, workspace: Workspace, timetable: Timetable) -> Design:
    """With what `landing k8s` would write for the present stream configs."""
    files = rendered(workspace, timetable)
    return replace(design, others={str(FOLDER / name): text for name, text in files.items()})


def _shown(made: Made, source: NewSource | None) -> NewWorkspace:
    from landing.cli.json.shapes import NewWorkspace

    shown = made.workspace.shown
    return NewWorkspace(
        folder=str(made.workspace.repository),
        files=[shown(file) for file in made.written],
        kept=[shown(file) for file in made.kept],
        requirement=made.engine.requirement,
        is_of_this_machine=made.engine.is_of_this_machine,
        source=source,
    )


def _print(options: argparse.Namespace, made: NewWorkspace) -> None:
    say(f"{made.folder}: {counted(len(made.files), 'file')}")
    for file in made.files:
        say(f"  {file}")
    for file in made.kept:
        say(f"  {file} stays as it was")
    if made.source is not None:
        say(f"source {made.source.source}:")
        print_made(made.source, indent="  ")
    if not options.add:
        say(f"installs {made.requirement}")
    if made.is_of_this_machine and "requirements-dev.txt" in made.files:
        say(
            "requirements-dev.txt names a path that exists only on this machine: before you "
            "commit, remove it if everyone can install the version in requirements.txt, or begin "
            "with `landing init --engine 'dlt-landing @ git+https://…@COMMIT'`",
            mark="! ",
        )
    steps = list(_added_steps(made) if options.add else _steps(options.folder, made))
    if steps:
        say("Next:")
    for step in steps:
        say(f"  {step}")


def _added_steps(made: NewWorkspace) -> Iterator[str]:
    overlay = "deploy/kubernetes/overlay/kustomization.yaml"
    if overlay in made.files:
        yield "set the image, the namespace and the bucket in " + overlay
        yield "put your keys into .sops.yaml (docs/deployment.md)"


def _steps(folder: Path, made: NewWorkspace) -> Iterator[str]:
    if folder.resolve() != Path.cwd():
        yield f"cd {shlex.quote(str(folder))}"
    yield "make setup && source .venv/bin/activate"
    source = made.source
    variables = [] if source is None else source.variables
    yield f"cp .env.example .env    # and set {', '.join(['the bucket', *variables])} there"
    yield "landing doctor"
    yield "landing new SOURCE" if source is None else f"landing discover {source.source}"
    yield from _added_steps(made)
