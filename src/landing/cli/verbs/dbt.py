"""`landing dbt`."""

from __future__ import annotations

import argparse
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from landing.catalog.settings import bucket_settings
from landing.catalog.workspace import Workspace
from landing.cli.arguments import add_check, add_json
from landing.cli.text.console import say
from landing.cli.text.output import ARROW, print_json
from landing.errors import SettingsError, UsageError, counted

if TYPE_CHECKING:
    from landing.cli.json.shapes import DbtPackage

HELP = "write a dbt package, with sources, staging models and tests, from the stream configs"
FOLDER = Path("dbt") / "landing"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Each selected stream becomes a dbt source and a staging model of its current rows, for "
        "dbt-duckdb. A file that you have changed stays as it is. The same stream configs always "
        "produce the same files."
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help=f"the folder to write (default {FOLDER} in the repository)",
    )
    add_check(parser)
    add_json(parser)


def call(options: argparse.Namespace, workspace: Workspace) -> int:
    from landing.catalog.orphans import REMEDY, orphans
    from landing.cli.json.shapes import DbtPackage
    from landing.operations.dbt.generated import compared, write
    from landing.operations.dbt.package import package_of

    package = package_of(workspace)
    folder = options.output or workspace.repository / FOLDER
    for one in orphans(workspace):
        if (folder / "models" / one.source).is_dir():
            raise UsageError(
                f"{workspace.shown(folder)} has models of {one.source}, but {one.message}; nothing "
                "was written",
                remedy=REMEDY,
            )
        say(one.message, mark="note: ")
    for stream, reason in package.left_out.items():
        say(f"{stream}: left out: {reason}")
    if not package.models:
        raise UsageError(
            f"no stream to write a model of: in {workspace.shown(workspace.root / 'dag/streams')}, "
            'set "selected": true in those to read'
        )
    files = (compared if options.check else write)(folder, package.files)
    done = DbtPackage(
        folder=workspace.shown(folder),
        written=not options.check,
        models=package.models,
        left_out=package.left_out,
        files=files,
    )
    if options.json:
        print_json(done)
    else:
        _print(done)
        _print_next(workspace, done)
    return 1 if options.check and not all(one.is_current for one in files) else 0


def _print_next(workspace: Workspace, done: DbtPackage) -> None:
    """If the package is new."""
    project = next((file for file in done.files if file.path == "dbt_project.yml"), None)
    if project is None or project.state != "new" or not done.written:
        return
    needs = ""
    with suppress(SettingsError):  # which a run reports
        if (settings := bucket_settings(workspace)).is_default:
            needs = f", with DLT_BUCKET_URL={settings.url} in the environment"
    say(f"`dbt build` in {done.folder} builds the models{needs}", mark=ARROW)


def _print(done: DbtPackage) -> None:
    for file in done.files:
        if file.message:
            say(f"{done.folder}/{file.path}: {file.message}")
    say(f"{done.folder}: {counted(len(done.models), 'model')}")
