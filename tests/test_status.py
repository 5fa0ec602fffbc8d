"""What a person sees of streams that run somewhere: how they are, their loads, their rows."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import time_machine
from rich.cells import cell_len

from landing.catalog.settings import bucket_settings
from landing.catalog.workspace import Workspace
from landing.cli.text.console import grid, say
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths
from landing.zone.lease import Lease
from landing.zone.lineage import with_lineage
from tests.kit import Kit, Zone
from tests.servers.api import Api

PATHS = StreamPaths("shop", "orders")
NAME = "shop/orders"
STREAMS = """\
import os

import dlt
from landing.http import Api, Bearer, OffsetPages


@dlt.resource(primary_key="id")
def orders(
    updated_at: dlt.sources.incremental[str] = dlt.sources.incremental(
        "updated_at", initial_value="2020-01-01 00:00:00"
    ),
):
    api = Api(os.environ["MY_API_URL"], auth=Bearer(os.environ["MY_API_KEY"]))
    params = {"since": updated_at.last_value}
    yield from api.pages("orders", records="data", params=params, paging=OffsetPages(limit=500))
"""
FIELDS = {
    "id": {"type": "integer"},
    "updated_at": {"type": "string", "format": "date-time"},
    "name": {"type": "string"},
    "total": {"type": "number"},
}
ORDER: dict[str, Any] = {"name": "new", "total": 1.5, "updated_at": "2024-06-01 00:00:00"}


@pytest.fixture
def shop(kit: Kit, api: Api, use: Callable[[Api], None]) -> Kit:
    use(api)
    api.set_rows("orders", api.rows()[:20])
    kit.add_source("shop", STREAMS)
    configure(kit)
    return kit


def configure(kit: Kit, **keys: Any) -> None:
    keys = {"fields": FIELDS, "cursor_field": ["updated_at"], "schedule": "0 * * * *", **keys}
    kit.configure("shop", "orders", **keys)


def bucket(kit: Kit) -> Bucket:
    return Bucket(bucket_settings(Workspace(kit.root)))


def status(kit: Kit, code: int) -> dict[str, Any]:
    done = kit.landing("status", "shop", "--json")
    assert done.code == code, done.text
    (found,) = json.loads(done.out)
    return dict(found)


def put(zone: Zone, moment: datetime, table: pa.Table) -> str:
    load_id = f"{moment.timestamp():017.6f}"
    sink = pa.BufferOutputStream()
    pq.write_table(with_lineage(table, load_id), sink, row_group_size=10)
    obstore.put(zone.store, PATHS.part(load_id, 0), sink.getvalue().to_pybytes())
    return load_id


# status


def test_a_stream_that_never_ran_is_late_and_one_that_landed_is_well(
    shop: Kit, zone: Zone, api: Api
) -> None:
    assert status(shop, 1)["status"] == "late"
    told = shop.landing("status")
    assert told.code == 1
    assert "shop/orders: landed never, but was due at " in told.out
    assert "→ `landing run shop orders` lands what is new" in told.out

    assert shop.run("shop", "orders").code == 0
    found = status(shop, 0)
    assert (found["status"], found["problems"], found["lease"]) == ("ok", [], None)
    assert found["last_load"]["rows"] == len(api.rows())
    assert found["last_load"]["kind"] == "run"
    last_run = datetime.fromisoformat(found["last_run"])
    assert timedelta() <= datetime.now(UTC) - last_run < timedelta(minutes=2)
    assert datetime.fromisoformat(found["due"]) > datetime.now(UTC)
    assert found["cursor"] == api.rows()[-1]["updated_at"]
    behind = datetime.now(UTC) - datetime.fromisoformat(found["cursor"] + "+00:00")
    assert abs(found["lag_seconds"] - behind.total_seconds()) < 120


def test_a_stale_stream_is_late_after_its_grace(shop: Kit, folder_zone: Zone) -> None:
    assert shop.run("shop", "orders").code == 0
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=3)):
        assert status(shop, 1)["problems"][0]["kind"] == "late"
        assert shop.landing("status", "--grace", "300").code == 0


def test_records_in_quarantine_are_shown_until_they_have_landed(
    shop: Kit, api: Api, folder_zone: Zone
) -> None:
    api.add("orders", {**ORDER, "id": "A-17"})
    assert shop.run("shop", "orders").code == 0
    found = status(shop, 1)
    assert (found["status"], found["quarantined"]) == ("quarantine", 1)
    told = shop.landing("status").out
    assert "shop/orders: 1 record waits in quarantine" in told
    assert "`landing quarantine list shop orders` shows why" in told
    assert "1 in quarantine" in shop.landing("history", "shop", "orders").out

    configure(shop, fields={**FIELDS, "id": {"type": "string"}})
    assert shop.landing("quarantine", "land", "shop", "orders").code == 0
    assert status(shop, 0)["last_load"]["kind"] == "quarantine"
    assert "from quarantine, of 1 load" in shop.landing("history", "shop", "orders").out


def test_a_run_above_its_quarantine_limit_is_shown_as_failed(
    shop: Kit, api: Api, folder_zone: Zone
) -> None:
    configure(shop, quarantine_limit=0)
    api.add("orders", {**ORDER, "id": "A-17"})
    assert shop.run("shop", "orders").code == 1
    found = status(shop, 1)
    assert (found["status"], found["failed_run"]) == ("failed", 1)
    remedy = found["problems"][0]["remedy"]
    shown = re.search(r"`landing (quarantine show shop orders --failed)`", remedy)
    assert shown is not None
    assert "A-17" in shop.landing(*shown[1].split()).out


def test_the_holder_of_the_lease_is_shown_and_whether_it_died(shop: Kit, folder_zone: Zone) -> None:
    assert shop.run("shop", "orders").code == 0
    with Lease(bucket(shop), PATHS.lease, NAME):
        found = status(shop, 0)
        assert found["status"] == "running"
        assert f"process {os.getpid()} on " in found["lease"]["holder"]
        assert f"another run is under way: process {os.getpid()}" in shop.landing("status").out
        with time_machine.travel(datetime.now(UTC) + timedelta(minutes=3)):
            died = status(shop, 1)
    assert died["status"] == "died"
    assert died["lease"]["is_dead"]
    assert status(shop, 0)["status"] == "ok"


def test_a_load_that_was_cut_off_is_shown_until_the_next_run(
    shop: Kit, api: Api, folder_zone: Zone
) -> None:
    assert shop.run("shop", "orders").code == 0
    left = put(folder_zone, datetime.now(UTC), pa.table({"id": [1]}))
    found = status(shop, 1)
    assert found["status"] == "died"
    assert f"load {left} died" in found["problems"][0]["message"]
    api.add("orders", {**ORDER, "id": 9_001})
    assert shop.run("shop", "orders").code == 0
    assert status(shop, 0)["status"] == "ok"


def test_a_backfill_in_progress_is_shown(shop: Kit, api: Api, folder_zone: Zone) -> None:
    assert shop.run("shop", "orders").code == 0
    api.fail_next(status=401, after=1)
    words = ["--from", "2024-01-01", "--to", "2024-01-03", "--by", "day"]
    assert shop.landing("backfill", "shop", "orders", *words).code == 1
    (unfinished,) = status(shop, 0)["backfills"]
    assert (unfinished["windows"], unfinished["begun"]) == (2, 0)
    assert unfinished["command"] == f"landing backfill shop orders {' '.join(words)}"
    out = shop.landing("status").out
    assert "a backfill is unfinished since " in out
    assert f"`{unfinished['command']}` resumes it" in out
    # What a process does before it reads a window.
    bucket(shop).create(PATHS.begun_window(unfinished["id"], 0), b"token")
    assert status(shop, 0)["backfills"][0]["begun"] == 1
    assert "a backfill is in progress since " in shop.landing("status").out


def test_gained_and_lost_fields_are_shown_until_the_config_is_adapted(
    shop: Kit, api: Api, folder_zone: Zone
) -> None:
    configure(shop, fields={**FIELDS, "code": {"type": "string"}})
    row = {"updated_at": ORDER["updated_at"], "total": 1, "code": 7, "tip": 0.5}
    rows = [{"id": n, **row} for n in range(99)]
    api.set_rows("orders", rows)
    assert shop.run("shop", "orders").code == 0
    changed = {"code": "string → integer"}
    seen = {"gained": {"tip": "number"}, "lost": [], "changed": changed}
    assert status(shop, 0)["drift"] == seen, "99 records are too few to miss a field in"

    api.set_rows("orders", [{**row, "updated_at": "2024-06-02 00:00:00"} for row in rows * 2])
    assert shop.run("shop", "orders").code == 0
    assert status(shop, 0)["drift"] == {**seen, "lost": ["name"]}
    told = shop.landing("status").out
    assert "shop/orders: the source's fields have changed: + tip (number); − name; ~ code: " in told
    assert "→ `landing discover shop orders` updates the discovered schema" in told

    fields = {**FIELDS, "tip": {"type": "number"}, "code": {"type": "string"}}
    del fields["name"]
    configure(shop, fields=fields)
    assert status(shop, 0)["drift"] == {"gained": {}, "lost": [], "changed": changed}
    fields["code"] = {"type": ["string", "integer"]}
    configure(shop, fields=fields)
    assert status(shop, 0)["drift"] is None


def test_a_broken_config_and_a_damaged_state_are_rows_among_the_others(
    shop: Kit, folder_zone: Zone
) -> None:
    shop.configure("shop", "broken", "{")
    shop.configure("shop", "left_out", fields=FIELDS, selected=False)
    obstore.put(folder_zone.store, PATHS.state, b"no state")
    done = shop.landing("status", "shop", "--json")
    assert done.code == 1
    found = {one["stream"]: one for one in json.loads(done.out)}
    assert sorted(found) == ["broken", "orders"]
    assert {one["status"] for one in found.values()} == {"unreadable"}
    assert "state.json is damaged" in found["orders"]["problems"][0]["message"]


def test_a_table_fits_80_columns_and_a_pipe_has_names_whole() -> None:
    rows = [("a_source_of_ours/a_stream_with_a_long_name_as_some_have", "quarantine", "12,345,678")]
    titles = ("STREAM", "STATUS", "ROWS")
    narrow = grid(titles, rows, 40, right=("ROWS",))
    assert max(map(cell_len, narrow)) <= 40
    assert narrow[1].endswith("…  quarantine  12,345,678")
    assert narrow[0].endswith("      ROWS")
    assert rows[0][0] in grid(titles, rows, None)[1]
    assert grid(("A", "B"), [("注文", "x")], None) == ["A     B", "注文  x"]
    assert max(map(cell_len, grid(("A",), [("注文" * 20,)], 20))) <= 20


def test_a_long_line_goes_on_under_its_own_text(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", "26")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    terminal, pipe = Terminal(), StringIO()
    for out in (terminal, pipe):
        say("one two three four five six", mark="  → ", to=out)
        say("see https://shop.example.com/a/long/address", mark="  → ", to=out)
    assert terminal.getvalue() == (
        "  → one two three four\n    five six\n"
        "  → see\n    https://shop.example.com/a/long/address\n"
    )
    assert pipe.getvalue() == (
        "  → one two three four five six\n  → see https://shop.example.com/a/long/address\n"
    )


# history


def test_history_lists_loads_newest_first(shop: Kit, api: Api, folder_zone: Zone) -> None:
    assert (
        "nothing has landed yet; `landing run shop orders`"
        in shop.landing("history", "shop", "orders").out
    )
    assert shop.run("shop", "orders").code == 0
    api.add("orders", {**ORDER, "id": 9_001})
    assert shop.run("shop", "orders").code == 0
    newest, first = json.loads(shop.landing("history", "shop", "orders", "--json").out)
    assert set(newest) == {
        *("load_id", "kind", "sync_mode", "started", "finished", "seconds", "read", "rows"),
        *("deleted", "files", "bytes", "quarantined", "read_from", "cursor_before"),
        *("gone", "below_cursor", "known", "repeated", "superseded"),
        *("cursor_after", "backfill", "from_quarantine", "error", "message"),
    }
    assert newest["load_id"] > first["load_id"]
    assert (first["rows"], first["files"], newest["rows"]) == (20, 1, 1)
    assert first["cursor_before"] == "2020-01-01 00:00:00"
    assert (newest["cursor_before"], newest["cursor_after"]) == (
        first["cursor_after"],
        ORDER["updated_at"],
    )
    one = shop.landing("history", "shop", "orders", "--limit", "1").out
    assert newest["load_id"] in one
    assert first["load_id"] not in one
    assert f"cursor {newest['cursor_before']} → {newest['cursor_after']}" in one


# show


def test_rows_that_meet_a_condition_are_shown_from_s3(shop: Kit, api: Api, zone: Zone) -> None:
    assert shop.run("shop", "orders").code == 0
    api.add("orders", {**ORDER, "id": 9_001})
    assert shop.run("shop", "orders").code == 0
    newest = shop.landing("show", "shop", "orders", "--newest", "--limit", "2", "--json")
    ids = [json.loads(line)["id"] for line in newest.out.splitlines()]
    assert ids == [9_001, api.rows()[-2]["id"]]

    words = ["--where", "total = 1.5 AND name LIKE 'n%' -- the new one", "--columns", "name,id"]
    told = shop.landing("show", "shop", "orders", *words)
    assert told.out == "name    id\nnew   9001\n"
    assert (
        "no row of 2 files matches"
        in shop.landing("show", "shop", "orders", "--where", "id < 0").out
    )


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("totl > 5", 'Referenced column "totl" not found'),
        ("id = 'abc'", "Could not convert string 'abc'"),
        ("id = ", "syntax error"),
        ("name IN (SELECT * FROM read_text('/etc/hostname'))", "disabled by configuration"),
    ],
)
def test_a_wrong_condition_is_reported_in_one_line(
    kit: Kit, folder_zone: Zone, where: str, told: str
) -> None:
    put(folder_zone, datetime(2025, 3, 1, tzinfo=UTC), pa.table({"id": [1], "name": ["x"]}))
    done = kit.landing("show", "shop", "orders", "--where", where)
    assert done.code == 2
    assert told in done.err
    assert len(done.err.splitlines()) == 1


def test_of_years_of_files_only_a_few_are_read(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in range(30):
        moment = datetime(2025, 3, 1, tzinfo=UTC) + timedelta(days=day)
        put(folder_zone, moment, pa.table({"id": range(day * 20, day * 20 + 20)}))
    opened: list[str] = []
    file = Bucket.file
    monkeypatch.setattr(Bucket, "file", lambda *words: opened.append(words[1]) or file(*words))
    shown = kit.landing("show", "shop", "orders", "--newest", "--columns", "id", "--limit", "25")
    assert [int(line) for line in shown.out.split()[1:]] == list(range(599, 574, -1))
    assert len(opened) == 2

    opened.clear()
    none = kit.landing("show", "shop", "orders", "--where", "id < 0", "--scan-mb", "1")
    assert len(opened) == 16
    assert "read 16 of 30 files; a --scan-mb above 1 reads more" in none.err


def test_columns_that_only_some_files_have_are_null_in_the_others(
    shop: Kit, api: Api, folder_zone: Zone
) -> None:
    assert shop.run("shop", "orders").code == 0
    configure(shop, fields={**FIELDS, "note": {"type": "string"}})
    api.add("orders", {**ORDER, "id": 9_001, "note": "gift"})
    assert shop.run("shop", "orders").code == 0
    words = ["show", "shop", "orders", "--columns", "id,note", "--json"]
    found = shop.landing(*words, "--where", "note IS NULL OR note = 'gift'", "--limit", "99").out
    rows = [json.loads(line) for line in found.splitlines()]
    assert len(rows) == 21
    assert rows[-1] == {"id": 9_001, "note": "gift"}
    wrong = shop.landing("show", "shop", "orders", "--columns", "id,nte")
    assert wrong.code == 2
    assert "no file has a column 'nte'; did you mean 'note'?" in wrong.err


def test_what_strangers_wrote_does_not_steer_the_terminal(kit: Kit, folder_zone: Zone) -> None:
    table = pa.table({"id": [1], "name": ["\x1b[2Jx"], "tags": [[{"a": 1}]]})
    put(folder_zone, datetime(2025, 3, 1, tzinfo=UTC), table)
    out = kit.landing("show", "shop", "orders").out
    assert "\x1b" not in out
    assert "\\u001b[2Jx" in out
    assert '[{"a":1}]' in out


def test_a_condition_without_duckdb_says_what_to_install(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder_zone, datetime(2025, 3, 1, tzinfo=UTC), pa.table({"id": [1]}))
    monkeypatch.setitem(sys.modules, "duckdb", None)
    assert kit.landing("show", "shop", "orders").code == 0
    done = kit.landing("show", "shop", "orders", "--where", "id = 1")
    assert done.code == 2
    assert "pip install 'dlt-landing[tables]'" in done.err
