"""Reads and writes the catalog: what a source can provide, and which of it is synced.

Files are validated as a whole when they are read. A mistake raises one CatalogError that names
file and place, says what is wrong, and suggests the nearest valid word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import msgspec

from landing.catalog.documents import decode, in_file, parse
from landing.catalog.fields import KINDS, Field, names_in
from landing.catalog.layout import encode
from landing.catalog.replacement import replace
from landing.catalog.resolution import check_stream_name, resolved, with_discovered_cursor
from landing.catalog.stream_config import (
    DestinationSyncMode,
    DiscoveredSchema,
    StreamConfig,
    StreamFile,
    SyncMode,
)
from landing.catalog.workspace import Workspace
from landing.errors import CatalogError, nearest
from landing.secrets import make_public

OWN_CONNECTORS = ("dlt", "landing")
_MODES: tuple[str, ...] = get_args(SyncMode)
_DESTINATIONS: tuple[str, ...] = get_args(DestinationSyncMode)


def read_discovered(workspace: Workspace, source: str, stream: str) -> DiscoveredSchema | None:
    """The discovered schema of a stream; None if there is no file, or it is another tool's."""
    file = workspace.discovered_file(source, stream)
    if not file.is_file() or is_foreign(workspace, source, stream):
        return None
    shown = workspace.shown(file)
    discovered = decode(file, shown, DiscoveredSchema)
    with in_file(shown):
        check_stream_name(discovered.stream, stream)
    return discovered


def is_foreign(workspace: Workspace, source: str, stream: str) -> bool:
    """Whether a discovered schema is another tool's: it names that tool as its connector, or has
    sync modes or types that this project's discovery never writes."""
    file = workspace.discovered_file(source, stream)
    try:
        document = parse(file, workspace.shown(file))
    except (CatalogError, OSError):
        return False  # whoever reads it next reports the mistake
    if not isinstance(document, dict):
        return False
    return document.get("connector") not in (None, *OWN_CONNECTORS) or _has_foreign_words(document)


def _has_foreign_words(document: Mapping[str, Any]) -> bool:
    options, fields = document.get("options"), document.get("fields")
    modes = options if isinstance(options, dict) else {}
    found = fields.values() if isinstance(fields, dict) else ()
    types = [field.get("type") for field in found if isinstance(field, dict)]
    return (
        _has_others(modes.get("sync_modes"), _MODES)
        or _has_others(modes.get("destination_sync_modes"), _DESTINATIONS)
        or _has_others(types, KINDS)
    )


def _has_others(words: Any, known: Sequence[str]) -> bool:
    return isinstance(words, list) and any(isinstance(w, str) and w not in known for w in words)


def write_discovered(workspace: Workspace, source: str, schema: DiscoveredSchema) -> Path:
    """Writes the file atomically.

    Raises CatalogError if the file there is another tool's, or can't be written.
    """
    file = workspace.discovered_file(source, schema.stream)
    if is_foreign(workspace, source, schema.stream):
        raise CatalogError(
            f"{workspace.shown(file)} belongs to another tool and was not changed: give the "
            "stream another name in streams.py (name=), or move the file"
        )
    replace(file, workspace.shown(file), encode(schema))
    return file


def read_config(workspace: Workspace, source: str, stream: str) -> StreamConfig:
    """The stream config; without one, the discovered schema read as a config.

    Raises CatalogError for a mistake in the file, or if neither file exists.
    """
    file = workspace.config_file(source, stream)
    if not file.is_file():
        file = workspace.discovered_file(source, stream)
    if not file.is_file():
        config = workspace.shown(workspace.config_file(source, stream))
        raise CatalogError(
            f"{config}: no such file; run `python discover-source.py {source} {stream}`, copy "
            f"{workspace.shown(file)} there and keep the fields you want"
        )
    shown = workspace.shown(file)
    try:
        discovered = read_discovered(workspace, source, stream)
        known = discovered.fields if discovered is not None else {}
        raw = decode(file, shown, StreamFile)
        make_public(names_in({**known, **raw.fields}))
        if discovered is not None:
            raw = with_discovered_cursor(raw, discovered)
        with in_file(shown):
            return resolved(source, stream, shown, raw, known)
    except CatalogError as error:
        error.remedy = f"fix it; `landing run {source} {stream} --dry-run` checks it"
        raise


def private_fields(workspace: Workspace, source: str, stream: str) -> Mapping[str, Field]:
    """The fields of a stream's own config, which declares what is private; empty without a config.

    Raises CatalogError for a mistake in the file.
    """
    file = workspace.config_file(source, stream)
    shown = workspace.shown(file)
    if not file.is_file() or _connector(file, shown) not in (None, *OWN_CONNECTORS):
        return {}
    return decode(file, shown, StreamFile).fields


def as_config(source: str, schema: DiscoveredSchema) -> StreamConfig:
    """The stream config that an unedited copy of this discovered schema would give."""
    copied = msgspec.convert(msgspec.to_builtins(schema), StreamFile)
    shown = "what was discovered"
    with in_file(shown):
        return resolved(source, schema.stream, shown, copied, schema.fields)


def discovered_streams(workspace: Workspace, source: str) -> list[str]:
    """The discovered streams of this project; other tools' files are skipped."""
    names = sorted(file.stem for file in workspace.discovered_dir(source).glob("[!_.]*.json"))
    return [name for name in names if not is_foreign(workspace, source, name)]


def unknown_fields(config: StreamConfig) -> list[str]:
    """Fields of a config (nested ones with dots) that discovery did not see: probably misspelt."""
    return list(_unknown(config.fields, config.discovered, "")) if config.discovered else []


def _unknown(named: Mapping[str, Field], seen: Mapping[str, Field], prefix: str) -> Iterator[str]:
    for name, field in named.items():
        found = seen.get(name)
        if found is None:
            yield f"{prefix}{name}{nearest(name, seen)}"
            continue
        inner, known = field, found
        while inner.items is not None and known.items is not None:
            inner, known = inner.items, known.items
        if inner.properties and known.properties:
            yield from _unknown(inner.properties, known.properties, f"{prefix}{name}.")


def configured_streams(workspace: Workspace, source: str) -> Iterator[str]:
    """Names of the streams that are configured for this project's connector.

    Files of other connectors, and files whose names start with `_` or `.`, are skipped.
    """
    for file in sorted(workspace.config_dir(source).glob("*.json")):
        if file.name.startswith(("_", ".")):
            continue
        if _connector(file, workspace.shown(file)) in (None, *OWN_CONNECTORS):
            yield file.stem


def selected_configs(
    workspace: Workspace, source: str
) -> Iterator[tuple[str, StreamConfig | CatalogError]]:
    """The selected streams with their configs, and the error of each that can't be read."""
    for stream in configured_streams(workspace, source):
        try:
            config = read_config(workspace, source, stream)
        except CatalogError as error:
            yield stream, error
        else:
            if config.selected:
                yield stream, config


def valid_configs(workspace: Workspace) -> Iterator[StreamConfig]:
    """The selected streams of all sources.

    Raises CatalogError if a stream config or its schedule is wrong, because leaving that stream
    out would go unnoticed.
    """
    for source in workspace.source_names():
        for _, config in selected_configs(workspace, source):
            if isinstance(config, CatalogError):
                raise config
            if config.schedule_mistake is not None:
                raise CatalogError(f"{config.origin}: {config.schedule_mistake}")
            yield config


def _connector(file: Path, shown: str) -> str | None:
    """The connector that a file names; None also if it is not valid JSON, which a read reports."""
    try:
        document = parse(file, shown)
    except CatalogError:
        return None
    connector = document.get("connector") if isinstance(document, dict) else None
    return connector if isinstance(connector, str) else None
