"""Credentials that are valid until a person changes them, for a session's `auth`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from dlt.sources.helpers.rest_client.auth import APIKeyAuth, BearerTokenAuth, HttpBasicAuth
from requests import PreparedRequest
from requests.auth import AuthBase

from landing import secrets
from landing.errors import SettingsError


def secret(value: str, what: str = "a secret that the source found") -> str:
    """Registers a secret that a source finds itself, such as a key in a page, and returns it. From
    then on it is masked in everything that is printed, logged or recorded. The last 200 are
    remembered."""
    secrets.register(value, what=what)
    return value


class _Fixed(AuthBase):
    """Wraps one of dlt's auth classes. They are mappings, so `requests` would merge the auth of a
    single request with the session's instead of overriding it."""

    def __init__(self, auth: AuthBase) -> None:
        self._auth = auth

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        signed: PreparedRequest = self._auth(request)
        return signed

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"


class ApiKey(_Fixed):
    """A key in a header, or in the query of each URL. Raises SettingsError if it is empty."""

    def __init__(
        self, key: str, name: str = "X-API-Key", location: Literal["header", "query"] = "header"
    ) -> None:
        super().__init__(APIKeyAuth(name, _usable(key, f"API key for '{name}'"), location))


class Bearer(_Fixed):
    """`Authorization: Bearer …`. Raises SettingsError if the token is empty."""

    def __init__(self, token: str) -> None:
        super().__init__(BearerTokenAuth(_usable(token, "bearer token")))


class Basic(_Fixed):
    """A user and a password, sent as UTF-8."""

    def __init__(self, user: str, password: str) -> None:
        secrets.register_lasting(password, what="a password")
        super().__init__(HttpBasicAuth(user, password))


class SignedRequests(AuthBase):
    """Signs each request with `sign`, which gets the request as it will be sent, with URL, headers
    and body. It is called again for each attempt."""

    def __init__(self, sign: Callable[[PreparedRequest], None]) -> None:
        self._sign = sign

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        self._sign(request)
        return request

    def __repr__(self) -> str:
        return f"SignedRequests({getattr(self._sign, '__name__', '…')})"


def _usable(secret: str, what: str) -> str:
    """The secret without the line break that files often end with. Raises SettingsError if it is
    empty."""
    if not secret.strip():
        raise SettingsError(f"the {what} is empty: set its variable (environment or .env)")
    secrets.register_lasting(secret.strip(), what=f"the {what}")
    return secret.strip()
