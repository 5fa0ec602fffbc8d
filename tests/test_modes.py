"""Each pair of sync_mode and destination_sync_mode: what a run reads, and what it adds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from dlt.common.configuration.container import Container
from dlt.common.pipeline import StateInjectableContext

from demo.servers import S3Server
from tests.command import Program
from tests.kit import Kit, Outcome, Zone
from tests.servers.proxy import Exchange, Proxy, serve_proxy

# One stream for each pair, of the same records, which say other things than their configs.
STREAMS = """\
import json
from pathlib import Path
import dlt

FILE = Path(__file__).parents[4] / "records.json"

def _stream(name, disposition):
    @dlt.resource(name=name, primary_key="id", write_disposition=disposition)
    def records(n: dlt.sources.incremental[int] = dlt.sources.incremental("n")):
        for record in json.loads(FILE.read_text()):
            if n.last_value is None or record["n"] >= n.last_value:
                yield record
    return records

changes_append = _stream("changes_append", "replace")
changes_merge = _stream("changes_merge", "append")
all_append = _stream("all_append", "merge")
all_merge = _stream("all_merge", "replace")
all_overwrite = _stream("all_overwrite", "append")
"""
PAIRS = {
    "changes_append": ("incremental", "append"),
    "changes_merge": ("incremental", "merge"),
    "all_append": ("full_refresh", "append"),
    "all_merge": ("full_refresh", "merge"),
    "all_overwrite": ("full_refresh", "overwrite"),
}
NEWEST_OF_EACH_KEY = """
SELECT id, n FROM landed
QUALIFY row_number() OVER (PARTITION BY id ORDER BY _dlt_load_id DESC) = 1 ORDER BY id
"""
NEWEST_LOAD = """
SELECT id, n FROM landed WHERE _dlt_load_id = (SELECT max(_dlt_load_id) FROM landed) ORDER BY id
"""
CURRENT = {
    "changes_append": NEWEST_OF_EACH_KEY,
    "changes_merge": NEWEST_OF_EACH_KEY,
    "all_append": NEWEST_LOAD,
    "all_merge": NEWEST_OF_EACH_KEY,
    "all_overwrite": NEWEST_LOAD,
}
FIELDS = {"id": {"type": "integer"}, "n": {"type": "integer"}}
BEFORE = [(1, 1), (2, 2), (3, 3)]
AFTER = [(1, 5), (3, 3), (4, 4)]
"""1 was edited, 2 was deleted, 4 is new."""
NOT_NOTICED = sorted([*AFTER, (2, 2)])
NOTICES_DELETIONS = {"all_append", "all_overwrite"}


@pytest.fixture
def shop(kit: Kit) -> Kit:
    kit.add_source("shop", STREAMS)
    for stream, (sync_mode, destination) in PAIRS.items():
        kit.configure(
            "shop",
            stream,
            sync_mode=sync_mode,
            destination_sync_mode=destination,
            primary_key=[["id"]],
            cursor_field=["n"],
            allow_empty=True,
            fields=FIELDS,
        )
    return kit


def has(kit: Kit, records: list[tuple[int, int]]) -> None:
    file = kit.repository / "records.json"
    file.write_text(json.dumps([{"id": key, "n": n} for key, n in records]))


def run(kit: Kit, *arguments: str) -> Outcome:
    done = kit.run("shop", *arguments)
    assert done.code == 0, done.text
    return done


def landed(zone: Zone, stream: str) -> list[tuple[Any, ...]]:
    return zone.query("shop", stream, "SELECT id, n FROM landed ORDER BY id, n")


def expected_current(stream: str) -> list[tuple[int, int]]:
    return AFTER if stream in NOTICES_DELETIONS else NOT_NOTICED


@pytest.mark.parametrize("stream", ["changes_append", "changes_merge"])
def test_incremental_adds_what_has_changed(shop: Kit, zone: Zone, stream: str) -> None:
    has(shop, BEFORE)
    run(shop, stream)
    assert landed(zone, stream) == BEFORE
    has(shop, AFTER)
    run(shop, stream)
    assert landed(zone, stream) == sorted([*BEFORE, (1, 5), (4, 4)])
    assert zone.query("shop", stream, CURRENT[stream]) == NOT_NOTICED
    assert "nothing new" in run(shop, stream).out


@pytest.mark.parametrize("stream", ["all_append", "all_merge", "all_overwrite"])
def test_full_refresh_adds_everything_each_time(shop: Kit, zone: Zone, stream: str) -> None:
    has(shop, BEFORE)
    run(shop, stream)
    seen = zone.parts("shop", stream)
    has(shop, AFTER)
    run(shop, stream)
    assert zone.parts("shop", stream)[: len(seen)] == seen, "files are only added"
    assert landed(zone, stream) == sorted([*BEFORE, *AFTER])
    assert zone.query("shop", stream, CURRENT[stream]) == expected_current(stream)
    columns = [name for name, *_ in zone.query("shop", stream, "DESCRIBE FROM landed")]
    assert columns[:2] == ["id", "n"]
    assert "_deleted_at" not in columns


def test_the_source_has_nothing_any_more(shop: Kit, zone: Zone) -> None:
    """Which replaces a table by an empty one, so it is a load; elsewhere it changes nothing."""
    has(shop, BEFORE)
    run(shop, "--all")
    has(shop, [])
    told = run(shop, "--all").out
    for stream in PAIRS:
        loads = zone.paths(f"_dlt/shop/{stream}/loads")
        records = [json.loads(zone.read(path)) for path in loads]
        assert [record["rows"] for record in records] == (
            [3, 0] if stream == "all_overwrite" else [3]
        )
        assert f"shop/{stream}: {'no records' if len(loads) == 2 else 'nothing new'}" in told


@pytest.fixture
def proxy(s3: S3Server, zone: Zone, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """Before the bucket that the environment points to."""
    with serve_proxy(s3.endpoint) as running:
        monkeypatch.setenv("S3_ENDPOINT", running.endpoint)
        yield running


def test_runs_of_all_pairs_are_killed_and_completed(shop: Kit, zone: Zone, proxy: Proxy) -> None:
    has(shop, BEFORE)
    run(shop, "--all")
    has(shop, AFTER)
    process: list[Program] = []
    published: set[str] = set()

    def kill(exchange: Exchange) -> None:
        """Once each stream has published its rows; no state is written until then."""
        path = exchange.request.path
        if path.endswith("/state.json"):
            exchange.reset()
            return
        exchange.answer(exchange.forward())
        published.update(stream for stream in PAIRS if f"/shop/{stream}/" in path)
        if published == set(PAIRS):
            process[0].kill()

    proxy.spoil(
        kill,
        times=float("inf"),
        when=lambda request: (
            request.method == "PUT" and request.path.endswith((".parquet", "/state.json"))
        ),
    )
    process.append(shop.start("pipeline.py", "shop", "--all"))
    assert process[0].wait(timeout=200) == -9
    proxy.fix()
    for path in zone.paths("_dlt"):
        if path.endswith("lease.json"):
            zone.delete(path)
    run(shop, "--all")
    for stream in PAIRS:
        assert len(zone.parts("shop", stream)) == 3, "the first run, the dead one, the last one"
        assert zone.query("shop", stream, CURRENT[stream]) == expected_current(stream), stream
    assert run(shop, "--all").out.count("nothing new") == 2


SENTENCES = {
    "changes_append": (
        "incremental, append: reads what has changed by n and adds it to the files; no table is "
        "kept: the newest row for each id is the current one"
    ),
    "changes_merge": (
        "incremental, merge: reads what has changed by n and adds it to the files; then updates "
        "the delta table, one row for each id"
    ),
    "all_append": (
        "full_refresh, append: reads everything and adds all of it to the files; no table is "
        "kept: the rows of the newest load are the current ones"
    ),
    "all_merge": (
        "full_refresh, merge: reads everything and adds all of it to the files; then updates the "
        "delta table, one row for each id"
    ),
    "all_overwrite": (
        "full_refresh, overwrite: reads everything and adds all of it to the files; then "
        "replaces the delta table with these rows"
    ),
}


def test_a_dry_run_says_what_the_pair_does(shop: Kit, folder_zone: Zone) -> None:
    told = shop.run("shop", *PAIRS, "--dry-run").out.splitlines()
    assert [line for line in told if line.startswith("  mode")] == [
        f"  mode      {sentence}" for sentence in SENTENCES.values()
    ]
    assert not any(line.startswith("  deletes") for line in told)


def test_a_dry_run_of_a_failing_stream_leaves_no_state_bound(shop: Kit, folder_zone: Zone) -> None:
    assert "records.json" in shop.run("shop", "all_merge", "--dry-run").text
    assert StateInjectableContext not in Container()


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        (None, "; all of them in one run make it fail"),
        (0.1, "; more than 0.1 of them in one run make it fail"),
        (1, ""),
    ],
)
def test_a_dry_run_says_how_deletions_are_noticed(
    shop: Kit, folder_zone: Zone, limit: float | None, told: str
) -> None:
    keys = {} if limit is None else {"deletes_limit": limit}
    shop.configure(
        "shop",
        "all_merge",
        sync_mode="full_refresh",
        destination_sync_mode="merge",
        primary_key=[["id"]],
        deletes="snapshot",
        fields=FIELDS,
        **keys,
    )
    lines = shop.run("shop", "all_merge", "--dry-run").out.splitlines()
    assert f"  deletes   known records that a full refresh does not have{told}" in lines
    assert "    _deleted_at   timestamp[us, tz=UTC]" in lines
    assert any(line.endswith("one row for each id, and removes what was deleted") for line in lines)


def test_a_pair_that_makes_no_sense_is_refused(shop: Kit, folder_zone: Zone) -> None:
    shop.configure(
        "shop",
        "changes_append",
        sync_mode="incremental",
        destination_sync_mode="overwrite",
        cursor_field=["n"],
        fields=FIELDS,
    )
    done = shop.run("shop", "changes_append")
    assert done.code == 2
    assert "destination_sync_mode: 'overwrite' replaces the whole table" in done.err
    assert folder_zone.paths_but_failures() == []
