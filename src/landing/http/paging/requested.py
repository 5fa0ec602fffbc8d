"""The parameters of a request, with which the links and cursors of its response are compared."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

from requests import Response

from landing.http import vocabulary
from landing.http.spelling import plain, whole_number


@dataclass(frozen=True)
class Requested:
    response: Response

    @cached_property
    def values(self) -> dict[str, str]:
        """The request's parameters by their plain names, in the URL or a JSON body."""
        values = _of_url(str(self.response.request.url))
        body = self.response.request.body
        if isinstance(body, bytes | str):
            try:
                values.update(_scalars(json.loads(body)))
            except ValueError:  # a form, whose parameters no response repeats
                return values
        return values

    def number(self, names: Collection[str]) -> int:
        """The greatest number among these parameters; 0 if none is a number."""
        return max(_numbers(self.values, names), default=0)

    def has(self, value: Any) -> bool:
        """Whether a cursor, offset or page number is the requested one."""
        number = whole_number(value)
        if number is None:
            return str(value) in self.values.values()
        return 0 < number == self.number((*vocabulary.NUMBERS, *vocabulary.POSITIONS))

    def is_page(self, url: str) -> bool:
        """Whether a URL is that of this page."""
        own = str(self.response.url)
        here, there = (urlsplit(urljoin(own, each)) for each in (own, url))
        return (here.path, sorted(parse_qsl(here.query))) == (
            there.path,
            sorted(parse_qsl(there.query)),
        )

    def is_beyond(self, url: str) -> bool:
        """Whether this page comes after that of a URL, by page numbers and offsets; a page without
        either is the first."""
        there = _of_url(urljoin(str(self.response.url), url))
        pairs = (
            (_numbers(there, names), self.number(names))
            for names in (vocabulary.NUMBERS, vocabulary.POSITIONS)
        )
        return all(not found or max(found) < own for found, own in pairs)


def _of_url(url: str) -> dict[str, str]:
    return {plain(name): value for name, value in parse_qsl(urlsplit(url).query)}


def _numbers(values: Mapping[str, str], names: Collection[str]) -> list[int]:
    numbers = (whole_number(values.get(plain(name))) for name in names)
    return [number for number in numbers if number is not None]


def _scalars(value: Any) -> Iterator[tuple[str, str]]:
    """The members of an object that are text or numbers, at any depth."""
    for name, member in value.items() if isinstance(value, dict) else ():
        if isinstance(member, dict):
            yield from _scalars(member)
        elif isinstance(member, str | int):
            yield plain(name), str(member)
