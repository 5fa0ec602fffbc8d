"""Streams as assets of Dagster, run in this process against real servers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from landing.dagster import definitions
from tests.kit import Kit, Zone
from tests.servers.api import Api

FIELDS = {
    "id": {"type": "integer"},
    "name": {"type": "string"},
    "updated_at": {"type": "string", "format": "date-time", "description": "of the last change"},
    "total": {"type": "number"},
}
ORDERS = dg.AssetKey(["my_source", "orders"])
SOON = dg.RetryPolicy(max_retries=1, delay=0.01)


@pytest.fixture
def shop(kit: Kit, api: Api, use: Callable[[Api], None]) -> Kit:
    kit.add_founding_source()
    configure(kit)
    use(api)
    return kit


def configure(kit: Kit, **keys: Any) -> Path:
    keys = {"cursor_field": ["updated_at"], "primary_key": [["id"]], "fields": FIELDS, **keys}
    return kit.configure("my_source", "orders", **keys)


def materialize(
    kit: Kit, *path: str, raise_on_error: bool = True, **options: Any
) -> dg.ExecuteInProcessResult:
    partition = options.pop("partition_key", None)
    defs = definitions(kit.root, retries=SOON, **options)
    key = dg.AssetKey(list(path) or ["my_source", "orders"])
    return dg.materialize(
        [asset for asset in defs.assets or [] if key in asset.keys],  # type: ignore[union-attr,operator]
        partition_key=partition,
        raise_on_error=raise_on_error,
    )


def facts(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    (materialization,) = result.get_asset_materialization_events()
    metadata = materialization.materialization.metadata
    return {name: value.value for name, value in metadata.items()}


def checks(result: dg.ExecuteInProcessResult) -> dict[str, tuple[bool, str]]:
    return {
        one.check_name: (one.passed, one.description or "")
        for one in result.get_asset_check_evaluations()
    }


def test_materializing_an_asset_lands_what_is_new(shop: Kit, api: Api, zone: Zone) -> None:
    done = materialize(shop)
    told = facts(done)
    assert told["rows"] == len(api.rows()) == zone.count("my_source", "orders")
    assert told["files"] == 1
    assert told["bytes"] > 10_000
    assert told["cursor_before"] == "2020-01-01 00:00:00"
    assert checks(done)["keys"][0]
