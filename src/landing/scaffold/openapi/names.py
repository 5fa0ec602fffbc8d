"""Names that documents use for parameters and members, beside those of `landing.http.vocabulary`.

All are compared without case and punctuation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from landing.http.spelling import plain
from landing.http.vocabulary import BODY, NUMBERS, POSITIONS, SIZES
from landing.scaffold.openapi.document import Schema

PAGE_SIZES = (*SIZES, "itemsPerPage", "num", "hitsPerPage")
PAGE_NUMBERS = (*NUMBERS, "currentPage")
OFFSETS = (*POSITIONS, "pageOffset")
CURSORS = (
    *("cursor", "pageCursor", "pageToken", "pageKey", "nextCursor", "nextToken", "nextPageToken"),
    *("continuationToken", "paginationToken", "after", "afterCursor", "startingAfter", "marker"),
    *("scrollId", "startKey", "exclusiveStartKey", "bookmark", "continue", "nextPage"),
)
KEYSETS = ("startingAfter", "sinceId", "afterId", "greaterThanId")
IDS_OR_TIMES = ("since", "after", "cursor")
"""Parameters for the last row's id, if their description says that they take one."""
RANGES = {"from": "to", "start": "end"}
"""Parameters that are no offsets if the other one is there, too."""
NEXT_CURSORS = (*BODY["cursor"], *BODY["next"], *BODY["position"])
RECORDS = ("data", "items", "results", "records", "values", "value", "rows", "entries", "list")
ENVELOPES = (*RECORDS, "response", "result", "body", "payload", "content", "_embedded", "d")
NOT_RECORDS = frozenset(
    ("errors", "warnings", "links", "included", "facets", "sort", "aggregations")
)
KEYS = ("id", "uuid", "gid", "_id", "sid", "uid", "guid", "key", "slug", "code", "href", "uri")
CHANGED = re.compile(
    r"(last)?(updated|modified|changed|update|edited)(at|on|time|date|timestamp|utc)?"
    r"|(date)(updated|modified)|writedate"
)
SINCE = re.compile(
    r"since|(last)?(updated|modified|changed|update)(at|on|time|date)?"
    r"(since|after|from|gte|ge|gt|min|start)|(min|since)(updated|modified)(at|date)?"
)
EXCLUSIVE = re.compile(r"(after|gt)$")


def named(
    members: Mapping[str, object], names: Iterable[str], kinds: set[str] | None = None
) -> str | None:
    """The member that has the first of these names that occurs."""
    by_name = {plain(name): name for name in members}
    for name in map(plain, names):
        found = by_name.get(name)
        if found is None:
            continue
        schema = members[found]
        if kinds is None or not isinstance(schema, Schema) or schema.kinds & kinds:
            return found
    return None
