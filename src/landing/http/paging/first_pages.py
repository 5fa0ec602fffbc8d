"""Whether paging by numbers began with the first page of its list."""

from __future__ import annotations

from collections.abc import Callable

import requests

from landing.errors import ApiError
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
