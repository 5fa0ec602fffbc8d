"""What `extraction/dlt_bridge.py` and `http/dlt_client.py` take dlt to be; a failing test says what
a new dlt changed."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, date, datetime, time
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import dlt
import pytest
import requests
from dlt.common.versioned_state import compress_state, decompress_state
from dlt.pipeline.state_sync import (
    PIPELINE_STATE_ENGINE_VERSION,
    generate_pipeline_state_version_hash,
)
from dlt.sources.helpers.rest_client.paginators import JSONLinkPaginator

from landing.extraction import dlt_bridge as bridge
from landing.extraction.incremental import FrozenIncremental, cursor_parameter, freeze
from landing.http.dlt_client import CheckedClient, end_paging
from landing.zone.layout import StreamPaths
from landing.zone.state import ENGINE_VERSION, SCHEMA, new_state
from landing.zone.state_codec import decoded, encoded, version_hash


@dlt.resource
def parents(at: dlt.sources.incremental[int] = dlt.sources.incremental("at")) -> Any:
    yield [{"id": 1, "at": 5}]


@dlt.transformer(data_from=parents)
def children(page: Any) -> Any:
    yield [{**row, "child": True} for row in page]


def items(resource: bridge.DltResource, state: dict[str, Any] | None = None) -> list[Any]:
    with bridge.dlt_context(resource, {} if state is None else state):
        return [item.item for item in bridge.items_of(resource)]


def test_the_function_of_a_resource() -> None:
    function = bridge.function_of(parents)
    assert function is not None, "DltResource._pipe.gen is not the resource's function any more"
    assert "at" in inspect.signature(function).parameters, (
        "DltResource._pipe.gen hides the signature of the resource's function"
    )
    assert bridge.function_of(dlt.resource([1], name="data")) is None, (
        "DltResource._pipe.gen of a resource made from data is callable now"
    )


def test_whether_a_resource_was_called_with_arguments() -> None:
    @dlt.resource
    def paged(limit: int = 1) -> Any:
        yield limit

    assert not bridge.is_bound(paged), "DltResource._args_bound is set before a call"
    assert bridge.is_bound(paged(limit=2)), "DltResource._args_bound is not set by a call"


def test_a_clone_is_prepared_apart_from_its_original() -> None:
    original, copy = bridge.clone(children), bridge.clone(children, with_parents=True)
    copy.add_map(lambda row: {**row, "mapped": True})
    assert items(original) == [[{"id": 1, "at": 5, "child": True}]], (
        "DltResource._clone shares its steps with the original"
    )
    (own,), (shared,) = bridge.parents_of(copy), bridge.parents_of(original)
    assert own is not shared, "DltResource._clone(with_parent=True) does not copy the parent"


def test_the_parents_of_a_transformer() -> None:
    assert [parent.name for parent in bridge.parents_of(children)] == ["parents"], (
        "DltResource._parent is not what a transformer takes its items from"
    )
    assert not any(bridge.parents_of(parents)), "DltResource._parent of a plain resource is set"


def test_the_functions_of_transformers_are_run_wrapped() -> None:
    seen: list[Any] = []

    def of_child(function: Any) -> Any:
        def wrapped(item: Any, meta: Any = None) -> Any:
            seen.append(item)
            return function(item, meta=meta)

        return wrapped

    with bridge.dlt_context(children, {}):
        found = [item.item for item in bridge.items_of(children, of_child)]
    assert found == [[{"id": 1, "at": 5, "child": True}]]
    assert seen == [[{"id": 1, "at": 5}]], "Pipe.replace_gen does not put a function in its place"
    items(children)
    assert len(seen) == 1, "Pipe._clone shares its steps with the original"


def test_where_a_pipe_keeps_its_incremental() -> None:
    steps = list(bridge.incremental_steps(bridge.clone(parents)))
    assert len(steps) == 1, "DltResource._pipe.steps has no IncrementalResourceWrapper"
    frozen = FrozenIncremental("at")
    steps[0].set_incremental(frozen, from_hints=True)
    assert steps[0].incremental is frozen, (
        "IncrementalResourceWrapper.set_incremental does not put another one in its place"
    )


def test_the_parameter_that_takes_the_incremental() -> None:
    parameter = cursor_parameter(parents)
    assert parameter is not None, (
        "IncrementalResourceWrapper.get_incremental_arg does not find the cursor's parameter"
    )
    assert parameter.name == "at"


def test_the_value_of_a_frozen_incremental_holds_still() -> None:
    seen: list[Any] = []

    @dlt.resource
    def rows(at: Any = dlt.sources.incremental("at", initial_value=1)) -> Any:
        for value in (2, 3):
            yield [{"at": value}]
            seen.append(at.last_value)

    resource = bridge.clone(rows)
    freeze(resource, "at", None, from_start=False)
    state: dict[str, Any] = {}
    assert items(resource, state) == [[{"at": 2}], [{"at": 3}]], (
        "dlt's Incremental filters rows elsewhere than in __call__"
    )
    assert seen == [1, 1], (
        "dlt's Incremental does not take last_value from _get_last_value or _cached_state any more"
    )
    kept = state["sources"][SCHEMA]["resources"]["rows"]["incremental"]["at"]
    assert kept["last_value"] == 1, "dlt's Incremental keeps its value elsewhere in the state"


def bound(incremental: bridge.SteadyIncremental, last_value: Any) -> dict[str, Any]:
    """The state after the incremental was bound to a resource whose state has `last_value`."""
    kept = {"initial_value": None, "last_value": last_value, "unique_hashes": []}
    state = {"sources": {SCHEMA: {"resources": {"parents": {"incremental": {"at": kept}}}}}}
    resource = bridge.clone(parents)
    for step in bridge.incremental_steps(resource):
        step.set_incremental(incremental, from_hints=True)
    assert items(resource, state)
    return state["sources"][SCHEMA]["resources"]["parents"]["incremental"]["at"]


def test_the_state_of_a_bound_incremental_is_what_dlt_keeps() -> None:
    steady = bridge.SteadyIncremental("at")
    kept = bound(steady, 3)
    assert steady.kept_state is kept, (
        "Incremental._cached_state is not the resource's own state any more: the cursors of "
        "parents would not move"
    )


def test_a_bound_incremental_starts_elsewhere_than_its_state() -> None:
    steady = bridge.SteadyIncremental("at")
    kept = bound(steady, 3)
    steady.start_from(1)
    assert steady.last_value == 1, (
        "dlt's Incremental does not take last_value from _get_last_value and _cached_state any more"
    )
    assert kept["last_value"] == 3


def test_an_incremental_ends_its_stream() -> None:
    class Ending(bridge.SteadyIncremental):
        def __call__(self, rows: Any, meta: Any = None) -> Any:
            self.end_stream()
            return rows

    @dlt.resource
    def endless() -> Any:
        for number in range(100):
            yield [{"at": number}]

    endless.apply_hints(incremental=Ending("at"))
    assert len(items(endless, {})) == 1, (
        "Incremental._bound_pipe is not the pipe any more that ends when it is closed"
    )


def test_a_steady_copy_is_what_was_declared() -> None:
    declared = dlt.sources.incremental[datetime](
        "at",
        last_value_func=min,
        row_order="desc",
        on_cursor_value_missing="include",
        lag=60.0,
        range_start="open",
        range_end="closed",
    )
    copy = bridge.steady_copy(declared, FrozenIncremental)
    for name in ("cursor_path", "last_value_func", "row_order", "on_cursor_value_missing"):
        assert getattr(copy, name) == getattr(declared, name), f"a copy loses {name}"
    assert (copy.lag, copy.range_start, copy.range_end) == (60.0, "open", "closed")
    assert copy.get_incremental_value_type() is datetime, (
        "dlt does not take an incremental's type argument from __orig_class__ any more"
    )


def test_an_incremental_of_ours_has_no_type_argument_of_its_own() -> None:
    found = FrozenIncremental("at").get_incremental_value_type()
    assert found is Any, "dlt does not take a class's type argument from __orig_bases__ any more"
    assert FrozenIncremental("at", initial_value=1).get_incremental_value_type() is int


def test_the_lag_of_an_incremental() -> None:
    start = bridge.apply_lag_with_suppression(10, max, None, None, 100, "rows", int)
    assert start == 90, "apply_lag_with_suppression counts a lag in another way"
    first = bridge.apply_lag_with_suppression(10, max, 95, None, 100, "rows", int)
    assert first == 95, "apply_lag_with_suppression goes below the initial value"


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, body = (404, b"{}") if "gone" in self.path else (200, self.path.encode())
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *values: Any) -> None:
        pass


@pytest.fixture
def client() -> Iterator[CheckedClient]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield CheckedClient(f"http://127.0.0.1:{server.server_port}")
        server.shutdown()


def test_the_requests_of_the_rest_client(client: CheckedClient) -> None:
    request = client.request_for("rows", "GET", headers={"X-Of": "kit"}, params={"page": 2})
    assert request.url == f"{client.base_url}/rows", (
        "RESTClient._create_request does not join the path to the base URL any more"
    )
    answer = client.send_unchecked(request)
    assert (answer.text, answer.request.headers["X-Of"]) == ("/rows?page=2", "kit"), (
        "RESTClient._send_request sends another request than it was given"
    )


def test_dlts_own_paging_sends_as_the_kit_does(client: CheckedClient) -> None:
    gone = client.request_for("gone", "GET", headers={}, params={})
    assert client.send_unchecked(gone).status_code == 404, "RESTClient._send_request raises now"
    with suppress(requests.HTTPError):
        next(client.paginate("gone", hooks={"response": []}))
        pytest.fail("RESTClient.paginate does not send by _send_request any more")


def test_paging_is_ended_from_outside() -> None:
    paginator = JSONLinkPaginator("next")
    assert paginator.has_next_page
    end_paging(paginator)
    assert not paginator.has_next_page, "BasePaginator.has_next_page is not _has_next_page any more"


def test_items_come_with_the_hints_of_their_page() -> None:
    @dlt.resource
    def hinted() -> Any:
        hints = dlt.mark.make_hints(columns=[{"name": "id", "data_type": "bigint"}])
        yield dlt.mark.with_hints([{"id": 1}], hints)
        yield [{"id": 2}]

    with bridge.dlt_context(hinted, {}), closing(bridge.items_of(hinted)) as found:
        first, second = found
    columns = bridge.columns_with_page(first)
    assert columns is not None, "PipeItem.meta has no HintsMeta with the hints of the page"
    assert columns["id"]["data_type"] == "bigint"
    assert bridge.columns_with_page(second) is None


def test_a_resource_reads_and_writes_the_state_of_its_context() -> None:
    @dlt.resource
    def counted() -> Any:
        own = dlt.current.resource_state()
        own["runs"] = own.get("runs", 0) + 1
        yield own["runs"]

    state: dict[str, Any] = {}
    assert [items(counted, state), items(counted, state)] == [[1], [2]], (
        "dlt.current.resource_state() is not in StateInjectableContext any more"
    )
    assert state == {"sources": {SCHEMA: {"resources": {"counted": {"runs": 2}}}}}, (
        "dlt keeps the state of resources in another place"
    )


def test_a_context_is_that_of_its_thread_alone() -> None:
    found: list[BaseException] = []

    def look() -> None:
        try:
            dlt.current.resource_state("parents")
        except BaseException as error:
            found.append(error)

    with bridge.dlt_context(parents, {}):
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert found, "the contexts of dlt's Container are shared by threads: streams would mix"


def test_dlt_is_prepared_once() -> None:
    from dlt.common import logger
    from dlt.common.configuration.container import Container
    from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext

    bridge.prepare_dlt()
    assert PluggableRunContext in Container(), "PluggableRunContext is not made by being asked for"
    assert logger.is_logging(), "the run context does not set dlt's log up any more"


def test_the_secrets_that_dlts_providers_keep() -> None:
    dlt.secrets["shop.token"] = "s3cret-of-the-shop"
    assert any("s3cret-of-the-shop" in text for text in bridge.secret_documents()), (
        "dlt's providers are not BaseDocProviders with their secrets in to_toml() any more"
    )


def test_the_table_that_an_item_is_marked_for() -> None:
    @dlt.resource
    def marked() -> Any:
        yield dlt.mark.with_table_name({"id": 1}, "named")
        yield dlt.mark.with_hints({"id": 2}, dlt.mark.make_hints(table_name="hinted"))
        yield {"id": 3}

    with bridge.dlt_context(marked, {}):
        found = [bridge.table_with_page(item) for item in bridge.items_of(marked)]
    assert found == ["named", "hinted", None], (
        "TableNameMeta.table_name and HintsMeta.hints are not where dlt keeps an item's table"
    )


def test_the_columns_that_a_stream_declares() -> None:
    @dlt.resource(primary_key="id", columns={"gone": {"hard_delete": True, "data_type": "bool"}})
    def declared() -> Any:
        yield {}

    columns = bridge.static_columns(declared)
    assert columns["id"].get("primary_key"), "compute_table_schema() has no primary_key"
    assert columns["gone"].get("hard_delete"), "compute_table_schema() has no hard_delete"
    dynamic = dlt.resource([1], name="dynamic", table_name=lambda row: row["kind"])
    assert bridge.static_columns(dynamic) == {}, (
        "DataItemRequiredForDynamicTableHints is not what a dynamic hint raises any more"
    )


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        "text",
        "",
        12,
        -0.5,
        Decimal("1.50"),
        datetime(2026, 1, 5, 10, tzinfo=UTC),
        datetime(2026, 1, 5, 10),
        date(2026, 1, 5),
        time(1, 2),
        b"ab",
        [1, [2], {"é": None}],
    ],
)
def test_states_are_written_and_read_as_dlt_does(value: Any) -> None:
    state: Any = {**new_state(StreamPaths("shop", "rows")), "sources": {"x": {"value": value}}}
    written = "dlt writes the values of its state in another way"
    assert decompress_state(encoded(state)) == state, written
    assert decoded(compress_state(state)) == state, written
    assert version_hash(state) == generate_pipeline_state_version_hash(state), (
        "dlt hashes its state in another way"
    )


def test_the_engine_version_of_dlts_state() -> None:
    assert PIPELINE_STATE_ENGINE_VERSION == ENGINE_VERSION, (
        "dlt's state has a new format; landing writes the old one, which dlt goes on reading"
    )
