"""How lists go on and end, against what the stream expects of them."""

from __future__ import annotations

import json
from typing import Any

from tests.servers.styles import Answer, Asked
from torture.wire.way import (
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
    row,
)

_UNREAD = "has more pages than were read: "
TOTAL = len(ROWS)
ONE_PAGE = listed()
BY_CURSOR = listed('CursorPages("next_cursor")')
BY_URL = listed('NextUrlPages("next")')
BY_NUMBER = listed(f"NumberedPages({SIZE})")
BY_OFFSET = listed(f"OffsetPages({SIZE})")
BY_LINK = pages("paging=LinkPages()")


def _more(what: str, source: str, make: Any, sign: str, stream: str = ONE_PAGE) -> Way:
    """A first page that says, in whatever words, that it is not all."""
    return Way(f"{what}; no paging is configured", source, paged(make), stream, "told", sign)


def _rows(a: Asked, **members: Any) -> dict[str, Any]:
    return {"items": a.rows} | {key: value for key, value in members.items() if value is not ...}


NOT_ALL = [
    _more(
        "the body has `next`",
        "open-metadata/OpenMetadata#25263",
        lambda a: _rows(a, next=a.link()),
        "'next' names a next page",
    ),
    _more(
        "the body has `links.next`",
        "dlt-hub/dlt#2586",
        lambda a: _rows(a, links={"next": a.link()}),
        "'links.next' names a next page",
        pages('records="items", params={"page[limit]": 5}'),
    ),
    _more(
        "the body has `@odata.nextLink`",
        "dlt-hub/dlt#2505",
        lambda a: {"value": a.rows} | a.next({"@odata.nextLink": a.link()}, {}),
        "'@odata.nextLink' names a next page",
        listed(records="value"),
    ),
    _more(
        "the body has `d.__next`",
        "DataZooDE/erpl-web#26",
        lambda a: {"d": {"results": a.rows} | a.next({"__next": a.link()}, {})},
        "'d.__next' names a next page",
        listed(records="d.results"),
    ),
    _more(
        "the body has `pagination.next_page`",
        "kontent-ai/delivery-sdk-net#64",
        lambda a: _rows(a, pagination={"next_page": a.link("")}),
        "'pagination.next_page' names a next page",
    ),
    _more(
        "the body has `next_url`",
        "massive-com/client-js#103",
        lambda a: _rows(a, next_url=a.link(...)),
        "'next_url' names a next page",
    ),
    _more(
        "the body has `nextRecordsUrl` and `done`",
        "forcedotcom/SalesforceMobileSDK-iOS#3290",
        lambda a: _rows(a, nextRecordsUrl=a.link(...), done=a.is_last),
        "'done' false",
    ),
    _more(
        "the body has `nextPageToken`",
        "fastrepl/anarlog#7631",
        lambda a: _rows(a, nextPageToken=a.next(a.cursor, ...)),
        "'nextPageToken' names a next page",
    ),
    _more(
        "the body has `paging.next.after`",
        "NangoHQ/nango#1047",
        lambda a: _rows(a, paging=a.next({"next": {"after": a.cursor}}, ...)),
        "'paging.next.after' names a next page",
    ),
    _more(
        "the body has `offset` as text",
        "academypoa/AirtableKit#26",
        lambda a: _rows(a, offset=a.next(a.cursor, ...)),
        "'offset' names where to go on",
    ),
    _more(
        "the body has `scroll_param`",
        "airbytehq/airbyte#55829",
        lambda a: _rows(a, scroll_param=a.next(a.cursor)),
        "'scroll_param' names where to go on",
    ),
    _more(
        "the body has `isLast` and no total",
        "gastownhall/beads#3444",
        lambda a: _rows(a, isLast=a.is_last, nextPageToken=a.next(a.cursor, ...)),
        "'isLast' false",
    ),
    _more(
        "the body has `has-more` and `vid-offset`",
        "HubspotCommunity/hubspot-ruby#57",
        lambda a: _rows(a, **{"has-more": not a.is_last, "vid-offset": a.end}),
        "'has-more' true",
    ),
    _more(
        "the body has `has_more` and nothing else",
        "stripe/ai#388",
        lambda a: _rows(a, has_more=not a.is_last),
        "'has_more' true",
    ),
    _more(
        "the body has `pageInfo.hasNextPage`",
        "cube-js/cube#11890",
        lambda a: _rows(a, pageInfo={"hasNextPage": not a.is_last, "endCursor": a.cursor}),
        "'pageInfo.hasNextPage' true",
    ),
    _more(
        "the body has `page` and `total_pages`",
        "dlt-hub/dlt#1205",
        lambda a: _rows(a, page=a.number, total_pages=a.pages),
        "'total_pages' is 3",
    ),
    _more(
        "the body has `total`, `limit` and `page`",
        "airbytehq/airbyte#12886",
        lambda a: _rows(a, total=TOTAL, limit=SIZE, page=a.number),
        "'total' is 12, and 5 rows came",
    ),
    _more(
        "the body has `meta.paging.total`",
        "simonw/paginate-json#15",
        lambda a: _rows(a, meta={"paging": {"total": TOTAL, "limit": SIZE}}),
        "'meta.paging.total' is 12",
    ),
    _more(
        'the header `Link` has `rel="next"`',
        "tnajdek/zotero-api-client#25",
        lambda a: Answer(a.rows, a.head(Link=f'<{a.link()}>; rel="next"')),
        "the header 'Link' names a next page",
        pages(),
    ),
    _more(
        "the header `X-Next-Page` has a number, and no header has a total",
        "singer-io/tap-gitlab#21",
        lambda a: Answer(a.rows, {"X-Next-Page": a.next(str(a.number + 1), "")}),
        "the header 'X-Next-Page' names a next page",
        pages(),
    ),
    _more(
        "the header `X-Pagination-Next` has an offset",
        "langchain-ai/langgraphjs#1556",
        lambda a: Answer(a.rows, a.head(X_Pagination_Next=str(a.end + 1))),
        "the header 'X-Pagination-Next' names a next page",
        pages(),
    ),
    _more(
        "the header `X-Total-Count` counts more rows",
        "typicode/json-server#791",
        lambda a: Answer(a.rows, {"X-Total-Count": str(TOTAL)}),
        "the header 'X-Total-Count' is 12",
        pages(),
    ),
    _more(
        "the header `total` counts more rows",
        "significa/storyblok-assets-cleanup#12",
        lambda a: Answer(a.rows, {"total": str(TOTAL), "per-page": str(SIZE)}),
        "the header 'total' is 12",
        pages(),
    ),
    _more(
        "the header `X-Pagination-Page-Count` counts more pages",
        "lokalise/node-lokalise-api#12",
        lambda a: Answer(a.rows, {"X-Pagination-Page-Count": str(a.pages)}),
        "the header 'X-Pagination-Page-Count' is 3",
        pages(),
    ),
    _more(
        "the header `X-WP-TotalPages` counts more pages",
        "WP-API/WP-API#2247",
        lambda a: Answer(a.rows, {"X-WP-Total": str(TOTAL), "X-WP-TotalPages": str(a.pages)}),
        "the header 'X-WP-TotalPages' is 3",
        pages(),
    ),
    _more(
        "the status is 206, with a `Content-Range` of more rows",
        "PostgREST/postgrest#2776",
        lambda a: Answer(a.rows, {"Content-Range": f"{a.start}-{a.end - 1}/{TOTAL}"}, 206),
        "the header 'Content-Range' counts 12 rows",
        pages(),
    ),
    _more(
        "the status is 200, with a `Content-Range` of more `items`",
        "begriffs/angular-paginate-anything#80",
        lambda a: Answer(a.rows, {"Content-Range": f"items {a.start}-{a.end - 1}/{TOTAL}"}),
        "the header 'Content-Range' counts 12 rows",
        pages(),
    ),
    _more(
        "the status is 206, and nothing else says it",
        "PostgREST/postgrest#4931",
        lambda a: Answer(a.rows, status=200 if a.is_last else 206),
        "the header 'status 206' is of a part",
        pages(),
    ),
    _more(
        "the flag says that there is no more, and a count that rows remain",
        "atlassian/atlassian-mcp-server#221",
        lambda a: _rows(a, hasNextPage=False, remainingCount=TOTAL - a.end),
        "'remainingCount' is 7",
    ),
]

WRONG = [
    Way(
        "the cursor is at another path than configured",
        "NangoHQ/nango-sync#20",
        paged(lambda a: _rows(a, meta={"cursor": a.next(a.cursor)})),
        BY_CURSOR,
        "told",
        "no next page is at 'next_cursor'",
    ),
    Way(
        "the cursor never appears, and the total is beside it",
        "atlassian/atlassian-mcp-server#118",
        paged(lambda a: _rows(a, total=TOTAL)),
        listed('CursorPages("nextPageToken")'),
        "told",
        "'total' is 12, and 5 rows came, and no next page is at 'nextPageToken'",
    ),
    Way(
        "totals are only in headers that are left out, and the stream expects them in the body",
        "apache/devlake#4093",
        paged(lambda a: Answer(a.rows, a.head(X_Next_Page=str(a.number + 1)))),
        pages('paging=NextUrlPages("next")'),
        "told",
        "the header 'X-Next-Page' names a next page, and no next page is at 'next'",
    ),
    Way(
        "the next cursor is in the `Link` header alone since keyset paging came",
        "jdalrymple/gitbeaker#1115",
        paged(lambda a: Answer(a.rows, a.head(Link=f'<{a.link()}>; rel="next"'))),
        pages('paging=CursorPages(header="X-Next-Page", param="page")'),
        "told",
        "the header 'Link' names a next page",
    ),
    Way(
        "the page number is ignored, and the first page comes for ever",
        "significa/storyblok-assets-cleanup#12",
        body({"items": ROWS[:SIZE]}),
        BY_NUMBER,
        "told",
        "two pages hold the same rows",
    ),
    Way(
        "the list is not paged, and comes whole each time",
        "mvanhorn/cli-printing-press#4091",
        body({"items": ROWS}),
        BY_NUMBER,
        "told",
        "two pages hold the same rows",
    ),
    Way(
        "the next URL is the one of this page, for ever",
        "centreon/centreon-plugins#2220",
        body({"items": ROWS[:SIZE], "next": "/orders?page=2"}),
        BY_URL,
        "told",
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
        "told",
        "'total' is 12, and 7 rows came",
    ),
    Way(
        "pages count from 0, the stream counts from 1, and the list has one page",
        "aravindnc/mongoose-paginate-v2#78",
        lambda exchange: body(
            {"items": ROWS[(n := int(exchange.seen.query.get("page", 0)) * 50) : n + 50]}
        )(exchange),
        listed("NumberedPages(50)"),
        "told",
        "no rows with the parameters 'page' and 'limit', and 12 without",
    ),
    Way(
        "a parameter that it does not know is a filter, by which no row is left",
        "objectstack-ai/objectstack#4134",
        lambda exchange: body(
            {"items": [] if "pageSize" in exchange.seen.query else page_of(exchange).rows}
        )(exchange),
        listed(f'OffsetPages({SIZE}, "offset", "pageSize")'),
        "told",
        "no rows with the parameters 'offset' and 'pageSize', and 5 without",
    ),
    Way(
        "pages 0 and 1 are the same, and the stream counts from 0",
        "nestjsx/nestjs-typeorm-paginate#129",
        lambda exchange: body(
            {"items": ROWS[(n := max(int(exchange.seen.query["page"]) - 1, 0) * SIZE) : n + SIZE]}
        )(exchange),
        listed(f"NumberedPages({SIZE}, first=0)"),
        "told",
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
        "told",
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
        "told",
        "rows share a 'updated_at'",
    ),
    Way(
        "rows come newest first, and the stream pages by key",
        "iron-fish/ironfish-api#980",
        paged(lambda a: a.rows, rows=ROWS[::-1]),
        pages('paging=KeysetPages("id", "starting_after", limit=5)'),
        "told",
        "do not come in the ascending order of 'id'",
    ),
    Way(
        "the order changes between pages, so that a row comes twice and another not at all",
        "encode/django-rest-framework#6886",
        paged(lambda a: _rows(a, count=TOTAL), rows=[*ROWS[:6], ROWS[2], *ROWS[7:]]),
        listed(f'NumberedPages({SIZE}, total="count")'),
        "told",
        "says there are 12 rows at 'count', and reading all pages twice found 11",
    ),
    Way(
        "a total is above what its pages give",
        "Semantics3/semantics3-python#17",
        paged(lambda a: _rows(a, total_results=722)),
        BY_OFFSET,
        "told",
        "'total_results' is 722, and 12 rows came",
    ),
    Way(
        "nothing beyond the first 10 rows can be asked for",
        "usgpo/api#8",
        paged(
            lambda a: (
                Answer({"message": "offset must be less than maxoffset: 10"}, status=400)
                if a.end > 10
                else _rows(a, count=TOTAL)
            )
        ),
        BY_NUMBER,
        "told",
        "offset must be less than maxoffset",
    ),
    Way(
        "the last pages are refused, though the links lead to them",
        "TheScienceMuseum/collectionsonline#1102",
        paged(
            lambda a: (
                Answer({"error": "Bad Request", "message": "page[number] too large"}, status=400)
                if a.start
                else _rows(a, links={"next": a.link()})
            )
        ),
        listed('NextUrlPages("links.next")'),
        "told",
        r"page\[number\] too large",
    ),
    Way(
        "the next link leads to the server's own name for itself",
        "sissbruecker/linkding#1164",
        body({"items": ROWS[:SIZE], "next": "http://internal.example/orders?page=2"}),
        BY_URL,
        "told",
        "leads to another host, internal.example",
    ),
    Way(
        "the flag says that there is more, and there is no cursor",
        "deftai/directive#2642",
        paged(lambda a: _rows(a, has_more=not a.is_last, next_cursor=None)),
        listed('CursorPages("next_cursor", has_more="has_more")'),
        "told",
        "has more pages than this one, and no cursor",
    ),
    Way(
        "an empty text is a cursor, and the flag says that there is more",
        "MCPJam/inspector#4462",
        paged(lambda a: _rows(a, next_cursor="", has_more=not a.is_last)),
        BY_CURSOR,
        "told",
        "'has_more' true",
    ),
    Way(
        "a page beyond the last is a 404, and the stream does not expect that",
        "mozilla/delivery-console#588",
        paged(lambda a: _rows(a) if a.rows else Answer({"detail": "Invalid page."}, status=404)),
        BY_NUMBER,
        "told",
        "404.*Invalid page",
    ),
    Way(
        "the last page comes again, and nothing says that it is the last",
        "aces/cbrain#1446",
        paged(last_again, rows=ROWS[:10]),
        BY_NUMBER,
        "told",
        "two pages hold the same rows",
        rows=ROWS[:10],
    ),
]

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
                _rows(a, next_cursor=a.next(a.cursor)) | ({"items": []} if a.start == SIZE else {})
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
        paged(lambda a: _rows(a, next_cursor=a.next(a.cursor, ""))),
        BY_CURSOR,
        "landed",
    ),
    Way(
        "the last page's cursor is `0`",
        "desmondmorris/node-twitter#302",
        paged(lambda a: _rows(a, next_cursor=a.next(a.cursor, "0"))),
        BY_CURSOR,
        "landed",
    ),
    Way(
        "the cursor is never null, and stays where it is",
        "Glitchedpixel-io/media-api#66",
        paged(lambda a: _rows(a, next_cursor=a.cursor)),
        BY_CURSOR,
        "landed",
    ),
    Way(
        "the last page has the cursor of the request",
        "googleapis/google-api-go-client#755",
        paged(lambda a: _rows(a, next_cursor=f"c{min(a.start + SIZE, 15)}")),
        BY_CURSOR,
        "landed",
    ),
    Way(
        "the last page has a cursor too, and a flag says that it is the last",
        "dlt-hub/dlt#3358",
        paged(lambda a: _rows(a, next_cursor=a.cursor, has_more=not a.is_last)),
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
        paged(lambda a: _rows(a) if a.rows else Answer({"detail": "Invalid page."}, status=404)),
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
                _rows(a, next=a.link(f"{a.url}?cursor={exchange.seen.query.get('cursor')}"))
            )(exchange)
        )(page_of(exchange)),
        BY_URL,
        "told",
        "leads to a page that was read already",
    ),
    Way(
        "a next link is there though the page is short, and leads to an empty one",
        "OData/WebApi#2434",
        paged(lambda a: _rows(a, next=f"{a.url}?cursor={a.cursor}" if a.rows else None), size=8),
        BY_URL,
        "landed",
    ),
    Way(
        "the flag is true on the last page, too",
        "datacite/lupo#834",
        paged(lambda a: _rows(a, next_cursor=a.cursor, has_more=bool(a.rows))),
        listed('CursorPages("next_cursor", has_more="has_more")'),
        "landed",
    ),
    Way(
        "pages end with `has_more` false, and nothing counts them",
        "dlt-hub/dlt#2816",
        paged(lambda a: _rows(a, has_more=not a.is_last)),
        BY_OFFSET,
        "landed",
    ),
    Way(
        "pages end with an empty one, and nothing counts them",
        "dlt-hub/dlt#1637",
        paged(_rows),
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
        paged(_rows),
        listed("NumberedPages(100)"),
        "landed",
    ),
    Way(
        "the largest page is below the one asked for, by offset",
        "GoogleChrome/chromium-dashboard#4856",
        paged(lambda a: _rows(a, total_count=TOTAL)),
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
            _rows(page_of(exchange, rows=ROWS if exchange.number == 1 else ROWS[2:]))
        )(exchange),
        BY_OFFSET,
        "landed",
    ),
    Way(
        "the next link has another port and scheme, as behind a proxy",
        "paperless-ngx/paperless-ngx#3130",
        paged(lambda a: _rows(a, next=a.next(f"https://127.0.0.1/orders?cursor={a.cursor}"))),
        BY_URL,
        "landed",
    ),
    Way(
        "the next link is relative",
        "Azure/data-api-builder#2677",
        paged(lambda a: _rows(a, next=a.next(f"?cursor={a.cursor}"))),
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

PAGING = [*NOT_ALL, *WRONG, *ODD_ENDS, *LINKS]
