"""dlt's own settings in the environment change nothing in the landing zone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from landing.catalog.settings import bucket_settings
from landing.catalog.workspace import Workspace
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths
from landing.zone.state import read_state, stored_by_us, stored_cursor
from tests.kit import Kit, Zone
from tests.servers.api import Api

SETTINGS = [
    {},
    {"RESTORE_FROM_DESTINATION": "false"},
    {"SCHEMA__NAMING": "direct"},
    {"SCHEMA__NAMING": "sql_ci_v1", "SCHEMA__MAX_IDENTIFIER_LENGTH": "3"},
    {"DESTINATION__FILESYSTEM__BUCKET_URL": "file:///nowhere", "DESTINATION__NAME": "elsewhere"},
    {"DATA_WRITER__FILE_MAX_ITEMS": "1", "NORMALIZE__DATA_WRITER__FILE_MAX_BYTES": "1"},
    {
        "NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_LOAD_ID": "true",
        "NORMALIZE__LOADER_FILE_FORMAT": "csv",
    },
    {"LOAD__DELETE_COMPLETED_JOBS": "true", "LOAD__WORKERS": "1", "DEV_MODE": "true"},
    {"PIPELINE_NAME": "another", "DATASET_NAME": "another", "IMPORT_SCHEMA_PATH": "/nowhere"},
    {"DLT_DATA_DIR": "/nowhere/at/all", "DLT_PROJECT_DIR": "/nowhere/at/all"},
    {
        "EXTRACT__MAX_PARALLEL_ITEMS": "1",
        "EXTRACT__WORKERS": "1",
        "EXTRACT__NEXT_ITEM_MODE": "fifo",
    },
    {"SOURCES__MAX_TABLE_NESTING": "7", "SOURCES__MY_SOURCE__SCHEMA_CONTRACT": "freeze"},
]
PATHS = StreamPaths("my_source", "orders")
FIELDS = {
    "id": {"type": "integer"},
    "updated_at": {"type": "string", "format": "date-time"},
    "customer": {"type": "object"},
}


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda found: ",".join(found) or "none")
def test_a_setting_of_dlt_changes_nothing_in_the_zone(
    kit: Kit,
    api: Api,
    folder_zone: Zone,
    use: Callable[[Api], None],
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, str],
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    use(api)
    api.set_rows("orders", api.rows()[:150])
    kit.add_founding_source()
    kit.configure("my_source", "orders", cursor_field=["updated_at"], fields=FIELDS)
    for rows in ("150 rows", "nothing new"):
        done = kit.run("my_source", "orders")
        assert done.code == 0, done.text
        assert rows in done.text
    (part,) = folder_zone.parts("my_source", "orders")
    assert part.endswith(".00000.parquet")
    table: Any = pq.read_table(pa.BufferReader(folder_zone.read(part)))
    assert table.column_names == [*FIELDS, "_dlt_load_id", "_dlt_id"]
    assert table.num_rows == 150
    bucket = Bucket(bucket_settings(Workspace(kit.root)))
    assert stored_cursor(bucket, PATHS, "updated_at") == max(
        row["updated_at"] for row in api.rows("orders")
    )
    assert stored_by_us(bucket, PATHS)["load_id"] in part
    state = read_state(bucket, PATHS)
    assert state is not None
    assert state["pipeline_name"] == "my_source__orders"
    below = {path.split("/")[0] for path in folder_zone.paths()}
    assert below == {"my_source", "_dlt"}
