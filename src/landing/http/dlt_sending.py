"""Wraps the private method with which dlt's REST client sends a request, and its paging by offset.

It is not in `dlt_client`, because it is imported while the client's module is being imported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dlt.sources.helpers.rest_client.client import RESTClient
from dlt.sources.helpers.rest_client.exceptions import IgnoreResponseException
from dlt.sources.helpers.rest_client.paginators import OffsetPaginator
from requests import Request, Response

from landing.http import traffic
from landing.http.paging.totals import USUAL_SIZES

_send_request = RESTClient._send_request
_update_state = OffsetPaginator.update_state


def check_requests(check: Callable[[Request], None]) -> None:
    """Have every RESTClient of this process call `check` before it sends a request; `check` raises
    if the request must not be sent."""

    def send(self: RESTClient, request: Request, **options: Any) -> Response:
        check(request)
        try:
            return _send_request(self, request, **options)
        except IgnoreResponseException:  # an error that the source names in response_actions
            traffic.current().answers.settle()
            raise

    RESTClient._send_request = send  # type: ignore[method-assign]


def count_offsets_in_rows() -> None:
    """Have dlt's paging by offset go on after the rows of pages that are all of a usual size below
    the limit. It adds the limit, and so leaves rows out if the API caps it."""

    def update_state(
        self: OffsetPaginator, response: Response, data: list[Any] | None = None
    ) -> None:
        # A page of one item may be an object that has the rows.
        step, rows = self.value_step, len(data or ())
        cap = vars(self).setdefault("landing_cap", rows)
        if 1 < rows == cap < step and rows in USUAL_SIZES:
            self.value_step = rows
        try:
            _update_state(self, response, data)
        finally:
            self.value_step = step

    OffsetPaginator.update_state = update_state  # type: ignore[method-assign, assignment]
