"""The stand-in for Odoo is good enough if Odoo's own client and a popular one can work with it."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from datetime import datetime
from http import HTTPStatus
from typing import Any

import httpx
import odoolib
import odooly
import pytest
from odoolib.tools import AuthenticationError, JsonRPCException

from tests.servers.odoo import OdooServer


@pytest.fixture(scope="module", params=[14, 17, 19])
def odoo(request: pytest.FixtureRequest) -> Iterator[OdooServer]:
    with OdooServer(request.param) as server:
        server.seed_orders(10)
        yield server


@pytest.fixture(scope="module")
def odoo19() -> Iterator[OdooServer]:
    with OdooServer(19) as server:
        server.seed_orders(10)
        yield server


def odoolib_connection(odoo: OdooServer, protocol: str, secret: str) -> Any:
    return odoolib.get_connection(
        "127.0.0.1", protocol, odoo.port, odoo.database, odoo.login, secret
    )


def odooly_client(odoo: OdooServer, path: str = "", **credentials: str) -> Any:
    odooly.Env._cache.clear()
    return odooly.Client(odoo.url + path, odoo.database, odoo.login, **credentials)


# ── Odoo's own client ────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("secret", ["password", "api_key"])
def test_odoolib_reads_through_json_rpc(odoo: OdooServer, secret: str) -> None:
    connection = odoolib_connection(odoo, "jsonrpc", getattr(odoo, secret))
    connection.check_login()
    orders = connection.get_model("sale.order")

    found = orders.search_read(
        [("state", "=", "sale")], ["name", "partner_id"], order="id", limit=2
    )

    assert connection.user_id == 2
    assert connection.get_user_context()["lang"] == "en_US"
    assert found == [
        {"id": 1, "name": "S00001", "partner_id": [7, "Azure Interior"]},
        {"id": 2, "name": "S00002", "partner_id": [7, "Azure Interior"]},
    ]
    assert orders.read(3, ["name"]) == {"id": 3, "name": "S00003"}
    assert orders.search_count([]) == 10


def test_odoolib_gets_an_error_for_a_wrong_password(odoo: OdooServer) -> None:
    with pytest.raises(AuthenticationError):
        odoolib_connection(odoo, "jsonrpc", "wrong").check_login()


def test_odoolib_reads_through_json_2(odoo19: OdooServer) -> None:
    connection = odoolib_connection(odoo19, "json2", odoo19.api_key)
    orders = connection.get_model("sale.order")

    by_name = orders.search_read(domain=[["id", "<", 3]], fields=["name"], order="id desc")
    by_position = orders.search([["id", "<", 3]], 0, 1, "id desc")

    assert connection.check_login()
    assert by_name == [{"id": 2, "name": "S00002"}, {"id": 1, "name": "S00001"}]
    assert by_position == [2]
    assert orders.read([2], ["name"]) == {"id": 2, "name": "S00002"}


def test_odoolib_gets_an_error_for_a_wrong_api_key(odoo19: OdooServer) -> None:
    assert not odoolib_connection(odoo19, "json2", "wrong").check_login()


# ── odooly ───────────────────────────────────────────────────────────────────────────────────────
def test_odooly_reads_through_json_rpc(odoo: OdooServer) -> None:
    client = odooly_client(odoo, "/jsonrpc", password=odoo.password)

    order = client.env["sale.order"].get([("name", "=", "S00004")])

    assert client.version_info == float(odoo.version)
    assert order.partner_id.name == "Azure Interior"
    assert [line.price_unit for line in order.order_line] == [100.0, 100.0]
    assert order.client_order_ref is False
    assert "sale.order.line" in client.env.models()


def test_odooly_reads_through_json_2(odoo19: OdooServer) -> None:
    client = odooly_client(odoo19, api_key=odoo19.api_key)

    found = client.env["sale.order"].search_read([("id", "in", [1, 2])], ["name"], order="id")

    assert repr(client.env._json2).startswith("<Json2")
    assert found == [{"id": 1, "name": "S00001"}, {"id": 2, "name": "S00002"}]
    assert odoo19.calls[-1].protocol == "json2"


def test_odooly_gets_an_error_for_a_wrong_password(
    odoo: OdooServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(getpass, "getpass", lambda _prompt: pytest.fail("asked for a password"))
    with pytest.raises(odooly.Error, match="Invalid username or password"):
        odooly_client(odoo, "/jsonrpc", password="wrong")


def test_odooly_writes(odoo: OdooServer) -> None:
    client = odooly_client(odoo, "/jsonrpc", password=odoo.password)
    before = odoo.models["sale.order"].rows[9]["write_date"]

    client.env["sale.order"].browse(9).write({"client_order_ref": "changed"})

    assert odoo.models["sale.order"].rows[9]["client_order_ref"] == "changed"
    assert odoo.models["sale.order"].rows[9]["write_date"] > before


# ── What a reader of changes depends on ──────────────────────────────────────────────────────────
def json_rpc(odoo: OdooServer, model: str, method: str, *args: Any, **kwargs: Any) -> Any:
    connection = odoolib_connection(odoo, "jsonrpc", odoo.password)
    connection.check_login()
    service = connection.get_service("object")
    login = (odoo.database, connection.user_id, odoo.password)
    return service.execute_kw(*login, model, method, args, kwargs)


@pytest.mark.parametrize(
    ("version", "operator", "found"),
    [
        (18, "=", []),
        (18, ">", [1]),
        (18, ">=", [1]),
        (18, "<=", []),
        (18, "<", []),
        (19, "=", [1]),
        (19, ">", []),
        (19, ">=", [1]),
        (19, "<=", [1]),
        (19, "<", []),
    ],
)
def test_a_domain_compares_what_is_stored_or_whole_seconds(
    version: int, operator: str, found: list[int]
) -> None:
    with OdooServer(version) as odoo:
        odoo.add_order(write_date=datetime(2024, 1, 1, 10, 0, 0, 500_000))

        [shown] = json_rpc(odoo, "sale.order", "search_read", [], ["write_date"])
        domain = [("write_date", operator, shown["write_date"])]

        assert shown["write_date"] == "2024-01-01 10:00:00"
        assert json_rpc(odoo, "sale.order", "search", domain) == found


def test_sorting_goes_by_microseconds() -> None:
    with OdooServer(19) as odoo:
        late = odoo.add_order(write_date=datetime(2024, 1, 1, 10, 0, 0, 900_000))
        early = odoo.add_order(write_date=datetime(2024, 1, 1, 10, 0, 0, 100_000))

        assert json_rpc(odoo, "sale.order", "search", [], order="write_date, id") == [early, late]


@pytest.mark.parametrize(
    ("domain", "found"),
    [
        ([], [1, 2, 3, 4]),
        ([["id", ">", 1], ["id", "<=", 3]], [2, 3]),
        (["|", ["id", "=", 1], "&", ["id", ">", 2], ["id", "!=", 4]], [1, 3]),
        (["!", ["id", "in", [1, 2]]], [3, 4]),
        ([["id", "not in", [1, 2]]], [3, 4]),
        ([["name", "like", "0003"]], [3]),
        ([["name", "ilike", "s%4"]], [4]),
        ([["name", "not ilike", "s00004"]], [1, 2, 3]),
        ([["validity_date", "=", False]], [1, 2, 4]),
        ([["validity_date", "!=", False]], [3]),
        ([["validity_date", "=", "2024-01-01"]], [3]),
        ([["tag_ids", "in", [1]]], [1, 3]),
        ([["tag_ids", "=", False]], [2, 4]),
        ([["partner_id", "=", 7], ["partner_id", "ilike", "azure"]], [1, 2, 3, 4]),
        ([["require_signature", "=", True]], [1, 2, 3, 4]),
        ([["require_signature", "!=", True]], []),
        ([[1, "=", 1]], [1, 2, 3, 4]),
        ([[0, "=", 1]], []),
    ],
)
def test_domains(odoo19: OdooServer, domain: list[Any], found: list[int]) -> None:
    domain = [["id", "<=", 4], *domain]
    order = odoolib_connection(odoo19, "json2", odoo19.api_key).get_model("sale.order")

    assert order.search(domain=domain, order="id") == found


def test_values_read_as_odoo_shows_them(odoo: OdooServer) -> None:
    [order] = json_rpc(odoo, "sale.order", "read", [1])

    assert order["client_order_ref"] is order["validity_date"] is order["pricelist_id"] is False
    assert order["write_date"] == order["create_date"] == "2024-01-01 08:00:00"
    assert order["currency_id"] == [1, "EUR"]
    assert order["order_line"] == [1, 2]
    assert order["require_signature"] is True
    assert order["display_name"] == "S00001"
    assert len(order) > 25


def test_errors_of_json_rpc(odoo: OdooServer) -> None:
    def error_of(*call: Any, **kwargs: Any) -> tuple[int, str, str]:
        with pytest.raises(JsonRPCException) as caught:
            json_rpc(odoo, *call, **kwargs)
        error = caught.value.error
        return error["code"], error["data"]["name"], error["data"]["message"]

    code = 200 if odoo.version < 19 else 0
    assert error_of("sale.order", "search_read", [], ["nope"])[:2] == (code, "builtins.ValueError")
    assert error_of("sale.order", "search", [["nope", "=", 1]])[1] == "builtins.ValueError"
    assert error_of("sale.order", "search", [], order="id; drop")[1] == "odoo.exceptions.UserError"
    assert error_of("no.model", "search", []) == (
        code,
        "odoo.exceptions.UserError",
        "Object no.model doesn't exist",
    )
    odoo.forbidden.add("res.partner")
    assert error_of("res.partner", "read", [7])[1] == "odoo.exceptions.AccessError"
    odoo.forbidden.clear()


def test_a_wrong_secret_or_database_in_a_call(odoo: OdooServer) -> None:
    service = odoolib_connection(odoo, "jsonrpc", "").get_service("object")

    with pytest.raises(JsonRPCException, match=r"odoo\.exceptions\.AccessDenied"):
        service.execute_kw(odoo.database, 2, "wrong", "sale.order", "search", [[]])
    with pytest.raises(JsonRPCException, match=r"psycopg2\.OperationalError"):
        service.execute_kw("nope", 2, odoo.password, "sale.order", "search", [[]])


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "name"),
    [
        ("sale.order/search", {"domain": []}, {"Authorization": "x"}, 401, "Unauthorized"),
        ("sale.order/search", {"domain": []}, {"Authorization": "bearer x"}, 401, "Unauthorized"),
        ("no.model/search", {"domain": []}, {}, 404, "NotFound"),
        ("sale.order/no_method", {}, {}, 404, "NotFound"),
        ("sale.order/search", {}, {}, 422, "UnprocessableEntity"),
        ("sale.order/search", {"domain": [], "ids": [1]}, {}, 422, "UnprocessableEntity"),
        ("sale.order/search", {"domain": [], "order": "?"}, {}, 422, "UserError"),
        ("sale.order/read", {"ids": [1], "fields": ["nope"]}, {}, 500, "ValueError"),
    ],
)
def test_errors_of_json_2(
    odoo19: OdooServer,
    path: str,
    body: dict[str, Any],
    headers: dict[str, str],
    status: int,
    name: str,
) -> None:
    headers = {"Authorization": f"Bearer {odoo19.api_key}", "X-Odoo-Database": "shop"} | headers
    response = httpx.post(f"{odoo19.url}/json/2/{path}", json=body, headers=headers)

    assert response.status_code == status
    assert response.json()["name"].endswith(f".{name}")
    assert response.json().keys() == {"name", "message", "arguments", "context", "debug"}


def test_json_2_of_an_unknown_database_or_an_older_odoo_is_no_page(odoo19: OdooServer) -> None:
    headers = {"Authorization": f"Bearer {odoo19.api_key}", "X-Odoo-Database": "nope"}
    path = "/json/2/sale.order/search"

    unknown = httpx.post(odoo19.url + path, json={"domain": []}, headers=headers)
    with OdooServer(18) as older:
        absent = httpx.post(older.url + path, json={"domain": []}, headers=headers)

    assert unknown.status_code == absent.status_code == HTTPStatus.NOT_FOUND
    assert unknown.headers["Content-Type"] == "text/html; charset=utf-8"
