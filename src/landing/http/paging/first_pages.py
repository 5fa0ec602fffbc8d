"""Whether paging began with the first page of its list.

Page 1 of an API may be its second. And to some APIs, a parameter that they do not know is a filter,
by which no row is left.
"""

from __future__ import annotations

from collections.abc import Callable

import requests

from landing.errors import ApiError
from landing.http import traffic
from landing.http.bodies import Page
from landing.http.paging.more import answered
from landing.http.paging.seen_rows import Rows
from landing.http.query import Answer, Query


def refuse_earlier(query: Query, answer: Answer, remedy: str) -> None:
    """Raises ApiError if the answer to the first request says that there are pages before it."""
    sign = answered(query, answer).sign_of_earlier()
    if sign is not None:
        raise ApiError(
            f"{query.shown} has pages before the first that was requested: {sign.where} "
            f"{sign.shown}. {remedy}. If it means something else in this API, pass "
            f'ignore_more=["{sign.place}"] to pages()'
        )


def refuse_skipped(query: Query, before: Callable[[], Answer], rows: Rows, remedy: str) -> None:
    """Raises ApiError if the page `before` the first that was requested has rows of its own."""
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
    """Of a list whose `first` page was empty; `plain` asks for it without the parameters `names`.

    Costs one request where a stream's first list is empty. Further lists, as of children, are
    asked for in the same way.
    """
    if not traffic.current().is_first_list:
        return
    try:
        rows = len(plain.ask().page)
    except (requests.RequestException, ApiError):  # of an API that insists on them
        return
    if rows and not first():  # nor did they come just now
        listed = " and ".join(f"'{name}'" for name in names)
        parameters = "parameters" if len(names) > 1 else "parameter"
        raise ApiError(
            f"{plain.shown}: the first page has no rows with the {parameters} {listed}, and "
            f"{rows:,} without; does the API have other names, or number pages from 0?"
        )
