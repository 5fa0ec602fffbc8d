"""The secrets that are known: those of the environment, and those obtained at run time."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, urlsplit

from landing.environment import variables

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
    r"|account name"
    r"|expires(?: in| at)?|(?<!key )(?<!secret )(?<!token )id)$"
)
"""Last words of names whose values are no secrets, whatever words come before. The id of a key,
such as that of S3, is kept secret."""
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_OF_A_PLACE = re.compile(r"^(OLD)?PWD$|_(URL|URI|HOST|PATH|FILE|DIR|SOCK)$", re.IGNORECASE)
"""Variables that name a place, and so are not secret, whatever other words are in their names."""
_SHORTEST = 4
"""Characters. Shorter values are not redacted: they occur in any text."""
SHORTEST_IN_DATA = 8
"""Shorter values are redacted only as whole words, and not in data."""
_KEY_OF_AN_ACCOUNT = 32
"""Characters. Azure names keys like this PRIMARY_KEY; names of fields are shorter."""
_REMEMBERED = 200
"""How many tokens are remembered. A process may renew them for weeks; old ones have expired."""
_PAIR = re.compile(r"(?:^|[\s?&;,])([\w.-]+)=('[^']*'|[^\s&;,]+)")
"""A setting within a variable: in a connection string, the query of a URL, a list of headers."""

_registered: dict[str, str] = {}
_sent: dict[str, str] = {}
_lasting: dict[str, str] = {}
_public: set[str] = set()
_finders: list[Callable[[], Iterable[str]]] = []
_lock = threading.RLock()
"""A destructor that logs may run in a thread that has it, and what is logged is redacted."""


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


def registered_by_kind() -> tuple[Mapping[str, str], Mapping[str, str], Mapping[str, str]]:
    """The same, as `register_lasting`, `register` and `register_sent` remember them."""
    with _lock:
        return dict(_lasting), dict(_registered), dict(_sent)


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
    for name, value in variables().items():
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
        plain = re.sub(r"[\W_]", "", name.lower())
        # The last two are of Azure: in a connection string, and a shared access signature.
        if plain.endswith((*_SECRET_ENDINGS, "accountkey")) or plain == "sig":
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
    if len(found[0]) < SHORTEST_IN_DATA and len(user) >= 16:
        found.append(user)
    for secret in filter(None, found):
        yield secret
        yield unquote(secret)
