"""What `landing check` says of a cursor: its kind, its order, and whether edits move it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.kit import Kit
from tests.servers.scripted import Exchange, serve

STREAM = """
import os
import dlt, requests

@dlt.resource(primary_key="id")
def rows(at=dlt.sources.incremental("at"{order})):
    page = requests.get(os.environ["LEDGER"]).json()
    yield [row for row in page if at.last_value is None or row["at"] >= at.last_value]
"""
FIELDS = {"id": {"type": "integer"}, "at": {"type": "string"}, "text": {"type": "string"}}
TIMES = [f"2024-01-0{day}T00:00:00Z" for day in range(1, 6)]


class Ledger:
    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.rows: list[dict[str, Any]] = []
        self.edit: Callable[[], None] = lambda: None
        """Before each answer but the first two."""
        self.answers = 0

    def put(self, *values: Any) -> None:
        self.rows = [{"id": n, "at": at, "text": "x"} for n, at in enumerate(values, 1)]

    def answer(self, exchange: Exchange) -> None:
        self.answers += 1
        if self.answers > 2:
            self.edit()
        exchange.reply(200, json.dumps(self.rows).encode())

    def check(self, *only: str, order: str = "", **keys: Any) -> dict[str, tuple[str, str]]:
        self.kit.add_source("ledger", STREAM.replace("{order}", order))
        self.kit.configure("ledger", "rows", fields=FIELDS, cursor_field=["at"], **keys)
        options = [f"--only={name}" for name in only]
        done = self.kit.landing("check", "ledger", "--json", *options)
        results = json.loads(done.out)["results"]
        return {one["check"]: (one["status"], one["detail"]) for one in results}


@pytest.fixture
def ledger(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    made = Ledger(kit)
    with serve(made.answer) as server:
        monkeypatch.setenv("LEDGER", server.url)
        yield made


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["9", "10"], "'9' and '10' are numbers as text"),
        (["Tue, 15 Nov 1994 08:12:31 GMT", "Mon, 02 Jan 2006 15:04:05 GMT"], "are dates that do"),
        (["01/31/2024", "12/01/2023"], "'01/31/2024' and '12/01/2023' are dates"),
    ],
)
def test_text_that_has_another_order_fails_with_what_to_write_instead(
    ledger: Ledger, values: list[str], said: str
) -> None:
    ledger.put(*values)
    status, detail = ledger.check("cursor")["cursor"]
    assert status == "failed"
    assert said in detail
    assert "have the stream return 'at' as" in detail


@pytest.mark.parametrize(("order", "first"), [("asc", "oldest"), ("desc", "newest")])
def test_an_order_that_is_declared_and_not_kept_fails(
    ledger: Ledger, order: str, first: str
) -> None:
    ledger.put(TIMES[1], TIMES[2], TIMES[0])
    status, detail = ledger.check("cursor", order=f', row_order="{order}"')["cursor"]
    assert status == "failed"
    assert f"row_order is '{order}', but the records do not come {first} first: after" in detail
    assert "leave row_order out" in detail


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_an_order_that_is_kept_passes(ledger: Ledger, order: str) -> None:
    ledger.put(*(TIMES if order == "asc" else reversed(TIMES)))
    found = ledger.check("cursor", "incremental", order=f', row_order="{order}"')
    assert {status for status, _ in found.values()} == {"passed"}, found


def test_times_of_any_spelling_are_in_the_order_of_time(ledger: Ledger) -> None:
    ledger.put("2024-01-01T00:00:00Z", "2024-01-01T00:00:00.25Z", "2024-01-01T03:00:01+02:00")
    found = ledger.check("cursor", order=', row_order="asc"')
    assert found["cursor"] == ("passed", "at")


def test_an_edit_that_does_not_move_the_cursor_fails(ledger: Ledger) -> None:
    ledger.put(*TIMES)
    ledger.edit = lambda: ledger.rows[2].update(text=f"edited before answer {ledger.answers}")
    status, detail = ledger.check()["edits"]
    assert status == "failed"
    assert (
        f"the record 3 changed between two reads (text), but its 'at' went from {TIMES[2]} to"
        in (detail)
    )


def test_an_edit_that_moves_it_passes(ledger: Ledger) -> None:
    ledger.put(*TIMES)

    def edit() -> None:
        at = f"2024-02-01T00:00:{ledger.answers:02}Z"
        ledger.rows[2].update(text=f"at {at}", at=at)

    ledger.edit = edit
    status, detail = ledger.check("edits")["edits"]
    assert (status, detail) == ("passed", "1 record changed between two reads, and 'at' with each")


def test_what_does_not_land_may_differ_with_each_request(ledger: Ledger) -> None:
    ledger.put(*TIMES)
    ledger.edit = lambda: ledger.rows[2].update(age=ledger.answers)
    status, detail = ledger.check("edits")["edits"]
    assert (status, detail) == ("passed", "no record changed between two reads")


def test_a_full_refresh_needs_no_cursor_that_moves(ledger: Ledger) -> None:
    ledger.put(*TIMES)
    status, detail = ledger.check("edits", sync_mode="full_refresh")["edits"]
    assert (status, detail) == ("skipped", "a full refresh reads every record, however it changed")
