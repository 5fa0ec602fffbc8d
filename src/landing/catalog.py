"""The two kinds of JSON files: what a source can provide, and what of it is synced.

Both are validated as a whole when they are read. Whatever is wrong is one CatalogError that names
file and place, says what is wrong, and offers the nearest right word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from landing.documents import decode, parse
from landing.errors import CatalogError, WorkspaceError, listed, nearest
from landing.fields import DELETED_AT, Field, landing_fields
from landing.lookback import Lookback, parse_lookback
from landing.schedule import Schedule, parse_schedule
from landing.workspace import Workspace

SyncMode = Literal["incremental", "full_refresh"]
DestinationSyncMode = Literal["append", "merge", "overwrite"]
OnDrift = Literal["report", "fail", "land"]
TableFormat = Literal["delta", "iceberg", "ducklake"]
Deletes = Literal["snapshot"]

LINEAGE_PREFIX = "_dlt_"
COMPARABLE = (frozenset({"integer"}), frozenset({"number"}), frozenset({"string"}))
OWN_CONNECTORS = ("dlt", "landing")
LINE_WIDTH = 100
MAX_NAME = 200
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


class Options(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    sync_modes: list[SyncMode]
    destination_sync_modes: list[DestinationSyncMode]


class Defaults(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    primary_key: list[list[str]] | None = None
    cursor_field: list[str] | None = None


class DiscoveredSchema(
    msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True, kw_only=True
):
    """`dag/sources/{source}/{stream}.json`: written by discovery."""

    schema_ref: str | None = msgspec.field(default=None, name="$schema")
    stream: str
    description: str | None = None
    options: Options
    defaults: Defaults = Defaults()
    fields: dict[str, Field]


class _StreamFile(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """`dag/streams/{source}/{stream}.json`: kept by a person.

    A bare copy of a discovered schema is one too: its `defaults` fill in what is not said.
    """

    schema_ref: str | None = msgspec.field(default=None, name="$schema")
    stream: str
    connector: str | None = None
    description: str | None = None
    selected: bool = False
    sync_mode: SyncMode | None = None
    destination_sync_mode: DestinationSyncMode | None = None
    primary_key: list[list[str]] | None = None
    cursor_field: list[str] | None = None
    initial_value: str | int | float | None = None
    lookback: str | int | float | None = None
    quarantine_limit: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    schedule: str | dict[str, Any] | None = None
    backfill: bool = False
    table_format: TableFormat | None = None
    deletes: Deletes | None = None
    deletes_limit: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    on_drift: OnDrift = "report"
    options: Options | None = None
    defaults: Defaults = Defaults()
    fields: dict[str, Field]


for _model in (DiscoveredSchema, _StreamFile, Field):  # see landing.jsontext.object_type
    msgspec.json.Decoder(_model)


@dataclass(frozen=True)
class HardDelete:
    """dlt's `hard_delete` hint: the column by which a stream says that a record is deleted."""

    column: str
    is_boolean: bool
    """Declared so: only true counts, else any value but null or false."""


@dataclass(frozen=True)
class StreamConfig:
    """What is synced of one stream, with every default resolved."""

    source: str
    stream: str
    origin: str
    """The file this came from, as messages name it."""
    sync_mode: SyncMode
    destination_sync_mode: DestinationSyncMode
    primary_key: tuple[str, ...]
    cursor_field: str | None
    initial_value: str | int | float | None
    lookback: Lookback | None
    selected: bool
    fields: Mapping[str, Field]
    on_drift: OnDrift
    discovered: Mapping[str, Field]
    """The fields of the discovered schema; none if there is no such file."""
    description: str | None = None
    quarantine_limit: float | None = None
    """Share of a run's rows that may go to quarantine; None for no limit."""
    backfill: bool = False
    """Whether to read once more from the initial value."""
    table_format: TableFormat | None = None
    """Of the current-state table beside the landing zone; None where none is kept."""
    deletes: Deletes | None = None
    """How records that the source has no more are noticed; None if they are not."""
    deletes_limit: float | None = None
    """Share of the known records that a run may find deleted; None for all but all of them."""
    schedule: Schedule | None = None
    schedule_mistake: str | None = None
    """Why `schedule` could not be read, which is no reason for a run not to be."""
    hard_delete: HardDelete | None = None
    """What the stream itself declares, which `Source.config` fills in."""

    @property
    def has_deletes(self) -> bool:
        """Whether rows may say that a record is deleted; the stream's files then have a column
        for it."""
        return self.deletes is not None or self.hard_delete is not None

    @property
    def known_names(self) -> frozenset[str]:
        """Names that are no drift: of the fields that land, and of those that are left out."""
        declared = () if self.hard_delete is None else (self.hard_delete.column,)
        return frozenset({*self.fields, *self.discovered, *declared})

    @property
    def is_incremental(self) -> bool:
        return self.sync_mode == "incremental"


def read_discovered(workspace: Workspace, source: str, stream: str) -> DiscoveredSchema | None:
    """The discovered schema of a stream, or None if there is no file."""
    file = workspace.discovered_file(source, stream)
    if not file.is_file():
        return None
    shown = workspace.shown(file)
    discovered = decode(file, shown, DiscoveredSchema)
    _check_name(discovered.stream, stream, shown)
    return discovered


def write_discovered(workspace: Workspace, source: str, schema: DiscoveredSchema) -> Path:
    """Write the file in one step, so that a reader or a full disk never sees half of it."""
    file = workspace.discovered_file(source, schema.stream)
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.tmp")
    draft.write_bytes(encode(schema))
    draft.replace(file)
    return file


def encode(document: msgspec.Struct) -> bytes:
    """The JSON text of a file: a field on a line of its own wherever it fits on one."""
    return (_laid_out(msgspec.to_builtins(document), 0) + "\n").encode()


def _laid_out(value: Any, depth: int) -> str:
    flat = json.dumps(value, ensure_ascii=False)
    fits = len(flat) + 2 * depth <= LINE_WIDTH
    if not isinstance(value, dict) or not value or (fits and depth > 1):
        return flat
    inner, outer = "  " * (depth + 1), "  " * depth
    lines = [
        f"{inner}{json.dumps(key, ensure_ascii=False)}: {_laid_out(nested, depth + 1)}"
        for key, nested in value.items()
    ]
    return "{\n" + ",\n".join(lines) + f"\n{outer}}}"


def read_config(workspace: Workspace, source: str, stream: str) -> StreamConfig:
    """The stream config, or, where a person has not made one yet, the discovered schema as one.

    Raises CatalogError for a mistake in the file, or if there is neither file.
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
        return _resolved(source, stream, shown, decode(file, shown, _StreamFile), known)
    except CatalogError as error:
        error.remedy = f"mend it; `landing run {source} {stream} --dry-run` tries it"
        raise


def private_fields(workspace: Workspace, source: str, stream: str) -> Mapping[str, Field]:
    """The fields of a stream's own config, which says what is private; none if there is no such.

    Raises CatalogError for a mistake in the file.
    """
    file = workspace.config_file(source, stream)
    shown = workspace.shown(file)
    if not file.is_file() or _connector(file, shown) not in (None, *OWN_CONNECTORS):
        return {}
    return decode(file, shown, _StreamFile).fields


def as_config(source: str, schema: DiscoveredSchema) -> StreamConfig:
    """A discovered schema as the stream config that a bare copy of it would be."""
    copied = msgspec.convert(msgspec.to_builtins(schema), _StreamFile)
    return _resolved(source, schema.stream, "what was discovered", copied, schema.fields)


def discovered_streams(workspace: Workspace, source: str) -> list[str]:
    return sorted(file.stem for file in workspace.discovered_dir(source).glob("[!_.]*.json"))


def unknown_fields(config: StreamConfig) -> list[str]:
    """Fields of a config, nested ones with dots, that discovery did not see: likely misspelt."""
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
    """Names of the streams a person has configured for this project's connector.

    Files whose name starts with `_`, and those of other connectors, are left alone.
    """
    for file in sorted(workspace.config_dir(source).glob("*.json")):
        if file.name.startswith(("_", ".")):
            continue
        if _connector(file, workspace.shown(file)) in (None, *OWN_CONNECTORS):
            yield file.stem


def json_schemas() -> dict[str, dict[str, Any]]:
    """JSON Schemas of both formats, by file name, for editors to complete and check with."""
    return {
        "discovered-schema.json": _json_schema(DiscoveredSchema, "Discovered schema of a stream"),
        "stream-config.json": _json_schema(_StreamFile, "Stream config"),
    }


def _json_schema(model: type[msgspec.Struct], title: str) -> dict[str, Any]:
    schema = msgspec.json.schema(model)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **schema}


def _connector(file: Path, shown: str) -> str | None:
    """The connector a file names; None also for a broken file, which reading it will explain."""
    try:
        document = parse(file, shown)
    except CatalogError:
        return None
    connector = document.get("connector") if isinstance(document, dict) else None
    return connector if isinstance(connector, str) else None


def _resolved(
    source: str, stream: str, shown: str, raw: _StreamFile, discovered: Mapping[str, Field]
) -> StreamConfig:
    _check_name(raw.stream, stream, shown)
    _check_landable(raw.fields, shown)
    primary_key = _names(raw, "primary_key", shown, discovered)
    # A copied default of a field that was then taken out is no mistake where nothing goes by it.
    goes_by_cursor = raw.cursor_field is not None or raw.sync_mode != "full_refresh"
    cursor = _names(raw, "cursor_field", shown, discovered) if goes_by_cursor else ()
    for key, names in (("primary_key", primary_key), ("cursor_field", cursor)):
        _check_comparable(raw.fields, key, names, shown)
        _check_open(raw.fields, key, names, shown)
    offered = raw.options.sync_modes if raw.options else ["incremental"]
    fallback: SyncMode = "incremental" if cursor and "incremental" in offered else "full_refresh"
    sync_mode = raw.sync_mode or fallback
    if sync_mode == "incremental" and not cursor:
        raise CatalogError(
            f"{shown}: cursor_field: is missing, which sync_mode 'incremental' goes by; name a "
            "field that grows with every change, or set sync_mode to 'full_refresh'"
        )
    destination = raw.destination_sync_mode or "append"
    _check_pair(sync_mode, destination, primary_key, shown)
    _check_deletes(raw, sync_mode, primary_key, shown)
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
        lookback=_lookback(raw, cursor, shown),
        selected=raw.selected,
        quarantine_limit=raw.quarantine_limit,
        backfill=raw.backfill,
        table_format=_table_format(raw, destination, shown),
        deletes=raw.deletes,
        deletes_limit=raw.deletes_limit,
        schedule=schedule,
        schedule_mistake=schedule_mistake,
        fields=raw.fields,
        on_drift=raw.on_drift,
        discovered=discovered,
        description=raw.description,
    )


def _check_pair(
    sync_mode: SyncMode, destination: DestinationSyncMode, primary_key: tuple[str, ...], shown: str
) -> None:
    if destination == "merge" and not primary_key:
        raise CatalogError(
            f"{shown}: primary_key: is missing, which destination_sync_mode 'merge' goes by"
        )
    if destination == "overwrite" and sync_mode == "incremental":
        raise CatalogError(
            f"{shown}: destination_sync_mode: 'overwrite' puts what a run reads in the place of "
            "all that was there, but sync_mode 'incremental' reads changes alone; set sync_mode "
            "to 'full_refresh', or destination_sync_mode to 'merge'"
        )


def _check_deletes(
    raw: _StreamFile, sync_mode: SyncMode, primary_key: tuple[str, ...], shown: str
) -> None:
    if raw.deletes is None:
        if raw.deletes_limit is not None:
            raise CatalogError(f"{shown}: deletes_limit: has no effect without deletes")
        return
    if sync_mode == "incremental":
        raise CatalogError(
            f"{shown}: deletes: '{raw.deletes}' compares all of the source's keys, but sync_mode "
            "'incremental' reads changes alone; set sync_mode to 'full_refresh', or leave deletes "
            "out"
        )
    if not primary_key:
        raise CatalogError(f"{shown}: primary_key: is missing, which deletes goes by")


def _table_format(
    raw: _StreamFile, destination: DestinationSyncMode, shown: str
) -> TableFormat | None:
    if destination != "append":
        return raw.table_format or "delta"
    if raw.table_format is not None:
        raise CatalogError(
            f"{shown}: table_format: no table is kept with destination_sync_mode 'append'; set "
            "that to 'merge' or 'overwrite', or leave table_format out"
        )
    return None


def _schedule(raw: _StreamFile) -> tuple[Schedule | None, str | None]:
    if raw.schedule is None:
        return None, None
    try:
        return parse_schedule(raw.schedule), None
    except ValueError as error:
        return None, f"schedule: {error}"


def _lookback(raw: _StreamFile, cursor: tuple[str, ...], shown: str) -> Lookback | None:
    if raw.lookback is None or not cursor:
        return None
    try:
        return parse_lookback(raw.lookback, raw.fields[cursor[0]])
    except ValueError as error:
        raise CatalogError(f"{shown}: lookback: {error}") from None


def _names(
    raw: _StreamFile, key: str, shown: str, discovered: Mapping[str, Field]
) -> tuple[str, ...]:
    """The top-level fields that `primary_key` or `cursor_field` names, or its default does."""
    own, default = getattr(raw, key), getattr(raw.defaults, key)
    said, place = (own, key) if own else (default or [], f"defaults.{key}")
    paths = [said] if said and key == "cursor_field" else said
    names = []
    for path in paths:
        if len(path) != 1:
            raise CatalogError(
                f"{shown}: {place}: {path} has to be the name of one top-level field"
            )
        if path[0] not in raw.fields:
            is_taken_out = not own or own == default or path[0] in discovered
            what = key.replace("_", " ").removesuffix(" field")
            hint = (
                f": it is the {what}; put it back into fields, or set {key} to another field"
                if is_taken_out
                else nearest(path[0], raw.fields)
            )
            raise CatalogError(f"{shown}: {place}: '{path[0]}' is not in fields{hint}")
        names.append(path[0])
    return tuple(names)


def _check_comparable(
    fields: Mapping[str, Field], key: str, names: tuple[str, ...], shown: str
) -> None:
    for name in names:
        kinds = fields[name].kinds
        if kinds not in COMPARABLE and not (key == "primary_key" and kinds == {"boolean"}):
            what = " or ".join(sorted(kinds)) or "of no known type"
            raise CatalogError(
                f"{shown}: {key}: '{name}' is {what}; it has to be an integer, a number or a string"
            )


def _check_open(fields: Mapping[str, Field], key: str, names: tuple[str, ...], shown: str) -> None:
    """A key may be hashed, which keeps it unique; a cursor's value stands in the state."""
    for name in names:
        privacy = fields[name].privacy
        if privacy is None or (privacy == "hash" and key == "primary_key"):
            continue
        remedy = "hash it" if key == "primary_key" else "go by another field"
        raise CatalogError(
            f"{shown}: fields.{name}.privacy: is '{privacy}', but '{name}' is in {key}; {remedy} "
            "or leave privacy out"
        )


def _check_name(said: str, stream: str, shown: str) -> None:
    if said != stream:
        raise CatalogError(
            f"{shown}: stream: is '{said}' but the file is named {stream}.json; make them the same"
        )


def check_source(workspace: Workspace, name: str) -> str:
    """`name` if there is such a source, of which nothing is imported; WorkspaceError otherwise."""
    check_name(name, "source")
    known = workspace.source_names()
    if name not in known:
        raise WorkspaceError(
            f"no source '{name}' in {workspace.shown(workspace.sources)}{nearest(name, known)}; "
            f"there are: {listed(known)}",
            remedy=f"`landing new {name}` writes one",
        )
    return name


def check_name(name: str, what: str) -> str:
    """`name` if it can be a folder and a bucket prefix of one level; CatalogError otherwise."""
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
    """Whether a column of this name says something about its row, and is none of the source's."""
    return name.startswith(LINEAGE_PREFIX) or name == DELETED_AT


def _check_landable(fields: Mapping[str, Field], shown: str) -> None:
    if not fields:
        raise CatalogError(f"{shown}: fields: is empty; name at least one field to land")
    if not landing_fields(fields):
        raise CatalogError(f"{shown}: fields: all are dropped; name at least one field to land")
    for name in fields:
        if is_own_name(name):
            raise CatalogError(
                f"{shown}: fields.{name}: names starting with {LINEAGE_PREFIX}, and {DELETED_AT}, "
                "are ours; leave the field out"
            )
