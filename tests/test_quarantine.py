"""Rows that do not fit: kept, bounded by a share, and landed once the config is fixed."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import obstore
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landing.catalog.fields import Field
from landing.columns.conversion import Columns, RowError
from landing.extraction.kept_rows import kept_line, read_line, row_json
from landing.zone import lease
from tests.command import Program
from tests.kit import Kit, Zone, natural
from tests.servers.api import Api
from torture.feeding import Feeder

FIELDS = {
    "id": {"type": "integer"},
    "updated_at": {"type": "string", "format": "date-time"},
    "total": {"type": "number"},
}
MENDED = {**FIELDS, "total": {"type": ["number", "string"]}}
NEWEST = (
    "SELECT id, arg_max(total, _dlt_load_id) FROM landed WHERE id IN (1, 2) GROUP BY id ORDER BY id"
)


@pytest.fixture
def orders(kit: Kit, api: Api, use: Callable[[Api], None]) -> Kit:
    use(api)
    kit.add_founding_source()
    configure(kit)
    return kit


def configure(kit: Kit, fields: dict[str, Any] = FIELDS, **keys: Any) -> None:
    kit.configure(
        "my_source",
        "orders",
        primary_key=[["id"]],
        cursor_field=["updated_at"],
        fields=fields,
        **keys,
    )


def spoil(api: Api, *keys: int, total: str = "a lot") -> None:
    for key in keys:
        api.update("orders", key, total=total)


def quarantine_of(zone: Zone) -> list[dict[str, Any]]:
    """The rows in quarantine of loads, not of a run that failed."""
    return [
        json.loads(line)
        for path in zone.paths("_quarantine/my_source/orders")
        if "failed-run" not in path
        for line in zone.read(path).splitlines()
    ]


# --- the share above which a run fails ---


def test_above_the_limit_a_run_lands_nothing_and_the_next_one_brings_all(
    orders: Kit, api: Api, zone: Zone
) -> None:
    configure(orders, quarantine_limit=0.05)
    spoil(api, *range(1, 201))
    failed = orders.run("my_source", "orders")
    assert failed.code == 1, failed.text
    assert (
        "stream 'my_source/orders': 200 of 2,350 records do not fit the configured fields, "
        "total: text where a number is configured (200), a share of 0.0851; the quarantine_limit "
        "of orchestration/dag/streams/my_source/orders.json is 0.05" in failed.err
    )
    assert "went to quarantine" not in failed.text
    assert zone.parts("my_source", "orders") == []
    (failure,) = (path for path in zone.paths_but_released() if path.startswith("_dlt/my_source"))
    assert "/failures/" in failure
    assert quarantine_of(zone) == []

    shown = orders.landing("quarantine", "show", "my_source", "orders", "--failed", "--limit=1")
    assert '"total":"a lot"' in shown.out
    assert "the last run failed with 200 records" in orders.landing("quarantine", "list").out

    configure(orders, MENDED, quarantine_limit=0.05)
    assert "2,350 rows" in orders.run("my_source", "orders").out
    assert zone.count("my_source", "orders") == 2_350
    assert "nothing is in quarantine" in orders.landing("quarantine", "list").out


def test_a_run_that_fails_at_the_limit_again_and_again_counts_its_rows_once(
    orders: Kit, api: Api, zone: Zone
) -> None:
    orders.run("my_source", "orders")
    state = zone.read("_dlt/my_source/orders/state.json")
    configure(orders, quarantine_limit=0.05)
    spoil(api, 1, 2, 3)
    for _ in range(2):
        failed = orders.run("my_source", "orders")
        assert "3 of 8 records do not fit" in failed.err
        assert zone.read("_dlt/my_source/orders/state.json") == state
    configure(orders)
    assert orders.run("my_source", "orders").code == 0
    assert [line["row"]["id"] for line in quarantine_of(zone)] == [1, 2, 3]


@pytest.mark.parametrize(("limit", "code"), [(0, 1), (0.0004, 1), (0.0005, 0), (1, 0)])
def test_the_limit_is_a_share_of_the_records_read(
    orders: Kit, api: Api, zone: Zone, limit: float, code: int
) -> None:
    configure(orders, quarantine_limit=limit)
    spoil(api, 5)  # 1 of 2,350 is 0.000426
    assert orders.run("my_source", "orders").code == code


def test_what_is_in_quarantine_already_does_not_count(orders: Kit, api: Api, zone: Zone) -> None:
    """The last row may be asked for at each run; it must not make them all fail."""
    configure(orders, quarantine_limit=0.01)
    spoil(api, 5)
    assert orders.run("my_source", "orders").code == 0
    again = orders.run("my_source", "orders")
    assert again.code == 0, again.text
    assert "1 record still does not fit" in again.out


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ("5%", "expected a number, got text"),
        (True, "expected a number, got a boolean"),
        (5, "expected a number <= 1.0"),
        (-0.1, "expected a number >= 0.0"),
    ],
)
def test_a_limit_that_is_no_share_is_reported(orders: Kit, limit: Any, said: str) -> None:
    configure(orders, quarantine_limit=limit)
    done = orders.run("my_source", "orders")
    assert done.code == 2
    assert (
        f"my_source/orders.json: quarantine_limit: {said}; write it as 0.05 for 5 % of a run's"
        in done.err
    )


# --- list and show ---


def test_list_and_show_tell_what_is_there_and_why(orders: Kit, api: Api, zone: Zone) -> None:
    assert "nothing is in quarantine" in orders.landing("quarantine", "list").out
    spoil(api, 1, 2)
    orders.run("my_source", "orders")
    api.update("orders", 3, id="three")
    orders.run("my_source", "orders")
    loads = sorted({line["load_id"] for line in quarantine_of(zone)})

    listed = orders.landing("quarantine", "list")
    assert listed.code == 0, listed.text
    assert "my_source/orders: 3 records of 2 loads, since " in listed.out
    assert "UTC (just now)" in listed.out
    assert "2  total: text where a number is configured" in listed.out
    assert f"load {loads[0]}" in listed.out
    found = json.loads(orders.landing("quarantine", "list", "my_source", "--json").out)
    assert found == [
        {
            "source": "my_source",
            "stream": "orders",
            "records": 3,
            "failed_run": 0,
            "loads": [{"load_id": loads[0], "records": 2}, {"load_id": loads[1], "records": 1}],
            "reasons": [
                {"field": "total", "reason": "text where a number is configured", "records": 2},
                {"field": "id", "reason": "text where an integer is configured", "records": 1},
            ],
        }
    ]
    assert json.loads(orders.landing("quarantine", "list", "odoo", "--json").out) == []

    show = ("quarantine", "show", "my_source", "orders")
    shown = orders.landing(*show)
    assert shown.out.count("text where a number is configured") == 2
    assert '{"id":"three",' in shown.out
    only = orders.landing(*show, "--field", "id", "--json")
    assert [json.loads(line) for line in only.out.splitlines()] == quarantine_of(zone)[2:]
    assert "…and more" in orders.landing(*show, "--limit", "2").out


def test_a_record_does_not_steer_the_terminal_that_shows_it(
    orders: Kit, api: Api, zone: Zone
) -> None:
    spoil(api, 1, total="\x1b[2J\x9b2J\u202e東京")
    orders.run("my_source", "orders")
    for arguments in ([], ["--json"]):
        shown = orders.landing("quarantine", "show", "my_source", "orders", *arguments)
        assert "\\u001b[2J\\u009b2J\\u202e東京" in shown.out


@pytest.mark.parametrize("name", ["../state", "a/b", ""])
def test_names_do_not_leave_their_prefix(orders: Kit, zone: Zone, name: str) -> None:
    refused = orders.landing("quarantine", "show", name or "..", "orders")
    assert refused.code == 2
    assert "is not a source name" in refused.err


# --- landing what fits now ---


def test_once_the_config_is_mended_what_fits_lands_and_the_rest_stays_with_its_reason(
    orders: Kit, api: Api, zone: Zone
) -> None:
    spoil(api, 1, 2)
    api.update("orders", 3, id="three", total=[])
    orders.run("my_source", "orders")
    files, state = zone.parts("my_source", "orders"), zone.read("_dlt/my_source/orders/state.json")
    assert len(quarantine_of(zone)) == 3

    configure(orders, MENDED)
    land = ("quarantine", "land", "my_source", "orders")
    dry = orders.landing(*land, "--dry-run")
    assert "2 records would land" in dry.out, dry.text
    assert zone.parts("my_source", "orders") == files
    done = orders.landing(*land)
    assert done.code == 0, done.text
    assert "my_source/orders: 2 rows in 1 file" in done.out
    assert "1 stay: id: text where an integer is configured" in done.out
    rows = zone.query(
        "my_source", "orders", "SELECT id, total FROM landed WHERE id < 4", union_by_name=True
    )
    assert sorted(rows) == [(1, "a lot"), (2, "a lot")]
    [left] = quarantine_of(zone)
    assert (left["row"]["id"], left["field"]) == ("three", "id")
    assert zone.read("_dlt/my_source/orders/state.json") == state

    [new] = [path for path in zone.parts("my_source", "orders") if path not in files]
    assert all(natural(new) > natural(path) for path in files)
    records = [json.loads(zone.read(p)) for p in zone.paths("_dlt/my_source/orders/loads")]
    assert records[-1]["from_quarantine"] == [records[0]["load_id"]]
    assert [file["path"] for file in records[-1]["files"]] == [new]

    assert "nothing landed" in orders.landing(*land).out
    assert len(zone.parts("my_source", "orders")) == len(files) + 1
    configure(orders, {**MENDED, "id": {"type": "string"}})
    assert "1 row in 1 file" in orders.landing(*land).out
    assert zone.paths("_quarantine") == []
    assert "nothing is in quarantine" in orders.landing(*land).out


def test_a_run_after_landing_from_quarantine_sorts_after_it(
    orders: Kit, api: Api, zone: Zone
) -> None:
    spoil(api, 1, 2)
    orders.run("my_source", "orders")
    configure(orders, MENDED)
    orders.landing("quarantine", "land", "my_source", "orders")
    api.update("orders", 7, total=7.5)
    assert orders.run("my_source", "orders").code == 0
    loads = [
        zone.query("my_source", "orders", f"SELECT count(*) FROM landed WHERE id = {key}")
        for key in (1, 7)
    ]
    assert loads[1] == [(2,)]
    parts = zone.parts("my_source", "orders")
    assert parts == sorted(parts)
    assert len(parts) == 3


def test_a_feeder_that_polls_meanwhile_misses_no_file(
    orders: Kit, api: Api, zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANDING_FILE_MB", "0.002")
    fill(zone, loads=5, rows=40)
    configure(orders, MENDED)
    feeder = Feeder(zone, "my_source/orders")
    feeder.start()
    for number in range(2):
        api.update("orders", 1, total=number)
        assert orders.run("my_source", "orders").code == 0
        assert orders.landing("quarantine", "land", "my_source", "orders").code == 0
        fill(zone, loads=5, rows=40)
    feeder.end()
    assert len(feeder.taken) > 20
    assert feeder.taken == zone.parts("my_source", "orders")


def test_a_later_version_stays_the_newest_when_an_older_one_lands_from_quarantine(
    orders: Kit, api: Api, zone: Zone
) -> None:
    api.update("orders", 1, total="old")
    api.update("orders", 2, total="newest")
    orders.run("my_source", "orders")
    api.update("orders", 1, total=1.5)
    again = orders.run("my_source", "orders")
    assert "1 record has left quarantine, since a newer version landed" in again.out
    before = zone.parts("my_source", "orders")
    configure(orders, MENDED)
    done = orders.landing("quarantine", "land", "my_source", "orders")
    assert "1 row in" in done.out
    landed = [path for path in zone.parts("my_source", "orders") if path not in before]
    assert zone.parts("my_source", "orders")[-1] == landed[0]
    newest = zone.query("my_source", "orders", NEWEST, union_by_name=True)
    assert newest == [(1, "1.5"), (2, "newest")]


VERSIONS = """
import json
from pathlib import Path

import dlt

FILE = Path(__file__).parents[4] / "pages.json"

@dlt.resource(primary_key="id")
def rows(at=dlt.sources.incremental("at")):
    yield from json.loads(FILE.read_text())
"""
VERSION_FIELDS = {
    "id": {"type": "integer"},
    "at": {"type": "integer"},
    "name": {"type": "integer"},
}


@pytest.fixture
def versions(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> Callable[[list[list[Any]]], None]:
    """Configure and run a stream of (id, name) pairs in pages, `name` being an integer; then fix
    it to text and land from quarantine."""
    kit.add_source("versions", VERSIONS)

    def run(pages: list[list[Any]], **keys: Any) -> None:
        monkeypatch.setattr("landing.extraction.reader.BATCH_ROWS", 1)  # a page is a batch
        numbers = iter(range(1, 10_000))
        told = [[{"id": i, "at": next(numbers), "name": n} for i, n in page] for page in pages]
        (kit.repository / "pages.json").write_text(json.dumps(told))
        keys = {"primary_key": [["id"]], "cursor_field": ["at"], **keys}
        kit.configure("versions", "rows", fields=VERSION_FIELDS, **keys)
        assert kit.run("versions", "rows").code == 0
        fixed = {**VERSION_FIELDS, "name": {"type": ["string", "integer"]}}
        kit.configure("versions", "rows", fields=fixed, **keys)
        done = kit.landing("quarantine", "land", "versions", "rows")
        assert done.code == 0, done.text

    return run


@pytest.mark.parametrize(
    "pages",
    [
        [[(1, "a"), (1, 2)]],
        [[(1, 1), (1, "b")]],
        [[(1, "a"), (1, 2), (1, "c")]],
        [[(1, 1), (1, "b"), (1, 3)]],
        [[(1, "a"), (1, "b"), (2, 1)]],
        [[(1, "a")], [(1, 2)], [(1, "c")], [(1, "d")]],
        [[(1, 1)], [(1, "b")], [(1, "c")], [(1, 4)]],
        [[(n, "x") for n in range(20)] + [(n, 1) for n in range(0, 20, 2)]],
        [[(n, 1) for n in range(20)], [(n, "x") for n in range(0, 20, 3)]],
    ],
    ids=str,
)
def test_versions_of_a_record_in_one_run_keep_their_order_through_quarantine(
    versions: Callable[[list[list[Any]]], None], folder_zone: Zone, pages: list[list[Any]]
) -> None:
    """What is read last is the newest, whichever of a record's versions did not fit."""
    versions(pages)
    newest = folder_zone.query(
        "versions",
        "rows",
        "SELECT id, name FROM landed"
        " QUALIFY rank() OVER (PARTITION BY id ORDER BY _dlt_load_id DESC) = 1 ORDER BY id",
        union_by_name=True,
    )
    read = [pair for page in pages for pair in page]
    last = {key: str(name) for key, name in read}
    assert [(key, str(name)) for key, name in newest] == sorted(last.items())
    fitting = {key: at for at, (key, name) in enumerate(read) if isinstance(name, int)}
    current = [
        name
        for at, (key, name) in enumerate(read)
        if isinstance(name, int) or at > fitting.get(key, -1)
    ]
    assert folder_zone.count("versions", "rows") == len(current), "superseded ones do not land"


def test_a_full_refresh_is_whole_once_its_quarantine_has_landed(
    versions: Callable[..., None], kit: Kit, folder_zone: Zone
) -> None:
    pages = [[(1, "a"), (2, 2)]]
    for _ in range(2):
        versions(pages, sync_mode="full_refresh")
    whole = (
        "SELECT id, name FROM landed WHERE _dlt_load_id = (SELECT max(_dlt_load_id) FROM landed)"
        " ORDER BY id"
    )
    assert folder_zone.query("versions", "rows", whole, union_by_name=True) == [(1, "a"), (2, "2")]


def test_the_cursor_moves_beyond_rows_in_quarantine(orders: Kit, api: Api, zone: Zone) -> None:
    """Else a stream of which the newest rows do not fit would be asked for them at each run."""
    spoil(api, *range(1, 1_201))
    assert "1,200 records do not fit" in orders.run("my_source", "orders").out
    api.requests.clear()
    again = orders.run("my_source", "orders")
    assert "1 record still does not fit" in again.out, again.text
    assert len(quarantine_of(zone)) == 1_200
    newest = max(row["updated_at"] for row in api.rows())
    assert {request.query["since"] for request in api.requests} == {newest}


def test_a_row_whose_reason_changed_with_the_config_is_known_still(
    orders: Kit, api: Api, zone: Zone
) -> None:
    spoil(api, 1)
    orders.run("my_source", "orders")
    configure(orders, {**FIELDS, "total": {"type": "boolean"}}, initial_value=None)
    assert "1 record still does not fit" in orders.run("my_source", "orders").out
    assert len(quarantine_of(zone)) == 1


def test_landing_from_quarantine_waits_for_no_run(orders: Kit, api: Api, zone: Zone) -> None:
    spoil(api, 1)
    orders.run("my_source", "orders")
    obstore.put(zone.store, "_dlt/my_source/orders/lease.json", b'{"pid": 7, "host": "elsewhere"}')
    done = orders.landing("quarantine", "land", "my_source", "orders")
    assert done.code == 3, done.text
    assert "process 7 on elsewhere" in done.err
    assert len(quarantine_of(zone)) == 1


def test_a_field_that_was_added_later_is_null_in_rows_from_quarantine(
    orders: Kit, api: Api, zone: Zone
) -> None:
    spoil(api, 1)
    orders.run("my_source", "orders")
    configure(orders, {**MENDED, "name": {"type": "string"}})
    orders.landing("quarantine", "land", "my_source", "orders")
    assert (
        zone.query("my_source", "orders", "SELECT name FROM read_parquet('x')") if False else True
    )


# --- a run that publishes in slices ---

SLICED = """
from pathlib import Path

import dlt

BROKEN = Path(__file__).parents[4] / "broken-at"

@dlt.resource(primary_key="id")
def rows(n: dlt.sources.incremental[int] = dlt.sources.incremental("n", row_order="asc")):
    for page in range((n.last_value or 0) // 5000, 8):
        if BROKEN.exists() and page == int(BROKEN.read_text()):
            raise ValueError("broken")
        numbers = range(page * 5000, page * 5000 + 5000)
        yield [{"id": x, "n": x, "text": f"{x * 7919:032}", "even": EVEN} for x in numbers]
"""
SLICED_FIELDS = {
    "id": {"type": "integer"},
    "n": {"type": "integer"},
    "text": {"type": "string"},
    "even": {"type": "boolean"},
}


def sliced(kit: Kit, monkeypatch: pytest.MonkeyPatch, even: str, **keys: Any) -> Callable[[], Any]:
    monkeypatch.setenv("LANDING_SLICE_MB", "0.1")
    kit.add_source("sliced", SLICED.replace("EVEN", even))
    kit.configure("sliced", "rows", cursor_field=["n"], fields=SLICED_FIELDS, **keys)
    return lambda: kit.run("sliced", "rows")


def accounted(zone: Zone) -> list[int]:
    """Numbers of the rows that landed, and of those in quarantine."""
    landed = zone.query("sliced", "rows", "SELECT n FROM landed")
    lines = (
        json.loads(line)
        for path in zone.paths("_quarantine/sliced/rows")
        if "failed-run" not in path
        for line in zone.read(path).splitlines()
    )
    return sorted([*(row[0] for row in landed), *(line["row"]["n"] for line in lines)])


def test_a_run_in_slices_has_each_row_landed_or_in_quarantine_of_its_slice(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = sliced(kit, monkeypatch, "x % 2 == 0 or (x % 3 and x % 5000 < 4990) or 'odd'")
    broken = kit.repository / "broken-at"
    broken.write_text("6")
    assert run().code == 1
    files = folder_zone.paths("_quarantine/sliced/rows")
    assert len(files) > 2
    before = accounted(folder_zone)
    assert before == list(range(len(before)))
    broken.unlink()
    done = run()
    assert done.code == 0, done.text
    everything = accounted(folder_zone)
    assert sorted(set(everything)) == list(range(40_000))
    assert len(everything) <= 40_000 + 5_000, "a failed run's last slice comes again"


def test_the_limit_is_for_each_slice_and_slices_before_stay(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = sliced(kit, monkeypatch, "True if x < 25_000 else 'odd'", quarantine_limit=0.5)
    failed = run()
    assert failed.code == 1, failed.text
    assert "so nothing more of the run was landed" in failed.err
    before = accounted(folder_zone)
    assert before
    assert before == list(range(len(before)))
    assert len(before) <= 25_000
    assert run().code == 1
    assert accounted(folder_zone)[-1] < 25_000
    kit.configure("sliced", "rows", cursor_field=["n"], fields=SLICED_FIELDS)
    assert run().code == 0
    assert sorted(set(accounted(folder_zone))) == list(range(40_000))


def test_a_row_in_quarantine_also_shows_that_an_order_is_not_kept(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = sliced(kit, monkeypatch, "True if x != 39_999 else 'odd'")
    streams = kit.root / "dlt" / "sources" / "sliced" / "streams.py"
    streams.write_text(streams.read_text().replace('"n": x,', '"n": x if x != 39_999 else 1,'))
    done = run()
    assert done.code == 0, done.text
    assert "declares row_order 'asc', but returned a lower n after a higher one" in done.out


# --- kills ---


def kept(number: int, load: int) -> dict[str, Any]:
    load_id = f"17690{load:05d}.000000"
    return {
        "row": {"id": number, "updated_at": "2024-01-01 00:00:00", "total": "x" * 200},
        "field": "total",
        "reason": "text where a number is configured",
        "load_id": load_id,
        "_dlt_load_id": load_id,
    }


def fill(zone: Zone, loads: int, rows: int) -> None:
    """A quarantine as so many loads would leave it, each with one row that never fits."""
    for load in range(loads):
        lines = [kept(load * rows + number, load) for number in range(rows)]
        lines[0]["row"]["id"] = f"never {load}"
        path = f"_quarantine/my_source/orders/{lines[0]['load_id']}.jsonl"
        obstore.put(zone.store, path, "".join(json.dumps(x) + "\n" for x in lines).encode())


def published(parts: int) -> Callable[[Zone], bool]:
    return lambda zone: len(zone.parts("my_source", "orders")) >= parts


def recorded(zone: Zone) -> bool:
    return bool(zone.paths("_dlt/my_source/orders/loads"))


def taken_out(files: int) -> Callable[[Zone], bool]:
    def reached(zone: Zone) -> bool:
        listing = (entry for page in obstore.list(zone.store, "_quarantine") for entry in page)
        return sum(entry["size"] < 1_000 for entry in listing) >= files

    return reached


@pytest.mark.parametrize(
    "point",
    [published(1), published(4), recorded, taken_out(1), taken_out(8)],
    ids=["part 0", "part 3", "record", "first file", "eighth file"],
)
def test_a_kill_while_landing_from_quarantine_loses_no_row(
    orders: Kit,
    zone: Zone,
    monkeypatch: pytest.MonkeyPatch,
    point: Callable[[Zone], bool],
) -> None:
    monkeypatch.setenv("LANDING_FILE_MB", "0.002")
    fill(zone, loads=30, rows=20)
    configure(orders, MENDED)
    arguments = ["quarantine", "land", "my_source", "orders"]
    process = Program(orders.root, os.environ, arguments)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None and not point(zone):
        pass
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it was not to reach its end"
    before = zone.parts("my_source", "orders")
    rows_left = len(quarantine_of(zone))

    monkeypatch.setattr(lease, "EXPIRES_AFTER", timedelta(0))
    done = orders.landing(*arguments)
    assert done.code == 0, done.text
    assert "30 stay: id: text where an integer is configured" in done.out
    assert len(quarantine_of(zone)) == 30
    landed, count = zone.query(
        "my_source", "orders", "SELECT count(DISTINCT id), count(*) FROM landed"
    )[0]
    assert landed == 30 * 19
    assert count <= landed + rows_left
    new = [path for path in zone.parts("my_source", "orders") if path not in before]
    assert all(natural(path) > natural(before[-1]) for path in new)
    row_versions = zone.query(
        "my_source",
        "orders",
        "SELECT count(*) FROM landed GROUP BY id HAVING count(DISTINCT _dlt_load_id) > 1",
    )
    assert row_versions == [], "landed twice, a row is of the load that it came with"


# --- rows and their JSON ---


@pytest.mark.parametrize(
    "value",
    [
        2**70,
        Decimal("12.50"),
        Decimal("12.5"),
        Decimal("1E+3"),
        Decimal("0.1234567890123456789"),
        1e16,
        -0.0,
        1.5,
        datetime(2024, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
        datetime(2024, 1, 2),
        date(2024, 1, 2),
        UUID(int=7),
        b"bytes",
        {"a": [1, {"b": Decimal("2.50")}]},
        "half \ud800",
        "東京",
        True,
        None,
        [],
    ],
    ids=repr,
)
@pytest.mark.parametrize(
    "field",
    [
        Field(type="string"),
        Field(type="integer"),
        Field(type="number"),
        Field(type="string", format="date-time"),
        Field(type="string", format="date"),
        Field(type="object"),
        Field(type=["integer", "string"]),
    ],
    ids=lambda field: f"{field.type}-{field.format}",
)
def test_a_row_lands_from_quarantine_as_it_would_have_landed_at_once(
    field: Field, value: Any
) -> None:
    assert_lands_the_same(field, value)


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False)
    | st.decimals(allow_nan=False)
    | st.datetimes()
    | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
fields = st.sampled_from(
    [
        Field(type="string"),
        Field(type="integer"),
        Field(type="number"),
        Field(type="array"),
        Field(type="string", format="date-time"),
        Field(type=["number", "string"]),
    ]
)


@given(fields, plain)
@settings(deadline=None, max_examples=300)
def test_whatever_a_row_holds_it_lands_the_same_or_stays(field: Field, value: Any) -> None:
    assert_lands_the_same(field, value)


def assert_lands_the_same(field: Field, value: Any) -> None:
    line = read_line(kept_line(row_json({"x": value}), RowError(0, {}, "y", "no"), "1", "1"))
    assert line is not None
    if isinstance(line.row, str):
        return  # stays, for a person to look at
    if isinstance(value, Decimal) and field.kinds <= {"array", "object"}:
        return  # a JSON number, where it would have been JSON text at once
    columns = Columns({"x": field})
    at_once, later = columns.from_rows([{"x": value}]), columns.from_rows([line.row])
    assert at_once.table.num_rows >= later.table.num_rows
    if later.table.num_rows:
        assert later.table.equals(at_once.table)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("NaN"), {1: 2}, object()])
def test_a_row_that_json_can_not_hold_is_kept_as_text_and_stays(
    kit: Kit, folder_zone: Zone, value: Any
) -> None:
    line = read_line(
        kept_line(row_json({"id": "x", "n": value}), RowError(0, {}, "id", "no"), "1", "1")
    )
    assert line is not None
    assert line.row == f"{{'id': 'x', 'n': {value!r}}}"


def test_lines_that_can_not_land_stay_word_for_word(kit: Kit, folder_zone: Zone) -> None:
    kit.add_source("plain", "import dlt\n@dlt.resource\ndef rows():\n    yield []\n")
    kit.configure("plain", "rows", fields={"n": {"type": "integer"}})
    path = "_quarantine/plain/rows/1769000000.000000.jsonl"
    row_version = "1769000000.000000"
    error = RowError(0, {}, "n", "no")
    text = kept_line(row_json({"n": float("nan")}), error, row_version, "1")
    broken = b'{"row": {"n": 1}, "fie\n'
    fits = kept_line(b'{"n":1}', error, row_version, row_version)
    obstore.put(folder_zone.store, path, text + broken + fits)
    done = kit.landing("quarantine", "land", "plain", "rows")
    assert "1 row in 1 file" in done.out, done.text
    assert "1 stay: a record with values that JSON can't hold" in done.out
    assert "1 stay: a line that can't be read" in done.out
    assert folder_zone.read(path) == text + broken
    rows = folder_zone.query("plain", "rows", "SELECT n, _dlt_load_id FROM landed")
    assert rows == [(1, "1769000000.000000")]
