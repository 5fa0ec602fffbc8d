"""A cursor never passes what it has not seen: any order of reading, any kind of value."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from landing.extraction import known_rows
from tests.kit import Kit, Zone
from tests.servers.scripted import Exchange, serve

PAGE = 20
SOURCE = """\
import os
import dlt
{imports}

@dlt.resource(primary_key="id")
def rows(at: dlt.sources.incremental[{type}] = dlt.sources.incremental("at"{options})):
{body}
"""
REQUESTS = """\
    after = 0
    while True:
        params = {"after": after, "order": ORDER}
        if at.last_value is not None:
            params["since"] = at.last_value
        page = requests.get(os.environ["LEDGER"] + "/rows", params=params).json()
        yield page
        if not page:
            return
        after += len(page) if ORDER == "at" else page[-1]["id"] - after
"""
KIT = """\
    api = Api(os.environ["LEDGER"])
    paging = KeysetPages("id", "after", limit=20)
    params = {"order": "id"}
    if at.last_value is not None:
        params["since"] = at.last_value
    yield from api.pages("rows", params=params, paging=paging)
"""
HTTPX = REQUESTS.replace("requests.get", "httpx.get")


@dataclass(frozen=True)
class Spelling:
    """How an API writes the moment of a change; `type` is the field's in the stream config."""

    write: Callable[[datetime], Any]
    type: dict[str, str]
    of_python: str = "str"


def _fractions(at: datetime) -> str:
    digits = ("", f".{at.microsecond // 100_000}", f".{at.microsecond:06}789")[at.microsecond % 3]
    return f"{at:%Y-%m-%dT%H:%M:%S}{digits}Z"


def _offsets(at: datetime) -> str:
    hours = at.microsecond % 5 - 2
    return f"{at + timedelta(hours=hours):%Y-%m-%dT%H:%M:%S.%f}{hours:+03}:00"


TEXT = {"type": "string"}
SPELLINGS = {
    "iso": Spelling(lambda at: f"{at:%Y-%m-%dT%H:%M:%S.%f}Z", {**TEXT, "format": "date-time"}),
    "naive": Spelling(lambda at: f"{at:%Y-%m-%d %H:%M:%S}", {**TEXT, "format": "date-time"}),
    "fractions": Spelling(_fractions, TEXT),
    "offsets": Spelling(_offsets, TEXT),
    "seconds": Spelling(lambda at: int(at.timestamp()), {"type": "integer"}, "int"),
    "milliseconds": Spelling(lambda at: int(at.timestamp() * 1e3), {"type": "integer"}, "int"),
}


@dataclass
class Ledger:
    """Records with the time, or the number, of their last change."""

    spelling: Spelling | None
    """None for version numbers."""
    rows: dict[int, dict[str, Any]] = field(default_factory=dict)
    edits: dict[int, int] = field(default_factory=dict)
    """After how many pages which record is edited."""
    moments: dict[int, Any] = field(default_factory=dict)
    pages: int = 0
    version: int = 0
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, key: int, at: datetime | None = None, text: str = "") -> None:
        self.version += 1
        at = at or datetime.now(UTC)
        value = self.version if self.spelling is None else self.spelling.write(at)
        self.moments[key] = self.version if self.spelling is None else at
        self.rows[key] = {"id": key, "at": value, "text": text or f"{key} at {self.version}"}

    def answer(self, exchange: Exchange) -> None:
        query = exchange.seen.query
        with self.lock:
            since = self._moment_of(query.get("since"))
            found = [key for key in sorted(self.rows) if since is None or self._due(key, since)]
            if query["order"] == "at":
                found.sort(key=lambda key: (self.moments[key], key))
                found = found[int(query.get("after", 0)) :]
            else:
                found = [key for key in found if key > int(query.get("after", 0))]
            page = [self.rows[key] for key in found[:PAGE]]
            self.pages += 1
            body = json.dumps(page).encode()
            if key := self.edits.pop(self.pages, None):
                self.put(key)
        exchange.reply(200, body, Content_Type="application/json")

    def _moment_of(self, text: str | None) -> Any:
        if text is None:
            return None
        known = (self.moments[k] for k, row in self.rows.items() if str(row["at"]) == text)
        if (moment := next(known, None)) is not None:
            return moment
        if self.spelling is None:
            return int(text)
        if text.isdigit():
            return datetime.fromtimestamp(int(text) / (1e3 if len(text) > 11 else 1), UTC)
        moment = datetime.fromisoformat(text[:26])
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def _due(self, key: int, since: Any) -> bool:
        if self.spelling is None:
            return bool(self.moments[key] >= since)
        return bool(self.moments[key].replace(microsecond=0) >= since.replace(microsecond=0))


@contextmanager
def serving(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with serve(ledger.answer) as server:
        ledger.url = server.url
        monkeypatch.setenv("LEDGER", server.url)
        yield


def add_source(kit: Kit, ledger: Ledger, body: str, options: str = "") -> None:
    python = "int" if ledger.spelling is None else ledger.spelling.of_python
    imports = "import httpx" if "httpx" in body else "import requests"
    if "Api(" in body:
        imports = "from landing.http import Api, KeysetPages"
    text = SOURCE.format(imports=imports, type=python, options=options, body=body)
    kit.add_source("ledger", text)
    type_ = {"type": "integer"} if ledger.spelling is None else ledger.spelling.type
    fields = {"id": {"type": "integer"}, "at": type_, "text": {"type": "string"}}
    kit.configure("ledger", "rows", cursor_field=["at"], fields=fields)


def ledger_of(kind: str) -> Ledger:
    ledger = Ledger(SPELLINGS.get(kind))
    now = datetime.now(UTC)
    ages = random.Random(7).sample(range(200, 20_000), 60)
    for key, age in enumerate(ages, 1):
        ledger.put(key, now - timedelta(seconds=age, microseconds=age * 977))
    if ledger.spelling is None:
        shuffled = random.Random(7).sample(range(1, 61), 60)
        for key, version in enumerate(shuffled, 1):
            ledger.rows[key]["at"] = ledger.moments[key] = version
    return ledger


def landed(zone: Zone) -> dict[int, str]:
    newest = "SELECT id, arg_max(text, _dlt_load_id) FROM landed GROUP BY id"
    return dict(zone.query("ledger", "rows", newest))  # type: ignore[arg-type]


def expected(ledger: Ledger) -> dict[int, str]:
    return {key: row["text"] for key, row in ledger.rows.items()}


BODIES = {
    "by key": REQUESTS.replace("ORDER", '"id"'),
    "by key with httpx": HTTPX.replace("ORDER", '"id"'),
    "by the kit": KIT,
    "by offset in the cursor's order": REQUESTS.replace("ORDER", '"at"'),
}


@pytest.mark.parametrize("kind", [*SPELLINGS, "versions"])
@pytest.mark.parametrize("body", ["by key", "by the kit"])
def test_what_is_edited_while_a_run_reads_lands_with_the_next(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch, kind: str, body: str
) -> None:
    ledger = ledger_of(kind)
    ledger.edits = {1: 3, 2: 55}
    add_source(kit, ledger, BODIES[body])
    with serving(ledger, monkeypatch):
        first = kit.run("ledger", "rows")
        assert first.code == 0, first.text
        assert landed(folder_zone)[55] == expected(ledger)[55]
        assert landed(folder_zone)[3] != expected(ledger)[3]
        second = kit.run("ledger", "rows")
        assert "1 row in" in second.out, second.text
        assert landed(folder_zone) == expected(ledger)
        for _ in range(2):
            assert "nothing new" in kit.run("ledger", "rows").out
    assert folder_zone.count("ledger", "rows") == 61


def test_edits_in_run_after_run_all_land_once(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Version numbers, by key: the cursor trails, and what is read again is known."""
    monkeypatch.setattr(known_rows, "IN_STATE", 10)
    ledger = ledger_of("versions")
    add_source(kit, ledger, BODIES["by key with httpx"])
    pick = random.Random(3)
    with serving(ledger, monkeypatch):
        for _ in range(6):
            ledger.pages = 0
            ledger.edits = {1: pick.randint(1, 20), 2: pick.randint(21, 60)}
            assert kit.run("ledger", "rows").code == 0
        ledger.edits = {}
        kit.run("ledger", "rows")
        assert landed(folder_zone) == expected(ledger)
        assert "nothing new" in kit.run("ledger", "rows").out
    repeated = 'SELECT count(*) FROM (SELECT id FROM landed GROUP BY id, "at" HAVING count(*) > 1)'
    assert folder_zone.query("ledger", "rows", repeated) == [(0,)]


@pytest.mark.parametrize("kind", ["iso", "fractions", "seconds", "milliseconds"])
@pytest.mark.parametrize("body", ["by key", "by offset in the cursor's order"])
def test_a_record_of_the_future_does_not_carry_the_cursor_away(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch, kind: str, body: str
) -> None:
    ledger = ledger_of(kind)
    ledger.put(61, datetime(2999, 1, 1, tzinfo=UTC))
    add_source(kit, ledger, BODIES[body])
    with serving(ledger, monkeypatch):
        first = kit.run("ledger", "rows")
        assert "61 rows in" in first.out, first.text
        assert "beyond the source's time" in first.text
        ledger.put(7)
        second = kit.run("ledger", "rows")
        assert "1 row in" in second.out, second.text
        assert "beyond the source's time" not in second.text
        ledger.put(62)
        assert "1 row in" in kit.run("ledger", "rows").out
        assert "nothing new" in kit.run("ledger", "rows").out
    assert landed(folder_zone) == expected(ledger)
    (status,) = json.loads(kit.landing("status", "ledger", "--json").out)
    assert status["status"] == "ahead"
    assert "beyond now; the cursor waits" in status["problems"][0]["message"]


def test_a_cursor_that_an_earlier_version_left_in_the_future_is_reported(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = ledger_of("iso")
    add_source(kit, ledger, BODIES["by key"])
    with serving(ledger, monkeypatch):
        kit.run("ledger", "rows")
        there = "2999-01-01T00:00:00.000000Z"
        kit.landing("state", "set", "ledger", "rows", "--cursor", there, "--yes")
        (status,) = json.loads(kit.landing("status", "ledger", "--json").out)
        assert status["status"] == "ahead"
        assert "landing state set ledger rows --cursor" in status["problems"][0]["remedy"]
        text = kit.run("ledger", "rows").text
        assert "beyond the source's time, so new records are not requested" in text


def test_a_record_of_the_future_in_quarantine_does_not_carry_the_cursor_away(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = ledger_of("iso")
    ledger.put(61, datetime(2999, 1, 1, tzinfo=UTC))
    ledger.rows[61]["text"] = "\ud800"
    add_source(kit, ledger, BODIES["by key"])
    with serving(ledger, monkeypatch):
        assert "60 rows in" in kit.run("ledger", "rows").out
        ledger.put(7)
        assert "1 row in" in kit.run("ledger", "rows").out


def test_the_sources_clock_counts_and_not_the_machines(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its clock is two hours behind, so that what seems old was edited while the run read."""
    ledger = ledger_of("iso")
    behind = timedelta(hours=2)
    add_source(kit, ledger, BODIES["by key"])

    def answer(exchange: Exchange) -> None:
        now = datetime.now(UTC) - behind
        exchange.handler.date_time_string = lambda timestamp=None: (  # type: ignore[method-assign]
            f"{now:%a, %d %b %Y %H:%M:%S} GMT"
        )
        key = {1: 3, 2: 55}.get(ledger.pages + 1)
        ledger.answer(exchange)
        if key:
            ledger.put(key, now)

    for key in ledger.rows:
        ledger.put(key, ledger.moments[key] - behind)
    with serve(answer) as server:
        monkeypatch.setenv("LEDGER", server.url)
        assert kit.run("ledger", "rows").code == 0
        assert landed(folder_zone)[3] != expected(ledger)[3]
        kit.run("ledger", "rows")
        assert landed(folder_zone) == expected(ledger)


def test_text_that_compares_otherwise_than_what_it_says_is_refused(
    kit: Kit, folder_zone: Zone
) -> None:
    stream = """\
import dlt, json
from pathlib import Path

@dlt.resource(primary_key="id")
def rows(at=dlt.sources.incremental("at")):
    values = json.loads((Path(__file__).parents[4] / "values.json").read_text())
    yield [{"id": n, "at": value} for n, value in enumerate(values)]
"""
    kit.add_source("ledger", stream)
    fields = {"id": {"type": "integer"}, "at": {"type": "string"}}
    kit.configure("ledger", "rows", cursor_field=["at"], fields=fields)
    for values, said in (
        (["9", "10"], "'9' and '10' are numbers as text"),
        (["Tue, 15 Nov 1994 08:12:31 GMT", "Mon, 02 Jan 2006 15:04:05 GMT"], "do not begin with"),
        (["01/31/2024", "12/01/2023"], "'01/31/2024' and '12/01/2023' are dates"),
    ):
        (kit.repository / "values.json").write_text(json.dumps(values))
        done = kit.run("ledger", "rows")
        assert done.code != 0
        assert "cursor 'at'" in done.text
        assert said in done.text
    assert folder_zone.paths("ledger") == []
    (kit.repository / "values.json").write_text(json.dumps(["v-a", "v-b"]))
    assert "2 rows in" in kit.run("ledger", "rows").out
    (kit.repository / "values.json").write_text(json.dumps(["v-a", "v-b", "v-c"]))
    assert "1 row in" in kit.run("ledger", "rows").out
    third = kit.run("ledger", "rows")
    assert "1 record with a at below 'v-b', compared as text" in third.text, third.text


def test_a_large_stream_out_of_order_is_read_twice_and_lands_once(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = ledger_of("versions")
    count = known_rows.IN_STATE + 1_000
    rest = random.Random(1).sample(range(1_001, count + 1), count - 1_000)
    versions = [*range(1, 1_001), *rest]  # the first page is of little help
    for key, version in enumerate(versions, 1):
        ledger.rows[key] = {"id": key, "at": version, "text": str(key)}
        ledger.moments[key] = version
    ledger.version = count
    body = """\
    for start in range(0, {count}, 1000):
        params = {"after": start, "order": "id"}
        if at.last_value is not None:
            params["since"] = at.last_value
        yield requests.get(os.environ["LEDGER"] + "/rows", params=params).json()
""".replace("{count}", str(count))
    monkeypatch.setattr("tests.test_cursor.PAGE", 1000)
    add_source(kit, ledger, body)
    with serving(ledger, monkeypatch):
        assert f"{count:,} rows in" in kit.run("ledger", "rows").out
        assert len(folder_zone.paths("_dlt/ledger/rows/keys")) == 1
        assert len(folder_zone.read("_dlt/ledger/rows/state.json")) < 20_000
        ledger.put(5)
        began = time.monotonic()
        second = kit.run("ledger", "rows")
        assert "1 row in" in second.out, second.text
        assert time.monotonic() - began < 20
        assert folder_zone.paths("_dlt/ledger/rows/keys") == []
        third = kit.run("ledger", "rows")
        assert "nothing new" in third.out, third.text


ARGUMENT = """\
import os
import dlt, requests
from dlt.sources.rest_api import rest_api_resources

incremental = dlt.sources.incremental

@dlt.resource(primary_key="id")
def inner(at: incremental[str] = None):
    params = {"after": 0, "order": "id", "since": at.last_value}
    yield requests.get(os.environ["LEDGER"] + "/inner", params=params).json()

@dlt.resource
def lists(at: incremental[str] = None):
    params = {"after": 0, "order": "id", "since": at.last_value}
    yield requests.get(os.environ["LEDGER"] + "/lists", params=params).json()

@dlt.transformer(primary_key="id")
def children(rows):
    yield rows

@dlt.source
def given():
    start = "2024-01-01T00:00:00.000000Z"
    at = incremental("at", initial_value=start, lag=3600)
    listed = lists(at=incremental("at", initial_value=start))
    declared = {"path": "api", "params": {"order": "id", "after": "0"}, "incremental":
        {"cursor_path": "at", "initial_value": start, "start_param": "since", "lag": 3600}}
    config = {"client": {"base_url": os.environ["LEDGER"], "paginator": "single_page"},
        "resources": [{"name": "api", "primary_key": "id", "endpoint": declared}]}
    return [inner(at=at), listed, listed | children, *rest_api_resources(config)]
"""


@pytest.mark.parametrize("stream", ["inner", "api", "children"])
def test_an_incremental_given_as_an_argument_counts(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch, stream: str
) -> None:
    ledger = Ledger(SPELLINGS["iso"])
    for key, day in enumerate((1, 10, 20), 1):
        ledger.put(key, datetime(2023 if key == 1 else 2024, 1, day, tzinfo=UTC))
    init = "from .streams import given\n\n__all__ = ['given']\n"
    kit.add_source("ledger", ARGUMENT, init=init)
    fields = {"id": {"type": "integer"}, "at": SPELLINGS["iso"].type}
    cursor = {} if stream == "children" else {"cursor_field": ["at"]}
    kit.configure("ledger", stream, fields=fields, **cursor)
    with serve(ledger.answer) as server:
        monkeypatch.setenv("LEDGER", server.url)
        done = kit.run("ledger", stream)
        assert "2 rows in" in done.out, done.text
        if stream != "children":
            assert "nothing new" in kit.run("ledger", stream).out
        asked = [seen.query["since"] for seen in server.seen]
    assert asked[0] == "2024-01-01T00:00:00.000000Z"
    if stream != "children":
        assert asked[-1] == "2024-01-19T23:00:00.000000Z"


DECLARED = """\
import dlt

@dlt.resource(primary_key="id")
def rows(at=dlt.sources.incremental("at", initial_value="2024-01-01T00:00:00Z")):
    yield [{"id": n, "at": f"2024-01-0{n + 1}T00:00:00Z"} for n in range(5)]

@dlt.resource(primary_key="id")
def plain(since=None):
    yield [{"id": n, "at": f"2024-01-0{n + 1}T00:00:00Z"} for n in range(5)]
"""
AT = {"id": {"type": "integer"}, "at": {"type": "string", "format": "date-time"}}


def test_a_config_that_says_no_mode_goes_by_the_cursor_that_the_stream_declares(
    kit: Kit, folder_zone: Zone
) -> None:
    kit.add_source("ledger", DECLARED)
    kit.configure("ledger", "rows", initial_value="2024-01-03T00:00:00Z", fields=AT)
    assert "3 rows in" in kit.run("ledger", "rows").out
    assert "nothing new" in kit.run("ledger", "rows").out


def test_a_config_that_says_no_mode_goes_by_the_cursor_that_was_discovered(
    kit: Kit, folder_zone: Zone
) -> None:
    kit.add_source("ledger", DECLARED)
    assert kit.discover("ledger", "plain").code == 0
    file = kit.discovered_file("ledger", "plain")
    found = json.loads(file.read_text())
    found["defaults"]["cursor_field"] = ["at"]
    found["options"]["sync_modes"] = ["incremental", "full_refresh"]
    file.write_text(json.dumps(found))
    kit.configure("ledger", "plain", fields=AT)
    assert "5 rows in" in kit.run("ledger", "plain").out
    assert "nothing new" in kit.run("ledger", "plain").out


@pytest.mark.parametrize("key", ["initial_value", "lookback"])
def test_what_has_no_effect_is_a_mistake(kit: Kit, folder_zone: Zone, key: str) -> None:
    kit.add_source("ledger", DECLARED)
    kit.configure("ledger", "plain", fields=AT, **{key: "1d"})
    done = kit.run("ledger", "plain")
    assert done.code == 2
    assert f"dag/streams/ledger/plain.json: {key}: has no effect in a full refresh" in done.err


def test_two_source_functions_that_give_one_stream_are_a_mistake(
    kit: Kit, folder_zone: Zone
) -> None:
    twice = """\
import dlt

def made(n):
    return dlt.resource([{"id": n}], name="rows", primary_key="id")

@dlt.source
def first():
    return made(1)

@dlt.source
def second():
    return made(2)
"""
    kit.add_source("ledger", twice, init="from .streams import first, second\n")
    kit.configure("ledger", "rows", fields={"id": {"type": "integer"}})
    done = kit.run("ledger", "rows")
    assert done.code != 0
    assert "'first' and 'second' both define a stream 'rows'" in done.err


def test_a_run_of_which_no_record_fits_fails_and_the_next_reads_them_again(
    kit: Kit, folder_zone: Zone
) -> None:
    kit.add_source("ledger", DECLARED)
    wrong = {"id": {"type": "boolean"}, "at": AT["at"]}
    kit.configure("ledger", "rows", cursor_field=["at"], fields=wrong)
    done = kit.run("ledger", "rows")
    assert done.code == 1
    assert "5 of 5 records do not fit the configured fields" in done.err
    assert "no record fits, so nothing was landed and the cursor stays" in done.err
    kit.configure("ledger", "rows", cursor_field=["at"], fields=AT)
    assert "5 rows in" in kit.run("ledger", "rows").out
