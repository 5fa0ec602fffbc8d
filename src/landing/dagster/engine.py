"""Imports the engine in a step's process: the library dlt, not the workspace's folder `dlt/`."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path

from landing.catalog.workspace import Workspace
from landing.errors import WorkspaceError

_IMPORTING = threading.Lock()
"""Steps of one process may run in threads, which would put back each other's `sys.path`."""


def import_engine(workspace: Workspace) -> None:
    """Imports dlt; call it before anything else does.

    If Dagster is started in the workspace, that folder is on `sys.path`, and a `dlt/` that is a
    package hides the library. Raises WorkspaceError if that has happened already.
    """
    with _IMPORTING, _off_the_path(workspace.root) if "dlt" not in sys.modules else nullcontext():
        import dlt
    if Path(dlt.__file__ or "").resolve().is_relative_to(workspace.root.resolve()):
        raise WorkspaceError(
            f"{workspace.shown(workspace.root / 'dlt')} was imported in place of the library dlt: "
            f"delete its __init__.py, or start Dagster in a folder other than {workspace.root}"
        )
    _tune()


@cache
def _tune() -> None:
    """Tunes the process once, however many steps it runs; it does nothing but land."""
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
