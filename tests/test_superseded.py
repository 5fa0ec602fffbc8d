"""Rows that land late, in newer files, when a newer version of their record has landed already."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from landing.catalog.settings import bucket_settings
from landing.catalog.workspace import Workspace
from landing.events import ignore
from landing.extraction.sources import load_source
from landing.operations.backfill import begin, plan, run_window
from landing.operations.backfill.windows import Request
from landing.zone.bucket import Bucket
from tests.kit import Kit, Zone

STREAM = """
import json
from pathlib import Path

import dlt

FILE = Path(__file__).parents[4] / "rows.json"

@dlt.resource(primary_key="id")
def rows(at: dlt.sources.incremental[str] = dlt.sources.incremental("at")):
    since, until = at.last_value or "", at.end_value or "9"
    yield [row for row in json.loads(FILE.read_text()) if since <= row["at"] < until]
"""
FIELDS = {
    "id": {"type": "integer"},
    "at": {"type": "string", "format": "date-time"},
    "name": {"type": "integer"},
}
MENDED = {**FIELDS, "name": {"type": ["integer", "string"]}}


class Shop:
    def __init__(self, kit: Kit, zone: Zone) -> None:
        self.kit = kit
        self._zone = zone
        self._rows: dict[int, dict[str, Any]] = {}
        kit.add_source("shop", STREAM)
        self.configure()

    def configure(self, fields: dict[str, Any] = FIELDS, **keys: Any) -> None:
        keys = {"cursor_field": ["at"], "primary_key": [["id"]], **keys}
        self.kit.configure("shop", "rows", fields=fields, **keys)

    def put(self, key: int, day: int, name: Any) -> None:
        self._rows[key] = {"id": key, "at": f"2024-01-{day:02}T00:00:00Z", "name": name}
        text = json.dumps(list(self._rows.values()))
        (self.kit.repository / "rows.json").write_text(text)

    def run(self) -> str:
        done = self.kit.run("shop", "rows")
        assert done.code == 0, done.text
        return done.out

    def run_that_leaves_quarantine(self) -> None:
        """As one that is killed once its rows have landed."""
        bucket = Bucket(bucket_settings(Workspace(self.kit.root)))
        before = {path: self._zone.read(path) for path in self._zone.paths("_quarantine")}
        self.run()
        for path, content in before.items():
            bucket.put(path, content)

    def land(self, *options: str) -> dict[str, Any]:
        done = self.kit.landing("quarantine", "land", "shop", "rows", "--json", *options)
        assert done.code == 0, done.text
        return dict(json.loads(done.out))

    def newest_load(self) -> dict[str, Any]:
        found = json.loads(self.kit.landing("history", "shop", "rows", "--json").out)
        return dict(found[0])

    def by_files(self) -> dict[int, str]:
        """What a reader has that takes file after file, and puts each row over the last."""
        found: dict[int, str] = {}
        copy = self.kit.repository / "copy.parquet"
        for path in self._zone.parts("shop", "rows"):
            copy.write_bytes(self._zone.read(path))
            rows = pq.ParquetFile(copy).read(columns=["id", "name"]).to_pylist()
            found |= {row["id"]: str(row["name"]) for row in rows}
        return found


@pytest.fixture
def shop(kit: Kit, folder_zone: Zone) -> Shop:
    return Shop(kit, folder_zone)


def test_quarantine_does_not_bring_back_an_older_version(shop: Shop, folder_zone: Zone) -> None:
    shop.put(1, 1, "old")
    shop.put(2, 1, "newest")
    shop.put(3, 1, 3)
    shop.run()
    shop.put(1, 2, 10)
    shop.run_that_leaves_quarantine()
    shop.configure(MENDED)
    planned = shop.land("--dry-run")
    assert (planned["rows"], planned["superseded"]) == (1, 1)
    assert len(folder_zone.paths("_quarantine")) == 1
    landed = shop.land()
    assert (landed["rows"], landed["superseded"], landed["stays"]) == (1, 1, [])
    assert shop.by_files() == {1: "10", 2: "newest", 3: "3"}
    load = shop.newest_load()
    assert (load["kind"], load["rows"], load["superseded"]) == ("quarantine", 1, 1)
    text = shop.kit.landing("history", "shop", "rows").out
    assert "1 superseded by newer versions, left out" in text
    assert folder_zone.paths("_quarantine") == []
    assert shop.kit.landing("verify", "shop", "rows").code == 0


def test_a_run_takes_out_of_quarantine_what_it_lands_anew(shop: Shop, folder_zone: Zone) -> None:
    shop.put(1, 1, "old")
    shop.put(2, 1, "stays")
    shop.put(3, 1, 3)
    shop.run()
    shop.put(1, 2, 10)
    assert "1 record has left quarantine, since a newer version landed" in shop.run()
    assert quarantined(shop) == [2]
    (path,) = folder_zone.paths("_dlt/shop/rows/removals")
    record = json.loads(folder_zone.read(path))
    assert (record["why"], record["records"], record["reasons"]) == (
        "superseded",
        1,
        [{"field": "name", "reason": "text where an integer is configured", "records": 1}],
    )


def test_a_record_that_still_does_not_fit_is_not_superseded(shop: Shop, folder_zone: Zone) -> None:
    shop.put(1, 1, "old")
    shop.put(3, 1, 3)
    shop.run()
    shop.put(1, 2, "bad")
    shop.put(3, 2, 4)
    shop.run()
    assert quarantined(shop) == [1, 1]


def test_landing_takes_out_what_is_superseded_though_it_does_not_fit(
    shop: Shop, folder_zone: Zone
) -> None:
    shop.put(1, 1, "old")
    shop.put(2, 1, "stays")
    shop.put(3, 1, 3)
    shop.run()
    shop.put(1, 2, 10)
    shop.run_that_leaves_quarantine()
    planned = shop.land("--dry-run")
    assert (planned["rows"], planned["superseded"]) == (0, 1)
    assert [one["records"] for one in planned["stays"]] == [1]
    assert quarantined(shop) == [1, 2]
    assert shop.land()["superseded"] == 1
    assert quarantined(shop) == [2]


def quarantined(shop: Shop) -> list[int]:
    out = shop.kit.landing("quarantine", "show", "shop", "rows", "--json").out
    return [json.loads(line)["row"]["id"] for line in out.splitlines()]


def test_a_quarantine_of_superseded_rows_alone_lands_nothing_and_is_empty_after(
    shop: Shop, folder_zone: Zone
) -> None:
    shop.put(1, 1, "old")
    shop.put(2, 1, 2)
    shop.run()
    shop.put(1, 2, 10)
    shop.run_that_leaves_quarantine()
    before = folder_zone.parts("shop", "rows")
    shop.configure(MENDED)
    done = shop.kit.landing("quarantine", "land", "shop", "rows")
    assert "nothing landed" in done.out
    assert "1 record left quarantine without landing" in done.out
    assert folder_zone.parts("shop", "rows") == before
    assert shop.kit.landing("status", "shop").code == 0


def test_without_a_primary_key_no_row_is_a_version_of_another(
    shop: Shop, folder_zone: Zone
) -> None:
    source = shop.kit.root / "dlt" / "sources" / "shop" / "streams.py"
    source.write_text(source.read_text().replace('primary_key="id"', ""))
    shop.configure(primary_key=[])
    shop.put(1, 1, "old")
    shop.put(2, 1, 2)
    shop.run()
    shop.put(1, 2, 10)
    shop.run_that_leaves_quarantine()
    shop.configure(MENDED, primary_key=[])
    landed = shop.land()
    assert (landed["rows"], landed["superseded"]) == (1, 0)


def test_a_key_that_had_another_type_is_compared_in_that_of_now(shop: Shop) -> None:
    shop.put(1, 1, "old")
    shop.put(2, 1, 2)
    shop.run()
    shop.put(1, 2, 10)
    shop.run_that_leaves_quarantine()
    shop.configure({**MENDED, "id": {"type": "number"}})
    landed = shop.land()
    assert (landed["rows"], landed["superseded"]) == (0, 1)


@pytest.mark.parametrize("in_memory", [2_000_000, 0])
def test_a_window_does_not_bring_back_what_a_live_run_has_replaced(
    shop: Shop, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch, in_memory: int
) -> None:
    monkeypatch.setattr("landing.operations.superseded._KEYS_IN_MEMORY", in_memory)
    for key in range(1, 5):
        shop.put(key, key, key)
    shop.run()
    source = load_source(Workspace(shop.kit.root), "shop")
    bucket = Bucket(bucket_settings(source.workspace))
    request = Request(start="2024-01-01", end="2024-01-05", by="day")
    planned = plan(source, "rows", bucket, request)
    begun = begin(planned, notify=print)
    rows = (shop.kit.repository / "rows.json").read_text()
    shop.put(2, 20, 22)
    shop.run()
    (shop.kit.repository / "rows.json").write_text(rows)  # as the window was read before the edit
    superseded = 0
    for window in begun.windows:
        done = run_window(source, "rows", begun.id, window.number, bucket, ignore).done
        superseded += done.superseded
        assert done.rows + done.superseded == 1
    assert superseded == 1
    assert shop.by_files() == {1: "1", 2: "22", 3: "3", 4: "4"}
    assert folder_zone.count("shop", "rows") == 4 + 1 + 3


def test_a_backfill_says_how_many_it_left_out(shop: Shop) -> None:
    shop.put(1, 1, 1)
    shop.run()
    words = ("backfill", "shop", "rows", "--from", "2024-01-01", "--to", "2024-01-03")
    done = shop.kit.landing(*words, "--by", "day", "--json")
    assert json.loads(done.out)["superseded"] == 0, done.text


def test_records_of_earlier_versions_are_still_read(shop: Shop, folder_zone: Zone) -> None:
    shop.put(1, 1, 1)
    shop.run()
    (path,) = folder_zone.paths("_dlt/shop/rows/loads")
    record = json.loads(folder_zone.read(path))
    for key in ("below_cursor", "known", "repeated", "superseded"):
        assert record.pop(key) == 0
    url = bucket_settings(Workspace(shop.kit.root)).url
    file = Path(url.removeprefix("file://")) / path
    file.write_text(json.dumps(record))
    assert shop.newest_load()["superseded"] == 0
    assert shop.kit.landing("status", "shop").code == 0
