"""Paging by offset or page number, over rows that may move while they are read.

If a row is deleted, or an edit moves it to the end, the rows after it move up, and one of them
slips past a reader that goes on counting. These classes notice that and go back. They need an order
in which a row keeps its place among the others or moves to the end: by a key, or ascending by the
time of the last change and then by key. In any order, a row may come twice.

Rows are recognized by their content. If some are equal, all are read, but moves among them can't be
detected.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

from landing.errors import ApiError
from landing.http.bodies import Page
from landing.http.concurrency import in_flight
from landing.http.paging.first_pages import refuse_if_filtered, refuse_skipped
from landing.http.paging.seen_rows import Rows
from landing.http.query import Answer, Query


class Counted(ABC):
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
        self.limit = limit
        self._size = size
        self._place = place
        self._first = first
        self._total = total
        self._identity = tuple(identity)
        self._at_once = at_once

    def read(self, query: Query) -> Iterator[Page]:
        sized = query.with_values({self._size: self.limit})
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


def ordered(
    answered: Callable[[int], Answer], numbers: Iterable[int], at_once: int
) -> Generator[tuple[int, Answer], None, None]:
    yield from in_flight(lambda n: (n, answered(n)), numbers, at_once=at_once)


def unknown_parameter(query: Query, name: str) -> ApiError:
    return ApiError(
        f"{query.shown}: two pages hold the same rows; is the parameter '{name}' what the API "
        "calls it?"
    )
