"""Checks that paging began with the first page of its list.

An API that counts pages from 0 returns its second page as page 1. Another takes a parameter that it
does not know for a filter, which no row meets.
"""

from __future__ import annotations

from collections.abc import Callable

import requests

from landing.errors import ApiError
from landing.http import traffic
from landing.http.bodies import Page
from landing.http.paging.more import evidence_of
from landing.http.paging.seen_rows import Rows
from landing.http.query import Answer, Query


def refuse_earlier(query: Query, answer: Answer, remedy: str) -> None:
    """Raises ApiError if the response to the first request says that there are pages before it."""
    sign = evidence_of(query, answer).sign_of_earlier()
    if sign is not None:
        raise ApiError(
            f"{query.shown} has pages before the first that was requested: {sign.where} "
            f"{sign.shown}. {remedy}. If it means something else in this API, pass "
            f'ignore_more=["{sign.place}"] to pages()'
        )


def refuse_skipped(query: Query, before: Callable[[], Answer], rows: Rows, remedy: str) -> None:
    """Raises ApiError if the page before the first requested one, which `before` requests, has rows
    of its own."""
    try:
        skipped = [id_ for id_ in rows.identities(before().page) if id_ not in rows]
    except (requests.RequestException, ApiError):  # there is no such page
        return
    if skipped:
        raise ApiError(
            f"{query.shown}: the page before the first that was requested has {len(skipped):,} "
            f"rows that no other page has. {remedy}"
        )


def refuse_if_filtered(plain: Query, first: Callable[[], Page], *names: str) -> None:
    """Raises ApiError if a list is empty only because of the parameters `names`.

    `plain` requests it without them, and `first` requests its first page again. Only the first list
    of a stream is checked, at the cost of one request, since the others have the same parameters.
    """
    if not traffic.current().is_first_list:
        return
    try:
        rows = len(plain.ask().page)
    except (requests.RequestException, ApiError):  # the API requires the parameters
        return
    if rows and not first():  # the rows were not added just now
        listed = " and ".join(f"'{name}'" for name in names)
        parameters = "parameters" if len(names) > 1 else "parameter"
        raise ApiError(
            f"{plain.shown}: the first page has no rows with the {parameters} {listed}, and "
            f"{rows:,} without; does the API have other names, or number pages from 0?"
        )
