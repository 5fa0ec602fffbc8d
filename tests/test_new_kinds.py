"""`landing new`: searches by POST, filters with a template, numbers as cursors, GraphQL."""

from __future__ import annotations

import json

import pytest

from tests.kit import Kit, Zone
from tests.servers.graph import graph
from tests.servers.scripted import Exchange, serve

ROWS = [{"id": n, "edited": 100 + n} for n in range(1, 61)]


def landed(kit: Kit, url: str, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    made = kit.landing("new", "shop", f"--base-url={url}", "--auth=none", *arguments)
    assert made.code == 0, made.text
    monkeypatch.setenv("SHOP_URL", url)
    assert kit.discover("shop").code == 0
    kit.configure(
        "shop", "orders", json.dumps({**kit.discovered("shop", "orders"), "selected": True})
    )
    run = kit.run("shop", "orders")
    assert run.code == 0, run.text


def test_a_search_by_post_with_a_filter_of_numbers(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries: list[str] = []

    def answer(exchange: Exchange) -> None:
        asked = json.loads(exchange.seen.body)
        queries.append(asked["query"])
        least = int(asked["query"].removeprefix("edited >= "))
        found = [row for row in ROWS if row["edited"] >= least]
        start, size = int(asked["page"].get("from", 0)), asked["page"]["size"]
        exchange.reply(200, json.dumps({"hits": found[start : start + size]}).encode())

    with serve(answer) as server:
        landed(
            kit,
            server.url,
            monkeypatch,
            *("--method=post", "--paging=offset", "--paging-arg=offset=page.from"),
            *("--paging-arg=size=page.size", "--streams", "orders=search", "--records=hits"),
            *("--cursor=edited", "--since=query=edited >= {value}", "--initial-value=0"),
        )
        assert folder_zone.count("shop", "orders") == len(ROWS)
        assert queries[0] == "edited >= 0"
        queries.clear()
        assert "nothing new" in kit.run("shop", "orders").out
        assert queries[0] == "edited >= 160"


def test_a_graphql_connection(kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch) -> None:
    with graph(orders=25) as url:
        landed(
            kit,
            url,
            monkeypatch,
            *("--paging=graphql", "--paging-arg=connection=shop.{stream}", "--streams", "orders"),
            *("--paging-arg=fields=id note updatedAt", "--cursor=updatedAt", "--since=since"),
            "--initial-value=2024-01-01",
        )
    assert folder_zone.count("shop", "orders") == 25
