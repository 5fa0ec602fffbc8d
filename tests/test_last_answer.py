"""Streams that take an error of their API for the end of its rows."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from tests.kit import FOUNDING_CLIENT, FOUNDING_INIT, FOUNDING_STREAMS, Kit, Outcome, Zone
from tests.servers.scripted import Exchange, serve

# As the founding document's client, but without `raise_for_status`, as it is easily forgotten.
CARELESS = FOUNDING_CLIENT.replace("        response.raise_for_status()\n", "").replace(
    '["data"]', '.get("data", [])'
)
CATCHING = FOUNDING_STREAMS.replace(
    'batch = api.get("orders", params=params)',
    'try: batch = api.get("orders", params=params)\n        except Exception: break',
)
TOLERANT = """\
import dlt
from .client import MyAPI

@dlt.resource(primary_key="id")
def orders():
    api = MyAPI()
    for shop in range(3):
        yield api.get(f"orders/{shop}")
"""
IN_HTTPX = CARELESS.replace("requests.Session", "httpx.Client").replace(
    "import requests", "import httpx"
)
REST = """\
import os
import dlt
from dlt.sources.rest_api import rest_api_resources

@dlt.source
def shop():
    ignored = {"response_actions": [{"status_code": 503, "action": "ignore"}]}
    yield from rest_api_resources({
        "client": {"base_url": os.environ["MY_API_URL"], "paginator": {
            "type": "offset", "limit": 2, "total_path": None}},
        "resources": [{"name": "orders", "primary_key": "id",
                       "endpoint": {"path": "orders", "data_selector": "data", **ignored}}],
    })
"""
FIELDS = {"id": {"type": "integer"}, "updated_at": {"type": "string"}}
ROWS = [{"id": n, "updated_at": f"2024-01-01T00:00:{n:02}Z"} for n in range(2)]


@pytest.mark.parametrize(
    ("streams", "client", "statuses", "code"),
    [
        (FOUNDING_STREAMS, CARELESS, [200, 503], 1),
        (FOUNDING_STREAMS, CARELESS, [403], 1),
        (FOUNDING_STREAMS, IN_HTTPX, [200, 503], 1),
        (CATCHING, FOUNDING_CLIENT, [200, 500], 1),
        (CATCHING, FOUNDING_CLIENT, [200, 404], 0),  # some APIs end their pages so
        (TOLERANT, CARELESS, [200, 404, 200], 0),
        (REST, "", [200, 503], 0),
    ],
)
def test_an_error_is_no_end_of_the_rows(
    streams: str,
    client: str,
    statuses: Sequence[int],
    code: int,
    kit: Kit,
    folder_zone: Zone,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = _run(kit, monkeypatch, streams, client, statuses)
    assert done.code == code, done.text
    assert ("the last response to its requests had status" in done.text) == bool(code)
    assert ("rows may be missing" in done.text) == bool(code)
    assert bool(folder_zone.parts("shop", "orders")) == (not code)


@pytest.mark.parametrize(
    ("client", "statuses"),
    [
        (CARELESS, [503, 200, 503]),
        (CARELESS, [200, 200, 403]),
        (CARELESS, [200, 429, 200]),
        (IN_HTTPX, [200, 503, 200]),
    ],
)
def test_a_stream_that_may_mean_to_go_on_lands_with_a_warning(
    client: str,
    statuses: Sequence[int],
    kit: Kit,
    folder_zone: Zone,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = _run(kit, monkeypatch, TOLERANT, client, statuses)
    assert done.code == 0, done.text
    assert f" status {next(one for one in statuses if one != 200)}" in done.text
    assert "rows may be missing" in done.text


@pytest.mark.parametrize(
    ("lines", "statuses", "warns"),
    [
        ('yield []\n    api.get("orders")\n    api.get("more")', [200, 403], True),  # a quiet hour
        ('yield api.get("orders")\n    api.session.delete(api.base_url)', [200, 401], False),
        ('yield api.get("orders")\n    api.session.post(api.base_url + "/ping")', [200, 503], True),
        ('yield api.get("orders")\n    yield api.get("orders")', [200, 429], True),  # a quota
        (
            "from landing.http import in_flight\n"
            "    yield from in_flight(lambda n: api.get('orders'), range(9), at_once=8)",
            [200] * 4 + [503],
            False,
        ),
        (
            "api.session.get(api.base_url)\n"
            "    with ThreadPoolExecutor() as pool:\n"
            '        yield from pool.map(api.get, ["orders", "orders"])',
            [503, 200, 200],
            True,
        ),
    ],
)
def test_what_says_nothing_of_the_rows_fails_no_run(
    lines: str,
    statuses: Sequence[int],
    warns: bool,
    kit: Kit,
    folder_zone: Zone,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    streams = (
        "from concurrent.futures import ThreadPoolExecutor\nimport dlt\n"
        "from .client import MyAPI\n"
        "@dlt.resource(primary_key='id')\n"
        "def orders(at=dlt.sources.incremental('updated_at', row_order='asc')):\n"
        f"    api = MyAPI()\n    {lines}\n"
    )
    done = _run(kit, monkeypatch, streams, CARELESS, statuses)
    assert done.code == 0, done.text
    assert ("rows may be missing" in done.text) == warns


def test_a_request_that_is_sent_again_with_success_is_no_failure(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = TOLERANT.replace('f"orders/{shop}"', '"orders"')
    done = _run(kit, monkeypatch, again, CARELESS, [200, 503, 200])
    assert done.code == 0, done.text
    assert "rows may be missing" not in done.text


def _run(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, streams: str, client: str, statuses: Sequence[int]
) -> Outcome:
    def answer(exchange: Exchange) -> None:
        status = statuses[min(exchange.number, len(statuses)) - 1]
        rows = ROWS if status == 200 else []
        exchange.reply(status, json.dumps({"data": rows} if rows else {"error": "no"}).encode())

    init = FOUNDING_INIT if client else ""
    kit.add_source("shop", streams.replace("limit: int = 100", "limit: int = 2"), client, init)
    kit.configure("shop", "orders", fields=FIELDS)
    with serve(answer) as server:
        monkeypatch.setenv("MY_API_URL", server.url)
        monkeypatch.setenv("MY_API_KEY", "none")
        return kit.run("shop", "orders")
