"""What `landing run --json` prints; docs/monitoring.md lists the keys, which stay."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import msgspec

from landing.planning import Plan
from landing.preview import Preview
from landing.report import RunResult, StreamResult
from landing.secrets import redacted

Document = dict[str, Any]


def print_json(documents: Iterable[Document]) -> None:
    encode = msgspec.json.Encoder(decimal_format="number", enc_hook=str).encode
    sys.stdout.write(msgspec.json.format(encode(list(documents)), indent=1).decode() + "\n")


def results(source: str, result: RunResult, failed: Mapping[str, Exception]) -> list[Document]:
    """An object for each stream: those that landed, then those that failed."""
    return [
        *(_landed(stream) for stream in result.landed),
        *(_failed(source, stream, error) for stream, error in failed.items()),
    ]


def _landed(result: StreamResult) -> Document:
    traffic = result.traffic
    return {
        "source": result.source,
        "stream": result.stream,
        "status": "landed" if result.files else "nothing_new",
        "read": result.read,
        "rows": result.rows,
        "deleted": result.deleted,
        "quarantined": result.quarantined,
        "files": result.files,
        "bytes": result.bytes,
        "read_from": result.read_from,
        "cursor_before": result.cursor_before,
        "cursor_after": result.cursor_after,
        "seconds": round(result.seconds, 3),
        "load_ids": result.load_ids,
        "location": result.location,
        "requests": traffic.requests,
        "retries": dict(traffic.retries),
        "pacing_seconds": round(traffic.pacing_seconds, 3),
        "retry_seconds": round(traffic.retry_seconds, 3),
        "answer_bytes": traffic.bytes,
        "drift": asdict(result.drift),
        "table": None if result.table is None else asdict(result.table),
        "error": None,
    }


def _failed(source: str, stream: str, error: Exception) -> Document:
    return {"source": source, "stream": stream, "status": "failed", "error": _error(error)}


def _error(error: Exception) -> Document:
    return {
        "type": type(error).__name__,
        "message": redacted(str(error)),
        "exit_code": getattr(error, "exit_code", 1),
    }


def plan(planned: Plan) -> Document:
    config, change = planned.config, planned.change
    return {
        "source": config.source,
        "stream": config.stream,
        "config": config.origin,
        "sync_mode": config.sync_mode,
        "destination_sync_mode": config.destination_sync_mode,
        "primary_key": list(config.primary_key),
        "cursor_field": config.cursor_field if config.is_incremental else None,
        "cursor": planned.cursor,
        "read_from": planned.read_from,
        "location": planned.location,
        "table": planned.table,
        "columns": [{"name": column.name, "type": str(column.type)} for column in planned.columns],
        "change": None
        if change is None
        else {
            "against": None if planned.is_first else change.version - 1,
            "added": change.added,
            "removed": change.removed,
            "changed": [msgspec.structs.asdict(one) for one in change.changed],
        },
        "doubts": planned.doubts,
        "preview": None if planned.preview is None else _preview(planned.preview),
    }


def _preview(found: Preview) -> Document:
    return {
        "requests": [asdict(one) for one in found.requests],
        "total": found.total,
        "read": found.read,
        "new": found.new,
        "undecided": found.undecided,
        "refused": [
            {"field": field, "reason": reason, "records": count}
            for (field, reason), count in found.refused.most_common()
        ],
        "rows": [] if found.rows is None else found.rows.to_pylist(),
        "drift": asdict(found.drift),
        "notes": [redacted(note) for note in found.notes],
        "error": None if found.error is None else _error(found.error),
    }
