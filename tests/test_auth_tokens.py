"""Refresh tokens that rotate: kept before they are used, spent once, and told to nobody."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
import requests
from cryptography.fernet import Fernet

from landing.errors import ApiError, SettingsError
from landing.http import (
    BucketTokens,
    FileTokens,
    OAuth2RefreshToken,
    Session,
    token_store,
)
from landing.http.auth.authorization_code import begin
from landing.http.auth.renewed import AccessToken
from landing.http.auth.token_endpoint import TokenAnswer
from landing.http.auth.token_store import Tokens
from landing.zone.shared_objects import share_bucket
from tests.kit import REPOSITORY, Kit, Zone
from tests.servers.api import ORDERS
from tests.servers.oauth import Client, Provider
from tests.servers.scripted import Exchange, serve

KEY = Fernet.generate_key().decode()
REDIRECT = "http://127.0.0.1:8914/callback"

# A client in a process of its own, as another pod has it.
CLIENT = """\
import os, signal, sys
from landing.http import BucketTokens, FileTokens, OAuth2RefreshToken, Session
from landing.zone.shared_objects import share_bucket

share_bucket()
kind, name, folder, token_url, client_id, client_secret, orders = sys.argv[1:8]
store = FileTokens(name, folder) if kind == "file" else BucketTokens(name, claim_seconds=30)
auth = OAuth2RefreshToken(token_url, client_id, client_secret, store=store)
"""
ASK = CLIENT + "print(Session(auth=auth).get(orders).status_code)\n"


def impatient(program: str) -> str:
    """The program with claims that end soon after the process that made them."""
    return program.replace("claim_seconds=30", "claim_seconds=2")


@pytest.fixture(autouse=True)
def bucket_is_known() -> None:
    """As `landing` does first; no test depends on one before it that ran a command."""
    share_bucket()


@dataclass
class Shop:
    """A client of the provider to which a person has logged in, and where its tokens are."""

    provider: Provider
    client: Client
    kind: str
    folder: Path

    @property
    def store(self) -> FileTokens | BucketTokens:
        return FileTokens("shop", self.folder) if self.kind == "file" else BucketTokens("shop")

    def auth(self) -> OAuth2RefreshToken:
        return OAuth2RefreshToken(
            self.provider.token_url,
            self.client.id,
            self.client.secret,
            store=self.store,
            authorize_url=self.provider.authorize_url,
            redirect_uri=REDIRECT,
            scope="read",
        )

    def log_in(self) -> None:
        login = begin(self.auth())
        login.finish(self.provider.grant(login.url))

    def kept(self) -> Tokens:
        kept = self.store.read()
        assert kept is not None
        return kept

    def let_access_end(self) -> None:
        self.provider.expire_access_tokens()

    def status(self) -> int:
        with Session(auth=self.auth()) as session:
            return session.get(self.provider.orders_url).status_code

    def process(self, program: str) -> subprocess.Popen[str]:
        told = [self.kind, "shop", str(self.folder), self.provider.token_url, self.client.id]
        told += [self.client.secret, self.provider.orders_url]
        return subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(program), *told],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY / "src")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def refreshes(self) -> list[int]:
        """The status of each use of a refresh token."""
        return [status for grant, status in self.provider.granted() if grant == "refresh_token"]


@pytest.fixture(params=["file", "bucket"])
def shop(
    request: pytest.FixtureRequest,
    provider: Provider,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Shop:
    if request.param == "bucket":
        request.getfixturevalue("zone")
        monkeypatch.setenv("LANDING_TOKEN_KEY", KEY)
    made = Shop(
        provider,
        provider.client("authorization-code", redirect_uri=REDIRECT),
        request.param,
        tmp_path / "tokens",
    )
    made.log_in()
    return made


def output(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out.strip()


def test_each_refresh_keeps_the_token_that_took_the_others_place(shop: Shop) -> None:
    first = shop.kept()
    assert shop.status() == 200
    for _ in range(2):
        shop.let_access_end()
        assert shop.status() == 200
    last = shop.kept()
    assert shop.refreshes() == [200, 200]
    assert last.refresh_token != first.refresh_token
    assert output(shop.process(ASK)) == "200", "a new process goes on with what is kept"
    assert shop.refreshes() == [200, 200], "and with the access token too"


def test_processes_that_refresh_at_once_spend_the_token_once(shop: Shop) -> None:
    shop.let_access_end()
    shop.provider.set(delay=0.5)
    processes = [shop.process(ASK) for _ in range(4)]
    assert [output(process) for process in processes] == ["200"] * 4
    assert shop.refreshes() == [200]


def test_threads_that_refresh_at_once_spend_the_token_once(shop: Shop) -> None:
    shop.let_access_end()
    with ThreadPoolExecutor(6) as threads:
        assert set(threads.map(lambda _: shop.status(), range(6))) == {200}
    assert shop.refreshes() == [200]


def test_a_process_killed_before_it_used_the_new_token_left_it_for_the_next(shop: Shop) -> None:
    before = shop.kept()
    shop.let_access_end()
    killed = shop.process(
        CLIENT
        + """\
import requests
sent = auth(requests.Request("GET", orders).prepare())
auth.renew(sent)
os.kill(os.getpid(), signal.SIGKILL)
"""
    )
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert shop.kept().refresh_token != before.refresh_token
    assert output(shop.process(ASK)) == "200"
    assert shop.refreshes() == [200]


def test_a_process_killed_while_it_asks_leaves_the_store_as_it_was(shop: Shop) -> None:
    """Whether the provider has spent the token then, nobody knows; here it had not."""
    before = shop.kept()
    shop.let_access_end()
    killed = shop.process(
        impatient(CLIENT)
        + """\
def kill(kept):
    os.kill(os.getpid(), signal.SIGKILL)
store.update(kill)
"""
    )
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert shop.kept() == before
    begun = time.monotonic()
    assert output(shop.process(impatient(ASK))) == "200"
    assert time.monotonic() - begun < 30, "the claim of the dead one ended"
    assert shop.refreshes() == [200]


def test_a_token_that_arrives_after_sigterm_is_kept(shop: Shop) -> None:
    before = shop.kept()
    shop.let_access_end()
    shop.provider.set(delay=3)
    program = (
        "import sys\nfrom threading import Timer\n"
        + CLIENT
        + """\
def end(number, frame):
    raise KeyboardInterrupt
signal.signal(signal.SIGTERM, end)
Session(auth=auth).get(orders)
"""
    )
    process = shop.process(program)
    wait_until(lambda: bool(shop.refreshes()))  # spent, and the answer held back
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in err
    assert shop.kept().refresh_token != before.refresh_token
    shop.provider.set()
    assert output(shop.process(ASK)) == "200"
    assert shop.refreshes() == [200]


def wait_until(happened: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_revoked_token_says_to_log_in_again_which_helps(shop: Shop) -> None:
    shop.provider.revoke(shop.kept().refresh_token, shop.client)
    with pytest.raises(ApiError, match="run `landing login shop` again") as told:
        shop.status()
    assert shop.kept().refresh_token not in str(told.value)
    shop.log_in()
    assert shop.status() == 200


def test_without_a_login_there_is_nothing_to_refresh(provider: Provider, tmp_path: Path) -> None:
    store = FileTokens("shop", tmp_path)
    auth = OAuth2RefreshToken(provider.token_url, "client", store=store)
    with pytest.raises(SettingsError, match="'shop' has no refresh token yet: run `landing login"):
        Session(auth=auth).get(provider.orders_url)
    assert not (tmp_path / "shop.json").exists()


def test_tokens_of_another_client_are_not_sent(shop: Shop) -> None:
    other = OAuth2RefreshToken(shop.provider.token_url, "another", store=shop.store)
    with pytest.raises(SettingsError, match="belong to another client or token URL"):
        Session(auth=other).get(shop.provider.orders_url)
    assert shop.refreshes() == []


def test_a_given_refresh_token_is_used_until_it_rotated_and_again_when_changed(
    shop: Shop, tmp_path: Path
) -> None:
    def status(given: str) -> int:
        auth = OAuth2RefreshToken(
            shop.provider.token_url,
            shop.client.id,
            shop.client.secret,
            store=FileTokens("given", tmp_path),
            refresh_token=given,
        )
        return Session(auth=auth).get(shop.provider.orders_url).status_code

    first = shop.kept().refresh_token
    assert status(first) == 200
    shop.let_access_end()
    assert status(first) == 200, "the one that took its place is used"
    shop.log_in()
    assert status(shop.kept().refresh_token) == 200
    assert shop.refreshes() == [200, 200, 200]


@pytest.mark.parametrize(("status", "times"), [(429, 2), (502, 1), (503, 2), (504, 1)])
def test_a_gateway_that_failed_is_not_given_the_refresh_token_again(
    tmp_path: Path, status: int, times: int
) -> None:
    """The provider behind it may have taken the token and ended it."""

    def answer(exchange: Exchange) -> None:
        if exchange.number == 1:
            exchange.reply(status)
        else:
            exchange.reply(200, b'{"access_token": "access", "token_type": "Bearer"}')

    with serve(answer) as server:
        store = FileTokens("shop", tmp_path)
        auth = OAuth2RefreshToken(server.url, "client", store=store, refresh_token="given")
        with suppress(ApiError):
            auth(requests.Request("GET", server.url).prepare())
    assert len(server.seen) == times


def test_a_process_without_the_variable_does_not_have_its_token_spent_again(
    tmp_path: Path,
) -> None:
    def answer(exchange: Exchange) -> None:
        token = f"rotated-{exchange.number}"
        tokens = {"access_token": "access", "token_type": "Bearer", "refresh_token": token}
        exchange.reply(200, json.dumps(tokens).encode())

    with serve(answer) as server:

        def renew(given: str | None) -> None:
            store = FileTokens("shop", tmp_path)
            auth = OAuth2RefreshToken(server.url, "client", store=store, refresh_token=given)
            auth.renew(auth(requests.Request("GET", server.url).prepare()))

        for given in ("given", None, "given"):
            renew(given)
        store = FileTokens("shop", tmp_path)
        login = OAuth2RefreshToken(server.url, "client", store=store)
        login.keep(TokenAnswer(AccessToken("access", None), "of-the-login"))
        renew("given")
    spent = [dict(parse_qsl(seen.body.decode()))["refresh_token"] for seen in server.seen]
    assert spent.count("given") == 1
    assert spent[-1] == "of-the-login"


def test_the_file_is_its_owners_alone(provider: Provider, tmp_path: Path) -> None:
    client = provider.client("authorization-code", redirect_uri=REDIRECT)
    shop = Shop(provider, client, "file", tmp_path / "deep" / "tokens")
    shop.log_in()
    shop.let_access_end()
    assert shop.status() == 200
    files = {file.name: stat.S_IMODE(file.stat().st_mode) for file in shop.folder.iterdir()}
    assert files == {"shop.json": 0o600, "shop.lock": 0o600}
    assert stat.S_IMODE(shop.folder.stat().st_mode) == 0o700


def test_a_read_only_folder_is_reported_before_a_token_is_spent(
    provider: Provider, tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    auth = OAuth2RefreshToken(
        provider.token_url, "client", store=FileTokens("shop", blocked), refresh_token="given"
    )
    with pytest.raises(SettingsError, match=r"tokens can't be kept in .*Not a directory"):
        Session(auth=auth).get(provider.orders_url)
    assert provider.granted() == []


def test_a_file_that_holds_something_else(tmp_path: Path) -> None:
    (tmp_path / "shop.json").write_text('{"refresh_token": 1}')
    with pytest.raises(SettingsError, match="does not hold tokens: delete it and run"):
        FileTokens("shop", tmp_path).read()


KEPT = Tokens("refresh-me", "access-me", None, "client")


def test_the_bucket_holds_no_token_in_the_clear(
    zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANDING_TOKEN_KEY", KEY)
    store = token_store("shop")
    assert isinstance(store, BucketTokens)
    store.update(lambda _: KEPT)
    assert store.read() == KEPT
    (path,) = zone.paths()
    assert path == "_dlt/_tokens/shop.json"
    assert b"refresh-me" not in zone.read(path)
    assert b"access-me" not in zone.read(path)

    another = Fernet.generate_key().decode()
    monkeypatch.setenv("LANDING_TOKEN_KEY", f"{another}, {KEY}")
    store.update(lambda kept: Tokens("rotated", "access-me", None, "client"))
    monkeypatch.setenv("LANDING_TOKEN_KEY", KEY)
    with pytest.raises(SettingsError, match="LANDING_TOKEN_KEY can't decrypt s3://"):
        store.read()


@pytest.mark.parametrize(
    ("key", "told"),
    [("", "encrypts tokens in the bucket, is not set"), ("too-short", r"is not a key \(32 bytes")],
)
def test_a_key_that_is_missing_or_none(
    zone: Zone, monkeypatch: pytest.MonkeyPatch, key: str, told: str
) -> None:
    monkeypatch.setenv("LANDING_TOKEN_KEY", key)
    with pytest.raises(SettingsError, match=told) as raised:
        BucketTokens("shop").update(lambda _: KEPT)
    assert "too-short" not in str(raised.value)
    assert zone.paths() == []


def test_tokens_in_a_bucket_need_a_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANDING_TOKEN_KEY", KEY)
    with pytest.raises(SettingsError, match="DLT_BUCKET_URL is not set, where tokens"):
        BucketTokens("shop").read()


def test_a_failed_refresh_gives_the_claim_back(
    folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANDING_TOKEN_KEY", KEY)
    store = BucketTokens("shop")
    with pytest.raises(ZeroDivisionError):
        store.update(lambda _: 1 // 0)  # type: ignore[arg-type, return-value]
    begun = time.monotonic()
    assert store.update(lambda _: KEPT) == KEPT
    assert time.monotonic() - begun < 5


CLIENT_PY = '''\
"""Environment: SHOP_URL, SHOP_TOKEN_URL, SHOP_CLIENT_ID, SHOP_CLIENT_SECRET"""
import os
from landing.http import OAuth2RefreshToken, Session, token_store

def auth():
    return OAuth2RefreshToken(
        os.environ["SHOP_TOKEN_URL"], os.environ["SHOP_CLIENT_ID"],
        os.environ["SHOP_CLIENT_SECRET"], store=token_store("shop"))

class Shop:
    def __init__(self):
        self.session = Session(auth=auth())
    def get(self, **query):
        response = self.session.get(os.environ["SHOP_URL"], params=query)
        response.raise_for_status()
        return response.json()["data"]
'''
STREAMS_PY = """\
import dlt
from .client import Shop

@dlt.resource(primary_key="id")
def orders(limit: int = 500):
    shop, offset = Shop(), 0
    while page := shop.get(limit=limit, offset=offset):
        yield page
        offset += limit

@dlt.resource(primary_key="id")
def orders_again(limit: int = 500):
    yield from orders(limit)
"""


def test_a_run_continues_when_its_token_expires_and_shows_it_nowhere(
    kit: Kit, provider: Provider, zone: Zone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LANDING_TOKEN_KEY", KEY)
    shop = Shop(
        provider, provider.client("authorization-code", redirect_uri=REDIRECT), "bucket", tmp_path
    )
    shop.log_in()
    kit.add_source("shop", STREAMS_PY, CLIENT_PY)
    for stream in ("orders", "orders_again"):
        kit.configure("shop", stream, fields={"id": {"type": "integer"}})
    settings = {
        "SHOP_URL": provider.orders_url,
        "SHOP_TOKEN_URL": provider.token_url,
        "SHOP_CLIENT_ID": shop.client.id,
        "SHOP_CLIENT_SECRET": shop.client.secret,
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    seen = [shop.kept()]
    provider.expire_access_tokens(after_requests=2)
    done = kit.forked("pipeline.py", "shop", "--all", "--debug")
    assert done.code == 0, done.text
    assert zone.count("shop", "orders") == zone.count("shop", "orders_again") == ORDERS
    assert shop.refreshes() == [200]
    seen.append(shop.kept())

    provider.revoke(seen[-1].refresh_token, shop.client)
    refused = kit.forked("pipeline.py", "shop", "orders", "--debug")
    assert refused.code == 1
    assert "run `landing login shop` again" in refused.err
    everything = [zone.read(path) for path in zone.paths()]
    everything += [done.text.encode(), refused.text.encode()]
    secrets = [token for kept in seen for token in (kept.refresh_token, kept.access_token)]
    for text in everything:
        assert not any(secret.encode() in text for secret in [*secrets, shop.client.secret, KEY])


def test_oauth_without_its_packages_says_what_to_install(tmp_path: Path) -> None:
    program = f"""\
import sys
sys.modules["authlib"] = sys.modules["cryptography"] = None
from landing.errors import SettingsError
from landing.http import *
from landing.http.auth.authorization_code import begin
from landing.http.auth.token_store import Tokens
from landing.zone.shared_objects import share_bucket
import requests
share_bucket()
url = "http://127.0.0.1:9"
file = FileTokens("shop", {str(tmp_path)!r})
refresh = OAuth2RefreshToken(url, "id", store=file, refresh_token="given", authorize_url=url)
for attempt in (
    lambda: requests.get(url, auth=OAuth2ClientCredentials(url, "id", "secret")),
    lambda: requests.get(url, auth=JwtBearer(url, "issuer", "key")),
    lambda: requests.get(url, auth=refresh),
    lambda: begin(refresh),
    lambda: BucketTokens("shop").update(lambda _: Tokens("r", "a", None, "c")),
):
    try:
        attempt()
    except SettingsError as error:
        print(error)
"""
    env = {**os.environ, "DLT_BUCKET_URL": tmp_path.as_uri()}
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 5
    assert all("pip install 'dlt-landing[auth]'" in line for line in lines)


def test_a_run_without_oauth_does_not_import_its_packages() -> None:
    program = (
        "import sys, landing.http, landing.operations.run\n"
        "from landing.http import ApiKey, Bearer, Session, SessionLogin\n"
        "print([name for name in ('authlib', 'cryptography', 'joserfc') if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
