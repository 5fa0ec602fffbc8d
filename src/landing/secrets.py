"""Finds and redacts secrets: those of the environment, and those obtained at run time.

Everything that is printed, logged, recorded or stored goes through `redacted`, `masked` or
`replaced`. They recognise a secret in every spelling that `landing.escapes` undoes.
"""

from __future__ import annotations

import json
import logging
import os
import re
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cache, lru_cache
from typing import Any
from urllib.parse import unquote, urlsplit

from landing.errors import printable_lines
from landing.escapes import Escaped, Span

_SECRET_WORDS = frozenset(
    (
        *("key", "keys", "secret", "secrets", "token", "tokens", "pass", "passwd", "pwd", "pin"),
        *("password", "passwords", "passphrase", "auth", "authorization", "credential"),
        *("credentials", "dsn", "cookie", "cookies", "signature", "sig", "jwt", "private"),
    )
)
_SECRET_ENDINGS = ("password", "passwd", "passphrase", "secret", "token", "apikey", "accesskey")
"""Endings of words that are written together, as in PGPASSWORD or apitoken."""
_OF_NO_SECRET = re.compile(
    r"\b(?:(?:sort|primary|partition) keys?|max tokens|email|user|type|method|mode|version"
    r"|expires(?: in| at)?|(?<!key )(?<!secret )(?<!token )id)$"
)
"""Last words of names whose values are no secrets, whatever words come before. The id of a key,
such as that of S3, is kept secret."""
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_OF_A_PLACE = re.compile(r"^(OLD)?PWD$|_(URL|URI|HOST|PATH|FILE|DIR|SOCK)$", re.IGNORECASE)
"""Variables that name a place, and so are not secret, whatever other words are in their names."""
_SHORTEST = 4
"""Characters. Shorter values are not redacted: they occur in any text."""
_SHORTEST_IN_DATA = 8
"""Shorter values are redacted only as whole words, and not in data."""
_KEY_OF_AN_ACCOUNT = 32
"""Characters. Azure names keys like this PRIMARY_KEY; names of fields are shorter."""
_REMEMBERED = 200
"""How many tokens are remembered. A process may renew them for weeks; old ones have expired."""
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
_PAIR = re.compile(r"(?:^|[\s?&;,])([\w.-]+)=('[^']*'|[^\s&;,]+)")
"""A setting within a variable: in a connection string, the query of a URL, a list of headers."""

_registered: dict[str, str] = {}
_sent: dict[str, str] = {}
_lasting: dict[str, str] = {}
_public: set[str] = set()
_finders: list[Callable[[], Iterable[str]]] = []
_lock = threading.Lock()


def register(*values: str, what: str = "a token") -> None:
    """Remembers secrets that are in no environment variable, such as a token just obtained.

    `what` describes them and may be shown; the values never are. The first description is kept.
    """
    _remember(_registered, values, what)


def register_sent(*values: str) -> None:
    """Remembers what a request sends, apart from other tokens: a client that makes a new one for
    each request would soon displace those."""
    _remember(_sent, values, "credentials of a request")


def _remember(latest: dict[str, str], values: Iterable[str], what: str) -> None:
    with _lock:
        for value in values:
            if value not in _lasting:
                latest[value] = latest.pop(value, what)
        for oldest in list(latest)[:-_REMEMBERED]:
            del latest[oldest]


def register_lasting(*values: str, what: str) -> None:
    """Remembers a client's secrets (passwords, keys) until the process ends."""
    with _lock:
        _lasting.update(dict.fromkeys(values, what))


def registered() -> Mapping[str, str]:
    """The registered secrets, each with its description."""
    with _lock:
        return {**_sent, **_lasting, **_registered}


def make_public(names: Iterable[str]) -> None:
    """Keeps these names of sources, streams and fields readable, even if a secret has the same
    value."""
    _public.update(names)


def find_by(finder: Callable[[], Iterable[str]]) -> None:
    """Adds a function that returns more secrets; called each time, as some are fetched late."""
    if finder not in _finders:
        _finders.append(finder)


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Whether a header or parameter of this name is secret. Whole words decide, so that
    GIT_AUTHOR_NAME and KEYBOARD_LAYOUT are not; nor are AUTH_METHOD and SORT_KEY."""
    words = _words(name)
    return not _OF_NO_SECRET.search(" ".join(words)) and (
        not _SECRET_WORDS.isdisjoint(words)
        or any(word.endswith(_SECRET_ENDINGS) for word in words)
        or "connectionstring" in "".join(words)
    )


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORDS.findall(name)]


def is_secret_variable(name: str) -> bool:
    """Whether a variable's whole value is secret: that of SHOP_TOKEN is, of SHOP_TOKEN_URL not."""
    return is_secret_name(name) and not _OF_A_PLACE.search(name)


def known() -> set[str]:
    """The values of all secrets that are known now."""
    found = set(registered())
    for name, value in os.environ.items():
        found.update(_of_variable(name, value))
    for finder in _finders:
        found.update(finder())
    return {value for value in found - _public if len(value) >= _SHORTEST}


@lru_cache(maxsize=4096)
def _of_variable(name: str, value: str) -> tuple[str, ...]:
    return tuple(secrets_of(name, value))


def secrets_of(name: str, value: str) -> Iterator[str]:
    """The secret parts of a variable or setting: its whole value, the password in its URL, or
    members of its JSON, connection string or query with the names of secrets."""
    is_primary_key = _words(name)[-2:] == ["primary", "key"]
    if is_secret_variable(name) or (is_primary_key and len(value) >= _KEY_OF_AN_ACCOUNT):
        yield value
        yield value.strip()
        # A private key, maybe with `\\n` for its line breaks; a message may quote one line of it.
        lines = value.strip().replace("\\n", "\n").splitlines()
        yield from (line for line in lines if len(line) >= 16)
    if value.lstrip().startswith("{"):
        yield from _of_json(value)
    yield from _of_pairs(value)
    if "@" in value and ("://" in value or name.upper().endswith("_PROXY")):
        yield from _of_url(value if "://" in value else f"http://{value}")
    # Anyone who has a webhook's address can write to it; urllib3 quotes it without the host.
    if "webhook" in _words(name) and "://" in value:
        yield value.strip()
        _, slash, path = value.strip().partition("://")[2].partition("/")
        if len(path) >= 16:
            yield slash + path


def _of_json(text: str) -> Iterator[str]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return
    for name, value in members(document):
        if isinstance(value, str):
            yield from secrets_of(name, value)


def members(document: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """All values that have no members themselves, each with its name."""
    if isinstance(document, Mapping):
        for own, member in document.items():
            yield from members(member, str(own))
    elif isinstance(document, list | tuple):
        for member in document:
            yield from members(member, name)
    else:
        yield name, document


def _of_pairs(value: str) -> Iterator[str]:
    for name, given in _PAIR.findall(value):
        if re.sub(r"[\W_]", "", name.lower()).endswith(_SECRET_ENDINGS):
            yield given.strip("'")
            yield unquote(given)


def _of_url(url: str) -> Iterator[str]:
    """The password in a URL, as variables named …_URL have it; or a user that is a token."""
    try:
        parts = urlsplit(url)
        user, password = parts.username or "", parts.password
    except ValueError:
        return
    found = [password or ""]
    if len(found[0]) < _SHORTEST_IN_DATA and len(user) >= 16:
        found.append(user)
    for secret in filter(None, found):
        yield secret
        yield unquote(secret)


def redacted(text: str) -> str:
    """`text` without secrets: known ones in any spelling, the user part of any URL, and anything
    in a place where credentials stand."""
    escaped = Escaped.of(text)
    spans = [
        (*span, _MASK)
        for secret in known()
        for span in escaped.find(secret, as_word=len(secret) < _SHORTEST_IN_DATA)
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
    sought = (secret for secret in known() if len(secret) >= _SHORTEST_IN_DATA)
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


class _Redaction(logging.Filter):
    """Redacts what libraries log, and makes it printable: it quotes what APIs say."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = printable_lines(redacted(record.getMessage())), ()
        if record.exc_info:
            trace = logging.Formatter().formatException(record.exc_info)
            record.exc_info, record.exc_text = None, printable_lines(redacted(trace))
        if record.stack_info:
            record.stack_info = printable_lines(redacted(record.stack_info))
        return True


_redaction = _Redaction()


class _Warnings(logging.Handler):
    """Prints Python's warnings where no log has them, which `logging` itself would swallow."""

    def emit(self, record: logging.LogRecord) -> None:
        if logging.lastResort is not None and not logging.getLogger().handlers:
            logging.lastResort.handle(record)


_warnings = _Warnings()


def log_no_secrets(*names: str) -> None:
    """Redacts everything that is logged under these names, whatever the handler, and all that goes
    to standard error because there is no handler, such as Python's warnings.

    This lasts until the process ends, as the threads of a source may warn at any time. A program
    that embeds a source gets its warnings from the logger `py.warnings`.
    """
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").addHandler(_warnings)
    if logging.lastResort is not None:
        logging.lastResort.addFilter(_redaction)
    loggers = [logging.getLogger(name) for name in names]
    children = [
        logging.getLogger(name)
        for name in list(logging.root.manager.loggerDict)
        if name.startswith(tuple(f"{name}." for name in names))
    ]
    for logger in (*loggers, *children):  # a logger's filter does not apply to its children
        logger.addFilter(_redaction)
        for handler in logger.handlers:
            handler.addFilter(_redaction)
