"""A `requests` session with rate limits, retries, and limits on the size of responses."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth
from requests.utils import get_auth_from_url

from landing.errors import SettingsError
from landing.http import redirects
from landing.http.api_messages import shown_request
from landing.http.failed_answers import FailsIfGiven, failure_test
from landing.http.pacing.pace import Pace
from landing.http.retries import Retries
from landing.http.sending import Call, Sending, SignedLater

_POOL = 32
"""Connections kept to a host; threads above it work, but connect anew each time."""
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_SETTINGS = (*_PROXIES, *map(str.lower, _PROXIES), "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Variables that `requests` reads for each request."""


class Session(requests.Session):
    """`requests.Session` with auth, pace and retries as values.

    A failed request is sent again as `retries` says, and at once with new credentials after a 401
    if `auth` has a method `renew(rejected)` that returns True. The last response is returned
    whatever its status; call `raise_for_status` as usual. Responses and exceptions have
    `attempts`, the number of attempts.

    A body above `max_page_mb`, as sent or unpacked, is an error, unless the caller passes
    `stream=True` and reads it. `timeout` applies to connecting and to each piece of a response.

    `fails_if` decides which responses with a status 2xx are failures: a `FailsIf`, or its first
    argument, a path or a function. Such a response raises FailedAnswer, a
    requests.RequestException, after the retries that `retries` allows if the failure may pass.
    Bodies that the caller streams are not examined.

    A POST is sent again only if the API can't have handled it, or if the call passes
    `is_read=True`, as for searches and GraphQL queries.
    """

    def __init__(
        self,
        auth: AuthBase | tuple[str, str] | None = None,
        pace: Pace | None = None,
        retries: Retries | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 60.0,
        max_page_mb: float = 64.0,
        fails_if: FailsIfGiven = None,
    ) -> None:
        super().__init__()
        self.auth = auth
        self.pace = pace or Pace()
        self.retries = retries or Retries()
        self.timeout = timeout
        self.max_page_mb = max_page_mb
        self.fails_if = failure_test(fails_if)
        self.headers.update(headers or {})
        for scheme in ("https://", "http://"):
            self.mount(scheme, HTTPAdapter(pool_connections=_POOL, pool_maxsize=_POOL))
        self._of_environment: dict[str, Any] = {}

    def request(
        self,
        method: str | bytes,
        url: str | bytes,
        *arguments: Any,
        is_read: bool = False,
        cost: int | None = None,
        fails_if: FailsIfGiven = None,
        **options: Any,
    ) -> requests.Response:
        """As in `requests`; `is_read`, `cost` and `fails_if` apply to this request alone."""
        with _calling(Call(is_read, cost, failure_test(fails_if))):
            return super().request(method, url, *arguments, **options)

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """The request without credentials, which are added to each attempt anew."""
        auth = request.auth or self.auth
        if auth is None and any(of_url := get_auth_from_url(str(request.url))):
            auth = of_url
        anonymous = copy.copy(request)
        anonymous.auth = lambda prepared: prepared  # None would have requests look into .netrc
        prepared = super().prepare_request(anonymous)
        return SignedLater.of(prepared, HTTPBasicAuth(*auth) if isinstance(auth, tuple) else auth)

    def merge_environment_settings(
        self, url: str | bytes | None, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> Any:
        """As in `requests`, which reads all variables twice a request to find those of proxies; a
        pod may have hundreds. This repeats it only if one of them has changed."""
        given = (self.trust_env, self.proxies, self.stream, self.verify, self.cert)
        environment = tuple(map(os.environ.get, _SETTINGS))
        key = repr((urlsplit(url)[:2], proxies, stream, verify, cert, given, environment))
        if key not in self._of_environment:
            self._of_environment[key] = super().merge_environment_settings(
                url, proxies, stream, verify, cert
            )
        merged = self._of_environment[key]
        return {**merged, "proxies": dict(merged["proxies"])}

    def send(
        self,
        request: requests.PreparedRequest,
        *,
        is_read: bool = False,
        cost: int | None = None,
        fails_if: FailsIfGiven = None,
        allow_redirects: bool = True,
        stream: bool | None = None,
        **options: Any,
    ) -> requests.Response:
        own = Call(is_read, cost, failure_test(fails_if))
        call = own if own != Call() else _call.get() or own
        is_stream = self.stream if stream is None else stream
        options["timeout"] = options.get("timeout") or self.timeout
        if not (self.verify and options.setdefault("verify", self.verify)):
            raise SettingsError(
                f"{shown_request(request.method, request.url)}: a landing Session always verifies "
                "certificates; to trust a server's own, name the file with its CA in "
                "REQUESTS_CA_BUNDLE"
            )
        with _calling(call):  # for the hops of a redirect too
            response = Sending(self, request, call, is_stream, dict(options)).response()
            if not allow_redirects:
                return response
            onward = self.resolve_redirects(response, response.request, is_stream, **options)
            hops: list[requests.Response] = [response, *onward]
        response = hops.pop()
        response.history = hops
        return response

    def resolve_redirects(
        self, resp: requests.Response, req: requests.PreparedRequest, *arguments: Any, **named: Any
    ) -> Iterator[Any]:
        # Asked for the next request alone, `requests` would read this one's body without a bound.
        if named.get("yield_requests"):
            return iter(())
        hops: Iterator[Any] = super().resolve_redirects(resp, req, *arguments, **named)
        return hops

    def rebuild_auth(
        self, prepared_request: requests.PreparedRequest, response: requests.Response
    ) -> None:
        first = (response.history or [response])[0].request
        if redirects.goes_elsewhere(self, first, prepared_request):
            redirects.rebuild_auth(self, prepared_request, response)
            if isinstance(prepared_request, SignedLater):
                prepared_request.auth = None

    def send_once(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Makes one attempt, and reads only the status and headers of its response."""
        response: requests.Response = super().send(
            request, stream=True, allow_redirects=False, **options
        )
        return response


_call: ContextVar[Call | None] = ContextVar("landing_call", default=None)


@contextmanager
def _calling(call: Call) -> Iterator[None]:
    token = _call.set(call)
    try:
        yield
    finally:
        _call.reset(token)
