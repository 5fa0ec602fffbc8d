"""GraphQL answers with cursor connections, as Relay's specification has them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec
from requests import Response

from landing.columns.json_page import JsonPage
from landing.http.failed_answers import JsonBody
from landing.http.own_words import said_by
from landing.http.retries import FailedAnswer
from landing.http.server_times import number_of
from landing.http.vocabulary import plain, plain_set

_LIMITS = plain_set(
    (
        "THROTTLED",
        "RATE_LIMITED",
        "RATE_LIMIT",
        "RATE_LIMIT_EXCEEDED",
        "TOO_MANY_REQUESTS",
        "429",
        "COMPLEXITY_BUDGET_EXHAUSTED",
        "CONCURRENCY_LIMIT_EXCEEDED",
        "MAX_CONCURRENCY_EXCEEDED",
        "MINUTE_LIMIT_RATE_EXCEEDED",
        "IP_RATE_LIMIT_EXCEEDED",
    )
)
"""Codes of errors by which APIs limit their rate, whatever the status: Shopify's, GitHub's,
Linear's, monday's, Hasura's."""
_TRANSIENT = plain_set(("TIMEOUT", "SERVICE_UNAVAILABLE", "GATEWAY_TIMEOUT"))
_WAITS = ("retry_in_seconds", "retryAfter", "retry_after")


@dataclass(frozen=True)
class GraphQLErrors:
    """A failure test: an answer with errors fails even if it has data, of which a part is missing.

    Errors of which `extensions.code`, `extensions.type` or `type` is of a rate limit pass. The wait
    is what the error says, or what Shopify's `throttleStatus` takes to allow the query's cost.
    """

    def failure(self, response: Response) -> FailedAnswer | None:
        body = JsonBody.of(response)
        errors = body.at("errors") if body is not None else None
        if body is None or not errors:
            return None
        listed = errors if isinstance(errors, list) else [errors]
        passes = any(_codes(error) & (_LIMITS | _TRANSIENT) for error in listed)
        if not response.ok and not passes:
            return None  # the status says it
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
        place = self.place
        try:
            return JsonPage(content, f"{place}.nodes")
        except ValueError:
            return JsonPage(_nodes(content, f"{place}.edges"))


def _nodes(content: bytes, path: str) -> bytes:
    try:
        edges = JsonPage(content, path).decoded(_edge())
    except ValueError as error:
        raise ValueError(
            f"no connection with nodes or edges at '{path.rpartition('.')[0]}' ({error})"
        ) from None
    return b"[" + b",".join(bytes(edge.node) for edge in edges) + b"]"


@cache
def _edge() -> Any:
    return msgspec.defstruct("Edge", [("node", msgspec.Raw)])


def _codes(error: Any) -> set[str]:
    if not isinstance(error, dict):
        return set()
    extensions = _object(error.get("extensions"))
    named = (extensions.get("code"), extensions.get("type"), error.get("type"), error.get("code"))
    return {plain(str(code)) for code in named if code is not None}


def _wait(errors: list[Any], cost: Any) -> float | None:
    for error in filter(None, map(_object, errors)):
        extensions = _object(error.get("extensions"))
        for name in _WAITS:
            seconds = number_of(str(extensions.get(name, error.get(name))))
            if seconds is not None:
                return seconds
    status = _object(_object(cost).get("throttleStatus"))
    asked, left, rate = (
        number_of(str(value))
        for value in (
            _object(cost).get("requestedQueryCost"),
            status.get("currentlyAvailable"),
            status.get("restoreRate"),
        )
    )
    if asked is None or left is None or not rate:
        return None
    return max(0.0, asked - left) / rate


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _message(errors: list[Any]) -> str:
    more = f" (and {len(errors) - 3} more)" if len(errors) > 3 else ""
    return "; ".join(map(said_by, errors[:3])) + more
