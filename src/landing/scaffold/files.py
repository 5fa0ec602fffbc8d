"""A plan onto the disk: new files only, all of them or none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from landing.errors import UsageError
from landing.scaffold import render
from landing.scaffold.plan import SourcePlan
from landing.workspace import Workspace


def write_source(workspace: Workspace, plan: SourcePlan) -> Sequence[Path]:
    """The files that were written, and `.env.example`, to which lines were added.

    Raises UsageError, before anything is written, if one of the files is there already.
    """
    folder = workspace.sources / plan.name
    files = {
        folder / "client.py": render.client(plan),
        folder / "streams.py": render.streams(plan),
        folder / "__init__.py": render.init(plan),
        workspace.root / "dlt" / "tests" / f"test_{plan.name}.py": render.test(plan),
    }
    for file in (folder, *files):
        if file.exists():
            raise UsageError(
                f"{workspace.shown(file)} is there already, and is left as it is: choose another "
                "name, or move it away first"
            )
    for file, text in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return [*files, *_add_settings(workspace, plan)]


def _add_settings(workspace: Workspace, plan: SourcePlan) -> Sequence[Path]:
    file = workspace.repository / ".env.example"
    before = file.read_text(encoding="utf-8") if file.is_file() else ""
    there = {line.lstrip("# ").partition("=")[0].strip() for line in before.splitlines()}
    if there.issuperset(name for name, _ in plan.variables()):
        return []
    with file.open("a", encoding="utf-8") as out:
        out.write(render.settings(plan) if before else render.settings(plan).lstrip())
    return [file]
