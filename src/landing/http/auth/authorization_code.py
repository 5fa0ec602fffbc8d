"""A person's first login: authorization code with PKCE, redirected to this machine (RFC 8252)."""

from __future__ import annotations

import queue
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from landing.errors import ApiError, SettingsError, needs
from landing.http.auth.oauth import OAuth2RefreshToken
from landing.secrets import redacted

_LOOPBACK = ("127.0.0.1", "localhost")
_PAGE = "<!doctype html><meta charset=utf-8><title>landing login</title><p>{}"


@dataclass(frozen=True)
class Login:
    """A login under way: a person opens `url`; pass the address they are redirected to to
    `finish`."""

    url: str
    auth: OAuth2RefreshToken
    state: str = field(repr=False)
    verifier: str = field(repr=False)

    def finish(self, address: str) -> None:
        """Exchange the code in `address` for tokens and save them in the auth's store.

        Raises ApiError if access was not granted or `address` does not belong to this login.
        """
        query = _query(address)
        if not secrets.compare_digest(query.get("state", "").encode(), self.state.encode()):
            raise ApiError("that address is not the answer to this login: log in again")
        if "error" in query:
            why = redacted(query.get("error_description") or query["error"])
            raise ApiError(f"access was not granted: {why}")
        if "code" not in query:
            raise ApiError("that address has no code in it: log in again and copy all of it")
        answer = self.auth.endpoint.request(
            "authorization_code",
            "the code; log in again",
            code=query["code"],
            redirect_uri=self.auth.redirect_uri,
            code_verifier=self.verifier,
        )
        self.auth.keep(answer)


def begin(auth: OAuth2RefreshToken) -> Login:
    """Begin a login. Raises SettingsError if `auth` has no `authorize_url`."""
    with needs("OAuth 2", "auth"):
        from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
        from authlib.oauth2.rfc7636 import create_s256_code_challenge
    if auth.authorize_url is None:
        raise SettingsError(
            "the source's auth() names no authorize_url, the page where a person grants access"
        )
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
    url = prepare_grant_uri(
        auth.authorize_url,
        client_id=auth.endpoint.client_id,
        response_type="code",
        redirect_uri=auth.redirect_uri,
        scope=auth.scope,
        state=state,
        code_challenge=create_s256_code_challenge(verifier),
        code_challenge_method="S256",
        **auth.authorize_extra,
    )
    return Login(url, auth, state, verifier)


@contextmanager
def listening(login: Login) -> Iterator[Redirect]:
    """Listen at the redirect URI, to which the provider sends the browser.

    Raises SettingsError if it is not on this machine, or its port is taken.
    """
    expected = urlsplit(login.auth.redirect_uri)
    if expected.scheme != "http" or expected.hostname not in _LOOPBACK:
        raise SettingsError(
            f"{login.auth.redirect_uri} is not on this machine: use --no-browser and paste the "
            "address that the browser ends at"
        )
    redirect = Redirect(expected.path or "/", login.state)
    try:
        server = _Server((expected.hostname, expected.port or 80), _Handler)
    except OSError as error:
        raise SettingsError(
            f"can't listen on {login.auth.redirect_uri}: {error.strerror}; end what uses the port, "
            "or use --no-browser"
        ) from None
    server.redirect = redirect
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    try:
        yield redirect
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Redirect:
    """Receives the browser's redirect; ignores other requests, such as for an icon."""

    def __init__(self, path: str, state: str) -> None:
        self._path = path
        self._state = state
        self._arrived: queue.Queue[str] = queue.Queue()

    def address(self, seconds: float) -> str:
        """Wait for the redirect. Raises ApiError if the browser does not come back in time."""
        try:
            return self._arrived.get(timeout=seconds)
        except queue.Empty:
            raise ApiError(
                f"the browser did not return from the provider within {seconds:.0f} s: log in again"
            ) from None

    def accepts(self, address: str) -> bool:
        is_ours = (
            urlsplit(address).path == self._path and _query(address).get("state", "") == self._state
        )
        if is_ours:
            self._arrived.put(address)
        return is_ours


class _Server(ThreadingHTTPServer):
    daemon_threads = True  # browsers open connections that they never use
    redirect: Redirect


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        if self.server.redirect.accepts(self.path):
            status, text = 200, "Back to the terminal: this window can be closed."
        else:
            status, text = 404, "This is not the answer to the login under way."
        body = _PAGE.format(text).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the address contains the code."""


def _query(address: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(address.strip()).query).items()}
