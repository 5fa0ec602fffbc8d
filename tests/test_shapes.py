"""Streams that are no flat lists: parents and children, GraphQL, CSV, packed bodies."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from landing.errors import ApiError
from landing.http import Api, Csv, JsonLines
from landing.http.bodies import unpacked
from tests.kit import Kit, Zone
from tests.servers.graph import graph
from tests.servers.shop import LINES, Shop, shop

ORDERS = 25

CHILDREN = """
import os
import dlt
from landing.http import Api, OffsetPages

@dlt.resource(primary_key="id")
def orders(updated_at=dlt.sources.incremental("updated_at"), limit: int = 10):
    api = Api(os.environ["MY_API_URL"])
    since = {"since": updated_at.last_value} if updated_at.last_value else {}
    yield from api.pages("offset/", records="results", params=since, paging=OffsetPages(limit))

@dlt.transformer(data_from=orders, primary_key="id")
def lines(page):
    api = Api(os.environ["MY_API_URL"])
    for order in page.rows():
        found = api.get(f"orders/{order['id']}/lines/").json()["lines"]
        yield [{**line, "order_updated_at": order["updated_at"]} for line in found]
"""
LINE = {
    "id": {"type": "integer"},
    "order_id": {"type": "integer"},
    "order_updated_at": {"type": "string", "format": "date-time"},
}


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    with shop(tmp_path, ORDERS) as running:
        monkeypatch.setenv("MY_API_URL", running.url)
        yield running


@pytest.fixture
def children(kit: Kit, served: Shop) -> Kit:
    kit.add_source("shop", CHILDREN, init="from .streams import lines, orders\n")
    kit.configure(
        "shop",
        "lines",
        sync_mode="incremental",
        cursor_field=["order_updated_at"],
        primary_key=[["id"]],
        fields=LINE,
    )
    fields = dict.fromkeys(("id",), LINE["id"]) | {"updated_at": LINE["order_updated_at"]}
    kit.configure(
        "shop", "orders", sync_mode="incremental", cursor_field=["updated_at"], fields=fields
    )
    return kit


def asked_for(served: Shop, since: int) -> set[int]:
    """The orders whose lines were asked for."""
    targets = served.requested()[since:]
    return {int(target.split("/")[2]) for target in targets if target.startswith("/orders/")}


def test_only_children_of_changed_parents_are_asked_for_again(
    children: Kit, served: Shop, folder_zone: Zone
) -> None:
    first = children.run("shop", "lines")
    assert f"{ORDERS * LINES} rows" in first.out, first.text
    assert asked_for(served, 0) == set(range(1, ORDERS + 1))

    served.add_line(7, 1_000)
    before = len(served.requested())
    second = children.run("shop", "lines")
    assert "shop/lines: 3 rows" in second.out, second.text
    # Orders 24 and 25 share the last value of the first run.
    assert asked_for(served, before) == {7, 24, 25}
    assert "since=" in served.requested()[before]
    assert "nothing new" in children.run("shop", "lines").out


def test_a_parents_cursor_moves_with_the_childs_load_alone(
    children: Kit, served: Shop, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = CHILDREN.replace(
        "        yield [", "        assert order['id'] < 20, 'interrupted'\n        yield ["
    )
    file = children.root / "dlt" / "sources" / "shop" / "streams.py"
    file.write_text(failing)
    assert children.forked("pipeline.py", "shop", "lines").code == 1
    assert folder_zone.parts("shop", "lines") == []
    file.write_text(CHILDREN)
    assert "50 rows" in children.forked("pipeline.py", "shop", "lines").out


def test_parents_that_the_api_did_not_filter_are_left_out_all_the_same(
    children: Kit, served: Shop, folder_zone: Zone
) -> None:
    file = children.root / "dlt" / "sources" / "shop" / "streams.py"
    file.write_text(CHILDREN.replace("params=since, ", ""))
    assert children.forked("pipeline.py", "shop", "lines").code == 0
    served.add_line(7, 1_000)
    before = len(served.requested())
    assert "3 rows" in children.forked("pipeline.py", "shop", "lines").out
    assert asked_for(served, before) == {7, 24, 25}


def test_parent_and_child_run_side_by_side_with_a_cursor_each(
    children: Kit, served: Shop, folder_zone: Zone
) -> None:
    assert children.run("shop", "lines").code == 0
    both = children.run("shop", "--all", "--workers", "2")
    assert f"shop/orders: {ORDERS} rows" in both.out, both.text
    assert "shop/lines: nothing new" in both.out


def test_a_full_refresh_of_children_reads_all_parents(
    children: Kit, served: Shop, folder_zone: Zone
) -> None:
    assert children.run("shop", "lines").code == 0
    children.configure("shop", "lines", sync_mode="full_refresh", fields=LINE)
    assert "50 rows" in children.run("shop", "lines").out


def test_a_sample_of_children_asks_for_no_more_parents_than_it_needs(
    children: Kit, served: Shop
) -> None:
    assert children.discover("shop", "lines", "--sample-limit", "4").code == 0
    assert any("limit=4" in target for target in served.requested())
    assert len(asked_for(served, 0)) <= 4


GRAPH = """
import os
import dlt
from landing.http import Api

QUERY = '''query ($first: Int!, $after: String, $since: String) {
  shop { orders(first: $first, after: $after, since: $since) {
    pageInfo { hasNextPage endCursor }
    %s
  } }
}'''

@dlt.resource(primary_key="id")
def orders(updated_at=dlt.sources.incremental("updatedAt"), limit: int = 10):
    yield from Api(os.environ["MY_API_URL"]).graphql(
        QUERY, "shop.orders", variables={"first": limit, "since": updated_at.last_value}
    )
"""


@pytest.fixture(scope="module")
def graph_url() -> Iterator[str]:
    with graph(ORDERS) as url:
        yield url


@pytest.mark.parametrize("rows", ["nodes { id note updatedAt }", "edges { node { id updatedAt } }"])
def test_all_rows_of_a_graphql_connection(
    kit: Kit, folder_zone: Zone, graph_url: str, monkeypatch: pytest.MonkeyPatch, rows: str
) -> None:
    monkeypatch.setenv("MY_API_URL", graph_url)
    kit.add_source("graph", GRAPH.replace("%s", rows))
    assert kit.discover("graph", "--sample-limit", "3").code == 0
    assert kit.discovered("graph", "orders")["fields"]["updatedAt"]["format"] == "date"
    kit.configure("graph", "orders", kit.discovered_file("graph", "orders").read_text())
    done = kit.run("graph", "orders")
    assert f"{ORDERS} rows" in done.out, done.text
    assert folder_zone.query("graph", "orders", "SELECT count(DISTINCT id) FROM landed") == [(25,)]
    assert "nothing new" in kit.run("graph", "orders").out


def test_errors_in_an_answer_with_status_200_are_errors(graph_url: str) -> None:
    query = "query ($after: String) { shop { broken(first: 2, after: $after) { nodes { id } } } }"
    with pytest.raises(ApiError, match="GraphQL says: the warehouse is closed") as caught:
        list(Api(graph_url).graphql(query, "shop.broken"))
    assert f"POST {graph_url}/graphql" in str(caught.value)


def test_a_connection_that_is_not_there_is_an_error(graph_url: str) -> None:
    query = "{ shop { orders(first: 2) { pageInfo { hasNextPage } nodes { id } } } }"
    with pytest.raises(ApiError, match="no connection with nodes or edges at 'data"):
        list(Api(graph_url).graphql(query, "orders"))


EXPORT = """
import os
import dlt
from landing.http import Api, Csv, JsonLines

@dlt.resource(primary_key="id")
def orders():
    yield from Api(os.environ["MY_API_URL"]).pages("export/%s", records=%s)
"""
ORDER = {"id": {"type": "integer"}, "note": {"type": "string"}, "total": {"type": "number"}}


@pytest.mark.parametrize(
    ("file", "body"),
    [
        ("orders.jsonl", "JsonLines()"),
        ("orders.jsonl.gz", "JsonLines()"),
        ("orders.csv", 'Csv({"id": int, "total": float})'),
        ("orders.csv.gz", 'Csv({"id": int, "total": float})'),
    ],
)
def test_all_rows_of_an_export(
    kit: Kit, folder_zone: Zone, served: Shop, file: str, body: str
) -> None:
    kit.add_source("export", EXPORT % (file, body))
    kit.configure("export", "orders", sync_mode="full_refresh", fields=ORDER)
    done = kit.run("export", "orders")
    assert f"{ORDERS} rows" in done.out, done.text
    sums = folder_zone.query(
        "export", "orders", "SELECT sum(id), sum(total), min(note) FROM landed"
    )
    assert sums == [(325, 81.25, "new")]


def test_csv_is_text_unless_a_type_is_declared() -> None:
    content = '\ufeffid,zip,paid,note\r\n1,00501,TRUE,"a\n""b"""\r\n2,,0,\r\nx,9,maybe,c\r\n'
    rows = Csv({"id": int, "paid": bool}).page(content.encode())
    assert rows == [
        {"id": 1, "zip": "00501", "paid": True, "note": 'a\n"b"'},
        {"id": 2, "zip": None, "paid": False, "note": None},
        {"id": "x", "zip": "9", "paid": "maybe", "note": "c"},
    ]
    assert Csv(delimiter=";").page(b"a;b\n1;2\n") == [{"a": "1", "b": "2"}]
    assert Csv().page(b"") == Csv().page(b"a,b\n") == []


@pytest.mark.parametrize("content", [b"a,b\n1\n", b'a\n"b\n', b"a,b\n1,2,3\n"])
def test_a_line_of_csv_that_does_not_fit_its_head_is_an_error(content: bytes) -> None:
    with pytest.raises(ValueError, match="no CSV"):
        Csv().page(content)


def test_json_lines_may_have_empty_lines_and_no_end() -> None:
    assert len(JsonLines().page(b'{"a": "x\\ny"}\r\n\r\n{"a": 2}')) == 2
    assert len(JsonLines().page(b"")) == 0
    with pytest.raises(ValueError, match="no JSON object in each line"):
        JsonLines().page(b'{"a":\n1}')


def test_a_packed_body_that_is_damaged_or_far_too_large_is_refused() -> None:
    packed = gzip.compress(b"0" * 10_000) + gzip.compress(b"1")
    assert len(unpacked(packed, 20_000)) == 10_001
    with pytest.raises(ValueError, match="unpacked"):
        unpacked(packed, 9_999)
    with pytest.raises(ValueError, match="damaged"):
        unpacked(packed[:20], 20_000)
    assert unpacked(b"plain", 1) == b"plain"
