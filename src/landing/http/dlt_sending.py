"""Wraps the private method with which dlt's REST client sends a request.

It is not in `dlt_client`, because it is imported while the client's module is being imported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dlt.sources.helpers.rest_client.client import RESTClient
from requests import Request, Response

_send_request = RESTClient._send_request


def check_requests(check: Callable[[Request], None]) -> None:
    """Have every RESTClient of this process call `check` before it sends a request; `check` raises
    if the request must not be sent."""

    def send(self: RESTClient, request: Request, **options: Any) -> Response:
        check(request)
        return _send_request(self, request, **options)

    RESTClient._send_request = send  # type: ignore[method-assign]
