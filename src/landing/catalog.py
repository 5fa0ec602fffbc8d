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
from typing import Any, Literal, TypeVar, get_args

import msgspec

from landing.errors import CatalogError, nearest
from landing.workspace import Workspace

Kind = Literal["integer", "number", "string", "boolean", "array", "object", "null"]
SyncMode = Literal["incremental", "full_refresh"]
DestinationSyncMode = Literal["append", "merge"]
Encoding = Literal["json", "native"]

KINDS: tuple[str, ...] = get_args(Kind)
FORMATS = ("date-time", "date", "time", "uuid", "email", "uri")
OWN_CONNECTORS = ("dlt", "landing")
MAX_DEPTH = 32
LINE_WIDTH = 100
Model = TypeVar("Model", bound=msgspec.Struct)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


class Field(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """One field of a stream: a JSON Schema of the few keywords that decide a column.

    `type` is one kind or a list of kinds. Several kinds that no one column type holds land as
    text; `null` alone means that discovery never saw a value. `encoding` concerns arrays and
    objects: `json` text, which is what existing models read, or `native` lists and structs.
    """

    type: Kind | list[Kind]
    format: str | None = None
    description: str | None = None
    encoding: Encoding = "json"
    properties: dict[str, Field] | None = None
    items: Field | None = None

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds besides null, `integer` swallowed by `number`."""
        names = {self.type} if isinstance(self.type, str) else set(self.type)
        if "number" in names:
            names.discard("integer")
        return frozenset(names - {"null"})


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
    schedule: str | dict[str, Any] | None = None
    backfill: bool = False
    options: Options | None = None
    defaults: Defaults = Defaults()
    fields: dict[str, Field]


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
    selected: bool
    fields: Mapping[str, Field]

    @property
    def is_incremental(self) -> bool:
        return self.sync_mode == "incremental"


def read_discovered(workspace: Workspace, source: str, stream: str) -> DiscoveredSchema | None:
    """The discovered schema of a stream, or None if there is no file."""
    file = workspace.discovered_file(source, stream)
    if not file.is_file():
        return None
    shown = workspace.shown(file)
    discovered = _decode(file, shown, DiscoveredSchema)
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
    return _resolved(source, stream, shown, _decode(file, shown, _StreamFile))


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
        document = _parse(file, shown)
    except CatalogError:
        return None
    connector = document.get("connector") if isinstance(document, dict) else None
    return connector if isinstance(connector, str) else None


def _resolved(source: str, stream: str, shown: str, raw: _StreamFile) -> StreamConfig:
    _check_name(raw.stream, stream, shown)
    _check_landable(raw.fields, shown)
    primary_key = _top_level(raw.primary_key or raw.defaults.primary_key, "primary_key", raw, shown)
    cursor_path = raw.cursor_field or raw.defaults.cursor_field
    cursor = _top_level([cursor_path] if cursor_path else None, "cursor_field", raw, shown)
    offered = raw.options.sync_modes if raw.options else ["incremental"]
    fallback: SyncMode = "incremental" if cursor and "incremental" in offered else "full_refresh"
    sync_mode = raw.sync_mode or fallback
    if sync_mode == "incremental" and not cursor:
        raise CatalogError(
            f"{shown}: cursor_field: is missing, which sync_mode 'incremental' goes by; name a "
            "field that grows with every change, or set sync_mode to 'full_refresh'"
        )
    if raw.destination_sync_mode == "merge" and not primary_key:
        raise CatalogError(
            f"{shown}: primary_key: is missing, which destination_sync_mode 'merge' goes by"
        )
    return StreamConfig(
        source=source,
        stream=stream,
        origin=shown,
        sync_mode=sync_mode,
        destination_sync_mode=raw.destination_sync_mode or "append",
        primary_key=primary_key,
        cursor_field=cursor[0] if cursor else None,
        initial_value=raw.initial_value,
        selected=raw.selected,
        fields=raw.fields,
    )


def _top_level(
    paths: list[list[str]] | None, key: str, raw: _StreamFile, shown: str
) -> tuple[str, ...]:
    names = []
    for path in paths or []:
        if len(path) != 1:
            raise CatalogError(f"{shown}: {key}: {path} has to be the name of one top-level field")
        if path[0] not in raw.fields:
            hint = nearest(path[0], raw.fields)
            raise CatalogError(f"{shown}: {key}: '{path[0]}' is not in fields{hint}")
        names.append(path[0])
    return tuple(names)


def _check_name(said: str, stream: str, shown: str) -> None:
    if said != stream:
        raise CatalogError(
            f"{shown}: stream: is '{said}' but the file is named {stream}.json; make them the same"
        )


def check_name(name: str, what: str) -> str:
    """`name` if it can be a folder and a bucket prefix of one level; CatalogError otherwise."""
    if not _NAME.fullmatch(name):
        raise CatalogError(
            f"'{name}' is not a {what} name: letters, digits, '_', '-' and '.' only, "
            "starting with a letter or digit"
        )
    return name


def _check_landable(fields: Mapping[str, Field], shown: str) -> None:
    if not fields:
        raise CatalogError(f"{shown}: fields: is empty; name at least one field to land")
    for name in fields:
        if name.startswith("_dlt_"):
            raise CatalogError(f"{shown}: fields.{name}: names starting with _dlt_ are ours")


def _parse(file: Path, shown: str) -> Any:
    try:
        document = json.loads(file.read_text(encoding="utf-8-sig"), parse_constant=_no_number)
        json.dumps(document, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise CatalogError(
            f"{shown}, line {error.lineno}, column {error.colno}: not valid JSON: {error.msg}"
        ) from None
    except UnicodeDecodeError as error:
        raise CatalogError(f"{shown}: not UTF-8 text: {error.reason}") from None
    except UnicodeEncodeError:
        raise CatalogError(f"{shown}: has half of a surrogate pair, which is no text") from None
    except RecursionError:
        raise CatalogError(f"{shown}: nested too deeply") from None
    except ValueError as error:  # a number of thousands of digits, or one that is none
        raise CatalogError(f"{shown}: not valid JSON: {str(error).partition(';')[0]}") from None
    return document


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is not a number in JSON")


def _decode(file: Path, shown: str, model: type[Model]) -> Model:
    document = _parse(file, shown)
    if not isinstance(document, dict):
        raise CatalogError(f"{shown}: has to be a JSON object")
    fields = document.get("fields")
    if not isinstance(fields, dict):
        raise CatalogError(f"{shown}: fields: has to be an object of field names and their types")
    # Fields are converted one by one, since only that lets a message name the field.
    header = _convert({**document, "fields": {}}, model, "", shown)
    named = {name: _field(raw, f"fields.{name}", shown) for name, raw in fields.items()}
    return msgspec.structs.replace(header, fields=named)


def _field(raw: Any, place: str, shown: str, depth: int = 1) -> Field:
    if depth > MAX_DEPTH:
        raise CatalogError(f"{shown}: {place[:80]}…: nested deeper than {MAX_DEPTH} levels")
    if not isinstance(raw, dict):
        raise CatalogError(f'{shown}: {place}: has to be an object such as {{"type": "string"}}')
    flat = {key: value for key, value in raw.items() if key not in ("properties", "items")}
    field = _convert(flat, Field, place, shown)
    _check_field(field, place, shown)
    properties = raw.get("properties")
    if properties is not None:
        if not isinstance(properties, dict):
            raise CatalogError(f"{shown}: {place}.properties: has to be an object")
        nested = {
            name: _field(value, f"{place}.properties.{name}", shown, depth + 1)
            for name, value in properties.items()
        }
        field = msgspec.structs.replace(field, properties=nested)
    if raw.get("items") is not None:
        items = _field(raw["items"], f"{place}.items", shown, depth + 1)
        field = msgspec.structs.replace(field, items=items)
    return field


def _check_field(field: Field, place: str, shown: str) -> None:
    if field.format is not None and field.format not in FORMATS:
        hint = nearest(field.format, FORMATS) or f"; known are {', '.join(FORMATS)}"
        raise CatalogError(f"{shown}: {place}.format: '{field.format}' is not known{hint}")
    if field.type == []:
        raise CatalogError(f"{shown}: {place}.type: is empty; name at least one kind")


def _convert(raw: Any, model: type[Model], place: str, shown: str) -> Model:
    try:
        return msgspec.convert(raw, model)
    except msgspec.ValidationError as error:
        text, _, within = str(error).partition(" - at `$")
        where = ".".join(filter(None, (place, within.strip("`."))))
        prefix = f"{shown}: {where}: " if where else f"{shown}: "
        raise CatalogError(prefix + _explained(text, where, model)) from None


def _explained(text: str, where: str, model: type[msgspec.Struct]) -> str:
    """msgspec's message in our words, with the nearest right word at its end."""
    if match := re.match(r"Object contains unknown field `(.*)`", text):
        holders: dict[str, type[msgspec.Struct]] = {"options": Options, "defaults": Defaults}
        holder = holders.get(where, model)
        known = [field.encode_name for field in msgspec.structs.fields(holder)]
        return f"unknown key '{match[1]}'{nearest(match[1], known)}"
    if match := re.match(r"Object missing required field `(.*)`", text):
        return f"'{match[1]}' is missing"
    if match := re.match(r"Invalid enum value '?(.*?)'?$", text):
        words = _WORDS.get(where.rpartition(".")[2].partition("[")[0], ())
        return f"'{match[1]}' is not known{nearest(match[1], words)}; known are {', '.join(words)}"
    return text[0].lower() + text[1:]


_WORDS: dict[str, tuple[str, ...]] = {
    "type": KINDS,
    "encoding": get_args(Encoding),
    "sync_mode": get_args(SyncMode),
    "sync_modes": get_args(SyncMode),
    "destination_sync_mode": get_args(DestinationSyncMode),
    "destination_sync_modes": get_args(DestinationSyncMode),
}
