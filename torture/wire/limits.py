"""Limits, logins and waits, as servers spell them."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import formatdate

from tests.servers.scripted import Exchange
from torture.wire.way import SIZE, Answers, Way, body, in_turn, listed, paged, pages, whole

ONE_PAGE = listed()
QUICK = (0.0, 3.0)
"""Seconds that a client may wait which was asked to wait for nothing."""


def _again(status: int, **headers: str | Callable[[], str]) -> Answers:
    """A refusal, and then all rows. Headers may be of the moment."""

    def refuse(exchange: Exchange) -> None:
        now = {name: each if isinstance(each, str) else each() for name, each in headers.items()}
        body({"error": "too many requests"}, status, **now)(exchange)

    return in_turn(refuse, whole())


def _retry_after(
    what: str,
    source: str,
    value: str | Callable[[], str],
    waits: tuple[float, float] = QUICK,
    status: int = 429,
) -> Way:
    answers = _again(status, Retry_After=value)
    return Way(f"`Retry-After` {what}", source, answers, ONE_PAGE, "landed", waits=waits)


def _at(seconds: float) -> Callable[[], str]:
    return lambda: formatdate(time.time() + seconds, usegmt=True)


def _refused_an_hour_ahead(exchange: Exchange) -> None:
    exchange.handler.send_response_only(429)
    for name, seconds in (("Date", 3600), ("Retry-After", 3601)):
        exchange.handler.send_header(name, _at(seconds)())
    exchange.handler.send_header("Content-Length", "0")
    exchange.handler.end_headers()


RETRIES = [
    _retry_after("is a date", "mloesch/sickle#28", _at(2), (0.5, 4.0), 503),
    _retry_after(
        "is a date, with status 429", "Azure/azure-sdk-for-python#31004", _at(2), (0.5, 4.0)
    ),
    _retry_after("has a fraction", "SpaceTradersAPI/api-docs#24", "0.493", (0.45, 2.0)),
    _retry_after("is below zero", "mastra-ai/mastra#23778", "-3"),
    _retry_after("has letters after its number", "basecamp/basecamp-sdk#781", "120junk"),
    _retry_after(
        "is a date that no calendar has",
        "anthropics/anthropic-sdk-python#1827",
        "Fri, 31 Dec 99999 23:59:59 GMT",
    ),
    _retry_after("is in the past", "denoland/std#7299", _at(-60)),
    _retry_after(
        "is a number of seconds since 1970",
        "withcoral/coral#89",
        lambda: f"{time.time() - 5:.0f}",
    ),
    _retry_after(
        "is in ISO 8601",
        "hashgraph-online/hol-guard#1103",
        lambda: datetime.now(UTC).isoformat(),
    ),
    Way(
        "a 403 has a `Retry-After`",
        "PyGithub/PyGithub#2387",
        _again(403, Retry_After="0"),
        ONE_PAGE,
        "landed",
    ),
    Way(
        "a 403 means a limit, and only its text says so",
        "hub4j/github-api#2009",
        body({"message": "You have exceeded a secondary rate limit."}, 403),
        ONE_PAGE,
        "failed",
        "You have exceeded a secondary rate limit",
    ),
    Way(
        "the clock of a server is an hour ahead, and its dates are",
        "discord/discord-api-docs#1069",
        in_turn(_refused_an_hour_ahead, whole()),
        ONE_PAGE,
        "landed",
        waits=(0.0, 3.0),
    ),
]


def _limit(what: str, source: str, waits: tuple[float, float] = QUICK, **headers: str) -> Way:
    """Two pages, of which the first has headers about a limit."""
    ways = paged(lambda a: {"items": a.rows, "next": a.link()})

    def answer(exchange: Exchange) -> None:
        reply = exchange.reply

        def limited(status: int, content: bytes = b"", **own: str) -> None:
            reply(status, content, **headers, **own)

        exchange.reply = limited  # type: ignore[method-assign]
        ways(exchange)

    return Way(what, source, answer, listed('NextUrlPages("next")'), "landed", waits=waits)


BUDGETS = [
    _limit(
        "requests that remain are below zero, which means that there is no limit",
        "Automattic/vip-go-ci#304",
        X_RateLimit_Remaining="-1",
        X_RateLimit_Reset="3600",
    ),
    _limit(
        "the remaining requests of a `RateLimit` are below zero",
        "Automattic/vip-go-ci#304",
        RateLimit="limit=100, remaining=-1, reset=3600",
    ),
    _limit(
        "a limit is an object in JSON",
        "basecamp/bcx-api#212",
        X_RateLimit='{"name":"API","period":10,"limit":50,"remaining":0,"until_seconds":3}',
    ),
    _limit(
        "a reset is in milliseconds since 1970",
        "tradegecko/smaug#41",
        X_Rate_Limit_Remaining="0",
        X_Rate_Limit_Reset="1509339000000",
        waits=(0.0, 3.0),
    ),
    _limit(
        "a reset is in seconds from now",
        "zalando/restful-api-guidelines#379",
        X_RateLimit_Remaining="0",
        X_RateLimit_Reset="0",
        waits=(0.0, 3.0),
    ),
]

CLIENT = """\
auth = OAuth2ClientCredentials(f"{URL}/token", "client", "s3cret-of-the-client")
yield from Api(URL, auth=auth, retries=NO_RETRIES).pages("orders", records="items")""".replace(
    "NO_RETRIES", "Retries(total=0)"
)


def _token(what: str, source: str, answer: Answers) -> Way:
    """An OAuth server whose token is taken, whatever is odd about it."""

    def answers(exchange: Exchange) -> None:
        if exchange.seen.path == "/token":
            answer(exchange)
        elif exchange.seen.headers.get("Authorization") == "Bearer a1b2c3d4":
            whole()(exchange)
        else:
            body({"error": "invalid_token"}, 401)(exchange)

    return Way(what, source, answers, CLIENT, "landed")


def _json(**members: object) -> Answers:
    return body({"access_token": "a1b2c3d4", "token_type": "Bearer", **members})


def _form(exchange: Exchange) -> None:
    kind = "application/x-www-form-urlencoded"
    exchange.reply(200, b"access_token=a1b2c3d4&token_type=bearer&scope=", Content_Type=kind)


TOKENS = [
    _token("`expires_in` is a text", "badgateway/oauth2-client#123", _json(expires_in="2700")),
    _token(
        "`expires_in` is a date",
        "mulesoft-labs/js-client-oauth2#106",
        _json(expires_in="2030-01-01T00:00:00Z"),
    ),
    _token("`expires_in` is a word", "DataDog/integrations-core#19371", _json(expires_in="two")),
    _token("`expires_in` is left out", "DataDog/integrations-core#19371", _json()),
    _token("`expires_in` is a list", "cmd-johnson/deno-oauth2-client#40", _json(expires_in=[])),
    _token("`error` is null beside a token", "CZ-NIC/pyoidc#879", _json(error=None)),
    _token("`error` is empty beside a token", "dotnet/aspnetcore#53457", _json(error="")),
    _token("a token is form-encoded", "oauthlib/oauthlib#267", _form),
    Way(
        "a token is refused, and another is not given",
        "guillp/requests_oauth2client#26",
        lambda exchange: (
            _json()(exchange)
            if exchange.seen.path == "/token"
            else body({"error": "token revoked"}, 401)(exchange)
        ),
        CLIENT,
        "failed",
        "401.*token revoked",
    ),
    Way(
        "the failure repeats the credentials of the request",
        "alexandercerutti/passkit-webservice-toolkit#4",
        lambda exchange: body(
            {"message": f"bad header {exchange.seen.headers['Authorization']}"}, 400
        )(exchange),
        pages(f"params={{'limit': {SIZE}}}"),
        "failed",
        r"400.*bad header Bearer \*\*\*",
    ),
]

LIMITS = [*RETRIES, *BUDGETS, *TOKENS]
