"""How the feeder's tables look in Dagster."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from tests.feeders import Feeder
from tests.kit import Kit, Zone
from tests.test_compaction import hourly

FIELDS = {
    "id": {"type": "integer", "description": "the order's number"},
    "total": {"type": "number"},
    "moment": {"type": "string", "format": "date-time"},
    "phone": {"type": "string", "privacy": "drop"},
}


def test_tables_have_group_kinds_description_columns_and_data_version(
    kit: Kit, folder_zone: Zone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = {
        "description": "Orders of the shop.",
        "primary_key": [["id"]],
        "cursor_field": ["moment"],
    }
    kit.configure("shop", "orders", fields=FIELDS, sync_mode="incremental", **about)
    feeder = Feeder(
        kit, f"sqlite:{tmp_path}/lake.sqlite", (tmp_path / "lake").as_uri(), monkeypatch
    )
    try:
        specs = {spec.key.path[0]: spec for spec in feeder.load().defs.resolve_all_asset_specs()}
        spec = specs["lake"]
        assert (spec.group_name, spec.kinds) == ("shop_lake", {"duckdb", "parquet"})
        assert spec.description == "Orders of the shop."
        assert columns(spec.metadata)["moment"] == ("date-time", "")
        assert "phone" not in columns(spec.metadata)
        hourly(folder_zone, days=1, a_day=2)
        first, second = materialized(feeder), materialized(feeder)
    finally:
        feeder.close()
    assert columns(first.metadata)["id"] == ("BIGINT", "the order's number")
    assert "_dlt_load_id" in columns(first.metadata)
    assert (first.metadata["files"].value, second.metadata["files"].value) == (2, 0)
    assert first.tags is not None
    assert second.tags is not None
    assert first.tags["dagster/data_version"] == second.tags["dagster/data_version"]


def materialized(feeder: Feeder) -> dg.AssetMaterialization:
    done = feeder.materialize()
    (event,) = done.get_asset_materialization_events()
    return event.materialization


def columns(metadata: object) -> dict[str, tuple[str, str]]:
    assert isinstance(metadata, dict)
    schema = metadata["dagster/column_schema"]
    found = getattr(schema, "schema", schema).columns
    return {column.name: (column.type, column.description or "") for column in found}
