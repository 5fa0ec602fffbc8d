"""Checks the machine and the workspace for whatever would keep a run from working."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from landing.catalog.settings import BucketSettings
from landing.catalog.workspace import Workspace
from landing.operations.doctor import machine
from landing.operations.doctor.findings import Finding, fine, wrong


def of_machine() -> Iterator[Finding]:
    """Check what needs no workspace: Python and packages."""
    yield machine.python()
    yield from machine.packages()


def of_workspace(
    workspace: Workspace,
    requested: Sequence[str],
    settings_checks: Iterable[Callable[[], object]] = (),
) -> Iterator[Finding]:
    """Check the workspace, its settings, bucket and sources; all sources if `requested` is empty.

    Imports the engine, unlike `of_machine`. Each of `settings_checks` raises SettingsError if a
    setting of an optional part, such as Dagster, is wrong.
    """
    try:
        from landing.operations.doctor import place, work
    except ModuleNotFoundError as error:
        install = "install what is missing, as said above, and run this again"
        yield wrong(
            "packages", f"{error.name} is missing: nothing else could be looked at", install
        )
        return
    yield fine("workspace", str(workspace.root))
    yield work.env_file(workspace)
    needed, found = work.settings(settings_checks)
    yield from found
    yield machine.disk(needed)
    settings = place.settings(workspace)
    if isinstance(settings, Finding):
        yield settings
    else:
        yield from place.bucket_findings(settings)
    bucket = settings if isinstance(settings, BucketSettings) else None
    sources = requested or workspace.source_names()
    if not sources:
        yield wrong(
            "sources",
            f"there is none in {workspace.shown(workspace.sources)}",
            "`landing new SOURCE` writes one",
        )
    if not requested:
        yield from work.orphan_findings(workspace)
    for source in sources:
        yield from work.source_findings(workspace, source, bucket, is_requested=source in requested)


__all__ = ["Finding", "of_machine", "of_workspace", "wrong"]
