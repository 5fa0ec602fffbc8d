"""The engine in a step's process: dlt the library, never the workspace's folder of that name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from landing.catalog.workspace import Workspace
from landing.errors import WorkspaceError


def import_engine(workspace: Workspace) -> None:
    """Call before anything imports dlt.

    Whoever starts Dagster in the workspace has it on `sys.path`, where `dlt/` would hide the
    library once it is a package. Raises WorkspaceError if that has happened already.
    """
    with _off_the_path(workspace.root):
        import dlt
    if Path(dlt.__file__ or "").resolve().is_relative_to(workspace.root.resolve()):
        raise WorkspaceError(
            f"{workspace.shown(workspace.root / 'dlt')} was imported in place of the library dlt: "
            f"delete its __init__.py, or start Dagster in another folder than {workspace.root}"
        )
    _tune()


@cache
def _tune() -> None:
    """A step's process does nothing but land; one that runs many steps is tuned once."""
    import landing.operations.run  # noqa: F401
    from landing.extraction.tuning import tune_process

    tune_process()


@contextmanager
def _off_the_path(folder: Path) -> Iterator[None]:
    before = list(sys.path)
    sys.path[:] = [entry for entry in before if Path(entry).resolve() != folder.resolve()]
    try:
        yield
    finally:
        sys.path[:] = before
