"""Decides whether a response says that there is more. Every kind of paging asks before it ends."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from requests import Response

from landing.errors import ApiError
from landing.http import vocabulary
from landing.http.links import link_to
from landing.http.paging.requested import Requested
from landing.http.paging.signs import ALL, BY_REQUEST, Sign, Weight, paging_by
from landing.http.paging.words import Word, is_url, of_body, of_headers
from landing.http.query import Answer, Query
from landing.http.spelling import is_end, plain, whole_number, yes_or_no
from landing.http.vocabulary import Kind

_RANGE = re.compile(r"\s*(?!bytes)[a-z]*[\s=]*(?:(\d+)-(\d+)|\*)/(\d+|\*)", re.IGNORECASE)


class Total(NamedTuple):
    place: str
    """A path in the body, or the name of a header."""
    rows: int


@dataclass(frozen=True)
class Evidence:
    """What a response says about the pages before and after it.

    `records` is the path of its records in a JSON body; None if it has another kind of body.
    `ignored` lists names or paths that mean something else in this API.
    """

    response: Response
    records: str | None = None
    ignored: Collection[str] = ()

    def sign_of_more(
        self,
        *,
        rows: int,
        pages: int = 1,
        weights: Collection[Weight] = ALL,
        from_start: bool = False,
    ) -> Sign | None:
        """The clearest sign that there is more than the rows and pages read so far, this
        response's included. `from_start` if the rows were read from the start, not an offset."""
        signs = (
            *self._flags(),
            *self._next(rows),
            *self._pages(pages),
            *self._totals(rows, from_start),
        )
        return next((sign for sign in signs if sign.weight in weights), None)

    def confirms_end(self, *, rows: int, pages: int) -> bool:
        """Whether it says that nothing follows so many rows and pages; a link or cursor that is
        only missing does not count."""
        if self._is_last or self._has_empty_next or self._has_all(rows):
            return True
        numbers = [whole_number(word.value) for word in self._all("pages")]
        return any(number is not None and number <= pages for number in numbers)

    @property
    def has_flag_of_more(self) -> bool:
        return next(self._flags(), None) is not None

    def sign_of_earlier(self) -> Sign | None:
        """The sign that there are pages before this one; None if there is none."""
        for rel in ("prev", "previous"):
            link = link_to(self.response.headers.get("Link", ""), rel)
            if link and self._is_earlier(link) and not self._ignores("Link"):
                word = Word("previous", "Link", "Link", link, is_header=True)
                return self._sign("next", word, "names a page before it", "")
        for word in self._all("previous"):
            if self._is_earlier(word.value):
                return self._sign("next", word, "names a page before it", "")
        for word in self._all("first"):
            if word.value is False:
                return self._sign("flag", word, "false", "")
        return None

    def _is_earlier(self, value: Any) -> bool:
        if is_end(value):
            return False
        if is_url(value):
            return not self._requested.is_page(value) and self._requested.is_beyond(value)
        return not self._requested.has(value)

    @cached_property
    def total(self) -> int | None:
        """The number of all rows, if the response has it; not that of this page."""
        word = self._total_word(("filtered", "total"))
        if word is not None:
            return whole_number(word.value)
        return self._range[1] if self._range else None

    @cached_property
    def stated_total(self) -> Total | None:
        """Any number of rows in the response; it may be that of this page."""
        word = self._total_word(("filtered", "total")) or self._total_word(("count",))
        if word is None:
            return Total("Content-Range", self.total) if self.total is not None else None
        return Total(word.place, whole_number(word.value) or 0)

    @cached_property
    def _words(self) -> list[Word]:
        words = [*of_headers(self.response.headers)]
        if self.records is not None:
            words += of_body(self.response.content, self.records)
        ignored = {plain(name) for name in self.ignored}
        return [w for w in words if not {plain(w.name), plain(w.place)} & ignored]

    def _ignores(self, name: str) -> bool:
        return plain(name) in map(plain, self.ignored)

    def _all(self, *kinds: Kind) -> Iterator[Word]:
        return (word for word in self._words if word.kind in kinds)

    @cached_property
    def _is_last(self) -> bool:
        flags = [yes_or_no(word.value) for word in self._all("more")]
        lasts = [yes_or_no(w.value) for w in self._all("last") if isinstance(w.value, bool)]
        return (False in flags or True in lasts) and True not in flags and False not in lasts

    @cached_property
    def _has_empty_next(self) -> bool:
        return any(is_end(word.value) for word in self._all("next", "cursor"))

    def _flags(self) -> Iterator[Sign]:
        for word in self._all("more"):
            if yes_or_no(word.value) is True:
                yield self._sign("flag", word, "true", BY_REQUEST)
        for word in self._all("last"):
            if word.value is False:
                yield self._sign("flag", word, "false", BY_REQUEST)
        for word in self._all("remaining"):
            if whole_number(word.value):
                yield self._sign("flag", word, f"is {word.value}", BY_REQUEST)

    def _next(self, rows: int) -> Iterator[Sign]:
        link = link_to(self.response.headers.get("Link", ""), "next")
        if link and not self._is_this(link) and not self._ignores("Link"):
            word = Word("next", "Link", "Link", link, is_header=True)
            yield self._sign("next", word, "names a next page", "LinkPages()")
        if self._is_last:
            return
        for word in self._all("next", "cursor"):
            is_counted = word.kind == "cursor" or whole_number(word.value) is not None
            if is_counted and self._has_all(rows):
                continue
            if not is_end(word.value) and not self._is_this(word.value):
                yield self._sign("next", word, "names a next page", paging_by(word))
        if self._has_empty_next or self._has_all(rows) or not rows:
            return
        for word in self._all("position"):
            if not is_end(word.value) and not self._requested.has(word.value):
                yield self._sign("next", word, "names where to go on", paging_by(word))

    def _pages(self, pages: int) -> Iterator[Sign]:
        if self._is_last:
            return
        here = [number for w in self._all("page") if (number := whole_number(w.value)) is not None]
        read = max([pages, *here, self._requested.number(vocabulary.NUMBERS)])
        for word in self._all("pages"):
            if (whole_number(word.value) or 0) > read:
                yield self._sign("pages", word, f"is {word.value}", "NumberedPages(limit)")

    def _totals(self, rows: int, from_start: bool) -> Iterator[Sign]:
        if self._is_last:
            return
        if (found := self._range) is not None:
            end, total = found
            if total is None or max(rows, end) < total:
                name = "Content-Range" if total is not None else "status 206"
                part = Word("total", name, name, total, is_header=True)
                says = f"counts {total:,} rows" if total is not None else "is of a part"
                yield self._sign("total", part, says, "OffsetPages, by what the API takes")
        if self._has_empty_next:
            return
        before = 0 if from_start else self.rows_before
        if before is None:
            return
        word = self._total_word(("filtered", "total")) or self._total_word(("count",))
        total = None if word is None else whole_number(word.value)
        if word is not None and total is not None and total > rows + before:
            argument = "" if word.is_header else f', total="{word.place}"'
            paging = f"OffsetPages(limit{argument}) or NumberedPages(limit{argument})"
            yield self._sign("total", word, f"is {total:,}, and {rows:,} rows came", paging)

    @property
    def rows_before(self) -> int | None:
        """How many rows come before this page, by the requested offset; None if unknown."""
        is_later = self._requested.number(vocabulary.NUMBERS) > 1
        return None if is_later else self._requested.number(vocabulary.POSITIONS)

    def _total_word(self, kinds: tuple[Kind, ...]) -> Word | None:
        """The greatest total of the first kind that the response has."""
        for kind in kinds:
            found = [w for w in self._all(kind) if whole_number(w.value) is not None]
            if kind == "count":  # if a parameter has this name, it repeats the page's size
                found = [w for w in found if plain(w.name) not in self._requested.values]
            if found:
                return max(found, key=lambda word: whole_number(word.value) or 0)
        return None

    def _has_all(self, rows: int) -> bool:
        return self.total is not None and self.total <= rows

    @cached_property
    def _range(self) -> tuple[int, int | None] | None:
        """The end of a `Content-Range`, and the number of all rows; None without one."""
        if {"contentrange", "206", "status206"} & set(map(plain, self.ignored)):
            return None
        header = self.response.headers.get("Content-Range", "")
        found = _RANGE.match(header)
        if found and found[3] != "*":
            return (int(found[2]) + 1 if found[2] else 0), int(found[3])
        is_part = self.response.status_code == 206 and not header.lower().startswith("bytes")
        return (0, None) if is_part else None

    def _sign(self, weight: Weight, word: Word, shown: str, paging: str) -> Sign:
        return Sign(weight, word.place, word.is_header, shown, paging, word.value)

    def _is_this(self, value: Any) -> bool:
        """Whether a link or cursor leads to this page itself."""
        return self._requested.is_page(value) if is_url(value) else self._requested.has(value)

    @cached_property
    def _requested(self) -> Requested:
        return Requested(self.response)


def evidence_of(query: Query, answer: Answer) -> Evidence:
    return Evidence(answer.response, query.records, query.ignored)


def refuse_more(
    query: Query,
    answer: Answer,
    *,
    rows: int,
    pages: int,
    weights: Collection[Weight] = ALL,
    from_start: bool = False,
    searched: str = "",
) -> None:
    """Raises ApiError if paging ends with a response that says that there is more.

    `searched` says where the paging looked for the next page.
    """
    evidence = evidence_of(query, answer)
    sign = evidence.sign_of_more(rows=rows, pages=pages, weights=weights, from_start=from_start)
    if sign is None:
        return
    raise ApiError(
        f"{query.shown} has more pages than were read: {sign.where} {sign.shown}{searched}. Page "
        f"by {sign.paging}. If it means something else in this API, pass "
        f'ignore_more=["{sign.place}"] to pages()'
    )
