"""Checks of the workspace: its sources, their variables, and the stream configs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING

from landing.catalog.files import configured_streams, read_config
from landing.catalog.orphans import REMEDY, orphans
from landing.catalog.stream_config import StreamConfig
from landing.catalog.variables import described_variables
from landing.catalog.workspace import (
    BucketSettings,
    Workspace,
    part_bytes,
    slice_limits,
    stall_seconds,
)
from landing.columns.privacy import check_key
from landing.errors import CatalogError, SourceError
from landing.extraction.import_records import ImportRecord, ImportRecords
from landing.operations.doctor.findings import Finding, Findings, fine, wrong
from landing.tables import place_of

if TYPE_CHECKING:
    from landing.extraction.sources import Source

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
    workspace: Workspace,
    source: str,
    bucket: BucketSettings | None,
    imports: ImportRecords,
    *,
    is_requested: bool,
) -> Iterator[Finding]:
    """Check one source, which is imported unless it is as it was at its last import. Its variables
    need not be set if it has no stream config and was not requested."""
    findings = Findings()
    streams = list(configured_streams(workspace, source))
    is_used = is_requested or bool(streams)
    imported: _Imported | None = None
    with findings.messages_of(source, f"fix it; `landing discover {source}` then asks its API"):
        imported = _Imported(workspace, source, imports.get(source))
    if is_used:
        # What does not import may be no Python, which has been said.
        is_said = imported is None
        with suppress(SourceError) if is_said else findings.messages_of(source, "fix it"):
            findings.all.extend(_unset(workspace, source))
    if not findings.all:
        variables = ", and all variables that it requires are set" if is_used else ""
        yield fine(source, f"imports{variables}")
    yield from findings.all
    yield from _configs(workspace, source, streams, imported, bucket)


class _Imported:
    """A source that imports. Whatever the record of its last import does not say, the source itself
    is asked, which takes dlt and seconds. Raises SourceError if it does not import."""

    def __init__(self, workspace: Workspace, source: str, record: ImportRecord | None) -> None:
        self._workspace = workspace
        self._name = source
        self._record = record
        if record is None:
            _ = self._source

    @cached_property
    def _source(self) -> Source:
        from landing.extraction.sources import load_source

        return load_source(self._workspace, self._name)

    def check_stream(self, stream: str) -> None:
        record = self._record
        if record is None or not (record.may_have_more or stream in record.streams):
            self._source.check_stream(stream)

    def check_config(self, config: StreamConfig) -> None:
        record = self._record
        if record is not None:
            declared = record.streams.get(config.stream)
            if record.may_have_more or (declared and not declared.may_contradict(config)):
                return
        self._source.check_config(config)


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
    imported: _Imported | None,
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
