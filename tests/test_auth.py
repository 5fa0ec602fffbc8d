"""Each kind of credential reads all rows from a server that checks it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
import time_machine
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from requests.auth import AuthBase

import landing.http
from landing import secrets
from landing.errors import ApiError, SettingsError
from landing.http import (
    ApiKey,
    Basic,
    Bearer,
    JwtBearer,
    OAuth2ClientCredentials,
    Session,
    SessionLogin,
    SignedRequests,
)
from tests.kit import REPOSITORY
from tests.servers.api import ORDERS, Api, Request
from tests.servers.oauth import Provider, log_in, pem
from tests.servers.oauth_app import PASSWORD, USER
from tests.servers.scripted import Exchange, serve
from tests.test_docs import blocks

SECRET = "not-for-your-eyes"
LOGIN = {"username": USER, "password": PASSWORD}


def ids(session: requests.Session, url: str, *, limit: int = 500) -> list[int]:
    """The ids of all rows, page by page."""
    found: list[int] = []
    while True:
        response = session.get(url, params={"limit": limit, "offset": len(found)}, timeout=10)
        response.raise_for_status()
        page = [row["id"] for row in response.json()["data"]]
        found += page
        if len(page) < limit:
            return found


def is_signed(request: Request) -> bool:
    expected = hmac.new(SECRET.encode(), request.path.encode(), hashlib.sha256).hexdigest()
    return request.headers.get("X-Signature") == expected


def sign(request: requests.PreparedRequest) -> None:
    path = request.path_url.partition("?")[0]
    signature = hmac.new(SECRET.encode(), path.encode(), hashlib.sha256).hexdigest()
    request.headers["X-Signature"] = signature


BASIC = "Basic " + base64.b64encode(f"ädä:{SECRET}".encode()).decode()
FIXED: list[tuple[AuthBase, Callable[[Request], bool]]] = [
    (ApiKey(SECRET), lambda request: request.headers.get("X-API-Key") == SECRET),
    (ApiKey(SECRET, "X-Token"), lambda request: request.headers.get("X-Token") == SECRET),
    (ApiKey(SECRET, "key", "query"), lambda request: request.query.get("key") == SECRET),
    (
        Bearer(f"{SECRET}\n"),
        lambda request: request.headers.get("Authorization") == f"Bearer {SECRET}",
    ),
    (Basic("ädä", SECRET), lambda request: request.headers.get("Authorization") == BASIC),
    (SignedRequests(sign), is_signed),
]


@pytest.mark.parametrize("kind", [Session, requests.Session])
@pytest.mark.parametrize(("auth", "accepts"), FIXED, ids=lambda value: type(value).__name__)
def test_credentials_that_stay_read_all_rows(
    api: Api, auth: AuthBase, accepts: Callable[[Request], bool], kind: type[requests.Session]
) -> None:
    api.accepts = accepts
    with kind() as session:
        assert session.get(f"{api.url}/orders", timeout=10).status_code == 401
        session.auth = auth
        assert len(set(ids(session, f"{api.url}/orders"))) == ORDERS
    assert SECRET not in repr(auth)


def test_an_auth_of_one_request_wins_over_the_sessions(api: Api) -> None:
    for kind in (Session, requests.Session):
        with kind() as session:
            session.auth = Bearer("another")
            answer = session.get(f"{api.url}/orders", auth=Bearer(api.token), timeout=10)
            assert answer.status_code == 200


@pytest.mark.parametrize("made", [lambda: Bearer(" \n"), lambda: ApiKey("", "X-Key")])
def test_an_empty_secret_is_reported_as_empty(made: Callable[[], AuthBase]) -> None:
    with pytest.raises(SettingsError, match="is empty: set its variable"):
        made()


def test_a_login_keeps_its_cookie_and_is_made_again_when_it_ended(provider: Provider) -> None:
    auth = SessionLogin(f"{provider.url}/rest/login", json=LOGIN, cookie="sessionid")
    provider.log_everyone_out(after_requests=3)
    with Session(auth=auth) as session:
        assert len(set(ids(session, f"{provider.url}/rest/orders"))) == ORDERS
    assert provider.logins() == 2
    with requests.Session() as plain:
        plain.auth = auth
        assert len(set(ids(plain, f"{provider.url}/rest/orders"))) == ORDERS
    assert provider.logins() == 2
    assert PASSWORD not in repr(auth)


class FormLogin(SessionLogin):
    def log_in(self, session: requests.Session) -> requests.Response:
        return log_in(session, self.url)


def test_a_login_form_and_an_api_that_redirects_to_it(provider: Provider) -> None:
    auth = FormLogin(f"{provider.url}/accounts/login/", cookie="sessionid")
    provider.log_everyone_out(after_requests=3)
    with Session(auth=auth) as session:
        assert len(set(ids(session, f"{provider.url}/web/orders"))) == ORDERS
    assert provider.logins() == 2


def test_a_session_that_ended_ends_for_all_threads_at_once(provider: Provider) -> None:
    url = f"{provider.url}/rest/orders"

    def client() -> Session:
        return Session(auth=SessionLogin(f"{provider.url}/rest/login", json=LOGIN))

    assert answers_at_once(client, url) == {200}
    provider.log_everyone_out()
    assert answers_at_once(client, url) == {200}
    assert provider.logins() == 2


def answers_at_once(client: Callable[[], Session], url: str, threads: int = 8) -> set[int]:
    """The statuses that as many clients get, each with a session and auth of its own."""
    start = threading.Barrier(threads)

    def ask(_: int) -> int:
        with client() as session:
            start.wait()
            return session.get(url).status_code

    with ThreadPoolExecutor(threads) as pool:
        return set(pool.map(ask, range(threads)))


@pytest.mark.parametrize("name", ["sid", None])
def test_a_cookie_that_each_login_sets_alike_does_not_have_all_threads_log_in(
    name: str | None,
) -> None:
    logins: list[int] = []
    refused = threading.Barrier(4, timeout=10)

    def answer(exchange: Exchange) -> None:
        cookie = exchange.seen.headers.get("Cookie", "")
        if exchange.seen.path == "/login":
            logins.append(exchange.number)
            exchange.head(200, Content_Length="0", Set_Cookie="lang=en")
        elif "sid=1" in cookie:
            refused.wait()
            exchange.reply(401)
        else:
            exchange.reply(200)

    class TwoCookies(SessionLogin):
        def log_in(self, session: requests.Session) -> requests.Response:
            response = super().log_in(session)
            session.cookies.set("sid", str(len(logins)), domain="127.0.0.1")
            return response

    with serve(answer) as server:
        auth = TwoCookies(f"{server.url}/login", cookie=name)
        assert answers_at_once(lambda: Session(auth=auth), server.url, threads=4) == {200}
    assert len(logins) == 2


def test_a_login_that_is_answered_503_is_tried_again_and_not_blamed_on_the_password() -> None:
    busy = {1, 2, 5, 6, 7}

    def answer(exchange: Exchange) -> None:
        if exchange.number in busy:
            exchange.reply(503)
        else:
            exchange.reply(200, Set_Cookie="sid=1; Path=/")

    with serve(answer) as server:
        url = f"{server.url}/login"
        assert Session(auth=SessionLogin(url, json=LOGIN)).get(server.url).status_code == 200
        with pytest.raises(ApiError, match="answered 503 Service Unavailable: try again later"):
            Session(auth=SessionLogin(url, cookie="sid")).get(server.url)
    assert len(server.seen) == 7


def test_fixed_credentials_stay_known_however_many_tokens_are_renewed() -> None:
    fixed = [f"{kind}-{SECRET}" for kind in ("key", "token", "password", "login")]
    ApiKey(fixed[0])
    Bearer(fixed[1])
    Basic("ada", fixed[2])
    SessionLogin("http://127.0.0.1:9/", json={"user": "ada", "more": [{"password": fixed[3]}]})
    secrets.register(*(f"renewed-{number}" for number in range(500)))
    assert secrets.redacted(" ".join(fixed)) == "*** *** *** ***"


def test_a_login_that_is_refused_names_the_page_and_not_the_password(provider: Provider) -> None:
    wrong = {"username": USER, "password": SECRET}
    auth = SessionLogin(f"{provider.url}/rest/login", json=wrong, cookie="sessionid")
    with pytest.raises(ApiError, match="did not set the cookie 'sessionid': check") as told:
        Session(auth=auth).get(f"{provider.url}/rest/orders")
    assert SECRET not in str(told.value)
    missing = SessionLogin(f"{provider.url}/nothing?key={SECRET}", json={"password": SECRET})
    assert SECRET not in repr(missing)
    with pytest.raises(ApiError, match="answered 404 Not Found: check"):
        Session(auth=missing).get(f"{provider.url}/rest/orders")
    down = SessionLogin("http://127.0.0.1:9/login", json={"password": SECRET})
    with pytest.raises(ApiError, match="failed: ConnectionError"):
        Session(auth=down).get(f"{provider.url}/rest/orders")


@pytest.mark.parametrize("client_auth", ["header", "body"])
def test_client_credentials_read_all_rows_and_are_renewed_after_a_401(
    provider: Provider, client_auth: Any
) -> None:
    client = provider.client("client-credentials")
    auth = OAuth2ClientCredentials(
        provider.token_url, client.id, client.secret, scope="read", client_auth=client_auth
    )
    provider.expire_access_tokens(after_requests=3)
    with Session(auth=auth) as session:
        assert len(set(ids(session, provider.orders_url))) == ORDERS
    assert provider.granted() == [("client_credentials", 200)] * 2
    assert client.secret not in repr(auth)


def test_a_token_is_renewed_before_it_ends(provider: Provider) -> None:
    client = provider.client("client-credentials")
    auth = OAuth2ClientCredentials(provider.token_url, client.id, client.secret, scope="read")
    begun = time.time()
    with requests.Session() as session:  # which does nothing about a 401
        session.auth = auth
        for lasts, grants in ((0, 1), (3_400, 1), (3_595, 2)):
            with time_machine.travel(begun + lasts):
                assert len(set(ids(session, provider.orders_url))) == ORDERS
            assert len(provider.granted()) == grants


def test_threads_and_streams_renew_once_together(provider: Provider) -> None:
    client = provider.client("client-credentials")

    def made() -> Session:  # as each stream does
        auth = OAuth2ClientCredentials(provider.token_url, client.id, client.secret, scope="read")
        return Session(auth=auth)

    assert answers_at_once(made, provider.orders_url) == {200}
    assert len(provider.granted()) == 1
    provider.expire_access_tokens()
    assert answers_at_once(made, provider.orders_url) == {200}
    assert len(provider.granted()) == 2


def test_a_client_that_is_not_known_is_a_mistake_in_the_settings(provider: Provider) -> None:
    client = provider.client("client-credentials")
    auth = OAuth2ClientCredentials(provider.token_url, client.id, SECRET)
    with pytest.raises(SettingsError, match=r"does not accept the client .*invalid_client") as told:
        Session(auth=auth).get(provider.orders_url)
    assert SECRET not in str(told.value)
    scope = OAuth2ClientCredentials(provider.token_url, client.id, client.secret, scope="all")
    with pytest.raises(SettingsError, match="does not grant the scope"):
        Session(auth=scope).get(provider.orders_url)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/nowhere", r"/nowhere answered 404 Not Found; is it the right URL\?"),
        ("/web/orders", r"/web/orders answered without an access token: is it the right URL\?"),
    ],
)
def test_an_address_that_is_no_token_endpoint_is_reported(
    provider: Provider, path: str, told: str
) -> None:
    auth = OAuth2ClientCredentials(f"{provider.url}{path}?key={SECRET}", "client", SECRET)
    with pytest.raises(ApiError, match=told) as raised:
        Session(auth=auth).get(provider.orders_url)
    assert SECRET not in str(raised.value)


def test_a_token_endpoint_that_is_busy_is_asked_again(provider: Provider) -> None:
    client = provider.client("client-credentials")
    auth = OAuth2ClientCredentials(provider.token_url, client.id, client.secret, scope="read")
    provider.set(busy=2)
    assert Session(auth=auth).get(provider.orders_url).status_code == 200
    assert [status for _, status in provider.granted()] == [503, 503, 200]

    other = OAuth2ClientCredentials(provider.token_url, client.id, client.secret)
    provider.set(busy=3)
    with pytest.raises(ApiError, match="answered 503 Service Unavailable; try again later"):
        Session(auth=other).get(provider.orders_url)


def test_a_token_endpoint_that_is_down(provider: Provider) -> None:
    auth = OAuth2ClientCredentials("http://127.0.0.1:9/token", "client", SECRET)
    with pytest.raises(ApiError, match=r"9/token did not answer \(ConnectionError\)"):
        Session(auth=auth).get(provider.orders_url)


def elliptic() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize(
    ("algorithm", "make", "subject"),
    [("RS256", lambda: rsa.generate_private_key(65537, 2048), None), ("ES256", elliptic, USER)],
)
def test_a_service_account_reads_all_rows(
    provider: Provider, algorithm: str, make: Callable[[], Any], subject: str | None
) -> None:
    private, public = pem(make())
    provider.service_account("lander", public)

    def made(key: str, subject: str | None) -> JwtBearer:
        return JwtBearer(
            provider.assertion_url,
            "lander",
            key,
            subject=subject,
            scope="read",
            algorithm=algorithm,
            key_id="1",
        )

    auth = made(private, subject)
    provider.expire_access_tokens(after_requests=3)
    with Session(auth=auth) as session:
        assert len(set(ids(session, provider.orders_url))) == ORDERS
    assert provider.granted() == [("jwt-bearer", 200)] * 2
    assert "PRIVATE" not in repr(auth)

    for refused in (made(pem(make())[0], subject), made(private, "nobody")):
        with pytest.raises(ApiError, match="does not accept the signed assertion; check issuer"):
            Session(auth=refused).get(provider.orders_url)


def test_a_private_key_in_one_line_and_one_that_is_cut_off(provider: Provider) -> None:
    private, public = pem(elliptic())
    provider.service_account("one line", public)
    line = private.replace("\n", "\\n")
    auth = JwtBearer(provider.assertion_url, "one line", line, algorithm="ES256")
    assert Session(auth=auth).get(provider.orders_url).status_code == 200

    cut = JwtBearer(provider.assertion_url, "one line", private[:90], algorithm="ES256")
    with pytest.raises(SettingsError, match="has to be the whole PEM text") as told:
        Session(auth=cut).get(provider.orders_url)
    assert private[40:60] not in str(told.value)


def test_the_examples_of_the_documentation_make_what_they_say(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    examples = blocks("python", REPOSITORY / "docs" / "auth.md")
    for name in re.findall(r'environ\["(\w+)"\]', "".join(examples)):
        monkeypatch.setenv(name, SECRET)
    made: set[str] = set()
    for example in examples:
        names: dict[str, Any] = {"__name__": "example"}
        exec(example, names)  # as a client module would be imported
        if "Shop" in names:
            names["made"] = names["Shop"]().session.auth
        made.update(type(value).__name__ for value in names.values() if isinstance(value, AuthBase))
    kinds = {name for name in landing.http.__all__ if is_auth(name)}
    assert kinds <= made


def is_auth(name: str) -> bool:
    value = getattr(landing.http, name)
    return isinstance(value, type) and issubclass(value, AuthBase)
