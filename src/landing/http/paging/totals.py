"""Warns if a list that was read to its end may have more rows."""

from __future__ import annotations

from landing.http import traffic, vocabulary
from landing.http.paging.more import Evidence, Total, evidence_of
from landing.http.query import Answer, Query
from landing.http.spelling import plain, plain_set, whole_number

USUAL_SIZES = frozenset(
    n * ten for n in (10, 15, 20, 25, 30, 40, 50, 60, 75, 80) for ten in (1, 10, 100, 1_000)
)
"""Usual default and maximum sizes of pages."""


class StatedTotal:
    """How many rows the API says a list has. It may count something else, such as rows without a
    filter, or estimate. So a difference is no error if the response otherwise says that nothing
    follows."""

    def __init__(self, query: Query, *, from_start: bool = False) -> None:
        """`from_start` if the first request is for the list's first page."""
        self._query = query
        self._from_start = from_start
        self._is_begun = False
        self._first: Total | None = None
        self._skipped: int | None = 0
        self._latest: Evidence | None = None

    def saw(self, answer: Answer) -> None:
        if not answer.page:
            return
        evidence = evidence_of(self._query, answer)
        if not self._is_begun:
            self._is_begun = True
            self._first = evidence.stated_total
            self._skipped = 0 if self._from_start else evidence.rows_before
        if self._first is not None:  # else there is nothing to compare with the latest
            self._latest = evidence

    def warn_if_above(self, rows: int) -> None:
        latest = self._latest.stated_total if self._latest is not None else None
        total = total_above(self._first, latest, rows, self._skipped)
        if total is not None:
            traffic.current().warn(
                "total",
                f"{self._query.shown}: the API counts {total.rows:,} rows at '{total.place}', and "
                f"{rows:,} came before it said that nothing follows. Check the first page and the "
                "page size; if it counts something else, pass "
                f'ignore_more=["{total.place}"] to pages()',
            )


def total_above(
    first: Total | None, latest: Total | None, rows: int, skipped: int | None
) -> Total | None:
    """The total that both the first and the last response of a list state, if it is above the rows
    that were read or skipped. The lower one counts, since rows may come or go meanwhile."""
    if first is None or latest is None or skipped is None:
        return None
    least = min(first.rows, latest.rows)
    return Total(first.place, least) if least > rows + skipped else None


def warn_if_full(query: Query, answer: Answer, remedy: str) -> None:
    """Warns if a response that is taken for the whole list has as many rows as a full page."""
    rows = len(answer.page)
    evidence = evidence_of(query, answer)
    params = query.template.json if query.template.json is not None else query.template.params
    sizes = plain_set(vocabulary.SIZES)
    limits = {whole_number(value) for name, value in (params or {}).items() if plain(name) in sizes}
    if rows in limits | USUAL_SIZES and not evidence.confirms_end(rows=rows, pages=1):
        traffic.current().warn(
            "full page",
            f"{query.shown}: the response has exactly {rows:,} rows, as a full page would have, "
            f"and does not say whether there are more. If the list is paged, {remedy} (`landing "
            "check` requests a second page); if these are all rows, pass paging=SinglePage()",
        )
