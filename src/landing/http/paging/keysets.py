"""Paging by key: each page begins after the last row of the one before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import pairwise
from typing import Any

from requests import HTTPError

from landing.errors import ApiError
from landing.http import traffic
from landing.http.bodies import Page
from landing.http.page_rows import values_of
from landing.http.paging.first_pages import refuse_if_filtered
from landing.http.paging.more import evidence_of, refuse_more
from landing.http.paging.order import first_descent
from landing.http.paging.signs import Weight
from landing.http.paging.successors import successors
from landing.http.paging.totals import StatedTotal
from landing.http.query import Answer, Query
from landing.http.spelling import is_end

# Totals of such pages may count the rows that are left, or all rows.
_WEIGHTS: frozenset[Weight] = frozenset({"flag", "next"})


_LEAST_CAP = 10
"""Rows. Hardly an API caps its pages lower, and a new list may have fewer, all made at once."""

_CUT = (
    "and there are more rows, so the API does not fill its pages: page by a field that fewer rows "
    "share, or by the API's own cursor or link"
)
_MAY_BE_CUT = (
    "and a request for the rows above it does not show whether that is the end. If the API fills "
    "its pages, pass `short_page_ends=True`; if not, page by a field that fewer rows share"
)


@dataclass
class KeysetPages:
    """Paging by key: the next page starts after the last row's value of `field`, which is passed as
    `param`.

    Rows have to be sorted by `field`, ascending. If no two rows share a value, `param` requests
    the rows above it. With `inclusive`, rows may share a value, and `param` requests the rows at
    or above it; the rows of a page's last value then come twice.

    `limit` must not exceed the API's largest page. If a page has only one value, and no earlier
    page was longer, one more request asks for one more row; `maximum`, the size of the API's
    largest page, makes that request unnecessary. If fewer than 10 rows are the whole list, as far
    as the API shows, this is a warning, not an error.

    With `short_page_ends`, for APIs that fill their pages, a page that is shorter than an earlier
    one is the last. Without it, reading goes on as long as rows arrive. If the last page has
    several rows, all of one value, one more request then asks for the rows above that value.

    Raises ApiError if more rows share a value than fit on a page, or may do so; without
    `inclusive`, if two rows of a page share a value; and if a row has a lower value than the one
    before it, unless `check_order` is false, for APIs that sort text by another rule.
    """

    field: str
    param: str
    _: KW_ONLY
    limit: int
    limit_param: str = "limit"
    inclusive: bool = False
    short_page_ends: bool = False
    maximum: int | None = None
    check_order: bool = True

    def read(self, query: Query) -> Iterator[Page]:
        plain, query = query, query.with_values({self.limit_param: self.limit})
        start = query.value_of(self.param)  # the cursor's value, if the run has one
        requested = {str(start)}
        largest = rows = shared = 0
        is_again = False
        before: list[Any] = []
        total = StatedTotal(query) if is_end(start) else None
        while page := (answer := query.ask()).page:
            values = values_of(page, self.field)
            last = values[-1]
            if total is not None:
                total.saw(answer)
            is_short = len(page) < largest
            is_stuck = str(last) == str(start)
            if is_stuck and not is_short and not self.inclusive:
                raise self._does_not_move(
                    query, page, last, f"does the API know the parameter '{self.param}'?"
                )
            self._refuse_disorder(query, [*before, *values])
            if is_stuck and not is_short:
                self._refuse_full(query, answer, last)
            if is_stuck and self._is_cut(query, answer, last, shared):
                if is_again:
                    raise self._does_not_move(query, page, last, _CUT)
                is_again = True  # unless rows were changed since it was requested
                continue
            rows += len(page)
            is_last = is_stuck or (is_short and self.short_page_ends)
            if is_last:
                refuse_more(query, answer, rows=rows, pages=len(requested), weights=_WEIGHTS)
            yield page
            if is_last:
                break
            if str(last) in requested:
                raise ApiError(
                    f"{query.shown}: a page ends with the '{self.field}' {last!r}, as one before "
                    f"it did; have it sort by '{self.field}', ascending"
                )
            requested.add(str(last))
            start, largest, before = last, max(largest, len(page)), [last]
            shared, is_again = values.count(last), False
            query = query.with_values({self.param: last})
        refuse_more(query, answer, rows=rows, pages=len(requested), weights={"flag"})
        if total is not None:
            total.warn_if_above(rows)
        if not rows:
            refuse_if_filtered(plain, lambda: query.ask().page, self.limit_param)

    def _refuse_disorder(self, query: Query, values: Sequence[Any]) -> None:
        if values[-1] is None:
            raise ApiError(
                f"{query.shown}: the last row of a page has no '{self.field}' to go on from"
            )
        if not self.inclusive and any(
            one == other and one is not None for one, other in pairwise(values)
        ):
            raise ApiError(
                f"{query.shown}: rows share a '{self.field}', so some would be lost after the end "
                "of a page; page by a field that no two rows share, or, if the API includes the "
                f"value of '{self.param}' itself, pass `inclusive=True`"
            )
        if self.check_order and (descent := first_descent(values)):
            before, after = descent
            raise ApiError(
                f"{query.shown}: rows do not come in the ascending order of '{self.field}', "
                f"since {after!r} comes after {before!r}; have it sort by '{self.field}', "
                "ascending, or if it sorts text by another rule, pass `check_order=False`"
            )

    def _refuse_full(self, query: Query, answer: Answer, last: Any) -> None:
        """Raises ApiError if all rows of a page have the value from which it was requested, and
        more rows may have it. Warns if that is possible but not likely."""
        page = answer.page
        if len(page) >= min(self.limit, self.maximum or self.limit):
            raise self._does_not_move(
                query,
                page,
                last,
                "request larger pages, or page by a field that fewer rows share",
            )
        if len(page) == 1 or self.maximum is not None:
            return
        whole = self._first_values(query, len(page) + 1)
        if len(whole) > len(page):
            return
        may_be_all = all(str(value) == str(last) for value in whole)
        if len(page) >= _LEAST_CAP or not may_be_all:
            raise self._does_not_move(
                query,
                page,
                last,
                "and the API has not returned longer pages, so there may be more such rows: is "
                f"{len(page):,} the size of its largest page? If so, page by a field that fewer "
                "rows share; if not, pass that size as `maximum`",
            )
        if not evidence_of(query, answer).confirms_end(rows=len(page), pages=1):
            traffic.current().warn(
                "keyset",
                f"{query.shown}: all {len(page)} rows have the '{self.field}' {last!r}, and the "
                "API has not returned longer pages. If its pages have no room for more, rows are "
                "missing: page by a field that fewer rows share. If these are all rows, pass the "
                "size of its largest page as `maximum`",
            )

    def _is_cut(self, query: Query, answer: Answer, last: Any, shared: int) -> bool:
        """Whether the API left out rows of a page that has only the value from which it was
        requested, such as for the size of its body. The page before had `shared` such rows.

        Raises ApiError if that can't be determined.
        """
        count = len(answer.page)
        if not self.inclusive or self.short_page_ends or max(count, shared) == 1:
            return False
        if count < shared:
            return True
        if evidence_of(query, answer).confirms_end(rows=count, pages=1):
            return False
        for value in successors(last):
            try:
                above = values_of(query.with_values({self.param: value}).ask().page, self.field)
            except HTTPError:  # the API takes no such value
                continue
            if not above:
                return False
            if any(str(one) != str(last) for one in above):
                return True
        raise self._does_not_move(query, answer.page, last, _MAY_BE_CUT)

    def _does_not_move(self, query: Query, page: Page, last: Any, what: str) -> ApiError:
        return ApiError(
            f"{query.shown}: a page of {len(page):,} rows has no other '{self.field}' than "
            f"{last!r}, so reading can't continue from it; {what}"
        )

    def _first_values(self, query: Query, size: int) -> list[Any]:
        """The values of the API's first page, of which `size` rows are requested."""
        whole = query.without(self.param).with_values({self.limit_param: size})
        try:
            return values_of(whole.ask().page, self.field)
        except HTTPError:  # the API requires the parameter
            return []
