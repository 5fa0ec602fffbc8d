"""Checks of the workspace: its sources, their variables, and the stream configs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress

from landing.catalog.files import configured_streams, read_config
from landing.catalog.orphans import REMEDY, orphans
from landing.catalog.settings import BucketSettings, part_bytes, slice_limits, stall_seconds
from landing.catalog.variables import described_variables
from landing.catalog.workspace import Workspace
from landing.columns.privacy import check_key
from landing.errors import CatalogError, SourceError, listed
from landing.extraction.sources import Source, load_source
from landing.operations.doctor.findings import Finding, Findings, fine, wrong
from landing.tables import place_of

_AT_ONCE = 2
"""Slices that a stream may have on the disk: one that is being uploaded, and the next."""


def env_file(workspace: Workspace) -> Finding:
    file = workspace.repository / ".env"
    if file.is_file():
        return fine(".env", f"{file} was read; the environment outranks it")
    return fine(".env", f"there is none at {file}, so the environment alone counts")


def settings(checks: Iterable[Callable[[], object]]) -> tuple[float, list[Finding]]:
    """The bytes that a run may need on the local disk, and findings about the settings.

    Each of `checks` raises SettingsError if a setting of its own is wrong.
    """
    findings = Findings()
    needed = 0.0
    docs = "docs/configuration.md lists all settings"
    with findings.messages_of("settings", docs):
        part_bytes()
    with findings.messages_of("settings", docs):
        needed = _AT_ONCE * slice_limits().bytes
    with findings.messages_of("settings", docs):
        stall_seconds()
    with findings.messages_of("settings", "unset it, or fix it"):
        for check in checks:
            check()
    return needed, findings.all or [fine("settings", "those of the engine are valid")]


def orphan_findings(workspace: Workspace) -> Iterator[Finding]:
    for found in orphans(workspace):
        if found.is_mistake:
            yield wrong("streams", found.message, REMEDY)
        else:
            yield fine("streams", f"{found.message}; another tool may")


def source_findings(
    workspace: Workspace, source: str, bucket: BucketSettings | None, *, is_requested: bool
) -> Iterator[Finding]:
    """Check one source. Its variables need not be set if it has no stream config and was not
    requested."""
    findings = Findings()
    streams = list(configured_streams(workspace, source))
    is_used = is_requested or bool(streams)
    imported: Source | None = None
    with findings.messages_of(source, f"fix it; `landing discover {source}` then asks its API"):
        imported = load_source(workspace, source)
    if is_used:
        # What does not import may be no Python, which has been said.
        is_said = imported is None
        with suppress(SourceError) if is_said else findings.messages_of(source, "fix it"):
            findings.all.extend(_unset(workspace, source))
    if not findings.all:
        yield fine(source, f"imports, {_of_variables(workspace, source)}")
    yield from findings.all
    yield from _configs(workspace, source, streams, imported, bucket)


def _of_variables(workspace: Workspace, source: str) -> str:
    try:
        variables = described_variables(workspace, source)
    except SourceError:  # a file that it does not import
        return "and has a file that is no Python"
    unset = [one.name for one in variables if one.required and one.state != "set"]
    if not unset:
        return "and all variables that it requires are set"
    return f"and needs {listed(unset)}, not set yet"


def _unset(workspace: Workspace, source: str) -> Iterator[Finding]:
    variables = described_variables(workspace, source)
    unset = [one for one in variables if one.required and one.state != "set"]
    for one in unset:
        described = f", {one.description}" if one.description else ""
        yield wrong(
            source,
            f"{one.name} is not set{described}",
            f"set it in the environment or .env; `landing env {source} --dotenv` prints the lines",
        )


def _configs(
    workspace: Workspace,
    source: str,
    streams: Sequence[str],
    imported: Source | None,
    bucket: BucketSettings | None,
) -> Iterator[Finding]:
    found: list[Finding] = []
    selected = 0
    for stream in streams:
        try:
            config = read_config(workspace, source, stream)
        except CatalogError as error:
            found.append(wrong(f"{source}/{stream}", str(error), _dry_run(source, stream)))
            continue
        if config.schedule_mistake is not None:
            message = f"{config.origin}: {config.schedule_mistake}"
            found.append(wrong(f"{source}/{stream}", message, "fix it: nothing runs by it now"))
        if not config.selected:
            continue
        selected += 1
        findings = Findings()
        if imported is not None:
            with findings.messages_of(
                f"{source}/{stream}", "rename the file, delete it, or export the stream"
            ):
                imported.check_stream(stream)
        with findings.messages_of(f"{source}/{stream}", _dry_run(source, stream)):
            check_key(config.fields, config.origin)
            if bucket is not None:
                place_of(config, bucket)
            if imported is not None and not findings.all:
                imported.check_config(config)
        found += findings.all
    yield from found or [fine(source, _message(streams, selected))]


def _message(streams: Sequence[str], selected: int) -> str:
    if not streams:
        return "no stream is configured yet"
    configs = "1 stream config" if len(streams) == 1 else f"{len(streams)} stream configs"
    return f"{configs}, {selected} selected, all valid"


def _dry_run(source: str, stream: str) -> str:
    return f"fix it; `landing run {source} {stream} --dry-run` checks it"
