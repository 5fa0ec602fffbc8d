"""Keeps credentials from following a redirect to another host."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import requests
from requests.auth import AuthBase
from requests.cookies import RequestsCookieJar
from requests.sessions import SessionRedirectMixin

from landing import secrets
from landing.http.retries import GaveUp
from landing.http.spelling import names_in

# Headers that have no credentials.
_HARMLESS = frozenset(
    names_in(
        "accept accept-charset accept-encoding accept-language cache-control connection "
        "content-encoding content-length content-type if-modified-since if-none-match pragma "
        "range transfer-encoding user-agent"
    )
)
_rebuild_auth_of_requests = SessionRedirectMixin.rebuild_auth


def guard() -> None:
    """Make every session of `requests` in this process remove credentials on a redirect to another
    host: headers of any name, cookies, parameters of the address, and auth values.

    `requests` itself removes only `Authorization`, and sends `X-API-Key` to the other host.
    `landing.http.Session` guards itself; the patch is for the plain sessions of a source, and for
    subclasses such as dlt's, which have none of our adapters.
    """
    SessionRedirectMixin.rebuild_auth = rebuild_auth  # type: ignore[method-assign]


def rebuild_auth(
    session: SessionRedirectMixin,
    prepared_request: requests.PreparedRequest,
    response: requests.Response,
) -> None:
    """Called by `requests` for each redirect, with the request that is about to be sent."""
    first = (response.history or [response])[0].request
    if not goes_elsewhere(session, first, prepared_request):
        _rebuild_auth_of_requests(session, prepared_request, response)  # type: ignore[no-untyped-call]
        return
    if prepared_request.body:
        raise GaveUp(
            "was redirected to another host together with its body, which may hold credentials; "
            "use the final address",
            request=response.request,
            response=response,
        )
    headers = prepared_request.headers
    for name in [name for name in headers if name.lower() not in _HARMLESS]:
        del headers[name]
    prepared_request.url = _without_credentials(str(prepared_request.url), str(first.url))
    prepared_request.hooks = {
        event: [hook for hook in hooks if not isinstance(getattr(hook, "__self__", hook), AuthBase)]
        for event, hooks in prepared_request.hooks.items()
    }
    jar = _cookies_of_the_host(prepared_request, str(first.url))
    prepared_request._cookies = jar  # type: ignore[attr-defined]
    prepared_request.prepare_cookies(jar)


def goes_elsewhere(
    session: SessionRedirectMixin,
    first: requests.PreparedRequest,
    request: requests.PreparedRequest,
) -> bool:
    """Whether scheme, host or port differ from those of the first request.

    A redirect from http to https on the same host and the usual ports does not count.
    """
    return bool(session.should_strip_auth(str(first.url), str(request.url)))  # type: ignore[no-untyped-call]


def _cookies_of_the_host(request: requests.PreparedRequest, first_url: str) -> RequestsCookieJar:
    """The cookies that the redirect's target host has set itself, in this chain or before it."""
    kept = RequestsCookieJar()
    # Cookies have no port, so those of two servers on one host can't be distinguished.
    if urlsplit(str(request.url)).hostname != urlsplit(first_url).hostname:
        for cookie in getattr(request, "_cookies", None) or ():
            if cookie.domain and not cookie.domain_specified:
                kept.set_cookie(cookie)
    return kept


def _without_credentials(url: str, first_url: str) -> str:
    """`url` without parameters that the server copied from the first URL and that look like
    keys."""
    parts = urlsplit(url)
    sent = set(parse_qsl(urlsplit(first_url).query, keep_blank_values=True))
    known = secrets.known()
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    kept = [
        (name, value)
        for name, value in pairs
        if value not in known and not ((name, value) in sent and secrets.is_secret_name(name))
    ]
    if len(kept) == len(pairs):
        return url
    return urlunsplit(parts._replace(query=urlencode(kept)))
