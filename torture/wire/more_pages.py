"""First pages that say, in whatever words, that they are not all."""

from __future__ import annotations

from typing import Any

from tests.servers.styles import Answer
from torture.wire.way import (
    ONE_PAGE,
    ROWS,
    SIZE,
    Way,
    listed,
    paged,
    pages,
    rows_and,
)

TOTAL = len(ROWS)


def _more(what: str, source: str, make: Any, sign: str, stream: str = ONE_PAGE) -> Way:
    """A first page that says, in whatever words, that it is not all."""
    return Way(f"{what}; no paging is configured", source, paged(make), stream, "failed", sign)


NOT_ALL = [
    _more(
        "the body has `next`",
        "open-metadata/OpenMetadata#25263",
        lambda a: rows_and(a, next=a.link()),
        "'next' names a next page",
    ),
    _more(
        "the body has `links.next`",
        "dlt-hub/dlt#2586",
        lambda a: rows_and(a, links={"next": a.link()}),
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
        lambda a: rows_and(a, pagination={"next_page": a.link("")}),
        "'pagination.next_page' names a next page",
    ),
    _more(
        "the body has `next_url`",
        "massive-com/client-js#103",
        lambda a: rows_and(a, next_url=a.link(...)),
        "'next_url' names a next page",
    ),
    _more(
        "the body has `nextRecordsUrl` and `done`",
        "forcedotcom/SalesforceMobileSDK-iOS#3290",
        lambda a: rows_and(a, nextRecordsUrl=a.link(...), done=a.is_last),
        "'done' false",
    ),
    _more(
        "the body has `nextPageToken`",
        "fastrepl/anarlog#7631",
        lambda a: rows_and(a, nextPageToken=a.next(a.cursor, ...)),
        "'nextPageToken' names a next page",
    ),
    _more(
        "the body has `paging.next.after`",
        "NangoHQ/nango#1047",
        lambda a: rows_and(a, paging=a.next({"next": {"after": a.cursor}}, ...)),
        "'paging.next.after' names a next page",
    ),
    _more(
        "the body has `offset` as text",
        "academypoa/AirtableKit#26",
        lambda a: rows_and(a, offset=a.next(a.cursor, ...)),
        "'offset' names where to go on",
    ),
    _more(
        "the body has `scroll_param`",
        "airbytehq/airbyte#55829",
        lambda a: rows_and(a, scroll_param=a.next(a.cursor)),
        "'scroll_param' names where to go on",
    ),
    _more(
        "the body has `isLast` and no total",
        "gastownhall/beads#3444",
        lambda a: rows_and(a, isLast=a.is_last, nextPageToken=a.next(a.cursor, ...)),
        "'isLast' false",
    ),
    _more(
        "the body has `has-more` and `vid-offset`",
        "HubspotCommunity/hubspot-ruby#57",
        lambda a: rows_and(a, **{"has-more": not a.is_last, "vid-offset": a.end}),
        "'has-more' true",
    ),
    _more(
        "the body has `has_more` and nothing else",
        "stripe/ai#388",
        lambda a: rows_and(a, has_more=not a.is_last),
        "'has_more' true",
    ),
    _more(
        "the body has `pageInfo.hasNextPage`",
        "cube-js/cube#11890",
        lambda a: rows_and(a, pageInfo={"hasNextPage": not a.is_last, "endCursor": a.cursor}),
        "'pageInfo.hasNextPage' true",
    ),
    _more(
        "the body has `page` and `total_pages`",
        "dlt-hub/dlt#1205",
        lambda a: rows_and(a, page=a.number, total_pages=a.pages),
        "'total_pages' is 3",
    ),
    _more(
        "the body has `total`, `limit` and `page`",
        "airbytehq/airbyte#12886",
        lambda a: rows_and(a, total=TOTAL, limit=SIZE, page=a.number),
        "'total' is 12, and 5 rows came",
    ),
    _more(
        "the body has `meta.paging.total`",
        "simonw/paginate-json#15",
        lambda a: rows_and(a, meta={"paging": {"total": TOTAL, "limit": SIZE}}),
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
        lambda a: rows_and(a, hasNextPage=False, remainingCount=TOTAL - a.end),
        "'remainingCount' is 7",
    ),
]
