"""What streams use of dlt works in a run that has no dlt pipeline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.kit import Kit, Zone
from tests.servers.api import Api

HEAD = """\
import asyncio
import os

import dlt
import requests

def page(offset=0, limit=10, **params):
    key = os.environ["MY_API_KEY"]
    answer = requests.get(
        os.environ["MY_API_URL"] + "/orders",
        params={"offset": offset, "limit": limit, **params},
        headers={"Authorization": f"Bearer {key}"},
    )
    answer.raise_for_status()
    return answer.json()["data"]
"""
FIELDS: dict[str, Any] = {
    "id": {"type": "integer"},
    "note": {"type": "string"},
    "updated_at": {"type": "string", "format": "date-time"},
}


@pytest.fixture
def lands(
    kit: Kit, api: Api, use: Callable[[Api], None], folder_zone: Zone
) -> Callable[..., list[tuple[Any, ...]]]:
    """Runs the stream `rows` of this source, and gives ids and notes of all that has landed."""
    use(api)
    api.set_rows("orders", [_order(number) for number in range(1, 31)])

    def lands(streams: str, runs: int = 1, **keys: Any) -> list[tuple[Any, ...]]:
        kit.add_source("shop", HEAD + streams)
        kit.configure("shop", "rows", **{"fields": FIELDS, "sync_mode": "full_refresh", **keys})
        for _ in range(runs):
            done = kit.run("shop", "rows")
            assert done.code == 0, done.text
        return folder_zone.query("shop", "rows", "SELECT id, note FROM landed ORDER BY id, note")

    return lands


def _order(number: int) -> dict[str, Any]:
    return {"id": number, "updated_at": f"2026-01-05 10:{number:02}:00", "note": ""}


def _ids(landed: list[tuple[Any, ...]]) -> list[int]:
    return [row[0] for row in landed]


def test_states_of_resource_and_source_persist(lands: Any) -> None:
    landed = lands(
        """
@dlt.resource(primary_key="id")
def rows():
    own = dlt.current.resource_state()
    shared = dlt.current.source_state()
    own["runs"] = own.get("runs", 0) + 1
    shared["runs"] = shared.get("runs", 0) + 10
    yield {"id": own["runs"], "note": f"{shared['runs']} {dlt.current.resource_name()}"}
""",
        runs=3,
    )
    assert landed == [(1, "10 rows"), (2, "20 rows"), (3, "30 rows")]


def test_values_that_are_no_json_come_back_from_the_state_as_they_were(lands: Any) -> None:
    landed = lands(
        """
from datetime import date, datetime, time, timezone
from decimal import Decimal

KEPT = {
    "decimal": Decimal("1.50"), "bytes": b"ab", "day": date(2026, 1, 5), "clock": time(1, 2),
    "moment": datetime(2026, 1, 5, 10, tzinfo=timezone.utc), "list": [1, None, "x"],
}

@dlt.resource
def rows():
    state = dlt.current.resource_state()
    yield {"id": len(state), "note": str({**state.get("kept", {})} == KEPT)}
    state["kept"] = KEPT
""",
        runs=2,
    )
    assert [note for _, note in landed] == ["False", "True"]


def test_the_pipeline_that_dlt_makes_by_itself_is_there(lands: Any) -> None:
    landed = lands(
        """
@dlt.resource
def rows():
    yield {"id": 1, "note": str(bool(dlt.current.pipeline().pipeline_name))}
"""
    )
    assert landed == [(1, "True")]


def test_configuration_and_secrets_are_injected(
    lands: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__STREAMS__ROWS__REGION", "north")
    monkeypatch.setenv("SHOP_TOKEN", "s3cret-of-the-shop")
    landed = lands(
        """
@dlt.resource
def rows(region: str = dlt.config.value):
    yield {"id": 1, "note": f"{region} {len(dlt.secrets['shop_token'])} {dlt.config.get('none')}"}
"""
    )
    assert landed == [(1, "north 18 None")]


def test_an_incremental_asks_for_what_is_new(lands: Any, kit: Kit, api: Api) -> None:
    landed = lands(
        """
@dlt.resource(primary_key="id")
def rows(updated_at=dlt.sources.incremental("updated_at", initial_value="2026-01-05 10:00:00")):
    yield page(limit=50, since=updated_at.last_value)
""",
        sync_mode="incremental",
        cursor_field=["updated_at"],
    )
    assert _ids(landed) == list(range(1, 31))
    api.update("orders", 7, note="changed")
    assert "shop/rows: 1 row" in kit.run("shop", "rows").out
    assert api.requests[-1].query["since"] == "2026-01-05 10:30:00"


def test_a_transformer_with_a_deferred_function_runs_in_dlts_pool(lands: Any) -> None:
    landed = lands(
        """
import threading

@dlt.resource
def pages():
    for offset in range(0, 30, 10):
        yield page(offset)

@dlt.transformer(data_from=pages)
def rows(orders):
    @dlt.defer
    def noted(order):
        pooled = threading.current_thread().name.startswith("dlt-pool")
        return {**order, "note": str(pooled)}

    for order in orders:
        yield noted(order)
""",
    )
    assert landed == [(number, "True") for number in range(1, 31)]


def test_a_parallelized_resource_runs_in_dlts_pool(lands: Any) -> None:
    landed = lands(
        """
import threading

@dlt.resource(parallelized=True)
def rows():
    for offset in range(0, 30, 10):
        name = str(threading.current_thread().name.startswith("dlt-pool"))
        yield [{**order, "note": name} for order in page(offset)]
""",
    )
    assert landed == [(number, "True") for number in range(1, 31)]


def test_async_generators_and_functions_are_awaited(lands: Any) -> None:
    landed = lands(
        """
@dlt.resource
async def pages():
    for offset in range(0, 30, 10):
        yield await asyncio.to_thread(page, offset)

@dlt.transformer(data_from=pages)
async def rows(orders):
    await asyncio.sleep(0.01)
    return orders
""",
    )
    assert _ids(landed) == list(range(1, 31))


def test_maps_filters_and_yield_maps_are_applied_in_order(lands: Any) -> None:
    landed = lands(
        """
@dlt.resource
def rows():
    yield page(limit=50)

rows.add_filter(lambda order: order["id"] <= 3)
rows.add_map(lambda order: {**order, "note": "mapped"})

def twice(order):
    yield order
    yield {**order, "note": "again"}

rows.add_yield_map(twice)
""",
    )
    assert landed == [(n, note) for n in (1, 2, 3) for note in ("again", "mapped")]


def test_a_source_gives_its_resources_with_their_state(lands: Any) -> None:
    landed = lands(
        """
@dlt.source
def shop():
    @dlt.resource
    def rows():
        state = dlt.current.resource_state()
        state["seen"] = state.get("seen", 0) + 1
        yield {"id": state["seen"], "note": dlt.current.resource_name()}
    return rows

__all__ = ["shop"]
""",
        runs=2,
    )
    assert landed == [(1, "rows"), (2, "rows")]


def test_what_no_state_can_keep_fails_with_its_cause_and_moves_nothing(
    kit: Kit, api: Api, use: Callable[[Api], None], folder_zone: Zone
) -> None:
    use(api)
    kit.add_source(
        "shop",
        HEAD
        + """
@dlt.resource
def rows():
    dlt.current.resource_state()["seen"] = {1, 2}
    yield {"id": 1}
""",
    )
    kit.configure("shop", "rows", sync_mode="full_refresh", fields={"id": FIELDS["id"]})
    done = kit.run("shop", "rows")
    assert done.code == 1
    assert "a set is no JSON value" in done.err
    assert "Traceback" not in done.text
    assert not [path for path in folder_zone.paths("_dlt") if path.endswith("state.json")]
