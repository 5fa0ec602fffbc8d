"""Paging by offset, with pages that overlap by known rows."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from functools import partial
from itertools import count

from landing.errors import ApiError
from landing.http.bodies import Page
from landing.http.paging.counted import Counted, ordered, unknown_parameter
from landing.http.paging.ending import Ending
from landing.http.paging.seen_rows import Rows
from landing.http.query import Answer, Query

MOST_STEPS_BACK = 200
_WIDENED = 4


class OffsetPages(Counted):
    """Paging by offset, with `limit` rows per page. Each page starts with a row that was read
    already. If it does not, rows have moved: the reader steps back to a known row, and from then on
    lets pages share more rows, so that more of them may move between two requests.

    `total` is the path of the number of all rows in the body: as many have to be read in the end,
    and a page that reaches it without being full is the last. Without `total`, one more request
    finds the end. `identity` names the fields that identify a row and its version, for APIs whose
    other fields change with every response. `at_once` requests are in progress at the same time.
    """

    def __init__(
        self,
        limit: int = 500,
        offset: str = "offset",
        size: str = "limit",
        *,
        total: str = "",
        identity: Sequence[str] = (),
        at_once: int = 1,
    ) -> None:
        # The first of two rows is a known one, and the second a new one.
        super().__init__(max(limit, 2), size, offset, 0, total, identity, at_once)

    def _read_all(self, query: Query, rows: Rows) -> Iterator[Page]:
        start: int | None = 0
        overlap = 1
        steps_back = read = 0
        while start is not None:
            start = yield from self._read_on(query, rows, start, overlap)
            overlap = min(overlap * _WIDENED, self.limit // 2)
            steps_back = steps_back + 1 if rows.count == read else 0
            read = rows.count
            if steps_back == MOST_STEPS_BACK:
                raise ApiError(
                    f"{query.shown}: rows move faster than they can be read by offset; ask for "
                    "larger pages, or page by a cursor or a key"
                )

    def _read_on(
        self, query: Query, rows: Rows, start: int, overlap: int
    ) -> Generator[Page, None, int | None]:
        """Read to the end, or to a page that does not begin with a known row; return the offset
        to step back to, None at the end."""
        previous: tuple[int, list[int]] = (start, [])
        ending = Ending(query, rows, self.limit)
        for offset, answer, shared, is_alone in self._answers(query, start, overlap):
            ids = rows.identities(answer.page)
            if offset == 0:
                rows.refuse_restart(ids)
            elif not ids or ids[0] not in rows:
                return max(offset - self.limit + 1, 0)
            if offset != previous[0] and ids == previous[1] and len(ids) > 1:
                if ending.confirms(answer):
                    return None  # beyond the end, the API gives its last rows again
                raise unknown_parameter(query, self._place)
            known = _shared(previous[1], ids, shared)
            is_next = known > 0 or rows.is_at_start
            yield from rows.following(answer, ids, known) if is_next else rows.unread(answer, ids)
            if len(ids) > shared:
                ending.saw(answer)
            if is_alone and len(ids) <= shared:
                return (yield from self._beyond(query, rows, ending, offset, answer))
            if is_alone and len(ids) < self.limit and rows.reached(offset + len(ids)):
                ending.refuse_more(answer)
                return None
            previous = offset, ids
        return None

    def _beyond(
        self, query: Query, rows: Rows, ending: Ending, offset: int, answer: Answer
    ) -> Generator[Page, None, int | None]:
        """Look beyond what seems to be the end, unless it is certain; return the offset at which
        there are more rows, or None."""
        while not ending.is_end(answer, place=offset):
            offset += self.limit
            answer = self._answer(query, offset)
            ids = rows.identities(answer.page)
            if any(id_ not in rows for id_ in ids):
                yield from rows.unread(answer, ids)
                return offset
        return None

    def _answers(
        self, query: Query, start: int, overlap: int
    ) -> Iterator[tuple[int, Answer, int, bool]]:
        """The pages from `start` on: offset, response, number of rows shared with the page before,
        and whether it was requested after all pages before it had arrived.

        If several requests are in progress, the last page may be answered first, and a row may move
        there afterwards.
        """
        shared = 1
        while True:
            first = self._answer(query, start)
            yield start, first, shared, True
            shared = min(overlap, max(len(first.page) // 2, 1))
            step = len(first.page) - shared
            start += step
            if self._at_once == 1:
                continue
            answered = partial(self._answer, query)
            for offset, answer in ordered(answered, count(start, step), self._at_once):
                yield offset, answer, shared, False
                start = offset + len(answer.page) - shared
                if len(answer.page) != step + shared:
                    break

    def _answer(self, query: Query, offset: int) -> Answer:
        return query.with_values({self._place: offset}).ask()


def _shared(before: list[int], ids: list[int], most: int) -> int:
    """How many rows at the end of the page before are the first rows of this one."""
    lengths = range(min(most, len(before), len(ids)), 0, -1)
    return next((n for n in lengths if before[-n:] == ids[:n]), 0)
