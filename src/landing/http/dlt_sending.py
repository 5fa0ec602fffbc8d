"""The one private method by which dlt's REST client sends a request.

Apart from `dlt_client`, since it is imported while that module imports the client.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dlt.sources.helpers.rest_client.client import RESTClient
from requests import Request, Response

_send_request = RESTClient._send_request


def check_requests(check: Callable[[Request], None]) -> None:
    """Call `check` with each request before any RESTClient of this process sends it; it raises if
    it must not be sent."""

    def send(self: RESTClient, request: Request, **options: Any) -> Response:
        check(request)
        return _send_request(self, request, **options)

    RESTClient._send_request = send  # type: ignore[method-assign]
