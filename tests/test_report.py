"""`landing report`: the page as a browser has it, and what may and may not be on it.

The page is opened in a real Chromium; every request that it makes is a failure.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import time_machine
from playwright.sync_api import Browser, Page

import landing.page
from landing.catalog.files import read_config
from landing.catalog.settings import bucket_settings
from landing.catalog.workspace import Workspace
from landing.page.discretion import discretion_of
from landing.page.profiles import Depth, profile_of
from landing.zone.bucket import Bucket
from landing.zone.failure_log import FailedRun, put_failed_run
from landing.zone.layout import StreamPaths
from landing.zone.lineage import with_lineage
from tests.histories import SCHEDULES, History, make_history
from tests.kit import Kit, Zone, own_sources
from tests.servers.api import Api
from tests.test_status import FIELDS, ORDER, STREAMS

PAGE = Path(landing.page.__file__).parent
NOW = datetime(2026, 6, 12, 9, 20, tzinfo=UTC)
EVIL = "</script><img src=x onerror=\"document.title='pwned'\"><b>'\"&{{7*7}}"


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Pages that ask nobody for anything and complain of nothing."""
    asked: list[str] = []
    complaints: list[str] = []
    pages: list[Page] = []

    def open_it(file: Path, width: int = 1280, scheme: Any = "light") -> Page:
        page = browser.new_page(
            viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
        )
        page.clock.set_fixed_time(NOW)
        page.set_default_timeout(60_000)
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(file.as_uri())
        asked.remove(file.as_uri())
        pages.append(page)
        return page

    yield open_it
    for page in pages:
        page.close()
    assert asked == []
    assert complaints == []


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three days of four streams, and the page of it."""
    folder = tmp_path_factory.mktemp("past")
    (folder / "orchestration" / "dlt" / "sources").mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch, own_sources():
        patch.chdir(folder)
        patch.setenv("DLT_BUCKET_URL", (folder / "zone").as_uri())
        make_history(folder, NOW, days=3, runs_a_day=3)
    return folder


@pytest.fixture
def report(past: Path, kit: Kit, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Of the past: the page, or with `--json` the facts."""
    monkeypatch.chdir(past)
    monkeypatch.setenv("DLT_BUCKET_URL", (past / "zone").as_uri())
    file = kit.repository / "report.html"

    def make(*words: str) -> Any:
        with time_machine.travel(NOW):
            output = () if "--json" in words else ("--output", str(file))
            done = kit.landing("report", *words, *output)
        assert done.code == 0, done.text
        return json.loads(done.out) if "--json" in words else file

    return make


def marks(page: Page, chart: str) -> int:
    """Shapes that a chart has drawn with a colour of its series."""
    drawn = page.locator(f'[data-chart="{chart}"][data-drawn]').first
    drawn.locator("svg path").first.wait_for(state="attached")
    return drawn.locator('svg path[fill]:not([fill="none"])').count()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_draws_and_fits(
    report: Callable[..., Any], opened: Callable[..., Page], scheme: str, width: int
) -> None:
    page = opened(report(), width, scheme)
    board = page.locator(".board .row:not(.head)")
    assert [row.locator(".chip").inner_text() for row in board.all()] == [
        *("failing", "late", "quarantine", "ok")
    ]
    page.get_by_role("link", name="shop/orders").last.click()
    section = page.locator("details.stream", has_text="shop/orders")
    assert section.get_attribute("open") is not None
    assert marks(page, "all") >= 4
    for chart in ("rows", "seconds", "lag"):
        section.locator(f'[data-chart="{chart}"]').scroll_into_view_if_needed()
        assert marks(page, chart) >= 3
    assert section.locator("tr.failed").count() == 2, "the outage, and its message"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", background)[:3])) < 200) is (scheme == "dark")

    page.get_by_role("button", name="Switch between light and dark").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != background
    for element in page.locator("a, button, summary, input").all():
        assert element.evaluate("e => e.innerText || e.getAttribute('aria-label') || e.labels")


def test_the_keyboard_opens_a_stream_and_a_search_finds_one(
    report: Callable[..., Any], opened: Callable[..., Page]
) -> None:
    page = opened(report())
    page.locator("details.stream summary").last.focus()
    page.keyboard.press("Enter")
    assert page.locator("details.stream").last.get_attribute("open") is not None
    page.keyboard.press("Home")
    assert page.locator("h1").count() == 1
    assert page.locator("main h2").count() >= 3


def test_the_facts_are_a_document_and_add_up(report: Callable[..., Any], past: Path) -> None:
    facts = report("--json", "--days", "5")
    assert set(facts) == {"generated", "days", "bucket", "version", "values", "streams"}
    by_name = {one["status"]["stream"]: one for one in facts["streams"]}
    orders = by_name["orders"]
    assert set(orders) == {
        *("status", "description", "sync_mode", "timezone", "interval_seconds", "days", "runs"),
        *("is_cut", "columns", "column_changes", "profile", "not_read"),
    }
    assert len(orders["days"]) == 5
    landed = sum(
        pq.ParquetFile(file).metadata.num_rows
        for file in (past / "zone" / "shop" / "orders").rglob("*.parquet")
    )
    assert sum(day["rows"] for day in orders["days"]) == landed
    assert sum(day["failed"] for day in orders["days"]) == 1
    assert [change["added"] for change in orders["column_changes"]] == [["coupon"]]
    assert by_name["returns"]["status"]["status"] == "failing"
    (reason,) = by_name["shipments"]["status"]["reasons"]
    assert (reason["field"], reason["reason"]) == ("weight", "text where a number is configured")
    assert reason["records"] == by_name["shipments"]["status"]["quarantined"]


def test_a_profile_is_right_and_keeps_values_of_persons_to_itself(
    report: Callable[..., Any],
) -> None:
    facts = report("--json")
    profiles = {
        one["status"]["stream"]: {column["name"]: column for column in one["profile"]["columns"]}
        for one in facts["streams"]
    }
    orders, customers = profiles["orders"], profiles["customers"]
    assert {one["value"] for one in orders["country"]["frequent"]} <= {"DE", "FR", "NL", "AT", "PL"}
    assert orders["country"]["distinct"] == 5
    assert float(orders["total"]["least"]) >= 5
    assert orders["paid_on"]["most"] <= "2026-06-12"
    for column in (customers["name"], customers["email"], orders["customer_email"], orders["id"]):
        assert (column["least"], column["most"], column["frequent"]) == (None, None, [])
        assert column["withheld"] is not None
    page = report().read_text()
    assert "@example.com" not in page
    assert "Person " not in page
    assert "SUMMER" in page
    hidden = report("--json", "--no-values")
    assert hidden["values"] is False
    text = json.dumps([one["profile"] for one in hidden["streams"]])
    assert "SUMMER" not in text
    assert '"least": "' not in text


@pytest.mark.parametrize(
    ("name", "field", "told"),
    [
        ("email", {"type": "string"}, "sensitive by its name"),
        ("customerEmail", {"type": "string"}, "sensitive by its name"),
        ("birth_date", {"type": "string", "format": "date"}, "sensitive by its name"),
        ("phones", {"type": "string"}, "sensitive by its name"),
        ("status", {"type": "string", "privacy": "hash"}, "private"),
        ("place", {"type": "object", "properties": {"a": {"type": "string", "privacy": "mask"}}},
         "private"),
        ("link", {"type": "string", "format": "uri"}, "uri"),
        ("tags", {"type": "array"}, "free text"),
        ("id", {"type": "integer"}, "key"),
        ("status", {"type": "string"}, None),
        ("storage", {"type": "integer"}, None),
    ],
)  # fmt: skip
def test_what_a_page_may_show(kit: Kit, name: str, field: dict[str, Any], told: str | None) -> None:
    fields = {"id": {"type": "integer"}, name: field}
    kit.configure("shop", "orders", fields=fields, primary_key=[["id"]])
    config = read_config(Workspace(kit.root), "shop", "orders")
    assert discretion_of(pa.field(name, pa.string()), config).withheld == told


def test_a_column_that_left_the_config_is_not_shown(kit: Kit) -> None:
    kit.configure("shop", "orders", fields={"id": {"type": "integer"}})
    config = read_config(Workspace(kit.root), "shop", "orders")
    gone = discretion_of(pa.field("city", pa.string()), config)
    assert gone.withheld == "no longer in the config"
    deleted = discretion_of(pa.field("_deleted_at", pa.timestamp("us", "UTC")), config)
    assert deleted.shows_range


def test_a_value_that_few_rows_share_is_not_shown(kit: Kit, folder_zone: Zone) -> None:
    kit.configure("shop", "orders", fields={"city": {"type": "string"}})
    put(folder_zone, pa.table({"city": ["Rome"] * 5 + ["Pisa"] * 4 + [None]}))
    workspace = Workspace(kit.root)
    config = read_config(workspace, "shop", "orders")
    paths, bucket = StreamPaths("shop", "orders"), Bucket(bucket_settings(workspace))
    profile = profile_of(bucket, paths, config, NOW - timedelta(days=1), Depth())
    assert profile is not None
    (city,) = profile.columns
    assert [(one.value, one.rows) for one in city.frequent] == [("Rome", 5)]
    assert (city.nulls, city.distinct, city.least) == (1, 2, None)


def test_of_large_files_only_the_newest_rows_are_read(kit: Kit, folder_zone: Zone) -> None:
    kit.configure("shop", "orders", fields={"n": {"type": "integer"}})
    for hour in range(4):
        numbers = range(hour * 20_000, (hour + 1) * 20_000)
        put(folder_zone, pa.table({"n": numbers}), NOW - timedelta(hours=8 - hour))
    workspace = Workspace(kit.root)
    config = read_config(workspace, "shop", "orders")
    paths, bucket = StreamPaths("shop", "orders"), Bucket(bucket_settings(workspace))
    profile = profile_of(bucket, paths, config, NOW - timedelta(days=1), Depth(most_bytes=1))
    assert profile is not None
    assert profile.is_cut
    assert profile.rows < 20_000
    assert profile.columns[0].most == "79999"


def test_what_a_source_wrote_is_text_and_runs_nothing(
    kit: Kit, folder_zone: Zone, opened: Callable[..., Page]
) -> None:
    """In names and values of fields, descriptions, errors, and reasons of quarantine."""
    fields = {EVIL: {"type": "string"}, "plain": {"type": "string"}}
    kit.configure("shop", "orders", fields=fields, description=EVIL)
    put(folder_zone, pa.table({EVIL: ["a"] * 9, "plain": [EVIL] * 9}))
    workspace = Workspace(kit.root)
    paths, bucket = StreamPaths("shop", "orders"), Bucket(bucket_settings(workspace))
    failed = FailedRun(finished=NOW - timedelta(hours=1), error=EVIL, message=EVIL)
    put_failed_run(bucket, paths, failed)
    line = {"row": {}, "field": EVIL, "reason": EVIL, "load_id": "1", "_dlt_load_id": "1"}
    load_id = f"{NOW.timestamp():017.6f}"
    obstore.put(folder_zone.store, paths.quarantine(load_id), json.dumps(line).encode())
    kit.add_source("shop", STREAMS)
    file = kit.repository / "report.html"
    with time_machine.travel(NOW):
        assert kit.landing("report", "shop", "--output", str(file)).code == 0
    page = opened(file)
    page.locator("[data-drawn]").first.wait_for()
    assert page.title().startswith("Landing report")
    assert page.locator("img").count() == 0
    shown = page.locator("body").inner_text()
    assert shown.count(EVIL) >= 6
    assert "49" not in page.locator("p", has_text=EVIL).first.inner_text()
    assert page.evaluate("document.querySelectorAll('script').length") == 3


def test_the_policy_lets_nothing_in(
    report: Callable[..., Any], browser: Browser, tmp_path: Path
) -> None:
    """Were something to slip through the escaping, the browser would still not run or load it."""
    page = browser.new_page()
    refused: list[str | None] = []
    loaded: list[str] = []
    page.on("requestfailed", lambda request: refused.append(request.failure))
    page.on("requestfinished", lambda request: loaded.append(request.url))
    spoiled = tmp_path / "spoiled.html"
    evil = "<script>document.title='pwned'</script><img src='http://127.0.0.1:9/x'>"
    spoiled.write_text(report().read_text().replace("<main>", f"<main>{evil}"))
    page.goto(spoiled.as_uri())
    page.locator('[data-chart="all"]').scroll_into_view_if_needed()
    page.locator("[data-drawn]").first.wait_for()
    assert page.title().startswith("Landing report")
    assert loaded == [spoiled.as_uri()]
    assert refused == ["csp"], "the image was not asked for"
    page.close()


def test_no_secret_is_on_the_page(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "s3cr3t-of-the-shop")
    monkeypatch.setenv("SHOP_KEY", "function")  # which the charting library has, too
    monkeypatch.setenv("SHOP_PASSWORD", "streams")  # a key of the facts
    kit.add_source("shop", STREAMS)
    kit.configure("shop", "orders", fields=FIELDS, description="with s3cr3t-of-the-shop")
    assert kit.landing("report").code == 0
    page = (kit.root / "dlt" / "landing-report.html").read_text()
    assert "with ***" in page
    assert "s3cr3t" not in page
    assert (PAGE / "assets" / "echarts.js").read_text() in page
    facts = kit.landing("report", "--json").out
    assert "s3cr3t" not in facts
    assert json.loads(facts)["streams"][0]["description"] == "with ***"


def test_empty_states_say_what_to_do(
    kit: Kit, folder_zone: Zone, opened: Callable[..., Page]
) -> None:
    file = kit.repository / "report.html"
    assert kit.landing("report", "--output", str(file)).code == 0
    page = opened(file)
    page.get_by_text("No stream is selected.").wait_for()
    assert page.locator("[data-chart]").count() == 0

    kit.add_source("shop", STREAMS)
    kit.configure("shop", "orders", fields=FIELDS)
    kit.configure("shop", "broken", "{")
    assert kit.landing("report", "--output", str(file)).code == 0
    page = opened(file)
    page.get_by_text("never landed").first.wait_for()
    page.get_by_text("no schedule").first.wait_for()
    page.get_by_text("No load and no failed run since").wait_for()
    assert page.locator(".chip.bad").first.inner_text() == "unreadable"


def test_forty_streams_fit_and_can_be_searched(
    past: Path, kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    opened: Callable[..., Page],
) -> None:  # fmt: skip
    zone = tmp_path / "forty"
    history = History(kit.repository, NOW)
    history.write([])
    for number in range(40):
        name = f"stream_{number:02d}"
        history.configure(name, fields=FIELDS, schedule=SCHEDULES["orders"])
        for below in ("", "_dlt"):
            kept = past / "zone" / below / "shop" / ("orders" if number % 3 else "shipments")
            shutil.copytree(kept, zone / below / "shop" / name)
    monkeypatch.setenv("DLT_BUCKET_URL", zone.as_uri())
    file = kit.repository / "report.html"
    with time_machine.travel(NOW):
        words = ["report", "shop", "--profile-mb", "0", "--output", str(file)]
        assert kit.landing(*words).code == 0
    page = opened(file, 390)
    assert page.locator(".board .row:not(.head)").count() == 40
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_label("Filter streams by name or status").fill("stream_17")
    assert page.locator(".board .row:not(.head):visible").count() == 1
    page.get_by_label("Filter streams by name or status").fill("nothing")
    page.get_by_text("No stream matches.").wait_for()


# where it goes


def test_the_page_is_in_the_bucket_where_no_reader_looks(kit: Kit, api: Api, zone: Zone) -> None:
    shop(kit, api)
    assert kit.run("shop", "orders").code == 0
    done = kit.landing("report", "--to-bucket")
    assert done.code == 0, done.text
    assert "/_report/index.html: 1 stream, 14 days, " in done.out
    kind = obstore.get(zone.store, "_report/index.html").attributes["Content-Type"]
    assert kind == "text/html; charset=utf-8"
    assert [path for path in zone.paths() if path.endswith(".html")] == ["_report/index.html"]
    assert not list(kit.repository.rglob("landing-report.html"))
    assert kit.landing("verify", "shop", "orders").code == 0


def test_a_run_makes_the_page_anew_once_it_is_old_enough(
    kit: Kit, api: Api, zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop(kit, api)
    monkeypatch.setenv("LANDING_REPORT_MINUTES", "30")
    assert kit.run("shop", "orders").code == 0
    first = zone.read("_report/index.html")
    assert kit.run("shop", "orders").code == 0
    assert zone.read("_report/index.html") == first
    monkeypatch.setenv("LANDING_REPORT_MINUTES", "0")
    api.fail_next(status=401)
    assert kit.run("shop", "orders").code == 1
    assert b"answered 401" in zone.read("_report/index.html"), "failed runs are on it, too"


def test_a_page_that_can_not_be_made_fails_no_run(
    kit: Kit, api: Api, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop(kit, api)
    monkeypatch.setenv("LANDING_REPORT_MINUTES", "0")

    def refuse(*words: Any) -> None:
        raise OSError("no room")

    monkeypatch.setattr(Bucket, "put_page", refuse)
    done = kit.run("shop", "orders")
    assert done.code == 0, done.text
    assert "LANDING_REPORT_MINUTES: no page: no room" in done.out


@pytest.mark.parametrize(
    ("variables", "words", "told"),
    [
        ({"LANDING_REPORT_MINUTES": "often"}, ["run", "shop", "orders"], "whole number of minutes"),
        ({"LANDING_REPORT_VALUES": "all"}, ["report"], "has to be some or none"),
        ({}, ["report", "shop", "--to-bucket"], "is for the page of all sources"),
        ({}, ["report", "--json", "--to-bucket"], "leave out --to-bucket and --output"),
        ({}, ["report", "shp"], "did you mean 'shop'?"),
        ({}, ["report", "--output", "/proc/nowhere/x.html"], "name another file (--output)"),
    ],
)
def test_mistakes_are_reported(
    kit: Kit, api: Api, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str], words: list[str], told: str,
) -> None:  # fmt: skip
    shop(kit, api)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    done = kit.landing(*words)
    assert done.code == 2
    assert told in done.err


def test_a_missing_package_is_reported_with_how_to_install_it(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    done = kit.landing("report")
    assert done.code == 2
    assert "needs jinja2, which is not installed: pip install 'dlt-landing[report]'" in done.err


def shop(kit: Kit, api: Api) -> None:
    api.set_rows("orders", [{**ORDER, "id": number} for number in range(20)])
    kit.add_source("shop", STREAMS)
    kit.configure("shop", "orders", fields=FIELDS, cursor_field=["updated_at"])
    for name, value in api.env().items():
        pytest.MonkeyPatch().setenv(name, value)


def put(zone: Zone, table: pa.Table, moment: datetime = NOW - timedelta(hours=2)) -> None:
    load_id = f"{moment.timestamp():017.6f}"
    sink = pa.BufferOutputStream()
    pq.write_table(with_lineage(table, load_id), sink, row_group_size=5_000)
    path = StreamPaths("shop", "orders").part(load_id, 0)
    obstore.put(zone.store, path, sink.getvalue().to_pybytes())
