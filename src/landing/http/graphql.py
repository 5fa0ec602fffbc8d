"""GraphQL responses with cursor connections, as Relay's specification defines them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from requests import Response

from landing.columns import json_path
from landing.columns.json_page import JsonPage
from landing.columns.odd_records import EACH, marked
from landing.http.api_messages import message_in
from landing.http.failed_answers import JsonBody
from landing.http.retries import FailedAnswer
from landing.http.server_times import number_of
from landing.http.spelling import names_in, plain, plain_set

_LIMITS = plain_set(
    names_in(
        "THROTTLED RATE_LIMITED RATE_LIMIT GRAPHQL_RATE_LIMIT RATE_LIMIT_EXCEEDED "
        "TOO_MANY_REQUESTS 429 COMPLEXITY_BUDGET_EXHAUSTED CONCURRENCY_LIMIT_EXCEEDED "
        "MAX_CONCURRENCY_EXCEEDED MINUTE_LIMIT_RATE_EXCEEDED IP_RATE_LIMIT_EXCEEDED"
    )
)
"""Codes of errors by which APIs limit their rate, whatever the status: Shopify's, GitHub's,
Linear's, monday's, Hasura's."""
_TRANSIENT = plain_set(("TIMEOUT", "SERVICE_UNAVAILABLE", "GATEWAY_TIMEOUT"))
_CODES = ("code", "type", "category")
_WAITS = ("retry_in_seconds", "retryAfter", "retry_after")


@dataclass(frozen=True)
class GraphQLErrors:
    """A failure test for GraphQL: a response with errors fails, even if it also has some data.

    The request is sent again if `extensions.code`, `extensions.type` or `type` of an error names a
    rate limit, after the wait that the error states, or that the query's cost needs by Shopify's
    `throttleStatus`.
    """

    def failure(self, response: Response) -> FailedAnswer | None:
        body = JsonBody.of(response)
        errors = body.at("errors") if body is not None else None
        if body is None or not errors:
            return None
        listed = errors if isinstance(errors, list) else [errors]
        passes = any(_codes(error) & (_LIMITS | _TRANSIENT) for error in listed)
        if not response.ok and not passes:
            return None  # the status already makes it a failure
        return FailedAnswer(
            f"answered {response.status_code}, but GraphQL says: {_message(listed)}",
            response=response,
            passes=passes,
            wait=_wait(listed, body.at("extensions.cost")) if passes else None,
        )


@dataclass(frozen=True)
class Connection:
    """The `nodes` of a connection, or the `node` of each of its `edges`."""

    path: str
    encoding: str | None = None

    @property
    def place(self) -> str:
        return f"data.{self.path}"

    def page(self, content: bytes) -> JsonPage:
        nodes = f"{self.place}.nodes"
        try:
            return JsonPage(content, nodes)
        except (ValueError, msgspec.MsgspecError):
            return self._page_of_edges(content)

    def _page_of_edges(self, content: bytes) -> JsonPage:
        try:
            return JsonPage(_nodes(content, self.place))
        except (msgspec.MsgspecError, RecursionError) as error:
            try:
                # Of an odd node, only the node is marked, and not its edge.
                path = json_path.parsed(f"{self.place}.edges")
                fixed = marked(content, path._replace(steps=(*path.steps, EACH, "node")))
                page = JsonPage(_nodes(fixed, self.place))
            except (ValueError, msgspec.MsgspecError):
                raise ValueError(
                    f"no connection with nodes or edges at '{self.place}' ({error})"
                ) from None
            page.fixed_body = page.fixed_body or fixed
            return page


def _nodes(content: bytes, place: str) -> bytes:
    """The list of the edges' nodes, with null for a missing one."""
    raw = json_path.raw_at(content, f"{place}.edges")
    if raw is None:
        raise msgspec.ValidationError("there are none")
    edges = _EDGES.decode(raw)
    return b"[" + b",".join(bytes(edge.node) if edge else b"null" for edge in edges) + b"]"


class _Edge(msgspec.Struct):
    node: msgspec.Raw = msgspec.Raw(b"null")


_EDGES = msgspec.json.Decoder(list[_Edge | None])


def _codes(error: Any) -> set[str]:
    if not isinstance(error, dict):
        return set()
    extensions = _object(error.get("extensions"))
    named = [each.get(name) for each in (extensions, error) for name in _CODES]
    return {plain(str(code)) for code in named if code is not None}


def _wait(errors: list[Any], cost: Any) -> float | None:
    for error in filter(None, map(_object, errors)):
        extensions = _object(error.get("extensions"))
        for name in _WAITS:
            seconds = number_of(str(extensions.get(name, error.get(name))))
            if seconds is not None:
                return seconds
    status = _object(_object(cost).get("throttleStatus"))
    requested, left, rate = (
        number_of(str(value))
        for value in (
            _object(cost).get("requestedQueryCost"),
            status.get("currentlyAvailable"),
            status.get("restoreRate"),
        )
    )
    if requested is None or left is None or not rate:
        return None
    return max(0.0, requested - left) / rate


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _message(errors: list[Any]) -> str:
    more = f" (and {len(errors) - 3} more)" if len(errors) > 3 else ""
    return "; ".join(map(message_in, errors[:3])) + more
