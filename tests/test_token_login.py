"""A login whose answer has a token: against PocketBase, and against a server that takes it back."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import time_machine

from landing import secrets
from landing.errors import ApiError, SourceError
from landing.http import Api, NumberedPages, Retries, Session, TokenLogin, secret
from tests.kit import Kit, Zone
from tests.servers.pocketbase import pocketbase
from tests.servers.scripted import Exchange, serve

PASSWORD = "correct-horse-battery"


class Shop:
    """Gives one token after another; `revoke` makes the last one invalid."""

    def __init__(self, answer: Callable[[str], Any] | None = None) -> None:
        self.logins: list[Any] = []
        self.valid = ""
        self._answer = answer or (lambda token: {"token": token})
        self._lock = threading.Lock()

    def revoke(self) -> None:
        self.valid = ""

    def __call__(self, exchange: Exchange) -> None:
        if exchange.seen.path == "/login":
            return self._log_in(exchange)
        if not self.valid or exchange.seen.headers.get("X-Auth") != f"Token {self.valid}":
            return exchange.reply(401, b'{"detail": "token expired"}')
        return exchange.reply(200, b'{"data": [{"id": 1}]}')

    def _log_in(self, exchange: Exchange) -> None:
        body = json.loads(exchange.seen.body)
        if body.get("password") != PASSWORD:
            text = json.dumps({"message": f"no user with the password {body.get('password')}"})
            return exchange.reply(401, text.encode())
        time.sleep(0.05)
        with self._lock:
            self.logins.append(body)
            self.valid = f"token-{len(self.logins)}-{'x' * 20}"
        answer = self._answer(self.valid)
        return exchange.reply(
            200, answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        )


def login(url: str, password: str = PASSWORD, **options: Any) -> TokenLogin:
    body = {"user": "ada", "password": password}
    return TokenLogin(f"{url}/login", json=body, **{"header": "X-Auth: Token {token}", **options})


def test_pocketbase_gives_a_token_that_its_other_pages_take(tmp_path: Path) -> None:
    with pocketbase(tmp_path, orders=1) as base:
        auth = TokenLogin(
            f"{base.url}/api/collections/_superusers/auth-with-password",
            json={"identity": "admin@example.com", "password": "only-for-tests"},
            header="Authorization: {token}",
        )
        pages = Api(base.url, auth=auth).pages(
            "api/collections",
            records="items",
            paging=NumberedPages(5, size="perPage", verify=False),
            params={"sort": "name"},
        )
        names = [row["name"] for page in pages for row in page.rows()]
    assert "orders" in names


@pytest.mark.parametrize(
    ("token", "answer"),
    [
        ("token", lambda token: {"token": token, "expires_in": "soon"}),
        ("data.session.id", lambda token: {"data": {"session": {"id": token}}}),
        ("$['access.token']", lambda token: {"access.token": token}),
        ("tokens.0", lambda token: {"tokens": [token]}),
        ("", lambda token: token),
        ("", lambda token: f"{token}\n".encode()),
    ],
)
def test_the_token_is_where_the_path_says(token: str, answer: Callable[[str], Any]) -> None:
    shop = Shop(answer)
    with serve(shop) as server:
        auth = login(server.url, token=token)
        assert Session(auth=auth).get(f"{server.url}/orders").ok
        assert shop.logins == [{"user": "ada", "password": PASSWORD}]


def test_one_login_for_all_threads_and_clients_also_after_a_401() -> None:
    shop = Shop()
    with serve(shop) as server:

        def get(_: int) -> int:
            return Session(auth=login(server.url)).get(f"{server.url}/orders").status_code

        with ThreadPoolExecutor(8) as threads:
            assert set(threads.map(get, range(16))) == {200}
            assert len(shop.logins) == 1
            shop.revoke()
            assert set(threads.map(get, range(16))) == {200}
        assert len(shop.logins) == 2


def test_a_second_401_is_the_result() -> None:
    shop = Shop(lambda token: {"token": "something-else-altogether"})
    with serve(shop) as server:
        response = Session(auth=login(server.url)).get(f"{server.url}/orders")
    assert response.status_code == 401
    assert len(shop.logins) == 2


@pytest.mark.parametrize(
    ("expires", "answer"),
    [
        ("expires_in", {"expires_in": 0.4}),
        ("data.until", {"data": {"until": None}}),
        (0.4, {}),
    ],
)
def test_a_token_is_renewed_before_its_end(expires: Any, answer: dict[str, Any]) -> None:
    if "data" in answer:
        answer = {"data": {"until": time.time() + 0.4}}
    shop = Shop(lambda token: {**answer, "token": token})
    with serve(shop) as server, time_machine.travel(time.time(), tick=False) as clock:
        session = Session(auth=login(server.url, expires=expires))
        session.get(server.url)
        session.get(server.url)
        assert len(shop.logins) == 1
        clock.shift(0.5)
        assert session.get(server.url).ok
        assert len(shop.logins) == 2
        assert all(seen.headers["X-Auth"] for seen in server.seen if seen.path != "/login")


def test_a_refused_login_is_explained_without_the_password() -> None:
    with (
        serve(Shop()) as server,
        pytest.raises(ApiError, match="answered 401 Unauthorized") as caught,
    ):
        Session(auth=login(server.url, "wrong-password")).get(server.url)
    assert "no user with the password ***" in str(caught.value)
    assert "check the source's user and password" in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({"access": "abcdefgh"}, "has no token at 'token'"),
        ({"message": "wrong one-time code"}, "wrong one-time code"),
        ({"message": "Welcome, your token is abcdefghijklmnopqrst"}, "has no token"),
        ({"token": None}, "has no token"),
        ({"token": {"value": "abcdefgh"}}, "has no token"),
        (b"<html>", "has no token"),
    ],
)
def test_an_answer_without_token_is_an_error_that_shows_none(answer: Any, says: str) -> None:
    with serve(Shop(lambda _: answer)) as server, pytest.raises(ApiError, match=says) as caught:
        Session(auth=login(server.url)).get(server.url)
    assert "abcdefgh" not in str(caught.value)


def test_a_login_that_is_busy_is_tried_again() -> None:
    shop = Shop()

    def answer(exchange: Exchange) -> None:
        if exchange.number == 1:
            return exchange.reply(503)
        return shop(exchange)

    with serve(answer) as server:
        assert Session(auth=login(server.url)).get(server.url).ok


def test_a_header_without_the_token_is_a_mistake() -> None:
    with pytest.raises(SourceError, match="has to be a name, a colon and a text with"):
        TokenLogin("https://shop.example.com/login", header="X-Auth")


STREAMS = """\
import logging
import os

import dlt

from landing.http import Api, TokenLogin, secret


@dlt.resource(primary_key="id")
def orders():
    auth = TokenLogin(
        os.environ["SHOP_URL"] + "/login",
        json={"user": "ada", "password": os.environ["SHOP_PASSWORD"]},
        header="X-Auth: Token {token}",
    )
    api = Api(os.environ["SHOP_URL"], auth=auth)
    yield from api.pages("orders", records="data")
    token = auth(api.session.prepare_request(__import__("requests").Request("GET", "http://a.b")))
    key = secret("found/in&a page")
    raise ValueError(f"{token.headers['X-Auth']} and {key} and found%2Fin%26a%20page")
"""


def test_what_was_obtained_and_what_was_found_are_masked(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.add_source("shop", STREAMS)
    kit.configure("shop", "orders", fields={"id": {"type": "integer"}})
    monkeypatch.setenv("SHOP_PASSWORD", PASSWORD)
    with serve(Shop()) as server:
        monkeypatch.setenv("SHOP_URL", server.url)
        done = kit.run("shop", "orders")
    assert done.code == 1
    assert "Token *** and *** and ***" in done.err
    assert "token-1" not in done.text


def test_a_secret_that_a_source_registers_is_masked() -> None:
    assert secret("s3cr3t-of-a-page") == "s3cr3t-of-a-page"
    assert secrets.redacted("see s3cr3t-of-a-page") == "see ***"


def test_a_token_does_not_follow_a_redirect_to_another_host() -> None:
    shop = Shop()
    with serve(lambda exchange: exchange.reply(200)) as other:

        def answer(exchange: Exchange) -> None:
            if exchange.seen.path == "/moved":
                return exchange.reply(302, Location=other.url.replace("127.0.0.1", "localhost"))
            return shop(exchange)

        with serve(answer) as server:
            session = Session(auth=login(server.url), retries=Retries(total=0))
            assert session.get(f"{server.url}/moved").ok
    assert "X-Auth" not in other.seen[0].headers


def test_new_writes_it(kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Shop(lambda token: {"data": {"jwt": token}})
    with serve(shop) as server:
        done = kit.landing(
            "new",
            "till",
            f"--base-url={server.url}",
            "--auth=token",
            "--paging=none",
            "--auth-arg",
            "user=user",
            "--auth-arg",
            "token=data.jwt",
            "--auth-arg",
            "header=X-Auth: Token {token}",
            "--streams",
            "orders",
        )
        assert done.code == 0, done.text
        client = next(kit.repository.rglob("sources/till/client.py")).read_text()
        assert 'TokenLogin(\n        os.environ["TILL_URL"] + "/login",' in client
        assert 'token="data.jwt"' in client
        assert "expires" not in client
        monkeypatch.setenv("TILL_URL", server.url)
        monkeypatch.setenv("TILL_USER", "ada")
        monkeypatch.setenv("TILL_PASSWORD", PASSWORD)
        streams = next(kit.repository.rglob("sources/till/streams.py"))
        streams.write_text(streams.read_text().replace('"orders")', '"orders", records="data")'))
        assert kit.discover("till").code == 0
    assert shop.logins == [{"user": "ada", "password": PASSWORD}]
