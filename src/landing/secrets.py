"""Finds and redacts secrets: those of the environment, and those obtained at run time.

Everything that is printed, logged, recorded or stored goes through `redacted` or `replaced`. They
recognise a secret in every spelling that a library, a URL, JSON, HTML or base64 gives it.
"""

from __future__ import annotations

import base64
import logging
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from urllib.parse import unquote, urlsplit

from landing.errors import printable_lines

_SECRET_WORDS = frozenset(
    (
        *("key", "keys", "secret", "secrets", "token", "tokens", "pass", "passwd", "pwd", "pin"),
        *("password", "passwords", "passphrase", "auth", "authorization", "credential"),
        *("credentials", "dsn", "cookie", "cookies", "signature", "sig", "jwt", "private"),
    )
)
_SECRET_ENDINGS = ("password", "passwd", "passphrase", "secret", "token", "apikey", "accesskey")
"""Endings of words that are written together, as in PGPASSWORD or apitoken."""
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_OF_A_PLACE = re.compile(r"^(OLD)?PWD$|_(URL|URI|HOST|PATH|FILE|DIR|SOCK)$", re.IGNORECASE)
"""Variables that name a place, and so are not secret, whatever other words are in their names."""
_SHORTEST = 4
"""Characters. Shorter values are not redacted: they occur in any text."""
_REMEMBERED = 200
"""How many tokens are remembered. A process may renew them for weeks; old ones have expired."""
_URL_USER = re.compile(r"://[^/\s@]+@")
_AUTHORIZATION = re.compile(r"\b(Bearer|Basic|Digest)(\s+)[A-Za-z0-9+/=._~-]{12,}", re.IGNORECASE)
_HEADER = re.compile(
    r"\b((?:proxy-)?authorization|(?:set-)?cookie|x-[a-z-]*(?:key|token|auth|secret|signature)[a-z-]*)"
    r"(['\"]?\s*[:=]\s*b?['\"]?)(?!\*\*\*)[^'\"\r\n\s][^'\"\r\n]{7,}",
    re.IGNORECASE,
)
"""A header with its value, as in a dictionary of headers or a dump of a request."""
_PARAMETER = re.compile(
    r"([?&;](?:[\w.-]*(?:key|secret|token|passw|pwd|auth|signature|credential)[\w.-]*|sig|code)=)"
    r"[^&;#\s'\"<>]+",
    re.IGNORECASE,
)

_registered: dict[str, str] = {}
_lasting: dict[str, str] = {}
_public: set[str] = set()
_finders: list[Callable[[], Iterable[str]]] = []
_lock = threading.Lock()


def register(*values: str, what: str = "a token") -> None:
    """Remembers secrets that are in no environment variable, such as a token just obtained.

    `what` describes them and may be shown; the values never are.
    """
    with _lock:
        for value in values:
            _registered.pop(value, None)
            _registered[value] = what
        for oldest in list(_registered)[:-_REMEMBERED]:
            del _registered[oldest]


def register_lasting(*values: str, what: str) -> None:
    """Remembers a client's secrets (passwords, keys) until the process ends."""
    with _lock:
        _lasting.update(dict.fromkeys(values, what))


def registered() -> Mapping[str, str]:
    """The registered secrets, each with its description."""
    with _lock:
        return {**_lasting, **_registered}


def make_public(names: Iterable[str]) -> None:
    """Keeps these names of sources and streams readable, even if a secret has the same value."""
    _public.update(names)


def find_by(finder: Callable[[], Iterable[str]]) -> None:
    """Adds a function that returns more secrets; called each time, as some are fetched late."""
    if finder not in _finders:
        _finders.append(finder)


def is_secret_name(name: str) -> bool:
    """Whether a header or parameter of this name is secret. Whole words decide, so that
    GIT_AUTHOR_NAME and KEYBOARD_LAYOUT are not."""
    words = [word.lower() for word in _WORDS.findall(name)]
    return (
        not _SECRET_WORDS.isdisjoint(words)
        or any(word.endswith(_SECRET_ENDINGS) for word in words)
        or "connectionstring" in "".join(words)
    )


def is_secret_variable(name: str) -> bool:
    """Whether a variable's whole value is secret: that of SHOP_TOKEN is, of SHOP_TOKEN_URL not."""
    return is_secret_name(name) and not _OF_A_PLACE.search(name)


def known() -> set[str]:
    """The values of all secrets that are known now."""
    found = set(registered())
    for name, value in os.environ.items():
        found.update(secrets_of(name, value))
    for finder in _finders:
        found.update(finder())
    return {value for value in found - _public if len(value) >= _SHORTEST}


def secrets_of(name: str, value: str) -> Iterator[str]:
    """The secret parts of a variable: its whole value, or the password in its URL."""
    if is_secret_variable(name):
        yield value
        yield value.strip()
        if "\n" in value.strip():  # a private key; a message may quote one line of it
            yield from (line for line in value.splitlines() if len(line) >= 16)
    if "://" in value and "@" in value:
        yield from _of_url(value)


def _of_url(url: str) -> Iterator[str]:
    """The password in a URL, as variables named …_URL have it."""
    try:
        password = urlsplit(url).password
    except ValueError:
        return
    if password:
        yield password
        yield unquote(password)


def redacted(text: str) -> str:
    """`text` without secrets: known ones in any spelling, the user part of any URL, and anything
    in a place where credentials stand."""
    text = replaced(text, dict.fromkeys(known(), "***"))
    text = _URL_USER.sub("://***@", text)
    text = _AUTHORIZATION.sub(r"\1\2***", text)
    text = _HEADER.sub(r"\1\2***", text)
    return _PARAMETER.sub(r"\1***", text)


def replaced(text: str, secrets: Mapping[str, str]) -> str:
    """`text` with each secret, in any spelling, replaced by the value that it maps to."""
    for secret in sorted(secrets, key=len, reverse=True):
        instead = secrets[secret].replace("\\", r"\\")
        for anchor, pattern in _patterns(secret):
            if anchor in text:  # a cheap test before the regular expression
                text = pattern.sub(instead, text)
    return text


def is_in(text: str, secret: str) -> bool:
    """Whether `text` contains the secret, in any spelling."""
    return any(a in text and p.search(text) for a, p in _patterns(secret))


@lru_cache(maxsize=4 * _REMEMBERED)
def _patterns(secret: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """The spellings of a secret as patterns, each with a substring that every match contains."""
    whole = [secret, *_in_base64(secret)]
    found = [(_longest_plain(form), re.compile(_any_spelling(form))) for form in whole]
    if len(secret) >= 8:
        digits = secret.encode(errors="surrogatepass").hex()
        found += [(form[:6], re.compile(form)) for form in (digits, digits.upper())]
    return tuple(found)


def _longest_plain(text: str) -> str:
    return max(_PLAIN.findall(text), key=len, default="")


_PLAIN = re.compile(r"[A-Za-z0-9]+")


def _any_spelling(text: str) -> str:
    return "".join(c if _PLAIN.fullmatch(c) else _escapes_of(c) for c in text)


def _escapes_of(character: str) -> str:
    """A pattern for a character that is neither letter nor digit: unescaped, or escaped as in JSON,
    Python, a URL, HTML or a shell, once or repeatedly."""
    data = character.encode(errors="surrogatepass")
    utf16 = character.encode("utf-16-be", errors="surrogatepass").hex()
    ways = [
        r"\\*" + re.escape(character),
        "".join(rf"\\+u(?i:{utf16[i : i + 4]})" for i in range(0, len(utf16), 4)),
        "".join(f"%(?:25)*(?i:{byte:02x})" for byte in data),
        "".join(rf"\\+x(?i:{byte:02x})" for byte in data),
        rf"&(?:amp;)*#(?:0*{ord(character)}|[xX]0*(?i:{ord(character):x}));",
    ]
    if ord(character) < 256:
        ways += [rf"\\+x(?i:{ord(character):02x})", f"%(?:25)*(?i:{ord(character):02x})"]
    else:
        ways.append(rf"\\+U(?i:{ord(character):08x})")
    if character in _NAMED:
        ways.append(f"&(?:amp;)*{_NAMED[character]};")
    if character == "'":
        # It ends the shell's apostrophes, stands by itself, and begins them again.
        one, quotation, backslash = f"(?:{'|'.join(ways)})", _escapes_of('"'), _escapes_of("\\")
        ways.append(f"{one}(?:{quotation}{one}{quotation}|{backslash}{one}){one}")
    if character == " ":
        ways.append(_escapes_of("+"))  # as in a form, which may be in a URL or in JSON
    if character in _CONTROLS:
        ways.append(r"\\+" + _CONTROLS[character])
    return f"(?:{'|'.join(dict.fromkeys(ways))})"


_NAMED = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}
_CONTROLS = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f"}


def _in_base64(value: str) -> Iterator[str]:
    """The value as it appears inside base64 text, as in Basic's `user:password`, at any offset.

    Three bytes become four characters, so there are three alignments. Characters that share bits
    with the text before or after the value are left out.
    """
    data = value.encode(errors="surrogatepass")
    if len(data) < 8:
        return
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            whole = (before + len(data)) // 3 * 3 - before
            skip = (0, 2, 3)[before]
            yield encode(b"\0" * before + data[:whole]).decode()[skip:]


class _Redaction(logging.Filter):
    """Redacts what libraries log, and makes it printable: it quotes what APIs say."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = printable_lines(redacted(record.getMessage())), ()
        if record.exc_info:
            trace = logging.Formatter().formatException(record.exc_info)
            record.exc_info, record.exc_text = None, printable_lines(redacted(trace))
        return True


_redaction = _Redaction()


def log_no_secrets(*names: str) -> None:
    """Redacts everything that is logged under these names, whatever the handler."""
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
