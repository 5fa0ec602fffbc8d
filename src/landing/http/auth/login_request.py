"""The request of a login, for which all threads wait: tried again a few times, then explained."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count
from typing import Any

import requests
from requests import Response

from landing import secrets
from landing.errors import ApiError
from landing.http.api_messages import answered, tls_fault
from landing.http.retries import Retries, retry_after

TIMEOUT = (10, 30)
_RETRIES = Retries(total=2, base=0.5, longest_wait=10.0)


def logged_in(log_in: Callable[[requests.Session], Response], shown: str) -> tuple[Response, Any]:
    """The answer to a login, and the cookies that it set. Raises ApiError if it fails.

    A login changes nothing, so it is retried like a read.
    """
    with requests.Session() as session:
        try:
            response = _last_answer(log_in, session)
        except requests.RequestException as error:
            name = type(error).__name__
            why = tls_fault(error) or f"{name}; is the API up and the address right?"
            raise ApiError(f"login at {shown} failed: {why}") from None
    if response.status_code >= 400:
        is_busy = response.status_code == 429 or response.status_code >= 500
        hint = "try again later" if is_busy else "check the source's user and password"
        raise ApiError(f"login at {shown} answered {answered(response)}: {hint}")
    return response, session.cookies


def _last_answer(
    log_in: Callable[[requests.Session], Response], session: requests.Session
) -> Response:
    for attempt in count(1):
        try:
            outcome: Response | requests.RequestException = log_in(session)
        except requests.RequestException as error:
            outcome = error
        requested = retry_after(outcome) if isinstance(outcome, Response) else None
        wait = max(_RETRIES.wait(attempt), requested or 0.0)
        is_final = _RETRIES.cause("POST", outcome, is_read=True) is None
        if is_final or attempt > _RETRIES.total or wait > _RETRIES.longest_wait:
            break
        session.cookies.clear()
        time.sleep(wait)
    if isinstance(outcome, requests.RequestException):
        raise outcome
    return outcome


def register_secrets(*sent: Any) -> None:
    """Of what a login sends, the values whose names mark them as secrets, such as `password`."""
    found = (value for name, value in secrets.members(sent) if secrets.is_secret_name(name))
    texts = [value for value in found if isinstance(value, str)]
    secrets.register_lasting(*texts, what="a credential of the login")
