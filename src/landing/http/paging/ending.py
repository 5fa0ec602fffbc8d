"""Whether counted pages are at their end, where a page has no rows that were not known.

That alone is no proof: an API may hide all rows of a page, and give the ones after it.
"""

from __future__ import annotations

from landing.http.paging.more import answered, refuse_more
from landing.http.paging.seen_rows import Rows
from landing.http.paging.signs import Sign, Weight
from landing.http.query import Answer, Query

MOST_EMPTY = 10
"""Pages without rows that are passed over in a row, where answers say that there is more."""


class Ending:
    """What is known of the pages of one reading; `limit` rows of each were asked for."""

    def __init__(self, query: Query, rows: Rows, limit: int) -> None:
        self._query = query
        self._rows = rows
        self._limit = limit
        self._pages = 0
        self._latest: Answer | None = None
        self._total: int | None = None
        """As the first answer has it: rows that come while it is read are the next run's."""
        self.empty = 0
        """Pages without rows, since the last that had some."""

    def saw(self, answer: Answer) -> None:
        self.empty = 0
        if self._latest is None:
            self._total = answered(self._query, answer).total
        self._pages += 1
        self._latest = answer

    def is_end(self, answer: Answer, *, place: int, pages: int | None = None) -> bool:
        """Of a page without rows; `place` is where it begins, `pages` how many are before it if
        they have numbers. Raises ApiError if answers go on saying that there is more."""
        self.empty += 1
        weights: set[Weight] = {"flag"} if pages is None else {"flag", "pages"}
        if self._sign_of_more(answer, weights, pages or 1):
            if self.empty > MOST_EMPTY:
                self._refuse_more(answer, weights, pages or 1)
            return False
        if self._rows.lacking and not self._rows.is_beyond(place) and self.empty <= MOST_EMPTY:
            return False
        return self.empty > 1 or not self._may_be_cut or self.confirms(answer, pages=pages or 0)

    def confirms(self, answer: Answer, *, pages: int = 0) -> bool:
        """Whether an answer, or the total of rows, says that all were read before it."""
        rows = self._rows.found
        said = answered(self._query, answer)
        return self._rows.reached(rows) or said.confirms_end(rows=rows, pages=pages)

    def refuse_more(self, answer: Answer | None = None, *, pages: int = 1) -> None:
        """Raises ApiError if an answer with rows, by default the latest, says there is more,
        where paging would end without looking beyond it."""
        if answer is not None:
            self._refuse_more(answer, {"flag", "next", "pages"}, pages)
        elif self._latest is not None:
            self._refuse_more(self._latest, {"pages"}, pages)

    def _sign_of_more(self, answer: Answer, weights: set[Weight], pages: int) -> Sign | None:
        said = answered(self._query, answer)
        rows, weighed = self._rows.found, self._with_total(weights)
        return said.sign_of_more(rows=rows, pages=pages, weights=weighed, from_start=True)

    def _refuse_more(self, answer: Answer, weights: set[Weight], pages: int) -> None:
        rows, weighed = self._rows.found, self._with_total(weights)
        refuse_more(self._query, answer, rows=rows, pages=pages, weights=weighed, from_start=True)

    def _with_total(self, weights: set[Weight]) -> set[Weight]:
        has_all = self._total is not None and self._total <= self._rows.found
        # Rows that lack of a total which the person named are looked for in a second reading.
        is_weighed = self._may_be_cut and not has_all and not self._rows.lacking
        return {*weights, "total"} if is_weighed else weights

    @property
    def _may_be_cut(self) -> bool:
        """Whether pages were as long as they may be. Where a single one was not, what the API
        counts is probably something else than the rows that were asked for."""
        if self._latest is None:
            return False
        return self._pages > 1 or len(self._latest.page) >= self._limit
