"""Stream configs whose source has no code in the workspace: misspelt folders, or another tool's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from landing.catalog.documents import parse
from landing.catalog.files import OWN_CONNECTORS, configured_streams
from landing.catalog.workspace import Workspace
from landing.errors import CatalogError, counted, nearest

REMEDY = (
    "rename the folder, write the source or install its package, or name the tool that owns the "
    "files in them: "
    '"connector": "airbyte"'
)


@dataclass(frozen=True)
class Orphans:
    """The selected streams of a folder in `dag/streams/` that has no source of the same name."""

    source: str
    message: str
    is_mistake: bool
    """Whether they are certainly this project's and not another tool's."""


def orphans(workspace: Workspace) -> Iterator[Orphans]:
    known = workspace.source_names()
    for folder in sorted((workspace.root / "dag" / "streams").glob("[!_.]*/")):
        source = folder.name
        if source in known:
            continue
        connectors = list(_selected(workspace, source))
        if connectors:
            hint = nearest(source, known)
            yield Orphans(
                source,
                f"{workspace.shown(folder)}: {counted(len(connectors), 'selected stream')} that "
                f"nothing runs, because {workspace.shown(workspace.sources / source)} has no code"
                f"{hint or ' and no package of that name is installed'}",
                bool(hint) or any(connectors),
            )


def _selected(workspace: Workspace, source: str) -> Iterator[bool]:
    """For each selected stream, whether its file names this project as its connector."""
    for stream in configured_streams(workspace, source):
        file = workspace.config_file(source, stream)
        try:
            document = parse(file, workspace.shown(file))
        except CatalogError:
            continue  # can't tell whose it is; reading it reports the mistake
        if isinstance(document, dict) and document.get("selected") is True:
            yield document.get("connector") in OWN_CONNECTORS
