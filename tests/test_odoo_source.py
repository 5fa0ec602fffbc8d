"""The Odoo source reads everything once it was written, whatever happens between two pages."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import dlt
import pytest
from dlt.common.configuration.container import Container
from dlt.common.pipeline import PipelineContext

from landing.catalog.workspace import find_workspace
from landing.extraction.failures import explained
from landing.http import Retries
from tests.servers.odoo import Call, OdooServer
from tests.servers.scripted import Exchange, serve

SOURCES = Path(__file__).parent.parent / "orchestration" / "dlt"
ROUTES = [(14, False), (17, True), (19, False), (19, True)]
Row = dict[str, Any]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Odoo's variables, without waits, and without another test's pipeline."""
    for name in ("ODOO_URL", "ODOO_DB", "ODOO_USER", "ODOO_PASSWORD", "ODOO_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Retries, "wait", lambda self, attempt: 0.01)
    # A resource that is iterated keeps its cursor in the pipeline that ran last, if there is one.
    Container()[PipelineContext].deactivate()


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The package `sources.odoo`, imported afresh."""
    monkeypatch.syspath_prepend(str(SOURCES))
    imported = [name for name in sys.modules if name.partition(".")[0] == "sources"]
    for name in imported:
        monkeypatch.delitem(sys.modules, name)
    yield importlib.import_module("sources.odoo")
    for name in [name for name in sys.modules if name.partition(".")[0] == "sources"]:
        del sys.modules[name]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def set_variables(odoo: OdooServer, *, api_key: bool = False, **changed: str) -> None:
        for name, value in (odoo.environ(api_key=api_key) | changed).items():
            monkeypatch.setenv(name, value)

    return set_variables


@pytest.fixture
def odoo(connect: Callable[..., None]) -> Iterator[OdooServer]:
    with OdooServer(17) as server:
        connect(server)
        yield server


def ids(rows: list[Row]) -> list[int]:
    return [row["id"] for row in rows]


def read_since(resource: Any, since: str, **arguments: Any) -> list[Row]:
    cursor = dlt.sources.incremental("write_date", initial_value=since, primary_key=())
    return list(resource(write_date=cursor, **arguments))


# ── Both protocols, all versions ─────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(("version", "api_key"), ROUTES)
def test_all_records_come_once(
    source: Any, connect: Callable[..., None], version: int, api_key: bool
) -> None:
    with OdooServer(version) as odoo:
        odoo.seed_orders(230)
        connect(odoo, api_key=api_key)

        orders = list(source.orders(limit=50))
        lines = list(source.order_lines(limit=100))

    protocol = "json2" if version >= 19 and api_key else "jsonrpc"
    assert {call.protocol for call in odoo.calls} == {protocol}
    assert ids(orders) == list(range(1, 231))
    assert sorted(ids(lines)) == list(range(1, 461))
    assert len(odoo.calls_of("search_read")) < 20


def test_a_handful_of_changes_is_one_request_for_records(source: Any, odoo: OdooServer) -> None:
    odoo.seed_orders(3)

    assert len(read_since(source.orders, "2024-01-01 08:00:01")) == 0
    assert [call.method for call in odoo.calls] == ["fields_get", "search_read"]


def test_archived_records_come_too(source: Any, odoo: OdooServer) -> None:
    list(source.orders())

    assert all(call.context == {"active_test": False} for call in odoo.calls_of("search_read"))


# ── Nothing is lost ──────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(("version", "api_key"), ROUTES)
@pytest.mark.parametrize("microsecond", [0, 123_456])
def test_an_import_of_a_thousand_records_in_one_moment(
    source: Any, connect: Callable[..., None], version: int, api_key: bool, microsecond: int
) -> None:
    moment = datetime(2024, 3, 1, 12, 0, 0, microsecond)
    with OdooServer(version) as odoo:
        odoo.seed_orders(30, lines=0, start=moment - timedelta(seconds=7))
        odoo.seed_orders(1000, lines=0, write_date=moment)
        odoo.seed_orders(30, lines=0, start=moment + timedelta(seconds=1))
        connect(odoo, api_key=api_key)

        rows = list(source.orders(limit=100))

    assert sorted(ids(rows)) == list(range(1, 1061))
    assert len(odoo.calls_of("search_read")) < 20


def test_a_second_whose_order_by_microseconds_is_not_the_order_of_ids(
    source: Any, odoo: OdooServer
) -> None:
    moment = datetime(2024, 3, 1, 12)
    for microsecond in range(999_000, 0, -27_000):
        odoo.add_order(lines=0, write_date=moment + timedelta(microseconds=microsecond))

    for limit in (1, 2, 5, 36, 37, 38):
        assert sorted(ids(list(source.orders(limit=limit)))) == list(range(1, 38))


@pytest.mark.parametrize("version", [17, 19])
@pytest.mark.parametrize("limit", [1, 3, 10, 1000])
def test_records_edited_between_pages_are_not_lost(
    source: Any, connect: Callable[..., None], version: int, limit: int
) -> None:
    with OdooServer(version) as odoo:
        odoo.seed_orders(60, lines=0, step=timedelta(milliseconds=150))
        connect(odoo)
        to_edit = [1, 59, 2, 30, 60, 31, 3, 58, 29, 5]

        def edit_one(call: Call) -> None:
            if call.method == "search_read" and to_edit:
                odoo.edit("sale.order", to_edit.pop(), client_order_ref="edited")

        odoo.on_request = edit_one
        rows = list(source.orders(limit=limit))

        odoo.on_request = None
        next_rows = read_since(source.orders, max(row["write_date"] for row in rows))

    orders = odoo.models["sale.order"].rows
    assert set(ids(rows)) == orders.keys()
    latest = {row["id"]: row["client_order_ref"] for row in [*rows, *next_rows]}
    assert latest == {order_id: row["client_order_ref"] for order_id, row in orders.items()}


@pytest.mark.parametrize("version", [17, 19])
def test_edits_within_a_second_that_takes_many_pages(
    source: Any, connect: Callable[..., None], version: int
) -> None:
    """The clock stays in the second of an import for some pages; then life goes on."""
    now = datetime(2024, 3, 1, 12, 0, 0, 100)
    with OdooServer(version, clock=lambda: now) as odoo:
        odoo.seed_orders(50, lines=0, write_date=now)
        connect(odoo)

        def live(_call: Call) -> None:
            nonlocal now
            number = len(odoo.calls_of("search_read"))
            if number == 5:
                odoo.edit("sale.order", 1, client_order_ref="same second, page already read")
            if number == 6:
                now += timedelta(seconds=1)
                odoo.edit("sale.order", 40, client_order_ref="later, page not read yet")

        odoo.on_request = live
        rows = list(source.orders(limit=10))

    latest = {row["id"]: row for row in rows}
    assert latest.keys() == odoo.models["sale.order"].rows.keys()
    assert latest[1]["client_order_ref"] == "same second, page already read"
    assert latest[40]["client_order_ref"] == "later, page not read yet"


def test_the_next_read_finds_an_edit_in_the_second_the_last_one_ended_with(
    source: Any, odoo: OdooServer
) -> None:
    moment = datetime(2024, 3, 1, 12, 0, 0, 100)
    order = odoo.add_order(write_date=moment)
    cursor = max(row["write_date"] for row in source.orders())
    odoo.edit("sale.order", order, write_date=moment.replace(microsecond=800), origin="web")

    [row] = read_since(source.orders, cursor)

    assert row["origin"] == "web"


def test_reading_ends_although_every_request_meets_an_edit(source: Any, odoo: OdooServer) -> None:
    odoo.seed_orders(40, lines=0)
    odoo.on_request = lambda _call: odoo.edit("sale.order", 1 + len(odoo.calls) % 40)

    assert set(ids(list(source.orders(limit=10)))) == set(range(1, 41))


def test_records_without_a_write_date_come_with_the_first_read(
    source: Any, odoo: OdooServer
) -> None:
    odoo.seed_orders(3)
    odoo.models["sale.order"].rows[2]["write_date"] = None

    assert sorted(ids(list(source.orders()))) == [1, 2, 3]


def test_a_pipeline_continues_where_the_last_run_ended(
    source: Any, odoo: OdooServer, tmp_path: Path
) -> None:
    odoo.seed_orders(25)
    pipeline = dlt.pipeline("odoo", destination="duckdb", pipelines_dir=str(tmp_path))
    destination = dlt.destinations.duckdb(str(tmp_path / "odoo.duckdb"))

    def run() -> None:
        pipeline.run(source.orders(limit=10), destination=destination, dataset_name="raw")

    run()
    odoo.edit("sale.order", 3, state="cancel", note=None)
    odoo.add_order()
    run()

    with pipeline.sql_client() as sql:
        found = sql.execute_sql("SELECT id, state, note FROM orders ORDER BY id") or []
        described = sql.execute_sql("SELECT column_name, column_type FROM (DESCRIBE orders)") or []
    assert [row[0] for row in found] == list(range(1, 27))
    assert found[2][1:] == ("cancel", None)
    types: dict[str, str] = dict(described)  # type: ignore[arg-type]
    assert types["partner_id"] == types["order_line"] == "JSON"
    assert types["pricelist_id"] == "JSON"
    assert types["signed_by"] == types["note"] == "VARCHAR"
    assert types["validity_date"] == "DATE"
    assert types["commitment_date"].startswith("TIMESTAMP")
    assert types["amount_total"] == "DOUBLE"
    assert types["locked"] == "BOOLEAN"


# ── Fields and values ────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(("version", "api_key"), [(17, False), (19, True)])
def test_only_selected_fields_are_asked_for(
    source: Any, connect: Callable[..., None], version: int, api_key: bool
) -> None:
    with OdooServer(version) as odoo:
        odoo.seed_orders(5)
        connect(odoo, api_key=api_key)

        rows = list(source.orders(fields=["name", "amount_total", "id"], limit=2))

    asked = [call.kwargs["fields"] for call in odoo.calls_of("search_read")]
    assert all(set(fields) <= {"id", "write_date", "name", "amount_total"} for fields in asked)
    assert rows[0].keys() == {"id", "write_date", "name", "amount_total"}


def test_without_a_selection_stored_fields_come_but_no_files(source: Any, odoo: OdooServer) -> None:
    odoo.add_order()

    [row] = source.orders()

    assert row.keys() >= {"name", "note", "order_line", "tag_ids", "write_date", "create_uid"}
    assert not row.keys() & {"display_name", "expected_date", "signature"}
    [row] = source.orders(fields=["expected_date", "signature"])
    assert row.keys() == {"id", "write_date", "expected_date", "signature"}


def test_false_is_null_except_for_booleans(source: Any, odoo: OdooServer) -> None:
    odoo.add_order(lines=0, locked=False, tag_ids=[])

    [row] = source.orders()

    assert row["locked"] is False
    assert row["require_signature"] is True
    assert row["client_order_ref"] is row["validity_date"] is row["pricelist_id"] is None
    assert row["commitment_date"] is row["note"] is row["signed_by"] is None
    assert row["order_line"] == row["tag_ids"] == []
    assert row["partner_id"] == [7, "Azure Interior"]


def test_the_streams_know_their_key_and_cursor(source: Any) -> None:
    for resource in (source.orders, source.order_lines):
        cursor = inspect.signature(resource._pipe.gen).parameters["write_date"].default
        assert resource.compute_table_schema()["columns"]["id"]["primary_key"]
        assert resource.write_disposition == "merge"
        assert cursor.cursor_path == "write_date"
        assert cursor.initial_value == "1970-01-01 00:00:00"


@pytest.mark.usefixtures("odoo")
def test_an_unknown_field_is_named(source: Any) -> None:
    with pytest.raises(Exception, match="no field nope, or its user may not read it"):
        list(source.orders(fields=["name", "nope"]))


# ── What can go wrong ────────────────────────────────────────────────────────────────────────────
def failure(read: Callable[[], Any], *secrets: str) -> BaseException:
    """The exception that ended reading; no secret is in anything that led to it."""
    with pytest.raises(Exception) as caught:
        list(read())
    reason: BaseException = caught.value
    while reason.__cause__:
        reason = reason.__cause__
    link: BaseException | None = caught.value
    while link:
        assert not any(secret in f"{link!s} {link!r} {vars(link)}" for secret in secrets)
        link = link.__cause__ or link.__context__
    return reason


def told_by_the_engine(read: Callable[[], Any], *secrets: str) -> str:
    with pytest.raises(Exception) as caught:
        list(read())
    told = str(explained(find_workspace(SOURCES), "odoo", "stream 'odoo/orders'", caught.value))
    assert not any(secret in told for secret in secrets)
    return told


@pytest.mark.parametrize(("version", "api_key"), ROUTES)
def test_wrong_credentials(
    source: Any, connect: Callable[..., None], version: int, api_key: bool
) -> None:
    variable = "ODOO_API_KEY" if api_key else "ODOO_PASSWORD"
    with OdooServer(version) as odoo:
        connect(odoo, api_key=api_key, **{variable: "wr0ng-s3cret"})

        error = failure(source.orders, "wr0ng-s3cret")

    assert "does not accept the" in str(error)
    assert variable in str(error)


@pytest.mark.parametrize(("version", "api_key"), ROUTES)
def test_an_unknown_database(
    source: Any, connect: Callable[..., None], version: int, api_key: bool
) -> None:
    with OdooServer(version) as odoo:
        connect(odoo, api_key=api_key, ODOO_DB="nope")

        error = failure(source.orders, odoo.password, odoo.api_key)

    assert str(error) == "No database 'nope' there: check ODOO_DB, and then ODOO_URL."


@pytest.mark.parametrize(("version", "api_key"), ROUTES)
def test_sales_are_not_installed(
    source: Any, connect: Callable[..., None], version: int, api_key: bool
) -> None:
    with OdooServer(version, sale_installed=False) as odoo:
        connect(odoo, api_key=api_key)

        error = failure(source.orders, odoo.password, odoo.api_key)

    assert "no model sale.order: install the app 'sale'" in str(error)


@pytest.mark.parametrize(("version", "api_key"), ROUTES)
def test_the_user_has_no_right(
    source: Any, connect: Callable[..., None], version: int, api_key: bool
) -> None:
    with OdooServer(version) as odoo:
        odoo.forbidden.add("sale.order")
        connect(odoo, api_key=api_key)

        error = failure(source.orders, odoo.password, odoo.api_key)

    assert "may not read sale.order" in str(error)
    assert "Contact your administrator" in str(error)


@pytest.mark.parametrize("name", ["ODOO_URL", "ODOO_DB", "ODOO_USER"])
def test_a_missing_variable_is_a_key_error(
    source: Any, odoo: OdooServer, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv(name)

    error = failure(source.orders, odoo.password)

    assert isinstance(error, KeyError)
    assert error.args == (name,)


@pytest.mark.usefixtures("odoo")
def test_neither_password_nor_key(source: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ODOO_PASSWORD")

    assert "set ODOO_API_KEY (preferred) or ODOO_PASSWORD" in str(failure(source.orders))


def test_an_api_key_on_odoo_19_needs_no_user(
    source: Any, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with OdooServer(19) as odoo:
        odoo.seed_orders(2)
        connect(odoo, api_key=True)
        monkeypatch.delenv("ODOO_USER")

        assert len(list(source.orders())) == 2


def test_a_passing_failure_is_retried(source: Any, odoo: OdooServer) -> None:
    odoo.seed_orders(2)
    odoo.fail_next(HTTPStatus.BAD_GATEWAY, HTTPStatus.TOO_MANY_REQUESTS)

    assert len(list(source.orders())) == 2


def test_a_lasting_failure_is_reported(source: Any, odoo: OdooServer) -> None:
    odoo.fail_next(*[HTTPStatus.SERVICE_UNAVAILABLE] * 10)

    told = told_by_the_engine(source.orders, odoo.password)

    assert f"POST {odoo.url}/jsonrpc answered 503 Service Unavailable" in told
    assert "(tried 6 times)" in told


def test_a_call_that_will_fail_again_is_made_once(source: Any, odoo: OdooServer) -> None:
    odoo.fail_next(HTTPStatus.INTERNAL_SERVER_ERROR)

    assert "answered 500 Internal Server Error, but not as Odoo" in str(failure(source.orders))
    assert len(odoo.calls) == 0


def test_a_redirect_is_not_followed(source: Any, connect: Callable[..., None]) -> None:
    def away(exchange: Exchange) -> None:
        exchange.reply(302, Location="https://me:s3cret@odoo.example.com/jsonrpc?key=s3cret")

    with OdooServer() as odoo, serve(away) as server:
        connect(odoo, ODOO_URL=server.url)
        error = failure(source.orders, odoo.password, "s3cret")

    assert "ODOO_URL redirects to https://odoo.example.com/jsonrpc: set it" in str(error)
    assert len(server.seen) == 1


def test_nobody_there(source: Any, connect: Callable[..., None]) -> None:
    with OdooServer() as odoo:
        pass
    connect(odoo, ODOO_URL=odoo.url.replace("//", "//proxy:pr0xy-s3cret@"))

    told = told_by_the_engine(source.orders, odoo.password, "pr0xy-s3cret")

    assert f"POST {odoo.url}/jsonrpc failed: no connection" in told


@pytest.mark.parametrize("api_key", [False, True])
def test_another_site_than_odoo(source: Any, connect: Callable[..., None], api_key: bool) -> None:
    with OdooServer() as odoo:
        connect(odoo, api_key=api_key, ODOO_URL=f"{odoo.url}/elsewhere")

        assert "check ODOO_" in str(failure(source.orders, odoo.password, odoo.api_key))
