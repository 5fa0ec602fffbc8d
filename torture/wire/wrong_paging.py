"""Lists that go on in another way than the stream expects."""

from __future__ import annotations

from tests.servers.styles import Answer
from torture.wire.way import (
    BY_CURSOR,
    BY_NUMBER,
    BY_OFFSET,
    BY_URL,
    ROWS,
    SIZE,
    Way,
    body,
    last_again,
    listed,
    page_of,
    paged,
    pages,
    row,
    rows_and,
)

TOTAL = len(ROWS)


WRONG = [
    Way(
        "the cursor is at another path than configured",
        "NangoHQ/nango-sync#20",
        paged(lambda a: rows_and(a, meta={"cursor": a.next(a.cursor)})),
        BY_CURSOR,
        "failed",
        "no next page is at 'next_cursor'",
    ),
    Way(
        "the cursor never appears, and the total is beside it",
        "atlassian/atlassian-mcp-server#118",
        paged(lambda a: rows_and(a, total=TOTAL)),
        listed('CursorPages("nextPageToken")'),
        "failed",
        "'total' is 12, and 5 rows came, and no next page is at 'nextPageToken'",
    ),
    Way(
        "totals are only in headers that are left out, and the stream expects them in the body",
        "apache/devlake#4093",
        paged(lambda a: Answer(a.rows, a.head(X_Next_Page=str(a.number + 1)))),
        pages('paging=NextUrlPages("next")'),
        "failed",
        "the header 'X-Next-Page' names a next page, and no next page is at 'next'",
    ),
    Way(
        "the next cursor is in the `Link` header alone since keyset paging came",
        "jdalrymple/gitbeaker#1115",
        paged(lambda a: Answer(a.rows, a.head(Link=f'<{a.link()}>; rel="next"'))),
        pages('paging=CursorPages(header="X-Next-Page", param="page")'),
        "failed",
        "the header 'Link' names a next page",
    ),
    Way(
        "the page number is ignored, and the first page comes for ever",
        "significa/storyblok-assets-cleanup#12",
        body({"items": ROWS[:SIZE]}),
        BY_NUMBER,
        "failed",
        "two pages hold the same rows",
    ),
    Way(
        "the list is not paged, and comes whole each time",
        "mvanhorn/cli-printing-press#4091",
        body({"items": ROWS}),
        BY_NUMBER,
        "failed",
        "two pages hold the same rows",
    ),
    Way(
        "the next URL is the one of this page, for ever",
        "centreon/centreon-plugins#2220",
        body({"items": ROWS[:SIZE], "next": "/orders?page=2"}),
        BY_URL,
        "failed",
        "leads to a page that was read already",
    ),
    Way(
        "pages count from 0, and the stream counts from 1",
        "uriyyo/fastapi-pagination#1570",
        lambda exchange: body(
            {
                "items": ROWS[(n := int(exchange.seen.query["page"]) * SIZE) : n + SIZE],
                "total": TOTAL,
            }
        )(exchange),
        BY_NUMBER,
        "failed",
        "'total' is 12, and 7 rows came",
    ),
    Way(
        "pages count from 0, the stream counts from 1, and the list has one page",
        "aravindnc/mongoose-paginate-v2#78",
        lambda exchange: body(
            {"items": ROWS[(n := int(exchange.seen.query.get("page", 0)) * 50) : n + 50]}
        )(exchange),
        listed("NumberedPages(50)"),
        "failed",
        "no rows with the parameters 'page' and 'limit', and 12 without",
    ),
    Way(
        "a parameter that it does not know is a filter, by which no row is left",
        "objectstack-ai/objectstack#4134",
        lambda exchange: body(
            {"items": [] if "pageSize" in exchange.seen.query else page_of(exchange).rows}
        )(exchange),
        listed(f'OffsetPages({SIZE}, "offset", "pageSize")'),
        "failed",
        "no rows with the parameters 'offset' and 'pageSize', and 5 without",
    ),
    Way(
        "pages 0 and 1 are the same, and the stream counts from 0",
        "nestjsx/nestjs-typeorm-paginate#129",
        lambda exchange: body(
            {"items": ROWS[(n := max(int(exchange.seen.query["page"]) - 1, 0) * SIZE) : n + SIZE]}
        )(exchange),
        listed(f"NumberedPages({SIZE}, first=0)"),
        "failed",
        "two pages hold the same rows",
    ),
    Way(
        "offsets are rounded down to whole pages",
        "x402-foundation/x402#3045",
        lambda exchange: body(
            {
                "items": ROWS[(n := int(exchange.seen.query["offset"]) // SIZE * SIZE) : n + SIZE],
                "total": TOTAL,
            }
        )(exchange),
        BY_OFFSET,
        "failed",
        "same rows|is 12, and",
    ),
    Way(
        "rows of one time span pages, and the next page begins after that time",
        "estuary/connectors#5205",
        paged(
            lambda a: a.rows,
            rows=[row(n, updated_at=f"2026-01-{(n + 2) // 3:02}T00:00:00Z") for n in range(1, 13)],
        ),
        pages('params={"since": ""}, paging=KeysetPages("updated_at", "since", limit=5)'),
        "failed",
        "rows share a 'updated_at'",
    ),
    Way(
        "rows come newest first, and the stream pages by key",
        "iron-fish/ironfish-api#980",
        paged(lambda a: a.rows, rows=ROWS[::-1]),
        pages('paging=KeysetPages("id", "starting_after", limit=5)'),
        "failed",
        "do not come in the ascending order of 'id'",
    ),
    Way(
        "the order changes between pages, so that a row comes twice and another not at all",
        "encode/django-rest-framework#6886",
        paged(lambda a: rows_and(a, count=TOTAL), rows=[*ROWS[:6], ROWS[2], *ROWS[7:]]),
        listed(f'NumberedPages({SIZE}, total="count")'),
        "failed",
        "says there are 12 rows at 'count', and reading all pages twice found 11",
    ),
    Way(
        "a total is above what its pages give",
        "Semantics3/semantics3-python#17",
        paged(lambda a: rows_and(a, total_results=722)),
        BY_OFFSET,
        "failed",
        "'total_results' is 722, and 12 rows came",
    ),
    Way(
        "nothing beyond the first 10 rows can be asked for",
        "usgpo/api#8",
        paged(
            lambda a: (
                Answer({"message": "offset must be less than maxoffset: 10"}, status=400)
                if a.end > 10
                else rows_and(a, count=TOTAL)
            )
        ),
        BY_NUMBER,
        "failed",
        "offset must be less than maxoffset",
    ),
    Way(
        "the last pages are refused, though the links lead to them",
        "TheScienceMuseum/collectionsonline#1102",
        paged(
            lambda a: (
                Answer({"error": "Bad Request", "message": "page[number] too large"}, status=400)
                if a.start
                else rows_and(a, links={"next": a.link()})
            )
        ),
        listed('NextUrlPages("links.next")'),
        "failed",
        r"page\[number\] too large",
    ),
    Way(
        "the next link leads to the server's own name for itself",
        "sissbruecker/linkding#1164",
        body({"items": ROWS[:SIZE], "next": "http://internal.example/orders?page=2"}),
        BY_URL,
        "failed",
        "leads to another host, internal.example",
    ),
    Way(
        "the flag says that there is more, and there is no cursor",
        "deftai/directive#2642",
        paged(lambda a: rows_and(a, has_more=not a.is_last, next_cursor=None)),
        listed('CursorPages("next_cursor", has_more="has_more")'),
        "failed",
        "has more pages than this one, and no cursor",
    ),
    Way(
        "an empty text is a cursor, and the flag says that there is more",
        "MCPJam/inspector#4462",
        paged(lambda a: rows_and(a, next_cursor="", has_more=not a.is_last)),
        BY_CURSOR,
        "failed",
        "'has_more' true",
    ),
    Way(
        "a page beyond the last is a 404, and the stream does not expect that",
        "mozilla/delivery-console#588",
        paged(lambda a: rows_and(a) if a.rows else Answer({"detail": "Invalid page."}, status=404)),
        BY_NUMBER,
        "failed",
        "404.*Invalid page",
    ),
    Way(
        "the last page comes again, and nothing says that it is the last",
        "aces/cbrain#1446",
        paged(last_again, rows=ROWS[:10]),
        BY_NUMBER,
        "failed",
        "two pages hold the same rows",
        rows=ROWS[:10],
    ),
]
