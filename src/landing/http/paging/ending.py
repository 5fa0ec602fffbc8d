"""Decides whether a page without new rows is the end of counted pages.

It need not be: an API may hide all rows of one page, and return those of the next.
"""

from __future__ import annotations

from landing.http.paging.more import evidence_of, refuse_more
from landing.http.paging.seen_rows import Rows
from landing.http.paging.signs import Sign, Weight
from landing.http.query import Answer, Query

MOST_EMPTY = 10
"""How many pages without rows are skipped in succession, if responses say that there is more."""


class Ending:
    """The pages of one reading so far; each was requested with `limit` rows."""

    def __init__(self, query: Query, rows: Rows, limit: int) -> None:
        self._query = query
        self._rows = rows
        self._limit = limit
        self._pages = 0
        self._latest: Answer | None = None
        self._total: int | None = None
        """From the first response: rows that are added during the run belong to the next run."""
        self.empty = 0
        """Pages without rows since the last one with rows."""

    def saw(self, answer: Answer) -> None:
        self.empty = 0
        if self._latest is None:
            self._total = evidence_of(self._query, answer).total
        self._pages += 1
        self._latest = answer

    def is_end(self, answer: Answer, *, place: int, pages: int | None = None) -> bool:
        """Whether a page without rows is the end.

        `place` is its offset, `pages` the number of pages before it if pages are numbered. Raises
        ApiError if response after response says that there is more.
        """
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
        """Whether a response, or the total of rows, says that all rows come before it."""
        rows = self._rows.found
        evidence = evidence_of(self._query, answer)
        return self._rows.reached(rows) or evidence.confirms_end(rows=rows, pages=pages)

    def refuse_more(self, answer: Answer | None = None, *, pages: int = 1) -> None:
        """Raises ApiError if paging ends, but a response with rows, by default the latest, says
        that there is more."""
        if answer is not None:
            self._refuse_more(answer, {"flag", "next", "pages"}, pages)
        elif self._latest is not None:
            self._refuse_more(self._latest, {"pages"}, pages)

    def _sign_of_more(self, answer: Answer, weights: set[Weight], pages: int) -> Sign | None:
        evidence = evidence_of(self._query, answer)
        rows, weighed = self._rows.found, self._with_total(weights)
        return evidence.sign_of_more(rows=rows, pages=pages, weights=weighed, from_start=True)

    def _refuse_more(self, answer: Answer, weights: set[Weight], pages: int) -> None:
        rows, weighed = self._rows.found, self._with_total(weights)
        refuse_more(self._query, answer, rows=rows, pages=pages, weights=weighed, from_start=True)

    def _with_total(self, weights: set[Weight]) -> set[Weight]:
        has_all = self._total is not None and self._total <= self._rows.found
        # If a `total` was configured, a second reading looks for the missing rows.
        is_weighed = self._may_be_cut and not has_all and not self._rows.lacking
        return {*weights, "total"} if is_weighed else weights

    @property
    def _may_be_cut(self) -> bool:
        """Whether pages were full. If the only page was not, the API's count is probably one of
        something else than the requested rows."""
        if self._latest is None:
            return False
        return self._pages > 1 or len(self._latest.page) >= self._limit
