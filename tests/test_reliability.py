"""Nothing lost: the quick form of what `make torture` does, and that it would notice a loss."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import obstore
import pytest

from demo.servers import S3Server
from landing.catalog.settings import bucket_settings
from landing.catalog.workspace import Workspace
from landing.zone import lease as lease_module
from landing.zone import object_store as stores
from landing.zone.bucket import Bucket
from landing.zone.lease import Lease
from tests.kit import Kit, Zone
from tests.servers.api import Api
from tests.servers.proxy import (
    Exchange,
    Proxy,
    Request,
    answer_lost,
    passed_on,
    refuses,
    serve_proxy,
)
from torture.api_faults import api_faults
from torture.bucket_faults import bucket_faults
from torture.disk import full_disks
from torture.feeding import CLOCKS, feeding
from torture.figures import BEGIN, END, Search, Section, Tally, write_between_markers
from torture.fleet import Fleet, serve_fleet
from torture.kills import PHASES, kills
from torture.sources import EXACT

pytestmark = pytest.mark.timeout(400)


def assert_nothing_lost(section: Section) -> None:
    assert section.problems == []
    assert all(tally.is_good for tally in section.tallies)
    assert section.search is not None
    assert section.search.searched > 0


@pytest.mark.long
def test_a_run_may_be_killed_anywhere(s3: S3Server) -> None:
    section = kills(s3, len(PHASES), lanes=4, waits=False)
    assert_nothing_lost(section)
    assert [tally.what for tally in section.tallies] == list(PHASES)


@pytest.mark.long
def test_a_feeder_misses_no_file_whatever_the_clock_says(s3: S3Server) -> None:
    section = feeding(s3, 2 * len(CLOCKS), streams=2)
    assert_nothing_lost(section)


@pytest.mark.long
def test_whatever_an_api_does_the_run_recovers_or_the_next_one_completes(s3: S3Server) -> None:
    assert_nothing_lost(api_faults(s3, 2, lanes=1, waits=False))


@pytest.mark.long
def test_whatever_the_bucket_does_the_run_recovers_or_the_next_one_completes(s3: S3Server) -> None:
    assert_nothing_lost(bucket_faults(s3, 1, lanes=1, waits=False))


@pytest.mark.long
def test_a_full_disk_is_reported_and_the_next_run_completes(s3: S3Server) -> None:
    assert_nothing_lost(full_disks(s3, 2, lanes=1, waits=False))


@pytest.fixture
def proxy(s3: S3Server, zone: Zone, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """Before the bucket that the environment points to."""
    with serve_proxy(s3.endpoint) as running:
        monkeypatch.setenv("S3_ENDPOINT", running.endpoint)
        yield running


@pytest.fixture
def orders(kit: Kit, api: Api, use: Callable[[Api], None]) -> Kit:
    use(api)
    kit.add_founding_source()
    fields = {"id": {"type": "integer"}, "updated_at": {"type": "string", "format": "date-time"}}
    kit.configure("my_source", "orders", cursor_field=["updated_at"], fields=fields)
    return kit


def _is_put(request: Request) -> bool:
    return request.method == "PUT"


def test_a_lease_that_was_taken_without_a_response_is_ours(
    orders: Kit, proxy: Proxy, zone: Zone
) -> None:
    lost = proxy.spoil(answer_lost, when=_is_put)
    done = orders.run("my_source", "orders")
    assert lost.hits == 1
    assert "2,350 rows" in done.out, done.text
    assert zone.is_released("my_source", "orders")


def test_a_conditional_write_without_a_response_is_recognized_by_its_content(
    kit: Kit, proxy: Proxy
) -> None:
    bucket = Bucket(bucket_settings(Workspace(kit.root)))
    proxy.spoil(answer_lost, when=_is_put)
    created = bucket.create("a/lease.json", b"first")
    assert created is not None
    proxy.spoil(answer_lost, when=_is_put)
    replaced = bucket.replace("a/lease.json", b"second", created)
    assert replaced is not None
    assert bucket.create("a/lease.json", b"another's") is None
    assert bucket.replace("a/lease.json", b"another's", created) is None
    assert bucket.replace("a/lease.json", b"third", replaced) is not None


def test_a_renewal_that_hangs_is_tried_again_before_the_lease_is_given_up(
    kit: Kit, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "SMALL_WITHIN", timedelta(seconds=0.5))
    for pause in ("RENEWED_EVERY", "TRIED_AGAIN_AFTER"):
        monkeypatch.setattr(lease_module, pause, timedelta(seconds=0.1))
    bucket = Bucket(bucket_settings(Workspace(kit.root)))
    with Lease(bucket, "_dlt/a/b/lease.json", "a/b") as frozen:
        hanging = proxy.spoil(lambda exchange: exchange.await_patience(60), when=_is_put)
        await_it(lambda: hanging.hits)
        confirmed = frozen._confirmed
        await_it(lambda: frozen._confirmed > confirmed)
        frozen.check()


def await_it(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [
        (503, "SlowDown", "it answered 503 Service Unavailable (SlowDown), 6 times"),
        (404, "NoSuchBucket", "does not exist"),
        (403, "AccessDenied", "the key may not write there"),
        (403, "RequestTimeTooSkewed", "clock and the bucket's differ too much"),
    ],
)
def test_a_failing_bucket_is_reported_in_one_line_with_the_stream(
    orders: Kit, proxy: Proxy, status: int, code: str, told: str
) -> None:
    uploads = proxy.spoil(
        refuses(status, code), when=lambda request: ".parquet" in request.path, times=float("inf")
    )
    done = orders.run("my_source", "orders")
    assert uploads.hits
    line, remedy = done.err.splitlines()
    assert remedy.startswith("  → `landing ")
    assert line.startswith("error: stream 'my_source/orders': ")
    assert told in line
    proxy.fix()
    assert "2,350 rows" in orders.run("my_source", "orders").out


def test_a_run_whose_bucket_was_deleted_meanwhile_does_not_move_the_cursor(
    orders: Kit, proxy: Proxy, zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some stores make a bucket anew when they are written to, so that nothing else would tell."""

    def delete_all(exchange: Exchange) -> None:
        obstore.delete(zone.store, zone.paths())
        passed_on(exchange)

    monkeypatch.setenv("LANDING_FILE_MB", "0.01")
    proxy.spoil(delete_all, when=lambda request: request.path.endswith(".00003.parquet"))
    done = orders.run("my_source", "orders")
    assert done.code == 3
    assert "my_source/orders: this run lost its lease" in done.err
    assert "_dlt/my_source/orders/state.json" not in zone.paths()
    assert "2,350 rows" in orders.run("my_source", "orders").out


@pytest.fixture
def fleet(s3: S3Server) -> Iterator[Fleet]:
    with serve_fleet(EXACT, ["orders"], s3, 300) as running:
        assert running.run().code == 0
        assert running.lost("orders") == 0
        yield running


def test_a_row_that_is_missing_or_old_counts_as_lost(fleet: Fleet) -> None:
    rows = fleet.api.rows("orders")
    rows[7]["total"] += 1
    fleet.api.set_rows("orders", [*rows, {**rows[0], "id": 9_999}])
    assert fleet.lost("orders") == 2


def test_rows_that_land_twice_need_an_interruption_and_an_interruption_needs_them(
    fleet: Fleet,
) -> None:
    landed = fleet.landed["orders"]
    assert (landed.unexplained_repeats(), landed.torn_deliveries()) == (0, 0)
    first = landed.paths[0]
    again = first.replace("year=2", "year=3").replace("/1", "/4", 1)
    obstore.put(fleet.zone.store, again, fleet.zone.read(first))
    landed.look()
    repeated = landed.unexplained_repeats()
    assert repeated > 0
    landed.interrupted = {first.split("/")[-1][:17]}
    assert landed.unexplained_repeats() == 0
    assert landed.torn_deliveries() == 300 - repeated
    landed.interrupted = {again.split("/")[-1][:17]}
    assert landed.torn_deliveries() == repeated


def test_a_file_that_sorts_before_one_that_was_seen_is_noticed(fleet: Fleet) -> None:
    landed = fleet.landed["orders"]
    first = landed.paths[0]
    obstore.put(fleet.zone.store, first.replace("year=2", "year=1"), fleet.zone.read(first))
    landed.look()
    assert "came after" in landed.problems[0]


def test_a_secret_is_found_wherever_it_is(fleet: Fleet) -> None:
    assert fleet.search().found == 0
    rows = fleet.api.rows("orders")
    rows[0] |= {"name": f"Bearer {fleet.api.token}", "updated_at": "2031-01-01 00:00:00"}
    fleet.api.set_rows("orders", rows)
    fleet.run()
    fleet.output.append(f"GET {fleet.api.url}?token={fleet.api.token}")
    assert fleet.search().found == 2


def test_a_loss_a_problem_a_secret_or_nothing_at_all_makes_a_section_bad() -> None:
    assert Section("good", [Tally("a", times=1)], Search(5, 0)).problems == []
    assert Section("lost", [Tally("a", times=1, lost=2)]).problems == ["a: lost 2"]
    assert Section("odd", [Tally("a", times=1, problems=["?"])]).problems == ["a: ?"]
    assert Section("empty", [Tally("a")]).problems == ["a: never happened"]
    assert "secrets found: 3" in Section("s", [Tally("a", times=1)], Search(5, 3)).problems[0]


def test_the_figures_replace_those_between_the_markers(tmp_path: Path) -> None:
    file = tmp_path / "reliability.md"
    file.write_text(f"before\n\n{BEGIN}\n\nold\n\n{END}\n\nafter\n")
    write_between_markers(file, "new")
    assert file.read_text() == f"before\n\n{BEGIN}\n\nnew\n\n{END}\n\nafter\n"
