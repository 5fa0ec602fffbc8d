"""Reads two pages of each planned stream from the API, and corrects the plan by what it answers.

The client and the paging of the trial are those of the files that will be written.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import requests

from landing.errors import LandingError
from landing.extraction.failures import request_failed
from landing.http.api_messages import message_of
from landing.http.links import link_to
from landing.http.paging.words import Word, is_url, of_body, of_headers
from landing.http.retries import Retries
from landing.http.spelling import is_end
from landing.scaffold import render
from landing.scaffold.kinds import PAGINGS
from landing.scaffold.plan import PagingPlan, SourcePlan, StreamPlan, paging_plan
from landing.secrets import redacted

_FEW = 5
_SIZES = (100, 50, 20, 10)
_TOO_LARGE = (400, 413, 416, 422)
_MOST_STREAMS = 20
_MOST_REQUESTS = 10
"""For the pages of one attempt, some of which may be requested twice."""
_MOST_SECONDS = 120
_BY_WORDS = ("next", "cursor", "position")


@dataclass(frozen=True)
class Tried:
    plan: SourcePlan
    works: Sequence[str] = ()
    """Streams whose first pages were read, some of them only after a correction."""
    notes: Sequence[str] = ()
    """What was corrected, and what was not tried."""
    failed: Sequence[str] = ()
    """What is wrong, by stream, and what ended the trial."""


class _Ended(Exception):
    """No stream can be read: the API does not take the credentials, or is not there."""


def tried(plan: SourcePlan, *, is_trusted: bool) -> Tried:
    """The plan as it was if an environment variable of the source is not set. The API's address is
    one of them; unless the plan `is_trusted`, credentials go to no other host either."""
    if not all(name in os.environ for name, _ in plan.variables()):
        return Tried(plan)
    if not is_trusted and (other := _other_host(plan)):
        what = f"not tried, since the document sends the credentials to {other}"
        return Tried(plan, notes=[f"{what}: if that is right, run `landing check {plan.name}`"])
    streams = list(plan.streams)
    works: list[str] = []
    notes: list[str] = []
    failed: list[str] = []
    try:
        api = _TrialApi(plan)
        ends = time.monotonic() + _MOST_SECONDS
        for number, stream in enumerate(plan.streams[:_MOST_STREAMS]):
            if not _is_readable(stream):
                notes.append(f"{stream.name}: not tried, since it is a search or a query")
                continue
            streams[number], corrected, wrong = _Trial(api, plan, stream, ends).result()
            notes += [f"{stream.name}: {'; '.join(corrected)}"] if corrected else []
            if wrong:
                failed.append(f"{stream.name}: {wrong}")
            else:
                works.append(stream.name)
    except (_Ended, LandingError, ValueError) as error:
        failed.append(f"the trial ended: {error}")
    else:
        if len(streams) > _MOST_STREAMS:
            notes.append(f"{len(streams) - _MOST_STREAMS:,} streams were not tried")
    return Tried(replace(plan, streams=streams), works, notes, failed)


def _is_readable(stream: StreamPlan) -> bool:
    return not stream.is_post and stream.paging.kind != "graphql"


def _other_host(plan: SourcePlan) -> str | None:
    """Where a login or a token's address leads, if that is not the API's own host."""
    own = urlsplit(os.environ[plan.variables()[0][0]])
    for value in plan.auth.arguments.values():
        address = urlsplit(str(value))
        if address.netloc and address[:2] != own[:2]:
            return address.netloc.rpartition("@")[2]
    return None


class _TrialApi:
    """The API as the client that will be written makes it, with bounds: a person waits."""

    def __init__(self, plan: SourcePlan) -> None:
        namespace: dict[str, Any] = {}
        exec(compile(render.client(plan), "client.py", "exec"), namespace)
        self.kit = namespace["api"]()
        self.kit.session.retries = Retries(total=1, deadline=30.0)

    @contextmanager
    def at_most(self, requests: int, until: float) -> Iterator[None]:
        """Counts requests, since pages may be empty for ever. Raises _Ended after `until`."""
        session, left = self.kit.session, iter(range(requests))
        send = session.send

        def counted(*arguments: Any, **options: Any) -> Any:
            if time.monotonic() > until:
                raise _Ended(f"{_MOST_SECONDS} seconds have passed")
            if next(left, None) is None:
                raise LandingError(f"{requests} requests were not enough for its first pages")
            return send(*arguments, **options)

        session.send = counted
        try:
            yield
        finally:
            session.send = send


class _Trial:
    def __init__(self, api: _TrialApi, plan: SourcePlan, stream: StreamPlan, ends: float) -> None:
        self._api = api
        self._ends = ends
        self._stream = stream
        values = {name: os.environ[plan.variable(name)] for name in stream.variables}
        self._path = stream.path_with(values)
        in_query = {name: one for name, one in values.items() if name not in stream.in_path}
        self._params: Mapping[str, Any] = {**stream.params, **in_query}

    def result(self) -> tuple[StreamPlan, list[str], str]:
        """The stream as it works, what was corrected, and what is wrong; empty if nothing is."""
        stream, notes = self._stream, []
        error = self._error(stream, most=1)
        if _status(error) in _TOO_LARGE and (smaller := self._smaller(stream)):
            notes.append(
                f"pages of {stream.paging.rows:,} rows are refused ({_shown(error)}), so it asks "
                f"for {smaller.paging.rows}"
            )
            stream, error = smaller, None
        if error is None:
            error = self._error(_in_pages_of(_FEW, stream), most=2)
        if error is not None and (other := self._other_paging(stream)):
            place = other.paging.arguments.get("path") or other.paging.arguments.get("header", "")
            notes.append(
                f"paging by {other.paging.kind} {place}".rstrip() + ", as its pages have it"
            )
            stream, error = other, None
        if error is None and (from_0 := self._from_page_0(stream)):
            notes.append("its pages are counted from 0")
            stream = from_0
        return stream, notes, _shown(error) if error else ""

    def _error(self, stream: StreamPlan, most: int) -> Exception | None:
        found = self._read(stream, most)
        return found if isinstance(found, Exception) else None

    def _read(self, stream: StreamPlan, most: int) -> list[Any] | Exception:
        """The rows of so many pages, or what went wrong. An API may choose names that are no paths,
        or answer anything: whatever it is, the note says it, and the plan stays.

        Raises _Ended if no other stream can be read either.
        """
        try:
            with self._api.at_most(_MOST_REQUESTS, self._ends):
                return self._pages(stream, most)
        except _Ended:
            raise
        except Exception as error:
            if _status(error) in (401, 429) or isinstance(error, requests.ConnectionError):
                raise _Ended(f"{stream.name}: {_shown(error)}") from None
            return error

    def _pages(self, stream: StreamPlan, most: int) -> list[Any]:
        pages = self._api.kit.pages(
            self._path,
            records=stream.records,
            paging=_made(stream.paging),
            params={**self._params, **_size(stream.paging)},
        )
        return [page if isinstance(page, list) else page.rows() for page in islice(pages, most)]

    def _smaller(self, stream: StreamPlan) -> StreamPlan | None:
        """With the largest page that the API takes, if its size is what it refuses."""
        for rows in (rows for rows in _SIZES if rows < stream.paging.rows):
            smaller = _in_pages_of(rows, stream)
            if self._error(smaller, most=1) is None:
                return smaller
        return None

    def _other_paging(self, stream: StreamPlan) -> StreamPlan | None:
        """The first paging by the words of the first page that gives another second one."""
        size = stream.paging.arguments.get("size") or stream.paging.arguments.get("limit_param")
        for kind, arguments in self._candidates(stream):
            sized = {**arguments, "size": str(size)} if size else arguments
            other = replace(stream, paging=paging_plan(kind, sized, stream.paging.rows))
            if self._has_two_pages(_in_pages_of(_FEW, other)):
                return other
        return None

    def _has_two_pages(self, stream: StreamPlan) -> bool:
        pages = self._read(stream, most=2)
        return isinstance(pages, list) and len(pages) == 2 and bool(pages[0] != pages[1])

    def _candidates(self, stream: StreamPlan) -> Iterator[tuple[str, dict[str, str]]]:
        params = {**self._params, **_size(_in_pages_of(_FEW, stream).paging)}
        try:
            response = self._api.kit.get(self._path, params=params)
        except requests.RequestException:
            return
        if link_to(response.headers.get("Link", ""), "next"):
            yield "link", {}
        words = [*of_headers(response.headers), *of_body(response.content, stream.records)]
        for word in words:
            if word.kind in _BY_WORDS and not is_end(word.value):
                yield from _by_word(word)
        if any(word.kind in ("pages", "page", "total") for word in words):
            yield from (("page", {}), ("page", {"size": "per_page"}), ("offset", {}))

    def _from_page_0(self, stream: StreamPlan) -> StreamPlan | None:
        """Counted from 0, if there is a page 0 with rows other than those of page 1."""
        if stream.paging.kind != "page" or stream.paging.arguments.get("first") != 1:
            return None
        arguments = {**stream.paging.arguments, "first": 0}
        other = replace(stream, paging=replace(stream.paging, arguments=arguments))
        few = _in_pages_of(_FEW, other)
        before, after = self._read(few, most=1), self._read(_in_pages_of(_FEW, stream), most=2)
        if isinstance(before, Exception) or isinstance(after, Exception) or not before:
            return None
        # An API that takes 0 for no number gives all rows, or those of page 1.
        rows, later = before[0], [row for page in after for row in page]
        is_own = len(rows) <= few.paging.rows and not any(row in later for row in rows)
        return other if is_own else None


def _by_word(word: Word) -> Iterator[tuple[str, dict[str, str]]]:
    where = "header" if word.is_header else "path"
    if is_url(word.value):
        yield ("next-url-header" if word.is_header else "next-url"), {where: word.place}
        return
    last = re.split(r"[.\d]+", word.place)[-1] or word.name
    shorter = re.sub(r"^(x-)?next[_-]?", "", last, flags=re.IGNORECASE)
    shorter = shorter[:1].lower() + shorter[1:]
    kind = "cursor-header" if word.is_header else "cursor"
    for param in dict.fromkeys(filter(None, (shorter, last, "cursor", "after"))):
        yield kind, {where: word.place, "param": param}


def _made(paging: PagingPlan) -> Any:
    """The object that the written stream passes; None for a single page."""
    if not PAGINGS[paging.kind].class_name:
        return None
    from landing import http

    made = getattr(http, PAGINGS[paging.kind].class_name)
    given = {name: value for name, value in paging.arguments.items() if value != ""}
    if paging.kind == "keyset":
        return made(**given, limit=paging.rows)
    if paging.kind in render.WITH_LIMIT:
        return made(paging.rows, **given)
    return made(**{name: value for name, value in given.items() if name != "size"})


def _size(paging: PagingPlan) -> dict[str, int]:
    size = paging.arguments.get("size")
    is_param = size and paging.kind not in render.WITH_LIMIT
    return {str(size): paging.rows} if is_param else {}


def _in_pages_of(rows: int, stream: StreamPlan) -> StreamPlan:
    return replace(stream, paging=replace(stream.paging, rows=min(rows, stream.paging.rows)))


def _status(error: Exception | None) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)


def _shown(error: Exception | None) -> str:
    """The API's own message with the status, or else the error's first line."""
    response = getattr(error, "response", None)
    if message := message_of(response):
        return redacted(f"{_status(error)}: {message}")
    if isinstance(error, requests.RequestException):
        return redacted(request_failed(error))
    return redacted(str(error).partition("\n")[0])
