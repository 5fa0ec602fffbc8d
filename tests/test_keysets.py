"""Sets of keys, compared bucket by bucket."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from landing.extraction.key_sets import KeySet, compared, marks_of, with_marks

KINDS = {
    "integers": (pa.int64(), lambda n: n * 64),
    "negative integers": (pa.int64(), lambda n: -n),
    "numbers": (pa.float64(), lambda n: n / 4),
    "texts": (pa.string(), lambda n: f"key {n}"),
    "dates": (pa.date32(), lambda n: date.fromordinal(700_000 + n)),
    "times": (pa.timestamp("us", tz="UTC"), lambda n: datetime.fromtimestamp(n, UTC)),
}


def keys_of(kind: str, numbers: Any) -> pa.Table:
    type_, make = KINDS[kind]
    return pa.table({"id": pa.array([make(n) for n in numbers], type_)})


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_known_and_not_present_is_found_once(kind: str, tmp_path: Path) -> None:
    known, present = KeySet(), KeySet()
    files = [tmp_path / "1.parquet", tmp_path / "2.parquet"]
    for file, numbers in zip(files, (range(600), range(400, 1000)), strict=True):
        pq.write_table(keys_of(kind, numbers), file, row_group_size=150)
        known.add(keys_of(kind, numbers))
    present.add(keys_of(kind, [*range(3, 500), *range(3, 10)]))
    present.add(keys_of(kind, range(501, 1200)))
    known_count, present_count, gone = compared(known, present)
    assert (known_count, present_count, len(gone)) == (1000, 1196, 4)
    found = pa.concat_tables(with_marks(files, gone))
    assert found.equals(keys_of(kind, [0, 1, 2, 500]))


def test_keys_of_several_columns_differ_if_any_of_them_does() -> None:
    table = pa.table({"a": ["1", "1", "12"], "b": ["12", "2", ""]})
    assert len(set(marks_of(table).to_pylist())) == 3
    assert marks_of(table).equals(marks_of(table.slice(0)))
    assert marks_of(table.slice(1))[0].equals(marks_of(table)[1])


def test_nothing_compared_with_nothing() -> None:
    assert compared(KeySet(), KeySet())[:2] == (0, 0)


def test_a_key_takes_eight_bytes() -> None:
    texts = pa.table({"id": [f"{n:036}" for n in range(1000)]})
    assert marks_of(texts).nbytes == 8 * 1000
