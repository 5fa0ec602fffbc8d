"""The repository's own sources, discovered and run by the engine against real servers."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.servers import datasette
from tests.kit import Kit, Zone
from tests.servers.odoo import OdooServer


@pytest.fixture(params=[(14, False), (17, False), (19, True)], ids=["14", "17", "19-json2"])
def odoo(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[OdooServer]:
    version, api_key = request.param
    with OdooServer(version) as server:
        server.seed_orders(250, lines=2)
        for name, value in server.environ(api_key=api_key).items():
            monkeypatch.setenv(name, value)
        yield server


def test_odoo_from_discovery_to_the_second_run(kit: Kit, odoo: OdooServer, zone: Zone) -> None:
    assert kit.discover("odoo").code == 0
    found = kit.discovered("odoo", "orders")
    assert found["defaults"] == {"primary_key": [["id"]], "cursor_field": ["write_date"]}
    assert found["fields"]["write_date"] == {"type": "string", "format": "date-time"}
    kept = ("id", "name", "partner_id", "amount_total", "client_order_ref", "write_date")
    kit.configure(
        "odoo",
        "orders",
        sync_mode="incremental",
        destination_sync_mode="append",
        primary_key=[["id"]],
        cursor_field=["write_date"],
        fields={name: found["fields"][name] for name in kept},
    )
    kit.configure("odoo", "order_lines", kit.discovered_file("odoo", "order_lines").read_text())
    odoo.calls.clear()
    done = kit.run("odoo", "orders", "order_lines")
    assert done.code == 0, done.text
    assert "odoo/orders: 250 rows" in done.out
    assert "odoo/order_lines: 500 rows" in done.out
    asked = {tuple(c.kwargs["fields"]) for c in odoo.calls_of("search_read") if _orders(c)}
    assert all(set(fields) <= set(kept) for fields in asked), "fields are selected by the server"

    odoo.edit("sale.order", 5, client_order_ref="changed")
    again = kit.run("odoo", "--all")
    assert "odoo/orders: 1 row" in again.out, again.text
    newest = zone.query(
        "odoo",
        "orders",
        "SELECT client_order_ref FROM landed WHERE id = 5 ORDER BY _dlt_load_id DESC LIMIT 1",
    )
    assert newest == [("changed",)]
    assert "nothing new" in kit.run("odoo", "orders").out


def _orders(call: Any) -> bool:
    return bool(call.model == "sale.order")


def test_odoos_false_lands_as_null_and_booleans_stay(
    kit: Kit, odoo: OdooServer, zone: Zone
) -> None:
    kit.discover("odoo", "orders")
    kit.configure("odoo", "orders", kit.discovered_file("odoo", "orders").read_text())
    assert kit.run("odoo", "orders").code == 0
    texts = zone.query(
        "odoo",
        "orders",
        "SELECT count(*) FILTER (client_order_ref = 'false'), count(client_order_ref), count(*)"
        " FROM landed",
    )[0]
    assert texts[0] == 0
    assert 0 < texts[1] < texts[2]
    types = dict(row[:2] for row in zone.query("odoo", "orders", "DESCRIBE SELECT * FROM landed"))
    assert "BOOLEAN" in types.values()
    assert types["commitment_date"] == types["write_date"] == "TIMESTAMP WITH TIME ZONE"


def test_datasette_from_discovery_to_the_second_run(
    kit: Kit, zone: Zone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "shop.db"
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE sales (id INTEGER PRIMARY KEY, at TEXT, price REAL, x TEXT)")
        database.executemany(
            "INSERT INTO sales VALUES (?, ?, ?, ?)",
            ((n, f"2024-01-{1 + n % 28:02d}T00:00:00Z", n / 4, "x") for n in range(2_500)),
        )
    with datasette(file) as server:
        monkeypatch.setenv("DATASETTE_URL", server.database("shop"))
        assert kit.discover("datasette").code == 0
        fields = kit.discovered("datasette", "sales")["fields"]
        assert fields["at"] == {"type": "string", "format": "date-time"}
        del fields["x"]
        kit.configure(
            "datasette", "sales", sync_mode="incremental", cursor_field=["at"], fields=fields
        )
        first = kit.run("datasette", "--all")
        assert "2,500 rows" in first.out, first.text
        with sqlite3.connect(file) as database:
            database.execute("INSERT INTO sales VALUES (9999, '2024-01-28T00:00:00Z', 1, 'late')")
        second = kit.run("datasette", "--all")
        assert second.code == 0, second.text
        ids = zone.query("datasette", "sales", "SELECT count(DISTINCT id), sum(price) FROM landed")
        assert ids[0][0] == 2_501
        assert "nothing new" in kit.run("datasette", "--all").out
        assert not any("_col=x" in path for path in server.requested())
