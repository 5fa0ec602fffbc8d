"""Credentials that any client on `requests` sends, such as a token that dlt's own OAuth fetched."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any

import requests
from requests import PreparedRequest, Response

from landing import secrets

_SHORTEST = 8
"""Characters. The word `token` is no credential, whoever sends it."""
_SENT_ONCE = re.compile(r"sign|digest|nonce|hmac|dpop|idempot| oauth\b", re.IGNORECASE)
"""In the names of headers and schemes whose values differ in each request."""
_OF_A_SESSION = re.compile(r"sess|sid$|auth|token|jwt", re.IGNORECASE)
"""In names of cookies. The values of others, such as a language, may occur in any record."""
_PARAMETER = re.compile(r"([\w-]+)=(?:\"([^\"]*)\"|([^\s,]+))")

_send = requests.Session.send


def guard() -> None:
    """Register what every session of `requests` in this process sends as credentials, so that it is
    masked wherever an API quotes it."""
    requests.Session.send = _registered  # type: ignore[method-assign]


def _registered(self: requests.Session, request: PreparedRequest, **options: Any) -> Response:
    for name, value in request.headers.items():
        text = value if isinstance(value, str) else value.decode("latin-1")
        if name.lower() == "cookie":
            text = "; ".join(filter(_is_of_a_session, text.split("; ")))
        scheme = text.rpartition(" ")[0]
        if secrets.is_secret_name(name) and not _SENT_ONCE.search(f"{name} {scheme[:20]}"):
            found = [part for part in credentials_in(name, text) if len(part) >= _SHORTEST]
            elsewhere = secrets.known() - secrets.registered().keys() if found else set()
            secrets.register(*(set(found) - elsewhere), what="credentials of a request")
    return _send(self, request, **options)


def _is_of_a_session(cookie: str) -> bool:
    return _OF_A_SESSION.search(cookie.partition("=")[0]) is not None


def credentials_in(name: str, value: str) -> Iterator[str]:
    """The secret parts of a header: what follows the scheme, the parameters in `AWS4-HMAC-SHA256
    Credential=…, Signature=…`, the password in `Basic …`, each cookie."""
    if name.lower() == "cookie":
        yield from (pair.partition("=")[2] for pair in value.split("; "))
        return
    scheme, _, rest = value.partition(" ")
    yield rest or value
    if scheme.lower() == "basic":
        yield from _password_in(rest)
    for parameter, quoted, bare in _PARAMETER.findall(rest):
        if secrets.is_secret_name(parameter) or parameter.lower() in ("response", "nonce"):
            yield quoted or bare


def _password_in(pair: str) -> Iterator[str]:
    try:
        data = base64.b64decode(pair)
    except ValueError:
        return
    for encoding in ("utf-8", "latin-1"):
        try:
            yield data.decode(encoding).partition(":")[2]
        except UnicodeDecodeError:
            continue
