"""What keeps the engine from working here: looked at one by one, each with what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from landing.catalog.workspace import BucketSettings, Workspace
from landing.operations.doctor import machine
from landing.operations.doctor.findings import Finding, fine, wrong


def of_machine() -> Iterator[Finding]:
    """What can be told without a workspace."""
    yield machine.python()
    yield from machine.packages()


def of_workspace(
    workspace: Workspace,
    asked_for: Sequence[str],
    settings_checks: Iterable[Callable[[], object]] = (),
) -> Iterator[Finding]:
    """Of all sources, if none is asked for. Imports the engine, which `of_machine` does without.

    `settings_checks` are those of the faces, each of which raises SettingsError.
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
    sources = asked_for or workspace.source_names()
    if not sources:
        yield wrong(
            "sources",
            f"there is none in {workspace.shown(workspace.sources)}",
            "`landing new SOURCE` writes one",
        )
    if not asked_for:
        yield from work.orphan_findings(workspace)
    for source in sources:
        yield from work.source_findings(workspace, source, bucket, is_asked_for=source in asked_for)


__all__ = ["Finding", "of_machine", "of_workspace", "wrong"]
