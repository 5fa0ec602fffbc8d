"""A long run publishes as it goes, where its stream gives the oldest rows first."""

from __future__ import annotations

import json
import re
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.kit import Kit, Zone, natural

# Pages of 5,000 rows, so that each may end a slice; it waits where a file says so.
STREAM = """\
import time
from pathlib import Path
import dlt

HERE = Path(__file__).parents[4]

@dlt.resource(primary_key="id")
def rows(n: dlt.sources.incremental[int] = dlt.sources.incremental("n", row_order="asc")):
    start = n.last_value or 0
    (HERE / "starts.txt").open("a").write(f"{start}\\n")
    for page in range(start // 5000, 8):
        while (HERE / f"stop-{page}").exists():
            time.sleep(0.02)
        numbers = range(max(start, page * 5000), page * 5000 + 5000)
        yield [{"id": x, "n": x, "text": f"{x * 7919:032}"} for x in numbers]
"""
FIELDS = {"id": {"type": "integer"}, "n": {"type": "integer"}, "text": {"type": "string"}}
ROWS = 40_000


@pytest.fixture
def long(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> Kit:
    kit.add_source("long", STREAM)
    kit.configure("long", "rows", cursor_field=["n"], fields=FIELDS)
    monkeypatch.setenv("LANDING_SLICE_MB", "0.1")
    return kit


def load_ids(zone: Zone, source: str = "long") -> list[str]:
    return [Path(path).name[:17] for path in zone.parts(source, "rows")]


def test_slices_are_loads_of_their_own_and_bring_each_row_once(long: Kit, zone: Zone) -> None:
    done = long.run("long", "rows")
    assert done.code == 0, done.text
    assert f"{ROWS:,} rows in" in done.out
    assert "published, cursor" in done.out
    assert len(set(load_ids(zone))) > 3
    counts = zone.query("long", "rows", "SELECT count(*), count(DISTINCT id) FROM landed")
    assert counts == [(ROWS, ROWS)]
    assert "nothing new" in long.run("long", "rows").out
    records = zone.paths("_dlt/long/rows/loads")
    assert sorted(Path(path).stem for path in records) == sorted(set(load_ids(zone)))


def test_without_a_declared_order_a_run_is_one_load(long: Kit, zone: Zone) -> None:
    long.add_source("plain", STREAM.replace(', row_order="asc"', ""))
    long.configure("plain", "rows", cursor_field=["n"], fields=FIELDS)
    assert f"{ROWS:,} rows" in long.run("plain", "rows").out
    assert len(set(load_ids(zone, "plain"))) == 1


def test_a_kill_costs_one_slice(long: Kit, zone: Zone) -> None:
    (long.repository / "stop-6").touch()
    process = long.start("pipeline.py", "long", "rows")
    state = "_dlt/long/rows/state.json"
    deadline = time.monotonic() + 60
    while len(set(load_ids(zone))) < 3 or state not in zone.paths("_dlt"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGKILL)
    process.wait()
    seen = zone.parts("long", "rows")
    (long.repository / "stop-6").unlink()
    long.landing("run", "long", "rows")  # the dead run's lease is still there
    zone.delete("_dlt/long/rows/lease.json")
    done = long.run("long", "rows")
    assert done.code == 0, done.text
    starts = (long.repository / "starts.txt").read_text().split()
    assert int(starts[-1]) >= 10_000
    counts = zone.query("long", "rows", "SELECT count(DISTINCT id), count(*) FROM landed")
    assert counts[0][0] == ROWS
    assert counts[0][1] <= ROWS + 10_000
    after = [path for path in zone.parts("long", "rows") if path not in seen]
    assert min(map(natural, after)) > max(map(natural, seen))


def test_an_order_that_is_not_kept_puts_the_cursor_back(long: Kit, zone: Zone) -> None:
    long.add_source(
        "wrong",
        STREAM.replace("yield [", "yield [{'id': -1, 'n': 1, 'text': ''}] if page == 7 else ["),
    )
    long.configure("wrong", "rows", cursor_field=["n"], fields=FIELDS)
    (long.repository / "stop-7").touch()
    process = long.start("pipeline.py", "wrong", "rows")
    state = "_dlt/wrong/rows/state.json"
    deadline = time.monotonic() + 60
    while state not in zone.paths("_dlt"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (long.repository / "stop-7").unlink()
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "declares row_order 'asc', but returned a lower n after a higher one" in out
    assert zone.query("wrong", "rows", "SELECT count(*) FROM landed WHERE id = -1") == [(1,)]
    assert "nothing new" in long.run("wrong", "rows").out


def test_a_stream_that_keeps_state_of_its_own_is_not_cut(long: Kit, zone: Zone) -> None:
    keeping = STREAM.replace(
        "    start = ", "    dlt.current.resource_state()['mine'] = 1\n    start = ", 1
    )
    long.add_source("keeping", keeping)
    long.configure("keeping", "rows", cursor_field=["n"], fields=FIELDS)
    assert f"{ROWS:,} rows" in long.run("keeping", "rows").out
    assert len(set(load_ids(zone, "keeping"))) == 1


def test_rows_in_quarantine_are_written_with_their_slice(long: Kit, zone: Zone) -> None:
    text = STREAM.replace('"n": x,', '"n": x, "odd": "no" if x % 10_000 == 0 else x,')
    long.add_source("odd", text)
    long.configure("odd", "rows", cursor_field=["n"], fields={**FIELDS, "odd": {"type": "integer"}})
    done = long.run("odd", "rows")
    assert f"{ROWS - 4:,} rows" in done.out, done.text
    assert "4 records do not fit" in done.out
    lines = [zone.read(path).splitlines() for path in zone.paths("_quarantine/odd")]
    assert len(lines) > 1
    assert sorted(json.loads(line)["row"]["id"] for found in lines for line in found) == [
        0,
        10_000,
        20_000,
        30_000,
    ]


def test_rows_of_the_last_cursor_value_land_before_the_cursor_moves_past_them(
    long: Kit, zone: Zone
) -> None:
    first = STREAM.replace("range(start // 5000, 8)", "range(1)")
    folder = long.add_source("same", first)
    long.configure("same", "rows", cursor_field=["n"], fields=FIELDS)
    assert "5,000 rows" in long.run("same", "rows").out
    more = STREAM.replace(
        "    for page", "    yield [{'id': -5, 'n': 4999, 'text': 'new'}]\n    for page"
    )
    (folder / "streams.py").write_text(more)
    for name in [name for name in sys.modules if name.startswith("sources")]:
        del sys.modules[name]
    done = long.run("same", "rows")
    assert done.code == 0, done.text
    assert len(set(load_ids(zone, "same"))) > 3
    found = zone.query(
        "same", "rows", "SELECT count(*), min(_dlt_load_id) FROM landed WHERE id = -5"
    )
    assert found[0][0] == 1
    newer = zone.query("same", "rows", "SELECT min(_dlt_load_id) FROM landed WHERE n > 4999")
    assert found[0][1] <= newer[0][0]


@pytest.mark.parametrize("name", ["LANDING_SLICE_MB", "LANDING_SLICE_MINUTES"])
def test_limits_have_to_be_numbers(
    long: Kit, zone: Zone, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "much")
    done = long.run("long", "rows")
    assert done.code == 2
    assert re.search(f"{name} is 'much': it has to be a positive number", done.err)


def test_a_stream_with_rows_without_cursor_is_not_cut(long: Kit, zone: Zone) -> None:
    """A later run would not ask for them, so the cursor may not move before they are published."""
    text = STREAM.replace(
        "    for page", "    yield [{'id': -1, 'n': None, 'text': ''}]\n    for page"
    )
    long.add_source("nulls", text)
    long.configure("nulls", "rows", cursor_field=["n"], fields=FIELDS)
    assert f"{ROWS + 1:,} rows" in long.run("nulls", "rows").out
    assert len(set(load_ids(zone, "nulls"))) == 1


def test_a_cursor_that_was_put_back_moves_in_the_end(long: Kit, zone: Zone) -> None:
    """Also where the stream's last rows bring nothing that would change the state."""
    again = "    if start == 0:\n        yield [{'id': 0, 'n': -1, 'text': 'old'}]\n"
    long.add_source("back", STREAM.rstrip() + "\n" + again)
    long.configure("back", "rows", cursor_field=["n"], initial_value=0, fields=FIELDS)
    done = long.run("back", "rows")
    assert "returned a lower n after a higher one" in done.out, done.text
    assert "nothing new" in long.run("back", "rows").out
    assert zone.query("back", "rows", "SELECT count(*) FROM landed") == [(ROWS,)]
