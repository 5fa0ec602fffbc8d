"""Decides which failed requests are sent again, and after how long."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass, field

import requests
from requests.exceptions import ChunkedEncodingError, ConnectTimeout, ContentDecodingError, SSLError
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError, ProxyError

from landing.http.server_times import seconds_until, sent_at

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})  # RFC 9110, 9.2.2
_NOT_WORTH_IT = frozenset({501, 505, 506, 508, 510, 511})
_TRANSIENT = frozenset({408, 425, 429})


class GaveUp(requests.RequestException):
    """The client kit gave a request up. `str()` continues a sentence that begins with the
    request."""


class FailedAnswer(GaveUp):
    """A response that reports a failure in its body. `passes` if the same request may succeed
    later; `wait` is the number of seconds to wait, if the API states one."""

    def __init__(
        self, message: str, *, response: requests.Response, passes: bool, wait: float | None = None
    ) -> None:
        super().__init__(message, response=response)
        self.passes = passes
        self.wait = wait


@dataclass(frozen=True)
class Retries:
    """When and how often failed requests are sent again: after 408, 425, 429, 5xx, timeouts and
    broken connections.

    The wait is random between zero and a bound that doubles from `base` up to `longest_wait`
    (full jitter), or as long as the API's `Retry-After` says. A request that may have had an
    effect is sent again only for `methods`; one that the API refused to handle always is.
    """

    total: int = 5
    """Attempts after the first."""
    deadline: float = 300.0
    """Seconds for a request with all its attempts, without the wait for the rate limiter. If a
    wait would exceed it, the request fails at once."""
    base: float = 1.0
    longest_wait: float = 60.0
    methods: frozenset[str] = field(default=IDEMPOTENT)
    final: Collection[int] = ()
    """Statuses after which a request is never sent again, such as 500 if the API answers so to a
    wrong request."""

    def wait(self, attempt: int) -> float:
        """Seconds to wait after attempt number `attempt`, counted from 1."""
        return random.uniform(0.0, min(self.longest_wait, self.base * 2.0 ** (attempt - 1)))

    def cause(
        self, method: str, outcome: requests.Response | requests.RequestException, *, is_read: bool
    ) -> str | None:
        """The cause of a retry, as a status or a word; None if there should be none."""
        may_repeat = is_read or method.upper() in self.methods
        if isinstance(outcome, requests.Response):
            if outcome.status_code in self.final:
                return None
            if is_read and outcome.status_code in NO_PAGE:
                return str(outcome.status_code)
            return _of_response(outcome, may_repeat=may_repeat)
        return _of_error(outcome, may_repeat=may_repeat)


NO_RETRIES = Retries(total=0)
NO_PAGE = frozenset({202, 205, 304})
"""Accepted but not ready; reset content; not modified, although no request was conditional."""


def _of_response(response: requests.Response, *, may_repeat: bool) -> str | None:
    status = response.status_code
    if is_rate_limited(response):
        return str(status)
    transient = status in _TRANSIENT or (status >= 500 and status not in _NOT_WORTH_IT)
    return str(status) if transient and may_repeat else None


def is_rate_limited(response: requests.Response) -> bool:
    """Whether the API refused to handle the request for now, so that it had no effect."""
    headers = response.headers
    match response.status_code:
        case 429:
            return True
        case 503:
            return "Retry-After" in headers
        case 403:  # as GitHub answers
            return "Retry-After" in headers or headers.get("X-RateLimit-Remaining") == "0"
    return False


def _of_error(error: requests.RequestException, *, may_repeat: bool) -> str | None:
    if isinstance(error, FailedAnswer):
        return "failed answer" if error.passes and may_repeat else None
    if isinstance(error, GaveUp | SSLError):
        return None
    if _never_arrived(error):
        return "no connection"
    if not may_repeat:
        return None
    if isinstance(error, requests.Timeout):
        return "timeout"
    if isinstance(error, ChunkedEncodingError | ContentDecodingError):
        return "cut off"
    if isinstance(error, requests.ConnectionError):
        return "connection lost"
    return None


def _never_arrived(error: requests.RequestException) -> bool:
    """Whether no connection came about, so that the API has seen nothing of the request."""
    if isinstance(error, ConnectTimeout):
        return True
    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    return isinstance(reason, NewConnectionError | ConnectTimeoutError | ProxyError)


def retry_after(outcome: requests.Response | requests.RequestException) -> float | None:
    """Seconds that the API asks to wait, in whatever form it says so; None if it doesn't."""
    if isinstance(outcome, FailedAnswer) and outcome.wait is not None:
        return outcome.wait
    response = outcome if isinstance(outcome, requests.Response) else outcome.response
    if response is None:
        return None
    headers = response.headers
    return seconds_until(headers.get("Retry-After", ""), sent_at(headers))
