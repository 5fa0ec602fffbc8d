"""Wraps the private parts of dlt's REST client that the client kit uses.

`tests/test_dlt_bridge.py` has a test for each assumption, as for `extraction/dlt_bridge.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dlt.sources.helpers.rest_client.client import RESTClient
from dlt.sources.helpers.rest_client.paginators import BasePaginator
from requests import Request, Response


class CheckedClient(RESTClient):
    """dlt's REST client; an error status raises requests.HTTPError."""

    def request_for(
        self, path: str, method: str, *, headers: Mapping[str, str], params: Mapping[str, Any]
    ) -> Request:
        return self._create_request(
            path,
            method,  # type: ignore[arg-type]
            headers=dict(headers),
            params=dict(params),
        )

    def send_unchecked(self, request: Request, **options: Any) -> Response:
        return super()._send_request(request, **options)

    def _send_request(self, request: Request, **options: Any) -> Response:
        response = self.send_unchecked(request, **options)
        response.raise_for_status()
        return response


def end_paging(paginator: BasePaginator) -> None:
    paginator._has_next_page = False
