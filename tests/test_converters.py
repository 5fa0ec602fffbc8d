"""Pages converted by other processes: the same columns, and no row lost when such a process is."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from obstore.store import LocalStore

from landing.columns import Columns
from landing.converters.frames import Spec
from landing.converters.pool import Converters, spec_of
from landing.errors import SettingsError
from landing.fields import Field
from landing.http import JsonPage
from landing.tombstones import HardDelete, Tombstones
from landing.workspace import most_converters
from tests.kit import Kit, Zone

FIELDS = {
    "id": Field(type="integer"),
    "at": Field(type="string", format="date-time"),
    "price": Field(type="number"),
    "name": Field(type=["string", "null"]),
    "box": Field(type="object", properties={"size": Field(type="integer")}),
    "tags": Field(type="array"),
    "gone": Field(type="boolean"),
}
DELETES = Tombstones(key=("id",), cursor="at", hint=HardDelete("gone", is_boolean=True))


def record(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "at": f"2026-01-01T00:00:{number % 60:02d}Z",
        "price": number / 4 if number % 3 else number,
        "name": None if number % 5 == 0 else f"höher {number}",
        "box": {"size": number, "dropped": [1]},
        "tags": [1, {"a": None}],
        "unwanted": "x" * 20,
        **more,
    }


def page(*rows: dict[str, Any]) -> JsonPage:
    return JsonPage(json.dumps({"result": {"rows": rows}}).encode(), "result.rows")


def wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in a minute"
        time.sleep(0.02)


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def converters(told: list[str]) -> Iterator[Converters]:
    with Converters(1, told.append, start_bytes=0) as found:
        yield found


def begun(converters: Converters, columns: Columns) -> Spec:
    spec = spec_of(columns)
    assert spec is not None
    assert converters.submit(spec, (page(record(1)),), None) is None, "none is there at once"
    wait_for(lambda: converters.are_up)
    return spec


def children() -> set[int]:
    listed = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(os.getpid())],
        capture_output=True,
        text=True,
        check=True,
    )
    return {
        int(line.split()[0])
        for line in listed.stdout.splitlines()
        if "landing.converters.program" in line
    }


@pytest.mark.parametrize("tombstones", [None, DELETES])
def test_another_process_makes_the_same_columns(
    converters: Converters, tombstones: Tombstones | None
) -> None:
    columns = Columns(FIELDS, tombstones=tombstones)
    spec = begun(converters, columns)
    gone = {"gone": True} if tombstones else {}
    pages = (
        page(*map(record, range(50))),
        page(record(50, **gone)),
        page(*map(record, range(40, 99))).without_first(11),
    )

    asked = converters.submit(spec, pages, "at")
    again = converters.submit(spec, pages[:1], "id")
    assert asked is not None
    assert again is not None
    there, here = asked.result(60), columns.convert(pages)

    assert there is not None
    assert there.table.equals(here.table)
    assert there.table.schema.equals(columns.schema, check_metadata=True)
    assert list(there.raw("at")) == list(here.raw("at"))
    assert (found := again.result(60)) is not None
    assert list(found.raw("id")) == list(range(50))


@pytest.mark.parametrize("odd", [{"id": "7a"}, {"at": "yesterday"}, {"price": 2**70}, {"box": [1]}])
def test_what_does_not_fit_is_left_to_a_careful_look(
    converters: Converters, odd: dict[str, Any]
) -> None:
    spec = begun(converters, Columns(FIELDS))
    for rows, fits in (((record(1), record(2, **odd)), False), ((record(3),), True)):
        asked = converters.submit(spec, (page(*rows),), "id")
        assert asked is not None
        assert (asked.result(60) is not None) == fits


def test_a_cursor_that_has_no_form_between_processes_is_left_to_a_careful_look(
    converters: Converters, told: list[str]
) -> None:
    columns = Columns({"id": Field(type=["integer", "string"])})
    spec = begun(converters, columns)
    for value, fits in ((2**70, False), (7, True)):
        asked = converters.submit(spec, (page({"id": value}),), "id")
        assert asked is not None
        assert (asked.result(60) is not None) == fits
    assert told == []


def test_pages_that_are_decoded_already_stay_here(converters: Converters) -> None:
    from landing.http.jsonpage import decoding_to

    columns = Columns(FIELDS)
    spec = begun(converters, columns)
    with decoding_to(lambda: columns.record):
        decoded = page(record(1))
    assert converters.submit(spec, (decoded, page(record(2))), None) is None


def test_private_values_and_dictionaries_are_not_given_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LANDING_PRIVACY_KEY", "k" * 32)
    private = Field(type="string", privacy="hash")
    inside = Field(type="object", properties={"name": private})
    for field in (private, inside):
        assert spec_of(Columns({"name": field})) is None
    assert spec_of(Columns(FIELDS, known=set(FIELDS))) is None


def test_one_that_dies_is_told_once_and_its_pages_come_back(
    converters: Converters, told: list[str]
) -> None:
    before = children()
    spec = begun(converters, Columns(FIELDS))
    (process,) = children() - before
    os.kill(process, signal.SIGSTOP)
    asked = [converters.submit(spec, (page(record(n)),), None) for n in range(5)]
    os.kill(process, signal.SIGKILL)

    for each in asked:
        assert each is not None
        assert each.result(60) is None
    wait_for(lambda: told)
    assert not converters.are_up
    assert converters.submit(spec, (page(record(9)),), None) is None
    assert len(told) == 1
    assert "the run goes on without" in told[0]


def test_one_that_cannot_be_started_is_told_and_nothing_is_given_away(
    converters: Converters, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    spec = spec_of(Columns(FIELDS))
    assert spec is not None
    for number in range(3):
        assert converters.submit(spec, (page(record(number)),), None) is None
        wait_for(lambda: told)
    assert len(told) == 1


def test_one_for_which_there_is_no_thread_is_told_and_nothing_is_given_away(
    converters: Converters, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    spec = spec_of(Columns(FIELDS))
    assert spec is not None
    monkeypatch.setattr(threading.Thread, "start", refuse)
    for number in range(3):
        assert converters.submit(spec, (page(record(number)),), None) is None
    assert len(told) == 1
    assert "can't start new thread" in told[0]


def test_few_pages_start_none_and_no_core_to_spare_either() -> None:
    spec = spec_of(Columns(FIELDS))
    assert spec is not None
    before = children()
    for most, start_bytes in ((1, 1_000_000), (0, 0)):
        with Converters(most, print, start_bytes) as converters:
            for number in range(20):
                assert converters.submit(spec, (page(record(number)),), None) is None
            assert children() == before


def test_another_one_comes_where_one_cannot_keep_up(told: list[str]) -> None:
    before = children()
    with Converters(2, told.append, start_bytes=0) as converters:
        spec = begun(converters, Columns(FIELDS))
        (slow,) = children() - before
        os.kill(slow, signal.SIGSTOP)
        asked = [converters.submit(spec, (page(record(n)),), "id") for n in range(4)]
        wait_for(lambda: len(children() - before) == 2)
        assert asked[-1] is not None
        assert asked[-1].result(60) is not None
        os.kill(slow, signal.SIGCONT)
        assert asked[0] is not None
        assert (first := asked[0].result(60)) is not None
        assert list(first.raw("id")) == [0]
    assert children() == before
    assert [each for each in threading.enumerate() if each.name == "landing-converter"] == []
    assert told == []


def test_it_knows_no_secret(converters: Converters, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", "top-secret")
    before = children()
    begun(converters, Columns(FIELDS))
    (process,) = children() - before
    assert b"top-secret" not in Path(f"/proc/{process}/environ").read_bytes()


ORPHAN = """\
import sys, time
from landing.columns import Columns
from landing.converters.pool import Converters, spec_of
from landing.fields import Field
from landing.http import JsonPage

converters = Converters(1, print, 0)
spec = spec_of(Columns({"id": Field(type="integer")}))
converters.submit(spec, (JsonPage(b'[{"id": 1}]'),), None)
while not converters.are_up:
    time.sleep(0.01)
(converter,) = converters._ready
print(converter._process.pid, flush=True)
time.sleep(100)
"""


def test_it_ends_with_the_process_that_started_it_however_that_ends() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ORPHAN], stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        process = int(starter.stdout.readline())
        starter.kill()
    wait_for(lambda: not _is_running(process))


def _is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_the_setting_says_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANDING_CONVERTERS", "0")
    assert most_converters() == 0
    monkeypatch.setenv("LANDING_CONVERTERS", "two")
    with pytest.raises(SettingsError, match=r"LANDING_CONVERTERS is 'two'.* from 0 to 64"):
        most_converters()
    monkeypatch.delenv("LANDING_CONVERTERS")
    assert most_converters() == 0


STREAMS = """\
import json
import os
import signal
import time
from pathlib import Path
import dlt
from landing.http import JsonPage
from tests.test_converters import children

PAGES, ROWS = 30, 1_000
KILLED = Path("killed")

def row(n):
    odd = "odd" if n % 7_000 == 6_999 else n
    return {"id": n, "at": f"2026-01-{1 + n // 4_000:02d}T00:00:00Z", "n": odd, "text": "x" * 900}

def page(number):
    return JsonPage(json.dumps([row(number * ROWS + n) for n in range(ROWS)]).encode())

def is_left_to_a_converter(number):
    while page(number).is_decoded:
        time.sleep(0.02)  # until there is one
    return page(number)

@dlt.resource(primary_key="id")
def rows(at: dlt.sources.incremental[str] = dlt.sources.incremental("at")):
    for number in range(PAGES):
        if os.environ["LANDING_CONVERTERS"] == "0" or number < PAGES // 2 or KILLED.exists():
            yield page(number)
            continue
        yield is_left_to_a_converter(number)
        if number == 20 and "KILLS" in os.environ:
            (process,) = children()
            os.kill(process, signal.SIGKILL)
            KILLED.touch()
"""


@dataclass(frozen=True)
class Landed:
    rows: pa.Table
    """In the order of the parts."""
    quarantine: list[tuple[Any, ...]]
    cursor: Any
    warned: bool


@pytest.fixture
def lands(kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Landed]:
    kit.add_source("shop", STREAMS)
    fields = {"id": {"type": "integer"}, "n": {"type": "integer"}, "text": {"type": "string"}}
    fields["at"] = {"type": "string", "format": "date-time"}
    kit.configure("shop", "rows", sync_mode="incremental", cursor_field=["at"], fields=fields)

    def land(name: str, **env: str) -> Landed:
        for variable, value in env.items():
            monkeypatch.setenv(variable, value)
        monkeypatch.setenv("DLT_BUCKET_URL", (tmp_path / name).as_uri())
        done = kit.run("shop", "rows")
        assert done.code == 0, done.text
        zone = Zone(LocalStore(tmp_path / name), tmp_path / "copies")
        parts = [pq.read_table(io.BytesIO(zone.read(part))) for part in zone.parts("shop", "rows")]
        lines = [
            json.loads(line)
            for path in zone.paths("_quarantine")
            for line in zone.read(path).splitlines()
        ]
        (load,) = zone.paths("_dlt/shop/rows/loads")
        return Landed(
            pa.concat_tables(parts).drop_columns(["_dlt_id", "_dlt_load_id"]),
            [(line["row"]["id"], line["field"], line["reason"]) for line in lines],
            json.loads(zone.read(load))["cursor_after"],
            "the run goes on without" in done.text,
        )

    return land


def test_a_run_lands_the_same_with_converters_without_and_where_one_is_killed(
    lands: Callable[..., Landed],
) -> None:
    before = children()
    alone = lands("alone", LANDING_CONVERTERS="0")
    helped = lands("helped", LANDING_CONVERTERS="1")
    killed = lands("killed", KILLS="yes")

    assert alone.rows.num_rows == 30_000 - 4
    assert [each[0] for each in alone.quarantine] == [6_999, 13_999, 20_999, 27_999]
    assert alone.cursor == "2026-01-08T00:00:00Z"
    assert helped == alone
    assert replace(killed, warned=False) == alone
    assert killed.warned
    assert children() == before
