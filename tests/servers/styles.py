"""The ways in which public APIs say that a list goes on, each as an API of 60 rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from landing.http import (
    CursorPages,
    HeaderUrlPages,
    KeysetPages,
    LinkPages,
    NextUrlPages,
    NumberedPages,
    OffsetPages,
)
from tests.servers.scripted import Exchange, Server, serve

ROWS = 60
PAGE = 25


@dataclass(frozen=True)
class Answer:
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True)
class Asked:
    """One request, as these APIs read it: where its page begins and ends."""

    url: str
    start: int
    size: int
    all: Sequence[Any] = tuple({"id": n} for n in range(1, ROWS + 1))

    @property
    def rows(self) -> list[Any]:
        return list(self.all[self.start : self.end])

    @property
    def end(self) -> int:
        return max(self.start, min(self.start + self.size, len(self.all)))

    @property
    def is_last(self) -> bool:
        return self.end >= len(self.all)

    @property
    def number(self) -> int:
        return self.start // self.size + 1

    @property
    def pages(self) -> int:
        return -(-len(self.all) // self.size)

    def next(self, value: Any, last: Any = None) -> Any:
        """The value, or on the last page the other one."""
        return last if self.is_last else value

    def link(self, last: Any = None) -> Any:
        return self.next(f"{self.url}?{urlencode({'cursor': f'c{self.end}'})}", last)

    @property
    def cursor(self) -> str:
        return f"c{self.end}"

    def head(self, **headers: str) -> dict[str, str]:
        """Headers that only a page has that is not the last."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return {} if self.is_last else given


@dataclass(frozen=True)
class Style:
    name: str
    """Of an API that does so."""
    answer: Callable[[Asked], Answer]
    records: str
    right: Any
    """Paging that reads all rows."""
    seen: str
    """Of what the error has to speak."""


def _body(**members: Any) -> Answer:
    return Answer({name: value for name, value in members.items() if value is not ...})


STYLES = [
    # In the body: a URL.
    Style(
        "Django REST framework",
        lambda a: _body(count=ROWS, next=a.link(), previous=None, results=a.rows),
        "results",
        NextUrlPages("next"),
        "'next'",
    ),
    Style(
        "JSON:API",
        lambda a: _body(data=a.rows, links={"self": a.url, "next": a.link(), "last": a.url}),
        "data",
        NextUrlPages("links.next"),
        "'links.next'",
    ),
    Style(
        "HAL",
        lambda a: _body(
            _embedded={"orders": a.rows},
            _links={"self": {"href": a.url}, "next": a.next({"href": a.link()}, ...)}
            if a.end < ROWS
            else {"self": {"href": a.url}},
        ),
        "_embedded.orders",
        NextUrlPages("_links.next.href"),
        "'_links.next.href'",
    ),
    Style(
        "Microsoft Graph",
        lambda a: Answer(
            {"value": a.rows, **({"@odata.nextLink": a.link()} if a.end < ROWS else {})}
        ),
        "value",
        NextUrlPages("@odata.nextLink"),
        "'@odata.nextLink'",
    ),
    Style(
        "SAP Gateway (OData 2)",
        lambda a: _body(d={"results": a.rows, **({"__next": a.link()} if a.end < ROWS else {})}),
        "d.results",
        NextUrlPages("d.__next"),
        "'d.__next'",
    ),
    Style(
        "Salesforce",
        lambda a: _body(
            totalSize=ROWS, done=a.end >= ROWS, nextRecordsUrl=a.link(...), records=a.rows
        ),
        "records",
        NextUrlPages("nextRecordsUrl"),
        "'done'",
    ),
    Style(
        "Twilio",
        lambda a: _body(next_page_uri=a.next(f"/?cursor={a.cursor}"), messages=a.rows),
        "messages",
        NextUrlPages("next_page_uri"),
        "'next_page_uri'",
    ),
    Style(
        "Zendesk",
        lambda a: _body(
            tickets=a.rows,
            # Its documentation: `links.next` may be there on the last page too.
            meta={"has_more": a.end < ROWS, "after_cursor": a.cursor},
            links={"next": f"{a.url}?cursor={a.cursor}"},
        ),
        "tickets",
        CursorPages("meta.after_cursor", has_more="meta.has_more"),
        "'meta.has_more'",
    ),
    Style(
        "DigitalOcean",
        lambda a: _body(
            droplets=a.rows,
            links={"pages": {"next": a.link()}} if a.end < ROWS else {},
            meta={"total": ROWS},
        ),
        "droplets",
        NextUrlPages("links.pages.next"),
        "'links.pages.next'",
    ),
    Style(
        "SendGrid",
        lambda a: _body(result=a.rows, _metadata={"next": a.link(...)} if a.end < ROWS else {}),
        "result",
        NextUrlPages("_metadata.next"),
        "'_metadata.next'",
    ),
    Style(
        "FHIR",
        lambda a: _body(
            entry=a.rows,
            link=[{"relation": "self", "url": a.url}]
            + ([{"relation": "next", "url": a.link()}] if a.end < ROWS else []),
        ),
        "entry",
        NextUrlPages("link[1].url"),
        "'link.1.url'",
    ),
    Style(
        "Discourse",
        lambda a: _body(
            topic_list={"topics": a.rows, "more_topics_url": a.next(f"/?cursor={a.cursor}", ...)}
            if a.end < ROWS
            else {"topics": a.rows}
        ),
        "topic_list.topics",
        NextUrlPages("topic_list.more_topics_url"),
        "'topic_list.more_topics_url'",
    ),
    # In the body: a cursor.
    Style(
        "Google",
        lambda a: _body(items=a.rows, nextPageToken=a.next(a.cursor, ...)),
        "items",
        CursorPages("nextPageToken"),
        "'nextPageToken'",
    ),
    Style(
        "Slack",
        lambda a: _body(
            ok=True, members=a.rows, response_metadata={"next_cursor": a.next(a.cursor, "")}
        ),
        "members",
        CursorPages("response_metadata.next_cursor"),
        "'response_metadata.next_cursor'",
    ),
    Style(
        "Notion",
        lambda a: _body(results=a.rows, next_cursor=a.next(a.cursor), has_more=a.end < ROWS),
        "results",
        CursorPages("next_cursor", has_more="has_more"),
        "'has_more'",
    ),
    Style(
        "HubSpot",
        lambda a: _body(
            results=a.rows,
            paging=a.next({"next": {"after": a.cursor, "link": a.link()}}, ...),
        ),
        "results",
        CursorPages("paging.next.after"),
        "'paging.next.after'",
    ),
    Style(
        "Box",
        lambda a: _body(entries=a.rows, limit=PAGE, next_marker=a.next(a.cursor, "")),
        "entries",
        CursorPages("next_marker"),
        "'next_marker'",
    ),
    Style(
        "Square",
        lambda a: _body(payments=a.rows, cursor=a.next(a.cursor, ...)),
        "payments",
        CursorPages("cursor"),
        "'cursor'",
    ),
    Style(
        "Dropbox",
        lambda a: _body(entries=a.rows, cursor=a.cursor, has_more=a.end < ROWS),
        "entries",
        CursorPages("cursor", has_more="has_more"),
        "'has_more'",
    ),
    Style(
        "Airtable",
        lambda a: _body(records=a.rows, offset=a.next(a.cursor, ...)),
        "records",
        CursorPages("offset"),
        "'offset'",
    ),
    Style(
        "Intercom",
        lambda a: _body(
            data=a.rows,
            pages={
                "page": a.number,
                "total_pages": a.pages,
                **({"next": {"starting_after": a.cursor}} if a.end < ROWS else {}),
            },
        ),
        "data",
        CursorPages("pages.next.starting_after"),
        "'pages.next.starting_after'",
    ),
    Style(
        "Asana",
        lambda a: _body(
            data=a.rows,
            next_page=a.next({"offset": a.cursor, "path": "/tasks", "uri": a.link()}),
        ),
        "data",
        CursorPages("next_page.offset"),
        "'next_page.offset'",
    ),
    Style(
        "Reddit",
        lambda a: _body(data={"children": a.rows, "after": a.next(a.cursor), "dist": 25}),
        "data.children",
        CursorPages("data.after"),
        "'data.after'",
    ),
    Style(
        "Kubernetes",
        lambda a: _body(items=a.rows, metadata={"continue": a.next(a.cursor, "")}),
        "items",
        CursorPages("metadata.continue"),
        "'metadata.continue'",
    ),
    Style(
        "a cursor that ends as -1 (Twitter 1.1 ended as 0)",
        lambda a: _body(users=a.rows, next_cursor=a.next(a.cursor, -1)),
        "users",
        CursorPages("next_cursor"),
        "'next_cursor'",
    ),
    Style(
        "Jira Cloud",
        lambda a: _body(issues=a.rows, isLast=a.end >= ROWS, nextPageToken=a.next(a.cursor, ...)),
        "issues",
        CursorPages("nextPageToken"),
        "'isLast'",
    ),
    # In the body: a flag.
    Style(
        "Stripe",
        lambda a: _body(object="list", has_more=a.end < ROWS, data=a.rows),
        "data",
        KeysetPages("id", "starting_after", limit=PAGE),
        "'has_more'",
    ),
    Style(
        "PagerDuty",
        lambda a: _body(
            incidents=a.rows, offset=a.start, limit=PAGE, more=a.end < ROWS, total=None
        ),
        "incidents",
        OffsetPages(PAGE),
        "'more'",
    ),
    Style(
        "a flag as text",
        lambda a: _body(rows=a.rows, hasMore=a.next("true", "false")),
        "rows",
        OffsetPages(PAGE),
        "'hasMore'",
    ),
    Style(
        "Pipedrive",
        lambda a: _body(
            data=a.rows,
            additional_data={
                "pagination": {
                    "start": a.start,
                    "more_items_in_collection": a.end < ROWS,
                    "next_start": a.next(a.end, ...) if a.end < ROWS else None,
                }
            },
        ),
        "data",
        OffsetPages(PAGE),
        "'additional_data.pagination.more_items_in_collection'",
    ),
    # In the body: pages and totals.
    Style(
        "PocketBase",
        lambda a: _body(
            page=a.number, perPage=PAGE, totalItems=ROWS, totalPages=a.pages, items=a.rows
        ),
        "items",
        NumberedPages(PAGE, total="totalItems"),
        "'totalPages'",
    ),
    Style(
        "Spring Data",
        lambda a: _body(
            content=a.rows, last=a.end >= ROWS, totalPages=a.pages, number=a.number - 1, size=PAGE
        ),
        "content",
        NumberedPages(PAGE),
        "'last'",
    ),
    Style(
        "Laravel",
        lambda a: _body(
            data=a.rows, meta={"current_page": a.number, "last_page": a.pages, "to": a.end}
        ),
        "data",
        NumberedPages(PAGE),
        "'meta.last_page'",
    ),
    Style(
        "World Bank",
        lambda a: Answer(
            [{"page": a.number, "pages": a.pages, "per_page": "25", "total": 60}, a.rows]
        ),
        "1",
        NumberedPages(PAGE),
        "'0.pages'",
    ),
    Style(
        "Jira Server",
        lambda a: _body(startAt=a.start, maxResults=PAGE, total=ROWS, issues=a.rows),
        "issues",
        OffsetPages(PAGE, "startAt", "maxResults", total="total"),
        "'total' is 60, and 25 rows came",
    ),
    Style(
        "Mailchimp",
        lambda a: _body(lists=a.rows, total_items=ROWS),
        "lists",
        OffsetPages(PAGE, size="count", total="total_items"),
        "'total_items'",
    ),
    Style(
        "Elasticsearch",
        lambda a: _body(took=3, hits={"total": {"value": ROWS, "relation": "eq"}, "hits": a.rows}),
        "hits.hits",
        OffsetPages(PAGE, "from", "size", total="hits.total.value"),
        "'hits.total'",
    ),
    Style(
        "Solr",
        lambda a: _body(response={"numFound": ROWS, "start": a.start, "docs": a.rows}),
        "response.docs",
        OffsetPages(PAGE, "start", "rows", total="response.numFound"),
        "'response.numFound'",
    ),
    Style(
        "QuickBooks",
        lambda a: _body(
            QueryResponse={"Invoice": a.rows, "startPosition": a.start + 1, "totalCount": ROWS}
        ),
        "QueryResponse.Invoice",
        OffsetPages(PAGE, total="QueryResponse.totalCount"),
        "'QueryResponse.totalCount'",
    ),
    Style(
        "Directus",
        lambda a: _body(data=a.rows, meta={"total_count": 99, "filter_count": ROWS}),
        "data",
        OffsetPages(PAGE, total="meta.filter_count"),
        "'meta.filter_count'",
    ),
    # In headers.
    Style(
        "GitHub",
        lambda a: Answer(a.rows, a.head(Link=f'<{a.link()}>; rel="next", <{a.url}>; rel="last"')),
        "",
        LinkPages(),
        "the header 'Link'",
    ),
    Style(
        "Link in another spelling",
        lambda a: Answer(
            a.rows,
            {
                "link": f'<{a.url}>; title="a, b; rel=next"; rel=first'
                + (f', <{a.link()}>;Rel="Last Next"' if a.end < ROWS else "")
            },
        ),
        "",
        LinkPages(),
        "the header 'Link'",
    ),
    Style(
        "Kinto",
        lambda a: Answer({"data": a.rows}, a.head(Next_Page=str(a.link()))),
        "data",
        HeaderUrlPages("Next-Page"),
        "the header 'Next-Page'",
    ),
    Style(
        "GitLab",
        lambda a: Answer(
            a.rows, {"X-Page": str(a.number), "X-Next-Page": a.next(str(a.number + 1), "")}
        ),
        "",
        CursorPages(header="X-Next-Page", param="page"),
        "the header 'X-Next-Page'",
    ),
    Style(
        "Azure Cosmos DB",
        lambda a: Answer({"Documents": a.rows}, a.head(x_ms_continuation=a.cursor)),
        "Documents",
        CursorPages(header="x-ms-continuation"),
        "the header 'x-ms-continuation'",
    ),
    Style(
        "json-server",
        lambda a: Answer(a.rows, {"X-Total-Count": str(ROWS)}),
        "",
        OffsetPages(PAGE),
        "the header 'X-Total-Count'",
    ),
    Style(
        "WordPress",
        lambda a: Answer(a.rows, {"X-WP-TotalPages": str(a.pages), "X-WP-Total": str(ROWS)}),
        "",
        NumberedPages(PAGE),
        "the header 'X-WP-TotalPages'",
    ),
    Style(
        "ASP.NET",
        lambda a: Answer(
            a.rows, {"X-Pagination": json.dumps({"TotalPages": a.pages, "CurrentPage": a.number})}
        ),
        "",
        NumberedPages(PAGE),
        "the header 'X-Pagination: TotalPages'",
    ),
    Style(
        "PostgREST",
        lambda a: Answer(a.rows, {"Content-Range": f"{a.start}-{a.end - 1}/{ROWS}"}, 206),
        "",
        OffsetPages(PAGE),
        "the header 'Content-Range'",
    ),
    Style(
        "react-admin",
        lambda a: Answer(a.rows, {"Content-Range": f"orders {a.start}-{a.end - 1}/{ROWS}"}),
        "",
        OffsetPages(PAGE),
        "the header 'Content-Range'",
    ),
    Style(
        "a status alone",
        lambda a: Answer(a.rows, status=206 if a.end < ROWS else 200),
        "",
        OffsetPages(PAGE),
        "the header 'status 206'",
    ),
]


@contextmanager
def api_of(style: Style, size: int = PAGE) -> Iterator[Server]:
    """An API that pages so, by whatever parameter it is asked with; at most `size` rows a page."""

    def answer(exchange: Exchange) -> None:
        url = f"http://{exchange.seen.headers['Host']}/"
        answered = style.answer(asked(url, exchange.seen.query, size))
        body = json.dumps(answered.body).encode()
        exchange.reply(answered.status, body, Content_Type="application/json", **answered.headers)

    with serve(answer) as server:
        yield server


def asked(url: str, query: Mapping[str, str], size: int, rows: Sequence[Any] = Asked.all) -> Asked:
    names = ("limit", "maxResults", "size", "count", "rows")
    sizes = [int(query[name]) for name in names if name in query]
    start = next((int(query[n]) for n in ("offset", "startAt", "from", "start") if n in query), 0)
    if "page" in query:
        start = (int(query["page"]) - 1) * size
    start = int(query.get("starting_after", start))
    if "cursor" in query:
        start = int(query["cursor"][1:])
    return Asked(url, start, min([size, *sizes]), rows)
