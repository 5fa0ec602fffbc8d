"""The words in which public APIs say that there is more, and that there is not.

Names are compared without case and punctuation, so `nextPageToken` stands for `next_page_token`
and `Next-Page-Token` too. `docs/paging.md` shows this table with the APIs that use each word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Literal, TypeAlias

from landing.http.spelling import names_in, plain, plain_set

Kind: TypeAlias = Literal[
    "next",
    "cursor",
    "position",
    "previous",
    "more",
    "last",
    "first",
    "remaining",
    "pages",
    "page",
    "total",
    "filtered",
    "count",
]

BODY: Mapping[Kind, tuple[str, ...]] = {
    # Where the next page is: a URL, a cursor, a page number, or an object with one of them.
    "next": names_in(
        "next __next nextLink @odata.nextLink odata.nextLink nextUrl nextUri nextHref "
        "nextPage nextPageUrl nextPageUri nextPageLink nextPagePath nextPageNumber "
        "nextRecordsUrl nextResultsUrl moreTopicsUrl"
    ),
    "cursor": names_in(
        "nextCursor nextPageCursor nextPageToken nextPageId nextToken nextMarker nextKey "
        "nextId nextOffset nextStart nextContinuationToken continuationToken afterCursor "
        "resumptionToken"
    ),
    # Where this page ends, which some APIs say on the last page too.
    "position": names_in(
        "cursor endCursor offset after startingAfter marker continue scrollId scrollParam"
    ),
    # Where the page before this one is, or true if there is one.
    "previous": names_in(
        "prev previous __prev prevPage previousPage prevUrl previousUrl prevPageUrl "
        "previousPageUrl previousPageUri prevLink previousLink hasPrev hasPrevious "
        "hasPrevPage hasPreviousPage"
    ),
    # True while there is more.
    "more": names_in(
        "more hasMore hasNext hasNextPage hasMorePages hasMoreItems hasMoreResults "
        "hasMoreRecords moreAvailable moreRecords moreResults morePages moreItemsInCollection "
        "isTruncated truncated"
    ),
    # False while there is more.
    "last": ("last", "isLast", "isLastPage", "lastPage", "done", "endOfStream", "isEnd"),
    # False while there are pages before.
    "first": ("first", "isFirst", "isFirstPage", "firstPage"),
    # Rows after this page, whatever a flag says.
    "remaining": ("remainingCount", "remainingItemCount", "remainingItems", "remainingResults"),
    "pages": ("pages", "totalPages", "pageCount", "pagesCount", "numPages", "nbPages", "lastPage"),
    "page": ("page", "currentPage", "pageNumber", "pageNum", "pageIndex", "number"),
    "total": names_in(
        "total totalCount totalItems totalResults totalElements totalRecords totalRows "
        "totalHits totalEntries totalSize totalObjects recordsTotal numFound nbHits "
        "@odata.count odata.count"
    ),
    # Of the rows that a filter lets through, beside a total that counts all.
    "filtered": ("recordsFiltered", "filterCount", "filteredCount", "totalFiltered"),
    # Of all rows or of the page's, which only its value tells.
    "count": ("count", "itemCount", "recordCount", "rowCount", "resultCount", "numResults"),
}

HEADERS: Mapping[Kind, tuple[str, ...]] = {
    "next": names_in(
        "Next-Page X-Next-Page X-Next X-Next-Url X-Pagination-Next X-Pagination-Next-Page "
        "Next-Range"
    ),
    "cursor": names_in(
        "X-Next-Cursor Next-Cursor X-Next-Page-Token X-Next-Token X-Continuation-Token "
        "X-MS-Continuation X-MS-ContinuationToken opc-next-page"
    ),
    "previous": ("X-Prev-Page", "X-Previous-Page", "Prev-Page", "X-Pagination-Prev"),
    "more": ("X-Has-More", "X-Has-Next", "X-Has-Next-Page", "X-More"),
    "pages": names_in(
        "X-Total-Pages Total-Pages X-WP-TotalPages X-Page-Count X-Pagination-Page-Count "
        "X-Pagination-Total-Pages"
    ),
    "page": ("X-Page", "X-Current-Page", "X-Pagination-Current-Page"),
    "total": names_in(
        "X-Total-Count X-Total Total X-WP-Total Total-Count Total-Records X-Total-Records "
        "X-Total-Results X-Total-Items X-Pagination-Total-Count X-Pagination-Total "
        "opc-total-items"
    ),
}

CONTAINERS = names_in(
    "meta metadata pagination paging pager page pages pageInfo pageContext pageDetails "
    "pageMetadata pagingMetadata paginationInfo pagingInfo resultInfo resultMetadata "
    "searchMetadata searchInformation responseMetadata responseHeader additionalData listMeta "
    "info links link cursors cursor"
)
"""Objects beside the records that are searched for these words."""

INSIDE_NEXT = names_in("href url uri link after cursor startingAfter offset token page number path")
"""Members of an object that is named `next`."""

SIZES = names_in(
    "limit perPage pageSize pageLimit size count maxResults maxPageSize top first rows take "
    "resultsPerPage"
)
"""Parameters for the number of rows of a page."""

POSITIONS = ("offset", "skip", "start", "startAt", "startIndex", "startPosition", "from")
NUMBERS = ("page", "pageNumber", "pageNo", "pageNum", "pageIndex", "p")
"""Parameters for where a page begins."""


_ABOUT_LISTS = ("kind", "etag", "self", "selfLink", "@odata.context", "object")


def by_name(table: Mapping[Kind, tuple[str, ...]]) -> dict[str, tuple[Kind, ...]]:
    """The kinds that a plain name may be of."""
    found: dict[str, tuple[Kind, ...]] = {}
    for kind, names in table.items():
        for name in map(plain, names):
            found[name] = (*found.get(name, ()), kind)
    return found


def is_about_pages(names: Iterable[str]) -> bool:
    """Whether an object with such members only says how a list is paged."""
    known = (*chain.from_iterable(BODY.values()), *CONTAINERS, *SIZES, *POSITIONS, *_ABOUT_LISTS)
    return plain_set(names) <= plain_set(known)
