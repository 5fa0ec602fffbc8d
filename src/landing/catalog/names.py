"""Names that become folders, bucket prefixes and columns."""

from __future__ import annotations

import re

from landing.catalog.fields import DELETED_AT
from landing.catalog.installed import installed_sources
from landing.catalog.workspace import Workspace
from landing.errors import CatalogError, WorkspaceError, listed, nearest

LINEAGE_PREFIX = "_dlt_"
MAX_NAME = 200
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def check_source(workspace: Workspace, name: str) -> str:
    """`name` if there is such a source, which is not imported; raises WorkspaceError otherwise."""
    check_name(name, "source")
    known, installed = workspace.source_names(), installed_sources()
    if name in known or name in installed:
        return name
    packages = {*installed} - {*known}
    raise WorkspaceError(
        f"no source '{name}'{nearest(name, {*known, *installed})}; "
        f"in {workspace.shown(workspace.sources)} there are: {listed(known)}"
        f"{f'; in installed packages: {listed(packages)}' if packages else ''}",
        remedy=f"`landing new {name}` writes one; if it is a package, `pip install` it",
    )


def check_name(name: str, what: str) -> str:
    """`name` if it can be a folder and a bucket prefix of one level; raises CatalogError
    otherwise."""
    if not _NAME.fullmatch(name):
        raise CatalogError(
            f"'{name}' is not a {what} name: letters, digits, '_', '-' and '.' only, "
            "starting with a letter or digit"
        )
    if len(name) > MAX_NAME:
        raise CatalogError(
            f"'{name[:20]}…' is not a {what} name: it has {len(name)} characters, and folders "
            f"take {MAX_NAME} at most"
        )
    return name


def is_own_name(name: str) -> bool:
    """Whether a column of this name is ours (lineage or deletion) and not the source's."""
    return name.startswith(LINEAGE_PREFIX) or name == DELETED_AT
