"""Backfills: the past in windows, beside live runs, whatever dies meanwhile."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import msgspec
import obstore
import pytest

from landing import lease
from landing.backfill import Records, begin, plan, run_window
from landing.backfill.windows import Cursor, Request, windows_of
from landing.bucket import Bucket
from landing.errors import UsageError
from landing.fields import Field
from landing.layout import StreamPaths
from landing.run import run_streams
from landing.sources import load_source
from landing.workspace import Workspace, bucket_settings
from tests import command
from tests.kit import Kit, Zone
from tests.servers.api import Api
from tests.servers.odoo import OdooServer
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
    (record,) = records(zone)
    assert record["finished"]
    assert record["end"] == api.rows()[-1]["updated_at"].replace(" ", "T") + "+00:00"
    loads = [json.loads(zone.read(path)) for path in zone.paths("_dlt/shop/orders/loads")]
    own = [load for load in loads if load["backfill"]]
    assert sorted(load["backfill"]["from"] for load in own) == [
        f"2023-{month:02d}-01T00:00:00+00:00" for month in range(1, 13)
    ]
    assert {load["backfill"]["id"] for load in own} == {record["id"]}
    asked = {request.query["until"] for request in api.requests}
    assert "2023-02-01 00:00:00" in asked
    assert zone.paths("_dlt/shop/orders/lease.json") == []


def test_it_goes_on_where_it_was_and_runs_again_only_when_told(
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
    (record,) = records(zone)
    assert {n: record["done"][n] for n in before} == before
    assert zone.query("shop", "orders", NEWEST) == source_rows(api)
    landed = zone.count("shop", "orders")

    third = shop.landing(*words)
    assert third.code == 2
    assert "say --again" in third.err
    assert zone.count("shop", "orders") == landed
    assert shop.landing(*words, "--again").code == 0
    assert zone.count("shop", "orders") == 2 * landed
    assert len(records(zone)) == 2
    listed = shop.landing("backfill", "shop", "orders")
    assert listed.out.count(f"finished, {landed} rows") == 2


# ── Beside live runs ─────────────────────────────────────────────────────────────────────────────
def program(kit: Kit, *words: str) -> BaseProcess:
    """A command in a process of its own, which need not import the engine first."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.command"])
    process = context.Process(
        target=command.run, args=(str(kit.root / "dlt"), dict(os.environ), words)
    )
    process.start()
    return process


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
    begun = begin(planned, tell=lambda text: None)
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
    """A reporter."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, stream: str, text: str) -> None:
        self.notes.append(text)

    def progress(self, stream: str, rows: int) -> None:
        pass

    def published(self, stream: str, rows: int, cursor: Any) -> None:
        pass


def test_load_ids_stay_above_those_that_are_reserved_whatever_the_clock_says(
    shop: Kit, zone: Zone, api: Api, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = load_source(Workspace(shop.root), "shop")
    request = Request(start="2023-01-01", end="2024-01-01", by="day")
    begun = begin(plan(source, "orders", bucket, request), tell=lambda text: None)
    last = begun.windows[-1]
    assert (
        begun.stamp_of(last) > f"{datetime.now(UTC).timestamp():017.6f}"
    )  # 365 × 0.01 s from then
    assert shop.run("shop", "orders").code == 0
    (first, *_) = zone.parts("shop", "orders")
    assert Path(first).name[:17] > begun.end_of_stamps(last)


def test_a_window_waits_for_a_live_run_and_a_live_run_for_a_window(
    shop: Kit, zone: Zone, bucket: Bucket
) -> None:
    source = load_source(Workspace(shop.root), "shop")
    begun = begin(plan(source, "orders", bucket, Request(start="2023-11-01")), tell=print)

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
        held = {"purpose": purpose, "pid": 7, "host": "elsewhere"}
        obstore.put(zone.store, LEASE, json.dumps(held).encode())
        told = Told()
        with ThreadPoolExecutor(1) as thread:
            rows = thread.submit(call, told)
            awaited(lambda told=told, waited=waited: any(waited in text for text in told.notes))
            zone.delete(LEASE)
            assert rows.result() > 0


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
    api.delay = 0.03
    process = program(shop, "backfill", "shop", "orders", *RANGE, "--workers", "3")
    lives = 0
    while process.is_alive():
        edited(api, lives, datetime(2024, 1, 1) + timedelta(seconds=lives), f"live {lives}")
        live = shop.run("shop", "orders")
        assert live.code == 0, live.text
        lives += 1
    process.join()
    assert process.exitcode == 0
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
        return sum(len(record["done"]) for record in records(zone, "odoo/orders"))

    for kill in range(10):
        process = program(kit, *words, "--workers", "3")
        before = done()
        awaited(lambda before=before: done() > before + 1)
        process.kill()
        process.join()
        zone.delete(f"{folder}/lease.json")  # it would expire
        if kill == 5:
            assert zone.read(f"{folder}/state.json") == state
            odoo.models["sale.order"].write([3], {"name": "edited"})
            live = kit.run("odoo", "orders")
            assert live.code == 0, live.text
            state = zone.read(f"{folder}/state.json")
    last = kit.landing(*words, "--workers", "3")
    assert last.code == 0, last.text
    assert "60 of 60 windows done" in last.out
    assert zone.read(f"{folder}/state.json") == state
    feeder.end()
    assert feeder.taken == zone.parts("odoo", "orders")
    assert zone.query("odoo", "orders", ODOO_NEWEST) == odoo_rows(odoo)
    assert [path for path in zone.paths(folder) if path.endswith(".begun")] == []
