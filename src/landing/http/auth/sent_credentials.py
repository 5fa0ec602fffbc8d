"""Credentials that any client on `requests` sends, such as a token that dlt's own OAuth fetched."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import requests
from requests import PreparedRequest, Response

from landing import secrets

_SHORTEST = 8
"""Characters. The word `token` is no credential, whoever sends it."""
_SENT_ONCE = re.compile(r"sign|digest|nonce|hmac|dpop|idempot", re.IGNORECASE)
"""In the names of headers and schemes whose values differ in each request."""
_SIGNED = "oauth_signature="
"""In a header of OAuth 1. `OAuth` may also be the scheme of a token that is sent repeatedly."""
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.\w+")
_OF_A_SESSION = re.compile(r"sess|sid$|auth|token|jwt", re.IGNORECASE)
"""In names of cookies. The values of others, such as a language, may occur in any record."""
_PARAMETER = re.compile(r"([\w-]+)=(?:\"([^\"]*)\"|([^\s,]+))")


@cache
def guard() -> None:
    """Register what every session of `requests` in this process sends as credentials, so that it is
    masked wherever an API quotes it.

    Cached, since another library, such as OpenTelemetry, may wrap `send` as well: to patch it again
    would remove that.
    """
    send = requests.Session.send

    def registered(self: requests.Session, request: PreparedRequest, **options: Any) -> Response:
        for name, value in request.headers.items():
            _register(as_text(name), as_text(value))
        return send(self, request, **options)

    requests.Session.send = registered  # type: ignore[method-assign]


def as_text(value: object) -> str:
    """A header's name or value. An auth class may set bytes or a number."""
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _register(name: str, value: str) -> None:
    if name.lower() == "cookie":
        value = "; ".join(filter(_is_of_a_session, value.split("; ")))
    scheme = value.rpartition(" ")[0]
    is_sent_once = _SENT_ONCE.search(f"{name} {scheme[:20]}") or _SIGNED in value
    if secrets.is_secret_name(name) and not is_sent_once:
        found = [part for part in credentials_in(name, value) if len(part) >= _SHORTEST]
        elsewhere = secrets.known() - secrets.registered().keys() if found else set()
        secrets.register_sent(*(set(found) - elsewhere))


def _is_of_a_session(cookie: str) -> bool:
    return _OF_A_SESSION.search(cookie.partition("=")[0]) is not None


def credentials_in(name: str, value: str) -> Iterator[str]:
    """The secret parts of a header: what follows the scheme, the parameters in `AWS4-HMAC-SHA256
    Credential=…, Signature=…`, the password in `Basic …`, each cookie. An email
    address is none."""
    if name.lower() == "cookie":
        yield from (pair.partition("=")[2] for pair in value.split("; "))
        return
    scheme, _, rest = value.partition(" ")
    if not _EMAIL.fullmatch(rest or value):
        yield rest or value
    if scheme.lower() == "basic":
        yield from _secrets_of_pair(rest)
    for parameter, quoted, bare in _PARAMETER.findall(rest):
        if secrets.is_secret_name(parameter) or parameter.lower() in ("response", "nonce"):
            yield quoted or bare


def _secrets_of_pair(pair: str) -> Iterator[str]:
    """The password; if it is short or empty, also the user, which may be a key."""
    try:
        data = base64.b64decode(pair)
    except ValueError:
        return
    for encoding in ("utf-8", "latin-1"):
        try:
            user, _, password = data.decode(encoding).partition(":")
        except UnicodeDecodeError:
            continue
        yield password
        if len(password) < _SHORTEST and "@" not in user:
            yield user
