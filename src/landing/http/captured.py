"""Captures requests and responses of any `requests` session; shown requests have no secrets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from landing.secrets import is_secret_name, redacted

_HIDDEN = "***"
_LONGEST = 2_000
"""Characters of a body that are kept; enough for a search or a GraphQL query."""


@dataclass(frozen=True)
class CapturedRequest:
    method: str
    url: str
    """The URL without its query."""
    params: list[tuple[str, str]]
    """Parameters of the query and of a form."""
    body: str | None
    """The body's text, such as JSON; None without a body."""


@contextmanager
def listening() -> Iterator[list[CapturedRequest]]:
    """Capture the requests that any session of `requests` in this process sends inside.

    Patches HTTPAdapter itself, since a source may use plain sessions with its own adapters.
    """
    from requests.adapters import HTTPAdapter

    sent: list[CapturedRequest] = []
    send = HTTPAdapter.send

    def listened(adapter: HTTPAdapter, request: Any, *arguments: Any, **options: Any) -> Any:
        sent.append(captured(request))
        return send(adapter, request, *arguments, **options)

    HTTPAdapter.send = listened  # type: ignore[method-assign, assignment]
    try:
        yield sent
    finally:
        HTTPAdapter.send = send  # type: ignore[method-assign]


@contextmanager
def answering() -> Iterator[list[Any]]:
    """Capture the responses that any session of `requests` in this process gets inside, except
    those whose body the caller streams."""
    from requests.adapters import HTTPAdapter

    got: list[Any] = []
    answers: list[Any] = []
    send = HTTPAdapter.send

    def listened(adapter: HTTPAdapter, request: Any, *arguments: Any, **options: Any) -> Any:
        response = send(adapter, request, *arguments, **options)
        got.append(response)
        return response

    HTTPAdapter.send = listened  # type: ignore[method-assign, assignment]
    try:
        yield answers
    finally:
        HTTPAdapter.send = send  # type: ignore[method-assign]
        answers += (response for response in got if isinstance(response._content, bytes))


def captured(request: Any) -> CapturedRequest:
    """A prepared request of `requests`, without secrets."""
    url = urlsplit(str(request.url))
    pairs = parse_qsl(url.query, keep_blank_values=True)
    content = request.body or b""
    if not isinstance(content, bytes | str):  # a file, which can be read only once
        content = b""
    text = content if isinstance(content, str) else content.decode(errors="replace")
    if "x-www-form-urlencoded" in str(request.headers.get("Content-Type", "")):
        pairs, text = [*pairs, *parse_qsl(text, keep_blank_values=True)], ""
    return CapturedRequest(
        method=str(request.method),
        url=redacted(url._replace(query="", fragment="").geturl()),
        params=[(n, _HIDDEN if is_secret_name(n) else redacted(value)) for n, value in pairs],
        body=_body(text),
    )


def _body(text: str) -> str | None:
    if not text:
        return None
    with suppress(ValueError, RecursionError):  # not JSON: keep the text
        text = json.dumps(_without_secrets(json.loads(text)), ensure_ascii=False)
    text = redacted(text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _member(name, member) for name, member in value.items()}
    return [_without_secrets(member) for member in value] if isinstance(value, list) else value


def _member(name: str, value: Any) -> Any:
    """Hide a value that is named like a secret; of an object, hide only such members."""
    if is_secret_name(name) and not isinstance(value, dict | bool | None):
        return _HIDDEN
    return _without_secrets(value)
