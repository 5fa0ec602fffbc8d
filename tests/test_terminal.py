"""A run as a person at a terminal sees it, and what is told instead where nobody watches."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

import pytest

from tests.kit import Kit, Zone
from tests.servers.api import Api
from tests.terminal import Screen, terminal

# Each page but the last is given once the file `go` is there.
STREAMS = """\
import os
import time
from pathlib import Path

import dlt
from landing.http import Api, Bearer, OffsetPages

GO = Path(__file__).parents[4] / "go"


def shop():
    return Api(os.environ["MY_API_URL"], auth=Bearer(os.environ["MY_API_KEY"]))


def until_told():
    while not GO.exists():
        time.sleep(0.02)


@dlt.resource(primary_key="id")
def orders(
    updated_at: dlt.sources.incremental[str] = dlt.sources.incremental(
        "updated_at", initial_value="2020-01-01 00:00:00"
    ),
):
    params = {"since": updated_at.last_value}
    for page in shop().pages("orders", records="data", params=params, paging=OffsetPages(500)):
        yield page
        until_told()


@dlt.resource
def broken():
    yield {"id": 1}
    until_told()
    raise RuntimeError("no luck")


@dlt.resource
def few():
    yield [{"id": number} for number in range(7)]
"""
MANY = """\
import time
from pathlib import Path

import dlt

GO = Path(__file__).parents[4] / "go"


def stream(number):
    @dlt.resource(name=f"stream_of_a_long_name_{number}")
    def rows():
        yield [{"id": 1}]
        while not GO.exists():
            time.sleep(0.02)

    return rows


@dlt.source
def many():
    return [stream(number) for number in range(20)]
"""
FIELDS = {
    "id": {"type": "integer"},
    "updated_at": {"type": "string", "format": "date-time"},
    "name": {"type": "string"},
    "gone": {"type": "string"},
}
Watch = Callable[..., AbstractContextManager[Screen]]


@pytest.fixture
def shop(kit: Kit, api: Api, zone: Zone, use: Callable[[Api], None]) -> Kit:
    use(api)
    api.tells_total = True
    kit.add_source("shop", STREAMS)
    kit.configure("shop", "orders", cursor_field=["updated_at"], fields=FIELDS)
    for stream in ("broken", "few"):
        kit.configure("shop", stream, fields={"id": {"type": "integer"}})
    return kit


@pytest.fixture
def watched(kit: Kit) -> Watch:
    """`landing …` in a terminal, as a person starts it."""

    def watch(
        *words: str, columns: int = 80, rows: int = 50, out: IO[bytes] | None = None, **env: str
    ) -> AbstractContextManager[Screen]:
        command = [str(Path(sys.executable).with_name("landing")), *words]
        around = environment(**{"TERM": "xterm-256color", **env})
        folder = kit.root / "dlt"
        return terminal(command, around, folder, columns=columns, rows=rows, out=out)

    return watch


def environment(**env: str) -> dict[str, str]:
    decides = ("CI", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")
    return {**{n: v for n, v in os.environ.items() if n not in decides}, **env}


def go(kit: Kit) -> None:
    (kit.repository / "go").touch()


def test_lines_move_while_a_run_goes_on_and_a_table_is_left_at_its_end(
    shop: Kit, watched: Watch
) -> None:
    with watched("run", "shop", "--all") as screen:
        screen.until("• orders", "500 of 2,350", "1 page", "reads", "✓ few", "7", "done")
        assert screen.cursor_is_hidden
        assert screen.lines[-1].startswith("shop: 1 of 3 streams done, 508 rows read")
        go(shop)
        assert screen.end() == 1
        assert not screen.cursor_is_hidden
        shown = screen.text
    assert "•" not in shown, "the lines that moved are gone"
    titles = re.search(r"^STREAM +READ +ROWS +FILES +SIZE +TIME$", shown, re.MULTILINE)
    assert titles, shown
    assert re.search(r"^few +7 +7 +1 +\d\.\d KB +\d+\.\d s$", shown, re.MULTILINE), shown
    assert re.search(r"^orders +2,350 +2,350 +1 ", shown, re.MULTILINE), shown
    assert re.search(r"  cursor 2020-01-01 00:00:00 → 2024-01-01 05:35:00", shown), shown
    assert "− gone" in shown
    assert "`landing discover shop orders` updates the discovered schema" in shown
    assert "error: stream 'shop/broken'" in shown


def test_a_line_says_what_a_stream_waits_for_and_ctrl_c_gives_the_cursor_back(
    shop: Kit, api: Api, watched: Watch
) -> None:
    api.rate_limit_next(1, retry_after=200)
    with watched("run", "shop", "orders") as screen:
        screen.until("1 retry (429)", "to retry (429)")
        assert re.search(r"waits \d min to retry", screen.text), screen.text
        screen.process.send_signal(signal.SIGINT)
        assert screen.end() == 130
        assert not screen.cursor_is_hidden
        counts, end = screen.lines
        assert counts.startswith("shop/orders: 0 rows read, ")
        assert counts.endswith("1 retry (429); interrupted")
        assert end == "interrupted; the next run continues from the last load"


def test_sigterm_gives_the_cursor_back(shop: Kit, watched: Watch) -> None:
    with watched("run", "shop", "orders") as screen:
        screen.until("500 of 2,350")
        screen.process.terminate()
        assert screen.end() == 143
        assert not screen.cursor_is_hidden
        assert "•" not in screen.text
        assert screen.lines[0].startswith("shop/orders: 500 of 2,350 rows read, 1 page")


def test_many_streams_fit_a_small_terminal(kit: Kit, zone: Zone, watched: Watch) -> None:
    kit.add_source("many", MANY)
    names = [f"stream_of_a_long_name_{number}" for number in range(20)]
    for name in names:
        kit.configure("many", name, fields={"id": {"type": "integer"}})
    with watched("run", "many", "--all", "--workers", "20", columns=40, rows=12) as screen:
        screen.until("many: 0 of 20 streams done, 20 rows")
        assert len(screen.lines) <= 12
        assert all(len(line) < 40 for line in screen.lines), screen.text
        assert sum(line.startswith("• stream_of_a_") for line in screen.lines) >= 9
        go(kit)
        assert screen.end() == 0
        assert "stream_of_a_long_name_9: 1 row," in screen.text, "no table, but nothing is cut"
    assert sum(len(zone.parts("many", name)) for name in names) == 20


def test_what_is_printed_stands_above_the_lines_and_in_a_file_as_it_is(
    shop: Kit, watched: Watch, tmp_path: Path
) -> None:
    file = tmp_path / "out"
    with file.open("wb") as out, watched("run", "shop", "orders", out=out) as screen:
        screen.until("500 of 2,350")
        go(shop)
        assert screen.end() == 0
    told = file.read_text()
    assert "shop/orders: no record had gone; such columns are all null\n" in told
    assert "shop/orders: 2,350 rows in 1 file" in told
    assert "\x1b" not in told


@pytest.mark.parametrize("env", [{"CI": "true"}, {"TERM": "dumb"}])
def test_where_nobody_watches_nothing_moves(shop: Kit, watched: Watch, env: dict[str, str]) -> None:
    go(shop)
    with watched("run", "shop", "orders", LANDING_PROGRESS_SECONDS="0", **env) as screen:
        assert screen.end() == 0
        assert b"\x1b[?25l" not in screen.raw, "the cursor stays where it is, and seen"
        assert b"\r\x1b[2K" not in screen.raw
        assert screen.lines[0].startswith("shop/orders: 2,350 rows")


def test_no_color_is_kept_to_and_nothing_is_lost(shop: Kit, watched: Watch) -> None:
    colours = re.compile(rb"\x1b\[(3[0-7]|9[0-7]|[34]8;)[\d;]*m")
    for env, is_coloured in (({"NO_COLOR": "1"}, False), ({}, True)):
        (shop.repository / "go").unlink(missing_ok=True)
        with watched("run", "shop", "orders", "few", **env) as screen:
            screen.until("• orders", "✓ few")
            go(shop)
            screen.end()
            assert bool(colours.search(screen.raw)) is is_coloured


def test_discovery_says_which_stream_it_samples(shop: Kit, watched: Watch) -> None:
    with watched("discover", "shop", "broken") as screen:
        screen.until("• shop: samples broken (1 of 1)")
        go(shop)
        assert screen.end() == 1
        assert not screen.cursor_is_hidden
        assert screen.lines[0].startswith("error: stream 'shop/broken'")


def test_a_backfill_says_how_far_it_is(shop: Kit, watched: Watch) -> None:
    days = ("--from", "2024-01-01", "--to", "2024-01-03", "--by", "day")
    with watched("backfill", "shop", "orders", *days) as screen:
        screen.until("shop/orders: 2 windows", "• shop/orders  0 rows read")
        go(shop)
        assert screen.end() == 0
        assert not screen.cursor_is_hidden
        assert "•" not in screen.text
        assert "2 of 2 windows done, 2,350 rows" in screen.text.replace("\n", " ")


def piped(kit: Kit, *words: str, **env: str) -> AbstractContextManager[subprocess.Popen[str]]:
    return subprocess.Popen(
        [str(Path(sys.executable).with_name("landing")), *words],
        cwd=kit.root / "dlt",
        env=environment(**env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(lines: IO[str], wanted: Callable[[str], bool]) -> Iterator[str]:
    """Lines to the first that is wanted."""
    for line in lines:
        yield line
        if wanted(line):
            return
    raise AssertionError("no such line")


def test_a_log_has_a_line_now_and_then_and_results_as_ever(shop: Kit) -> None:
    with piped(shop, "run", "shop", "orders", LANDING_PROGRESS_SECONDS="0.2") as run:
        assert run.stderr is not None
        *_, line = until(run.stderr, lambda line: "1 page" in line)
        go(shop)
        out, _ = run.communicate(timeout=90)
    assert line.startswith("shop/orders: 500 of 2,350 rows read, 1 page")
    assert line.endswith("; reads\n")
    assert "\x1b" not in line + out
    assert "shop/orders: 2,350 rows in 1 file" in out


def test_ci_and_short_runs_have_no_such_line(shop: Kit) -> None:
    go(shop)
    for env in ({"CI": "true", "LANDING_PROGRESS_SECONDS": "0.001"}, {}):
        with piped(shop, "run", "shop", "few", **env) as run:
            _, err = run.communicate(timeout=90)
        assert err == ""


def test_a_json_log_has_an_event_now_and_then(shop: Kit) -> None:
    words = ("run", "shop", "orders", "--log-format", "json")
    with piped(shop, *words, LANDING_PROGRESS_SECONDS="0.2") as run:
        assert run.stderr is not None

        def is_wanted(line: str) -> bool:
            event = json.loads(line)
            return bool(event["event"] == "progress" and event["pages"])

        *_, line = until(run.stderr, is_wanted)
        go(shop)
        run.communicate(timeout=90)
    event = json.loads(line)
    facts = {name: event[name] for name in ("stream", "doing", "rows", "total", "pages", "part")}
    assert facts == {
        "stream": "orders",
        "doing": "reading",
        "rows": 500,
        "total": 2_350,
        "pages": 1,
        "part": 1,
    }
    assert event["answer_bytes"] > 10_000


def test_a_malformed_interval_is_a_mistake_with_a_name(
    shop: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANDING_PROGRESS_SECONDS", "often")
    done = shop.run("shop", "few")
    assert done.code == 2
    assert "LANDING_PROGRESS_SECONDS is 'often': it has to be a number of seconds" in done.err


def test_json_is_one_document_with_all_streams(shop: Kit, api: Api) -> None:
    go(shop)
    api.add("orders", {"id": "x", "updated_at": "2024-06-01 00:00:00"})
    done = shop.run("shop", "--all", "--json")
    assert done.code == 1
    few, orders, broken = json.loads(done.out)
    assert (few["stream"], few["status"], few["rows"], few["read"]) == ("few", "landed", 7, 7)
    assert (orders["rows"], orders["read"], orders["quarantined"]) == (2_350, 2_351, 1)
    assert orders["cursor_before"] == "2020-01-01 00:00:00"
    assert orders["cursor_after"] == "2024-06-01 00:00:00"
    assert orders["drift"]["lost"] == ["gone"]
    assert orders["drift"]["gained"]["total"] == "number"
    assert orders["requests"] >= 5
    assert broken["status"] == "failed"
    assert broken["error"]["class"] == "StreamError"
    assert "no luck" in broken["error"]["message"]
    assert "1 record does not fit" in done.err
    assert "`landing quarantine show shop orders` shows the 1 record" in done.err
    again = shop.run("shop", "few", "--json")
    assert json.loads(again.out)[0]["status"] == "landed", "a full refresh"


def test_a_stream_with_a_table_counts_new_and_changed_rows(shop: Kit, api: Api) -> None:
    go(shop)
    config: Mapping[str, object] = {
        "cursor_field": ["updated_at"],
        "fields": FIELDS,
        "primary_key": [["id"]],
        "destination_sync_mode": "merge",
        "table_format": "delta",
    }
    shop.configure("shop", "orders", **config)
    shop.run("shop", "orders")
    api.update("orders", 7, name="seven")
    api.add("orders", {"id": 9_000, "name": "new", "updated_at": "2031-01-01 00:00:00"})
    second = shop.run("shop", "orders")
    assert "2 rows upserted (1 new, 1 changed)" in second.out, second.text
