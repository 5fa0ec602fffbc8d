"""`make dagster` for real: its UI in a real browser, and its daemon, which keeps the schedule.

All tests of this file share one running Dagster.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from dotenv import dotenv_values
from playwright.sync_api import Browser, Page

from tests.kit import REPOSITORY
from tests.lake import reading
from tests.test_demo import is_running

pytestmark = pytest.mark.timeout(900)
SECONDS = 200.0
"""For anything that is waited for; a start of all that there is takes ten on an idle machine."""
EVENTS = """
query($key: AssetKeyInput!) { assetOrError(assetKey: $key) { ... on Asset {
    assetMaterializations(limit: 1) { runId runOrError { ... on Run { tags { key value } } } }
} } }
"""
STATUS = "query($run: ID!) { runOrError(runId: $run) { ... on Run { status } } }"
RELOAD = 'mutation { reloadRepositoryLocation(repositoryLocationName: "landing") { __typename } }'
UNDER_WAY = """
{ runsOrError(filter: {statuses: [STARTED]}) { ... on Runs {
    results { runId assetSelection { path } } } } }
"""


@dataclass(frozen=True)
class Demo:
    url: str
    folder: Path

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        with urlopen(request, timeout=SECONDS) as answer:
            found: dict[str, Any] = json.load(answer)
        assert "errors" not in found, found
        return found["data"]

    def last_run(self, *key: str) -> str | None:
        """The id of the run that materialized the asset last."""
        last = self._last_materialization(*key)
        return str(last["runId"]) if last else None

    def tags_of_last_run(self, *key: str) -> dict[str, str]:
        """Of the run that materialized the asset last; none if none has."""
        last = self._last_materialization(*key)
        return {tag["key"]: tag["value"] for tag in last["runOrError"]["tags"]} if last else {}

    def _last_materialization(self, *key: str) -> dict[str, Any] | None:
        asset = self.ask(EVENTS, key={"path": key})["assetOrError"]
        return next(iter(asset.get("assetMaterializations", [])), None)

    def run_under_way(self, *key: str) -> str | None:
        """Its id; None if no run of this asset has started."""
        for run in self.ask(UNDER_WAY)["runsOrError"]["results"]:
            if {"path": list(key)} in (run["assetSelection"] or []):
                return str(run["runId"])
        return None

    def status(self, run: str) -> str:
        return str(self.ask(STATUS, run=run)["runOrError"]["status"])


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """`make dagster`, ended by Ctrl-C, of which nothing may be left."""
    folder = tmp_path_factory.mktemp("demo")
    process = subprocess.Popen(
        [sys.executable, "-m", "demo.dagster"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    told: list[str] = []
    for line in process.stdout:
        told.append(line)
        if found := re.search(r"the UI +(http://\S+)", line):
            break
    else:
        pytest.fail("".join(told))
    try:
        yield Demo(found[1], folder / ".demo")
    finally:
        dagster = int((folder / ".demo" / "dagster" / "pid").read_text())
        os.killpg(process.pid, signal.SIGINT)
        rest, _ = process.communicate(timeout=100)
        assert (process.returncode, "Traceback" in rest) == (0, False), rest
        for group in (process.pid, dagster):
            await_it(lambda group=group: not is_running(group))


@pytest.fixture
def page(demo: Demo, browser: Browser) -> Iterator[Page]:
    """A page of the UI, which asks nobody else for anything."""
    opened = browser.new_page(viewport={"width": 1400, "height": 1700})
    opened.set_default_timeout(SECONDS * 1000)
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    yield opened
    print(opened.url, opened.inner_text("body"), sep="\n")  # seen if the test failed
    print(*(demo.folder / "dagster" / "dev.log").read_text().splitlines()[-40:], sep="\n")
    opened.close()
    own = (demo.url, demo.url.replace("http", "ws"), "data:", "blob:")
    assert [url for url in asked if not url.startswith(own)] == []


def test_an_asset_is_materialized_in_the_ui_and_shows_its_metadata_and_checks(
    demo: Demo, page: Page
) -> None:
    before = demo.last_run("datasette", "airports")
    page.goto(f"{demo.url}/assets/datasette/airports")
    page.locator("button", has_text=re.compile("^Materialize$")).click()
    await_it(lambda: demo.last_run("datasette", "airports") not in (None, before))
    page.reload()
    page.get_by_text("s3://landing/raw/datasette/airports").wait_for()
    page.get_by_text("1458", exact=True).wait_for()
    page.get_by_text("[Show Markdown]").click()
    page.get_by_text("Lansdowne Airport").wait_for()
    page.screenshot(path=demo.folder / "metadata.png")
    page.keyboard.press("Escape")

    page.goto(f"{demo.url}/assets/datasette/airports?view=checks")
    page.get_by_text("Checks (4)").wait_for()
    page.get_by_text("Succeeded").nth(2).wait_for()
    page.get_by_text("keys", exact=True).first.click()
    page.get_by_text("1,458 rows of the newest load: 0 have the key of another row").wait_for()
    page.screenshot(path=demo.folder / "checks.png")


TICKS = """\
import time
from pathlib import Path
import dlt

@dlt.resource(primary_key="id")
def ticks(n=dlt.sources.incremental("n", initial_value=0)):
    for first in range(0, 100_000, 1_000):
        while first == 20_000 and not Path(__file__).with_name("go-on").exists():
            time.sleep(0.1)
        yield [{"id": n, "n": n} for n in range(first, first + 1_000)]
"""


def test_a_run_terminated_in_the_ui_ends_cleanly_and_loses_nothing(demo: Demo, page: Page) -> None:
    orchestration = demo.folder / "orchestration"
    source, configs = (orchestration / part / "slow" for part in ("dlt/sources", "dag/streams"))
    source.mkdir()
    configs.mkdir()
    (source / "__init__.py").write_text(TICKS)
    fields = {"id": {"type": "integer"}, "n": {"type": "integer"}}
    config = {"stream": "ticks", "selected": True, "cursor_field": ["n"], "fields": fields}
    (configs / "ticks.json").write_text(json.dumps(config))
    demo.ask(RELOAD)

    page.goto(f"{demo.url}/assets/slow/ticks")
    page.locator("button", has_text=re.compile("^Materialize$")).click()
    run = await_it(lambda: demo.run_under_way("slow", "ticks"))
    page.goto(f"{demo.url}/runs/{run}")
    page.get_by_text("rows read").first.wait_for()
    assert landing(demo, "status", "slow").stdout.count("running") == 1
    page.locator("button", has_text=re.compile("^Terminate")).first.click()
    page.locator("[role=dialog] button", has_text=re.compile("^Terminate 1 run")).click()
    page.get_by_text("Canceled").first.wait_for()
    assert await_it(lambda: demo.status(run) != "CANCELING" and demo.status(run)) == "CANCELED"

    (source / "go-on").touch()
    next_run = landing(demo, "run", "slow", "ticks")  # it would refuse, were the lease still held
    assert "slow/ticks: 100,000 rows" in next_run.stdout, next_run.stderr
    verified = landing(demo, "verify", "slow", "ticks")
    assert (verified.returncode, "100,000 rows" in verified.stdout) == (0, True), verified.stdout


def landing(demo: Demo, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from landing.cli import main; sys.exit(main())",
            *words,
        ],
        cwd=demo.folder / "orchestration" / "dlt",
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )


def test_the_daemon_starts_what_is_due_and_nobody_switched_it_on(demo: Demo) -> None:
    tags = await_it(lambda: demo.tags_of_last_run("datasette", "flights"))
    assert tags["dagster/from_automation_condition"] == "true"
    assert tags["dagster/sensor_name"] == "landing_schedules"


def test_the_feeder_merges_what_landed_into_the_lake(
    demo: Demo, monkeypatch: pytest.MonkeyPatch
) -> None:
    tags = await_it(lambda: demo.tags_of_last_run("lake", "datasette", "flights"))
    assert tags["dagster/sensor_name"] == "feed_datasette_flights"
    for name, value in dotenv_values(demo.folder / ".env").items():
        monkeypatch.setenv(name, value or "")
    with closing(sqlite3.connect(demo.folder / "flights.db")) as database:
        (flights,) = database.execute("SELECT count(*) FROM flights").fetchone()
    with reading(os.environ["FEEDER_CATALOG"]) as lake:
        assert lake.sql("SELECT count(*) FROM lake.datasette.flights").fetchone() == (flights,)


def await_it(found: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if what := found():
            return what
        time.sleep(2.0)
    pytest.fail("waited in vain")
