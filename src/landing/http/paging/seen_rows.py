"""Remembers the rows that were read, for paging over rows that may move meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from landing.columns.expected_fields import expects_key
from landing.errors import ApiError
from landing.http import traffic
from landing.http.bodies import Page, value_at
from landing.http.page_rows import from_row, identities
from landing.http.paging.totals import StatedTotal
from landing.http.query import Answer, Query

REMEMBERED_ROWS = 100_000
MOST_RESTARTS = 3


class Rows:
    """The rows that were read, at least the last `REMEMBERED_ROWS`, and how many there should
    be."""

    def __init__(self, query: Query, identity: Sequence[str], total_path: str) -> None:
        self.count = 0  # of different ones
        self._places = 0  # in pages that follow one another, in which rows may equal others
        self._have_equals = False
        self._are_distinct = bool(identity) or expects_key()
        self._is_again = False
        self._query = query
        self._identity = identity
        self._total_path = total_path
        self._total: int | None = None
        self._stated = StatedTotal(query, from_start=True)
        self._recent: dict[int, int] = {}  # to its number in the order of reading
        self._older: dict[int, int] = {}
        self._restarts = 0

    def __contains__(self, identity: int) -> bool:
        return identity in self._recent or identity in self._older

    def identities(self, page: Page) -> list[int]:
        return identities(page, self._identity)

    def begin_again(self) -> None:
        """Start a second reading: known rows are counted again, but not returned again."""
        self._is_again = True
        self._places = 0

    @property
    def is_at_start(self) -> bool:
        return self._places == 0

    def following(self, answer: Answer, ids: Sequence[int], shared: int) -> Iterator[Page]:
        """The page from row `shared` on, even if it equals rows that were read."""
        self._places += len(ids) - shared
        self._have_equals = self._have_equals or len(set(ids)) < len(ids)
        return self._from(answer, ids, self._first_unknown(ids) if self._is_again else shared)

    def unread(self, answer: Answer, ids: Sequence[int]) -> Iterator[Page]:
        """The page from its first unknown row on, if it has one."""
        before = self.count
        page = self._from(answer, ids, self._first_unknown(ids))
        self._places += self.count - before
        return page

    def _first_unknown(self, ids: Sequence[int]) -> int:
        return next((n for n, id_ in enumerate(ids) if id_ not in self), len(ids))

    def _from(self, answer: Answer, ids: Sequence[int], first: int) -> Iterator[Page]:
        """The page from row `first` on, if it has one; its rows are known from then on."""
        self._stated.saw(answer)
        self._note_total(answer)
        for id_ in ids[first:]:
            if id_ not in self:
                self._recent[id_] = self.count
                self.count += 1
        if len(self._recent) > REMEMBERED_ROWS:
            self._older, self._recent = self._recent, {}
        return iter([from_row(answer.page, first)] if first < len(ids) else [])

    def latest(self, ids: Sequence[int]) -> int:
        return max(map(self._number, ids))

    def any_read_by(self, latest: int, ids: Sequence[int]) -> bool:
        return any(id_ in self and self._number(id_) <= latest for id_ in ids)

    def _number(self, identity: int) -> int:
        return self._recent.get(identity, self._older.get(identity, -1))

    def reached(self, end: int) -> bool:
        return self._total is not None and end >= self._total

    @property
    def lacking(self) -> bool:
        return self._total is not None and self.found < self._total

    def is_beyond(self, place: int) -> bool:
        """Whether the list ends before this place, or its end is unknown."""
        return self._total is None or place >= self._total

    @property
    def found(self) -> int:
        """How many rows were read. A row that came twice, because it moved or the order is not
        stable, counts once, so that it hides no missing row; but rows without a key that are equal
        can only be counted by their places."""
        by_place = (self._have_equals or self._is_again) and not self._are_distinct
        return max(self.count, self._places) if by_place else self.count

    def refuse_lacking(self) -> None:
        if self.lacking:
            raise ApiError(
                f"{self._query.shown} says there are {self._total:,} rows at "
                f"'{self._total_path}', and reading all pages twice found {self.found:,}; "
                "have the API sort by a field that no two rows share"
            )

    def warn_if_fewer(self) -> None:
        """Warns if the API itself counts more rows and no `total` is configured."""
        if self._total is None:
            self._stated.warn_if_above(self.found)

    def refuse_restart(self, ids: Sequence[int]) -> None:
        """Raises ApiError if the first page, requested again, has none of its rows any more."""
        if self.count and ids and not any(id_ in self for id_ in ids):
            self._restarts += 1
        if self._restarts == MOST_RESTARTS:
            raise ApiError(
                f"{self._query.shown}: the first page was requested again, and none of its rows "
                "was the same; pass the fields that stay the same as `identity`, or have the API "
                "sort in a stable order"
            )

    def _note_total(self, answer: Answer) -> None:
        if not self._total_path or not answer.page:
            return
        total = value_at(answer.response.content, self._total_path)
        try:
            self._total = int(total)
        except (TypeError, ValueError):
            raise ApiError(
                f"{self._query.shown}: the response has no number of rows at '{self._total_path}'"
            ) from None
        traffic.current().expects(self._total)
