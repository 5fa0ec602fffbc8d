"""Checks an empty first page: the list may be empty, or the paging parameters may be wrong.

Some APIs take an unknown parameter for a filter that no row passes, and in an API that numbers
pages from 0, page 1 of a short list is beyond its end.
"""

from __future__ import annotations

from collections.abc import Callable

import requests

from landing.errors import ApiError
from landing.http import traffic
from landing.http.bodies import Page
from landing.http.query import Query


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
