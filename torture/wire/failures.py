"""Failures with status 200 that a client names by `fails_if`, passing or final."""

from __future__ import annotations

from torture.wire.way import Answers, Way, body, in_turn, listed, paged, raw, whole


def _stream(test: str, arguments: str = "") -> str:
    return (
        f"shop = Api(URL, retries=Retries(total=2, base=0.01), fails_if={test})\n"
        f'yield from shop.pages("orders", records="items"{arguments})'
    )


IN_PAGES = ', paging=NextUrlPages("next")'
NOTOK = {"status": "0", "message": "NOTOK", "result": "Max calls per sec rate limit reached"}
DAILY = NOTOK | {"result": "Max daily rate limit reached"}
BY_STATUS = """FailsIf(
    lambda body: body.get("status") == "0" and body["result"],
    retry=lambda body: "per sec" in body["result"],
)"""
BUSY = {"code": 40100, "message": "Too many requests", "items": []}
BY_CODE = 'FailsIf("code", unless=(0, None), retry=(40100,))'
FAILED = {"ok": False, "error": "internal_error", "items": []}


def _second(failure: Answers) -> Answers:
    """The second page fails once."""
    pages = paged(lambda a: {"items": a.rows, "next": a.link(), "ok": True})
    return lambda exchange: (failure if exchange.number == 2 else pages)(exchange)


def _landed(what: str, source: str, answers: Answers, stream: str) -> Way:
    return Way(what, source, answers, stream, "landed")


def _told(what: str, source: str, answers: Answers, stream: str, says: str) -> Way:
    return Way(what, source, answers, stream, "failed", says)


NAMED_FAILURES = [
    _landed(
        "a limit has status 200, and only a text says which",
        "vyperlang/titanoboa#287",
        in_turn(body(NOTOK), whole()),
        _stream(BY_STATUS),
    ),
    _told(
        "a limit of the day has status 200, which does not pass",
        "rotki/rotki#8626",
        body(DAILY),
        _stream(BY_STATUS),
        "its body says that it failed: Max daily rate limit reached",
    ),
    _told(
        "a limit has status 200, and never passes",
        "blockchain-certificates/cert-issuer#166",
        body(NOTOK),
        _stream(BY_STATUS),
        r"Max calls per sec rate limit reached \(tried 3 times\)",
    ),
    _landed(
        "a limit has status 200 and a code of its own",
        "bjorn/raccoin#66",
        in_turn(body(BUSY), whole()),
        _stream(BY_CODE),
    ),
    _told(
        "a failure has status 200 and another code",
        "crytic/crytic-compile#159",
        body(BUSY | {"code": 40002, "message": "no permission"}),
        _stream(BY_CODE),
        "its body says that it failed: no permission",
    ),
    _landed(
        "the second page has status 200, and a flag says that it failed",
        "airbytehq/airbyte#15055",
        _second(body(FAILED)),
        _stream('FailsIf("ok", equals=False, retry=True)', IN_PAGES),
    ),
    _told(
        "the second page has status 200, and a flag says that it failed for good",
        "NangoHQ/nango-sync#95",
        _second(body(FAILED)),
        _stream('FailsIf("ok", equals=False)', IN_PAGES),
        "its body says that it failed: internal_error",
    ),
    _landed(
        "a failure has status 200 and the seconds to wait",
        "MicrosoftDocs/msteams-docs#9064",
        in_turn(body({"error": "busy", "parameters": {"retry_after": 0.3}}), whole()),
        _stream('FailsIf("error", retry=True, wait="parameters.retry_after")'),
    ),
    _told(
        "a status in the body is `Error`, with no message",
        "MicrosoftDocs/azure-docs#42599",
        body({"status": "Error", "error": None, "items": []}),
        _stream('FailsIf("status", equals="Error")'),
        '"status":"Error"',
    ),
    _told(
        "an error comes with status 200 beside all rows",
        "lacuna-tech/mds-core#272",
        body({"items": [], "errors": [{"detail": "shard 3 timed out"}]}),
        _stream('"errors"'),
        "shard 3 timed out",
    ),
    _landed(
        "errors are an empty list beside all rows",
        "dotnet/aspnetcore#53457",
        lambda exchange: whole()(exchange),
        _stream('"errors"'),
    ),
]

LOST = [
    Way(
        "the next page is a 204, however often it is asked for",
        "microsoft/Partner-Center-Java#115",
        in_turn(body({"items": [], "next": "/orders?page=2"}), raw(b"", status=204)),
        listed('NextUrlPages("next")'),
        "failed",
        "answered 204 without a body, though the page before says that there is more",
    ),
    Way(
        "the next page is a 204 once, and then there",
        "microsoft/Partner-Center-Java#115",
        in_turn(body({"items": [], "next": "/orders?page=2"}), raw(b"", status=204), whole()),
        listed('NextUrlPages("next")'),
        "landed",
    ),
    Way(
        "the next page is an empty body with status 200",
        "decolua/9router#145",
        in_turn(body({"items": [], "next": "/orders?page=2"}), raw(b"")),
        listed('NextUrlPages("next")'),
        "failed",
        "answered 200 without a body",
    ),
    Way(
        "the next page of a `Link` header is a 204",
        "pfrenssen/matomo-reporting-api#3",
        in_turn(body([], Link='</orders?page=2>; rel="next"'), raw(b"", status=204)),
        'yield from api.pages("orders", paging=LinkPages())',
        "failed",
        "answered 204 without a body",
    ),
    Way(
        "a flag says that there is more, and the cursor's page is a 204",
        "microsoft/Partner-Center-Java#115",
        in_turn(body({"items": [], "next_cursor": "c5", "has_more": True}), raw(b"", status=204)),
        listed('CursorPages("next_cursor", has_more="has_more")'),
        "failed",
        "answered 204 without a body",
    ),
    Way(
        "the page of a cursor is a 204 once, and then there",
        "zendesk/basecrm-java#2",
        in_turn(body({"items": [], "next_cursor": "c5"}), raw(b"", status=204), whole()),
        listed('CursorPages("next_cursor")'),
        "landed",
    ),
]
