"""An API: its address, credentials, pace and retries, and the pages of its endpoints."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from requests import Request, Response
from requests.auth import AuthBase

from landing.environment import variables
from landing.errors import ApiError, SettingsError
from landing.http import traffic
from landing.http.bodies import Body, Json, Page
from landing.http.dlt_client import CheckedClient
from landing.http.failed_answers import FailsIfGiven, FailureTest, NoBody, failure_test
from landing.http.gone import unless_gone
from landing.http.graphql import Connection, GraphQLErrors
from landing.http.pacing.pace import Pace
from landing.http.paging.pointers import AssumedSinglePage, CursorPages, Paging, pages_of
from landing.http.paging.variations import varied
from landing.http.query import Query
from landing.http.retries import Retries
from landing.http.session import Session


class Api(CheckedClient):
    """An API. It is dlt's RESTClient, with the client kit's session.

        api = Api(os.environ["SHOP_URL"], auth=Bearer(os.environ["SHOP_TOKEN"]))
        yield from api.pages("orders", records="data", paging=OffsetPages(500))

    Paths are relative to `base_url`. An error status raises requests.HTTPError. Raises
    SettingsError if `base_url` has no scheme.
    """

    def __init__(
        self,
        base_url: str,
        *,
        auth: AuthBase | None = None,
        pace: Pace | None = None,
        retries: Retries | None = None,
        headers: Mapping[str, str] | None = None,
        session: Session | None = None,
        fails_if: FailsIfGiven = None,
    ) -> None:
        made = session or Session(
            auth=auth, pace=pace, retries=retries, headers=headers, fails_if=fails_if
        )
        super().__init__(_with_scheme(base_url), session=made)
        self.session: Session = made

    def pages(
        self,
        path: str,
        *,
        records: str | Body = "",
        paging: Paging | None = None,
        params: Mapping[str, Any] | None = None,
        json: Mapping[str, Any] | None = None,
        method: str | None = None,
        headers: Mapping[str, str] | None = None,
        ignore_more: Sequence[str] = (),
        fails_if: FailsIfGiven = None,
        gone: Collection[int] | None = None,
    ) -> Iterator[Page]:
        """Requests the endpoint's pages one after another. Empty pages are left out.

        `records` is the path of the list of records in a JSON body, or another kind of body, such
        as `Csv()`. Without `paging`, the endpoint has one page. With `json`, requests are POSTs,
        and paging parameters are paths in that body; otherwise they are in the URL.

        It is an error if paging ends, but the response says that there is more. `ignore_more`
        lists members or headers, such as "total", that mean something else in this API. `fails_if`
        replaces the session's test for responses that are failures despite a status 2xx.

        `gone` lists statuses of the first page that mean that the list's owner was deleted. Such a
        list is skipped, and the run counts it. The default is 404 and 410 in a transformer's
        function, and nothing elsewhere; with `()` every such status is an error.
        """
        method = method or ("GET" if json is None else "POST")
        request = self.request_for(path, method, headers=headers or {}, params=params or {})
        request.json = None if json is None else dict(json)
        body = Json(records) if isinstance(records, str) else records
        most_bytes = int(self.session.max_page_mb * 1024 * 1024)
        send = partial(self._answer, failure_test(fails_if))
        query = Query(send, request, body, most_bytes, tuple(ignore_more))
        return self._read(paging or AssumedSinglePage(), query, gone)

    def _read(self, paging: Paging, query: Query, gone: Collection[int] | None) -> Iterator[Page]:
        traffic.current().reads()
        pages = unless_gone(partial(pages_of, *varied(paging, query)), gone)
        yield from (page for page in pages if page)
        traffic.current().answers.settle()

    def graphql(
        self,
        query: str,
        connection: str,
        *,
        variables: Mapping[str, Any] | None = None,
        path: str = "graphql",
        cursor: str = "after",
        ignore_more: Sequence[str] = (),
    ) -> Iterator[Page]:
        """Requests the nodes of a connection, page by page.

        `connection` is its path in the response's data. The query has to select
        `pageInfo { hasNextPage endCursor }` and `nodes` or `edges { node }`, and to pass the
        variable named by `cursor` to the connection. Raises ApiError if a response has errors;
        after an error that limits the rate, the request is sent again first.
        """
        place = f"data.{connection}.pageInfo"
        paging = CursorPages(
            f"{place}.endCursor", f"variables.{cursor}", has_more=f"{place}.hasNextPage"
        )
        document = {"query": query, "variables": dict(variables or {})}
        body = Connection(connection)
        return self.pages(
            path,
            records=body,
            paging=paging,
            json=document,
            ignore_more=ignore_more,
            fails_if=GraphQLErrors(),
        )

    def _answer(
        self, fails_if: FailureTest | None, request: Request, allowed: int | None, is_promised: bool
    ) -> Response:
        if is_promised:
            fails_if = NoBody(fails_if or self.session.fails_if)
        # Paging only reads, even by POST, so any of its requests may be sent again.
        response = self.send_unchecked(request, is_read=True, fails_if=fails_if)
        if response.status_code == allowed:
            return response
        response.raise_for_status()
        if not 200 <= response.status_code < 300 or response.status_code == 205:
            raise ApiError(
                f"{request.method} {str(response.url).partition('?')[0]} answered "
                f"{response.status_code} {response.reason}, which neither has rows nor ends a "
                "list: fix the API, or the cache or gateway in front of it"
            )
        if response.status_code == 202 and 202 not in self.session.retries.final:
            raise ApiError(
                f"{request.method} {str(response.url).partition('?')[0]} still answered 202 "
                "Accepted, so the list is not ready; the next run asks again. If it is the list "
                "all the same, pass Retries(final=[202]) to the Api"
            )
        return response


def _with_scheme(base_url: str) -> str:
    """`base_url`, if it has a scheme. The error names the variable that it came from."""
    if not (base_url or "").strip() or base_url.lower().startswith(("https://", "http://")):
        return base_url
    name = next((name for name, value in variables().items() if value == base_url), None)
    where = f" ({name})" if name else ""
    shown = base_url.rpartition("@")[2]
    raise SettingsError(f"the API's address '{shown}'{where} has to begin with https:// or http://")
