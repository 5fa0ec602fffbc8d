"""`landing run --dry-run`: what would be done, and the first page as it would land."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import requests

from landing.events import Event, TotalExpected
from landing.http.captured import captured
from landing.http.traffic import counting
from tests.kit import Kit, Outcome, Zone
from tests.servers.api import Api

STREAMS = """\
import os

import dlt
from landing.http import Api, Bearer, OffsetPages


def shop():
    return Api(os.environ["MY_API_URL"], auth=Bearer(os.environ["MY_API_KEY"]))


@dlt.resource(primary_key="id")
def orders(
    updated_at: dlt.sources.incremental[str] = dlt.sources.incremental(
        "updated_at", initial_value="2020-01-01 00:00:00"
    ),
):
    params = {"since": updated_at.last_value, "api_key": "not for everyone"}
    yield from shop().pages("orders", records="data", params=params, paging=OffsetPages(500))


@dlt.transformer(data_from=orders)
def notes(page):
    yield [{"order": row["id"], "note": row["note"]} for row in page.rows()]
"""
FIELDS: dict[str, Any] = {
    "id": {"type": "integer"},
    "name": {"type": "string", "privacy": "mask"},
    "updated_at": {"type": "string", "format": "date-time"},
    "total": {"type": "number"},
}


@pytest.fixture
def shop(kit: Kit, api: Api, zone: Zone, use: Callable[[Api], None]) -> Kit:
    use(api)
    kit.add_source("shop", STREAMS)
    configure(kit, FIELDS)
    return kit


def configure(kit: Kit, fields: dict[str, Any], **keys: Any) -> None:
    config = {"primary_key": [["id"]], "cursor_field": ["updated_at"], "fields": fields}
    kit.configure("shop", "orders", **{**config, **keys})


def planned(shop: Kit, *words: str) -> Outcome:
    return shop.run("shop", "orders", "--dry-run", *words)


def document(shop: Kit, *words: str) -> dict[str, Any]:
    (found,) = json.loads(planned(shop, "--json", *words).out)
    plan: dict[str, Any] = found
    return plan


def test_a_plan_shows_the_request_and_the_first_rows_as_they_would_land(
    shop: Kit, api: Api, zone: Zone
) -> None:
    api.tells_total = True
    done = planned(shop)
    assert done.code == 0, done.text
    assert f"  request   GET {api.url}/orders\n" in done.out
    assert "              since = 2020-01-01 00:00:00\n" in done.out
    assert "              limit = 500\n" in done.out
    assert "  rows      2,350, says the API\n" in done.out
    assert "  page      500 records: 500 would land\n" in done.out
    assert "  columns   6, nothing has landed yet\n" in done.out
    *_, titles, _ = done.out.rpartition("  preview   10 rows as they would land, of 500\n")
    rows = done.out.partition(" as they would land, of 500\n")[2].splitlines()
    assert rows[0].split() == [*FIELDS, "_dlt_load_id", "_dlt_id"]
    assert len(rows) == 11
    assert "Order" not in titles, "names are masked"
    assert zone.paths() == []
    assert len(api.requests) == 1, "one page, and no second"


def test_no_secret_is_in_a_plan(shop: Kit, api: Api) -> None:
    for words in ((), ("--json",)):
        done = planned(shop, *words)
        assert "api_key" in done.out
        assert "not for everyone" not in done.text
        assert api.token not in done.text


def test_a_plan_as_json(shop: Kit, api: Api) -> None:
    api.tells_total = True
    plan = document(shop)
    assert plan["cursor"] == plan["read_from"] == "2020-01-01 00:00:00"
    assert plan["columns"][0] == {"name": "id", "type": "int64"}
    assert plan["change"]["against"] is None
    look = plan["preview"]
    (request,) = look["requests"]
    assert request["url"] == f"{api.url}/orders"
    assert ["since", "2020-01-01 00:00:00"] in request["params"]
    assert ["api_key", "***"] in request["params"]
    assert (look["total"], look["read"], look["new"], look["undecided"]) == (2_350, 500, 500, 0)
    first = min(api.rows(), key=lambda row: (row["updated_at"], row["id"]))
    assert look["rows"][0]["id"] == first["id"]
    assert look["rows"][0]["total"] == first["total"]
    assert look["rows"][0]["name"] != first["name"]
    assert look["error"] is None


def test_a_plan_begins_where_the_last_run_ended_and_moves_nothing(
    shop: Kit, api: Api, zone: Zone
) -> None:
    shop.run("shop", "orders")
    before = {path: zone.read(path) for path in zone.paths()}
    last = max(row["updated_at"] for row in api.rows())
    at_last = sum(row["updated_at"] == last for row in api.rows())
    api.update("orders", 7, name="seven")
    plan = document(shop)
    assert plan["cursor"] == last
    assert plan["change"] is None
    assert ["since", last] in plan["preview"]["requests"][0]["params"]
    assert plan["preview"]["new"] == 1
    assert plan["preview"]["undecided"] == at_last
    assert [row["id"] for row in plan["preview"]["rows"]] == [7]
    assert f"1 would land, {at_last:,} landed before, or are at the cursor" in planned(shop).out
    assert {path: zone.read(path) for path in zone.paths()} == before
    landed = shop.run("shop", "orders")
    assert "1 row in" in landed.out


def test_columns_are_compared_with_those_that_landed(shop: Kit) -> None:
    shop.run("shop", "orders")
    fields = {**FIELDS, "total": {"type": "string"}, "paid": {"type": "boolean"}}
    del fields["name"]
    configure(shop, fields)
    told = planned(shop).out
    assert "  columns   6, against the last files:\n" in told
    assert "    total         string  ~ was double\n" in told
    assert "    paid          bool  + new\n" in told
    assert "    name          - no longer lands\n" in told
    change = document(shop)["change"]
    assert (change["against"], change["added"], change["removed"]) == (1, ["paid"], ["name"])
    assert change["changed"] == [{"name": "total", "before": "double", "after": "string"}]


def test_what_would_be_rejected_is_shown_with_its_reason(shop: Kit, api: Api, zone: Zone) -> None:
    early = "2020-06-01 00:00:00"
    bad = [{"id": 9_000 + n, "updated_at": early, "total": "a lot"} for n in range(3)]
    api.add("orders", *bad)
    configure(shop, FIELDS, quarantine_limit=0.001)
    told = planned(shop)
    assert told.code == 0, told.text
    assert "total: text where a number is configured (3); goes to quarantine" in told.out
    assert "497 would land, 3 would be refused" in told.out
    assert "above the quarantine_limit of 0.001: if the rest is like it, the run fails" in told.out
    (refused,) = document(shop)["preview"]["refused"]
    assert (refused["field"], refused["records"]) == ("total", 3)
    assert zone.paths() == []


def test_drift_of_the_first_page_is_reported(shop: Kit) -> None:
    told = planned(shop).out
    assert "drift: + created_on (string)" in told
    assert "`landing discover shop orders` updates the discovered schema" in told
    configure(shop, FIELDS, on_drift="fail")
    refused = planned(shop)
    assert refused.code == 1
    assert "drifted, and on_drift is 'fail'" in refused.err
    assert "  columns   6, nothing has landed yet\n" in refused.out


def test_a_broken_key_is_part_of_the_plan(
    shop: Kit, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_API_KEY", "wrong")
    told = planned(shop)
    assert told.code == 1
    assert f"  request   GET {api.url}/orders\n" in told.out
    assert "  page      could not be read, see below\n" in told.out
    assert "  columns   6, nothing has landed yet\n" in told.out
    assert "answered 401 Unauthorized" in told.err
    assert "`landing env shop` lists" in told.err
    failed = document(shop)["preview"]
    assert failed["error"]["class"] == "ApiError"
    assert failed["rows"] == []


def test_a_retried_request_is_shown(shop: Kit, api: Api) -> None:
    api.fail_next(1, status=429, headers={"Retry-After": "0"})
    told = planned(shop).out
    assert "            made 2 times\n" in told
    assert "500 would land" in told


def test_without_a_preview_nothing_is_asked_for(shop: Kit, api: Api) -> None:
    told = planned(shop, "--no-preview")
    assert told.code == 0
    assert "(dry run: requests no records, writes nothing)" in told.out
    assert api.requests == []
    assert document(shop, "--no-preview")["preview"] is None
    assert api.requests == []
    assert shop.run("shop", "orders", "--no-preview").code == 2


def test_a_childs_plan_does_not_count_its_parents_rows(shop: Kit, api: Api) -> None:
    api.tells_total = True
    shop.configure("shop", "notes", fields={"order": {"type": "integer"}})
    (plan,) = json.loads(shop.run("shop", "notes", "--dry-run", "--json").out)
    assert plan["preview"]["read"] == 500
    assert plan["preview"]["total"] is None
    assert len(api.requests) == 1


def test_a_stream_without_news_says_so(kit: Kit, folder_zone: Zone) -> None:
    kit.add_source(
        "quiet",
        "import dlt\n@dlt.resource\ndef rows():\n    yield from ()\n",
    )
    kit.configure("quiet", "rows", fields={"id": {"type": "integer"}})
    told = kit.run("quiet", "rows", "--dry-run")
    assert told.code == 0, told.text
    assert "  page      no record: there is nothing new\n" in told.out
    assert "request" not in told.out, "it asks nobody"


def test_a_stream_with_requests_in_flight_is_asked_for_one_page(
    kit: Kit, api: Api, use: Callable[[Api], None], folder_zone: Zone
) -> None:
    use(api)
    paging = "from landing.http import in_flight\n" + STREAMS.replace(
        'yield from shop().pages("orders", records="data", params=params, paging=OffsetPages(500))',
        """api = shop()
    def page(offset):
        return list(api.pages("orders", records="data", params={"offset": offset, "limit": 100}))
    for pages in in_flight(page, range(0, 800, 100), at_once=8):
        yield from pages""",
    )
    kit.add_source("shop", paging)
    configure(kit, FIELDS)
    told = planned(kit)
    assert told.code == 0, told.text
    assert "              offset = 0\n" in told.out
    assert len(api.requests) == 1
    assert kit.run("shop", "orders").code == 0
    assert len(api.requests) == 9


def test_the_request_of_a_client_on_plain_requests_is_shown_too(
    kit: Kit, api: Api, use: Callable[[Api], None], folder_zone: Zone
) -> None:
    use(api)
    kit.add_founding_source()
    kit.configure("my_source", "orders", cursor_field=["updated_at"], fields=FIELDS)
    told = kit.run("my_source", "orders", "--dry-run").out
    assert f"  request   GET {api.url}/orders\n" in told
    assert "              offset = 0\n" in told
    assert len(api.requests) == 1


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ({"json": {"query": "a", "auth": {"password": "hush"}}}, '"password": "***"'),
        ({"json": {"tokens": ["hush"], "auth": {"user": "me"}}}, '"user": "me"'),
        ({"data": {"grant_type": "x", "client_secret": "hush"}}, "client_secret"),
    ],
)
def test_what_a_body_hides_stays_hidden(body: dict[str, Any], shown: str) -> None:
    request = requests.Request("POST", "https://api.example.com/search", **body).prepare()
    shown_request = captured(request)
    assert shown in f"{shown_request.body} {shown_request.params}"
    assert "hush" not in f"{shown_request}"


def test_the_number_of_rows_is_that_of_one_list_alone(shop: Kit, api: Api) -> None:
    from landing.http import Api as Client
    from landing.http import Bearer, OffsetPages

    api.tells_total = True
    client = Client(api.url, auth=Bearer(api.token))
    events: list[Event] = []
    with counting(events.append, "orders"):
        for _ in range(2):
            list(client.pages("orders", records="data", paging=OffsetPages(500)))
    totals = [event.rows for event in events if isinstance(event, TotalExpected)]
    assert totals == [2_350, None], "of two lists, nobody knows what there is in all"
