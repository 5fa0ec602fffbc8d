"""Lists that paging enters at another page than the first, or ends before it has all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.servers.scripted import Exchange
from torture.wire.way import ROWS, SIZE, Answers, Row, Way, body, listed, pages

TOTAL = len(ROWS)


def _numbered(
    make: Callable[[int, list[Row], bool], Any], *, first: int = 1, name: str = "page", **head: str
) -> Answers:
    """Pages by number; `make` gets the number, the rows, and whether it is the last page."""

    def answer(exchange: Exchange) -> None:
        number = max(int(exchange.seen.query.get(name, first)), first)
        start = (number - first) * SIZE
        rows = ROWS[start : start + SIZE]
        headers = {key: each.format(before=number - 1 or "") for key, each in head.items()}
        body(make(number, rows, start + SIZE >= TOTAL), **headers)(exchange)

    return answer


def _told(what: str, source: str, answers: Answers, paging: str, says: str) -> Way:
    return Way(what, source, answers, listed(paging), "failed", says)


def _warned(what: str, source: str, answers: Answers, stream: str, says: str, **own: Any) -> Way:
    return Way(what, source, answers, stream, "warned", says, **own)


SECOND = f"NumberedPages({SIZE}, first=2)"
FIRST = f"NumberedPages({SIZE})"
BEFORE = "has pages before the first that was requested: "


def _link(number: int) -> str | None:
    return f"/orders?page={number}&limit={SIZE}" if number else None


WRONG_FIRST = [
    _told(
        "the stream begins with page 2, and `previous` has the link to page 1",
        "marmelab/ng-admin#56",
        _numbered(
            lambda n, rows, last: {
                "count": TOTAL,
                "next": None if last else _link(n + 1),
                "previous": _link(n - 1),
                "items": rows,
            }
        ),
        SECOND,
        f"{BEFORE}'previous' names a page before it",
    ),
    _told(
        "the stream begins with page 2, and `first` is false",
        "uriyyo/fastapi-pagination#1570",
        _numbered(lambda n, rows, last: {"items": rows, "first": n == 1, "last": last}),
        SECOND,
        f"{BEFORE}'first' false",
    ),
    _told(
        "pages count from 0, the stream from 1, and `first` is false",
        "plantbreeding/BrAPI#118",
        _numbered(lambda n, rows, last: {"items": rows, "first": n == 0, "last": last}, first=0),
        FIRST,
        f"{BEFORE}'first' false",
    ),
    _told(
        "pages count from 0, the stream from 1, and `prev` has the link to page 0",
        "kaltura/server#10173",
        _numbered(
            lambda n, rows, last: {
                "items": rows,
                "links": {"prev": f"/orders?page={n - 1}" if n else None},
            },
            first=0,
        ),
        FIRST,
        f"{BEFORE}'links.prev' names a page before it",
    ),
    _told(
        "the stream begins with page 2, and `has_previous` is true",
        "edwardhotchkiss/mongoose-paginate#79",
        _numbered(
            lambda n, rows, last: {
                "items": rows,
                "meta": {"has_previous": n > 1, "has_next": not last},
            }
        ),
        SECOND,
        f"{BEFORE}'meta.has_previous' names a page before it",
    ),
    Way(
        "the stream begins with page 2, and the header `X-Prev-Page` has 1",
        "singer-io/tap-gitlab#21",
        _numbered(lambda n, rows, last: rows, X_Prev_Page="{before}"),
        pages(f"paging={SECOND}"),
        "failed",
        f"{BEFORE}the header 'X-Prev-Page' names a page before it",
    ),
    _told(
        "the stream begins with page 2, and nothing in the answers says so",
        "typicode/json-server#849",
        _numbered(lambda n, rows, last: {"items": rows}),
        SECOND,
        "the page before the first that was requested has 5 rows that no other page has",
    ),
    Way(
        "dlt's paginator begins with page 2",
        "dlt-hub/dlt#1637",
        _numbered(lambda n, rows, last: {"items": rows, "previous": _link(n - 1)}),
        listed("paginators.PageNumberPaginator(base_page=2, total_path=None)"),
        "failed",
        f"{BEFORE}'previous' names a page before it",
    ),
    Way(
        "pages 0 and 1 are the same, and the stream counts from 1",
        "kaminari/kaminari#799",
        _numbered(lambda n, rows, last: {"items": rows}),
        listed(FIRST),
        "landed",
    ),
    Way(
        "page 1 has a link to itself as the page before",
        "facetoe/zenpy#489",
        _numbered(lambda n, rows, last: {"items": rows, "prev": _link(max(n - 1, 1))}),
        listed(FIRST),
        "landed",
    ),
    Way(
        "the largest page is below the one asked for, and pages are full at it",
        "snowflakedb/SnowAlert#359",
        _numbered(lambda n, rows, last: {"items": rows}),
        listed("NumberedPages(1000)"),
        "landed",
    ),
]

BEYOND = ROWS[:10]


def _ten(**members: Any) -> Answers:
    return body({"items": BEYOND} | members)


FEWER = [
    _warned(
        "`next` is always null, and the total counts more rows",
        "alephdata/aleph#200",
        _ten(next=None, limit=10, offset=0, total=92_267_396),
        listed('NextUrlPages("next")'),
        "the API counts 92,267,396 rows at 'total', and 10 came",
        rows=BEYOND,
    ),
    _warned(
        "a flag says that there is no more, and the total counts more rows",
        "DougMidgley/SFMC-SDK#229",
        _ten(has_more=False, totalResults=12),
        listed(f"NumberedPages({SIZE})"),
        "the API counts 12 rows at 'totalResults', and 10 came",
        rows=BEYOND,
    ),
    _warned(
        "the page beyond the last has no link, and the first counted more rows",
        "sailpoint-oss/developer.sailpoint.com#127",
        lambda exchange: body(
            {
                "items": ROWS[:SIZE] if exchange.number == 1 else ROWS[SIZE:10],
                "count": TOTAL,
                "next": "/orders?page=2" if exchange.number == 1 else None,
            }
        )(exchange),
        listed('NextUrlPages("next")'),
        "the API counts 12 rows at 'count', and 10 came",
        rows=BEYOND,
    ),
    _warned(
        "the answer has exactly a full page of rows, and says nothing else",
        "OffchainLabs/prysm#4144",
        _ten(),
        listed(),
        "the response has exactly 10 rows, as a full page would have",
        rows=BEYOND,
    ),
    _warned(
        "the answer has as many rows as were asked for, and says nothing else",
        "moonclerk/developer#4",
        body({"items": ROWS, "count": TOTAL}),
        pages('records="items", params={"limit": 12}'),
        "the response has exactly 12 rows, as a full page would have",
    ),
    Way(
        "the answer has exactly a full page of rows, and the stream says that it is all",
        "OffchainLabs/prysm#4144",
        _ten(),
        listed("SinglePage()"),
        "landed",
        rows=BEYOND,
    ),
    Way(
        "the answer has exactly a full page of rows, and a null for the next",
        "buttondown/roadmap#545",
        _ten(count=10, next=None, previous=None),
        listed(),
        "landed",
        rows=BEYOND,
    ),
    Way(
        "the count is of this page, on each page",
        "apache/cloudstack#4191",
        _numbered(lambda n, rows, last: {"items": rows, "count": len(rows)}),
        listed(f"NumberedPages({SIZE})"),
        "landed",
    ),
]
