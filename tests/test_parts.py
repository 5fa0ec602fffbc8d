"""Tables to parquet parts: when one is full, and how a reader finds them inside."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from landing.zone import parts
from landing.zone.parts import ROW_GROUP_ROWS, Part, PartWriter

SCHEMA = pa.schema([("id", pa.int64()), ("name", pa.string()), ("key", pa.string())])


def table(start: int, count: int) -> pa.Table:
    ids = range(start, start + count)
    return pa.table(
        {
            "id": ids,
            "name": [f"name {n % 7}" for n in ids],
            "key": [os.urandom(8).hex() for _ in ids],
        },
        SCHEMA,
    )


def write(folder: Path, tables: list[pa.Table], part_bytes: int) -> list[Part]:
    writer = PartWriter(folder, SCHEMA, part_bytes)
    written = [part for each in tables for part in writer.write(each)]
    return [*written, *writer.close()]


def ids(written: list[Part]) -> list[int]:
    return [n for part in written for n in pq.read_table(part.file)["id"].to_pylist()]


def test_small_tables_become_one_part_with_one_row_group(tmp_path: Path) -> None:
    written = write(tmp_path, [table(n * 10, 10) for n in range(50)], 1_000_000)
    assert len(written) == 1
    assert written[0].rows == 500
    assert written[0].bytes == written[0].file.stat().st_size
    assert pq.ParquetFile(written[0].file).num_row_groups == 1
    assert ids(written) == list(range(500))


def test_parts_rotate_at_the_size_that_is_set_and_keep_the_order(tmp_path: Path) -> None:
    tables = [table(n * 1_000, 1_000) for n in range(40)]
    written = write(tmp_path, tables, 50_000)
    assert len(written) > 5
    assert [part.file.name for part in written] == [f"{n:05d}.parquet" for n in range(len(written))]
    assert ids(written) == list(range(40_000))
    assert sum(part.rows for part in written) == 40_000
    assert all(part.bytes < 150_000 for part in written)


def test_a_part_is_yielded_as_soon_as_it_is_full(tmp_path: Path) -> None:
    writer = PartWriter(tmp_path, SCHEMA, 1_000)
    for start in (0, 1_000):
        (part, *_) = writer.write(table(start, 1_000))
        assert pq.read_metadata(part.file).num_rows == part.rows
    list(writer.close())


def test_one_large_table_is_cut_as_many_small_ones_are(tmp_path: Path) -> None:
    written = write(tmp_path, [table(0, 40_000)], 50_000)
    assert len(written) > 5
    assert ids(written) == list(range(40_000))


def test_row_groups_hold_no_more_rows_than_a_reader_likes(tmp_path: Path) -> None:
    schema = pa.schema([("id", pa.int64())])
    writer = PartWriter(tmp_path, schema, 100_000_000)
    given = pa.table({"id": pa.array(range(2 * ROW_GROUP_ROWS + 5))})
    (part,) = [*writer.write(given), *writer.close()]
    metadata = pq.read_metadata(part.file)
    groups = [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)]
    assert groups == [ROW_GROUP_ROWS, ROW_GROUP_ROWS, 5]


def test_row_groups_are_cut_by_size_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "ROW_GROUP_BYTES", 20_000)
    (part,) = write(tmp_path, [table(0, 10_000)], 100_000_000)
    assert pq.ParquetFile(part.file).num_row_groups > 10


def test_nothing_written_is_no_part(tmp_path: Path) -> None:
    assert write(tmp_path, [], 1_000) == []
    assert write(tmp_path, [SCHEMA.empty_table()], 1_000) == []
    assert list(tmp_path.iterdir()) == []


def test_dictionaries_where_values_repeat_and_statistics_for_all(tmp_path: Path) -> None:
    (part,) = write(tmp_path, [table(0, 1_000)], 1_000_000)
    group = pq.read_metadata(part.file).row_group(0)
    chunks = {name: group.column(index) for index, name in enumerate(SCHEMA.names)}
    assert {name: chunk.has_dictionary_page for name, chunk in chunks.items()} == {
        "id": False,
        "name": True,
        "key": False,
    }
    assert all(chunk.is_stats_set for chunk in chunks.values())
    assert (chunks["id"].statistics.min, chunks["id"].statistics.max) == (0, 999)
    assert {chunk.compression for chunk in chunks.values()} == {"ZSTD"}


def test_any_field_name_and_nested_types_are_written(tmp_path: Path) -> None:
    given = pa.table(
        {
            "with.dot": ["a"],
            "": [1],
            "ünï code": [None],
            "list": [[1, None]],
            "struct": [{"at": {"deep": [1.5]}}],
        }
    )
    writer = PartWriter(tmp_path, given.schema, 1_000_000)
    (part,) = [*writer.write(given), *writer.close()]
    assert pq.read_table(part.file).equals(given)
