"""Requests as a person may see them: what is asked of whom, without what only the API may know."""

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
"""Characters of a body; a search or a query in GraphQL fits."""


@dataclass(frozen=True)
class CapturedRequest:
    method: str
    url: str
    """Without its query."""
    params: list[tuple[str, str]]
    """Of the query, or of a form."""
    body: str | None
    """As JSON, where it is; None if there is none."""


@contextmanager
def listening() -> Iterator[list[CapturedRequest]]:
    """What any session of `requests` in this process sends inside.

    HTTPAdapter itself is patched, as a source may use plain sessions, with adapters that it has
    mounted itself.
    """
    from requests.adapters import HTTPAdapter

    sent: list[CapturedRequest] = []
    send = HTTPAdapter.send

    def listened(adapter: HTTPAdapter, request: Any, *arguments: Any, **options: Any) -> Any:
        sent.append(asked(request))
        return send(adapter, request, *arguments, **options)

    HTTPAdapter.send = listened  # type: ignore[method-assign, assignment]
    try:
        yield sent
    finally:
        HTTPAdapter.send = send  # type: ignore[method-assign]


@contextmanager
def answering() -> Iterator[list[Any]]:
    """The responses that any session of `requests` in this process gets inside. Those whose body
    the caller reads bit by bit are left out."""
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


def asked(request: Any) -> CapturedRequest:
    """Of a request of `requests` that is ready to be sent."""
    url = urlsplit(str(request.url))
    pairs = parse_qsl(url.query, keep_blank_values=True)
    content = request.body or b""
    if not isinstance(content, bytes | str):  # a file, which to read would use up
        content = b""
    text = content if isinstance(content, str) else content.decode(errors="replace")
    if "x-www-form-urlencoded" in str(request.headers.get("Content-Type", "")):
        pairs, text = [*pairs, *parse_qsl(text, keep_blank_values=True)], ""
    return CapturedRequest(
        method=str(request.method),
        url=redacted(url._replace(query="", fragment="").geturl()),
        params=[(name, _message(name, value)) for name, value in pairs],
        body=_body(text),
    )


def _body(text: str) -> str | None:
    if not text:
        return None
    with suppress(ValueError, RecursionError):  # no JSON: as it is
        text = json.dumps(_without_secrets(json.loads(text)), ensure_ascii=False)
    text = redacted(text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _member(name, member) for name, member in value.items()}
    return [_without_secrets(member) for member in value] if isinstance(value, list) else value


def _member(name: str, value: Any) -> Any:
    """Of an object that is named like a secret, the members are looked at one by one."""
    if is_secret_name(name) and not isinstance(value, dict | bool | None):
        return _HIDDEN
    return _without_secrets(value)


def _message(name: str, value: str) -> str:
    return _HIDDEN if is_secret_name(name) else redacted(value)
