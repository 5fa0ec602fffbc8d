"""Removes secrets from recorded requests and answers.

A secret is recognized by its place (headers, cookies, parameters and JSON members with such names)
and by its value: every secret of the environment and every token or cookie in the traffic is
removed everywhere. Replayed requests are scrubbed in the same way, so that they match.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from landing.errors import LandingError
from landing.http.auth.sent_credentials import as_text, credentials_in
from landing.http.spelling import plain
from landing.secrets import found_in, is_secret_name, is_secret_variable, replaced, secrets_of

SCRUBBED = "scrubbed"
_SHORTEST = 6
"""Shorter values occur in any text by chance, so they are only replaced as whole values."""

_REQUEST_HEADERS = {"accept", "content-type"}
_VOLATILE_HEADERS = {"date", "server", "age", "etag", "x-request-id", "x-runtime", "cf-ray"}
_FRAMING_HEADERS = {"content-encoding", "content-length", "transfer-encoding", "connection"}

# Members, parameters and headers that carry credentials in any API, normalized by `plain`.
# Similar names, such as `next_page_token`, are needed to find the next page.
_CREDENTIALS = frozenset(
    (
        *("accesstoken", "refreshtoken", "idtoken", "apitoken", "authtoken", "csrftoken"),
        *("sessiontoken", "bearertoken", "securitytoken", "xsrftoken", "authenticitytoken"),
        *("clientsecret", "clientassertion", "assertion", "codeverifier", "jwt", "nonce"),
        *("password", "passwd", "pwd", "secret", "secretkey", "privatekey", "apikey"),
        *("accesskey", "authkey", "authorization", "proxyauthorization", "wwwauthenticate"),
        *("sessionid", "sessionkey", "csrfmiddlewaretoken", "signature", "sig"),
    )
)
# In a login's answer, these are credentials too; elsewhere they are data or cursors.
_LOGIN_CREDENTIALS = frozenset({"token", "session", "key", "code"})
_COOKIE = re.compile(r"^\s*([^=;\s]+)=([^;]*)")

Message = dict[str, Any]


class UnscrubbedSecret(LandingError):
    """A secret would have been written, so nothing was."""


class Scrubber:
    """Replaces the secrets of one recording. Call `learn` for all traffic before scrubbing any."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._values = {
            secret: placeholder(name)
            for name, value in variables.items()
            for secret in secrets_of(name, value)
            if secret
        }
        """Replacements for secrets that are a whole value in JSON, a query or a form."""
        self._names = {v: name for v, name in self._values.items() if len(v) >= _SHORTEST}
        """Replacements for secrets anywhere in a text."""

    def learn(self, request: Any, response: Message) -> None:
        for name, value in request.headers.items():
            if is_secret_name(name):
                for part in credentials_in(name, as_text(value)):
                    self._add(part)
        for name, values in response["headers"].items():
            if name.lower() == "set-cookie":
                for cookie in values:
                    match = _COOKIE.match(cookie)
                    self._add(match[2] if match else cookie)
            elif _is_credential_header(name):
                for value in values:
                    self._add(value)
        is_login = _is_login(request)
        for body in (_as_text(request.body), _as_text(response["body"]["string"])):
            for value in _credentials(_parsed(body), is_login=is_login):
                self._add(value)
        for name, value in parse_qsl(urlsplit(request.uri).query):
            if plain(name) in _CREDENTIALS:
                self._add(value)

    def _add(self, value: str) -> None:
        if len(value) >= _SHORTEST and not value.startswith((SCRUBBED, _PLACEHOLDER)):
            self._names.setdefault(value, SCRUBBED)

    def request(self, request: Any) -> Any:
        """A scrubbed copy, for vcrpy's `before_record_request`, in recording and replay."""
        request = copy.copy(request)
        is_login = _is_login(request)
        request.headers = {
            name: self._text(value)
            for name, value in request.headers.items()
            if name.lower() in _REQUEST_HEADERS
        }
        request.uri = self._url(request.uri)
        if request.body:
            text = _as_text(request.body)
            request.body = self._body(text, is_login=is_login, is_matched=True).encode()
        return request

    def response(self, request: Any, response: Message) -> Message:
        headers = {
            name: [self._text(_scrubbed_header(name, value)) for value in values]
            for name, values in response["headers"].items()
            if name.lower() not in _VOLATILE_HEADERS | _FRAMING_HEADERS
        }
        body = response["body"]["string"]
        try:
            text = body.decode()
        except UnicodeDecodeError:
            pass  # nothing can be replaced in binary data; `refuse_secrets` checks it
        else:
            body = self._body(text, is_login=_is_login(request)).encode()
        status = {**response["status"], "message": self._text(response["status"]["message"] or "")}
        return {**response, "status": status, "headers": headers, "body": {"string": body}}

    def variables(self, found: Mapping[str, str]) -> dict[str, str]:
        """Variables for a recording: placeholders for secret ones, scrubbed URLs and texts.

        Raises UnscrubbedSecret if a secret would be left in one of them.
        """
        kept = {
            n: placeholder(n) if is_secret_variable(n) else self._variable(v)
            for n, v in found.items()
        }
        for name, value in kept.items():
            self._refuse([value], f"variable {name}")
        return kept

    def _variable(self, value: str) -> str:
        return self._url(value) if "://" in value else self._text(value)

    def refuse_secrets(self, request: Any, response: Message) -> None:
        """Raises UnscrubbedSecret if a secret is left in this request or answer."""
        texts = [request.uri, _as_text(request.body), response["status"]["message"] or ""]
        body = response["body"]["string"] or b""
        texts += [_as_text(body), body.decode("latin-1") if isinstance(body, bytes) else ""]
        for headers in (request.headers, response["headers"]):
            texts += map(str, headers.values())
        self._refuse(texts, f"{request.method} {request.uri.partition('?')[0]}")

    def _refuse(self, texts: Collection[str], place: str) -> None:
        for text in dict.fromkeys(texts):
            # A placeholder may hold a short secret by chance, such as the password `holder`.
            for name in set(self._names.values()):
                text = text.replace(name, "")
            for secret in found_in(text, self._names):
                raise UnscrubbedSecret(
                    f"{place}: the recording would contain a secret ({self._names[secret]}) in a "
                    "form that can't be removed; nothing was written"
                )

    def _body(self, text: str, *, is_login: bool, is_matched: bool = False) -> str:
        """The scrubbed text. With `is_matched`, JSON is always serialized anew, so that requests
        match in replay."""
        document = _parsed(text)
        if isinstance(document, dict | list):
            scrubbed = self._document(document, is_login=is_login)
            if is_matched or scrubbed != document:
                text = json.dumps(scrubbed, ensure_ascii=False)
        elif isinstance(document, _Form):
            text = urlencode([(n, self._value(n, v, is_login)) for n, v in document.fields])
        return self._text(text)

    def _document(self, document: Any, *, is_login: bool, name: str = "") -> Any:
        if isinstance(document, list):
            return [self._document(item, is_login=is_login) for item in document]
        if isinstance(document, dict):
            return {n: self._document(v, is_login=is_login, name=n) for n, v in document.items()}
        return self._value(name, document, is_login) if isinstance(document, str) else document

    def _value(self, name: str, value: str, is_login: bool) -> str:
        if _is_credential(name, is_login):
            return SCRUBBED
        return self._values.get(value) or self._text(value)

    def _url(self, url: str) -> str:
        parts = urlsplit(url)
        fields = parse_qsl(parts.query, keep_blank_values=True)
        scrubbed = [(n, self._value(n, v, is_login=False)) for n, v in fields]
        query = urlencode(scrubbed) if scrubbed != fields else parts.query
        whole = parts._replace(netloc=parts.netloc.rpartition("@")[2], query=query)
        return self._text(urlunsplit(whole))

    def _text(self, text: str) -> str:
        return replaced(text, self._names)


_PLACEHOLDER = "placeholder-of-"


def placeholder(variable: str) -> str:
    """The replacement for a secret variable in a recording, which a replay sets as its value."""
    return f"{_PLACEHOLDER}{variable}"


class _Form:
    """The fields of a form, in the order in which they were sent."""

    def __init__(self, text: str) -> None:
        self.fields = parse_qsl(text, keep_blank_values=True, strict_parsing=True)


def _parsed(text: str) -> Any:
    """A body as JSON or as a form; None if it is neither."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return _Form(text) if "\n" not in text and len(text) < 100_000 else None
    except ValueError:
        return None


def _credentials(document: Any, *, is_login: bool) -> Iterator[str]:
    if isinstance(document, _Form):
        members: Iterable[tuple[str, Any]] = document.fields
    elif isinstance(document, dict):
        members = document.items()
    elif isinstance(document, list):
        for item in document:
            yield from _credentials(item, is_login=is_login)
        return
    else:
        return
    for name, value in members:
        if isinstance(value, str) and _is_credential(name, is_login):
            yield value
        else:
            yield from _credentials(value, is_login=is_login)


def _is_credential(name: str, is_login: bool) -> bool:
    named = plain(name)
    return named in _CREDENTIALS or (is_login and named in _LOGIN_CREDENTIALS)


def _is_credential_header(name: str) -> bool:
    """True for `X-Refresh-Token`, but not for `X-Next-Page-Token`, which requests the next page."""
    return plain(name).removeprefix("x") in _CREDENTIALS | {"token", "session"}


def _is_login(request: Any) -> bool:
    """Whether the request's body contains credentials or requests a token."""
    names = {plain(name) for name in _names(_parsed(_as_text(request.body)))}
    return "granttype" in names or not names.isdisjoint(_CREDENTIALS)


def _names(document: Any) -> Iterator[str]:
    """The names of all members, at any depth."""
    if isinstance(document, _Form):
        yield from (name for name, _ in document.fields)
    elif isinstance(document, dict):
        yield from document
        for member in document.values():
            yield from _names(member)
    elif isinstance(document, list):
        for item in document:
            yield from _names(item)


def _scrubbed_header(name: str, value: str) -> str:
    if name.lower() == "set-cookie":
        return _COOKIE.sub(rf"\1={SCRUBBED}", value)
    return SCRUBBED if _is_credential_header(name) else value


def _as_text(body: Any) -> str:
    if body is None:
        return ""
    return body.decode(errors="replace") if isinstance(body, bytes) else str(body)
