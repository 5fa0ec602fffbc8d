"""docs/adopting.md, run over what Airbyte, plain dlt and a script have landed before."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dlt
import obstore
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.kit import REPOSITORY, Kit, Zone
from tests.servers.api import Api
from tests.shell import Stage, blocks

PAGE = REPOSITORY / "docs" / "adopting.md"
CURSOR = "2024-01-20 00:00:00"
FIELDS = {
    "id": {"type": "integer"},
    "name": {"type": "string"},
    "updated_at": {"type": "string", "format": "date-time"},
}


@pytest.fixture
def stage(
    kit: Kit,
    api: Api,
    folder_zone: Zone,
    use: Callable[[Api], None],
    monkeypatch: pytest.MonkeyPatch,
) -> Stage:
    """A source `shop` whose rows change by the hour, before and after the cursor of the page."""
    use(api)
    start = datetime(2024, 1, 1)
    rows = api.rows()[:600]
    api.set_rows(
        "orders", [{**r, "updated_at": str(start + timedelta(hours=n))} for n, r in enumerate(rows)]
    )
    kit.add_founding_source("shop")
    kit.configure(
        "shop", "orders", primary_key=[["id"]], cursor_field=["updated_at"], fields=FIELDS
    )
    return Stage(kit, {})


def played(stage: Stage, heading: str) -> None:
    """The shell blocks of one section."""
    text = PAGE.read_text()
    first = text[: text.index(f"\n## {heading}")].count("\n") + 1
    last = first + text[text.index(f"\n## {heading}") + 1 :].partition("\n## ")[0].count("\n") + 1
    mine = [block for block in blocks(PAGE) if block.is_shell and first < block.line <= last]
    assert mine
    for block in mine:
        stage.play(block)


def later(api: Api) -> set[int]:
    """Ids of rows that changed at or after the cursor."""
    return {row["id"] for row in api.rows() if row["updated_at"] >= CURSOR}


def put(zone: Zone, path: str, rows: list[dict[str, object]]) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    obstore.put(zone.store, path, sink.getvalue())


def test_from_airbyte(stage: Stage, api: Api, folder_zone: Zone) -> None:
    old = [
        {"id": row["id"], "name": row["name"], "_airbyte_extracted_at": CURSOR}
        for row in api.rows()
    ]
    there = "shop/orders/year=2024/month=01/day=20/2024_01_20_1705708800000_0.parquet"
    put(folder_zone, there, old)
    played(stage, "From Airbyte")
    (query,) = re.findall(r"```sql\n(.*?)```", PAGE.read_text(), re.DOTALL)
    folder = os.environ["DLT_BUCKET_URL"].removeprefix("file://")
    query = query.replace("s3://landing/raw", folder)
    current = folder_zone.query("shop", "orders", f"SELECT id, _dlt_load_id FROM ({query})")
    assert len(current) == 600
    assert {key for key, load_id in current if load_id} == later(api)
    assert there in folder_zone.parts("shop", "orders")


def test_from_plain_dlt(
    stage: Stage, api: Api, folder_zone: Zone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = dlt.pipeline(
        "plain",
        pipelines_dir=str(tmp_path / "pipelines"),
        destination=dlt.destinations.filesystem(os.environ["DLT_BUCKET_URL"]),
        dataset_name="shop",
    )
    rows = [{"id": row["id"], "name": row["name"]} for row in api.rows()]
    pipeline.run(rows, table_name="orders", loader_file_format="parquet")
    theirs = set(folder_zone.paths())
    assert any("_dlt_loads" in path for path in theirs)
    played(stage, "From plain dlt")
    assert theirs <= set(folder_zone.paths())
    ours = [path for path in folder_zone.parts("shop", "orders") if "/year=" in path]
    landed = pa.concat_tables(pq.read_table(io.BytesIO(folder_zone.read(path))) for path in ours)
    assert set(landed["id"].to_pylist()) == later(api)


def test_from_a_script_of_ones_own(stage: Stage, api: Api, folder_zone: Zone) -> None:
    before = datetime.now(UTC) - timedelta(days=1)
    there = f"shop/orders/{before:year=%Y/month=%m/day=%d}/load_id_abc123.parquet"
    put(folder_zone, there, [{"id": 1, "name": "old"}])
    played(stage, "From a script of your own")
    assert folder_zone.read(there)
    ours = [path for path in folder_zone.parts("shop", "orders") if path != there]
    assert sum(pq.read_metadata(io.BytesIO(folder_zone.read(p))).num_rows for p in ours) >= 600
    assert stage.kit.landing("verify", "shop", "orders").code == 0
