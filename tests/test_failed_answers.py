"""Answers with status 200 that say of a failure in their body."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from landing.errors import ApiError
from landing.http import (
    Api,
    FailedAnswer,
    FailsIf,
    GraphQLErrors,
    NumberedPages,
    Retries,
    Session,
)
from tests.kit import Kit, Zone
from tests.servers.scripted import Exchange, serve

QUICK = Retries(total=2, base=0.01)


def answers(*bodies: Any, status: int = 200, **headers: str) -> Callable[[Exchange], None]:
    """One after the other; the last again and again."""

    def answer(exchange: Exchange) -> None:
        body = bodies[min(exchange.number, len(bodies)) - 1]
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        exchange.reply(status, content, **headers)

    return answer


@pytest.mark.parametrize(
    ("fails_if", "failure", "success", "says"),
    [
        ("error", {"error": "no such shop"}, {"error": None, "data": []}, "no such shop"),
        ("error", {"error": {"message": "closed"}}, {"error": {}}, "closed"),
        ("errors", {"errors": [{"message": "closed"}]}, {"errors": []}, "closed"),
        ("error.code", {"error": {"code": 7}}, {"error": {"code": "0"}}, "7"),
        # Slack: https://api.slack.com/web#slack-web-api__evaluating-responses
        (
            FailsIf("ok", equals=False),
            {"ok": False, "error": "not_authed"},
            {"ok": 1},
            "not_authed",
        ),
        (FailsIf("ok", equals=False), {"ok": "false", "error": "gone"}, {"ok": "true"}, "gone"),
        # Feishu and TikTok: 0 is success.
        (FailsIf("code", unless=0), {"code": 99991663, "msg": "old token"}, {"code": "0"}, "old"),
        (FailsIf("code", unless=0), {"fault": "moved"}, {"code": 0}, "moved"),
        # Google Maps
        (
            FailsIf("status", unless=("OK", "ZERO_RESULTS")),
            {"status": "REQUEST_DENIED", "error_message": "no key", "results": []},
            {"status": "ZERO_RESULTS", "results": []},
            "no key",
        ),
        # Etherscan says it in the place of the rows.
        (
            lambda body: isinstance(body["result"], str) and body["result"],
            {"status": "0", "message": "NOTOK", "result": "Invalid API Key"},
            {"status": "0", "result": []},
            "Invalid API Key",
        ),
        ("error", b'{"error": "odd", "value": NaN}', b'{"error": null, "value": NaN}', "odd"),
        ("error", b"\xef\xbb\xbf" + b'{"error": "marked"}', b"id,error\n1,x\n", "marked"),
    ],
)
def test_what_a_client_names_is_a_failure(
    fails_if: Any, failure: Any, success: Any, says: str
) -> None:
    with serve(answers(failure, success)) as server:
        session = Session(fails_if=fails_if, retries=QUICK)
        with pytest.raises(FailedAnswer, match=f"answered 200, but its body .*: .*{says}"):
            session.get(server.url)
        assert session.get(server.url).ok
        assert len(server.seen) == 2


@pytest.mark.parametrize(
    "retry",
    [True, "ratelimited", ("internal_error", "ratelimited"), lambda body: "rate" in body["error"]],
)
def test_a_failure_that_passes_is_tried_again(retry: Any) -> None:
    fails_if = FailsIf("ok", equals=False, code="error", retry=retry)
    with serve(answers({"ok": False, "error": "ratelimited"}, {"ok": True})) as server:
        response = Session(fails_if=fails_if, retries=QUICK).get(server.url)
        assert response.json() == {"ok": True}
        assert response.attempts == 2  # type: ignore[attr-defined]


def test_one_that_does_not_pass_is_an_error_with_the_attempts() -> None:
    fails_if = FailsIf("error", retry="busy")
    with serve(answers({"error": {"code": "busy", "message": "try later"}})) as server:
        api = Api(server.url, retries=QUICK, fails_if=fails_if)
        with pytest.raises(ApiError, match=r"GET .*/orders answered 200.*try later \(tried 3"):
            list(api.pages("orders", records="data"))
        with pytest.raises(requests.RequestException, match="try later"):
            api.session.post(server.url, json={})
        assert len(server.seen) == 4, "a POST may have had an effect"


def test_the_wait_is_where_the_answer_has_it_and_holds_all_requests() -> None:
    """As Telegram's parameters.retry_after."""
    fails_if = FailsIf("ok", equals=False, retry=True, wait="parameters.retry_after")
    busy = {"ok": False, "parameters": {"retry_after": 1}}
    with serve(answers(busy, {"ok": True})) as server:
        session = Session(fails_if=fails_if, retries=QUICK)
        begun = time.monotonic()
        assert session.get(server.url).json() == {"ok": True}
        assert 1.0 <= time.monotonic() - begun < 5


def test_one_list_may_have_another_test_than_its_session() -> None:
    pages = [{"error": "of a row", "data": [{"id": 1}]}, {"error": "of a row", "data": []}]
    with serve(answers(*pages)) as server:
        api = Api(server.url, fails_if="error")
        found = api.pages(
            "orders", records="data", fails_if="failed", paging=NumberedPages(1, verify=False)
        )
        assert [row for page in found for row in page.rows()] == [{"id": 1}]


STREAMS = """\
import os

import dlt

from landing.http import Api, FailsIf

api = Api(os.environ["SHOP_URL"], fails_if=FailsIf("success", equals=False))


@dlt.resource(primary_key="id")
def orders():
    yield from api.pages("orders", records="data")
"""


def test_a_run_fails_with_the_api_s_words(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "hunter2-hunter2")
    kit.add_source("shop", STREAMS)
    kit.configure("shop", "orders", fields={"id": {"type": "integer"}})
    body = {"success": False, "data": [], "message": "quota of hunter2-hunter2 is used up"}
    with serve(answers(body)) as server:
        monkeypatch.setenv("SHOP_URL", server.url)
        done = kit.run("shop", "orders")
    assert done.code == 1
    assert "quota of *** is used up" in done.err, done.err
    assert not folder_zone.parts("shop", "orders")


NODES = {
    "data": {
        "orders": {
            "nodes": [{"id": 1}],
            "pageInfo": {"hasNextPage": False, "endCursor": None},
        }
    }
}


def shopify(cost: int, left: int) -> dict[str, Any]:
    throttle = {"maximumAvailable": 1000, "currentlyAvailable": left, "restoreRate": 100}
    return {
        "errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}],
        "extensions": {"cost": {"requestedQueryCost": cost, "throttleStatus": throttle}},
    }


@pytest.mark.parametrize(
    ("limited", "status", "least"),
    [
        (shopify(202, 102), 200, 1.0),
        # GitHub
        ({"errors": [{"type": "RATE_LIMITED", "message": "API rate limit exceeded"}]}, 200, 0),
        # Linear
        ({"errors": [{"message": "Slow", "extensions": {"code": "RATELIMITED"}}]}, 400, 0),
        # monday.com
        (
            {
                "errors": [
                    {
                        "message": "Complexity budget exhausted",
                        "extensions": {
                            "code": "COMPLEXITY_BUDGET_EXHAUSTED",
                            "retry_in_seconds": 1,
                        },
                    }
                ]
            },
            200,
            1.0,
        ),
    ],
)
def test_graphql_is_waited_for_where_it_limits_its_rate(
    limited: Any, status: int, least: float
) -> None:
    def answer(exchange: Exchange) -> None:
        is_first = exchange.number == 1
        body = json.dumps(limited if is_first else NODES).encode()
        exchange.reply(status if is_first else 200, body)

    with serve(answer) as server:
        begun = time.monotonic()
        api = Api(server.url, retries=QUICK)
        pages = list(api.graphql("query ($after: String) { … }", "orders"))
        assert [row for page in pages for row in page.rows()] == [{"id": 1}]
        assert least <= time.monotonic() - begun < least + 5
        assert len(server.seen) == 2


def test_other_graphql_errors_are_final_even_beside_data() -> None:
    partial = {**NODES, "errors": [{"message": "no access to notes"}]}
    with serve(answers(partial)) as server:
        with pytest.raises(ApiError, match="but GraphQL says: no access to notes"):
            list(Api(server.url, retries=QUICK).graphql("{ … }", "orders"))
        session = Session(fails_if=GraphQLErrors(), retries=QUICK)
        with pytest.raises(FailedAnswer, match="no access"):
            session.post(server.url, json={"query": "{ … }"})
        assert len(server.seen) == 2
