"""Has a stream request its lists in other pages, so that `landing check` can compare them."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from dlt.sources.helpers.rest_client.paginators import BasePaginator, RangePaginator

from landing.http import vocabulary
from landing.http.paging.counted import Counted
from landing.http.paging.keysets import KeysetPages
from landing.http.paging.numbers import NumberedPages
from landing.http.paging.time_windows import TimeWindows
from landing.http.query import Query
from landing.http.spelling import plain, plain_set, whole_number

_SIZES = plain_set(vocabulary.SIZES)


@dataclass
class Variation:
    rows: int | None = None
    """Maximum rows per page, if the parameter for it is known."""
    from_zero: bool = False
    """Whether to count pages from 0 that are counted from 1."""
    beyond: Mapping[str, Any] = field(default_factory=dict)
    """Parameters for a later page, which are added if the paging goes by links or cursors."""
    was_made: bool = False
    """Whether it changed a request of the stream."""


_current: ContextVar[Variation | None] = ContextVar("landing_page_variation", default=None)


@contextmanager
def varying(
    *, rows: int | None = None, from_zero: bool = False, beyond: Mapping[str, Any] | None = None
) -> Iterator[Variation]:
    """Inside, `Api.pages` requests its lists in other pages."""
    variation = Variation(rows, from_zero, beyond or {})
    token = _current.set(variation)
    try:
        yield variation
    finally:
        _current.reset(token)


def varied(paging: Any, query: Query) -> tuple[Any, Query]:
    """The paging and the query, changed by the current variation if there is one."""
    variation = _current.get()
    if variation is None:
        return paging, query
    is_open = all(query.value_of(name) is None for name in variation.beyond)
    by_pointer = isinstance(paging, BasePaginator) and not isinstance(paging, RangePaginator)
    if variation.beyond and is_open and by_pointer:
        variation.was_made = True
        query = query.with_values(variation.beyond)
    return _paging(paging, variation), _query(query, variation)


def _paging(paging: Any, variation: Variation) -> Any:
    paging = copy.copy(paging)
    if isinstance(paging, TimeWindows):
        paging._within = _paging(paging._within, variation)
    if variation.from_zero and isinstance(paging, NumberedPages) and paging._first == 1:
        paging._first = 0
        variation.was_made = True
    is_sized = isinstance(paging, Counted | KeysetPages)
    if variation.rows and is_sized and paging.limit > variation.rows:
        paging.limit = max(variation.rows, 2)
        variation.was_made = True
    return paging


def _query(query: Query, variation: Variation) -> Query:
    """The query with fewer rows per page, if a parameter or a member of the JSON body sets them."""
    rows = variation.rows
    if rows is None:
        return query
    body = query.template.json
    parameters = (query.template.params or {}).items() if body is None else _members(body)
    for name, value in list(parameters):
        if plain(name.rpartition(".")[2]) in _SIZES and (whole_number(value) or 0) > rows:
            variation.was_made = True
            query = query.with_values({name: rows})
    return query


def _members(body: Any, within: str = "") -> Iterator[tuple[str, Any]]:
    """The path and value of each member at any depth."""
    for name, value in body.items() if isinstance(body, Mapping) else ():
        if isinstance(value, Mapping):
            yield from _members(value, f"{within}{name}.")
        else:
            yield f"{within}{name}", value
