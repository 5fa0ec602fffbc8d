"""Paging by links and cursors, as values that are passed to `Api.pages`.

The paging kinds here, like any paginator of dlt's `rest_client`, find the next page in the response
with the one before. Paging by key is in `keysets`, by offset or number in `counted`, by time in
`time_windows`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any, Protocol, TypeAlias, cast, runtime_checkable
from urllib.parse import urlsplit

from dlt.sources.helpers.rest_client.paginators import (
    BaseNextUrlPaginator,
    BasePaginator,
    BaseReferencePaginator,
    HeaderLinkPaginator,
    JSONLinkPaginator,
    RangePaginator,
    SinglePagePaginator,
)
from requests import JSONDecodeError, Request, Response

from landing.columns import json_path
from landing.errors import ApiError
from landing.http import traffic
from landing.http.api_messages import shown_request
from landing.http.bodies import Page, has_place, value_at
from landing.http.dlt_client import end_paging
from landing.http.links import link_to
from landing.http.paging.first_pages import refuse_earlier
from landing.http.paging.more import evidence_of, refuse_more
from landing.http.paging.signs import ALL
from landing.http.paging.totals import StatedTotal, warn_if_full
from landing.http.query import Answer, Query
from landing.http.spelling import is_end, yes_or_no

_MOST_EMPTY = 10_000
"""Some APIs filter after they have cut pages, so that many may be empty."""


@runtime_checkable
class PageReader(Protocol):
    """Paging that sends several requests at a time, or goes back."""

    def read(self, query: Query) -> Iterator[Page]: ...


Paging: TypeAlias = BasePaginator | PageReader


def pages_of(paging: Paging, query: Query) -> Iterator[Page]:
    return paging.read(query) if isinstance(paging, PageReader) else followed(paging, query)


def followed(paginator: BasePaginator, query: Query) -> Iterator[Page]:
    """The pages, each found through the one before it. Raises ApiError if they go in a circle, or
    end with a response that says that there is more."""
    paginator = copy.deepcopy(paginator)
    request = query.request()
    paginator.init_request(request)
    requested: set[int] = set()
    rows = empty = 0
    total = StatedTotal(query)
    answer: Answer | None = None
    while True:
        requested.add(_sign(request))
        answer = _requested(paginator, query, request, answer)
        rows += len(answer.page)
        empty = 0 if answer.page else empty + 1
        if empty > _MOST_EMPTY:
            raise ApiError(
                f"{query.shown}: {empty:,} pages without rows in succession; does the last page "
                "have a cursor, too? If a value says whether there are more, name it with has_more="
            )
        total.saw(answer)
        _update(paginator, answer)
        if len(requested) == 1 and isinstance(paginator, RangePaginator):
            refuse_earlier(query, answer, "Have the paginator begin with the first")
        if not paginator.has_next_page:
            _refuse_more(paginator, query, answer, rows, len(requested))
            if getattr(paginator, "maximum_value", None) is None:
                total.warn_if_above(rows)
            _warn_of_more(paginator, query, answer, len(requested))
        yield answer.page
        if not paginator.has_next_page:
            return
        paginator.update_request(request)
        _refuse_other_host(query, request)
        if _sign(request) in requested:
            # If the cursor does not move, an empty page is the end.
            _refuse_circle(query, answer)
            return


def _requested(
    paginator: BasePaginator, query: Query, request: Request, previous: Answer | None
) -> Answer:
    """The first page, or one that the response before it links to."""
    if previous is None or isinstance(paginator, RangePaginator):
        return query.ask(request)
    evidence = evidence_of(query, previous)
    if isinstance(paginator, BaseNextUrlPaginator) or evidence.has_flag_of_more:
        return query.ask(request, is_promised=True)
    answer = query.ask(request)
    if not answer.response.content.strip():
        # Some APIs return a cursor on the last page too, which leads to an empty body.
        answer = query.ask(request)
    if not answer.response.content.strip():
        traffic.current().warn(
            "no body",
            f"{query.shown}: the last cursor led to {answer.response.status_code} without a body, "
            "which was taken for the end. If the API says where it has more pages, name it with "
            "has_more=",
        )
    return answer


def _update(paginator: BasePaginator, answer: Answer) -> None:
    try:
        # dlt's type says list, and what paginators need of it is its length.
        paginator.update_state(answer.response, cast(list[Any], answer.page))
    except JSONDecodeError:
        if answer.response.content.strip():
            raise
        end_paging(paginator)  # dlt's look for JSON in an empty body, too


def _refuse_more(
    paginator: BasePaginator, query: Query, answer: Answer, rows: int, pages: int
) -> None:
    end = getattr(paginator, "end", "unseen")
    if end == "flag" or getattr(paginator, "maximum_value", None) is not None:
        return  # the API's flag says so, or the source sets a maximum
    weights = ALL
    if pages > 1 or end == "place":
        # While pages are followed, rows may be added or deleted, which changes a total.
        weights = weights - {"total"}
    if isinstance(paginator, RangePaginator) and not answer.page:
        weights = weights - {"next"}
    place = getattr(paginator, "place", "")
    searched = f", and no next page is {place}" if place else ""
    refuse_more(query, answer, rows=rows, pages=pages, weights=weights, searched=searched)


def _warn_of_more(paginator: BasePaginator, query: Query, answer: Answer, pages: int) -> None:
    """Warns if the only page is a full one, and no next page was found."""
    is_alone = pages == 1 and getattr(paginator, "end", "unseen") == "unseen"
    if is_alone and isinstance(paginator, AssumedSinglePage):
        warn_if_full(query, answer, "pass paging=")
    elif is_alone and (place := getattr(paginator, "place", "")):
        warn_if_full(query, answer, f"check that its next page would be {place}")


def _sign(request: Request) -> int:
    parts = [request.url, request.params, request.json, request.headers, request.data]
    return hash(json.dumps(parts, sort_keys=True, default=str))


def _refuse_circle(query: Query, answer: Answer) -> None:
    if answer.page:
        raise ApiError(
            f"{query.shown}: the API leads to a page that was read already, so its pages would "
            "never end; does it know the paging parameter by another name?"
        )
    refuse_more(query, answer, rows=0, pages=1, weights={"flag"})


def _refuse_other_host(query: Query, request: Request) -> None:
    """Raises ApiError for a link to another host, which would receive the credentials. Behind a
    proxy, APIs often write http instead of https into links, so the first request's scheme is
    used."""
    first, then = urlsplit(str(query.template.url)), urlsplit(str(request.url))
    if then.hostname != first.hostname:
        raise ApiError(
            f"{query.shown}: the link to the next page leads to another host, {then.hostname}, "
            "which would get the credentials; page by a cursor, or make that host the base URL"
        )
    request.url = then._replace(scheme=first.scheme, netloc=first.netloc).geturl()


class SinglePage(SinglePagePaginator):
    """The whole response is one page. A response that says that there is more is an error."""


class AssumedSinglePage(SinglePage):
    """The default paging, which warns if the only page may not be all."""


class LinkPages(HeaderLinkPaginator):
    """Paging by the URL in the `Link` header with `rel="next"`, or another `rel`."""

    def __init__(self, rel: str = "next") -> None:
        super().__init__(rel)
        self.place = f"in the header 'Link' as rel=\"{rel}\""

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        self._next_reference = link_to(response.headers.get("Link", ""), self.links_next_key)


class NextUrlPages(JSONLinkPaginator):
    """Paging by the next page's URL at a path in the body."""

    def __init__(self, path: str = "next") -> None:
        super().__init__(path)
        self._path = path
        self.place = f"at '{path}'"
        self.end = "unseen"

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        url = value_at(response.content, self._path)
        if isinstance(url, dict):  # a link object, as in HAL and JSON:API
            url = url.get("href")
        self._next_reference = None if is_end(url) else url
        if self._next_reference is None and has_place(response.content, self._path):
            self.end = "place"


class HeaderUrlPages(BaseNextUrlPaginator):
    """Paging by the next page's URL in a header other than `Link`."""

    def __init__(self, header: str) -> None:
        super().__init__()
        self._header = header
        self.place = f"in the header '{header}'"

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        url = response.headers.get(self._header)
        self._next_reference = None if is_end(url) else url


class CursorPages(BaseReferencePaginator):
    """Paging by a cursor: each response has one for the next page, which is passed as `param`.

    The cursor is in the body at `path`, or in the header `header`. The last page has none, or has
    a false value at `has_more`. If the query has a JSON body, `param` is a path in that body.

    Raises ApiError if there is no cursor though `has_more` is true.
    """

    def __init__(
        self, path: str = "", param: str = "cursor", *, header: str = "", has_more: str = ""
    ) -> None:
        if bool(path) == bool(header):
            raise ValueError("a cursor is either at a `path` of the body or in a `header`")
        super().__init__()
        self._path = path
        self._header = header
        self._param = param
        self._has_more = has_more
        self.place = f"in the header '{header}'" if header else f"at '{path}'"
        self.end = "unseen"

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        cursor = self._cursor(response)
        self._next_reference = None if is_end(cursor) else cursor
        if self._next_reference is None and self._has_place(response):
            self.end = "place"
        has_more = yes_or_no(value_at(response.content, self._has_more)) if self._has_more else None
        if has_more is False:
            self.end = "flag"
            end_paging(self)
        elif has_more and self._next_reference is None:
            raise ApiError(
                f"{shown_request(response.request.method, response.url)} has more pages than this "
                f"one, and no cursor of the next {self.place}; is that where the API has it?"
            )

    def _cursor(self, response: Response) -> Any:
        if self._header:
            return response.headers.get(self._header)
        return value_at(response.content, self._path)

    def _has_place(self, response: Response) -> bool:
        if self._header:
            return self._header in response.headers
        return has_place(response.content, self._path)

    def update_request(self, request: Request) -> None:
        _put(request, self._param, self._next_reference)


def _put(request: Request, name: str, value: Any) -> None:
    if request.json is None:
        request.params = {**(request.params or {}), name: value}
    else:
        json_path.put(request.json, name, value)
