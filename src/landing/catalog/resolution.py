"""Resolves a stream's file into its config, with every default filled in.

The first mistake raises a CatalogError that names the key, says what is wrong, and suggests the
nearest valid word; `documents.in_file` adds the file.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from landing.catalog.fields import DELETED_AT, Field, landing_fields
from landing.catalog.lookback import Lookback, parse_lookback
from landing.catalog.names import LINEAGE_PREFIX, is_own_name
from landing.catalog.schedule import Schedule, parse_schedule
from landing.catalog.stream_config import (
    DestinationSyncMode,
    DiscoveredSchema,
    StreamConfig,
    StreamFile,
    SyncMode,
    TableFormat,
)
from landing.errors import CatalogError, nearest

COMPARABLE = (frozenset({"integer"}), frozenset({"number"}), frozenset({"string"}))


def resolved(
    source: str, stream: str, shown: str, raw: StreamFile, discovered: Mapping[str, Field]
) -> StreamConfig:
    check_stream_name(raw.stream, stream)
    _check_landable(raw.fields)
    primary_key = _names(raw, "primary_key", discovered)
    # A default cursor whose field was removed is a mistake only if the stream uses a cursor.
    uses_cursor = raw.cursor_field is not None or raw.sync_mode != "full_refresh"
    cursor = _names(raw, "cursor_field", discovered) if uses_cursor else ()
    for key, names in (("primary_key", primary_key), ("cursor_field", cursor)):
        _check_comparable(raw.fields, key, names)
        _check_open(raw.fields, key, names)
    offered = raw.options.sync_modes if raw.options else ["incremental"]
    fallback: SyncMode = "incremental" if cursor and "incremental" in offered else "full_refresh"
    sync_mode = raw.sync_mode or fallback
    if sync_mode == "incremental" and not cursor:
        raise CatalogError(
            "cursor_field: is missing, but sync_mode 'incremental' needs it; name a "
            "field that grows with every change, or set sync_mode to 'full_refresh'"
        )
    destination = raw.destination_sync_mode or "append"
    _check_pair(sync_mode, destination, primary_key)
    _check_deletes(raw, sync_mode, primary_key)
    _check_expect(raw)
    schedule, schedule_mistake = _schedule(raw)
    return StreamConfig(
        source=source,
        stream=stream,
        origin=shown,
        sync_mode=sync_mode,
        destination_sync_mode=destination,
        primary_key=primary_key,
        cursor_field=cursor[0] if cursor else None,
        initial_value=raw.initial_value,
        lookback=_lookback(raw, cursor),
        selected=raw.selected,
        allow_empty=raw.allow_empty,
        expect=raw.expect,
        alerts=raw.alerts,
        quarantine_limit=raw.quarantine_limit,
        backfill=raw.backfill,
        table_format=_table_format(raw, destination),
        deletes=raw.deletes,
        deletes_limit=raw.deletes_limit,
        schedule=schedule,
        schedule_mistake=schedule_mistake,
        fields=raw.fields,
        on_drift=raw.on_drift,
        discovered=discovered,
        mode_is_open=_mode_is_open(raw, destination),
        description=raw.description,
    )


def with_discovered_cursor(raw: StreamFile, discovered: DiscoveredSchema) -> StreamFile:
    """The file with the cursor that discovery found, where it says nothing of how it is synced."""
    cursor = discovered.defaults.cursor_field
    destination = raw.destination_sync_mode or "append"
    if not cursor or cursor[0] not in raw.fields or not _mode_is_open(raw, destination):
        return raw
    defaults = msgspec.structs.replace(raw.defaults, cursor_field=cursor)
    return msgspec.structs.replace(raw, defaults=defaults, options=discovered.options)


def _mode_is_open(raw: StreamFile, destination: DestinationSyncMode) -> bool:
    stated = (raw.sync_mode, raw.cursor_field, raw.defaults.cursor_field, raw.options, raw.deletes)
    return not any(stated) and destination != "overwrite"


def _check_pair(
    sync_mode: SyncMode, destination: DestinationSyncMode, primary_key: tuple[str, ...]
) -> None:
    if destination == "merge" and not primary_key:
        raise CatalogError("primary_key: is missing, but destination_sync_mode 'merge' needs it")
    if destination == "overwrite" and sync_mode == "incremental":
        raise CatalogError(
            "destination_sync_mode: 'overwrite' replaces the whole table with what a "
            "run reads, but sync_mode 'incremental' reads only changes; set sync_mode to "
            "'full_refresh', or destination_sync_mode to 'merge'"
        )


def _check_deletes(raw: StreamFile, sync_mode: SyncMode, primary_key: tuple[str, ...]) -> None:
    if raw.deletes is None:
        if raw.deletes_limit is not None:
            raise CatalogError("deletes_limit: has no effect without deletes")
        return
    if sync_mode == "incremental":
        raise CatalogError(
            f"deletes: '{raw.deletes}' compares all of the source's keys, but sync_mode "
            "'incremental' reads only changes; set sync_mode to 'full_refresh', or leave deletes "
            "out"
        )
    if not primary_key:
        raise CatalogError("primary_key: is missing, but deletes needs it")


def _check_expect(raw: StreamFile) -> None:
    expect = raw.expect
    if expect is not None and not any(msgspec.structs.astuple(expect)):
        raise CatalogError(
            "expect: is empty; set rows_per_run, rows_per_day or change, or leave it out"
        )


def _table_format(raw: StreamFile, destination: DestinationSyncMode) -> TableFormat | None:
    if destination != "append":
        return raw.table_format or "delta"
    if raw.table_format is not None:
        raise CatalogError(
            "table_format: destination_sync_mode 'append' keeps no table; set "
            "it to 'merge' or 'overwrite', or leave table_format out"
        )
    return None


def _schedule(raw: StreamFile) -> tuple[Schedule | None, str | None]:
    if raw.schedule is None:
        return None, None
    try:
        return parse_schedule(raw.schedule), None
    except ValueError as error:
        return None, f"schedule: {error}"


def _lookback(raw: StreamFile, cursor: tuple[str, ...]) -> Lookback | None:
    if raw.lookback is None:
        return None
    if not cursor:
        raise CatalogError(
            "lookback: has no effect in a full refresh; name the cursor_field that it is "
            "counted from, or leave it out"
        )
    try:
        return parse_lookback(raw.lookback, raw.fields[cursor[0]])
    except ValueError as error:
        raise CatalogError(f"lookback: {error}") from None


def _names(raw: StreamFile, key: str, discovered: Mapping[str, Field]) -> tuple[str, ...]:
    """The top-level fields that `primary_key` or `cursor_field`, or its default, names."""
    own, default = getattr(raw, key), getattr(raw.defaults, key)
    given, place = (own, key) if own else (default or [], f"defaults.{key}")
    paths = [given] if given and key == "cursor_field" else given
    names = []
    for path in paths:
        if len(path) != 1:
            raise CatalogError(f"{place}: {path} has to name one top-level field")
        if path[0] not in raw.fields:
            is_removed = not own or own == default or path[0] in discovered
            what = key.replace("_", " ").removesuffix(" field")
            hint = (
                f": it is the {what}; put it back into fields, or set {key} to another field"
                if is_removed
                else nearest(path[0], raw.fields)
            )
            raise CatalogError(f"{place}: '{path[0]}' is not in fields{hint}")
        names.append(path[0])
    return tuple(names)


def _check_comparable(fields: Mapping[str, Field], key: str, names: tuple[str, ...]) -> None:
    for name in names:
        kinds = fields[name].kinds
        if kinds not in COMPARABLE and not (key == "primary_key" and kinds == {"boolean"}):
            what = " or ".join(sorted(kinds)) or "of unknown type"
            raise CatalogError(
                f"{key}: '{name}' is {what}; it has to be an integer, a number or a string"
            )


def _check_open(fields: Mapping[str, Field], key: str, names: tuple[str, ...]) -> None:
    """A key may be hashed, which keeps it unique; a cursor may not, because the state stores it."""
    for name in names:
        privacy = fields[name].privacy
        if privacy is None or (privacy == "hash" and key == "primary_key"):
            continue
        remedy = "hash it" if key == "primary_key" else "use another field"
        raise CatalogError(
            f"fields.{name}.privacy: is '{privacy}', but '{name}' is in {key}; {remedy} "
            "or leave privacy out"
        )


def _check_landable(fields: Mapping[str, Field]) -> None:
    if not fields:
        raise CatalogError("fields: is empty; name at least one field to land")
    if not landing_fields(fields):
        raise CatalogError("fields: all are dropped; keep at least one field to land")
    for name in fields:
        if is_own_name(name):
            raise CatalogError(
                f"fields.{name}: names that start with {LINEAGE_PREFIX}, and "
                f"{DELETED_AT}, are reserved; leave the field out"
            )


def check_stream_name(name: str, stream: str) -> None:
    if name != stream:
        raise CatalogError(
            f"stream: is '{name}' but the file is named {stream}.json; make them the same"
        )
