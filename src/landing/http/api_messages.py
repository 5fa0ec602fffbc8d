"""An API's own message about a failure, as one short, printable line without secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from landing.http.spelling import names_in
from landing.secrets import redacted

if TYPE_CHECKING:
    from requests import RequestException, Response

_LONGEST = 300
_READ = 64 * 1024
KEYS = names_in(
    "error_description message detail error_message errorMessage error errors title description "
    "reason fault faultstring msg code"
)
"""Keys under which APIs say what is wrong, the most specific first; each may have others inside."""
FAILURES = names_in("error_description error_message errorMessage error errors fault faultstring")
"""Keys that mean a failure even in a record."""
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")
"""What OpenSSL says, depending on its version, if the server's answer is no TLS."""
_MESSAGES = ("message", "detail", "msg")


def shown_request(method: object, url: object) -> str:
    """Method and URL, without user and query, which may contain a key."""
    parts = urlsplit(str(url))
    return f"{method} {parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def tls_fault(error: RequestException) -> str | None:
    """Why a request found no TLS connection; None for another error."""
    from requests.exceptions import SSLError

    if not isinstance(error, SSLError):
        return None
    found = str(error).upper().replace(" ", "_")
    if "CERTIFICATE_VERIFY_FAILED" in found:
        return "the server's TLS certificate is not trusted"
    if any(fault in found for fault in _NO_TLS):
        return "the server does not speak TLS on this port; does its address begin with http://?"
    return "the TLS handshake failed; does the server need another version or a certificate?"


def message_of(response: Response | None) -> str:
    """The message in a response that was read; empty if it has none, or is a web page."""
    content = getattr(response, "_content", None)
    if not isinstance(content, bytes) or not content.strip():
        return ""
    try:
        return message_in(decoded(content))
    except ValueError:
        pass  # it is text
    text = content[:_READ].decode(errors="replace").strip()
    return "" if text.startswith(("<", "{", "[")) else _line(text)


def answered(response: Response) -> str:
    """`401 Unauthorized (no such user)`."""
    message = message_of(response)
    status = f"{response.status_code} {response.reason or ''}".strip()
    return f"{status} ({message})" if message else status


def message_in(value: Any) -> str:
    """The message in a decoded response, or in a part of it."""
    return _line(_found(value) or msgspec.json.encode(value, enc_hook=repr).decode())


def failure_in(value: Any) -> str:
    """The message about a failure in a decoded response with a status 2xx; empty if it may be
    records, whose values are private."""
    if not isinstance(value, Mapping):
        return ""
    keys = FAILURES if "id" in value else (*FAILURES, *_MESSAGES)
    return _line(_found({key: value[key] for key in keys if key in value}))


def decoded(content: bytes) -> Any:
    """The body as JSON, which may have NaN. Raises ValueError if it is something else."""
    try:
        return msgspec.json.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        try:
            return json.loads(content)
        except RecursionError as error:
            raise ValueError(str(error)) from None


def _found(value: Any, depth: int = 0) -> str:
    if isinstance(value, str):
        return value.strip()
    if depth == 6:
        return ""
    if isinstance(value, list):
        return next(filter(None, (_found(each, depth + 1) for each in value)), "")
    if isinstance(value, Mapping):
        inside = (_found(value[key], depth + 1) for key in KEYS if key in value)
        return next(filter(None, inside), "")
    return ""


def _line(text: str) -> str:
    """The first line, redacted before it is cut: half a secret would not be recognized."""
    first = redacted(text[:_READ]).strip().partition("\n")[0]
    printable = "".join(char if char.isprintable() else " " for char in first)
    shown = " ".join(printable.split())
    return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…"
