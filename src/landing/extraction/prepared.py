"""Prepares a stream for a run: freezes its cursor and determines its columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa

from landing.catalog.fields import landing_fields
from landing.catalog.stream_config import StreamConfig
from landing.columns.conversion import Columns, columns_of
from landing.extraction.dlt_bridge import DltResource
from landing.extraction.incremental import FrozenIncremental, freeze
from landing.extraction.pages import with_arguments
from landing.extraction.parents import freeze_parents
from landing.extraction.sources import as_declared
from landing.zone.lineage import LINEAGE_FIELDS

Freeze: TypeAlias = Callable[[StreamConfig, DltResource], FrozenIncremental | None]


@dataclass(frozen=True)
class PreparedStream:
    config: StreamConfig
    """The config, completed with what the stream itself declares."""
    resource: DltResource
    frozen: FrozenIncremental | None
    columns: Columns
    folder: Path
    """Folder on the local disk for rows that are not yet published."""

    @cached_property
    def schema(self) -> pa.Schema:
        """The Arrow schema of its parts."""
        return pa.schema([*self.columns.schema, *LINEAGE_FIELDS])

    @property
    def version_key(self) -> tuple[str, ...]:
        """The key by which versions of a record are distinguished. The rows of a full refresh share
        a load id even if keys repeat, unless readers take the newest row for each key."""
        by_key = self.config.is_incremental or self.config.has_deletes
        return self.config.primary_key if by_key else ()


def freeze_cursor(config: StreamConfig, resource: DltResource) -> FrozenIncremental | None:
    incremental = config.is_incremental
    field = config.cursor_field if incremental else None
    frozen = freeze(resource, field, config.initial_value, from_start=not incremental)
    if frozen is not None and config.lookback is not None:
        frozen.lookback = config.lookback
    freeze_parents(resource, frozen, from_start=not incremental)
    return frozen


def prepare(
    config: StreamConfig, resource: DltResource, folder: Path, freeze: Freeze = freeze_cursor
) -> PreparedStream:
    """Raises SourceError or SettingsError if the stream does not suit its config."""
    config = as_declared(config, resource)
    columns = columns_of(config)
    hint = config.hard_delete
    names = landing_fields(config.fields)
    wanted = dict.fromkeys([*names, *([hint.column] if hint is not None else [])])
    resource = with_arguments(resource, fields=list(wanted))
    return PreparedStream(config, resource, freeze(config, resource), columns, folder)
