"""Stand-ins for the public APIs of docs/gallery.md. Each pages, limits and refuses as the page of
the API's documentation says that the gallery links."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode

from tests.servers.scripted import Exchange

Row = dict[str, Any]
START = datetime(2026, 1, 1, tzinfo=UTC)
TOKEN = "token-of-the-gallery"


@dataclass
class StandIn:
    """One API: its rows, and how it answers. The first rows are `first`; `change` adds `more`, some
    of which are new versions of first ones."""

    name: str
    env: Mapping[str, str]
    answer: Callable[[StandIn, Exchange], None]
    first: list[Row]
    more: list[Row]
    key: tuple[str, ...] = ("id",)
    rows: list[Row] = field(default_factory=list)
    polls: int = 0

    def __post_init__(self) -> None:
        self.rows = list(self.first)

    def change(self) -> None:
        for row in self.more:
            self.rows = [one for one in self.rows if self.key_of(one) != self.key_of(row)]
            self.rows.append(row)

    def key_of(self, row: Row) -> str:
        return "/".join(str(row[name]) for name in self.key)

    def __call__(self, exchange: Exchange) -> None:
        self.answer(self, exchange)


def _send(exchange: Exchange, body: Any, status: int = 200, **headers: str) -> None:
    exchange.reply(
        status, json.dumps(body).encode(), **{"Content_Type": "application/json"}, **headers
    )


def _is_refused(exchange: Exchange, header: str = "Authorization", prefix: str = "Bearer ") -> bool:
    if exchange.seen.headers.get(header) == f"{prefix}{TOKEN}":
        return False
    _send(exchange, {"message": "invalid credentials"}, 401)
    return True


def _time(minutes: int, form: str = "%Y-%m-%dT%H:%M:%SZ") -> str:
    return (START + timedelta(minutes=minutes)).strftime(form)


def _rows(count: int, make: Callable[[int], Row]) -> list[Row]:
    return [make(number) for number in range(1, count + 1)]


def _size(query: Mapping[str, str], name: str, default: int, most: int) -> int:
    return min(int(query.get(name, default)), most)


def binance(api: StandIn, exchange: Exchange) -> None:
    query = exchange.seen.query
    if _is_refused(exchange, "X-Mbx-Apikey", ""):
        return
    if query.get("symbol") != "BTCUSDT":
        _send(exchange, {"code": -1121, "msg": "Invalid symbol."}, 400)
        return
    size = _size(query, "limit", 500, 1000)
    if "fromId" not in query:  # the most recent ones
        _send(exchange, api.rows[-size:])
        return
    found = [row for row in api.rows if row["id"] >= int(query["fromId"])]
    _send(exchange, found[:size])


def notion(api: StandIn, exchange: Exchange) -> None:
    if _is_refused(exchange):
        return
    if "Notion-Version" not in exchange.seen.headers or exchange.seen.method != "POST":
        _send(exchange, {"object": "error", "code": "missing_version"}, 400)
        return
    query = json.loads(exchange.seen.body)
    if query.get("page_size", 100) > 100:
        _send(exchange, {"object": "error", "code": "validation_error"}, 400)
        return
    since = query.get("filter", {}).get("last_edited_time", {}).get("on_or_after", "")
    assert query["sorts"][0]["timestamp"] == "last_edited_time"
    found = sorted((r for r in api.rows if r["last_edited_time"] >= since), key=_edited)
    ids = [row["id"] for row in found]
    start = ids.index(query["start_cursor"]) if "start_cursor" in query else 0
    end = start + query.get("page_size", 100)
    rest = ids[end : end + 1]
    _send(
        exchange,
        {
            "object": "list",
            "results": found[start:end],
            "next_cursor": rest[0] if rest else None,
            "has_more": bool(rest),
        },
    )


def _edited(row: Row) -> tuple[str, str]:
    return row["last_edited_time"], row["id"]


def github(api: StandIn, exchange: Exchange) -> None:
    if _is_refused(exchange):
        return
    query = dict(exchange.seen.query)
    found = [row for row in api.rows if row["updated_at"] >= query["since"]]
    if query.get("state") != "all":
        found = [row for row in found if row["state"] == query.get("state", "open")]
    assert query["direction"] == "asc"
    found.sort(key=lambda row: row["updated_at"])
    size = _size(query, "per_page", 30, 100)
    page = int(query.get("page", 1))
    headers = {}
    if page * size < len(found):
        host = exchange.seen.headers["Host"]
        url = f"http://{host}{exchange.seen.path}?{urlencode({**query, 'page': page + 1})}"
        headers["Link"] = f'<{url}>; rel="next"'
    _send(exchange, found[(page - 1) * size : page * size], **headers)


def wordpress(api: StandIn, exchange: Exchange) -> None:
    query = exchange.seen.query
    size, page = int(query.get("per_page", 10)), int(query.get("page", 1))
    if not 1 <= size <= 100:
        _send(exchange, {"code": "rest_invalid_param"}, 400)
        return
    after = query.get("modified_after", "").rstrip("Z")
    found = [row for row in api.rows if row["modified_gmt"] > after]
    found.sort(key=lambda row: row["modified_gmt"])
    pages = -(-len(found) // size)
    if page > max(pages, 1):
        _send(exchange, {"code": "rest_post_invalid_page_number"}, 400)
        return
    headers = {"X_WP_Total": str(len(found)), "X_WP_TotalPages": str(pages)}
    _send(exchange, found[(page - 1) * size : page * size], **headers)


def shopify(api: StandIn, exchange: Exchange) -> None:
    if _is_refused(exchange, "X-Shopify-Access-Token", ""):
        return
    if exchange.number == 2:
        status = {"currentlyAvailable": 90, "restoreRate": 1000.0, "maximumAvailable": 2000.0}
        cost = {"requestedQueryCost": 100, "throttleStatus": status}
        error = {"message": "Throttled", "extensions": {"code": "THROTTLED"}}
        _send(exchange, {"errors": [error], "extensions": {"cost": cost}})
        return
    given = json.loads(exchange.seen.body)["variables"]
    since = re.fullmatch(r"updated_at:>='(.*)'", given["filter"])
    assert since is not None
    found = [row for row in api.rows if row["updatedAt"] >= since[1]]
    found.sort(key=lambda row: row["updatedAt"])
    start = int(given.get("after") or 0)
    end = start + min(given["first"], 250)
    page = {"hasNextPage": end < len(found), "endCursor": str(min(end, len(found)))}
    _send(exchange, {"data": {"orders": {"pageInfo": page, "nodes": found[start:end]}}})


def ecb(api: StandIn, exchange: Exchange) -> None:
    query = exchange.seen.query
    assert query["format"] == "csvdata"
    found = [row for row in api.rows if row["TIME_PERIOD"] >= query.get("startPeriod", "")]
    if not found:
        exchange.reply(404, b"No results found")
        return
    exchange.reply(200, _csv(found), Content_Type="text/csv")


def _csv(rows: list[Row]) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def zabbix(api: StandIn, exchange: Exchange) -> None:
    call = json.loads(exchange.seen.body)
    if exchange.seen.headers.get("Authorization") != f"Bearer {TOKEN}":
        error = {"code": -32602, "message": "Invalid params.", "data": "Not authorized."}
        _send(exchange, {"jsonrpc": "2.0", "error": error, "id": call["id"]})
        return
    assert call["method"] == "event.get"
    start = int(call["params"].get("eventid_from", 0))
    found = [row for row in api.rows if int(row["eventid"]) >= start]
    found.sort(key=lambda row: int(row["eventid"]))
    _send(exchange, {"jsonrpc": "2.0", "result": found[: call["params"]["limit"]], "id": 1})


def dataverse(api: StandIn, exchange: Exchange) -> None:
    if exchange.seen.path == "/token":
        given = dict(parse_qsl(exchange.seen.body.decode()))
        assert given["grant_type"] == "client_credentials"
        assert given["scope"].endswith("/.default")
        _send(exchange, {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3599})
        return
    if _is_refused(exchange):
        return
    query = dict(exchange.seen.query)
    prefer = re.search(r"odata.maxpagesize=(\d+)", exchange.seen.headers.get("Prefer", ""))
    size = min(int(prefer[1]) if prefer else 5000, 5000)
    since = query["$filter"].removeprefix("modifiedon ge ")
    found = [row for row in api.rows if row["modifiedon"] >= since]
    found.sort(key=lambda row: (row["modifiedon"], row["accountid"]))
    start = int(query.get("$skiptoken", 0))
    page = [{"@odata.etag": f'W/"{row["accountid"]}"', **row} for row in found[start:][:size]]
    body: Row = {"@odata.context": "…/$metadata#accounts", "value": page}
    if start + size < len(found):
        url = f"http://{exchange.seen.headers['Host']}{exchange.seen.path}"
        body["@odata.nextLink"] = f"{url}?{urlencode({**query, '$skiptoken': start + size})}"
    _send(exchange, body)


def sendgrid(api: StandIn, exchange: Exchange) -> None:
    path = exchange.seen.path
    if path.startswith("/files/"):
        if "Authorization" in exchange.seen.headers:  # as S3 does for a signed URL
            exchange.reply(400, b"<Error><Code>InvalidArgument</Code></Error>")
            return
        half = len(api.rows) // 2
        part = api.rows[:half] if path.endswith("1.csv") else api.rows[half:]
        exchange.reply(200, _csv(part), Content_Type="text/csv")
        return
    if _is_refused(exchange):
        return
    if exchange.seen.method == "POST":
        _send(exchange, {"id": "job-1"}, 202)
        return
    api.polls += 1
    host = exchange.seen.headers["Host"].replace("127.0.0.1", "localhost")
    urls = [f"http://{host}/files/{n}.csv?X-Amz-Signature=a" for n in (1, 2)]
    ready = {"id": "job-1", "status": "ready", "urls": urls}
    _send(exchange, ready if api.polls % 2 == 0 else {"id": "job-1", "status": "pending"})


def stripe(api: StandIn, exchange: Exchange) -> None:
    if _is_refused(exchange):
        return
    query = {name: values[-1] for name, values in parse_qs(urlencode(exchange.seen.query)).items()}
    if not 1 <= int(query.get("limit", 10)) <= 100:
        _send(exchange, {"error": {"message": "limit must be between 1 and 100"}}, 400)
        return
    found = [row for row in api.rows if row["created"] >= int(query.get("created[gte]", 0))]
    found.sort(key=lambda row: -row["created"])
    ids = [row["id"] for row in found]
    start = ids.index(query["starting_after"]) + 1 if "starting_after" in query else 0
    end = start + int(query.get("limit", 10))
    _send(exchange, {"object": "list", "data": found[start:end], "has_more": end < len(found)})


def _trade(n: int) -> Row:
    return {"id": n, "price": f"{n}.50", "qty": "0.1", "time": 1_767_225_600_000 + n}


def _page(n: int) -> Row:
    return {"object": "page", "id": f"p{n:04}", "last_edited_time": _time(n // 3)}


def _issue(n: int, at: int = 0) -> Row:
    return {"id": n, "state": "open" if n % 2 else "closed", "updated_at": _time(at or n)}


def _post(n: int, at: int = 0) -> Row:
    return {"id": n, "modified_gmt": _time(at or n, "%Y-%m-%dT%H:%M:%S")}


def _order(n: int, at: int = 0) -> Row:
    price = {"shopMoney": {"amount": f"{n}.00", "currencyCode": "EUR"}}
    id = f"gid://shopify/Order/{n}"
    return {"id": id, "name": f"#{n}", "updatedAt": _time(at or n), "totalPriceSet": price}


def _rate(n: int) -> Row:
    return {
        "CURRENCY": "USD" if n % 2 else "JPY",
        "TIME_PERIOD": (START + timedelta(days=(n + 1) // 2)).strftime("%Y-%m-%d"),
        "OBS_VALUE": 1.0 + n / 1000,
    }


def _event(n: int) -> Row:
    return {"eventid": str(n), "clock": str(1_767_225_600 + n), "name": f"event {n}"}


def _account(n: int, at: int = 0) -> Row:
    return {"accountid": f"a{n:05}", "name": f"account {n}", "modifiedon": _time(at or n)}


def _contact(n: int) -> Row:
    return {"CONTACT_ID": f"c{n:04}", "EMAIL": f"c{n}@example.com"}


def _hook(n: int) -> Row:
    return {"id": f"evt_{n:04}", "type": "charge.succeeded", "created": 1_767_225_600 + n}


def stand_ins() -> list[StandIn]:
    """New ones, in the order of the page."""
    market = {"BINANCE_API_KEY": TOKEN, "BINANCE_SYMBOL": "BTCUSDT"}
    base = {"NOTION_TOKEN": TOKEN, "NOTION_DATABASE": "d1"}
    repository = {"GITHUB_TOKEN": TOKEN, "GITHUB_REPOSITORY": "example/shop"}
    client = {"DATAVERSE_CLIENT_ID": "c", "DATAVERSE_CLIENT_SECRET": "secret-of-the-client"}
    export = {"SENDGRID_API_KEY": TOKEN, "SENDGRID_SECONDS": "0.1"}
    edited = {**_page(7), "last_edited_time": _time(500)}
    return [
        StandIn("Binance", market, binance, _rows(2300, _trade), [_trade(2301), _trade(2302)]),
        StandIn("Notion", base, notion, _rows(250, _page), [edited, _page(900)]),
        StandIn("GitHub", repository, github, _rows(230, _issue), [_issue(5, 400), _issue(401)]),
        StandIn("WordPress", {}, wordpress, _rows(230, _post), [_post(3, 400), _post(401)]),
        StandIn(
            "Shopify",
            {"SHOPIFY_TOKEN": TOKEN},
            shopify,
            _rows(230, _order),
            [_order(3, 400), _order(401)],
        ),
        StandIn(
            "European Central Bank",
            {},
            ecb,
            _rows(120, _rate),
            [_rate(121), _rate(122)],
            ("CURRENCY", "TIME_PERIOD"),
        ),
        StandIn(
            "Zabbix",
            {"ZABBIX_TOKEN": TOKEN},
            zabbix,
            _rows(2300, _event),
            [_event(2301), _event(2302)],
            ("eventid",),
        ),
        StandIn(
            "Dataverse",
            client,
            dataverse,
            _rows(5300, _account),
            [_account(3, 9000), _account(9001)],
            ("accountid",),
        ),
        StandIn(
            "SendGrid", export, sendgrid, _rows(230, _contact), [_contact(231)], ("CONTACT_ID",)
        ),
        StandIn("Stripe", {"STRIPE_KEY": TOKEN}, stripe, _rows(230, _hook), [_hook(231)]),
    ]
