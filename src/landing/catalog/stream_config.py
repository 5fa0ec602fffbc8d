"""The two kinds of JSON files, as their keys have it, and what a run makes of a stream's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec

from landing.catalog.fields import Field
from landing.catalog.lookback import Lookback
from landing.catalog.schedule import Schedule

SyncMode = Literal["incremental", "full_refresh"]
DestinationSyncMode = Literal["append", "merge", "overwrite"]
OnDrift = Literal["report", "fail", "land"]
TableFormat = Literal["delta", "iceberg", "ducklake"]
Deletes = Literal["snapshot"]


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


class StreamFile(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
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


for _model in (DiscoveredSchema, StreamFile, Field):  # see landing.columns.json_text.object_type
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
    mode_is_open: bool = False
    """Neither the config nor discovery says how the stream is synced: it is by its cursor, if it
    declares one."""
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


def json_schemas() -> dict[str, dict[str, Any]]:
    """JSON Schemas of both formats, by file name, for editors to complete and check with."""
    return {
        "discovered-schema.json": _json_schema(DiscoveredSchema, "Discovered schema of a stream"),
        "stream-config.json": _json_schema(StreamFile, "Stream config"),
    }


def _json_schema(model: type[msgspec.Struct], title: str) -> dict[str, Any]:
    schema = msgspec.json.schema(model)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **schema}
