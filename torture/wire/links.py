"""Spellings of the header `Link`."""

from __future__ import annotations

from typing import Any

from tests.servers.styles import Answer, Asked
from torture.wire.way import (
    ROWS,
    Way,
    paged,
    pages,
)

TOTAL = len(ROWS)
BY_LINK = pages("paging=LinkPages()")


def _links(header: str) -> Any:
    """Rows in pages of which the header names the next; `{}` stands for its URL."""

    def make(a: Asked) -> Answer:
        return Answer(a.rows, a.next({"Link": header.replace("{}", str(a.link()))}, {}))

    return paged(make)


LINKS = [
    Way(f"the header `Link` {what}", source, _links(header), BY_LINK, "landed")
    for what, source, header in [
        (
            "has relations without quotation marks",
            "PowerShell/PowerShell#11629",
            "<{}>; rel=next, </last>; rel=last",
        ),
        (
            "has some in quotation marks and some without",
            "spring-projects/spring-hateoas#1899",
            '</first>; rel=first, <{}>; rel="next"; title=x',
        ),
        (
            "has commas in its URLs",
            "alpha-omega-security/scrutineer#578",
            '</orders?f=a,b,c>; rel="prev", <{}&f=a,b,c>; rel="next"',
        ),
        (
            "has a comma in a title",
            "guzzle/guzzle#411",
            '</1>; rel="previous"; title="start, index", <{}>; rel="next"',
        ),
        (
            "has commas in dates",
            "psf/requests#2707",
            '</t>; rel="first memento"; datetime="Mon, 23 Apr 2007", <{}>; rel="last next"',
        ),
        (
            "has relations in single quotation marks",
            "alexpeattie/nitlink#2",
            "<{}>; rel='next', </last>; rel='last'",
        ),
        (
            "has an empty element",
            "meziantou/Meziantou.Framework#2744",
            "</a>; rel=prev, , <{}>; rel=next",
        ),
        (
            "begins with something else",
            "meziantou/Meziantou.Framework#2744",
            "garbage, <{}>; rel=next",
        ),
        (
            "has an element without its `>`",
            "meziantou/Meziantou.Framework#2744",
            "</a; rel=prev, <{}>; rel=next",
        ),
        (
            "has a URL as a relation",
            "http4s/http4s#7101",
            "</acl>; rel=https://www.w3.org/ns/auth/acl#accessControl, <{}>; rel=next",
        ),
        (
            "has two relations without quotation marks",
            "hypervel/components#583",
            "<{}>; rel=next last",
        ),
    ]
]
