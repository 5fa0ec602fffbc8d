"""A stream's state: looked at, moved by a person, and brought back, without losing a row."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest
from dlt.common.versioned_state import decompress_state
from dlt.pipeline.state_sync import generate_pipeline_state_version_hash

from demo.servers import S3Server
from landing.catalog.settings import bucket_settings
from landing.catalog.workspace import Workspace
from landing.zone.bucket import Bucket
from landing.zone.layout import StreamPaths
from landing.zone.lease import Lease
from landing.zone.previous_states import KEPT
from landing.zone.state import stored_by_us, stored_cursor, stored_load_id
from tests.kit import Kit, Zone
from tests.servers.proxy import refuses, serve_proxy

STREAM = """\
import json
from pathlib import Path
import dlt

FILE = Path(__file__).parents[4] / "rows.json"

def read(at):
    (FILE.parent / "asked.txt").write_text(str(at.last_value))
    yield [row for row in json.loads(FILE.read_text()) if at.last_value is None
           or row["at"] >= at.last_value]

@dlt.resource(primary_key="id")
def rows(at: dlt.sources.incremental[str] = dlt.sources.incremental("at")):
    yield from read(at)

@dlt.resource(primary_key="id")
def renamed(at: dlt.sources.incremental[str] = dlt.sources.incremental("at")):
    yield from read(at)

@dlt.resource(primary_key="id")
def remembering(at: dlt.sources.incremental[str] = dlt.sources.incremental("at")):
    dlt.current.resource_state()["page_token"] = "t-81f2"
    yield from read(at)
"""
TIME = {"type": "string", "format": "date-time"}
STATE = "_dlt/shop/rows/state.json"


@pytest.fixture
def shop(kit: Kit, folder_zone: Zone) -> Kit:
    kit.add_source("shop", STREAM)
    for stream in ("rows", "renamed", "remembering"):
        configure(kit, stream)
    give(kit, *range(60))
    return kit


def configure(kit: Kit, stream: str = "rows", **keys: Any) -> None:
    fields = {"id": {"type": "integer"}, "at": TIME}
    kit.configure("shop", stream, **{"cursor_field": ["at"], "fields": fields, **keys})


def give(kit: Kit, *minutes: int) -> None:
    text = json.dumps([{"id": number, "at": minute(number)} for number in minutes])
    (kit.repository / "rows.json").write_text(text)


def minute(number: int) -> str:
    return f"2026-01-05 10:{number:02}:00"


def asked(kit: Kit) -> str:
    return (kit.repository / "asked.txt").read_text()


def bucket(kit: Kit) -> Bucket:
    return Bucket(bucket_settings(Workspace(kit.root)))


def load_id(kit: Kit, stream: str = "rows") -> str:
    found = stored_load_id(bucket(kit), StreamPaths("shop", stream))
    assert found is not None
    return found


def state(kit: Kit, *words: str) -> str:
    done = kit.landing("state", *words)
    assert done.code == 0, done.text
    return done.out


def shown(kit: Kit, stream: str = "rows") -> dict[str, Any]:
    document: dict[str, Any] = json.loads(state(kit, "shop", stream, "--json"))
    return document


def rows_landed(kit: Kit, stream: str = "rows") -> int:
    """By one more run."""
    done = kit.run("shop", stream)
    assert done.code == 0, done.text
    if "nothing new" in done.out:
        return 0
    return int(done.out.split(f"shop/{stream}: ")[1].split(" row")[0])


def test_the_state_is_shown(shop: Kit) -> None:
    configure(shop, lookback="30m")
    assert "shop/rows: no state yet" in state(shop, "shop", "rows")
    assert rows_landed(shop) == 60
    told = state(shop, "show", "shop", "rows")
    assert "at: 2026-01-05 10:59:00" in told
    assert "reads from 2026-01-05 10:29:00, the lookback of 0:30:00 behind it" in told
    assert "60 rows in 1 file" in told
    assert "version 1" in told
    assert "free" in told
    seen = shown(shop)
    assert seen["cursor"] == minute(59)
    assert seen["last_load"]["load_id"] == load_id(shop)
    with Lease(bucket(shop), "_dlt/shop/rows/lease.json", "shop/rows"):
        assert "holds the lease since" in shown(shop)["lease"]


def test_a_streams_own_state_is_shown_by_name_and_never_by_value(shop: Kit) -> None:
    rows_landed(shop, "remembering")
    told = state(shop, "shop", "remembering")
    assert "page_token" in told
    assert "t-81f2" not in told
    assert "what the stream itself stores is removed, too: page_token" in state(
        shop, "reset", "shop", "remembering", "--yes"
    )
    assert shown(shop, "remembering")["keeps"] == []


def test_a_stream_without_a_config_is_shown_from_the_bucket_alone(shop: Kit) -> None:
    rows_landed(shop)
    shop.config_file("shop", "rows").unlink()
    assert shown(shop)["cursor"] == minute(59)


@pytest.mark.parametrize("lookback", [None, "30m"])
def test_a_cursor_that_is_moved_back_lands_rows_again(
    shop: Kit, folder_zone: Zone, lookback: str | None
) -> None:
    configure(shop, lookback=lookback)
    assert rows_landed(shop) == 60
    assert rows_landed(shop) == 0
    first = load_id(shop)
    told = state(shop, "set", "shop", "rows", "--cursor", minute(50), "--yes")
    assert f"cursor at: {minute(59)} → {minute(50)}" in told
    assert "rows from there on that have landed before land again" in told
    start = 20 if lookback else 50
    assert rows_landed(shop) == 60 - start
    assert asked(shop) == minute(start)
    assert load_id(shop) > first
    assert rows_landed(shop) == 0
    assert folder_zone.query(
        "shop", "rows", "SELECT count(*), count(DISTINCT id), count(DISTINCT _dlt_id) FROM landed"
    ) == [(120 - start, 60, 120 - start)]


def test_a_cursor_that_is_moved_on_skips_and_says_so(shop: Kit) -> None:
    give(shop, *range(10))
    rows_landed(shop)
    give(shop, *range(60))
    told = state(shop, "set", "shop", "rows", "--cursor", minute(40), "--yes")
    assert f"rows between {minute(9)} and {minute(40)} that have not landed are skipped" in told
    assert rows_landed(shop) == 20


def test_moved_on_within_the_lookback_what_has_landed_does_not_land_again(shop: Kit) -> None:
    configure(shop, lookback="30m")
    give(shop, *range(40))
    rows_landed(shop)
    give(shop, *range(60))
    state(shop, "set", "shop", "rows", "--cursor", minute(50), "--yes")
    # From minute 20 on: 20 to 39 are known.
    assert rows_landed(shop) == 20
    assert asked(shop) == minute(20)


def test_a_cursor_that_is_set_to_where_it_is_lands_rows_of_that_value_again(shop: Kit) -> None:
    rows_landed(shop)
    state(shop, "set", "shop", "rows", "--cursor", minute(59), "--yes")
    assert rows_landed(shop) == 1


def test_a_cursor_can_be_set_before_the_first_run_and_taken_back(shop: Kit) -> None:
    state(shop, "set", "shop", "rows", "--cursor", minute(58), "--yes")
    assert rows_landed(shop) == 2
    first = load_id(shop)
    assert "the next run reads from the start" in state(shop, "restore", "shop", "rows", "--yes")
    assert load_id(shop) == first
    assert rows_landed(shop) == 60
    assert load_id(shop) > first


def test_a_reset_reads_from_the_start_under_ascending_load_ids(
    shop: Kit, folder_zone: Zone
) -> None:
    rows_landed(shop)
    first = load_id(shop)
    state(shop, "reset", "shop", "rows", "--yes")
    assert load_id(shop) == first
    assert shown(shop)["cursor"] is None
    assert rows_landed(shop) == 60
    assert load_id(shop) > first
    assert folder_zone.count("shop", "rows") == 120
    assert shown(shop)["schema_version"] == 1


def test_what_a_change_took_the_place_of_can_be_restored(shop: Kit, folder_zone: Zone) -> None:
    rows_landed(shop)
    before = folder_zone.read(STATE)
    state(shop, "reset", "shop", "rows", "--yes")
    state(shop, "set", "shop", "rows", "--cursor", minute(30), "--yes")
    told = state(shop, "history", "shop", "rows")
    assert "before set: no cursor" in told
    assert f"before reset: at {minute(59)}" in told
    listed = json.loads(state(shop, "history", "shop", "rows", "--json"))
    assert [entry["number"] for entry in listed] == [2, 1]
    assert listed[1]["cursors"] == {"at": minute(59)}
    state(shop, "restore", "shop", "rows", "1", "--yes")
    assert resources(folder_zone.read(STATE)) == resources(before)
    assert rows_landed(shop) == 0


def test_a_restored_state_keeps_the_newest_load_id(shop: Kit) -> None:
    give(shop, *range(10))
    rows_landed(shop)
    state(shop, "set", "shop", "rows", "--cursor", minute(9), "--yes")
    give(shop, *range(60))
    assert rows_landed(shop) == 51
    newest = load_id(shop)
    state(shop, "restore", "shop", "rows", "--yes")
    assert load_id(shop) == newest
    assert shown(shop)["cursor"] == minute(9)
    assert rows_landed(shop) == 50
    assert load_id(shop) > newest


def resources(document: bytes) -> Any:
    return decompress_state(json.loads(document)["state"])["sources"]


def test_a_changed_state_is_one_that_dlt_would_write(shop: Kit, folder_zone: Zone) -> None:
    rows_landed(shop)
    before = json.loads(folder_zone.read(STATE))
    state(shop, "set", "shop", "rows", "--cursor", minute(30), "--yes")
    after = json.loads(folder_zone.read(STATE))
    inside = decompress_state(after["state"])
    assert set(before) - {"_dlt_load_id"} == set(after)
    assert set(decompress_state(before["state"])) == set(inside)
    assert after["version"] == inside["_state_version"] == before["version"] + 1
    expected = generate_pipeline_state_version_hash(inside)  # type: ignore[arg-type]
    assert after["version_hash"] == inside["_version_hash"] == expected
    state(shop, "restore", "shop", "rows", "--yes")
    assert json.loads(folder_zone.read(STATE))["version"] == before["version"] + 2


def test_a_state_is_copied_after_a_stream_was_renamed(shop: Kit, folder_zone: Zone) -> None:
    give(shop, *range(50))
    rows_landed(shop)
    told = state(shop, "copy", "shop", "rows", "--to", "shop/renamed", "--yes")
    assert f"cursor at: {minute(49)}, from shop/rows" in told
    give(shop, *range(60))
    assert rows_landed(shop, "renamed") == 10
    assert asked(shop) == minute(49)
    assert stored_cursor(bucket(shop), StreamPaths("shop", "rows"), "at") == minute(49)
    assert "before copy: no state" in state(shop, "history", "shop", "renamed")
    state(shop, "restore", "shop", "renamed", "--yes")
    assert rows_landed(shop, "renamed") == 60
    assert folder_zone.count("shop", "renamed") == 70


def test_a_copied_state_takes_neither_load_id_nor_schema_along(shop: Kit) -> None:
    rows_landed(shop, "renamed")
    own = stored_by_us(bucket(shop), StreamPaths("shop", "renamed"))
    rows_landed(shop)
    state(shop, "copy", "shop", "rows", "--to", "shop/renamed", "--yes")
    after = stored_by_us(bucket(shop), StreamPaths("shop", "renamed"))
    assert after["load_id"] == own["load_id"]
    assert after["schema"] == own["schema"]


def test_so_many_states_are_kept_and_no_more(shop: Kit, folder_zone: Zone) -> None:
    rows_landed(shop)
    for number in range(KEPT + 2):
        state(shop, "set", "shop", "rows", "--cursor", minute(number), "--yes")
    kept = shown(shop)["earlier"]
    assert kept == list(range(3, KEPT + 3))
    assert "there are: 3, 4" in shop.landing("state", "restore", "shop", "rows", "1").err


def test_without_a_terminal_a_change_needs_yes(shop: Kit, folder_zone: Zone) -> None:
    rows_landed(shop)
    before = folder_zone.read(STATE)
    refused = shop.landing("state", "reset", "shop", "rows")
    assert refused.code == 2
    assert "confirm with --yes" in refused.err
    assert folder_zone.read(STATE) == before
    assert folder_zone.paths("_dlt/shop/rows/states") == []


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("no", 1), ("", 1)])
def test_on_a_terminal_a_person_is_asked(
    shop: Kit, monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    rows_landed(shop)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda prompt: answer)
    done = shop.landing("state", "reset", "shop", "rows")
    assert done.code == code
    assert (shown(shop)["cursor"] is None) is (code == 0)


def test_a_run_that_is_under_way_refuses_a_change(shop: Kit, folder_zone: Zone) -> None:
    rows_landed(shop)
    before = folder_zone.read(STATE)
    with Lease(bucket(shop), "_dlt/shop/rows/lease.json", "shop/rows"):
        done = shop.landing("state", "reset", "shop", "rows", "--yes")
    assert done.code == 3
    assert "another run is under way" in done.err
    assert folder_zone.read(STATE) == before


def test_a_state_that_has_changed_since_it_was_read_stays(
    shop: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(shop, *range(10))
    rows_landed(shop)

    def run_meanwhile(prompt: str) -> str:
        give(shop, *range(60))
        rows_landed(shop)
        return "y"

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", run_meanwhile)
    done = shop.landing("state", "set", "shop", "rows", "--cursor", minute(5))
    assert done.code == 1
    assert "its state has changed since it was read" in done.err
    assert shown(shop)["cursor"] == minute(59)


MISTAKES = [
    (["set", "shop", "rows", "--cursor", "soon"], "such as 2026-01-05 10:59:00"),
    (["set", "shop", "nothing", "--cursor", "1"], "source 'shop' has no stream 'nothing'"),
    (["set", "shop", "full", "--cursor", "1"], "has no cursor to set"),
    (["set", "shop", "number", "--cursor", "many"], "--cursor 'many' is text"),
    (["set", "shop", "number", "--cursor", "null"], "--cursor 'null' is no value"),
    (["reset", "shop", "renamed"], "has no state"),
    (["restore", "shop", "rows"], "has no earlier state; there are: none"),
    (["copy", "shop", "rows", "--to", "rows"], "is not SOURCE/STREAM"),
    (["copy", "shop", "rows", "--to", "shop/rows"], "can't be copied to itself"),
    (["copy", "shop", "renamed", "--to", "shop/rows"], "there is nothing to copy"),
    (["copy", "shop", "rows", "--to", "shop/number"], "at 2026-01-05 10:59:00, which is text"),
    (["copy", "shop", "rows", "--to", "shop/full"], "is at, and that of"),
    (["copy", "shop", "rows", "--to", "shop/../rows"], "is not a stream name"),
]


def test_a_mistake_is_reported_and_changes_nothing(shop: Kit, folder_zone: Zone) -> None:
    configure(shop, "full", cursor_field=None, sync_mode="full_refresh")
    configure(shop, "number", fields={"at": {"type": "integer"}})
    rows_landed(shop)
    before = folder_zone.paths()
    for words, told in MISTAKES:
        done = shop.landing("state", *words, "--yes")
        assert done.code == 2, done.text
        assert told in done.err
        assert done.err.startswith("error: ")
        assert "Traceback" not in done.err
        assert folder_zone.paths() == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["set", "shop", "rows"], "set: error: the following arguments are required: --cursor"),
        (["copy", "shop", "rows"], "copy: error: the following arguments are required: --to"),
        (["reset", "rows"], "reset: error: the following arguments are required: STREAM"),
        (["reset", "shop", "rows", "1"], "unrecognized arguments: 1"),
        (["reset", "shop", "rows", "--cursor", "1"], "unrecognized arguments: --cursor 1"),
        (["restore", "shop", "rows", "last"], "argument NUMBER: invalid int value: 'last'"),
        (["history", "rows"], "history: error: the following arguments are required: STREAM"),
    ],
)
def test_wrong_words_are_wrong_usage(shop: Kit, words: list[str], told: str) -> None:
    done = shop.landing("state", *words)
    assert done.code == 2
    assert told in done.err


def test_a_source_named_like_a_verb_is_reached_by_show(kit: Kit, folder_zone: Zone) -> None:
    kit.add_source("history", STREAM)
    fields = {"id": {"type": "integer"}, "at": TIME}
    kit.configure("history", "rows", cursor_field=["at"], fields=fields)
    give(kit, 1)
    assert kit.run("history", "rows").code == 0
    assert state(kit, "show", "history", "rows").startswith("history/rows\n")
    assert state(kit, "--yes", "reset", "history", "rows").startswith("history/rows: reset")
    assert json.loads(state(kit, "--json", "history", "history", "rows"))[0]["number"] == 1


def test_a_damaged_state_is_reported(shop: Kit, folder_zone: Zone) -> None:
    rows_landed(shop)
    location = Path(folder_zone.store.prefix or "") / STATE
    location.write_text("{}")
    done = shop.landing("state", "reset", "shop", "rows", "--yes")
    assert done.code == 1
    assert "state.json is damaged" in done.err


@pytest.mark.parametrize("died_at", ["states/000001.json", "rows/state.json"])
def test_a_change_that_dies_leaves_the_state_and_can_be_made_again(
    kit: Kit, zone: Zone, s3: S3Server, monkeypatch: pytest.MonkeyPatch, died_at: str
) -> None:
    kit.add_source("shop", STREAM)
    configure(kit)
    give(kit, *range(60))
    rows_landed(kit)
    before = zone.read(STATE)
    with serve_proxy(s3.endpoint) as proxy, monkeypatch.context() as through_proxy:
        through_proxy.setenv("S3_ENDPOINT", proxy.endpoint)
        proxy.spoil(
            refuses(403, "AccessDenied"),
            when=lambda request: request.method == "PUT" and request.path.endswith(died_at),
        )
        done = kit.landing("state", "reset", "shop", "rows", "--yes")
        assert done.code == 1, done.text
        assert zone.read(STATE) == before
        state(kit, "reset", "shop", "rows", "--yes")
    assert shown(kit)["cursor"] is None
    state(kit, "restore", "shop", "rows", "--yes")
    assert resources(zone.read(STATE)) == resources(before)


def test_a_numeric_cursor_is_set_as_a_number(kit: Kit, folder_zone: Zone) -> None:
    kit.add_source(
        "shop",
        "import dlt\n\n@dlt.resource\n"
        "def rows(id: dlt.sources.incremental[int] = dlt.sources.incremental('id')):\n"
        "    yield [{'id': n} for n in range(20) if id.last_value is None or n >= id.last_value]\n",
    )
    kit.configure("shop", "rows", cursor_field=["id"], fields={"id": {"type": "integer"}})
    assert rows_landed(kit) == 20
    state(kit, "set", "shop", "rows", "--cursor", "15", "--yes")
    assert rows_landed(kit) == 5


@pytest.mark.parametrize("command", ["state", "schema", "compact"])
def test_a_misspelt_name_is_reported_and_a_stream_without_a_source_is_not(
    shop: Kit, command: str
) -> None:
    unknown = shop.landing(command, "shop", "row")
    assert unknown.code == 2, unknown.text
    assert "source 'shop' has no stream 'row'; did you mean 'rows'?" in unknown.err
    nowhere = shop.landing(command, "shpo", "rows")
    assert nowhere.code == 2, nowhere.text
    assert "did you mean 'shop'?" in nowhere.err
    for stream in ("rows", "renamed"):
        shop.config_file("shop", stream).unlink()
        known = shop.landing(command, "shop", stream)
        assert known.code == 0, "the code has the stream"
    configure(shop, "rows")
    assert shop.run("shop", "rows").code == 0
    shop.config_file("shop", "rows").unlink()
    rmtree(shop.root / "dlt" / "sources" / "shop")
    landed = shop.landing(command, "shop", "rows")
    assert landed.code == 0, landed.text
