"""Tokens of a login that are missing, spelled otherwise, refused, or end early."""

from __future__ import annotations

from tests.servers.scripted import Exchange
from torture.wire.way import SIZE, Answers, Way, body, in_turn, page_of, raw, whole

LOGIN = """\
auth = TokenLogin(f"{URL}/login", json={"user": "ann", "password": "p4ssw0rd-of-ann"}ARGUMENTS)
yield from Api(URL, auth=auth, retries=Retries(total=2, base=0.01)).pages(
    "orders", records="items"PAGING
)"""
IN_PAGES = ', paging=NextUrlPages("next")'
AT_ONCE = f", paging=OffsetPages({SIZE - 3}, at_once=4)"


def _token(number: int = 1) -> str:
    return f"t0ken-number-{number:04}"


def _given(exchange: Exchange) -> None:
    body({"token": _token(exchange.of_path)})(exchange)


def _shop(login: Answers, orders: Answers | None = None) -> Answers:
    """Orders for whoever has a token, whichever."""
    orders = orders or whole()

    def answer(exchange: Exchange) -> None:
        if exchange.seen.path == "/login":
            login(exchange)
        elif exchange.seen.headers.get("Authorization", "").startswith("Bearer t0ken"):
            orders(exchange)
        else:
            body({"error": "no token"}, 401)(exchange)

    return answer


def _stream(arguments: str = ', token="token"', paging: str = "") -> str:
    return LOGIN.replace("ARGUMENTS", arguments).replace("PAGING", paging)


def _landed(what: str, source: str, answers: Answers, *stream: str) -> Way:
    return Way(what, source, answers, _stream(*stream), "landed")


def _told(what: str, source: str, answers: Answers, says: str, *stream: str) -> Way:
    return Way(what, source, answers, _stream(*stream), "failed", says)


def _ended(after: int) -> Answers:
    """Each token is good for so many requests."""

    def orders(exchange: Exchange) -> None:
        number = int(exchange.seen.headers["Authorization"][-4:])
        if exchange.of_path > number * after:
            return body({"error": "token expired"}, 401)(exchange)
        a = page_of(exchange)
        return body({"items": a.rows, "next": a.link()})(exchange)

    return orders


class _OneToken:
    """Each login ends the tokens before it, as some APIs have it."""

    def __call__(self, exchange: Exchange) -> None:
        latest = exchange.number - exchange.of_path  # logins, where all else is a request
        if exchange.seen.path == "/login":
            return _given(exchange)
        if int(exchange.seen.headers["Authorization"][-4:]) < max(latest, 1):
            return body({"error": "another login ended this token"}, 401)(exchange)
        if exchange.of_path == 3:
            return body({"error": "token expired"}, 401)(exchange)
        a = page_of(exchange, size=int(exchange.seen.query["limit"]))
        return body({"items": a.rows})(exchange)


LOGINS = [
    _told(
        "a login has its token at another path than configured",
        "nsidc/NSIDC-Data-Access-Notebook#1",
        _shop(body({"session": {"id": _token()}})),
        "has no token at 'token': it is an object with 'session' \\(an object with 'id'\\)",
    ),
    _told(
        "what is at the token's path is an object",
        "nsidc/NSIDC-Data-Access-Notebook#1",
        _shop(body({"token": {"id": _token(), "ttl": 60}})),
        "has no token at 'token', but an object with 'id' \\(text\\)",
    ),
    _told(
        "what is at the token's path is a message",
        "microsoft/AzureTRE#1541",
        _shop(body({"token": "Your account is locked"})),
        "has no token at 'token': the text there is none",
    ),
    _told(
        "a login fails with status 200",
        "stepanbenes/api-for-nopcommerce#13",
        _shop(body({"error": "wrong user name"})),
        "answered 200 OK \\(wrong user name\\), but has no token at 'token'",
    ),
    _told(
        "a login answers with the page of its form",
        "LPgenerator/mattermost_bot#32",
        _shop(raw("<html><form>Sign in</form></html>", "text/html")),
        "has no token at 'token'",
    ),
    _told(
        "a login is refused",
        "GSA/notifications-admin#1415",
        _shop(body({"message": "no such user"}, 401)),
        "login at .* answered 401 Unauthorized \\(no such user\\)",
    ),
    _landed(
        "a login is busy once",
        "picqer/exact-php-client#487",
        _shop(in_turn(body({"error": "busy"}, 503), _given)),
    ),
    _landed(
        "a login is limited once",
        "tolgee/tolgee-cli#209",
        _shop(in_turn(raw(b"", status=429, Retry_After="0"), _given)),
    ),
    _landed(
        "a token is refused once",
        "radical-squared/aquatemp#43",
        _shop(_given, in_turn(body({"error": "unauthorized"}, 401), whole())),
    ),
    _told(
        "a token is refused however often it is renewed",
        "raine/claude-code-proxy#42",
        _shop(_given, body({"error": "unauthorized"}, 401)),
        "answered 401.*unauthorized",
    ),
    _landed(
        "a token ends in mid-paging, before the time it was given for",
        "icann/czds-api-client-java#2",
        _shop(
            lambda exchange: body({"token": _token(exchange.of_path), "expires_in": 3600})(
                exchange
            ),
            _ended(2),
        ),
        ', token="token", expires="expires_in"',
        IN_PAGES,
    ),
    _told(
        "a token ends in mid-paging, and the login fails then",
        "opensrp/fhircore#2958",
        _shop(in_turn(_given, body({"error": "too many sessions"})), _ended(2)),
        "but has no token at 'token'",
        ', token="token"',
        IN_PAGES,
    ),
    _landed(
        "each login ends the tokens before it, while several requests are under way",
        "DanGahan/confluence#217",
        _OneToken(),
        ', token="token"',
        AT_ONCE,
    ),
    _landed(
        "a token is the whole body, with a line break",
        "hypothesis/h#1406",
        _shop(raw(f"{_token()}\n", "text/plain")),
        ', token=""',
    ),
    _landed(
        "the end of a token is a time in milliseconds that has passed",
        "picqer/exact-php-client#487",
        _shop(body({"token": _token(), "ends": 1_500_000_000_000})),
        ', token="token", expires="ends"',
    ),
]
