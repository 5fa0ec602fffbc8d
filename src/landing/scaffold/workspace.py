"""Writes a new workspace from the template beside this file: all of its files or none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from landing.catalog.workspace import Workspace, find_workspace
from landing.errors import UsageError, WorkspaceError
from landing.scaffold.engine import Engine, engine, packages_of
from landing.scaffold.files import all_or_none

TEMPLATE = Path(__file__).parent / "template"
SUFFIX = ".tmpl"
"""Suffix of the template's files, so that no tool treats them as this package's own."""
_EXTRAS = ("auth", "tables")
_DEV_EXTRAS = ("dev", "openapi")
_OPTIONAL = {
    "orchestration/definitions.py": "dagster",
    "workspace.yaml": "dagster",
    "orchestration/feeder.py": "feeder",
}
_DEV_OF = {"dagster": "dagster-ui", "feeder": "dagster-ui"}
_NOTICE = (
    "# This is a path on the machine that made this file. Before others install it, replace it\n"
    "# with a version, a Git URL or a wheel that they can reach.\n"
)


@dataclass(frozen=True)
class Design:
    """What a new workspace consists of."""

    folder: Path
    parts: frozenset[str] = frozenset()
    """Optional parts: `dagster` and `feeder`."""
    engine: str | None = None
    """A requirement; None to install the engine as the running one was."""
    keeps: bool = False
    """Whether to keep existing files; otherwise they are a mistake."""


@dataclass(frozen=True)
class Made:
    workspace: Workspace
    written: Sequence[Path]
    kept: Sequence[Path]
    engine: Engine


def write_workspace(design: Design) -> Made:
    """Raises UsageError, and leaves nothing behind, if the folder is a workspace already, or if a
    file exists or can't be written."""
    folder = design.folder.resolve()
    _check_is_none(folder)
    installed = engine({*_EXTRAS, *design.parts}, design.engine)
    files = {folder / name: text for name, text in _rendered(design, folder, installed)}
    there = [file for file in files if file.exists() or file.is_symlink()]
    if there and not design.keeps:
        listed = ", ".join(str(file.relative_to(folder)) for file in there)
        raise UsageError(
            f"{folder} has some of the files already: {listed}; choose another folder, move them "
            "away, or use --keep to keep them and write the others"
        )
    new = {file: text for file, text in files.items() if file not in there}
    workspace = Workspace(folder / "orchestration")
    with all_or_none(workspace, folder, "workspace") as made:
        for file, text in new.items():
            made.add(file, text)
    return Made(workspace, list(new), there, installed)


def _check_is_none(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: name a folder; it need not exist")
    try:
        there = find_workspace(folder)
    except WorkspaceError:
        return
    if folder == there.repository or folder.is_relative_to(there.root):
        raise UsageError(
            f"{there.repository} is a workspace already: `landing new SOURCE` adds a source to it",
            remedy="`landing doctor` checks it",
        )


def _rendered(design: Design, folder: Path, installed: Engine) -> Iterator[tuple[str, str]]:
    dev = {*_DEV_EXTRAS, *(_DEV_OF[part] for part in design.parts)}
    values = {
        "name": folder.name,
        "requirement": installed.requirement,
        "notice": _NOTICE if installed.is_of_this_machine else "",
        "dev_packages": "\n".join(packages_of(dev)),
    }
    for file in sorted(TEMPLATE.rglob(f"*{SUFFIX}")):
        name = file.relative_to(TEMPLATE).as_posix().removesuffix(SUFFIX)
        if _OPTIONAL.get(name, name) not in {*design.parts, name}:
            continue
        text = file.read_text(encoding="utf-8")
        for key, value in values.items():
            text = text.replace(f"{{{{{key}}}}}", value)
        yield name, text
