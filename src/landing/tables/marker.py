"""A table's marker: the last landed file that is in it, and the config that made it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
import pyarrow as pa

from landing.catalog.stream_config import DestinationSyncMode, StreamConfig, TableFormat
from landing.errors import CatalogError
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths


class Marker(msgspec.Struct, frozen=True, kw_only=True):
    """`_dlt/{source}/{stream}/table.json`. If it is missing or can't be read, the table is made
    again from the whole landing zone."""

    format: TableFormat
    location: str
    mode: DestinationSyncMode
    primary_key: list[str]
    cursor_field: str | None
    columns: dict[str, str]
    """Arrow types by name, of the config's columns and of those that it had before."""
    privacy: dict[str, str] = {}
    """`mask` or `hash` by name, of the fields that are private."""
    path: str | None
    """The last landed file that is in the table; None if none had landed."""
    load_id: str | None
    """The full refresh that the table is a copy of, with `overwrite`."""
    updated: datetime
    upserted: int
    removed: int


def read_marker(bucket: Bucket, paths: StreamPaths) -> Marker | None:
    stored = bucket.get(paths.table_marker)
    if stored is None:
        return None
    try:
        return msgspec.json.decode(stored.data, type=Marker)
    except msgspec.MsgspecError:
        return None


def write_marker(bucket: Bucket, paths: StreamPaths, marker: Marker) -> None:
    bucket.put(paths.table_marker, msgspec.json.format(msgspec.json.encode(marker)))


def check_marker(marker: Marker, config: StreamConfig, schema: pa.Schema) -> None:
    """Raises CatalogError if the present config does not fit the table."""
    for field in schema:
        had = marker.columns.get(field.name)
        if had is not None and had != str(field.type):
            raise _differs(f"fields.{field.name}", marker, config, had, str(field.type))
    for name in schema.names:
        if name in marker.columns and name in config.fields:
            had_privacy, has_privacy = marker.privacy.get(name), config.fields[name].privacy
            if had_privacy != has_privacy:
                what = f"fields.{name}.privacy"
                raise _differs(what, marker, config, had_privacy or "none", has_privacy or "none")
    for what, before, now in (
        ("destination_sync_mode", marker.mode, config.destination_sync_mode),
        ("primary_key", _listed(marker.primary_key), _listed(config.primary_key)),
        ("cursor_field", marker.cursor_field or "none", config.cursor_field or "none"),
    ):
        if before != now:
            raise _differs(what, marker, config, before, now)


def _differs(
    what: str, marker: Marker, config: StreamConfig, before: str, now: str
) -> CatalogError:
    return CatalogError(
        f"{config.origin}: {what}: the table at {marker.location} was made with {before}, but the "
        f"config now says {now}; `landing rebuild {config.source} {config.stream}` makes it again "
        "from the landing zone"
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
