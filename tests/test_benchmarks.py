"""The benchmark works and compares like with like; its times are nobody's business here."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.contenders import CONTENDERS, DICTIONARY, FLOOR
from benchmarks.contents import Contents, look
from benchmarks.mark import Mark, Setting
from benchmarks.marks import backfill, compaction, many_streams, upsert
from benchmarks.process import ProgramFailed, measure
from benchmarks.race import Outcome, differences
from benchmarks.records import KEPT
from benchmarks.scale import made, of_files, verbs
from tests.kit import REPOSITORY
from tests.servers.api import bench_record

RESULTS = REPOSITORY / "benchmarks" / "RESULTS.md"


@pytest.mark.long
def test_the_quick_form_measures_everyone_and_finds_their_files_equal() -> None:
    before = RESULTS.read_bytes()

    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    for contender in (c for c in CONTENDERS if not c.package):
        (row,) = [row for row in rows if f"| {contender.title} |" in row]
        assert contender.output != "parquet" or "2,000 rows, equal; 1 file" in row
    assert RESULTS.read_bytes() == before


def land(folder: Path, rows: list[dict[str, Any]]) -> Contents:
    lineage = [{**row, "_dlt_id": str(n), "_dlt_load_id": "1"} for n, row in enumerate(rows)]
    folder.mkdir()
    pq.write_table(pa.Table.from_pylist(lineage), folder / "rows.parquet")
    return look(folder)


def landed_record(number: int) -> dict[str, Any]:
    record = {name: bench_record(number)[name] for name in KEPT}
    return record | {
        "customer": '{"id": 1, "name": "x"}',
        "tags": "[]",
        "lines": "[]",
        "discount": 2.5,
        "note": None if number else "NULL",
    }


def test_contents_are_equal_in_another_order_and_with_other_types(tmp_path: Path) -> None:
    one, two = landed_record(1), landed_record(2)
    typed = two | {
        "updated_at": datetime.fromisoformat(two["updated_at"]).replace(tzinfo=UTC),
        "created_at": datetime.fromisoformat(two["created_at"]),
        "due_on": date.fromisoformat(two["due_on"]),
        "customer": '{"id":1,"name":"x"}',
        "quantity": float(two["quantity"]),
    }
    again = one | {
        "updated_at": datetime.fromisoformat(one["updated_at"]).replace(tzinfo=UTC),
        "created_at": datetime.fromisoformat(one["created_at"]),
        "due_on": date.fromisoformat(one["due_on"]),
        "quantity": float(one["quantity"]),
    }

    as_text = land(tmp_path / "text", [one, two])
    as_types = land(tmp_path / "types", [typed, again])

    assert as_text.digest == as_types.digest
    assert as_text.rows == as_text.row_ids == 2


@pytest.mark.parametrize(
    "change",
    [
        {"amount": 0.38},
        {"note": "NULL"},
        {"updated_at": "2024-01-01 00:00:08"},
        {"tags": '["alpha"]'},
        {"discount": None},
    ],
)
def test_contents_differ_in_any_value(tmp_path: Path, change: dict[str, Any]) -> None:
    rows = [landed_record(1), landed_record(2)]

    right = land(tmp_path / "right", rows)
    wrong = land(tmp_path / "wrong", [rows[0] | change, rows[1]])

    assert right.digest != wrong.digest


def test_differences_are_reported() -> None:
    right = Contents(rows=2, digest="a", row_ids=2, loads=1, files=1, bytes=1)
    other = Contents(rows=2, digest="b", row_ids=2, loads=1, files=1, bytes=1)
    short = Contents(rows=1, digest="a", row_ids=1, loads=1, files=1, bytes=1)
    tap = next(contender for contender in CONTENDERS if contender.output == "messages")

    def told(floor: Contents, own: Contents, messages: int = 2) -> list[str]:
        outcomes = [
            Outcome(FLOOR, contents=[floor]),
            Outcome(DICTIONARY, contents=[own]),
            Outcome(tap, messages=messages),
        ]
        return differences(outcomes, records=2)

    assert told(right, right) == []
    assert told(right, other) == [f"the values differ between {FLOOR.title} and {DICTIONARY.title}"]
    assert "1 rows with 1 row ids" in told(right, short)[0]
    assert told(right, right, messages=3) == [f"{tap.title}: 3 records instead of 2"]


def test_a_contender_that_fails_says_why() -> None:
    with pytest.raises(ProgramFailed, match=r"download ended with code 1\n(?s:.)*MY_API_KEY"):
        measure("download", env={})


@pytest.mark.long
def test_many_streams_side_by_side_are_measured(tmp_path: Path) -> None:
    (mark,) = many_streams(Setting(records=1_000, rounds=1, folder=tmp_path), streams=3)
    assert mark.case == "3 streams of 1 pages of 50 ms each, `--all --workers 3`"


@pytest.mark.long
def test_compaction_is_measured(tmp_path: Path) -> None:
    setting = Setting(records=1_000, rounds=1, folder=tmp_path)
    (mark,) = compaction(setting, rows_of_a_file=[20])
    assert mark.case.startswith("compacting 24 files of 20 rows")
    assert "files/s" in mark.measured


@pytest.mark.long
def test_commands_that_run_no_source_are_measured(tmp_path: Path) -> None:
    env = {"DLT_BUCKET_URL": (tmp_path / "zone").as_uri(), "BENCH_STREAMS": "2"}
    marks = verbs(made(tmp_path / "workspace", env, streams=2), streams=2, rounds=1)
    assert [mark.case for mark in marks] == [
        "`landing status` of 2 streams",
        "`landing state` of 2 streams",
        "`landing doctor` of 2 streams, which imports them",
    ]
    assert marks[-1].asked == "≤ `import dlt` + 0.6 s"


@pytest.mark.long
def test_a_stream_of_many_files_is_measured(tmp_path: Path) -> None:
    env = {"DLT_BUCKET_URL": (tmp_path / "zone").as_uri()}
    marks = of_files(made(tmp_path / "workspace", env, streams=1), 30, "local bucket")
    assert [mark.case for mark in marks] == [
        f"`landing {verb}` of a stream of 30 files, local bucket"
        for verb in ("run", "report", "verify", "compact")
    ]


@pytest.mark.long
def test_upserts_are_measured(tmp_path: Path) -> None:
    (mark,) = upsert(Setting(records=1, rounds=1, folder=tmp_path), rows=5_000, changed=50)
    assert mark.case == "upserting 50 changed rows into a table of 5,000 on SeaweedFS"


@pytest.mark.long
def test_a_backfill_with_several_workers_is_measured(tmp_path: Path) -> None:
    two, four = backfill(Setting(records=1_000, rounds=1, folder=tmp_path), windows=4)
    assert two.case == "a backfill of 4 windows of 1 pages of 50 ms each, `--workers 2`"
    assert four.asked == "≥ 3.4 × one worker"


@pytest.mark.long
def test_the_profile_names_every_stage() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "benchmarks.profile",
            *["--records", "1000", "--streams", "3", "--rounds", "1"],
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    stages = [line.split("|")[1].strip() for line in done.stdout.splitlines() if "|" in line]
    assert {
        "fixed",
        "download",
        "decode",
        "columns",
        "**whole run**",
        "Arrow's reader, in parallel",
    } <= set(stages)
    assert {"imports besides dlt", "one stream", "3 streams side by side"} <= set(stages)


def test_a_mark_says_by_how_much_it_is_missed() -> None:
    assert Mark("a", "b", "c", cost=1.08).verdict == "missed by 8%"
    assert Mark("a", "b", "c", cost=0.75).verdict == "reached by 25%"
