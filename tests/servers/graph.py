"""A GraphQL API on Strawberry under uvicorn: orders as a Relay connection.

with graph(orders=25) as url: requests.post(f"{url}/graphql", json={"query": …})
"""

from __future__ import annotations

import base64
import sys
from contextlib import AbstractContextManager

import strawberry
import uvicorn
from strawberry.asgi import GraphQL

from demo.servers import HOST, served


@strawberry.type
class Order:
    id: int
    note: str
    updated_at: str


@strawberry.type
class Edge:
    cursor: str
    node: Order


@strawberry.type
class PageInfo:
    has_next_page: bool
    end_cursor: str | None


@strawberry.type
class Orders:
    page_info: PageInfo
    edges: list[Edge]
    nodes: list[Order]


class Query:
    count = 25


def page(first: int, after: str | None, since: str | None) -> Orders:
    start = int(base64.b64decode(after)) if after else 0
    orders = [Order(id=n, note=f"Order {n}", updated_at=day(n)) for n in range(1, Query.count + 1)]
    found = [order for order in orders if since is None or order.updated_at >= since]
    rows = found[start : start + first]
    cursors = [base64.b64encode(str(start + n + 1).encode()).decode() for n in range(len(rows))]
    return Orders(
        page_info=PageInfo(
            has_next_page=start + first < len(found), end_cursor=cursors[-1] if cursors else None
        ),
        edges=[Edge(cursor=c, node=row) for c, row in zip(cursors, rows, strict=True)],
        nodes=rows,
    )


def day(number: int) -> str:
    return f"2024-{1 + number // 28:02}-{1 + number % 28:02}"


@strawberry.type
class Shop:
    @strawberry.field
    def orders(self, first: int, after: str | None = None, since: str | None = None) -> Orders:
        return page(first, after, since)

    @strawberry.field
    def broken(self, first: int, after: str | None = None) -> Orders | None:
        raise ValueError("the warehouse is closed")


@strawberry.type(name="Query")
class Root:
    @strawberry.field
    def shop(self) -> Shop:
        return Shop()


def graph(orders: int = 25) -> AbstractContextManager[str]:
    module = [sys.executable, "-m", "tests.servers.graph", str(orders)]
    return served(lambda port: [*module, str(port)])


def main(orders: str, port: str) -> None:
    Query.count = int(orders)
    application = GraphQL(strawberry.Schema(Root))
    uvicorn.run(application, host=HOST, port=int(port), log_level="warning")


if __name__ == "__main__":
    main(*sys.argv[1:])
