"""Next links of dlt's RESTClient that lead to another host, which no request follows."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import requests
from dlt.sources.helpers.rest_client.client import RESTClient

from landing.http.retries import GaveUp

_FIRST = "_landing_first_url"
_send_request = RESTClient._send_request


def guard() -> None:
    """Make every RESTClient in this process end its paging where a next link leads elsewhere.

    It sends its auth, headers and cookies to whatever address an answer names as the next page.
    """
    RESTClient._send_request = _send_to_one_host  # type: ignore[method-assign]


def _send_to_one_host(
    self: RESTClient, request: requests.Request, **options: Any
) -> requests.Response:
    """`request` is the same object for all pages, and its paginator changes the address."""
    first = vars(request).setdefault(_FIRST, str(request.url))
    then = str(request.url)
    with requests.Session() as session:
        goes_elsewhere = session.should_strip_auth(first, then)  # type: ignore[no-untyped-call]
    if goes_elsewhere:
        raise GaveUp(
            f"gave a link to the next page on another host, {urlsplit(then).netloc}, which would "
            "get the credentials; nothing was sent there: page by a cursor, or make that host "
            "the base_url",
            request=requests.Request(request.method, first).prepare(),
        )
    return _send_request(self, request, **options)
