"""Records that the source has no more: tombstones in the landing zone, and who decides on them."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pyarrow.parquet as pq
import pytest

from demo.servers import S3Server
from tests.command import Program
from tests.kit import Kit, Outcome, Zone
from tests.servers.proxy import Exchange, Proxy, serve_proxy

# What the source has is in a file, as a list of pages.
SNAPSHOT = """\
import json
from pathlib import Path
import dlt

FILE = Path(__file__).parents[4] / "pages.json"

@dlt.resource(primary_key="id")
def rows():
    yield from json.loads(FILE.read_text())
"""
FIELDS = {"id": {"type": "integer"}, "name": {"type": "string"}}
SHOP = "shop"
CURRENT = """
SELECT id, name FROM (
    SELECT * FROM landed QUALIFY row_number() OVER (PARTITION BY id ORDER BY _dlt_load_id DESC) = 1
) WHERE _deleted_at IS NULL ORDER BY id
"""
KEYS = "_dlt/shop/rows/keys"


class Source:
    """A stream `shop/rows`, whose records a test sets."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self._file = kit.repository / "pages.json"

    def has(self, *records: Any) -> None:
        self._file.write_text(json.dumps([[_record(record) for record in records]]))

    def configure(self, **keys: Any) -> None:
        settings = {"sync_mode": "full_refresh", "primary_key": [["id"]], "deletes": "snapshot"}
        settings |= {"fields": FIELDS} | keys
        used = {name: value for name, value in settings.items() if value is not None}
        self.kit.configure(SHOP, "rows", **used)

    def run(self) -> Outcome:
        return self.kit.run(SHOP, "rows")

    def lands(self, *records: Any) -> Outcome:
        self.has(*records)
        done = self.run()
        assert done.code == 0, done.text
        return done


def _record(record: Any) -> dict[str, Any]:
    return record if isinstance(record, dict) else {"id": record, "name": f"no. {record}"}


def current(zone: Zone) -> list[Any]:
    return [key for key, _ in zone.query(SHOP, "rows", CURRENT, union_by_name=True)]


def tombstones(zone: Zone) -> list[Any]:
    sql = "SELECT id, name FROM landed WHERE _deleted_at IS NOT NULL"
    found = zone.query(SHOP, "rows", sql, union_by_name=True)
    assert all(name is None for _, name in found)
    return sorted(key for key, _ in found)


@pytest.fixture
def source(kit: Kit) -> Source:
    kit.add_source(SHOP, SNAPSHOT)
    made = Source(kit)
    made.configure()
    return made


def record_of_last_load(zone: Zone) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(zone.read(zone.paths("_dlt/shop/rows/loads")[-1]))
    return document


def test_what_a_full_refresh_has_no_more_is_deleted(source: Source, zone: Zone) -> None:
    assert "deleted" not in source.lands(1, 2, 3).out
    assert "2 rows, 1 deleted in 1 file" in source.lands(1, 3).out
    assert record_of_last_load(zone)["deleted"] == 1
    assert record_of_last_load(zone)["rows"] == 3
    assert current(zone) == [1, 3]
    assert "deleted" not in source.lands(1, 3).out, "it has its tombstone"
    assert tombstones(zone) == [2]
    assert "deleted" not in source.lands(1, 2, 3).out
    assert current(zone) == [1, 2, 3], "a key that comes back is a row again"
    source.lands(1, 3)
    assert tombstones(zone) == [2, 2]
    schema = pq.read_schema(_part(zone))
    assert schema.names == ["id", "name", "_deleted_at", "_dlt_load_id", "_dlt_id"]
    assert str(schema.field("_deleted_at").type) == "timestamp[us, tz=UTC]"


def _part(zone: Zone) -> io.BytesIO:
    return io.BytesIO(zone.read(zone.parts(SHOP, "rows")[-1]))


def test_one_object_of_known_keys_is_kept(source: Source, zone: Zone) -> None:
    for records in ([1, 2, 3], [2, 3], [2, 3, 4]):
        source.lands(*records)
        assert len(zone.paths(KEYS)) == 1
    source.configure(deletes=None)
    source.lands(2, 3, 4, 5)
    assert zone.paths(KEYS) == []
    source.configure()
    source.lands(2, 3)
    assert tombstones(zone) == [1, 4, 5], "5 came and went while nobody looked"
    assert current(zone) == [2, 3]


def test_the_first_run_knows_the_keys_of_what_landed_before(
    source: Source, folder_zone: Zone
) -> None:
    source.configure(deletes=None)
    for records in ([1, 2, 3], [2, 3, 4]):
        source.lands(*records)
    source.configure()
    assert "2 deleted" in source.lands(3, 4).out
    assert current(folder_zone) == [3, 4]


@pytest.mark.parametrize(
    ("limit", "left", "fails"),
    [
        (None, [], "4 of 4 known records are not in this full refresh, all that are known"),
        (0.9, [], "4 of 4 known records"),
        (0.25, [1, 2], "a share of 0.5, above the deletes_limit 0.25 of"),
        (0.5, [1, 2], None),
        (None, [1], None),
        (1, [], None),
        (0, [1, 2, 3], "a share of 0.25, above the deletes_limit 0 of"),
    ],
)
def test_a_refresh_that_has_lost_too_much_fails(
    source: Source, folder_zone: Zone, limit: float | None, left: list[int], fails: str | None
) -> None:
    source.configure(deletes_limit=limit)
    source.lands(1, 2, 3, 4)
    before = folder_zone.paths()
    source.has(*left)
    done = source.run()
    if fails is None:
        assert done.code == 0, done.text
        assert current(folder_zone) == left
        return
    assert done.code == 1
    assert fails in done.err
    assert "set deletes_limit to" in done.err
    assert "Traceback" not in done.text
    assert folder_zone.paths_but_failures() == before, "nothing landed"
    assert "deleted" not in source.lands(1, 2, 3, 4).out


def test_an_empty_full_refresh_is_a_load(source: Source, folder_zone: Zone) -> None:
    done = source.lands()
    assert "no records" in done.out
    assert record_of_last_load(folder_zone)["files"] == []
    source.lands(1)
    source.configure(deletes_limit=1)
    source.lands()
    assert tombstones(folder_zone) == [1]
    assert "no records" in source.lands().out
    assert tombstones(folder_zone) == [1]
    assert len(folder_zone.paths("_dlt/shop/rows/loads")) == 4


def test_rows_in_quarantine_are_there_if_their_key_is_known(
    source: Source, folder_zone: Zone
) -> None:
    source.configure(fields={**FIELDS, "n": {"type": "integer"}})
    source.lands(1, 2, 3)
    odd = {"id": 2, "n": "odd"}
    assert "1 deleted" in source.lands(1, odd).out
    assert current(folder_zone) == [1, 2]
    unknown = {"id": "two", "n": 1}
    done = source.lands(1, unknown)
    assert "no deletions were looked for: 1 record is in quarantine with no id" in done.out
    assert current(folder_zone) == [1, 2]
    source.lands({"id": None, "n": "odd"}, 4)
    assert current(folder_zone) == [1, 2, 4]
    source.lands(4, 5)
    assert current(folder_zone) == [4, 5], "what was not looked for is found later"


def test_odd_keys(source: Source, folder_zone: Zone) -> None:
    again = {"id": 2, "name": "newer"}
    done = source.lands(1, 2, {"id": None, "name": "none"}, {"id": None, "name": "none"}, again)
    assert "2 records are without id, so a deletion can't be detected" in done.out
    names = folder_zone.query(SHOP, "rows", CURRENT)
    assert (2, "newer") in names, "the later version wins"
    done = source.lands(1)
    assert "1 deleted" in done.out, "once, however often it was there"
    assert "1 of 2" not in done.text
    assert tombstones(folder_zone) == [2]


def test_keys_of_several_fields(source: Source, folder_zone: Zone) -> None:
    fields = {"id": {"type": "string", "format": "date-time"}, "line": {"type": "number"}, **FIELDS}
    fields["id"] = {"type": "string", "format": "date-time"}
    source.configure(fields=fields, primary_key=[["id"], ["line"]])
    day, next_day = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
    source.lands({"id": day, "line": 1}, {"id": day, "line": 2.5}, {"id": next_day, "line": 1})
    source.lands({"id": "2026-01-01 01:00:00+01:00", "line": 1.0}, {"id": next_day, "line": 1})
    found = folder_zone.query(
        SHOP, "rows", "SELECT id::text, line FROM landed WHERE _deleted_at IS NOT NULL"
    )
    assert found == [("2026-01-01 00:00:00+00", 2.5)]


def test_hashed_keys_are_kept_as_hashes(
    source: Source, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANDING_PRIVACY_KEY", "k" * 32)
    text = {"id": {"type": "string"}, "name": {"type": "string"}}
    source.configure(deletes=None, fields=text)
    source.lands({"id": "ann@example.com"}, {"id": "bob@example.com"})
    source.configure(fields={**text, "id": {"type": "string", "privacy": "hash"}})
    clear = folder_zone.paths("")
    source.lands({"id": "ann@example.com"}, {"id": "bob@example.com"})
    assert "1 deleted" in source.lands({"id": "ann@example.com"}).out
    for path in set(folder_zone.paths("")) - set(clear):
        assert b"@example.com" not in folder_zone.read(path), path
    assert len(tombstones(folder_zone)) == 1


def test_a_key_of_another_type_is_another_key(source: Source, folder_zone: Zone) -> None:
    source.lands(1, 2)
    source.configure(fields={**FIELDS, "id": {"type": "string"}})
    assert "deleted" not in source.lands({"id": "1"}, {"id": "2"}).out
    assert "1 deleted" in source.lands({"id": "1"}).out


def test_keys_that_are_lost_are_found_in_the_files(source: Source, folder_zone: Zone) -> None:
    for records in ([1, 2, 3, 4], [1, 2, 3]):
        source.lands(*records)
    for path in folder_zone.paths(KEYS):
        folder_zone.delete(path)
    assert "1 deleted" in source.lands(1, 2).out
    folder_zone.delete("_dlt/shop/rows/state.json")
    assert "1 deleted" in source.lands(1).out
    assert tombstones(folder_zone) == [2, 3, 4]


@pytest.fixture
def proxy(s3: S3Server, zone: Zone, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """Before the bucket that the environment points to."""
    with serve_proxy(s3.endpoint) as running:
        monkeypatch.setenv("S3_ENDPOINT", running.endpoint)
        yield running


def _killed_at(source: Source, proxy: Proxy, part: str, *, before: bool) -> None:
    """A run of its own process that is killed when it writes an object, which then is or is not
    there."""
    process: list[Program] = []

    def kill(exchange: Exchange) -> None:
        if not before:
            exchange.forward()
        process[0].kill()
        exchange.reset()

    proxy.spoil(kill, when=lambda request: request.method == "PUT" and part in request.path)
    process.append(source.kit.start("pipeline.py", SHOP, "rows"))
    assert process[0].wait(timeout=120) == -9
    proxy.fix()


POINTS = [
    (".parquet", False),
    ("/keys/", False),
    ("/state.json", True),
    ("/state.json", False),
]


def test_a_run_may_be_killed_anywhere_and_newest_per_key_equals_the_source(
    source: Source, zone: Zone, proxy: Proxy
) -> None:
    source.configure(deletes_limit=1)
    source.lands(*range(100))
    for number, (part, before) in enumerate(POINTS):
        # What only the run that dies has seen is gone when the next one looks.
        source.has(*range(number, 100), 1000 + number)
        _killed_at(source, proxy, part, before=before)
        zone.delete("_dlt/shop/rows/lease.json")
        records = [key for key in range(number + 1, 100) if key != 50 + number]
        source.lands(*records)
        assert current(zone) == records
        assert len(zone.paths(KEYS)) == 1
    assert "deleted" not in source.lands(*records).out


# --- the stream's own word -------------------------------------------------------------------

HINTED = """\
import json
from pathlib import Path
import dlt
import pyarrow as pa
from landing.http import JsonPage

HERE = Path(__file__).parents[4]

@dlt.resource(primary_key="id", columns={{"gone": {{"hard_delete": True{type}}}}})
def rows(
    n: dlt.sources.incremental[int] = dlt.sources.incremental("n"), fields: list[str] | None = None
):
    (HERE / "fields.json").write_text(json.dumps(fields))
    for page in json.loads((HERE / "pages.json").read_text()):
        page = [r for r in page if r.get("n") is None or r["n"] >= (n.last_value or 0)]
        yield {made}
"""
SHAPES = {
    "dictionaries": "page",
    "JsonPage": "JsonPage(json.dumps(page).encode())",
    "Arrow": "pa.Table.from_pylist(page) if page else []",
}
BOOLEAN = ', "data_type": "bool"'
WITH_CURSOR = {**FIELDS, "n": {"type": "integer"}}


def hinted(kit: Kit, shape: str = "page", type_: str = BOOLEAN, **keys: Any) -> Source:
    kit.add_source(SHOP, HINTED.format(type=type_, made=shape))
    made = Source(kit)
    made.configure(
        **{
            "sync_mode": "incremental",
            "cursor_field": ["n"],
            "deletes": None,
            "fields": WITH_CURSOR,
            **keys,
        }
    )
    return made


def row(key: Any, n: int | None, **more: Any) -> dict[str, Any]:
    return {"id": key, "name": f"no. {key}", "n": n, "gone": False, **more}


def gone(key: Any, n: int | None) -> dict[str, Any]:
    return row(key, n, gone=True)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("destination", ["append", "merge"])
def test_a_stream_says_what_is_deleted(
    kit: Kit, folder_zone: Zone, shape: str, destination: str
) -> None:
    source = hinted(kit, shape, destination_sync_mode=destination)
    source.lands(row(1, 1), row(2, 2), row(3, 3))
    fields = json.loads((kit.repository / "fields.json").read_text())
    assert fields == ["id", "name", "n", "gone"], "the stream is asked for what it says it by"
    done = source.lands(gone(1, 4), row(4, 5))
    assert "1 row, 1 deleted in 1 file" in done.out
    assert "drift" not in done.out
    assert "no record had" not in done.out
    assert current(folder_zone) == [2, 3, 4]
    found = folder_zone.query(
        SHOP, "rows", "SELECT id, name, n FROM landed WHERE _deleted_at IS NOT NULL"
    )
    assert found == [(1, None, None)]
    assert "gone" not in pq.read_schema(_part(folder_zone)).names


def test_the_cursor_moves_over_tombstones_and_knows_them(kit: Kit, folder_zone: Zone) -> None:
    source = hinted(kit)
    source.lands(row(1, 1), row(2, 2))
    source.lands(row(3, 3), gone(1, 7))
    again = source.lands(row(3, 3), gone(1, 7)).out
    assert "nothing new" in again
    assert "cursor 2 → 7" in again
    assert "nothing new" in source.lands(gone(1, 7)).out, "read again at the cursor"
    assert "1 deleted" in source.lands(gone(1, 7), gone(2, 7)).out
    assert tombstones(folder_zone) == [1, 2]
    source.lands(gone(1, 7), gone(2, 7), row(1, 8))
    assert current(folder_zone) == [1, 3]


def test_a_lookback_does_not_land_a_tombstone_again(kit: Kit, folder_zone: Zone) -> None:
    source = hinted(kit, lookback=100)
    source.lands(row(1, 1), gone(2, 2), row(3, 3))
    assert "nothing new" in source.lands(row(1, 1), gone(2, 2), row(3, 3)).out
    assert "1 deleted" in source.lands(gone(1, 1), gone(2, 2), row(3, 3)).out
    assert tombstones(folder_zone) == [1, 2]


def test_within_a_run_what_comes_later_wins(kit: Kit, folder_zone: Zone) -> None:
    source = hinted(kit)
    source.lands(row(1, 1), gone(1, 2), gone(2, 3), row(2, 4), row(3, 5), gone(3, 5), row(3, 5))
    assert current(folder_zone) == [2, 3]
    source.configure(sync_mode="full_refresh", deletes=None, fields=WITH_CURSOR)
    source.lands(gone(2, 1), row(1, 2), gone(1, 3), row(4, 4))
    assert current(folder_zone) == [3, 4]


def test_tombstones_without_a_cursor_value_land_once(kit: Kit, folder_zone: Zone) -> None:
    source = hinted(kit)
    source.lands(row(1, 1), row(2, 2))
    assert "1 deleted" in source.lands(row(2, 2), gone(1, None)).out
    assert "nothing new" in source.lands(row(2, 2), gone(1, None)).out
    assert current(folder_zone) == [2]
    source.lands(gone(1, None), gone(2, None), row(2, 3), row(3, 4))
    assert current(folder_zone) == [3], "it is the last word"


@pytest.mark.parametrize(
    ("type_", "says", "lives"),
    [
        (BOOLEAN, [True, 1, "true"], [False, None, 0, "false", "", "perhaps", [1]]),
        ("", [True, 1, "2026-01-01", [1]], [False, None, 0, "", "false"]),
        (', "data_type": "timestamp"', ["2026-01-01", 5], [None, False]),
    ],
)
def test_what_counts_as_deleted_is_what_dlt_counts(
    kit: Kit, folder_zone: Zone, type_: str, says: list[Any], lives: list[Any]
) -> None:
    source = hinted(kit, type_=type_)
    values = [*says, *lives]
    source.lands(*(row(key, key, gone=value) for key, value in enumerate(values)), row(99, 99))
    assert tombstones(folder_zone) == list(range(len(says)))
    assert current(folder_zone) == [*range(len(says), len(values)), 99]


def test_the_column_may_be_configured_too(kit: Kit, folder_zone: Zone) -> None:
    source = hinted(kit, fields={**WITH_CURSOR, "gone": {"type": "boolean"}})
    source.lands(row(1, 1), gone(2, 2), {**row(3, 3), "gone": "odd"})
    found = folder_zone.query(SHOP, "rows", "SELECT id, gone, _deleted_at IS NULL FROM landed")
    assert sorted(found) == [(1, False, True), (2, None, False)]


def test_a_tombstone_that_does_not_fit_waits_in_quarantine_as_one(
    kit: Kit, folder_zone: Zone
) -> None:
    source = hinted(kit)
    source.lands(row(1, 1), row(7, 2))
    lost = {**gone(None, 4), "name": "private"}
    late = {**gone("7.0x", 3), "name": "private"}
    done = source.lands(late, lost, gone(1, 5))
    assert "1 deleted" in done.out
    assert "2 records do not fit" in done.out
    (path,) = folder_zone.paths("_quarantine")
    assert b"private" not in folder_zone.read(path), "of a tombstone only the key is kept"
    assert [json.loads(line)["deleted"] for line in folder_zone.read(path).splitlines()] == [
        True
    ] * 2
    text = {**WITH_CURSOR, "id": {"type": "string"}}
    source.configure(sync_mode="incremental", cursor_field=["n"], deletes=None, fields=text)
    assert "1 row in 1 file" in kit.landing("quarantine", "land", SHOP, "rows").out
    found = folder_zone.query(
        SHOP,
        "rows",
        "SELECT id::text, name, _deleted_at IS NULL FROM landed ORDER BY id::text",
        union_by_name=True,
    )
    assert ("7.0x", None, False) in found
    assert b"unknown which record" in folder_zone.read(path), "a deletion of nothing stays"


def test_a_hint_needs_a_key_and_has_to_be_declared_up_front(kit: Kit, folder_zone: Zone) -> None:
    source = hinted(kit)
    keyless = HINTED.format(type=BOOLEAN, made="page").replace('primary_key="id", ', "")
    (kit.root / "dlt" / "sources" / SHOP / "streams.py").write_text(keyless)
    source.configure(sync_mode="full_refresh", primary_key=None, deletes=None, fields=WITH_CURSOR)
    source.has(row(1, 1))
    done = source.run()
    assert done.code == 2
    assert "declares hard_delete for 'gone', but no primary key says which" in done.err
    assert "streams.py" in done.err
    assert folder_zone.paths_but_failures() == []


def test_a_hint_that_comes_with_a_page_is_refused(kit: Kit, folder_zone: Zone) -> None:
    hints = 'dlt.mark.make_hints(columns={"gone": {"name": "gone", "hard_delete": True}})'
    late = SNAPSHOT.replace(
        "yield from json.loads(FILE.read_text())",
        f"yield dlt.mark.with_hints(json.loads(FILE.read_text())[0], {hints})",
    )
    kit.add_source(SHOP, late)
    source = Source(kit)
    source.configure(deletes=None)
    source.has(1)
    done = source.run()
    assert done.code == 2
    assert "declares 'gone' as a hard_delete column with a page; declare it" in done.err


def test_both_ways_together(kit: Kit, folder_zone: Zone) -> None:
    source = hinted(kit, sync_mode="full_refresh", cursor_field=None, deletes="snapshot")
    source.lands(row(1, 1), row(2, 2), row(3, 3), row(4, 4))
    assert "2 deleted" in source.lands(row(1, 1), gone(2, 2), row(4, 4)).out
    assert current(folder_zone) == [1, 4]
    assert tombstones(folder_zone) == [2, 3]


def test_what_the_documentation_says_of_memory_is_measured() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.keys", "20000"], capture_output=True, text=True, check=True
    )
    told = re.findall(r"^20,000 .*, (a run|the first run): \d+ MB and [\d.]+ s", done.stdout, re.M)
    assert told == ["a run", "the first run"] * 2
