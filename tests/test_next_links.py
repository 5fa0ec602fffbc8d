"""No credentials go to a host that an API's own answer names as that of the next page."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.kit import Kit, Zone
from tests.servers.scripted import Exchange, serve

SECRET = "s3cr3t-of-the-api-0815"
STREAMS = """\
import os

import dlt


@dlt.resource(primary_key="id")
def rows():
    from dlt.sources.helpers.rest_client import RESTClient
    from dlt.sources.helpers.rest_client.auth import BearerTokenAuth
    from dlt.sources.helpers.rest_client.paginators import JSONLinkPaginator

    client = RESTClient(
        os.environ["SHOP_URL"],
        headers={"X-Api-Key": os.environ["SHOP_TOKEN"]},
        auth=BearerTokenAuth(os.environ["SHOP_TOKEN"]),
        paginator=JSONLinkPaginator("next"),
    )
    yield from client.paginate("rows", data_selector="data")
"""


@pytest.mark.parametrize("goes_on", ["elsewhere", "here", "relative"])
def test_dlts_client_sends_nothing_to_another_host(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch, goes_on: str
) -> None:
    def answer(exchange: Exchange) -> None:
        links = {
            "elsewhere": f"{other.url}/rows?page=2",
            "here": f"{api.url}/rows?page=2",
            "relative": "/rows?page=2",
        }
        page = {"data": [{"id": exchange.number}], "next": None}
        if exchange.number == 1:
            page["next"] = links[goes_on]  # type: ignore[assignment]
        exchange.reply(200, json.dumps(page).encode(), Content_Type="application/json")

    kit.add_source("shop", STREAMS)
    kit.configure("shop", "rows", fields={"id": {"type": "integer"}})
    with serve(answer) as other, serve(answer) as api:
        monkeypatch.setenv("SHOP_URL", api.url)
        monkeypatch.setenv("SHOP_TOKEN", SECRET)
        done = kit.run("shop", "rows")
    assert other.seen == []
    assert SECRET not in done.text
    if goes_on == "elsewhere":
        assert done.code == 1
        assert f"GET {api.url}/rows gave a link to the next page on another host" in done.err
        assert folder_zone.parts("shop", "rows") == []
    else:
        assert done.code == 0, done.text
        assert folder_zone.count("shop", "rows") == 2


def test_the_guard_comes_with_the_kits_own_client() -> None:
    code = "from landing.http import next_links; next_links.guard(); import landing.http.dlt_client"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
