"""Metadata that Dagster shows about a stream and a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq

from landing.catalog.fields import landing_fields
from landing.catalog.stream_config import StreamConfig
from landing.columns.column_types import column_of
from landing.errors import printable
from landing.results import StreamResult
from landing.secrets import redacted
from landing.zone.bucket import Bucket
from landing.zone.lineage import LINEAGE_FIELDS

PREVIEWED_ROWS = 10
_PREVIEWED_COLUMNS = 30
_LONGEST_CELL = 80
_READ_BYTES = 256 * 1024

Metadata = dict[str, Any]


def of_config(config: StreamConfig) -> Metadata:
    """Metadata of a stream that is known before it has run."""
    facts: Metadata = {
        "dagster/column_schema": _configured_columns(config),
        "config": dg.MetadataValue.path(config.origin),
        "sync_mode": config.sync_mode,
        "destination_sync_mode": config.destination_sync_mode,
    }
    if config.primary_key:
        facts["primary_key"] = ", ".join(config.primary_key)
    if config.cursor_field is not None and config.is_incremental:
        facts["cursor_field"] = config.cursor_field
    if config.schedule is not None:
        facts["schedule"] = f"{config.schedule.cron} ({config.schedule.timezone})"
    return facts


def _configured_columns(config: StreamConfig) -> dg.TableSchema:
    columns = [
        dg.TableColumn(
            name,
            str(column_of(field).type),
            description=field.description,
            tags={"privacy": field.privacy} if field.privacy else {},
        )
        for name, field in landing_fields(config.fields).items()
    ]
    return dg.TableSchema(columns=[*columns, *map(_column, LINEAGE_FIELDS)])


def of_result(result: StreamResult, bucket: Bucket, newest: Sequence[str]) -> Metadata:
    """`newest` are the paths of the run's last load; the first is previewed."""
    facts: Metadata = {
        **result.counts,
        "seconds": round(result.seconds, 3),
        **result.traffic.figures,
        "location": dg.MetadataValue.path(result.location),
        "load_ids": ", ".join(result.load_ids),
    }
    if result.cursor_after is not None or result.cursor_before is not None:
        facts["cursor_before"] = printable(redacted(str(result.cursor_before)))
        facts["cursor_after"] = printable(redacted(str(result.cursor_after)))
    if result.ahead is not None:
        facts["ahead"] = printable(redacted(str(result.ahead.value)))
    if result.table is not None:
        facts["table"] = dg.MetadataValue.path(result.table.location)
        facts["table_upserted"] = result.table.upserted
        facts["table_removed"] = result.table.removed
    return facts | (_of_file(bucket, newest[0]) if newest else {})


def _of_file(bucket: Bucket, path: str) -> Metadata:
    with (
        bucket.file(path) as opened,
        pq.ParquetFile(opened, pre_buffer=False, buffer_size=_READ_BYTES) as file,
    ):
        columns = [_column(field) for field in file.schema_arrow]
        names = file.schema_arrow.names[:_PREVIEWED_COLUMNS]
        first = next(file.iter_batches(PREVIEWED_ROWS, columns=names), None)
    rows = first.to_pylist() if first is not None else []
    return {
        "dagster/column_schema": dg.TableSchema(columns=columns),
        "preview": dg.MetadataValue.md(_table(names, rows)),
    }


def _column(field: pa.Field) -> dg.TableColumn:
    constraints = dg.TableColumnConstraints(nullable=field.nullable)
    return dg.TableColumn(field.name, str(field.type), constraints=constraints)


def _table(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [_line(names), "|" + "---|" * len(names)]
    lines += [_line([row[name] for name in names]) for row in rows]
    return redacted("\n".join(lines))


def _line(cells: Sequence[Any]) -> str:
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _cell(value: Any) -> str:
    """Escapes a value, which may come from anyone, so that it can't be Markdown or HTML."""
    text = "" if value is None else redacted(str(value))  # before half of a secret is cut off
    text = text if len(text) <= _LONGEST_CELL else f"{text[:_LONGEST_CELL]}…"
    shown = "".join(c if c.isprintable() else " " for c in text)
    return "".join(f"\\{c}" if c in "\\`*_[]<>|~&" else c for c in shown)
