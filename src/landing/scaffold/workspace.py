"""Writes a workspace, or a further part of one, from the template beside this file: all of its
files or none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from landing.catalog.workspace import Workspace, find_workspace
from landing.errors import UsageError, WorkspaceError
from landing.scaffold.engine import Engine, engine, packages_of
from landing.scaffold.files import all_or_none

TEMPLATE = Path(__file__).parent / "template"
SUFFIX = ".tmpl"
"""Suffix of the template's files, so that no tool treats them as this package's own."""
_EXTRAS = ("auth", "tables")
_EXTRAS_OF = {"deploy": ("lineage", "otel", "prometheus")}
"""Those of a part that are not named like it."""
_DEV_EXTRAS = ("dev", "openapi", "select")
_OPTIONAL = {
    "orchestration/definitions.py": "dagster",
    "workspace.yaml": "dagster",
    "orchestration/feeder.py": "feeder",
    ".dockerignore": "deploy",
    ".sops.yaml": "deploy",
    ".github/workflows/image.yml": "deploy",
    "constraints.txt": "deploy",
}
_DEV_OF = {"dagster": "dagster-ui", "feeder": "dagster-ui"}
_NOTICE = (
    "# This is a path on the machine that made this file. Before others use the file, remove this\n"
    "# line if they can install the version in requirements.txt, or put a Git URL or a wheel that\n"
    "# they can reach into both. It stands before that file because pip takes them in this order.\n"
)


@dataclass(frozen=True)
class Design:
    """What a new workspace consists of."""

    folder: Path
    parts: frozenset[str] = frozenset()
    """Optional parts: `dagster`, `deploy` and `feeder`."""
    engine: str | None = None
    """A requirement; None to install the engine as the running one was."""
    keeps: bool = False
    """Whether to keep existing files; otherwise they are a mistake."""
    others: Mapping[str, str] = field(default_factory=dict)
    """Further files that are not in the template: texts by path."""


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
    workspace = Workspace(folder / "orchestration")
    return _written("workspace", workspace, design, dict(_rendered(design, folder)))


def add_parts(workspace: Workspace, design: Design) -> Made:
    """Writes those files of the parts that the workspace does not have yet."""
    rendered = _rendered(design, workspace.repository)
    needed = {*design.parts, "requirements.txt"}
    files = {name: text for name, text in rendered if _part(name) in needed}
    return _written("part", workspace, replace(design, keeps=True), files)


def _written(what: str, workspace: Workspace, design: Design, files: Mapping[str, str]) -> Made:
    folder = workspace.repository
    texts = {folder / name: text for name, text in {**files, **design.others}.items()}
    there = [file for file in texts if file.exists() or file.is_symlink()]
    if there and not design.keeps:
        listed = ", ".join(str(file.relative_to(folder)) for file in there)
        raise UsageError(
            f"{folder} has some of the files already: {listed}; choose another folder, move them "
            "away, or use --keep to keep them and write the others"
        )
    new = {file: text for file, text in texts.items() if file not in there}
    with all_or_none(workspace, folder, what) as made:
        for file, text in new.items():
            made.add(file, text)
    return Made(workspace, list(new), there, _engine(design))


def _check_is_none(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: name a folder; it need not exist")
    try:
        there = find_workspace(folder)
    except WorkspaceError:
        return
    if folder == there.repository or folder.is_relative_to(there.root):
        raise UsageError(
            f"{there.repository} is a workspace already: `landing new SOURCE` adds a source to it, "
            "and `landing init --add PART` adds a part such as deploy",
            remedy="`landing doctor` checks it",
        )


def _engine(design: Design) -> Engine:
    extras = {extra for part in design.parts for extra in _EXTRAS_OF.get(part, (part,))}
    return engine({*_EXTRAS, *extras}, design.engine)


def _part(name: str) -> str:
    """The optional part that a file belongs to, or the file's own name."""
    return "deploy" if name.startswith("deploy/") else _OPTIONAL.get(name, name)


def _rendered(design: Design, folder: Path) -> Iterator[tuple[str, str]]:
    dev = {*_DEV_EXTRAS, *(_DEV_OF[part] for part in design.parts if part in _DEV_OF)}
    installed = _engine(design)
    values = {
        "name": folder.name,
        "requirement": installed.published,
        "local": f"{_NOTICE}{installed.requirement}\n" if installed.is_of_this_machine else "",
        "dev_packages": "\n".join(packages_of(dev)),
    }
    for file in sorted(TEMPLATE.rglob(f"*{SUFFIX}")):
        name = file.relative_to(TEMPLATE).as_posix().removesuffix(SUFFIX)
        if _part(name) not in {*design.parts, name}:
            continue
        text = file.read_text(encoding="utf-8")
        for key, value in values.items():
            text = text.replace(f"{{{{{key}}}}}", value)
        yield name, text
