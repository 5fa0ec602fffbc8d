"""`landing new --openapi` with a Postman collection, which has saved responses and no schemas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.kit import Kit, Zone
from tests.servers.scripted import Exchange, serve

V2_1 = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
ORDERS = [{"id": n, "paid_at": "2026-01-02T03:04:05Z", "note": None} for n in range(1, 131)]


def get(name: str, url: Any, body: Any = None, code: int = 200) -> dict[str, Any]:
    saved = [{"name": "Bad", "code": 401, "body": '{"error": "no"}'}]
    if body is not None:
        saved.append({"name": "Good", "code": code, "body": json.dumps(body)})
    return {"name": name, "request": {"method": "GET", "url": url}, "response": saved}


def collection(base: str | None) -> dict[str, Any]:
    orders = {
        "raw": "{{ baseUrl }}/orders?limit=10&after=<string>",
        "query": [
            {"key": "limit", "value": "10", "description": "How many, at most 50."},
            {"key": "after", "value": "<string>"},
        ],
    }
    page = {"orders": ORDERS[:2], "paging": {"next": {"after": "10"}}}
    countries = {
        "host": ["{{ baseUrl }}"],
        "path": ["countries"],
        "query": [{"key": "area", "value": "eu", "description": {"content": "(Required) Where"}}],
    }
    return {
        "info": {"name": "Shop", "schema": V2_1},
        "auth": {
            "type": "apikey",
            "apikey": [
                {"key": "value", "value": "key-of-the-author"},
                {"key": "key", "value": "X-Shop-Key"},
            ],
        },
        "variable": [] if base is None else [{"key": "baseUrl", "value": base}],
        "item": [
            {"name": "Sales", "item": [get("List orders", orders, page)]},
            get("List countries", countries, [{"code": "fr", "name": "France"}]),
            get("One order", "{{ baseUrl }}/orders/:id", ORDERS[0]),
            get("Lines", "{{ baseUrl }}/orders/{{order}}/lines", [{"id": 1}]),
            get("Events", "{{ baseUrl }}/events"),
            get("Others", "https://other.example.org/things", [{"id": 1}]),
            {"name": "New", "request": {"method": "POST", "url": "{{ baseUrl }}/orders"}},
        ],
    }


def answer(exchange: Exchange) -> None:
    seen = exchange.seen
    if seen.headers.get("X-Shop-Key") != "key-of-the-user" or int(seen.query.get("limit", 1)) > 50:
        return exchange.reply(400, b"{}")
    if seen.path == "/countries":
        assert seen.query == {"area": "eu"}
        return exchange.reply(200, b'[{"code": "fr", "name": "France"}]')
    start = int(seen.query.get("after", 0))
    end = start + int(seen.query["limit"])
    page: dict[str, Any] = {"orders": ORDERS[start:end]}
    if end < len(ORDERS):
        page["paging"] = {"next": {"after": str(end)}}
    return exchange.reply(200, json.dumps(page).encode())


def test_a_collection_is_landed_whole(kit: Kit, folder_zone: Zone, tmp_path: Path) -> None:
    file = tmp_path / "shop.postman_collection.json"
    with serve(answer) as server:
        file.write_text(json.dumps(collection(server.url)))
        made = kit.landing("new", "shop", f"--openapi={file}")
        assert made.code == 0, made.text
        for note in (
            "no saved example response in JSON: GET /events",
            "of another host than the first request: GET /things",
            "in an environment variable: lines=/orders/{order}/lines",
            "set SHOP_AREA for countries",
        ):
            assert note in made.out, made.out
        env = {"URL": server.url, "API_KEY": "key-of-the-user", "AREA": "eu"}
        (kit.root.parent / ".env").write_text("".join(f"SHOP_{n}={v}\n" for n, v in env.items()))
        assert kit.discover("shop").code == 0
        for stream in ("orders", "countries"):
            found = {**kit.discovered("shop", stream), "selected": True}
            kit.configure("shop", stream, json.dumps(found))
        landed = kit.run("shop", "--all")
        assert landed.code == 0, landed.text
    assert folder_zone.count("shop", "orders") == len(ORDERS)
    assert folder_zone.count("shop", "countries") == 1
    written = (kit.root / "dlt" / "sources" / "shop").glob("*.py")
    assert "key-of-the-author" not in "".join(one.read_text() for one in written)


def test_a_collection_without_an_address_asks_for_it(kit: Kit, tmp_path: Path) -> None:
    file = tmp_path / "shop.json"
    file.write_text(json.dumps(collection(None)))
    made = kit.landing("new", "shop", f"--openapi={file}")
    assert made.code == 2
    assert "without a value of baseUrl: add --base-url=" in made.err


def test_odd_collections_are_explained(kit: Kit, tmp_path: Path) -> None:
    file = tmp_path / "shop.json"
    deep: Any = []
    for _ in range(100):
        deep = [{"item": deep}]
    requests = ["text", {"request": "https://x.example.org/a"}, {"request": {"url": 5}}]
    for items in (None, "text", [1, *requests], deep, [get("A", {"path": [{"a": 1}]}, [])]):
        file.write_text(json.dumps({"info": {"schema": V2_1}, "item": items}))
        made = kit.landing("new", "shop", f"--openapi={file}")
        assert made.code == 2, made.text
        assert "Traceback" not in made.text
