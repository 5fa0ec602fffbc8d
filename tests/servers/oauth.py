"""An OAuth 2 provider with an API behind it: django-oauth-toolkit, as a process of its own.

    with serve_oauth(folder) as provider:
        client = provider.client("client-credentials")
        provider.expire_access_tokens()

Refresh tokens rotate, and the second use of one revokes all that descend from it. Assertions for
service accounts are checked by Authlib's server side. `GET /api/orders` answers the bearers of
its tokens, and `GET /paged/orders` too, page by page, by Django REST framework; `GET /rest/orders`
those who logged in with `POST /rest/login`, and `GET /web/orders` those who did so by the form
`/accounts/login/`, to which it sends all others. All have the rows of `seed_orders`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from cryptography.hazmat.primitives import serialization

from demo.servers import HOST, free_ports
from tests.servers.oauth_app import PASSWORD, USER

_SECONDS_TO_START = 90.0


@dataclass(frozen=True)
class Client:
    """An application that is registered with the provider."""

    id: str
    secret: str


def pem(key: Any) -> tuple[str, str]:
    """The private and the public half."""
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private.decode(), public.decode()


class Provider:
    """A running provider; the methods that change it go through pages that only tests have."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.token_url = f"{url}/o/token/"
        self.assertion_url = f"{url}/assertion/token/"
        self.authorize_url = f"{url}/o/authorize/"
        self.orders_url = f"{url}/api/orders"

    def client(self, grant: str, *, redirect_uri: str = "", is_public: bool = False) -> Client:
        """`grant` is `client-credentials` or `authorization-code`."""
        made = self._tell("client", grant=grant, redirect_uri=redirect_uri, is_public=is_public)
        return Client(made["id"], made["secret"])

    def service_account(self, name: str, public_key: str) -> None:
        self._tell("service-account", name=name, public_key=public_key)

    def reset(self) -> None:
        """Forget what was told and counted; tokens and logins stay."""
        self._tell("reset")
        self.set()

    def set(self, *, access_seconds: int = 3600, delay: float = 0.0, busy: int = 0) -> None:
        """How long access tokens last, how long the answer with a token is held back, and how
        many requests for one are turned away with 503 first."""
        self._tell("settings", access_seconds=access_seconds, delay=delay, busy=busy)

    def expire_access_tokens(self, after_requests: int = 0) -> None:
        """As if revoked, once the API has served `after_requests` more."""
        self._tell("expire", after_requests=after_requests)

    def log_everyone_out(self, after_requests: int = 0) -> None:
        self._tell("logout", after_requests=after_requests)

    def granted(self) -> list[tuple[str, int]]:
        """Grant type and status of each request for a token so far."""
        return [(grant, status) for grant, status in self._tell("log")["grants"]]

    def logins(self) -> int:
        return int(self._tell("log")["logins"])

    def revoke(self, token: str, client: Client) -> None:
        """By the provider's own endpoint for it (RFC 7009)."""
        sent = {"token": token, "client_id": client.id, "client_secret": client.secret}
        requests.post(f"{self.url}/o/revoke_token/", data=sent, timeout=10).raise_for_status()

    def grant(self, url: str) -> str:
        """What a person does in the browser: log in, approve; gives the address they end at."""
        with requests.Session() as browser:
            log_in(browser, f"{self.url}/accounts/login/")
            return _followed(browser, url)

    def _tell(self, what: str, **told: Any) -> dict[str, Any]:
        answer = requests.post(f"{self.url}/test/{what}", json=told, timeout=10)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found


def log_in(session: requests.Session, url: str) -> requests.Response:
    """Through the login form, which wants the token that it was shown with."""
    session.get(url, timeout=10)
    form = {
        "username": USER,
        "password": PASSWORD,
        "csrfmiddlewaretoken": session.cookies["csrftoken"],
    }
    return session.post(url, data=form, allow_redirects=False, timeout=10)


def _followed(browser: requests.Session, url: str) -> str:
    own = urlsplit(url).netloc
    while urlsplit(url).netloc == own:
        answer = browser.get(url, allow_redirects=False, timeout=10)
        if "Location" not in answer.headers:
            raise AssertionError(f"{answer.status_code}: {answer.text[:300]}")
        url = requests.compat.urljoin(url, answer.headers["Location"])
    return url


@contextmanager
def serve_oauth(folder: Path) -> Iterator[Provider]:
    folder.mkdir(parents=True, exist_ok=True)
    port = free_ports(1)[0]
    log = (folder / "oauth.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.servers.oauth_app", str(port), str(folder / "oauth.db")],
        cwd=Path(__file__).parent.parent.parent,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        stdout=log,
        stderr=log,
    )
    try:
        _await_ready(f"http://{HOST}:{port}/test/log", process, folder / "oauth.log")
        yield Provider(f"http://{HOST}:{port}")
    finally:
        process.kill()
        process.wait()
        log.close()


def _await_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    while process.poll() is None and time.monotonic() < deadline:
        try:
            requests.post(url, json={}, timeout=1).raise_for_status()
            return
        except requests.RequestException:
            time.sleep(0.05)
    raise RuntimeError(f"the provider did not start: {log.read_text()[-2000:]}")
