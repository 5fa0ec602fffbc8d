"""Redacts secrets from texts and documents, in every spelling that `landing.secrets.escapes`
undoes."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from landing.secrets.escapes import Escaped, Span
from landing.secrets.registry import SHORTEST_IN_DATA, known

_MASK = "***"
_PLACES = (
    (("://",), re.compile(r"://(?P<secret>[^/\s@]+)@")),
    (
        ("bearer", "basic", "digest"),
        re.compile(r"\b(?:bearer|basic|digest)\s+(?P<secret>[a-z0-9+/=._~-]{12,})", re.IGNORECASE),
    ),
    (  # A header with its value, as in a dictionary of headers or a dump of a request.
        ("authorization", "cookie", "x-"),
        re.compile(
            r"\b(?:(?:proxy-)?authorization|(?:set-)?cookie"
            r"|x-[a-z-]{0,40}(?:key|token|auth|secret|signature)[a-z-]{0,40})"
            r"['\"]?\s*[:=]\s*b?['\"]?(?!\*\*\*)(?P<secret>[^'\"\r\n\s][^'\"\r\n]{7,})",
            re.IGNORECASE,
        ),
    ),
    (
        ("=",),
        re.compile(
            r"[?&;](?:[\w.-]{0,40}(?:key|secret|token|passw|pwd|auth|signature|credential)"
            r"[\w.-]{0,40}|sig|code)=(?P<secret>[^&;#\s'\"<>]+)",
            re.IGNORECASE,
        ),
    ),
)
"""Where credentials stand, known or not; each with words of which one is there, in lower case.
Lengths are bounded, since time grows with their square in what a hostile API says."""


def redacted(text: str) -> str:
    """`text` without secrets: known ones in any spelling, the user part of any URL, and anything
    in a place where credentials stand."""
    escaped = Escaped.of(text)
    spans = [
        (*span, _MASK)
        for secret in known()
        for span in escaped.find(secret, as_word=len(secret) < SHORTEST_IN_DATA)
    ]
    for layer in escaped.layers:
        spans += ((*layer.span(*place), _MASK) for place in _places(layer.text))
    return _cut(text, spans)


def _places(text: str) -> Iterator[Span]:
    lower = text.lower()
    for words, place in _PLACES:
        if any(word in lower for word in words):
            yield from (match.span("secret") for match in place.finditer(text))


def masked(text: str) -> str:
    """`text` without known secrets, for what may be data: an address in it stays as it is, and a
    short key of a test server does not make a bucket's name unreadable."""
    sought = (secret for secret in known() if len(secret) >= SHORTEST_IN_DATA)
    return replaced(text, dict.fromkeys(sought, _MASK))


def without_secrets(value: Any, safe: Callable[[str], str] = redacted) -> Any:
    """A document with each of its texts redacted by itself, so that a secret that looks like a
    number breaks no document. Of its members' names, only secrets of some length are masked: a
    short one may be the name of a member that every such document has."""
    return _without_secrets(value, cache(safe), cache(masked))


def _without_secrets(
    value: Any, safe: Callable[[str], str], safe_name: Callable[[str], str]
) -> Any:
    match value:
        case str():
            return safe(value)
        case dict():
            members: dict[Any, Any] = {}
            for name, member in value.items():
                shown = safe_name(name) if isinstance(name, str) else name
                while shown in members:  # two secrets are two members
                    shown += _MASK
                members[shown] = _without_secrets(member, safe, safe_name)
            return members
        case list() | tuple():
            return [_without_secrets(member, safe, safe_name) for member in value]
    return value


def replaced(text: str, secrets: Mapping[str, str]) -> str:
    """`text` with each secret, in any spelling, replaced by the value that it maps to."""
    return _cut(text, _spans(Escaped.of(text), secrets))


def _spans(escaped: Escaped, secrets: Mapping[str, str]) -> list[tuple[int, int, str]]:
    return [(*span, secrets[secret]) for secret in secrets for span in escaped.find(secret)]


def _cut(text: str, spans: Collection[tuple[int, int, str]]) -> str:
    """The text with what is instead of each span; of those that overlap, the longest counts."""
    if not spans:
        return text
    pieces: list[str] = []
    at = 0
    for start, end, instead in sorted(spans, key=lambda span: (span[0], -span[1], span[2])):
        if start >= at:
            pieces += text[at:start], instead
        at = max(at, end)
    return "".join([*pieces, text[at:]])


def found_in(text: str, secrets: Iterable[str]) -> list[str]:
    """Those of the secrets that `text` contains, in any spelling."""
    escaped = Escaped.of(text)
    return [secret for secret in secrets if any(escaped.find(secret))]


def is_in(text: str, secret: str) -> bool:
    """Whether `text` contains the secret, in any spelling."""
    return bool(found_in(text, [secret]))
