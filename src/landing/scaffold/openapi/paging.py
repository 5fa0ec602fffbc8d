"""Guesses how the pages of an endpoint follow one another, and says what each guess is from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from landing.http.spelling import plain, plain_set
from landing.http.vocabulary import BODY, INSIDE_NEXT
from landing.scaffold.openapi.document import Schema
from landing.scaffold.openapi.names import (
    CURSORS,
    IDS_OR_TIMES,
    KEYSETS,
    NEXT_CURSORS,
    OFFSETS,
    PAGE_NUMBERS,
    PAGE_SIZES,
    RANGES,
    named,
)
from landing.scaffold.openapi.parameters import Parameter
from landing.scaffold.plan import DEFAULT_PAGE_ROWS, PagingPlan, paging_plan

Sure: TypeAlias = Literal["documented", "guessed", "unrecognized", "none"]
Place: TypeAlias = tuple[str, ...]

_DEEPEST = 4
_CAREFUL_ROWS = 100
"""Most APIs take so many, where the document says nothing."""
_URL = re.compile(r"\b(ur[il]|link|href)\b", re.IGNORECASE)
_URL_NAME = re.compile(r"(ur[il]|link|href)$")
_LINK = re.compile(r"\[[^]]*\]\([^)]*\)|<a\b.*?</a>|https?://\S*", re.IGNORECASE)
"""Links within a description, which say nothing of the value."""
_NUMBERS = {"integer", "number"}
_NEXT = plain_set(NEXT_CURSORS)
_INSIDE = plain_set(INSIDE_NEXT)
_OF_NEXT = plain_set(BODY["next"])
_TOTALS = plain_set(BODY["total"])
_LINK_HEADER = re.compile(r"\blink\b.{0,40}\bheader", re.IGNORECASE)
_NOT_ALWAYS = re.compile(r"\b(when|if|only|unless|null)\b", re.IGNORECASE)
_OF_PAGE = re.compile(r"\b(page|set|this (request|response)|returned)\b", re.IGNORECASE)


@dataclass(frozen=True)
class PagingGuess:
    plan: PagingPlan
    sure: Sure
    reasons: list[str] = field(default_factory=list)
    """Sentences for comments."""
    switches: Mapping[str, str] = field(default_factory=dict)
    """Parameters that turn it on."""


@dataclass(frozen=True)
class _Kind:
    kind: str
    reason: str
    arguments: Mapping[str, str] = field(default_factory=dict)
    sure: Sure = "documented"


def _switches(query: Mapping[str, Parameter], param: str) -> dict[str, str]:
    """A parameter `usemarker` that has the API take `marker`."""
    wanted = plain(f"use{param}")
    return {n: "true" for n, p in query.items() if plain(n) == wanted and "boolean" in p.kinds}


def has_pages(query: Mapping[str, Parameter]) -> bool:
    names = (*PAGE_SIZES, *OFFSETS, *PAGE_NUMBERS, *CURSORS)
    return named(query, names) is not None


def paging_guess(
    query: Mapping[str, Parameter], body: Schema | None, key: str | None, *, has_link: bool
) -> PagingGuess:
    """`key` is the primary key of the records in `body`; `has_link` tells of the header Link."""
    finder = _Finder(query, body, key)
    found = finder.kind(has_link=has_link)
    size = named(finder.counted, PAGE_SIZES)
    arguments = dict(found.arguments)
    reasons = [found.reason]
    rows = DEFAULT_PAGE_ROWS
    if size and found.kind != "none":
        arguments["limit_param" if found.kind == "keyset" else "size"] = size
        rows, reason = _page_rows(query[size])
        reasons.append(reason)
    switches = _switches(query, arguments["param"]) if found.kind == "cursor" else {}
    return PagingGuess(paging_plan(found.kind, arguments, rows), found.sure, reasons, switches)


def _page_rows(size: Parameter) -> tuple[int, str]:
    if (largest := size.largest_page()) is None:
        what = f"Guess: {_CAREFUL_ROWS} rows a page; the document has no limit of {size.name}."
        return _CAREFUL_ROWS, what
    rows, source = largest
    return min(rows, DEFAULT_PAGE_ROWS), f"The page size is from the {source} of {size.name}."


class _Finder:
    def __init__(
        self, query: Mapping[str, Parameter], body: Schema | None, key: str | None
    ) -> None:
        self._query = query
        self._key = key
        self._is_bare = body is not None and "array" in body.kinds
        self._members = {} if body is None else dict(_members(body, ()))

    def kind(self, *, has_link: bool) -> _Kind:
        if has_link or self._has_described_link():
            return _Kind("link", "Paging: the documented header Link.")
        if found := self._cursor() or self._offset() or self._next_url() or self._number():
            return found
        if found := self._keyset():
            return found
        if next_url := ".".join(self._next_place()):
            what = f"Guess: {next_url} has the next page's URL."
            return _Kind("next-url", what, {"path": next_url}, "guessed")
        if self._is_bare and named(self._opaque, CURSORS):
            what = "Guess: the header Link has the next page, since the body has only records."
            return _Kind("link", what, sure="guessed")
        usual = named(self._query, (*CURSORS, *PAGE_NUMBERS)) or named(self._offsets, OFFSETS)
        if (left := usual) is not None:
            what = (
                f"The paging is not recognized: there is a parameter {left}, and nothing in the "
                "documented response says how it goes on. Add the matching `paging=`."
            )
            return _Kind("none", what, sure="unrecognized")
        what = "No paging was found: if the API has pages, add the matching `paging=`."
        return _Kind("none", what, sure="none")

    def _has_described_link(self) -> bool:
        paging = (*CURSORS, *PAGE_SIZES, *PAGE_NUMBERS)
        return self._is_bare and any(
            named({name: p}, paging) and _LINK_HEADER.search(p.description)
            for name, p in self._query.items()
        )

    @property
    def _opaque(self) -> Mapping[str, Parameter]:
        """Offsets are numbers in most APIs, and cursors where the document has them as texts."""
        return {n: p for n, p in self._query.items() if p.is_text and p.default is None}

    def _cursor(self) -> _Kind | None:
        """A parameter that takes what a member of the response has."""
        if self._documented_url():
            return None
        usual = named(self._query, CURSORS)
        for place in self._pointers():
            words = _words(place[-1])
            if name := next((name for name in self._opaque if plain(name) in words), usual):
                path = ".".join(place)
                what = f"Paging: {name} takes the response's {path}."
                return _Kind("cursor", what, {"path": path, "param": name})
        return None

    def _pointers(self) -> Iterator[Place]:
        names = set(map(plain, self._query))
        for place, schema in self._members.items():
            last = plain(place[-1])
            is_next = last in _NEXT or (last[:4] == "next" and {last, last[4:]} & names)
            is_kind = schema.kinds & {"string", "integer"} and not _is_url(place, schema)
            if is_kind and (is_next or _is_inside_next(place, _INSIDE)):
                yield place

    def _offset(self) -> _Kind | None:
        offset = named(self._offsets, OFFSETS)
        if offset is None:
            return None
        total = self._total()
        what = f"by {offset}" + (f", and the response's {total} counts all rows" if total else "")
        sure: Sure = "documented" if total else "guessed"
        guess = "Paging" if total else "Guess: paging"
        return _Kind("offset", f"{guess} {what}.", {"offset": offset, "total": total}, sure)

    def _number(self) -> _Kind | None:
        number = named(self.counted, PAGE_NUMBERS)
        if number is None:
            return None
        total, first = self._total(), self._query[number].first_page()
        arguments = {"number": number, "total": total}
        if first is None:
            what = f"Guess: paging by {number}, counted from 1."
            return _Kind("page", what, arguments, "guessed")
        what = f"Paging by {number}, counted from {first[0]} according to its {first[1]}."
        return _Kind("page", what, {**arguments, "first": str(first[0])})

    @property
    def counted(self) -> Mapping[str, Parameter]:
        """Parameters that take numbers: texts do if a number in the response has their name."""
        numbers = {plain(at[-1]) for at, one in self._members.items() if one.kinds & _NUMBERS}
        return {
            name: p
            for name, p in self._query.items()
            if not p.is_text or p.default is not None or plain(name) in numbers
        }

    @property
    def _offsets(self) -> Mapping[str, Parameter]:
        names = set(map(plain, self._query))
        return {
            name: p
            for name, p in self.counted.items()
            if RANGES.get(plain(name)) not in names and not p.is_described_as_time
        }

    def _keyset(self) -> _Kind | None:
        ids = {name: p for name, p in self._query.items() if p.is_id}
        beyond = named(self._query, KEYSETS) or named(ids, IDS_OR_TIMES)
        if self._key is None or beyond is None:
            return None
        what = f"Guess: {beyond} takes the last row's {self._key}."
        return _Kind("keyset", what, {"field": self._key, "param": beyond}, "guessed")

    def _next_url(self) -> _Kind | None:
        path = self._documented_url()
        what = f"Paging: the response's {path} is the next page's URL."
        return _Kind("next-url", what, {"path": path}) if path else None

    def _documented_url(self) -> str:
        place = self._next_place()
        return ".".join(place) if place and _is_url(place, self._members[place]) else ""

    def _next_place(self) -> Place:
        """Where the response has the URL of the next page, or something else that is called so."""
        for place, schema in self._members.items():
            is_next = plain(place[-1]) in _OF_NEXT or _is_inside_next(
                place, {"href", "url", "link"}
            )
            if is_next and "string" in schema.kinds:
                return place
        return ()

    def _total(self) -> str:
        """`count` is the total if the body also has `next`, as in Django REST framework."""
        numbers = {at: one for at, one in self._members.items() if one.kinds & _NUMBERS}
        for place, schema in numbers.items():
            if plain(place[-1]) in _TOTALS:
                is_promised = not schema.may_be_null and not _NOT_ALWAYS.search(schema.description)
                return ".".join(place) if is_promised else ""
        for place, schema in numbers.items() if self._next_place() else ():
            if plain(place[-1]) == "count" and not _OF_PAGE.search(schema.description):
                return ".".join(place)
        return ""


def _is_url(place: Place, schema: Schema) -> bool:
    if _URL_NAME.search(plain(place[-1])):
        return True
    is_described = _URL.search(_LINK.sub("", schema.description))
    return schema.format.startswith("ur") or schema.example[:4] == "http" or bool(is_described)


def _is_inside_next(place: Place, names: Set[str]) -> bool:
    return len(place) > 1 and plain(place[-2]) in _OF_NEXT and plain(place[-1]) in names


def _words(name: str) -> set[str]:
    """How the parameter that takes a member may be called: `marker` that takes `next_marker`."""
    last = plain(name)
    return {last, last.removeprefix("next"), last.removeprefix("nextpage")} - {""}


def _members(schema: Schema, outer: Place) -> Iterator[tuple[Place, Schema]]:
    """The members of a response beside its records, the outer ones first."""
    inner = []
    for name, member in schema.properties.items():
        yield (*outer, name), member
        if "object" in member.kinds and len(outer) < _DEEPEST:
            inner.append(((*outer, name), member))
    for place, member in inner:
        yield from _members(member, place)
