"""How public APIs page, from their own documentation, written by hand.

`Pages` are tried in their order; the first that fits an operation's parameters is the operation's.
An operation that fits none returns all at once. The document only refines how many rows a page may
have. Where an API returns something else than its document says (Vimeo wraps its lists), this is
what the document says.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal


@dataclass(frozen=True)
class Pages:
    param: str
    counts: Literal["rows", "pages", "token", "id"]
    """What the parameter takes: rows before the page, the page's number, an opaque cursor, or the
    key of the last record."""
    size: str = ""
    default: int = 20
    most: int = 100
    beside: Mapping[str, str] = field(default_factory=dict)
    """Places beside the records: `next` is what the parameter takes next, `url`, `path` and `query`
    a link with it, `last` the last record's key; `total`, `pages`, `more`, `count` and so on."""
    first: int = 1
    """Number of the first page."""
    end: Literal["absent", "null", "empty"] = "absent"
    """How what leads to the next page is on the last one."""
    field: str = "id"
    """The key that `counts="id"` is about."""
    link: bool = False
    """Whether a header Link leads to the next page."""
    refuses: bool = True
    """Whether it refuses larger pages than its largest; otherwise it returns the largest."""
    only: str = ""
    """The paths that it is about, as a pattern."""
    switch: str = ""
    """The parameter that has to be `true` for it."""
    otherwise: Pages | None = None
    fits: bool = False
    """Whether it fits operations whose document has no such parameter."""

    def is_of(self, path: str, query: Container[str]) -> bool:
        return (self.fits or self.param in query) and re.search(self.only, path) is not None

    def with_bounds(self, default: int | None, most: int | None) -> Pages:
        default = default or self.default
        return replace(self, default=default, most=max(most or self.most, default))


@dataclass(frozen=True)
class Api:
    name: str
    file: str
    """The document in the folder of documents."""
    source: str
    """Where it is from, with its version."""
    auth: str
    """The header that has the credentials with its first word, or `?` and a query parameter."""
    pages: tuple[Pages, ...]
    records: str = ""
    """Where lists are in bodies; `*` for the only list there."""
    or_records: tuple[str, ...] = ()
    keys: tuple[str, ...] = ("id",)
    lists: Mapping[str, str] = field(default_factory=dict)
    """Lists that are elsewhere, by path."""
    not_lists: frozenset[str] = frozenset()
    """Single records that have a list, and feeds of what happened since a token."""
    options: tuple[str, ...] = ()
    """Options of `landing new` that its user adds."""

    def takes(self, headers: Mapping[str, str], query: Mapping[str, str]) -> bool:
        name, _, word = self.auth.partition(" ")
        if name[0] == "?":
            return bool(query.get(name[1:]))
        return headers.get(name.title(), "").startswith(word)


BEARER, BASIC = "Authorization Bearer", "Authorization Basic"
TOKEN = ("--auth=bearer",)

_ASANA = Pages("offset", "token", "limit", 20, 100, {"next_page.offset": "next"})
_BOX = Pages("marker", "token", "limit", 100, 1000, {"next_marker": "next", "limit": "size"})
_BOX_OFFSET = Pages(
    *("offset", "rows", "limit", 100, 1000),
    {"total_count": "total", "offset": "start", "limit": "size"},
)
_SPOTIFY = {"next": "url", "total": "total", "limit": "size", "offset": "start"}
_OKTA = Pages("after", "token", "limit", 20, 200, link=True)
_XERO = {
    "pagination.page": "page",
    "pagination.pageSize": "size",
    "pagination.pageCount": "pages",
    "pagination.itemCount": "total",
}
_OPENAI = {"has_more": "more", "last_id": "last"}
_SLACK = {"response_metadata.next_cursor": "next"}
_SLACK_PAGES = {"paging.page": "page", "paging.pages": "pages", "paging.total": "total"}
_ZOOM = {
    "page_count": "pages",
    "page_number": "page",
    "page_size": "size",
    "total_records": "total",
}
_SIGN = {
    "list_info.page": "page",
    "list_info.num_pages": "pages",
    "list_info.num_results": "total",
    "list_info.page_size": "size",
}
_HETZNER = {
    "meta.pagination.page": "page",
    "meta.pagination.per_page": "size",
    "meta.pagination.next_page": "next",
    "meta.pagination.last_page": "pages",
    "meta.pagination.total_entries": "total",
}

APIS = (
    Api(
        "asana",
        "asana.yaml",
        "Asana/openapi defs/asana_oas.yaml fc9f8dc",
        BEARER,
        (replace(_ASANA, end="null"),),
        "data",
        keys=("gid",),
        not_lists=frozenset({"/events"}),
        options=TOKEN,
    ),
    Api(
        "box",
        "box.json",
        "box/box-openapi openapi.json c9a878a",
        BEARER,
        (
            replace(
                _BOX,
                switch="usemarker",
                otherwise=_BOX_OFFSET,
                only="^/(folders/trash/items|users)$",
            ),
            _BOX,
            _BOX_OFFSET,
        ),
        "entries",
        options=TOKEN,
    ),
    Api(
        "square",
        "square.json",
        "square/connect-api-specification api.json 5733f66",
        BEARER,
        (Pages("cursor", "token", "limit", 100, 100, {"cursor": "next"}, refuses=False),),
        "*",
        options=TOKEN,
    ),
    Api(
        "intercom",
        "intercom.yaml",
        "intercom/Intercom-OpenAPI 2.11 8889625",
        BEARER,
        (
            Pages(
                "starting_after",
                "token",
                "per_page",
                20,
                150,
                {"pages.next.starting_after": "next"},
            ),
            Pages(
                "page",
                "pages",
                "per_page",
                15,
                60,
                {
                    "pages.page": "page",
                    "pages.per_page": "size",
                    "pages.total_pages": "pages",
                    "total_count": "total",
                },
            ),
        ),
        "*",
    ),
    Api(
        "spotify",
        "spotify.yaml",
        "sonallux/spotify-web-api fixed a336958",
        BEARER,
        (
            Pages(
                "after",
                "token",
                "limit",
                20,
                50,
                {
                    "next": "url",
                    "cursors.after": "next",
                    "total": "total",
                    "limit": "size",
                },
                end="null",
            ),
            Pages("offset", "rows", "limit", 20, 50, _SPOTIFY, end="null"),
        ),
        "*",
        ("*.items",),
        lists={"/me/player/queue": "queue"},
        not_lists=frozenset(
            {
                "/search",
                "/me",
                "/recommendations",
                "/me/player",
                "/me/player/currently-playing",
            }
        ),
        options=TOKEN,
    ),
    Api(
        "twilio",
        "twilio.json",
        "twilio/twilio-oai api_v2010 d50069b",
        BASIC,
        (
            Pages(
                "Page",
                "pages",
                "PageSize",
                50,
                1000,
                {
                    "next_page_uri": "path",
                    "page": "page",
                    "page_size": "size",
                },
                first=0,
                end="null",
            ),
        ),
        "*",
        keys=("sid",),
    ),
    Api(
        "okta",
        "okta.yaml",
        "okta/okta-management-openapi-spec 2026.06.3",
        "Authorization SSWS",
        (
            replace(_OKTA, beside={"_links.next.href": "url"}, only="^/api/v1/iam/", link=False),
            _OKTA,
        ),
        "",
        ("*",),
        keys=("id", "kid", "name"),
        not_lists=frozenset({"/.well-known/ssf-configuration"}),
    ),
    Api(
        "xero",
        "xero.yaml",
        "XeroAPI/Xero-OpenAPI xero_accounting.yaml 16.1.0",
        BEARER,
        (Pages("page", "pages", "pageSize", 100, 1000, _XERO),),
        "*",
        options=TOKEN,
    ),
    Api(
        "openai",
        "openai.yaml",
        "openai/openai-openapi openapi.yaml 2.3.0 f85dbe2",
        BEARER,
        (
            Pages(
                "page",
                "token",
                "limit",
                7,
                180,
                {"has_more": "more", "next_page": "next"},
                only="/costs$",
            ),
            Pages("page", "token", "limit", 7, 31, {"has_more": "more", "next_page": "next"}),
            Pages(
                "after",
                "token",
                "limit",
                100,
                1000,
                {"has_more": "more", "next": "next"},
                only="^/organization/(groups|roles)$",
                end="null",
            ),
            Pages("after", "id", "limit", 20, 100, _OPENAI),
        ),
        "data",
    ),
    Api(
        "pagerduty",
        "pagerduty.json",
        "PagerDuty/api-schema REST 91a06fb",
        "Authorization Token",
        (
            Pages(
                "cursor",
                "token",
                "limit",
                25,
                100,
                {"next_cursor": "next", "limit": "size"},
                end="null",
            ),
            Pages(
                "offset",
                "rows",
                "limit",
                25,
                100,
                {
                    "offset": "start",
                    "limit": "size",
                    "more": "more",
                    "total": "unknown",
                },
                refuses=False,
                end="null",
            ),
        ),
        "*",
    ),
    Api(
        "datadog",
        "datadog.yaml",
        "DataDog/datadog-api-client-python v1 6d8f356",
        "DD-API-KEY",
        (
            Pages(
                "page[number]",
                "pages",
                "page[size]",
                60,
                100,
                {
                    "meta.page.total_count": "total",
                },
                first=0,
            ),
            Pages("page", "pages", "page_size", 100, 1000, first=0, only="/monitor$"),
            Pages(
                "page",
                "pages",
                "per_page",
                30,
                100,
                {
                    "metadata.page": "page",
                    "metadata.page_count": "pages",
                    "metadata.total_count": "total",
                },
                first=0,
                only="/monitor/",
            ),
            Pages("page_number", "pages", "page_size", 100, 1000, first=0),
            Pages("start", "rows", "count", 50, 1000, {"total": "total"}, only="/synthetics/"),
            Pages(
                "offset",
                "rows",
                "limit",
                25,
                1000,
                {"meta.page.total_count": "total"},
                only="/slo/correction",
            ),
            Pages(
                "start",
                "rows",
                "count",
                100,
                1000,
                {
                    "total_matching": "total",
                    "total_returned": "count",
                },
                only="/hosts$",
            ),
            Pages(
                "start",
                "rows",
                "count",
                100,
                1000,
                {"meta.page.total_count": "total"},
                only="/notebooks$",
            ),
            Pages("start", "rows", "count", 100, 1000, only="/dashboard$"),
            Pages(
                "offset",
                "rows",
                "limit",
                1000,
                1000,
                {"metadata.page.total_count": "total"},
                only="/slo",
            ),
            Pages(
                "next_record_id",
                "token",
                "",
                500,
                500,
                {"metadata.pagination.next_record_id": "next"},
                end="null",
            ),
        ),
        "",
        ("*",),
        keys=("id", "public_id", "name", "hash"),
    ),
    Api(
        "klaviyo",
        "klaviyo.json",
        "klaviyo/openapi stable.json 2026-07-15",
        "Authorization Klaviyo-API-Key",
        (Pages("page[cursor]", "token", "page[size]", 20, 100, {"links.next": "url"}, end="null"),),
        "data",
    ),
    Api(
        "lob",
        "lob.yaml",
        "lob/lob-openapi dist/lob-api-bundled.yml 1.22.0",
        BASIC,
        (
            Pages("offset", "rows", "limit", 10, 100, {"count": "count"}),
            Pages(
                "after",
                "token",
                "limit",
                10,
                100,
                {
                    "next_url": "url",
                    "count": "count",
                    "total_count": "total",
                },
                end="null",
                fits=True,
                only="^(?!/uploads|/informed_delivery)",
            ),
        ),
        "data",
        ("",),
    ),
    Api(
        "netlify",
        "netlify.yaml",
        "netlify/open-api swagger.yml 2.55.0",
        BEARER,
        (Pages("page", "pages", "per_page", 100, 100, link=True, refuses=False),),
        options=TOKEN,
    ),
    Api(
        "slack",
        "slack.json",
        "slackapi/slack-api-specs web-api v2 1.7.0",
        BEARER,
        (
            Pages(
                "cursor",
                "token",
                "limit",
                100,
                1000,
                {"next_cursor": "next"},
                end="empty",
                only="^/admin.conversations.search",
            ),
            Pages(
                "cursor",
                "token",
                "limit",
                100,
                1000,
                {**_SLACK, "has_more": "more"},
                end="empty",
                only="^/conversations.history",
            ),
            Pages("cursor", "token", "limit", 100, 1000, _SLACK, end="empty"),
            Pages("page", "pages", "count", 100, 1000, _SLACK_PAGES),
        ),
        "*",
        not_lists=frozenset({"/files.info", "/team.profile.get", "/users.profile.get"}),
        options=TOKEN,
    ),
    Api(
        "vimeo",
        "vimeo.yaml",
        "vimeo/openapi api.yaml 3.4",
        BEARER,
        (Pages("page", "pages", "per_page", 25, 100),),
        keys=("uri",),
        not_lists=frozenset({"/me"}),
        options=TOKEN,
    ),
    Api(
        "mastodon",
        "mastodon.json",
        "abraham/mastodon-openapi dist/schema.json 4.7.0",
        BEARER,
        (
            Pages(
                "max_id",
                "token",
                "limit",
                20,
                40,
                link=True,
                refuses=False,
                only="^(?!/api/v1/timelines/direct)",
            ),
            Pages("offset", "rows", "limit", 10, 40, refuses=False),
        ),
        keys=("id", "name"),
        options=TOKEN,
    ),
    Api(
        "zoom",
        "zoom.json",
        "zoom/api openapi.v2.json 2.0.0",
        "?access_token",
        (
            Pages(
                "next_page_token",
                "token",
                "page_size",
                30,
                300,
                {
                    "next_page_token": "next",
                    "page_size": "size",
                    "total_records": "total",
                },
                end="empty",
            ),
            Pages("page_number", "pages", "page_size", 30, 300, _ZOOM),
        ),
        "*",
        not_lists=frozenset({"/tsp"}),
    ),
    Api(
        "chargebee",
        "chargebee.json",
        "chargebee/openapi v1 c5273ca",
        BASIC,
        (Pages("offset", "token", "limit", 10, 100, {"next_offset": "next"}),),
        "list",
    ),
    Api(
        "hellosign",
        "hellosign.yaml",
        "hellosign/hellosign-openapi openapi.yaml 3.0.0",
        BASIC,
        (Pages("page", "pages", "page_size", 20, 100, _SIGN),),
        "*",
        keys=(
            "signature_request_id",
            "template_id",
            "bulk_send_job_id",
            "fax_id",
            "client_id",
            "number",
        ),
        not_lists=frozenset({"/team", "/account"}),
    ),
    Api(
        "harbor",
        "harbor.yaml",
        "goharbor/harbor api/v2.0/swagger.yaml c50c7dd",
        BASIC,
        (Pages("page", "pages", "page_size", 10, 100, link=True),),
        keys=("id", "project_id", "user_id", "name"),
    ),
    Api(
        "hubspot",
        "hubspot.json",
        "HubSpot/HubSpot-public-api-spec-collection contacts v3",
        BEARER,
        (
            Pages(
                "after",
                "token",
                "limit",
                10,
                100,
                {
                    "paging.next.after": "next",
                    "paging.next.link": "url",
                },
            ),
        ),
        "results",
        options=TOKEN,
    ),
    Api(
        "hetzner",
        "hetzner.json",
        "MaximilianKoestler/hcloud-openapi hcloud.json 5f93a6d",
        BEARER,
        (Pages("page", "pages", "per_page", 25, 50, _HETZNER, end="null", refuses=False),),
        "*",
    ),
    Api(
        "recurly",
        "recurly.yaml",
        "recurly/recurly-client-python v2021-02-25 7294ca7",
        BASIC,
        (
            Pages(
                "cursor",
                "token",
                "limit",
                20,
                200,
                {"next": "path", "has_more": "more"},
                end="null",
                fits=True,
            ),
        ),
        "data",
    ),
    Api(
        "digitalocean",
        "digitalocean/DigitalOcean-public.v2.yaml",
        "digitalocean/openapi 2.0 7c1300c",
        BEARER,
        (
            Pages(
                "page",
                "pages",
                "per_page",
                20,
                200,
                {
                    "links.pages.next": "url",
                    "meta.total": "total",
                },
            ),
        ),
        "*",
        keys=("id", "uuid", "name", "slug"),
    ),
    Api(
        "github",
        "github.json",
        "@octokit/openapi 23.0.2 api.github.com.json",
        BEARER,
        (
            Pages(
                "since",
                "id",
                "per_page",
                30,
                100,
                link=True,
                refuses=False,
                only="^/(users|organizations)$",
            ),
            Pages("cursor", "token", "per_page", 30, 100, link=True, refuses=False),
            Pages(
                "page",
                "pages",
                "per_page",
                30,
                100,
                {"total_count": "total"},
                link=True,
                refuses=False,
            ),
            Pages("after", "token", "per_page", 30, 100, link=True, refuses=False),
        ),
        "",
        ("*",),
        options=TOKEN,
    ),
    Api(
        "bigcommerce",
        "bigcommerce.yaml",
        "bigcommerce/docs products_catalog.v3 24f580c",
        "X-Auth-Token",
        (
            Pages(
                "page",
                "pages",
                "limit",
                50,
                250,
                {
                    "meta.pagination.total": "total",
                    "meta.pagination.total_pages": "pages",
                    "meta.pagination.current_page": "page",
                    "meta.pagination.per_page": "size",
                    "meta.pagination.links.next": "query",
                },
            ),
        ),
        "data",
    ),
    Api(
        "influxdb",
        "influx.json",
        "influxdata/openapi contracts/cloud.json ad26a17",
        "Authorization Token",
        (Pages("offset", "rows", "limit", 20, 100, {"links.next": "path"}),),
        "*",
    ),
)
