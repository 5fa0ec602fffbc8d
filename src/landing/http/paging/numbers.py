"""Paging by page number, in which each page is requested again after the next one."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from functools import partial

from landing.http.bodies import Page
from landing.http.paging.counted import Counted, ordered, unknown_parameter
from landing.http.paging.ending import Ending
from landing.http.paging.first_pages import refuse_earlier
from landing.http.paging.seen_rows import Rows
from landing.http.query import Answer, Query


class NumberedPages(Counted):
    """Paging by page number, from `first` on, with `limit` rows per page.

    Such pages can't overlap. Therefore, after each page, the page before it is requested again: a
    row that moved up past the reader is there now. This doubles the requests; `verify=False`
    turns it off, for rows that are never deleted and keep their place when edited. `total` and
    `identity` work as in `OffsetPages`. `past_end` is the status, such as 404, with which the API
    answers beyond the last page. Up to `at_once` requests are in progress at the same time.
    """

    def __init__(
        self,
        limit: int = 500,
        number: str = "page",
        size: str = "limit",
        *,
        first: int = 1,
        total: str = "",
        identity: Sequence[str] = (),
        past_end: int | None = None,
        verify: bool = True,
        at_once: int = 1,
    ) -> None:
        super().__init__(limit, size, number, first, total, identity, at_once)
        self._past_end = past_end
        self._verify = verify

    def _read_all(self, query: Query, rows: Rows) -> Iterator[Page]:
        end = yield from self._read_on(query, rows, self._first, self._at_once, again=False)
        if self._at_once > 1 and end > self._first:
            # If several requests are in progress, the last page may be answered first, and a row
            # may move there afterwards. So the end is read once more, page by page.
            yield from self._read_on(query, rows, max(end - 2, self._first), 1, again=True)

    def _read_on(
        self, query: Query, rows: Rows, start: int, at_once: int, *, again: bool
    ) -> Generator[Page, None, int]:
        """Read to the end, with `again` over pages that were read before; return the number of the
        page that showed the end."""
        answered = partial(self._answer, query)
        seen: dict[int, list[int]] = {}
        ending = Ending(query, rows, self.limit)
        size = 0  # of a full page, which may be smaller than requested
        numbers = range(start, start + 1)  # the first page may be the only one
        while True:
            end: int | None = None
            for number, answer in ordered(answered, numbers, at_once):
                ids = rows.identities(answer.page)
                if end is not None and not ids:
                    continue  # requested ahead, beyond the end
                if ids and ids == seen.get(number - 1):
                    if not ending.confirms(answer, pages=number - self._first):
                        raise unknown_parameter(query, self._place)
                    end = number  # beyond the end, the API gives its last page again
                    continue
                if number == self._first:
                    refuse_earlier(query, answer, self._from_the_first)
                yield from rows.unread(answer, ids) if again else rows.following(answer, ids, 0)
                seen[number] = ids
                size = max(size, len(ids))
                if self._is_end(ending, rows, number, size, answer):
                    end = number - max(ending.empty - 1, 0)
            last = numbers[-1]
            is_settled = end is not None or bool(seen[last])  # else the next page decides
            if self._verify and is_settled:
                yield from self._moved(query, rows, seen)
            if end is not None:
                return end
            if is_settled:
                seen = {last: seen[last]}
            numbers = range(last + 1, last + 1 + at_once)

    def _is_end(self, ending: Ending, rows: Rows, number: int, size: int, answer: Answer) -> bool:
        pages = number - self._first
        count = len(answer.page)
        if count:
            ending.saw(answer)
            is_end = count < self.limit and rows.reached(pages * size + count)
            if is_end:
                ending.refuse_more(answer, pages=pages + 1)
            return is_end
        if answer.response.status_code == self._past_end:
            ending.refuse_more(pages=pages)
            return True
        return ending.is_end(answer, place=pages * size, pages=pages)

    def _moved(self, query: Query, rows: Rows, seen: dict[int, list[int]]) -> Iterator[Page]:
        """The unread rows that have moved to pages that were read, without the last page."""
        answered = partial(self._answer, query)
        numbers = [number for number in sorted(seen, reverse=True)[1:] if seen[number]]
        for number, again in ordered(answered, numbers, self._at_once):
            latest = rows.latest(seen[number])
            ids = rows.identities(again.page)
            yield from rows.unread(again, ids)
            # If none of the page's rows is left on it, more rows moved up than a page has.
            while number > self._first and not rows.any_read_by(latest, ids):
                number -= 1
                again = answered(number)
                ids = rows.identities(again.page)
                yield from rows.unread(again, ids)

    def _answer(self, query: Query, number: int) -> Answer:
        past_end = self._past_end if number > self._first else None
        return query.with_values({self._place: number}).ask(past_end=past_end)
