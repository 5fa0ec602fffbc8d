"""Limits and errors of GraphQL, which come with status 200."""

from __future__ import annotations

import time
from typing import Any

from tests.servers.scripted import Exchange
from tests.servers.styles import Asked
from torture.wire.way import ROWS, SIZE, Answers, Way, body, paged

QUERY = 'yield from api.graphql("query ($after: String) { orders { nodes { id } } }", "orders")'
OWN_QUERY = """\
session = Session(retries=Retries(total=2, base=0.01), fails_if=GraphQLErrors())
answer = session.post(f"{URL}/graphql", json={"query": "{ orders }"}, is_read=True)
yield answer.json()["data"]["orders"]"""


def _connection(a: Asked) -> dict[str, Any]:
    info = {"hasNextPage": not a.is_last, "endCursor": a.cursor}
    return {"data": {"orders": {"nodes": a.rows, "pageInfo": info}}}


PAGES = paged(_connection)
LAST = {"hasNextPage": False, "endCursor": None}


def _errors(*errors: dict[str, Any], **members: Any) -> Answers:
    return body({"errors": list(errors)} | members)


def _code(code: str, message: str = "Too many requests", **extensions: Any) -> dict[str, Any]:
    return {"message": message, "extensions": {"code": code} | extensions}


def _once(limit: Answers) -> Answers:
    """The first page is limited once."""
    return lambda exchange: (limit if exchange.number == 1 else PAGES)(exchange)


def _in_mid_paging(limit: Answers) -> Answers:
    """The second page is limited once."""
    return lambda exchange: (limit if exchange.number == 2 else PAGES)(exchange)


def _cost(requested: int, available: int) -> dict[str, Any]:
    throttle = {"maximumAvailable": 1000, "currentlyAvailable": available, "restoreRate": 100}
    return {"cost": {"requestedQueryCost": requested, "throttleStatus": throttle}}


def _reset_soon(exchange: Exchange) -> None:
    headers = {
        "X_RateLimit_Remaining": "0",
        "X_RateLimit_Reset": str(int(time.time()) + 2),
    }
    limited = {"type": "RATE_LIMITED", "message": "API rate limit exceeded"}
    body({"errors": [limited]}, **headers)(exchange)


def _limited(what: str, source: str, answers: Answers, waits: tuple[float, float]) -> Way:
    return Way(what, source, answers, QUERY, "landed", waits=waits)


def _told(what: str, source: str, answers: Answers, says: str, stream: str = QUERY) -> Way:
    return Way(what, source, answers, stream, "failed", says)


THROTTLED = _code("THROTTLED", "Throttled")

LIMITED = [
    _limited(
        "GraphQL says `THROTTLED`, with status 200",
        "Shopify/cli#8317",
        _once(_errors(THROTTLED)),
        (0.0, 2.0),
    ),
    _limited(
        "GraphQL says `THROTTLED`, and what the query costs",
        "Shopify/shopify-api-ruby#836",
        _once(_errors(THROTTLED, extensions=_cost(202, 102))),
        (0.95, 3.0),
    ),
    _limited(
        "GraphQL says `THROTTLED` for the second page",
        "gnikyt/Basic-Shopify-API#95",
        _in_mid_paging(_errors(THROTTLED, data=None)),
        (0.0, 2.0),
    ),
    _limited(
        "GraphQL says `RATE_LIMITED` as the error's type",
        "JhaSourav07/commitpulse#1269",
        _once(_errors({"type": "RATE_LIMITED", "message": "API rate limit exceeded"})),
        (0.0, 2.0),
    ),
    _limited(
        "GraphQL says `RATE_LIMIT` as the error's type",
        "yanyongyu/githubkit#271",
        _once(_errors({"type": "RATE_LIMIT", "code": "graphql_rate_limit", "message": "slow"})),
        (0.0, 2.0),
    ),
    _limited(
        "GraphQL limits with status 200, and a header has the time of the reset",
        "port-labs/ocean#3526",
        _once(_reset_soon),
        (0.5, 4.0),
    ),
    _limited(
        "GraphQL says `RATE_LIMIT_EXCEEDED`",
        "wundergraph/graphql-go-tools#1027",
        _once(_errors(_code("RATE_LIMIT_EXCEEDED"))),
        (0.0, 2.0),
    ),
    _limited(
        "GraphQL says `rate-limit` as the error's category",
        "nuwave/lighthouse#2450",
        _once(
            _errors(
                {
                    "message": "Rate limit for Query.user exceeded. Try again later.",
                    "extensions": {"category": "rate-limit"},
                }
            )
        ),
        (0.0, 2.0),
    ),
    Way(
        "GraphQL says `THROTTLED` to a source's own query",
        "MONEI/Shopify-api-node#541",
        lambda exchange: (
            _errors(THROTTLED) if exchange.number == 1 else body({"data": {"orders": ROWS}})
        )(exchange),
        OWN_QUERY,
        "landed",
    ),
    _told(
        "GraphQL says `THROTTLED` however often it is asked",
        "Shopify/cli#8317",
        _errors(THROTTLED),
        r"GraphQL says: Throttled \(tried 3 times\)",
    ),
    _told(
        "GraphQL limits by a code of its own",
        "graphql-dotnet/graphql-client#267",
        _errors(
            {
                "code": 30,
                "message": "There are not enough credits to perform the requested operation",
                "time_remaining": "0:01:14 minutes",
            },
            data={"orders": None},
        ),
        "not enough credits",
    ),
]

PARTIAL = [
    _told(
        "GraphQL has an error for the second page, beside its data",
        "ballerina-platform/ballerina-library#4550",
        _in_mid_paging(
            _errors(
                _code("INTERNAL_SERVER_ERROR", "No crew members"),
                data={"orders": {"nodes": ROWS[SIZE : SIZE + 2], "pageInfo": LAST}},
            )
        ),
        "GraphQL says: No crew members",
    ),
    _told(
        "GraphQL has an error beside a node that is null",
        "apollographql/apollo-client#979",
        _errors(
            {"message": "order 3 failed", "path": ["orders", "nodes", 2]},
            data={"orders": {"nodes": [*ROWS[:2], None, *ROWS[3:]], "pageInfo": LAST}},
        ),
        "GraphQL says: order 3 failed",
    ),
    Way(
        "GraphQL has a node that is null, and no error",
        "apollographql/apollo-client#106",
        body({"data": {"orders": {"nodes": [*ROWS, None], "pageInfo": LAST}}}),
        QUERY,
        "quarantined",
    ),
    _told(
        "GraphQL has null for its data, and no error",
        "facebook/relay#3813",
        body({"data": None}),
        "no connection with nodes or edges at 'data.orders'",
    ),
    _told(
        "GraphQL has null for the connection, and no error",
        "magento/graphql-ce#110",
        body({"data": {"orders": None}}),
        "no connection with nodes or edges at 'data.orders'",
    ),
    _told(
        "GraphQL's errors are one object instead of a list",
        "remorses/genql#97",
        body({"errors": {"message": "Internal server error"}, "data": {"orders": None}}),
        "GraphQL says: Internal server error",
    ),
    _told(
        "GraphQL answers 204 for the page that its cursor leads to",
        "microsoft/Partner-Center-Java#115",
        lambda exchange: PAGES(exchange) if exchange.number == 1 else exchange.reply(204),
        "answered 204 without a body, though the page before says that there is more",
    ),
]

GRAPHQL = [*LIMITED, *PARTIAL]
