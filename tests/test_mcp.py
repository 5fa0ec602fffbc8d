"""`landing mcp`, as the SDK's own client sees it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from landing.cli.mcp_server import Done, server
from tests.kit import Kit, Zone
from tests.servers.api import Api

STREAMS = """\
import os

import dlt
from landing.http import Api, Bearer, OffsetPages

print("printed while it is imported", os.environ["MY_API_KEY"])


@dlt.resource(primary_key="id")
def orders(
    updated_at: dlt.sources.incremental[str] = dlt.sources.incremental(
        "updated_at", initial_value="2020-01-01 00:00:00"
    ),
):
    print("printed while it reads", os.environ["MY_API_KEY"])
    api = Api(os.environ["MY_API_URL"], auth=Bearer(os.environ["MY_API_KEY"]))
    yield from api.pages("orders", records="data", paging=OffsetPages(500))
"""
FIELDS = {
    "id": {"type": "integer"},
    "total": {"type": "number"},
    "updated_at": {"type": "string", "format": "date-time"},
}


@pytest.fixture
def shop(kit: Kit, api: Api, folder_zone: Zone, use: Callable[[Api], None]) -> Kit:
    use(api)
    odd = [{"id": 30 + n, "total": "a lot", "updated_at": "2024-03-01 00:00:00"} for n in range(3)]
    api.set_rows("orders", [*api.rows()[:20], *odd])
    kit.add_source("shop", STREAMS)
    kit.configure(
        "shop", "orders", primary_key=[["id"]], cursor_field=["updated_at"], fields=FIELDS
    )
    return kit


def answers(kit: Kit, *asked: tuple[str, dict[str, Any]]) -> list[tuple[bool, str]]:
    """Of the server, whose commands run in this process: whether each is an error, and its text."""

    async def call(words: Sequence[str]) -> Done:
        done = kit.landing(*words)
        return Done(done.code, done.out, done.err)

    return anyio.run(calls, server(call), asked)


async def calls(
    connected: Any, asked: Sequence[tuple[str, dict[str, Any]]]
) -> list[tuple[bool, str]]:
    async with Client(connected) as client:
        tools = (await client.list_tools()).tools
        names = {"discover", "preview", "check", "status", "quarantine", "docs"}
        assert {tool.name for tool in tools} == names
        assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools)
        found = [await client.call_tool(name, words) for name, words in asked]
    return [(bool(one.is_error), "".join(c.text for c in one.content)) for one in found]


def files(kit: Kit) -> dict[str, bytes]:
    found = (file for file in kit.repository.rglob("*") if "__pycache__" not in file.parts)
    return {str(file): file.read_bytes() for file in found if file.is_file()}


def test_each_tool_returns_what_its_command_prints_and_writes_nothing(
    shop: Kit, api: Api, folder_zone: Zone
) -> None:
    assert shop.run("shop", "orders").code == 0
    kept, landed = files(shop), folder_zone.paths()
    where = {"source": "shop"}
    found = answers(
        shop,
        ("discover", where),
        ("preview", {**where, "stream": "orders"}),
        ("check", {**where, "streams": ["orders"], "max_rows": 5}),
        ("status", {}),
        ("quarantine", {}),
        ("quarantine", {**where, "stream": "orders", "limit": 2}),
    )
    assert [is_error for is_error, _ in found] == [False] * 6, found
    discovered, preview, check, status, quarantine = (json.loads(text) for _, text in found[:5])
    (stream,) = discovered["streams"]
    assert stream["schema"]["fields"]["total"] == {"type": ["number", "string"]}
    assert stream["schema"]["defaults"]["cursor_field"] == ["updated_at"]
    assert preview[0]["preview"]["refused"] == []
    assert "types" in {one["check"] for one in check["results"] if one["status"] == "failed"}
    assert status[0]["quarantined"] == 3
    assert quarantine[0]["reasons"][0]["field"] == "total"
    assert len(found[5][1].splitlines()) == 2
    assert files(shop) == kept
    assert folder_zone.paths() == landed
    assert api.token not in str(found)


def test_errors_have_the_text_of_the_command(shop: Kit, api: Api) -> None:
    kept = files(shop)
    api.fail_next(1, status=403)
    found = answers(
        shop,
        ("discover", {"source": "shop"}),
        ("preview", {"source": "shopp", "stream": "orders"}),
        ("check", {"source": "--record"}),
        ("discover", {"source": "shop", "streams": ["../orders"]}),
        ("preview", {"source": "shop"}),
        ("docs", {"page": "cursors"}),
    )
    assert all(is_error for is_error, _ in found)
    refused, unknown, *_ = (text for _, text in found)
    printed = shop.run("shopp", "orders", "--dry-run")
    assert unknown == printed.err.strip()
    assert "did you mean 'shop'?" in unknown
    assert refused.startswith("error: stream 'shop/orders'")
    assert "403" in refused
    assert "'--record' is not a source or stream name" in found[2][1]
    assert "no page 'cursors'; there are: adopting, " in found[5][1]
    assert api.token not in str(found)
    assert files(shop) == kept


def test_the_documentation_is_at_hand(shop: Kit) -> None:
    (_, pages), (_, paging), (_, same) = answers(
        shop, ("docs", {}), ("docs", {"page": "paging"}), ("docs", {"page": "docs/paging.md"})
    )
    assert "paging: " in pages
    assert paging == same
    assert "OffsetPages" in paging


def test_over_standard_output_a_source_may_print(shop: Kit, api: Api) -> None:
    """The whole way: the server and its commands as processes."""
    (shop.repository / ".env").write_text(f"MY_API_KEY={api.token}\n")
    env = {name: value for name, value in os.environ.items() if name != "MY_API_KEY"}
    command = str(Path(sys.executable).with_name("landing"))
    started = StdioServerParameters(command=command, args=["mcp"], env=env, cwd=shop.root)
    with (shop.repository.parent / "log").open("w+") as log:
        asked = [("discover", {"source": "shop"})]
        ((is_error, text),) = anyio.run(calls, stdio_client(started, errlog=log), asked)
        log.seek(0)
        said = log.read()
    assert not is_error, text
    assert json.loads(text)["streams"][0]["stream"] == "orders"
    assert api.token not in text + said
