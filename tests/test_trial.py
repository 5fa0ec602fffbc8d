"""`landing new` reads the first pages of the planned streams, and corrects what does not work."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.kit import Kit, Zone
from tests.servers.scripted import Exchange, serve
from tests.test_openapi_kinds import NUMBER, TEXT, obj, query, rows

ROWS = [{"id": n, "name": f"n{n}"} for n in range(60)]
Answer = Callable[[dict[str, str]], Any]


def by_cursor(q: dict[str, str]) -> Any:
    """Its document has no paging at all."""
    start = int(q.get("cursor", "c0")[1:])
    size = int(q.get("limit", 25))
    end = start + size
    return {"data": ROWS[start:end], "meta": {"next_cursor": f"c{end}" if end < 60 else None}}


def by_url(q: dict[str, str]) -> Any:
    start = int(q.get("from", 0))
    url = f"{q['_url']}/links?from={start + 20}" if start < 40 else None
    return {"data": ROWS[start : start + 20], "links": {"next": url}}


def in_small_pages(q: dict[str, str]) -> Any:
    """Its document has no limit for the page size."""
    if int(q["limit"]) > 20:
        raise ValueError("limit must be 20 or less")
    start = int(q.get("offset", 0))
    return {"data": ROWS[start : start + int(q["limit"])]}


def from_page_0(q: dict[str, str]) -> Any:
    """Its document does not say that pages are counted from 0."""
    start = int(q.get("page", 0)) * int(q["limit"])
    return {"data": ROWS[start : start + int(q["limit"])]}


def as_documented(q: dict[str, str]) -> Any:
    start = int(q.get("offset", 0))
    return {"data": ROWS[start : start + int(q["limit"])]}


LIMIT = query("limit", {"type": "integer", "maximum": 25})
OPEN = query("limit", NUMBER)
PATHS: dict[str, tuple[list[dict[str, Any]], Answer]] = {
    "/cursors": ([LIMIT], by_cursor),
    "/links": ([], by_url),
    "/small": ([OPEN, query("offset", NUMBER)], in_small_pages),
    "/zero": ([LIMIT, query("page", NUMBER)], from_page_0),
    "/plain": ([LIMIT, query("offset", NUMBER)], as_documented),
}


def document() -> dict[str, Any]:
    schema = obj(data=rows(id=NUMBER, name=TEXT))
    content = {"200": {"content": {"application/json": {"schema": schema}}}}
    paths = {
        path: {"get": {"parameters": one[0], "responses": content}} for path, one in PATHS.items()
    }
    schemes = {"securitySchemes": {"b": {"type": "http", "scheme": "bearer"}}}
    servers = [{"url": "http://127.0.0.1:9"}]  # a document does not say where credentials go
    return {"openapi": "3.0.3", "servers": servers, "paths": paths, "components": schemes}


def answer(exchange: Exchange) -> None:
    seen = exchange.seen
    if seen.headers.get("Authorization") != "Bearer right-token-of-shop":
        return exchange.reply(401, b'{"message": "unknown token"}')
    try:
        found = PATHS[seen.path][1]({**seen.query, "_url": f"http://{seen.headers['Host']}"})
        return exchange.reply(200, json.dumps(found).encode())
    except ValueError as error:
        return exchange.reply(400, json.dumps({"message": str(error)}).encode())


def test_what_does_not_work_is_corrected(
    kit: Kit, folder_zone: Zone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(document()))
    with serve(answer) as server:
        monkeypatch.setenv("SHOP_URL", server.url)
        monkeypatch.setenv("SHOP_TOKEN", "right-token-of-shop")
        made = kit.landing("new", "shop", f"--openapi={file}")
        assert made.code == 0, made.text
        for note in (
            "cursors: paging by cursor meta.next_cursor, as its pages have it",
            "links: paging by next-url links.next, as its pages have it",
            "small: pages of 100 rows are refused (400: limit must be 20 or less), so it asks for",
            "zero: its pages are counted from 0",
            "the first pages of 5 streams were read",
        ):
            assert note in made.out, made.out
        assert kit.discover("shop").code == 0
        for path in PATHS:
            chosen = {**kit.discovered("shop", path[1:]), "selected": True}
            kit.configure("shop", path[1:], json.dumps(chosen))
        landed = kit.run("shop", "--all")
        assert landed.code == 0, landed.text
    assert {path: folder_zone.count("shop", path[1:]) for path in PATHS} == dict.fromkeys(PATHS, 60)


@pytest.mark.parametrize(
    ("token", "arguments", "requests", "note"),
    [
        ("wrong-token-of-shop", [], 1, "the trial ended: cursors: 401: unknown token"),
        ("right-token-of-shop", ["--no-trial"], 0, ""),
        (None, [], 0, ""),
    ],
)
def test_when_nothing_is_tried(
    kit: Kit,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    token: str | None,
    arguments: list[str],
    requests: int,
    note: str,
) -> None:
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(document()))
    with serve(answer) as server:
        monkeypatch.setenv("SHOP_URL", server.url)
        if token:
            monkeypatch.setenv("SHOP_TOKEN", token)
        made = kit.landing("new", "shop", f"--openapi={file}", *arguments)
        assert made.code == (1 if note else 0), made.text
        assert len(server.seen) == requests
        assert note in made.out
        assert "wrong-token" not in made.text


def test_a_server_that_is_away_stops_nothing(
    kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(document()))
    monkeypatch.setenv("SHOP_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("SHOP_TOKEN", "right-token-of-shop")
    made = kit.landing("new", "shop", f"--openapi={file}")
    assert made.code == 1, made.text
    assert "the trial ended: cursors: GET http://127.0.0.1:9/cursors failed: no conn" in made.out
    assert "Next: correct what failed, which `landing check shop` tests, then" in made.out
    assert (kit.root / "dlt" / "sources" / "shop" / "streams.py").exists()


def test_no_document_decides_where_credentials_go(
    kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = document()
    with serve(answer) as elsewhere, serve(answer) as server:
        flow = {"clientCredentials": {"tokenUrl": f"{elsewhere.url}/token"}}
        foreign["components"]["securitySchemes"] = {"b": {"type": "oauth2", "flows": flow}}
        foreign["paths"][f"/{elsewhere.url}/x"] = foreign["paths"]["/plain"]
        file = tmp_path / "openapi.json"
        file.write_text(json.dumps(foreign))
        monkeypatch.setenv("SHOP_URL", server.url)
        for name in ("CLIENT_ID", "CLIENT_SECRET"):
            monkeypatch.setenv(f"SHOP_{name}", "secret-of-the-client")
        made = kit.landing("new", "shop", f"--openapi={file}")
        assert made.code == 0, made.text
        assert "not tried, since the document sends the credentials to 127.0.0.1" in made.out
        assert elsewhere.seen == server.seen == []
    written = (kit.root / "dlt" / "sources" / "shop" / "streams.py").read_text()
    assert elsewhere.url not in written


def test_names_that_are_no_paths_stop_nothing(
    kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def odd(exchange: Exchange) -> None:
        exchange.reply(
            200, json.dumps({"data": ROWS, "links": {"next\\": "x", "next": "$["}}).encode()
        )

    one = document()
    one["paths"] = {"/links": one["paths"]["/links"]}
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(one))
    with serve(odd) as server:
        monkeypatch.setenv("SHOP_URL", server.url)
        monkeypatch.setenv("SHOP_TOKEN", "right-token-of-shop")
        made = kit.landing("new", "shop", f"--openapi={file}")
    assert made.code == 1, made.text
    assert "Traceback" not in made.text
    assert "links: " in made.out


def test_an_api_without_a_page_0_and_one_without_an_end(
    kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def odd(exchange: Exchange) -> None:
        q = exchange.seen.query
        if exchange.seen.path == "/endless":
            return exchange.reply(
                200, json.dumps({"data": [], "next_cursor": str(exchange.number)}).encode()
            )
        page, size = int(q.get("page", 1)), int(q["limit"])
        found = ROWS if page == 0 else ROWS[(page - 1) * size : page * size]
        return exchange.reply(200, json.dumps({"data": found}).encode())

    answers = obj(data=rows(id=NUMBER, name=TEXT), next_cursor=TEXT)
    content = {"200": {"content": {"application/json": {"schema": answers}}}}
    one = document()
    one["paths"] = {
        "/zero": one["paths"]["/zero"],
        "/endless": {"get": {"parameters": [query("cursor")], "responses": content}},
    }
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(one))
    with serve(odd) as server:
        monkeypatch.setenv("SHOP_URL", server.url)
        monkeypatch.setenv("SHOP_TOKEN", "right-token-of-shop")
        made = kit.landing("new", "shop", f"--openapi={file}")
    assert made.code == 1, made.text
    assert "counted from 0" not in made.out, "page 0 has all rows"
    assert "endless: 10 requests were not enough for its first pages" in made.out
    assert len(server.seen) < 60
