"""Finds signs in an API's last answers of more rows that a stream did not request."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from urllib.parse import unquote_plus, urlsplit

import msgspec
from requests import Response

from landing.columns.json_page import JsonPage
from landing.http.page_rows import identities
from landing.http.paging.more import Evidence
from landing.http.paging.signs import Sign
from landing.http.paging.totals import total_above
from landing.http.paging.unread import records_in


def left_over(answers: Sequence[Response]) -> str | None:
    """A sign that the API has more rows than a stream read to its end; None if there is none.

    The answers may come from any session: if the kit does not know where their records are, that
    is guessed.
    """
    lists: dict[tuple[str, str], list[Response]] = defaultdict(list)
    for response in answers:
        if response.ok and records_in(response) is not None:
            url = urlsplit(str(response.request.url))
            lists[str(response.request.method), f"{url.hostname}{url.path}"].append(response)
    for (method, place), pages in lists.items():
        last = Evidence(pages[-1], records_in(pages[-1]), _ignored(pages[-1]))
        rows = len({one for page in pages for one in _identities(page)})
        sign = last.sign_of_more(rows=rows, pages=len(pages), from_start=len(pages) > 1)
        if sign and not _is_followed(sign, answers):
            return f"{method} {place}: {sign.where} {sign.shown}"
        first = Evidence(pages[0], records_in(pages[0]), _ignored(pages[0]))
        total = total_above(first.stated_total, last.stated_total, rows, first.rows_before)
        if total is not None:
            return f"{method} {place}: '{total.place}' is {total.rows:,}, and {rows:,} rows came"
    return None


def _is_followed(sign: Sign, answers: Sequence[Response]) -> bool:
    """Whether the link or cursor was requested, even at another address."""
    if sign.weight != "next":
        return False
    value = str(sign.value).rpartition("://")[2]
    return any(value in text for response in answers for text in _request_texts(response))


def _request_texts(response: Response) -> list[str]:
    body = response.request.body or b""
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body)
    return [str(response.request.url), unquote_plus(str(response.request.url)), text]


def _ignored(response: Response) -> Sequence[str]:
    return getattr(response, "landing_ignored", ())


def _identities(response: Response) -> list[int]:
    path = records_in(response) or ""
    # Of a GraphQL connection, the kit's path is that of the connection.
    for place in (path, f"{path}.nodes", f"{path}.edges"):
        try:
            return identities(JsonPage(response.content, place))
        except (ValueError, msgspec.MsgspecError):
            continue
    return []
