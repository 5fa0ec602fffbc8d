"""How lists end, and pages that look like an end."""

from __future__ import annotations

import json

from tests.servers.styles import Answer
from torture.wire.way import (
    BY_CURSOR,
    BY_NUMBER,
    BY_OFFSET,
    BY_URL,
    ONE_PAGE,
    ROWS,
    SIZE,
    Way,
    body,
    in_turn,
    last_again,
    listed,
    page_of,
    paged,
    pages,
    raw,
    rows_and,
)

TOTAL = len(ROWS)


ODD_ENDS = [
    Way(
        "a page in the middle is empty, with a next link",
        "NangoHQ/nango#4199",
        paged(lambda a: {"items": [] if a.start == SIZE else a.rows, "next": a.link()}),
        BY_URL,
        "landed",
        rows=[*ROWS[:5], *ROWS[10:]],
    ),
    Way(
        "a filter empties a page in the middle, with a cursor",
        "apify/apify-client-js#1032",
        paged(
            lambda a: (
                rows_and(a, next_cursor=a.next(a.cursor))
                | ({"items": []} if a.start == SIZE else {})
            )
        ),
        BY_CURSOR,
        "landed",
        rows=[*ROWS[:5], *ROWS[10:]],
    ),
    Way(
        "the first page is empty, with a cursor",
        "openai/openai-node#2561",
        paged(lambda a: {"items": a.rows if a.start else [], "next_cursor": a.next(a.cursor)}),
        BY_CURSOR,
        "landed",
        rows=ROWS[5:],
    ),
    Way(
        "the last page's cursor is an empty text",
        "googleapis/google-cloud-cpp#6635",
        paged(lambda a: rows_and(a, next_cursor=a.next(a.cursor, ""))),
        BY_CURSOR,
        "landed",
    ),
    Way(
        "the last page's cursor is `0`",
        "desmondmorris/node-twitter#302",
        paged(lambda a: rows_and(a, next_cursor=a.next(a.cursor, "0"))),
        BY_CURSOR,
        "landed",
    ),
    Way(
        "the cursor is never null, and stays where it is",
        "Glitchedpixel-io/media-api#66",
        paged(lambda a: rows_and(a, next_cursor=a.cursor)),
        BY_CURSOR,
        "landed",
    ),
    Way(
        "the last page has the cursor of the request",
        "googleapis/google-api-go-client#755",
        paged(lambda a: rows_and(a, next_cursor=f"c{min(a.start + SIZE, 15)}")),
        BY_CURSOR,
        "landed",
    ),
    Way(
        "the last page has a cursor too, and a flag says that it is the last",
        "dlt-hub/dlt#3358",
        paged(lambda a: rows_and(a, next_cursor=a.cursor, has_more=not a.is_last)),
        listed('CursorPages("next_cursor", has_more="has_more")'),
        "landed",
    ),
    Way(
        "a page beyond the last has `null` for its rows and its cursor",
        "dlt-hub/dlt#2932",
        paged(lambda a: {"items": a.rows or None, "next_cursor": a.cursor if a.rows else None}),
        BY_CURSOR,
        "landed",
    ),
    Way(
        "a list without rows is `null`",
        "hopx-ai/hopx#22",
        body({"items": None, "has_more": False}),
        ONE_PAGE,
        "landed",
        rows=[],
    ),
    Way(
        "a list without rows is `{}`",
        "databricks/databricks-sdk-java#266",
        body({}),
        ONE_PAGE,
        "landed",
        rows=[],
    ),
    Way(
        "the page beyond the last is status 204",
        "closeio/closeio-api#108",
        in_turn(body({"items": ROWS, "next_cursor": "c12"}), raw(b"", status=204)),
        BY_CURSOR,
        "landed",
    ),
    Way(
        "the page beyond the last is an empty body with status 200",
        "twisted/treq#229",
        in_turn(body({"items": ROWS, "next_cursor": "c12"}), raw(b"")),
        BY_CURSOR,
        "landed",
    ),
    Way(
        "the page beyond the last is a 404",
        "w3c/w3c-website#174",
        paged(lambda a: rows_and(a) if a.rows else Answer({"detail": "Invalid page."}, status=404)),
        listed(f"NumberedPages({SIZE}, past_end=404)"),
        "landed",
    ),
    Way(
        "the last page comes again, and a total says that all rows are there",
        "UKHSA-Internal/coronavirus-dashboard-api-javascript-sdk#8",
        paged(lambda a: last_again(a, total=10), rows=ROWS[:10]),
        BY_NUMBER,
        "landed",
        rows=ROWS[:10],
    ),
    Way(
        "the last page's next link is its own",
        "facetoe/zenpy#489",
        lambda exchange: (
            lambda a: body(
                rows_and(a, next=a.link(f"{a.url}?cursor={exchange.seen.query.get('cursor')}"))
            )(exchange)
        )(page_of(exchange)),
        BY_URL,
        "failed",
        "leads to a page that was read already",
    ),
    Way(
        "a next link is there though the page is short, and leads to an empty one",
        "OData/WebApi#2434",
        paged(lambda a: rows_and(a, next=f"{a.url}?cursor={a.cursor}" if a.rows else None), size=8),
        BY_URL,
        "landed",
    ),
    Way(
        "the flag is true on the last page, too",
        "datacite/lupo#834",
        paged(lambda a: rows_and(a, next_cursor=a.cursor, has_more=bool(a.rows))),
        listed('CursorPages("next_cursor", has_more="has_more")'),
        "landed",
    ),
    Way(
        "pages end with `has_more` false, and nothing counts them",
        "dlt-hub/dlt#2816",
        paged(lambda a: rows_and(a, has_more=not a.is_last)),
        BY_OFFSET,
        "landed",
    ),
    Way(
        "pages end with an empty one, and nothing counts them",
        "dlt-hub/dlt#1637",
        paged(rows_and),
        listed("paginators.PageNumberPaginator(base_page=1, total_path=None)"),
        "landed",
    ),
    Way(
        "the total is `*`",
        "DependencyTrack/dependency-track#1161",
        body(ROWS, X_Total_Count="*"),
        pages(),
        "landed",
    ),
    Way(
        "the largest page is below the one asked for",
        "github/docs#45189",
        paged(rows_and),
        listed("NumberedPages(100)"),
        "landed",
    ),
    Way(
        "the largest page is below the one asked for, by offset",
        "GoogleChrome/chromium-dashboard#4856",
        paged(lambda a: rows_and(a, total_count=TOTAL)),
        listed('OffsetPages(1000, total="total_count")'),
        "landed",
    ),
    Way(
        "each page begins with the row that the one before ended with",
        "datadryad/dryad-repo#1417",
        paged(
            lambda a: {
                "items": a.all[max(a.start - 1, 0) : a.end],
                "next_cursor": a.next(a.cursor),
            }
        ),
        BY_CURSOR,
        "landed",
    ),
    Way(
        "rows are deleted while they are paged by offset",
        "invoiceninja/invoiceninja#11936",
        lambda exchange: body(
            rows_and(page_of(exchange, rows=ROWS if exchange.number == 1 else ROWS[2:]))
        )(exchange),
        BY_OFFSET,
        "landed",
    ),
    Way(
        "the next link has another port and scheme, as behind a proxy",
        "paperless-ngx/paperless-ngx#3130",
        paged(lambda a: rows_and(a, next=a.next(f"https://127.0.0.1/orders?cursor={a.cursor}"))),
        BY_URL,
        "landed",
    ),
    Way(
        "the next link is relative",
        "Azure/data-api-builder#2677",
        paged(lambda a: rows_and(a, next=a.next(f"?cursor={a.cursor}"))),
        BY_URL,
        "landed",
    ),
    Way(
        "the place of the next URL is a name with a dot",
        "MicrosoftDocs/azure-docs#54839",
        paged(lambda a: {"value": a.rows, "@odata.nextLink": a.link()}),
        listed("""NextUrlPages('$["@odata.nextLink"]')""", "value"),
        "landed",
    ),
    Way(
        "the parameter of a posted body is a name with a dot",
        "dlt-hub/dlt#2459",
        lambda exchange: body(
            {"items": ROWS[(n := json.loads(exchange.seen.body)["page.offset"]) : n + SIZE]}
        )(exchange),
        pages(
            """records="items", json={"page.offset": 0}, """
            f"""paging=OffsetPages({SIZE}, '$["page.offset"]', "limit")"""
        ),
        "landed",
    ),
    Way(
        "the cursor is passed in a header",
        "dlt-hub/dlt#2932",
        lambda exchange: (
            lambda start: body(
                {"items": ROWS[start : start + SIZE], "next_token": str(start + SIZE)}
                if start < TOTAL
                else {"items": None, "next_token": None}
            )(exchange)
        )(int(exchange.seen.headers.get("Next-Token", 0))),
        """\
class ByHeader(paginators.BasePaginator):
    def update_state(self, response, data=None):
        self.token = response.json()["next_token"]
        self._has_next_page = self.token is not None

    def update_request(self, request):
        request.headers = {**request.headers, "Next-Token": self.token}

yield from api.pages("orders", records="items", paging=ByHeader())""",
        "landed",
    ),
    Way(
        "a GraphQL connection has more pages",
        "Azure/data-api-builder#2130",
        paged(
            lambda a: {
                "data": {
                    "orders": {
                        "nodes": a.rows,
                        "pageInfo": {"hasNextPage": not a.is_last, "endCursor": a.cursor},
                    }
                }
            }
        ),
        'yield from api.graphql("{ orders { nodes { id } } }", "orders")',
        "landed",
    ),
]
