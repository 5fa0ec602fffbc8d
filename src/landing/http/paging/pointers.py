"""How the pages of an endpoint follow one another, as values that are passed to `Api.pages`.

Those here ask for a page by what the page before it said; any paginator of dlt's
`rest_client` does too. Those that count rows or pages are in `ranges`, time windows in `windows`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any, Protocol, TypeAlias, cast, runtime_checkable
from urllib.parse import urlsplit

from dlt.common import jsonpath
from dlt.sources.helpers.rest_client.detector import PaginatorFactory
from dlt.sources.helpers.rest_client.paginators import (
    BaseNextUrlPaginator,
    BasePaginator,
    BaseReferencePaginator,
    HeaderLinkPaginator,
    JSONLinkPaginator,
    SinglePagePaginator,
)
from requests import HTTPError, Request, Response

from landing.errors import ApiError
from landing.http.bodies import Page, last_value, neighbours_share, value_at
from landing.http.query import Query


@runtime_checkable
class PageReader(Protocol):
    """Paging that needs more than one request at a time, or to go back."""

    def read(self, query: Query) -> Iterator[Page]: ...


Paging: TypeAlias = BasePaginator | PageReader


def pages_of(paging: Paging, query: Query) -> Iterator[Page]:
    return paging.read(query) if isinstance(paging, PageReader) else followed(paging, query)


def followed(paginator: BasePaginator, query: Query) -> Iterator[Page]:
    """Each page as the one before it tells. Raises ApiError where that leads in a circle."""
    paginator = copy.deepcopy(paginator)
    request = query.request()
    paginator.init_request(request)
    asked: set[int] = set()
    while True:
        _refuse_circle(query, request, asked)
        answer = query.ask(request)
        # dlt's type says list, and what paginators need of it is its length.
        paginator.update_state(answer.response, cast(list[Any], answer.page))
        yield answer.page
        if not paginator.has_next_page:
            return
        paginator.update_request(request)
        _refuse_other_host(query, request)


def _refuse_circle(query: Query, request: Request, asked: set[int]) -> None:
    key = json.dumps([request.url, request.params, request.json], sort_keys=True, default=str)
    if hash(key) in asked:
        raise ApiError(
            f"{query.shown}: the API leads to a page that was read already, so its pages would "
            "never end; does it know the paging parameter by another name?"
        )
    asked.add(hash(key))


def _refuse_other_host(query: Query, request: Request) -> None:
    """The next page is asked for with credentials. Behind a proxy, APIs often believe to be http
    where the world has https: the first request's scheme holds."""
    first, then = urlsplit(str(query.template.url)), urlsplit(str(request.url))
    if then.hostname != first.hostname:
        raise ApiError(
            f"{query.shown}: the link to the next page leads to another host, {then.hostname}, "
            "which would get the credentials; page by a cursor, or make that host the base URL"
        )
    request.url = then._replace(scheme=first.scheme, netloc=first.netloc).geturl()


class SinglePage(SinglePagePaginator):
    """The whole answer is one page. Raises ApiError if it names a next one after all."""

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        super().update_state(response, data)
        if _names_next_page(response):
            raise ApiError(
                f"{_shown(response)} has more pages than this one; say by `paging=` how to get them"
            )


def _shown(response: Response) -> str:
    return f"{response.request.method} {str(response.url).partition('?')[0]}"


def _names_next_page(response: Response) -> bool:
    if response.links.get("next"):
        return True
    try:
        _, likelihood = PaginatorFactory().create_paginator(response)
    except ValueError:  # no JSON
        return False
    return likelihood == 1.0


class LinkPages(HeaderLinkPaginator):
    """The next page's URL is in the `Link` header, as `rel="next"` or another `rel`."""

    def __init__(self, rel: str = "next") -> None:
        super().__init__(rel)


class NextUrlPages(JSONLinkPaginator):
    """The next page's URL is in the body, at a path with dots."""

    def __init__(self, path: str = "next") -> None:
        super().__init__(path)
        self._path = path

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        self._next_reference = value_at(response.content, self._path) or None


class HeaderUrlPages(BaseNextUrlPaginator):
    """The next page's URL is the value of a header of its own."""

    def __init__(self, header: str) -> None:
        super().__init__()
        self._header = header

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        self._next_reference = response.headers.get(self._header)


class CursorPages(BaseReferencePaginator):
    """The page tells the cursor of the next, which is passed as `param`.

    `path` is where the body has it, or `header` which header has it. The last page has none, or
    says so by a false value at `has_more`. In a query with a JSON body, `param` is a path in it.

    Raises ApiError if there is no cursor though `has_more` is true, or though the first page names
    a next one in a way that is common.
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
        self._is_first = True

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        cursor = (
            response.headers.get(self._header)
            if self._header
            else value_at(response.content, self._path)
        )
        self._next_reference = None if cursor == "" else cursor
        if self._has_more:
            has_more = bool(value_at(response.content, self._has_more))
            self._has_next_page = has_more
        else:
            has_more = self._is_first and _names_next_page(response)
        if has_more and self._next_reference is None:
            where = f"in the header '{self._header}'" if self._header else f"at '{self._path}'"
            raise ApiError(
                f"{_shown(response)} has more pages than this one, and no cursor of the next "
                f"{where}; is that where the API has it?"
            )
        self._is_first = False

    def update_request(self, request: Request) -> None:
        _put(request, self._param, self._next_reference)


class KeysetPages:
    """The next page begins after the last row's value of `field`, which is passed as `param`.

    Rows have to come in the ascending order of `field`. Either no two rows share a value and
    `param` asks for what is beyond it, or with `inclusive` rows may share one and `param` asks
    for it and what is beyond: then the rows of a page's last value come twice.

    `limit` must not exceed the API's largest page. Where a page has one value only, and nothing
    shows that pages can be longer, the API is asked for one more row from its beginning;
    `maximum`, the rows that its largest page has, makes that needless.

    With `short_page_ends`, for APIs that fill their pages, one that is shorter than another before
    it is the last; without, a stream of edits that is faster than the requests is followed for as
    long as it lasts.

    Raises ApiError if more rows share a value than a page has, or may do so, and without
    `inclusive`, if two rows of a page share one.
    """

    def __init__(
        self,
        field: str,
        param: str,
        *,
        limit: int,
        limit_param: str = "limit",
        inclusive: bool = False,
        short_page_ends: bool = False,
        maximum: int | None = None,
    ) -> None:
        self._field = field
        self._param = param
        self._limit = limit
        self._limit_param = limit_param
        self._inclusive = inclusive
        self._short_page_ends = short_page_ends
        self._maximum = maximum

    def read(self, query: Query) -> Iterator[Page]:
        query = query.with_values({self._limit_param: self._limit})
        start = _get(query.template, self._param)  # where a run starts that has a cursor
        asked = {str(start)}
        largest = 0
        while page := query.ask().page:
            last = self._last_value(query, page)
            is_short = len(page) < largest
            is_stuck = str(last) == str(start)
            if is_stuck and not is_short:
                self._refuse_full(query, page, last)
            yield page
            if is_stuck or (is_short and self._short_page_ends):
                return
            if str(last) in asked:
                raise ApiError(
                    f"{query.shown}: a page ends with the '{self._field}' {last!r}, as one before "
                    f"it did; have it sort by '{self._field}', ascending"
                )
            asked.add(str(last))
            start, largest = last, max(largest, len(page))
            query = query.with_values({self._param: last})

    def _last_value(self, query: Query, page: Page) -> Any:
        last = last_value(page, self._field)
        if last is None:
            raise ApiError(
                f"{query.shown}: the last row of a page has no '{self._field}' to go on from"
            )
        if not self._inclusive and neighbours_share(page, self._field):
            raise ApiError(
                f"{query.shown}: rows share a '{self._field}', so those at a page's end would be "
                "lost; page by a field that no two rows share, or if the API takes "
                f"'{self._param}' as that value and beyond, with `inclusive=True`"
            )
        return last

    def _refuse_full(self, query: Query, page: Page, last: Any) -> None:
        """Of a page that has no other value than that it was asked for: are there more rows?"""
        message = (
            f"{query.shown}: a page of {len(page):,} rows has no other '{self._field}' than "
            f"{last!r}, so there is no going on from it; "
        )
        if not self._inclusive:
            raise ApiError(f"{message}does the API know the parameter '{self._param}'?")
        if len(page) >= min(self._limit, self._maximum or self._limit):
            raise ApiError(
                f"{message}ask for larger pages, or page by a field that fewer rows share"
            )
        # No API caps its pages at one row.
        if len(page) > 1 and self._maximum is None and not self._can_exceed(query, len(page)):
            raise ApiError(
                f"{message}and the API was not seen to give longer pages, so there may be more "
                f"such rows: is {len(page):,} its maximum? If so, page by a field that fewer rows "
                "share; if not, say by `maximum` how many rows its largest page has"
            )

    def _can_exceed(self, query: Query, size: int) -> bool:
        """Whether a page from the beginning, wherever the run started, is longer than `size`."""
        whole = query.without(self._param).with_values({self._limit_param: size + 1})
        try:
            return len(whole.ask().page) > size
        except HTTPError:  # of an API that insists on the parameter
            return False


def _get(request: Request, name: str) -> Any:
    if request.json is None:
        return (request.params or {}).get(name)
    return next(iter(jsonpath.find_values(name, request.json)), None)


def _put(request: Request, name: str, value: Any) -> None:
    if request.json is None:
        request.params = {**(request.params or {}), name: value}
    else:
        jsonpath.set_value_at_path(request.json, name, value)
