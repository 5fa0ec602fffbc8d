"""What must never be told: secrets of the environment, and those that were obtained at run time."""

from __future__ import annotations

import base64
import json
import logging
import os
import re
import threading
from collections.abc import Iterator, Mapping
from urllib.parse import quote, quote_plus, unquote, urlsplit

_SECRET_NAME = re.compile(
    r"KEY|SECRET|TOKEN|PASS|PWD|AUTH|CREDENTIAL|DSN|COOKIE|SIGNATURE|JWT|PRIVATE|CONNECTION_STRING",
    re.IGNORECASE,
)
_OF_A_PLACE = re.compile(r"^(OLD)?PWD$|_(URL|URI|HOST|PATH|FILE|DIR|SOCK)$", re.IGNORECASE)
"""Variables that tell where something is, whatever else their names have in them."""
_SHORTEST = 4
"""Shorter values are not looked for: they are in any text."""
_REMEMBERED = 200
"""Tokens of a process that renews them for weeks; the latest are the ones that may still work."""
_URL_USER = re.compile(r"://[^/\s@]+@")
_AUTHORIZATION = re.compile(r"\b(Bearer|Basic|Digest)(\s+)[A-Za-z0-9+/=._~-]{12,}", re.IGNORECASE)
_PARAMETER = re.compile(
    r"([?&;](?:[\w.-]*(?:key|secret|token|passw|pwd|auth|signature|credential)[\w.-]*|sig|code)=)"
    r"[^&;#\s'\"<>]+",
    re.IGNORECASE,
)

_registered: dict[str, str] = {}
_lasting: dict[str, str] = {}
_lock = threading.Lock()


def register(*values: str, what: str = "a token") -> None:
    """Remember secrets that are in no environment variable, such as a token just obtained.

    `what` they are may be told; of what is told otherwise they are taken out.
    """
    with _lock:
        for value in values:
            _registered.pop(value, None)
            _registered[value] = what
        for oldest in list(_registered)[:-_REMEMBERED]:
            del _registered[oldest]


def register_lasting(*values: str, what: str) -> None:
    """Remember secrets of a client for as long as the process lives: passwords, keys."""
    with _lock:
        _lasting.update(dict.fromkeys(values, what))


def registered() -> Mapping[str, str]:
    """What was registered, each value with what it is."""
    with _lock:
        return {**_lasting, **_registered}


def is_secret_name(name: str) -> bool:
    """Whether a header or parameter of this name is one to keep to oneself."""
    return _SECRET_NAME.search(name) is not None


def is_secret_variable(name: str) -> bool:
    """Whether all of an environment variable of this name is: not of SHOP_TOKEN_URL."""
    return is_secret_name(name) and not _OF_A_PLACE.search(name)


def known() -> set[str]:
    """The values of all secrets known now."""
    found = set(registered())
    for name, value in os.environ.items():
        found.update(secrets_of(name, value))
    return {value for value in found if len(value) >= _SHORTEST}


def secrets_of(name: str, value: str) -> Iterator[str]:
    """What nobody else may read of a variable: its value, or the password of its address."""
    if is_secret_variable(name):
        yield value
        yield value.strip()
        if "\n" in value.strip():  # a private key, of which a message may show one line
            yield from (line for line in value.splitlines() if len(line) >= 16)
    if "://" in value and "@" in value:
        yield from _of_url(value)


def _of_url(url: str) -> Iterator[str]:
    """The password of an address, which a variable named …_URL has and its name doesn't tell."""
    try:
        password = urlsplit(url).password
    except ValueError:
        return
    if password:
        yield password
        yield unquote(password)


def redacted(text: str) -> str:
    """`text` without secrets: known ones however they are spelled, the user of any URL, and
    what stands where credentials do."""
    spelled = {spelling for value in known() for spelling in spellings(value)}
    for secret in sorted(spelled, key=len, reverse=True):
        text = text.replace(secret, "***")
    text = _URL_USER.sub("://***@", text)
    text = _AUTHORIZATION.sub(r"\1\2***", text)
    return _PARAMETER.sub(r"\1***", text)


def spellings(value: str) -> Iterator[str]:
    """A secret as it may stand in text: as it is, in a URL, in JSON, in base64."""
    yield value
    yield quote(value)
    yield quote(value, safe="")
    yield quote_plus(value)
    yield json.dumps(value)[1:-1]
    yield repr(value)[1:-1]
    yield from _in_base64(value)


def _in_base64(value: str) -> Iterator[str]:
    """How the value looks inside base64, as in Basic's `user:password`, wherever it begins.

    Three bytes become four characters, so there are three ways; characters that share bits with
    what stands before or after the value are left out.
    """
    data = value.encode()
    if len(data) < 8:
        return
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            whole = (before + len(data)) // 3 * 3 - before
            skip = (0, 2, 3)[before]
            yield encode(b"\0" * before + data[:whole]).decode()[skip:]


class _Redaction(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redacted(record.getMessage()), ()
        if record.exc_info:
            trace = logging.Formatter().formatException(record.exc_info)
            record.exc_info, record.exc_text = None, redacted(trace)
        return True


_redaction = _Redaction()


def log_no_secrets(*names: str) -> None:
    """Redact what is logged under these names, whatever handler takes it."""
    loggers = [logging.getLogger(name) for name in names]
    children = [
        logging.getLogger(name)
        for name in list(logging.root.manager.loggerDict)
        if name.startswith(tuple(f"{name}." for name in names))
    ]
    for logger in (*loggers, *children):  # a filter of a logger doesn't hold for its children
        logger.addFilter(_redaction)
        for handler in logger.handlers:
            handler.addFilter(_redaction)
