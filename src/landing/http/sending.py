"""Sends one request: credentials, rate limit, retries, and limits on the response's body."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

import requests
from requests.exceptions import ChunkedEncodingError, ContentDecodingError
from urllib3.exceptions import DecodeError, ProtocolError, ReadTimeoutError
from urllib3.exceptions import SSLError as TransportSSLError

from landing.events import RequestDelayed, RequestMade
from landing.http import traffic
from landing.http.failed_answers import FailureTest
from landing.http.retries import GaveUp, retry_after
from landing.http.whole_bodies import check_unpackable, check_whole

if TYPE_CHECKING:
    from landing.http.session import Session

_CHUNK = 64 * 1024
_SIGNED_FOR = 0.1
"""Seconds of waiting for the rate limiter after which credentials are made anew."""
_REPORTED_WAIT = 0.5
"""Waits shorter than this many seconds are not shown."""


class SignedLater(requests.PreparedRequest):
    """A prepared request, with the auth that adds its credentials when it is sent."""

    auth: Callable[[requests.PreparedRequest], requests.PreparedRequest] | None = None

    @classmethod
    def of(cls, request: requests.PreparedRequest, auth: Any) -> SignedLater:
        made = cls()
        vars(made).update(vars(request))
        made.auth = auth
        return made

    def copy(self) -> SignedLater:
        return self.of(super().copy(), self.auth)

    def signed(self) -> requests.PreparedRequest:
        """A copy with current credentials."""
        if self.auth is None:
            return self.copy()
        signed = self.copy()
        vars(signed).update(vars(self.auth(signed)))
        signed.prepare_content_length(signed.body)
        return signed


@dataclass(frozen=True)
class Call:
    """The options that the caller passed with one request."""

    is_read: bool = False
    cost: int | None = None
    fails_if: FailureTest | None = None


class Sending:
    """One request with all its attempts, of which `response` returns the last."""

    def __init__(
        self,
        session: Session,
        request: requests.PreparedRequest,
        call: Call,
        is_stream: bool,
        options: dict[str, Any],
    ) -> None:
        self._session = session
        self._request = request
        self._auth = request.auth if isinstance(request, SignedLater) else None
        self._is_read = call.is_read
        self._cost = session.pace.price(request) if call.cost is None else call.cost
        self._fails_if = call.fails_if or session.fails_if
        self._is_stream = is_stream
        self._requested_timeout = options.pop("timeout")
        self._options = options
        self._began = time.monotonic()
        self._paced = 0.0
        self._size = 0
        self._is_renewed = False
        self._retried: str | None = None
        self._traffic = traffic.current()

    def response(self) -> requests.Response:
        """The response of the last attempt; raises what the last attempt raised."""
        for attempt in count(1):
            begun, paced = time.monotonic(), self._paced
            outcome = self._attempt()
            took = time.monotonic() - begun
            outcome.attempts = attempt  # type: ignore[union-attr]
            self._retried = None
            wait = self._wait_before_next(attempt, outcome)
            self._observed(outcome, took, self._paced - paced, wait)
            if wait is None:
                break
            if isinstance(outcome, requests.Response):
                outcome.close()
            self._sleep(wait)
        if isinstance(outcome, requests.RequestException):
            raise outcome
        return outcome

    def _attempt(self) -> requests.Response | requests.RequestException:
        # A token is obtained before the wait for the rate limiter, since that may take long and
        # fail; a signature, which contains the time, is made after it.
        request = self._signed()
        limiter = self._session.pace.limiter(str(request.url))
        deadline = self._session.retries.deadline
        self._size = 0
        try:
            with limiter.acquire(self._cost, deadline, self._wait) as paced:
                self._paced += paced
                self._traffic.sent(paced)
                if paced > _SIGNED_FOR:
                    request = self._signed()
                response = self._session.send_once(
                    request, **self._options, timeout=self._timeout()
                )
                limiter.answered(response)
                if self._is_stream and not response.is_redirect:
                    return response
                self._read(response)
                failed = self._fails_if.failure(response) if self._fails_if else None
                if failed is not None and failed.passes and failed.wait:
                    limiter.hold(failed.wait)
                return failed or response
        except requests.RequestException as error:
            error.request = error.request or request
            return error

    def _signed(self) -> requests.PreparedRequest:
        return self._request.signed() if isinstance(self._request, SignedLater) else self._request

    def _wait_before_next(
        self, attempt: int, outcome: requests.Response | requests.RequestException
    ) -> float | None:
        """Seconds until the next attempt; None if this was the last."""
        if not self._can_be_sent_again():
            return None
        if self._is_refused(outcome) and not self._is_renewed:
            self._is_renewed = True
            if self._auth.renew(outcome.request):  # type: ignore[union-attr]
                return self._again("401", 0.0)
        retries = self._session.retries
        method = str(self._request.method)
        cause = retries.cause(method, outcome, is_read=self._is_read)
        if cause is None or attempt > retries.total:
            return None
        after = retry_after(outcome)
        wait = retries.wait(attempt) if after is None else after + random.uniform(0.0, retries.base)
        if self._elapsed() + wait > retries.deadline:
            return None
        return self._again(cause, wait)

    def _again(self, cause: str, wait: float) -> float:
        self._retried = cause
        self._traffic.retried(cause, wait)
        return wait

    def _observed(
        self,
        outcome: requests.Response | requests.RequestException,
        took: float,
        paced: float,
        wait: float | None,
    ) -> None:
        answer = outcome if isinstance(outcome, requests.Response) else outcome.response
        self._traffic.emit(
            RequestMade(
                self._traffic.stream,
                method=str(self._request.method),
                url=str(self._request.url),
                status=None if answer is None else answer.status_code,
                seconds=max(0.0, took - paced),
                paced=paced,
                retried=self._retried,
                retry_wait=wait or 0.0,
                size=self._size,
            )
        )

    def _is_refused(self, outcome: requests.Response | requests.RequestException) -> bool:
        return (
            isinstance(outcome, requests.Response)
            and outcome.status_code == 401
            and hasattr(self._auth, "renew")
        )

    def _timeout(self) -> Any:
        requested = self._requested_timeout
        left = max(1.0, self._session.retries.deadline - self._elapsed())
        return min(requested, left) if isinstance(requested, int | float) else requested

    def _can_be_sent_again(self) -> bool:
        return self._request.body is None or isinstance(self._request.body, bytes | str)

    def _wait(self, seconds: float) -> None:
        """Wait before an attempt."""
        if seconds >= _REPORTED_WAIT:
            self._traffic.emit(RequestDelayed(self._traffic.stream, seconds))
        self._sleep(seconds)

    def _sleep(self, seconds: float) -> None:
        if not self._traffic.sleep(seconds):
            raise GaveUp("was not sent, since its stream has ended", request=self._request)

    def _elapsed(self) -> float:
        return time.monotonic() - self._began - self._paced

    def _read(self, response: requests.Response) -> None:
        """Read the body, within the limits on its size and the time for it."""
        most = int(self._session.max_page_mb * 1024 * 1024)
        pieces = []
        size = 0
        try:
            check_unpackable(response)
            while piece := self._piece(response):
                pieces.append(piece)
                size += len(piece)
                if max(size, response.raw.tell()) > most:
                    raise GaveUp(
                        f"answered with more than {self._session.max_page_mb:g} MB; ask for "
                        "smaller pages, or give the Session a larger max_page_mb"
                    )
                if self._elapsed() > self._session.retries.deadline:
                    raise GaveUp(
                        f"had not answered in full after {self._session.retries.deadline:g} s; "
                        "ask for smaller pages, or give Retries a longer deadline"
                    )
            check_whole(response)
        except BaseException:
            response.close()
            raise
        finally:
            self._size = response.raw.tell()
            self._traffic.received(self._size)
        # As `Response.content` leaves it.
        response._content = b"".join(pieces)
        response._content_consumed = True  # type: ignore[attr-defined]

    def _piece(self, response: requests.Response) -> bytes:
        """The bytes that have arrived, up to a bound, without waiting for more."""
        try:
            return bytes(response.raw.read1(_CHUNK, decode_content=True) or b"")
        except (ProtocolError, TransportSSLError) as error:
            # Its certificate was verified before, so what fails here is the connection.
            raise ChunkedEncodingError(error, response=response) from error
        except DecodeError as error:
            raise ContentDecodingError(error, response=response) from error
        except ReadTimeoutError as error:
            raise requests.ReadTimeout(error, response=response) from error
