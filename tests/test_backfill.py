"""Backfills: the past in windows, beside live runs, whatever dies meanwhile."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import obstore
import pytest

from landing.catalog.fields import Field
from landing.catalog.settings import bucket_settings
from landing.catalog.workspace import Workspace
from landing.errors import UsageError
from landing.events import Event, Note, RowsRead
from landing.extraction.sources import load_source
from landing.operations.backfill import begin, plan, record, run_window
from landing.operations.backfill.fields import begin_fields, plan_fields, run_fields
from landing.operations.backfill.windows import Cursor, Request, windows_of
from landing.operations.run import run_streams
from landing.tables.sync import TableSync
from landing.zone import lease
from landing.zone.bucket import Bucket
from tests.command import Program
from tests.kit import Kit, Zone
from tests.servers.api import Api
from tests.servers.odoo import OdooServer
from tests.test_slices import FIELDS as SLICED_FIELDS
from tests.test_slices import STREAM as SLICED
from torture.feeding import Feeder

pytestmark = pytest.mark.timeout(200)

CLIENT = """\
import os
from landing.http import Api, Bearer

def shop():
    return Api(os.environ["MY_API_URL"], auth=Bearer(os.environ["MY_API_KEY"]))
"""
STREAMS = """\
import dlt
from landing.http import KeysetPages
from .client import shop

@dlt.resource(primary_key="id")
def orders(
    updated_at: dlt.sources.incremental[str] = dlt.sources.incremental(
        "updated_at", initial_value="2020-01-01 00:00:00", row_order="asc"
    ),
    limit: int = 50,
):
    yield from shop().pages(
        "orders",
        records="data",
        params={"since": updated_at.last_value, "until": updated_at.end_value},
        paging=KeysetPages(
            "updated_at", "since", limit=limit, inclusive=True, short_page_ends=True
        ),
    )
"""
FIELDS = {
    "id": {"type": "integer"},
    "name": {"type": "string"},
    "updated_at": {"type": "string", "format": "date-time"},
}
STATE = "_dlt/shop/orders/state.json"
LEASE = "_dlt/shop/orders/lease.json"
RANGE = ("--from", "2023-01-01", "--to", "2024-01-01")
NEWEST = """
SELECT id, name, CAST(updated_at AT TIME ZONE 'UTC' AS VARCHAR) FROM landed
QUALIFY row_number() OVER (PARTITION BY id ORDER BY _dlt_load_id DESC) = 1 ORDER BY id
"""


def order(number: int, at: datetime, name: str = "") -> dict[str, Any]:
    return {"id": number, "name": name or f"Order {number}", "updated_at": str(at)}


def year_of_orders(count: int = 365) -> list[dict[str, Any]]:
    start = datetime(2023, 1, 1)
    return [order(n, start + timedelta(days=365) * n / count) for n in range(count)]


@pytest.fixture
def shop(kit: Kit, api: Api, use: Callable[[Api], None]) -> Kit:
    use(api)
    api.set_rows("orders", year_of_orders())
    kit.add_source("shop", STREAMS, CLIENT)
    kit.configure(
        "shop", "orders", cursor_field=["updated_at"], primary_key=[["id"]], fields=FIELDS
    )
    return kit


@pytest.fixture
def bucket(kit: Kit, zone: Zone) -> Bucket:
    return Bucket(bucket_settings(Workspace(kit.root)))


def source_rows(api: Api) -> list[tuple[Any, ...]]:
    return sorted((row["id"], row["name"], row["updated_at"]) for row in api.rows())


def records(zone: Zone, stream: str = "shop/orders") -> list[dict[str, Any]]:
    paths = zone.paths(f"_dlt/{stream}/backfills")
    return [json.loads(zone.read(path)) for path in paths if path.endswith(".json")]


def test_a_backfill_lands_its_windows_and_leaves_the_cursor_alone(
    shop: Kit, zone: Zone, api: Api
) -> None:
    shop.configure(
        "shop",
        "orders",
        cursor_field=["updated_at"],
        primary_key=[["id"]],
        fields=FIELDS,
        initial_value="2023-12-30 00:00:00",
    )
    assert shop.run("shop", "orders").code == 0
    state = zone.read(STATE)
    api.requests.clear()

    done = shop.landing("backfill", "shop", "orders", "--from", "2023-01-01", "--workers", "4")

    assert done.code == 0, done.text
    assert "12 of 12 windows done" in done.out
    assert zone.read(STATE) == state
    assert zone.query("shop", "orders", NEWEST) == source_rows(api)
    (kept,) = records(zone)
    assert kept["finished"]
    assert kept["end"] == api.rows()[-1]["updated_at"].replace(" ", "T") + "+00:00"
    loads = [json.loads(zone.read(path)) for path in zone.paths("_dlt/shop/orders/loads")]
    own = [load for load in loads if load["backfill"]]
    assert sorted(load["backfill"]["from"] for load in own) == [
        f"2023-{month:02d}-01T00:00:00+00:00" for month in range(1, 13)
    ]
    assert {load["backfill"]["id"] for load in own} == {kept["id"]}
    asked = {request.query["until"] for request in api.requests}
    assert "2023-02-01 00:00:00" in asked
    assert zone.is_released("shop", "orders")


def test_it_continues_where_it_was_and_runs_again_only_with_the_flag(
    shop: Kit, zone: Zone, api: Api
) -> None:
    words = ("backfill", "shop", "orders", *RANGE)
    api.fail_next(100, status=400, after=4)
    first = shop.landing(*words)
    api.clear_faults()
    assert first.code == 1
    assert "failed" in first.out
    assert "2023-06-01 … 2023-07-01" in first.err
    before = records(zone)[0]["done"]
    assert 0 < len(before) < 12

    second = shop.landing(*words)
    assert second.code == 0, second.text
    assert f"of which {len(before)} are done" in second.out
    (kept,) = records(zone)
    assert {n: kept["done"][n] for n in before} == before
    assert zone.query("shop", "orders", NEWEST) == source_rows(api)
    landed = zone.count("shop", "orders")

    third = shop.landing(*words)
    assert third.code == 2
    assert "pass --again" in third.err
    assert zone.count("shop", "orders") == landed
    assert shop.landing(*words, "--again").code == 0
    assert zone.count("shop", "orders") == 2 * landed
    assert len(records(zone)) == 2
    listed = shop.landing("backfill", "shop", "orders")
    assert listed.out.count(f"finished, {landed} rows") == 2


# ── Beside live runs ─────────────────────────────────────────────────────────────────────────────
def program(kit: Kit, *words: str) -> Program:
    return Program(kit.root / "dlt", os.environ, words)


def awaited(condition: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.02)
    return found


def edited(api: Api, number: int, at: datetime, name: str) -> None:
    api.update("orders", number, name=name, updated_at=str(at))


def test_what_a_live_run_lands_meanwhile_stays_the_newest(
    shop: Kit, zone: Zone, api: Api, bucket: Bucket
) -> None:
    """Rows of a backfill are newer than all before it began, and older than what began after."""
    assert shop.run("shop", "orders").code == 0
    edited(api, 7, datetime(2023, 1, 8), "unseen by live runs")
    source = load_source(Workspace(shop.root), "shop")
    planned = plan(source, "orders", bucket, Request(start="2023-01-01", end="2024-01-01"))
    begun = begin(planned, notify=lambda text: None)
    stale = api.rows()
    edited(api, 100, datetime(2024, 1, 1), "edited after it began")
    live = shop.run("shop", "orders")
    assert live.code == 0, live.text
    now = api.rows()

    api.set_rows("orders", stale)  # as a window had it that was read just before the edit
    for window in reversed(begun.windows):
        result = run_window(source, "orders", begun.id, window.number, bucket, Told())
        assert msgspec.json.decode(msgspec.json.encode(result))["done"]["number"] == window.number
    api.set_rows("orders", now)

    newest = zone.query("shop", "orders", NEWEST)
    assert newest == source_rows(api)
    assert newest[7][1] == "unseen by live runs"
    assert newest[100][1] == "edited after it began"
    assert records(zone)[0]["finished"]
    names = [Path(path).name[:17] for path in zone.parts("shop", "orders")]
    assert float(max(names)) < time.time() + 2, "names do not run ahead of the clock"


class Told:
    def __init__(self) -> None:
        self.notes: list[str] = []

    def __call__(self, event: Event) -> None:
        if isinstance(event, Note):
            self.notes.append(event.text)


def test_load_ids_stay_above_those_that_are_reserved_whatever_the_clock_says(
    shop: Kit, zone: Zone, api: Api, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = load_source(Workspace(shop.root), "shop")
    request = Request(start="2023-01-01", end="2024-01-01", by="day")
    begun = begin(plan(source, "orders", bucket, request), notify=lambda text: None)
    last = begun.windows[-1]
    assert (
        begun.row_version_of(last) > f"{datetime.now(UTC).timestamp():017.6f}"
    )  # 365 × 0.01 s from then
    assert shop.run("shop", "orders").code == 0
    (first, *_) = zone.parts("shop", "orders")
    assert Path(first).name[:17] > begun.end_of_row_versions(last)


def test_a_window_waits_for_a_live_run_and_a_live_run_for_a_window(
    shop: Kit, zone: Zone, bucket: Bucket
) -> None:
    source = load_source(Workspace(shop.root), "shop")
    begun = begin(plan(source, "orders", bucket, Request(start="2023-11-01")), notify=print)

    numbers = iter((0, 1))

    def window(told: Told) -> int:
        return run_window(source, "orders", begun.id, next(numbers), bucket, told).done.rows

    def live(told: Told) -> int:
        return run_streams(source, ["orders"], bucket, told).landed[0].rows

    for purpose, call, waited in (
        ("run", window, "another run is under way: process 7 on elsewhere"),
        ("publication", window, "rows that were read before are being published: process 7"),
        ("publication", live, "rows that were read before are being published: process 7"),
    ):
        frozen = {"purpose": purpose, "pid": 7, "host": "elsewhere"}
        obstore.put(zone.store, LEASE, json.dumps(frozen).encode())
        told = Told()
        with ThreadPoolExecutor(1) as thread:
            rows = thread.submit(call, told)
            awaited(lambda told=told, waited=waited: any(waited in text for text in told.notes))
            zone.delete(LEASE)
            assert rows.result() > 0


def test_a_window_that_waits_for_a_live_run_holds_up_no_other_stream(
    shop: Kit, zone: Zone, bucket: Bucket
) -> None:
    streams = shop.root / "dlt" / "sources" / "shop" / "streams.py"
    streams.write_text(f'{STREAMS}\n\nothers = orders.with_name("others")\n')
    shop.configure(
        "shop", "others", cursor_field=["updated_at"], primary_key=[["id"]], fields=FIELDS
    )
    source = load_source(Workspace(shop.root), "shop")
    request = Request(start="2023-12-01", end="2024-01-01")
    ids = {
        stream: begin(plan(source, stream, bucket, request), notify=print).id
        for stream in ("orders", "others")
    }
    frozen = {"purpose": "run", "pid": 7, "host": "elsewhere"}
    obstore.put(zone.store, LEASE, json.dumps(frozen).encode())
    told = Told()
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(run_window, source, "orders", ids["orders"], 0, bucket, told)
        awaited(lambda: told.notes)
        assert run_window(source, "others", ids["others"], 0, bucket, Told()).done.rows > 0
        zone.delete(LEASE)
        assert waiting.result().done.rows > 0


def test_no_thread_of_a_backfill_is_the_first_to_need_dlts_context(
    shop: Kit, folder_zone: Zone
) -> None:
    """Its plugins are loaded with a lock held that all threads need."""
    code = """
import sys, threading
from landing.cli import main

class Finder:
    def find_spec(self, name, path=None, target=None):
        if threading.current_thread() is not threading.main_thread():
            print("imported in a thread:", name)

sys.meta_path.insert(0, Finder())
sys.exit(main(sys.argv[1:]))
"""
    words = ("backfill", "shop", "orders", *RANGE, "--workers", "3")
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=shop.root / "dlt",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "12 of 12 windows done" in done.stdout
    assert "imported in a thread: dlt" not in done.stdout
    assert "imported in a thread: pluggy" not in done.stdout


def test_a_publication_that_never_ends_is_not_waited_for_for_ever(
    shop: Kit, zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "PATIENCE", timedelta(seconds=0.5))
    obstore.put(zone.store, LEASE, json.dumps({"purpose": "publication", "pid": 7}).encode())
    done = shop.run("shop", "orders")
    assert done.code == 3
    assert "process 7 on another machine holds the lease" in done.err


def test_a_feeder_misses_no_file_of_windows_beside_live_runs(
    shop: Kit, zone: Zone, api: Api
) -> None:
    feeder = Feeder(zone, "shop/orders")
    feeder.start()
    api.delay = 0.02
    process = program(shop, "backfill", "shop", "orders", *RANGE, "--workers", "3")
    lives = 0
    while process.poll() is None:
        edited(api, lives, datetime(2024, 1, 1) + timedelta(seconds=lives), f"live {lives}")
        live = shop.run("shop", "orders")
        assert live.code == 0, live.text
        lives += 1
    assert process.wait() == 0
    assert lives
    api.delay = 0
    assert shop.run("shop", "orders").code == 0
    feeder.end()
    assert feeder.taken == zone.parts("shop", "orders")
    assert zone.query("shop", "orders", NEWEST) == source_rows(api)


# ── Whatever dies ────────────────────────────────────────────────────────────────────────────────
ODOO_FIELDS = {
    "id": {"type": "integer"},
    "name": {"type": "string"},
    "write_date": {"type": "string", "format": "date-time"},
}
ODOO_NEWEST = """
SELECT id, name, strftime(write_date, '%Y-%m-%d %H:%M:%S') FROM landed
QUALIFY row_number() OVER (PARTITION BY id ORDER BY _dlt_load_id DESC) = 1 ORDER BY id
"""


@pytest.fixture
def odoo(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> Iterator[OdooServer]:
    """Five years of orders; live runs begin with the last days."""
    kit.configure(
        "odoo",
        "orders",
        cursor_field=["write_date"],
        primary_key=[["id"]],
        fields=ODOO_FIELDS,
        initial_value="2023-12-28 00:00:00",
    )
    with OdooServer(17) as server:
        start = datetime(2019, 1, 1)
        for number in range(240):
            server.add_order(lines=0, write_date=start + timedelta(days=7.6 * number))
        for name, value in server.environ().items():
            monkeypatch.setenv(name, value)
        yield server


def odoo_rows(odoo: OdooServer) -> list[tuple[Any, ...]]:
    rows = odoo.models["sale.order"].rows.values()
    return sorted(
        (row["id"], row["name"], f"{row['write_date']:%Y-%m-%d %H:%M:%S}") for row in rows
    )


def test_five_years_by_month_killed_ten_times_are_the_sources_rows(
    kit: Kit, zone: Zone, odoo: OdooServer
) -> None:
    feeder = Feeder(zone, "odoo/orders")
    feeder.start()
    assert kit.run("odoo", "orders").code == 0
    words = ("backfill", "odoo", "orders", "--from", "2019-01-01", "--to", "2024-01-01")
    folder = "_dlt/odoo/orders"
    state = zone.read(f"{folder}/state.json")

    def done() -> int:
        return sum(len(kept["done"]) for kept in records(zone, "odoo/orders"))

    for kill in range(10):
        process = program(kit, *words, "--workers", "3")
        before = done()
        awaited(lambda before=before: done() > before + 1)
        process.kill()
        process.wait()
        zone.delete(f"{folder}/lease.json")  # it would expire
        if kill == 5:
            assert zone.read(f"{folder}/state.json") == state
            odoo.models["sale.order"].write([3], {"name": "edited"})
            live = kit.run("odoo", "orders")
            assert live.code == 0, live.text
            state = zone.read(f"{folder}/state.json")
    odoo.calls.clear()
    last = kit.landing(*words, "--workers", "3")
    assert last.code == 0, last.text
    domains = [call.kwargs["domain"] for call in odoo.calls_of("search_read")]
    assert any(["write_date", "<", "2024-01-01 00:00:00"] in domain for domain in domains)
    assert all(len(domain) == 2 for domain in domains), "no more is asked for than a window"
    assert "60 of 60 windows done" in last.out
    assert zone.read(f"{folder}/state.json") == state
    feeder.end()
    assert feeder.taken == zone.parts("odoo", "orders")
    assert zone.query("odoo", "orders", ODOO_NEWEST) == odoo_rows(odoo)
    assert [path for path in zone.paths(folder) if path.endswith(".begun")] == []


def test_a_window_that_was_published_in_part_lands_again_with_later_load_ids(
    shop: Kit, zone: Zone, api: Api, bucket: Bucket
) -> None:
    source = load_source(Workspace(shop.root), "shop")
    begun = begin(plan(source, "orders", bucket, Request(start="2023-12-01")), notify=print)
    stale = api.rows()
    run_window(source, "orders", begun.id, 0, bucket, Told())
    (path,) = (path for path in zone.paths("_dlt/shop/orders/backfills") if path.endswith("json"))
    kept = json.loads(zone.read(path))
    kept["done"] = {}  # as it was while the window's files were published
    obstore.put(zone.store, path, json.dumps(kept).encode())
    edited(api, 350, datetime.fromisoformat(stale[350]["updated_at"]), "edited since")
    result = run_window(source, "orders", begun.id, 0, bucket, Told())
    assert not result.by_another
    newest = zone.query("shop", "orders", NEWEST)
    assert ("edited since",) in zone.query("shop", "orders", "SELECT name FROM landed")
    assert newest == [row for row in source_rows(api) if row[2] >= "2023-12-01"]


def test_two_processes_share_the_windows(shop: Kit, zone: Zone, api: Api) -> None:
    api.delay = 0.02
    words = ("backfill", "shop", "orders", *RANGE)
    processes = [program(shop, *words), program(shop, *words)]
    for process in processes:
        assert process.wait() == 0
    (kept,) = records(zone)
    assert len(kept["done"]) == 12
    assert zone.query("shop", "orders", NEWEST) == source_rows(api)
    loads = zone.paths("_dlt/shop/orders/loads")
    assert len(loads) == 12, "no window landed twice"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_it_and_gives_the_lease_back(
    shop: Kit, zone: Zone, api: Api, number: signal.Signals
) -> None:
    api.delay = 0.05
    words = ("backfill", "shop", "orders", *RANGE, "--workers", "3")
    process = program(shop, *words)
    awaited(lambda: any(kept["done"] for kept in records(zone)))
    process.send_signal(number)
    assert process.wait() == 128 + number
    assert zone.is_released("shop", "orders")
    api.delay = 0
    assert shop.landing(*words).code == 0
    assert zone.query("shop", "orders", NEWEST) == source_rows(api)


# ── Streams of every kind ────────────────────────────────────────────────────────────────────────
IDS = """\
import dlt
from pathlib import Path

@dlt.resource(primary_key="id")
def rows(n: dlt.sources.incremental[int] = dlt.sources.incremental("n"{order})):
    for page in range(40):
        (Path(__file__).parent / "pages.txt").open("a").write(f"{{page}}\\n")
        yield [{{"id": x, "n": x{odd}}} for x in range(page * 100, page * 100 + 100)]
    yield [{{"id": -1, "n": None}}]
"""
ID_FIELDS = {"id": {"type": "integer"}, "n": {"type": "integer"}}


def ignoring(kit: Kit, order: str = "", odd: str = "", **keys: Any) -> Path:
    """A source whose stream gives all of its 4,000 rows, whatever it is asked for."""
    kit.configure(
        "ids", "rows", cursor_field=["n"], primary_key=[["id"]], **{"fields": ID_FIELDS, **keys}
    )
    return kit.add_source("ids", IDS.format(order=order, odd=odd)) / "pages.txt"


def test_what_landed_is_reported_even_if_the_table_fails(
    shop: Kit, zone: Zone, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.configure(
        "shop",
        "orders",
        cursor_field=["updated_at"],
        primary_key=[["id"]],
        fields=FIELDS,
        destination_sync_mode="merge",
    )
    words = ("backfill", "shop", "orders", *RANGE)
    api.fail_next(100, status=400, after=4)
    with monkeypatch.context() as broken:
        broken.setattr(TableSync, "_made", no_table)
        first = shop.landing(*words)
        api.clear_faults()
        second = shop.landing(*words)
    assert (first.code, second.code) == (1, 1)
    assert re.search(r"\b[1-9] of 12 windows landed, \d+ rows", first.text), first.text
    assert "2023-12-01 … 2024-01-01: " in first.text
    assert re.search(r"\b12 of 12 windows landed, \d+ rows", second.text), second.text
    assert "the disk is full; the next run completes it" in second.err.splitlines()[-1]
    assert zone.query("shop", "orders", NEWEST) == source_rows(api)
    assert "rebuilt from all landed files" in shop.run("shop", "orders").out


def no_table(*_: object) -> None:
    raise OSError("the disk is full")


def test_a_stream_that_ignores_the_window_is_right_all_the_same(kit: Kit, zone: Zone) -> None:
    ignoring(
        kit,
        odd=', "kind": "odd" if x % 1000 == 999 else x',
        fields={**ID_FIELDS, "kind": {"type": "integer"}},
    )
    done = kit.landing("backfill", "ids", "rows", "--from", "500", "--to", "2500", "--step", "1000")
    assert done.code == 0, done.text
    assert "500 … 1,500: 999 rows" in done.out
    assert "2 of 2 windows done, 1,998 rows" in done.out
    assert "2 records without a cursor value are in no window" in done.out
    counts = zone.query("ids", "rows", "SELECT count(*), min(n), max(n) FROM landed")
    assert counts == [(1998, 500, 2499)]
    kept = [
        json.loads(line)
        for path in zone.paths("_quarantine/ids/rows")
        for line in zone.read(path).splitlines()
    ]
    assert sorted(line["row"]["id"] for line in kept) == [999, 1999]
    loads = {Path(path).stem for path in zone.paths("_dlt/ids/rows/loads")}
    assert {line["load_id"] for line in kept} == loads
    kit.configure(
        "ids",
        "rows",
        cursor_field=["n"],
        primary_key=[["id"]],
        fields={**ID_FIELDS, "kind": {"type": "string"}},
    )
    assert "2 rows" in kit.landing("quarantine", "land", "ids", "rows").out


def test_a_declared_order_ends_the_reading_after_the_window(kit: Kit, folder_zone: Zone) -> None:
    pages = ignoring(kit, order=', row_order="asc"')
    words = ("backfill", "ids", "rows", "--from", "0", "--to", "500", "--step", "500")
    assert kit.landing(*words).code == 0
    assert folder_zone.count("ids", "rows") == 500
    assert len(pages.read_text().split()) < 20


def test_more_versions_of_a_record_than_ids_are_an_error(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "ROOM", Decimal("0.001"))  # seconds: a thousand load ids
    kit.add_source("ids", IDS.replace('"id": x', '"id": 1').format(order="", odd=""))
    kit.configure("ids", "rows", cursor_field=["n"], primary_key=[["id"]], fields=ID_FIELDS)
    words = ("backfill", "ids", "rows", "--from", "0")
    assert kit.landing(*words, "--to", "900", "--step", "900").code == 0
    newest = "SELECT arg_max(n, _dlt_load_id), count(DISTINCT _dlt_load_id) FROM landed"
    assert folder_zone.query("ids", "rows", newest) == [(899, 900)]
    many = kit.landing(*words, "--to", "1100", "--step", "1100")
    assert many.code == 1
    assert "choose smaller windows, or a primary_key" in many.err
    assert folder_zone.count("ids", "rows") == 900


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--from", "2024-01-01", "--to", "2023-01-01"), "is not before --to"),
        (("--from", "2024-13-01"), "--from '2024-13-01' is not a date or date-time"),
        (("--from", "2023-01-01", "--by", "ids", "--step", "5"), "use day, week or month"),
        (("--from", "2023-01-01", "--step", "5"), "--step is for --by ids"),
        (("--from", "1970-01-01", "--to", "2024-01-01", "--by", "day"), "more than 2,000 windows"),
        (("--by", "day"), "add --from to say where to begin"),
        (("--from", "2023-01-01", "--fields", "name", "--by", "day"), "is read in one go"),
        (("--fields", "nam"), "did you mean 'name'?"),
        (("--fields", "id"), "is the primary key or the cursor"),
    ],
)
def test_an_invalid_request_is_reported(
    shop: Kit, folder_zone: Zone, words: tuple[str, ...], told: str
) -> None:
    done = shop.landing("backfill", "shop", "orders", *words)
    assert done.code == 2
    assert told in done.err
    assert folder_zone.paths() == []


def test_a_stream_without_a_cursor_has_no_windows(shop: Kit, folder_zone: Zone) -> None:
    shop.configure("shop", "orders", sync_mode="full_refresh", fields=FIELDS)
    done = shop.landing("backfill", "shop", "orders", "--from", "2023-01-01")
    assert done.code == 2
    assert "sync_mode is 'full_refresh', which reads everything" in done.err
    ignoring(kit=shop)
    no_step = shop.landing("backfill", "ids", "rows", "--from", "1", "--to", "5")
    assert "--by ids needs a --step" in no_step.err
    by_day = shop.landing("backfill", "ids", "rows", "--from", "1", "--by", "day")
    assert "cursor 'n' is a number: use --by ids" in by_day.err
    no_end = shop.landing("backfill", "ids", "rows", "--from", "1", "--step", "5")
    assert "--to is missing: ids/rows has not run yet" in no_end.err


def test_a_dry_run_shows_the_windows_as_the_stream_gets_them(shop: Kit, folder_zone: Zone) -> None:
    done = shop.landing("backfill", "shop", "orders", *RANGE, "--dry-run")
    assert "12 windows  (dry run" in done.out
    assert (
        "2023-01-01 … 2023-02-01  (asks for '2023-01-01 00:00:00' to '2023-02-01 00:00:00')"
        in done.out
    )
    assert folder_zone.paths() == []
    assert "no backfill yet" in shop.landing("backfill", "shop", "--list").out


# ── Windows and their spelling ───────────────────────────────────────────────────────────────────
def bounds(start: str, end: str, by: Any) -> list[str]:
    cursor = Cursor("t", Field(type="string", format="date"), None)
    windows = windows_of(cursor.bound("--from", start), cursor.bound("--to", end), by)
    return [str(windows[0].start), *(str(window.end) for window in windows)]


def test_windows_are_days_iso_weeks_and_calendar_months() -> None:
    assert bounds("2024-02-28", "2024-03-02", "day") == [
        "2024-02-28", "2024-02-29", "2024-03-01", "2024-03-02"
    ]  # fmt: skip
    assert bounds("2024-12-30", "2025-01-15", "week") == [
        "2024-12-30", "2025-01-06", "2025-01-13", "2025-01-15"
    ]  # fmt: skip
    assert bounds("2023-12-15", "2024-03-01", "month") == [
        "2023-12-15", "2024-01-01", "2024-02-01", "2024-03-01"
    ]  # fmt: skip
    assert [str(window) for window in windows_of(10, 35, "ids", 10)] == [
        "10 … 20", "20 … 30", "30 … 35"
    ]  # fmt: skip


MOMENT = "2024-03-01T10:30:00.250000+00:00"


@pytest.mark.parametrize(
    ("like", "start", "end"),
    [
        ("2020-01-01 00:00:00", "2024-03-01 10:30:00", "2024-03-01 10:30:01"),
        ("2020-01-01T00:00:00Z", "2024-03-01T10:30:00Z", "2024-03-01T10:30:01Z"),
        ("2020-01-01T00:00:00.123Z", "2024-03-01T10:30:00.250Z", "2024-03-01T10:30:00.250Z"),
        ("2020-01-01T00:00+02:00", "2024-03-01T12:30+02:00", "2024-03-01T12:31+02:00"),
        ("2020-01-01", "2024-03-01", "2024-03-02"),
        (None, "2024-03-01T10:30:00.250000Z", "2024-03-01T10:30:00.250000Z"),
        (
            datetime(2020, 1, 1),
            datetime(2024, 3, 1, 10, 30, 0, 250000),
            datetime(2024, 3, 1, 10, 30, 0, 250000),
        ),
        (date(2020, 1, 1), date(2024, 3, 1), date(2024, 3, 2)),
    ],
)
def test_a_stream_gets_bounds_spelled_as_its_own_values(like: Any, start: Any, end: Any) -> None:
    cursor = Cursor("t", Field(type="string", format="date-time"), like)
    assert cursor.handed(MOMENT) == start
    assert cursor.handed(MOMENT, is_end=True) == end
    midnight = cursor.handed("2024-03-01T00:00:00+00:00", is_end=True)
    assert cursor.handed("2024-03-01T00:00:00+00:00") == midnight


def test_text_that_is_no_time_has_no_windows() -> None:
    with pytest.raises(UsageError, match="is text, which can't be divided"):
        Cursor("t", Field(type="string"), "A-7")
    with pytest.raises(UsageError, match="'20240101' is not an ISO date or date-time"):
        Cursor("t", Field(type="string", format="date-time"), "20240101").handed(MOMENT)


# ── Fields that were added later ─────────────────────────────────────────────────────────────────
def test_a_field_that_was_added_later_is_landed_for_rows_that_had_landed(
    shop: Kit, zone: Zone, api: Api
) -> None:
    narrow = {name: FIELDS[name] for name in ("id", "updated_at")}
    keys = {"cursor_field": ["updated_at"], "primary_key": [["id"]]}
    shop.configure("shop", "orders", **keys, fields=narrow)
    assert shop.run("shop", "orders").code == 0
    landed = zone.query("shop", "orders", "SELECT max(_dlt_load_id) FROM landed")[0][0]
    state = zone.read(STATE)
    shop.configure("shop", "orders", **keys, fields=FIELDS)
    api.add("orders", order(9_999, datetime(2022, 1, 1)))  # never landed

    done = shop.landing("backfill", "shop", "orders", "--fields", "name")

    assert done.code == 0, done.text
    assert "365 rows in 1 file" in done.out
    assert zone.read(STATE) == state
    newest = zone.query("shop", "orders", NEWEST, union_by_name=True)
    assert newest == source_rows(api)[:-1]
    row_versions = "SELECT min(_dlt_load_id) FROM landed WHERE name NOT NULL"
    (least,) = zone.query("shop", "orders", row_versions, union_by_name=True)[0]
    assert least <= landed < f"{float(least) + 0.001:017.6f}"
    assert "pass --again" in shop.landing("backfill", "shop", "orders", "--fields", "name").err
    again = shop.landing("backfill", "shop", "orders", "--fields", "name", "--again")
    assert "no landed row gained a value" in again.out
    listed = shop.landing("backfill", "shop", "--list")
    assert "fields name" in listed.out


def test_a_version_that_lands_while_fields_are_read_stays_the_newest(
    shop: Kit, zone: Zone, api: Api, bucket: Bucket
) -> None:
    narrow = {name: FIELDS[name] for name in ("id", "updated_at")}
    keys = {"cursor_field": ["updated_at"], "primary_key": [["id"]]}
    shop.configure("shop", "orders", **keys, fields=narrow)
    assert shop.run("shop", "orders").code == 0
    shop.configure("shop", "orders", **keys, fields=FIELDS)
    source = load_source(Workspace(shop.root), "shop")
    request = Request(start="2023-03-01", end="2023-04-01", fields=("name",))
    planned = plan_fields(source, "orders", bucket, request)
    begun = begin_fields(planned, again=False, notify=print)

    batches: list[Event] = []

    def edit_once(event: Event) -> None:
        """Edits a record that was read just now, and lands it by a live run."""
        if isinstance(event, RowsRead):
            batches.append(event)
            if len(batches) == 1:
                edited(api, 70, datetime(2024, 1, 1), "edited meanwhile")
                assert shop.run("shop", "orders").code == 0

    result = run_fields(planned.subject, begun, edit_once)
    assert (result.rows, result.superseded) == (30, 1)
    newest = zone.query("shop", "orders", NEWEST, union_by_name=True)
    assert newest[70][1] == "edited meanwhile"
    assert newest[59:90] == source_rows(api)[59:90]
    assert not any(row[1] for row in newest[:59])


# ── "backfill": true ─────────────────────────────────────────────────────────────────────────────
def test_backfill_true_reads_once_more_from_the_initial_value(
    shop: Kit, zone: Zone, api: Api
) -> None:
    keys = {"cursor_field": ["updated_at"], "primary_key": [["id"]], "fields": FIELDS}
    assert shop.run("shop", "orders").code == 0
    edited(api, 7, datetime(2023, 1, 8), "unseen by live runs")
    for _ in range(2):
        shop.configure("shop", "orders", **keys, backfill=True)
        dry = shop.run("shop", "orders", "--dry-run")
        assert "from 2020-01-01 00:00:00" in dry.out
        before = zone.count("shop", "orders")
        again = shop.run("shop", "orders")
        assert '"backfill" is true: reads once more from 2020-01-01' in again.out
        assert zone.count("shop", "orders") > before + 360
        assert zone.query("shop", "orders", NEWEST) == source_rows(api)
        assert "nothing new" in shop.run("shop", "orders").out
        shop.configure("shop", "orders", **keys, backfill=False)
        assert "nothing new" in shop.run("shop", "orders").out


def test_backfill_true_never_leaves_the_cursor_below_where_it_was(
    shop: Kit, zone: Zone, api: Api
) -> None:
    keys = {"cursor_field": ["updated_at"], "primary_key": [["id"]], "fields": FIELDS}
    assert shop.run("shop", "orders").code == 0
    last = api.rows()[-1]["updated_at"]
    api.set_rows("orders", api.rows()[:100])  # the newest are gone from the source
    shop.configure("shop", "orders", **keys, backfill=True)
    assert shop.run("shop", "orders").code == 0
    dry = shop.run("shop", "orders", "--dry-run")
    assert f"from {last}" in dry.out


def test_backfill_true_goes_on_after_a_kill(
    kit: Kit, zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANDING_SLICE_MB", "0.1")
    kit.add_source("long", SLICED)
    keys = {"cursor_field": ["n"], "primary_key": [["id"]], "fields": SLICED_FIELDS}
    kit.configure("long", "rows", **keys)
    assert kit.run("long", "rows").code == 0
    files = len(zone.parts("long", "rows"))
    kit.configure("long", "rows", **keys, backfill=True)
    (kit.repository / "stop-6").touch()
    process = program(kit, "run", "long", "rows")
    awaited(lambda: len(zone.parts("long", "rows")) >= files + 3)
    process.kill()
    process.wait()
    (kit.repository / "stop-6").unlink()
    zone.delete("_dlt/long/rows/lease.json")
    starts = kit.repository / "starts.txt"
    assert kit.run("long", "rows").code == 0
    assert int(starts.read_text().split()[-1]) >= 4_999, "what was published is not read again"
    counts = zone.query("long", "rows", "SELECT count(DISTINCT id), count(*) FROM landed")
    assert counts[0][0] == 40_000
    assert 80_000 <= counts[0][1] <= 90_000
    assert "nothing new" in kit.run("long", "rows").out
