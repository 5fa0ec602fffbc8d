"""Skips and counts the children of a parent that the API no longer has."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeVar

from requests import HTTPError

from landing.http.api_messages import shown_request

Item = TypeVar("Item")

STATUSES = (404, 410)
"""Not Found and Gone: for one of many children, they mean that it was deleted meanwhile."""

_SEVERAL = 5


@dataclass
class Gone:
    """The children of one run that are gone."""

    count: int = 0
    by_choice: int = 0
    """How many of them had a status that the stream itself names in `gone=`."""
    answered: int = 0
    """Children whose requests were answered."""
    first: str = ""
    """Request and status of the first of them, without the URL's query."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, error: Exception, *, by_choice: bool = False) -> None:
        """Count a child; `error` is an exception of requests, httpx, aiohttp or urllib."""
        request = getattr(error, "request", None) or getattr(error, "request_info", error)
        shown = shown_request(getattr(request, "method", "GET"), getattr(request, "url", ""))
        with self._lock:
            self.count += 1
            self.by_choice += by_choice
            self.first = self.first or f"{shown} answered {_status(error)}"

    def add_answered(self) -> None:
        with self._lock:
            self.answered += 1

    @property
    def is_all(self) -> bool:
        """Whether no child was found, so the address may be wrong or the API down."""
        return self.count > 0 and not self.by_choice and not self.answered

    @property
    def is_few(self) -> bool:
        """Whether they are so few that all may have been deleted."""
        return self.count < _SEVERAL

    @property
    def note(self) -> str:
        what = "1 list was" if self.count == 1 else f"{self.count:,} lists were"
        note = f"{what} skipped, as the API no longer has the records they belong to: {self.first}"
        if not self.is_all:
            return note
        subject = "it is not" if self.count == 1 else "none of them is"
        return f"{note}; {subject} there, so the next run requests them again"


@dataclass
class Child:
    """What a transformer's function requests for one item of its parent."""

    gone: Gone
    has_lists_gone: bool = False
    """If set, rows from the function don't prove that the child exists."""


_current: ContextVar[Gone | None] = ContextVar("landing_gone", default=None)
_in_child: ContextVar[Child | None] = ContextVar("landing_in_child", default=None)


@contextmanager
def counting_gone(gone: Gone) -> Iterator[None]:
    token = _current.set(gone)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def in_child(child: Child) -> Iterator[None]:
    """Lists that are read inside belong to `child`."""
    token = _in_child.set(child)
    try:
        yield
    finally:
        _in_child.reset(token)


def current() -> Gone:
    """Where the current context counts; outside of a run, an object that nobody reads."""
    return _current.get() or Gone()


def unless_gone(
    read: Callable[[], Iterator[Item]], statuses: Collection[int] | None
) -> Iterator[Item]:
    """The pages that `read` yields; none if the first request for them is answered with one of the
    statuses. The default for them is 404 and 410 inside a child, and nothing elsewhere; a 404 then
    counts only if it comes twice."""
    by_choice, child = statuses is not None, _in_child.get()
    if statuses is None:
        statuses = STATUSES if child is not None else ()
    # A thread of dlt's pool knows the child, but not the run.
    gone = current() if child is None else child.gone
    pages = read()
    try:
        try:
            first = next(pages, None)
        except HTTPError as error:
            if by_choice or child is None or not may_pass(error):
                raise
            pages = read()
            first = next(pages, None)
    except HTTPError as error:
        if _status(error) not in statuses:
            raise _decided(error) from None
        gone.add(error, by_choice=by_choice)
        if child is not None:
            child.has_lists_gone = True
        return
    if child is not None or by_choice:
        gone.add_answered()
    if first is not None:
        yield first
    try:
        yield from pages
    except HTTPError as error:  # a part of the list is there
        raise _decided(error) from None


def may_pass(error: BaseException) -> bool:
    """Whether a second request may find the child: some APIs answer 404 for a moment."""
    return is_gone(error) and _status(error) == 404


def is_gone(error: BaseException) -> bool:
    """Whether the error means that a child is gone, and was not marked as a real failure."""
    is_open = not getattr(error, "landing_is_failure", False)
    return is_open and _status(error) in STATUSES


def _status(error: BaseException) -> int | None:
    """The status that the exception has: requests and httpx attach a response, aiohttp and urllib
    the status itself."""
    response = getattr(error, "response", None)
    status = getattr(error, "status", None) if response is None else response.status_code
    return status if isinstance(status, int) else None


def _decided(error: HTTPError) -> HTTPError:
    error.landing_is_failure = True  # type: ignore[attr-defined]
    return error
