"""Names that APIs use for parameters and members, from which an endpoint's paging is guessed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from landing.scaffold.openapi.document import Schema

# In lower case, without anything but letters and digits.
SIZES = (
    *("limit", "pagesize", "perpage", "size", "take", "count", "top"),
    *("maxresults", "pagelimit", "itemsperpage", "rows"),
)
OFFSETS = ("offset", "skip", "start", "startat", "startindex", "pageoffset")
NUMBERS = ("page", "pagenumber", "pageno", "pageindex", "currentpage", "p")
CURSORS = ("cursor", "pagetoken", "nexttoken", "continuationtoken", "after", "aftercursor")
KEYSETS = ("startingafter", "sinceid", "afterid")
NEXT_CURSORS = ("nextcursor", "nextpagetoken", "nexttoken", "continuationtoken", "endcursor")
NEXT_URLS = ("next", "nexturl", "nextpageurl", "nextlink", "odatanextlink", "nexthref")
TOTALS = ("total", "totalcount", "totalrows", "totalresults", "totalitems", "totalelements")
RECORDS = ("data", "items", "results", "records", "values", "value", "rows", "entries", "list")
CHANGED = re.compile(
    r"(last)?(updated|modified|changed|update|edited)(at|on|time|date|timestamp|utc)?"
    r"|(date)(updated|modified)|writedate"
)
SINCE = re.compile(
    r"since|(last)?(updated|modified|changed|update)(at|on|time|date)?"
    r"(since|after|from|gte|ge|gt|min|start)|(min|since)(updated|modified)(at|date)?"
)
EXCLUSIVE = re.compile(r"(after|gt)$")


def plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def named(
    members: Mapping[str, object], names: Sequence[str], kinds: set[str] | None = None
) -> str | None:
    """The member that has the first of these names that occurs."""
    by_name = {plain(name): name for name in members}
    for name in names:
        found = by_name.get(name)
        if found is None:
            continue
        schema = members[found]
        if kinds is None or not isinstance(schema, Schema) or schema.kinds & kinds:
            return found
    return None
