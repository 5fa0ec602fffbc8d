"""The models of both JSON formats, key by key, and the resolved config that a run works with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
AlertKind = Literal["failed", "late", "ahead", "volume", "quarantine", "lost_field"]


class Options(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    sync_modes: list[SyncMode]
    destination_sync_modes: list[DestinationSyncMode]


class Defaults(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    primary_key: list[list[str]] | None = None
    cursor_field: list[str] | None = None


class DiscoveredSchema(
    msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True, kw_only=True
):
    """`dag/sources/{source}/{stream}.json`, which discovery writes."""

    schema_ref: str | None = msgspec.field(default=None, name="$schema")
    stream: str
    description: str | None = None
    options: Options
    defaults: Defaults = Defaults()
    fields: dict[str, Field]


class Expect(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """How many rows a stream lands, if all is well."""

    rows_per_run: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """The least rows of a run."""
    rows_per_day: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """The least rows of all runs of the last 24 hours."""
    change: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """The largest share by which the number of rows may differ: of a full refresh from the one
    before, of an incremental stream's last 24 hours from its usual day."""


class AlertRules(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What a stream alerts of. A key that is missing is that of the environment."""

    on: list[AlertKind | Literal["recovered"]] | None = None
    repeat_hours: Annotated[float, msgspec.Meta(ge=0)] | None = None
    """Hours after which an alert is sent again if its cause goes on; 0 for each run."""
    quarantine_rows: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """The least number of records in quarantine that is an alert."""
    quarantine_hours: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """The age of the oldest record in quarantine at which it is an alert."""


class StreamFile(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """`dag/streams/{source}/{stream}.json`, which a person keeps.

    An unedited copy of a discovered schema is valid too: its `defaults` fill in missing keys.
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
    allow_empty: bool = False
    expect: Expect | None = None
    alerts: AlertRules = AlertRules()
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
    """dlt's `hard_delete` hint: the column in which the stream marks a record as deleted."""

    column: str
    is_boolean: bool
    """A boolean column marks with true; any other column with any value but null and false."""


@dataclass(frozen=True)
class StreamConfig:
    """How one stream is synced, with every default resolved."""

    source: str
    stream: str
    origin: str
    """The file that this was read from, as messages name it."""
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
    """The fields of the discovered schema; empty without that file."""
    description: str | None = None
    allow_empty: bool = False
    """Whether a full refresh may give no row where the last one gave some."""
    expect: Expect | None = None
    """How many rows its runs are expected to land; None for any number."""
    alerts: AlertRules = field(default_factory=AlertRules)
    quarantine_limit: float | None = None
    """Share of a run's rows that may go to quarantine; None for no limit."""
    backfill: bool = False
    """Whether to read again from the initial value, once."""
    table_format: TableFormat | None = None
    """Format of the current-state table; None if the stream keeps no table."""
    deletes: Deletes | None = None
    """How deleted records are detected; None if they are not."""
    deletes_limit: float | None = None
    """Share of the known records that a run may find deleted. None allows any share below 1."""
    schedule: Schedule | None = None
    schedule_mistake: str | None = None
    """Why `schedule` can't be read. It does not stop a run."""
    mode_is_open: bool = False
    """Neither the config nor discovery gives the sync mode: the stream is incremental if its code
    declares a cursor."""
    hard_delete: HardDelete | None = None
    """Declared by the stream's code; `Source.config` fills it in."""
    data_types: Mapping[str, str] = field(default_factory=dict)
    """dlt's data types of the columns that the stream's code declares; filled in likewise."""

    @property
    def has_deletes(self) -> bool:
        """Whether rows may mark a record as deleted, in the column DELETED_AT."""
        return self.deletes is not None or self.hard_delete is not None

    @property
    def replaces_rows(self) -> bool:
        """Whether rows that a run does not give are gone after it."""
        return self.destination_sync_mode == "overwrite" or self.deletes is not None

    @property
    def known_names(self) -> frozenset[str]:
        """Names that do not count as drift: fields that land, and fields left out on purpose."""
        declared = () if self.hard_delete is None else (self.hard_delete.column,)
        return frozenset({*self.fields, *self.discovered, *declared})

    @property
    def is_incremental(self) -> bool:
        return self.sync_mode == "incremental"


def json_schemas() -> dict[str, dict[str, Any]]:
    """JSON Schemas of both formats by file name, with which editors complete and check."""
    return {
        "discovered-schema.json": _json_schema(DiscoveredSchema, "Discovered schema of a stream"),
        "stream-config.json": _json_schema(StreamFile, "Stream config"),
    }


def _json_schema(model: type[msgspec.Struct], title: str) -> dict[str, Any]:
    schema = msgspec.json.schema(model)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **schema}
