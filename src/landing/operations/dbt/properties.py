"""The YAML of a stream: its table among the sources, and its staging model."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import yaml

from landing.catalog.schedule import GRACE
from landing.catalog.stream_config import StreamConfig
from landing.operations.dbt.columns import LINEAGE, TOMBSTONE, DbtColumn, configured, verbatim
from landing.operations.dbt.models import meaning

_ZONE = "{{ env_var('DLT_BUCKET_URL').rstrip('/') }}"
_FOLDERS = frozenset({"year", "month", "day"})


def source(config: StreamConfig) -> str:
    deletes = [TOMBSTONE] if config.has_deletes else []
    table: dict[str, Any] = {
        "name": config.stream,
        **_described(config.description),
        "config": {"meta": {"external_location": _location(config)}, **_freshness(config)},
        "columns": [
            _column(column, column.landed) for column in [*configured(config), *deletes, *LINEAGE]
        ],
    }
    return _text({"sources": [{"name": config.source, "tables": [table]}]})


def model(config: StreamConfig, name: str) -> str:
    key = config.primary_key if has_plain_key(config) else ()
    columns = [
        {
            **_column(column, column.cast),
            **({"data_tests": ["unique", "not_null"]} if column.name in key else {}),
        }
        for column in [*configured(config), *LINEAGE]
    ]
    about = f"{config.description.rstrip('. ')}. " if config.description else ""
    described = _described(f"{about}{meaning(config)}.")
    return _text({"models": [{"name": name, **described, "columns": columns}]})


def has_plain_key(config: StreamConfig) -> bool:
    """Whether dbt's own tests can test the key: of one column, whose quotes dbt does not double."""
    return len(config.primary_key) == 1 and '"' not in config.primary_key[0]


def _location(config: StreamConfig) -> str:
    # DuckDB gives the folder's value in place of that of a field with the same name.
    has_folders = _FOLDERS.isdisjoint(name.lower() for name in config.fields)
    return (
        f"read_parquet('{_ZONE}/{config.source}/{config.stream}/**/*.parquet', "
        f"union_by_name = true, hive_partitioning = {str(has_folders).lower()})"
    )


def _freshness(config: StreamConfig) -> dict[str, Any]:
    """Each successful run writes the state, even if there was nothing new to land."""
    if config.schedule is None:
        return {}
    gap = config.schedule.longest_gap
    state = f"{_ZONE}/_dlt/{config.source}/{config.stream}/state.json"
    return {
        "loaded_at_query": f"SELECT last_modified FROM read_text('{state}')",
        "freshness": {
            "warn_after": _period(gap + GRACE),
            "error_after": _period(2 * gap + GRACE),
        },
    }


def _period(time: timedelta) -> dict[str, Any]:
    minutes = int(time / timedelta(minutes=1))
    if minutes % 60:
        return {"count": minutes, "period": "minute"}
    return {"count": minutes // 60, "period": "hour"}


def _column(column: DbtColumn, type_: str) -> dict[str, Any]:
    private = {"config": {"meta": {"privacy": column.privacy}}} if column.privacy else {}
    return {
        "name": verbatim(column.name),
        "quote": True,
        "data_type": type_,
        **_described(column.description),
        **private,
    }


def _described(text: str | None) -> dict[str, str]:
    return {"description": verbatim(text)} if text else {}


def _text(document: dict[str, Any]) -> str:
    return yaml.safe_dump(document, sort_keys=False, width=100, allow_unicode=True)
