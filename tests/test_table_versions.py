"""Which version of a record is in the table, whatever the order in which versions land."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import obstore
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from obstore.store import LocalStore

from landing.catalog.fields import Field
from landing.catalog.settings import BucketSettings
from landing.catalog.stream_config import StreamConfig, TableFormat
from landing.results import TableResult
from landing.tables import table_sync_of
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths
from landing.zone.lease import Lease

PATHS = StreamPaths("shop", "orders")
DELETED = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Version:
    """A row; `load` and `stamp` are small numbers that become load ids."""

    key: int
    row_version: int
    at: int | None = None
    is_gone: bool = False


@dataclass(frozen=True)
class File:
    load: int
    versions: tuple[Version, ...]


def load_id(number: int) -> str:
    return f"1769000{number:03d}.000000"


class Stream:
    """Files put into a landing zone by hand, and the table that is kept of them."""

    def __init__(self, folder: Path, table_format: TableFormat, cursor: str | None = "at") -> None:
        self._store = LocalStore(folder / "zone", mkdir=True)
        self._bucket = Bucket(BucketSettings((folder / "zone").as_uri(), None, False))
        self._config = StreamConfig(
            source="shop",
            stream="orders",
            origin="orders.json",
            sync_mode="incremental",
            destination_sync_mode="merge",
            primary_key=("id", "kind"),
            cursor_field=cursor,
            initial_value=None,
            lookback=None,
            selected=True,
            fields={
                "id": Field(type="integer"),
                "kind": Field(type="string"),
                "at": Field(type="integer"),
                "name": Field(type="string"),
            },
            on_drift="report",
            discovered={},
            table_format=table_format,
        )

    def put(self, file: File, number: int) -> None:
        rows = [
            {
                "id": v.key,
                "kind": 'o\'k "x"',
                "at": None if v.is_gone else v.at,
                "name": None if v.is_gone else f"{v.key} {v.at} {v.row_version}",
                "_dlt_load_id": load_id(v.row_version),
                "_dlt_id": f"{number}-{index}",
                "_deleted_at": DELETED if v.is_gone else None,
            }
            for index, v in enumerate(file.versions)
        ]
        schema = pa.schema(
            [
                ("id", pa.int64()),
                ("kind", pa.string()),
                ("at", pa.int64()),
                ("name", pa.string()),
                ("_dlt_load_id", pa.string()),
                ("_dlt_id", pa.string()),
                ("_deleted_at", pa.timestamp("us", "UTC")),
            ]
        )
        if not any(v.is_gone for v in file.versions):
            schema = pa.schema([field for field in schema if field.name != "_deleted_at"])
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(rows, schema), sink, row_group_size=2)
        obstore.put(
            self._store, PATHS.part(load_id(file.load), number), sink.getvalue().to_pybytes()
        )

    def update(self, *, rebuild: bool = False) -> TableResult:
        table_sync = table_sync_of(self._config, self._bucket)
        assert table_sync is not None
        with Lease(self._bucket, PATHS.lease, "shop/orders") as lease:
            return table_sync.rebuild(lease) if rebuild else table_sync.update(lease)

    def table(self, folder: Path) -> list[dict[str, Any]]:
        from deltalake import DeltaTable
        from pyiceberg.table import StaticTable

        location = folder / "tables" / "shop" / "orders"
        if self._config.table_format == "delta":
            found = DeltaTable(location).to_pyarrow_table()
        elif self._config.table_format == "iceberg":
            found = StaticTable.from_metadata(str(location)).scan().to_arrow()
        else:
            from tests.lake import extension

            lake = duckdb.connect()
            for name in ("sqlite_scanner", "ducklake"):
                lake.execute(f"LOAD '{extension(name)}'")
            lake.execute(f"ATTACH 'ducklake:sqlite:{folder}/catalog.sqlite' AS lake (READ_ONLY)")
            found = lake.execute("SELECT * FROM lake.shop.orders").to_arrow_table()
        return sorted(found.to_pylist(), key=lambda row: (row["id"], row["_dlt_id"]))


def expected(files: Sequence[File], *, by_cursor: bool = True) -> dict[int, str]:
    """The rule, one record after the other."""
    seen: dict[int, list[tuple[Version, int]]] = {}
    for number, file in enumerate(files):
        for index, version in enumerate(file.versions):
            seen.setdefault(version.key, []).append((version, number * 1000 + index))
    current = {}
    for key, versions in seen.items():
        until = max((v.row_version for v, _ in versions if v.is_gone), default=-1)
        candidates = [
            ((v.at is not None, v.at or 0) if by_cursor else (), v.row_version, place, v)
            for v, place in versions
            if not v.is_gone and v.row_version > until
        ]
        if candidates:
            winner = max(candidates, key=lambda candidate: candidate[:3])[3]
            current[key] = f"{key} {winner.at} {winner.row_version}"
    return current


VERSIONS = st.builds(
    Version,
    key=st.integers(1, 3),
    row_version=st.integers(1, 9),
    at=st.none() | st.integers(1, 4),
    is_gone=st.sampled_from([False, False, False, True]),
)


@st.composite
def histories(draw: st.DrawFn) -> list[list[File]]:
    """Files of several runs. Rows may be stamped as the file's load, or earlier, as those from
    quarantine and backfills are."""
    loads = draw(st.lists(st.integers(1, 9), min_size=1, max_size=6, unique=True))
    files = []
    for load in sorted(loads):
        versions = draw(st.lists(VERSIONS, min_size=1, max_size=5))
        versioned = [Version(v.key, min(v.row_version, load), v.at, v.is_gone) for v in versions]
        files.append(File(load, tuple(versioned)))
    cuts = draw(st.lists(st.integers(0, len(files)), max_size=3))
    bounds = [0, *sorted(cuts), len(files)]
    return [files[start:end] for start, end in itertools.pairwise(bounds)]


def play(
    folder: Path, runs: list[list[File]], table_format: TableFormat, cursor: str | None
) -> None:
    stream = Stream(folder, table_format, cursor)
    number = 0
    landed: list[File] = []
    for files in runs:
        for file in files:
            stream.put(file, number)
            number += 1
            landed.append(file)
        stream.update()
        rows = stream.table(folder)
        current = {row["id"]: row["name"] for row in rows}
        assert len(current) == len(rows)
        assert current == expected(landed, by_cursor=cursor is not None)
    kept = stream.table(folder)
    stream.update(rebuild=True)
    assert stream.table(folder) == kept


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what a batch has not seen matters."""
    monkeypatch.setattr("landing.tables.landed.BATCH_ROWS", 3)


def few(examples: int) -> settings:
    """The same each time, and told as they are: to look for a smaller one takes minutes."""
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )


BOTH_IN_ONE_LOAD = [
    [File(1, (*tuple(Version(key, 1, None, key == 3) for key in (1, 3, 1, 1)), Version(3, 1)))]
]


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize(
    ("table_format", "cursor"),
    [("delta", "at"), ("delta", None), ("iceberg", "at"), ("ducklake", "at")],
)
@few(int(os.environ.get("TABLE_HISTORIES", "4")))
@given(runs=histories())
@example(runs=BOTH_IN_ONE_LOAD)
def test_the_table_is_the_same_in_whichever_order_versions_land(
    tmp_path_factory: pytest.TempPathFactory,
    table_format: TableFormat,
    cursor: str | None,
    runs: list[list[File]],
) -> None:
    folder = tmp_path_factory.mktemp("stream")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("LANDING_DUCKLAKE_CATALOG", f"sqlite://{folder}/catalog.sqlite")
        play(folder, runs, table_format, cursor)
