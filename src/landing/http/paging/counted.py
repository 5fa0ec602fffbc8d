"""Paging by counting: offsets and page numbers, over rows that may move while they are read.

Where a row is deleted, or an edit moves it to the end, the rows after it move up, and one of them
past a reader that goes on counting. What is here notices that and goes back for it. Needed is an
order in which a row either keeps its place among the others or moves to the end: by a key, or
ascending by the time of the last change, then by key. In any order, a row may come twice.

Rows are known by what they hold: where some are equal, all are read, but moves among them can't be
noticed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from itertools import count

from landing.errors import ApiError
from landing.http.bodies import Page
from landing.http.concurrency import in_flight
from landing.http.paging.empty_lists import refuse_if_filtered
from landing.http.paging.ending import Ending
from landing.http.paging.first_pages import refuse_earlier, refuse_skipped
from landing.http.paging.seen_rows import Rows
from landing.http.query import Answer, Query

MOST_STEPS_BACK = 200
_WIDENED = 4


class _Counted(ABC):
    def __init__(
        self,
        limit: int,
        size: str,
        place: str,
        first: int,
        total: str,
        identity: Sequence[str],
        at_once: int,
    ) -> None:
        self._limit = limit
        self._size = size
        self._place = place
        self._first = first
        self._total = total
        self._identity = tuple(identity)
        self._at_once = at_once

    def read(self, query: Query) -> Iterator[Page]:
        sized = query.with_values({self._size: self._limit})
        rows = Rows(sized, self._identity, self._total)
        yield from self._read_all(sized, rows)
        if rows.lacking:
            rows.begin_again()
            yield from self._read_all(sized, rows)
            rows.refuse_lacking()
        if not rows.count:
            first = sized.with_values({self._place: self._first})
            refuse_if_filtered(query, lambda: first.ask().page, self._place, self._size)
        if self._first > 1:
            before = sized.with_values({self._place: self._first - 1})
            refuse_skipped(before, before.ask, rows, self._from_the_first)
        rows.warn_if_fewer()

    @abstractmethod
    def _read_all(self, query: Query, rows: Rows) -> Iterator[Page]: ...

    @property
    def _from_the_first(self) -> str:
        return f"Pass the number of the API's first page, such as first={self._first - 1}"


class OffsetPages(_Counted):
    """`limit` rows from `offset` on. Each page starts with a row that was read already. If it does
    not, rows have moved: the reader steps back to a known row, and from then on lets pages share
    more rows, so that more of them may move between two requests.

    `total` is where the body has the number of all rows: as many have to be read in the end, and
    a page that reaches it without being full is the last. Without `total`, one more request finds
    the end. `identity` names the fields that identify a row and its version, for APIs whose other
    fields change with every response. `at_once` requests are in progress at the same time.
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
        # Of two rows, one is to know and one to read.
        super().__init__(max(limit, 2), size, offset, 0, total, identity, at_once)

    def _read_all(self, query: Query, rows: Rows) -> Iterator[Page]:
        start: int | None = 0
        overlap = 1
        steps_back = read = 0
        while start is not None:
            start = yield from self._read_on(query, rows, start, overlap)
            overlap = min(overlap * _WIDENED, self._limit // 2)
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
        ending = Ending(query, rows, self._limit)
        for offset, answer, shared, is_alone in self._answers(query, start, overlap):
            ids = rows.identities(answer.page)
            if offset == 0:
                rows.refuse_restart(ids)
            elif not ids or ids[0] not in rows:
                return max(offset - self._limit + 1, 0)
            if offset != previous[0] and ids == previous[1] and len(ids) > 1:
                if ending.confirms(answer):
                    return None  # beyond the end, the API gives its last rows again
                raise _unknown_parameter(query, self._place)
            known = _shared(previous[1], ids, shared)
            is_next = known > 0 or rows.is_at_start
            yield from rows.following(answer, ids, known) if is_next else rows.unread(answer, ids)
            if len(ids) > shared:
                ending.saw(answer)
            if is_alone and len(ids) <= shared:
                return (yield from self._beyond(query, rows, ending, offset, answer))
            if is_alone and len(ids) < self._limit and rows.reached(offset + len(ids)):
                ending.refuse_more(answer)
                return None
            previous = offset, ids
        return None

    def _beyond(
        self, query: Query, rows: Rows, ending: Ending, offset: int, answer: Answer
    ) -> Generator[Page, None, int | None]:
        """Look beyond what seems to be the end, unless it is known to be; return the offset at
        which there are rows after all, else None."""
        while not ending.is_end(answer, place=offset):
            offset += self._limit
            answer = self._answer(query, offset)
            ids = rows.identities(answer.page)
            if any(id_ not in rows for id_ in ids):
                yield from rows.unread(answer, ids)
                return offset
        return None

    def _answers(
        self, query: Query, start: int, overlap: int
    ) -> Iterator[tuple[int, Answer, int, bool]]:
        """From `start` on, each beginning with the last rows of the one before, however many came,
        and how many these are.

        True with those that were asked for once all before them were there: of several under way
        together, the end may be the first to be answered, and a row move there after that.
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
            for offset, answer in _ordered(answered, count(start, step), self._at_once):
                yield offset, answer, shared, False
                start = offset + len(answer.page) - shared
                if len(answer.page) != step + shared:
                    break

    def _answer(self, query: Query, offset: int) -> Answer:
        return query.with_values({self._place: offset}).ask()


class NumberedPages(_Counted):
    """Pages by number, from `first` on, with `limit` rows each.

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
            # Of several under way together, the end may be the first to be answered, and a row
            # move there after that: so the end is read once more, page by page.
            yield from self._read_on(query, rows, max(end - 2, self._first), 1, again=True)

    def _read_on(
        self, query: Query, rows: Rows, start: int, at_once: int, *, again: bool
    ) -> Generator[Page, None, int]:
        """Read to the end, of pages that were read already if `again`; return the number of the
        page that showed it."""
        answered = partial(self._answer, query)
        seen: dict[int, list[int]] = {}
        ending = Ending(query, rows, self._limit)
        size = 0  # of a full page, which may be less than was asked for
        numbers = range(start, start + 1)  # the first page may be all
        while True:
            end: int | None = None
            for number, answer in _ordered(answered, numbers, at_once):
                ids = rows.identities(answer.page)
                if end is not None and not ids:
                    continue  # of several under way, one beyond the end
                if ids and ids == seen.get(number - 1):
                    if not ending.confirms(answer, pages=number - self._first):
                        raise _unknown_parameter(query, self._place)
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
            is_settled = end is not None or bool(seen[last])  # else one more shows what it is
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
            is_end = count < self._limit and rows.reached(pages * size + count)
            if is_end:
                ending.refuse_more(answer, pages=pages + 1)
            return is_end
        if answer.response.status_code == self._past_end:
            ending.refuse_more(pages=pages)
            return True
        return ending.is_end(answer, place=pages * size, pages=pages)

    def _moved(self, query: Query, rows: Rows, seen: dict[int, list[int]]) -> Iterator[Page]:
        """The unread rows that by now are on pages that were read, all but the last of them."""
        answered = partial(self._answer, query)
        numbers = [number for number in sorted(seen, reverse=True)[1:] if seen[number]]
        for number, again in _ordered(answered, numbers, self._at_once):
            latest = rows.latest(seen[number])
            ids = rows.identities(again.page)
            yield from rows.unread(again, ids)
            # If nothing is left that was read by then, more rows moved up than a page has.
            while number > self._first and not rows.any_read_by(latest, ids):
                number -= 1
                again = answered(number)
                ids = rows.identities(again.page)
                yield from rows.unread(again, ids)

    def _answer(self, query: Query, number: int) -> Answer:
        past_end = self._past_end if number > self._first else None
        return query.with_values({self._place: number}).ask(past_end=past_end)


def _ordered(
    answered: Callable[[int], Answer], numbers: Iterable[int], at_once: int
) -> Generator[tuple[int, Answer], None, None]:
    yield from in_flight(lambda n: (n, answered(n)), numbers, at_once=at_once)


def _shared(before: list[int], ids: list[int], most: int) -> int:
    """How many rows at the end of the page before are those that this one begins with."""
    lengths = range(min(most, len(before), len(ids)), 0, -1)
    return next((n for n in lengths if before[-n:] == ids[:n]), 0)


def _unknown_parameter(query: Query, name: str) -> ApiError:
    return ApiError(
        f"{query.shown}: two pages hold the same rows; is the parameter '{name}' what the API "
        "calls it?"
    )
