"""Next links of dlt's RESTClient that lead to another host, which no request follows."""

from __future__ import annotations

from urllib.parse import urlsplit

import requests

from landing.http.dlt_client import check_requests
from landing.http.retries import GaveUp

_FIRST = "_landing_first_url"


def guard() -> None:
    """Make every RESTClient in this process end its paging where a next link leads elsewhere.

    It sends its auth, headers and cookies to whatever address an answer names as the next page.
    """
    check_requests(_stays_on_one_host)


def _stays_on_one_host(request: requests.Request) -> None:
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
