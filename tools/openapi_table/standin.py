"""Serves the lists of a document as the sheet of its API says."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from tests.servers.scripted import Exchange, Seen
from tools.openapi_table.apis import Api, Pages
from tools.openapi_table.documents import ListEndpoint

_EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
_FEW = 7
_LARGEST = 500
"""Sources ask for no more rows at once."""


class _Refused(Exception):
    pass


class StandIn:
    def __init__(self, api: Api, endpoints: Sequence[ListEndpoint]) -> None:
        self._api = api
        self._endpoints = {one.path: one for one in endpoints}
        self._rows = {one.path: list(_rows(api, one)) for one in endpoints}

    def count(self, path: str) -> int:
        return len(self._rows[path])

    def answer(self, exchange: Exchange) -> None:
        status, body, headers = self._answer(exchange.seen)
        sent = json.dumps(body).encode()
        exchange.reply(status, sent, Content_Type="application/json", **headers)

    def _answer(self, seen: Seen) -> tuple[int, Any, dict[str, str]]:
        endpoint = self._endpoints.get(seen.path)
        if endpoint is None:
            return 404, {"message": "there is no such list"}, {}
        if not self._api.takes(seen.headers, seen.query):
            return 401, {"message": "no credentials"}, {}
        if missing := [name for name in endpoint.required if not seen.query.get(name)]:
            return 400, {"message": f"{', '.join(missing)} is required"}, {}
        try:
            url = f"http://{seen.headers['Host']}{seen.path}"
            return 200, *_page(endpoint, self._rows[endpoint.path], seen.query, url)
        except (_Refused, ValueError) as error:
            return 400, {"message": str(error)}, {}


def _rows(api: Api, endpoint: ListEndpoint) -> Any:
    pages = endpoint.pages
    count = _FEW if pages is None else max(2 * min(pages.most, _LARGEST), pages.default) + _FEW
    fields = dict(endpoint.fields)
    key = next((name for name in api.keys if name in fields), None)
    if key is None:
        scalars = (name for name, kind in fields.items() if kind in ("string", "integer"))
        key = next(scalars, None) or "name"
        fields.setdefault(key, "string")
    for number in range(1, count + 1):
        # No other field tells records apart, so that a key that is none is noticed.
        row = {name: _value(kind, number % 3) for name, kind in fields.items()}
        is_number = fields[key] in ("integer", "number")
        yield {**row, key: 3 * number if is_number else f"k{number:06}"}


def _value(kind: str, number: int) -> Any:
    time = _EPOCH + timedelta(days=number)
    match kind:
        case "integer" | "number":
            return number
        case "boolean":
            return number > 1
        case "epoch":
            return int(time.timestamp())
        case "date-time":
            return time.isoformat().replace("+00:00", "Z")
        case "date":
            return time.date().isoformat()
        case "string":
            return f"n{number}"
    return kind.removeprefix("=")


def _page(
    endpoint: ListEndpoint, rows: list[dict[str, Any]], query: Mapping[str, str], url: str
) -> tuple[Any, dict[str, str]]:
    pages = endpoint.pages
    if pages is None:
        return _within(endpoint.records, rows, {}), {}
    if pages.otherwise and query.get(pages.switch) != "true":
        pages = pages.otherwise
    size = _size(pages, query)
    start = _start(pages, rows, query, size)
    found = rows[start : start + size]
    has_more = start + size < len(rows)
    following = _following(pages, found, start + size, size) if has_more else None
    target = _target(query, pages.param, following)
    facts = {
        "next": following,
        "url": target and f"{url}{target}",
        "path": target and f"/{url.split('/', 3)[3]}{target}",
        "query": target,
        "last": found[-1].get(pages.field) if found else None,
        "total": len(rows),
        "unknown": None,
        "pages": -(-len(rows) // size),
        "page": start // size + pages.first,
        "start": start,
        "size": size,
        "count": len(found),
        "more": has_more,
    }
    beside = {place: facts[what] for place, what in pages.beside.items()}
    if pages.end != "null":
        end = {"": ""} if pages.end == "empty" else {}
        beside = {p: v if v is not None else "" for p, v in beside.items() if v is not None or end}
    headers = {}
    if pages.link and target:
        headers["Link"] = f'<{url}{target}>; rel="next"'
    return _within(endpoint.records, found, beside), headers


def _size(pages: Pages, query: Mapping[str, str]) -> int:
    size = int(query.get(pages.size) or pages.default) if pages.size else pages.default
    if size < 1 or (size > pages.most and pages.refuses):
        raise _Refused(f"{pages.size} has to be from 1 to {pages.most}")
    return min(size, max(pages.most, pages.default))


def _start(pages: Pages, rows: list[dict[str, Any]], query: Mapping[str, str], size: int) -> int:
    given = query.get(pages.param)
    if not given:
        return 0
    match pages.counts:
        case "rows":
            return int(given)
        case "pages":
            return max(int(given) - pages.first, 0) * size
        case "id":
            at = next((n for n, row in enumerate(rows) if str(row[pages.field]) == given), None)
            if at is None:
                raise _Refused(f"{pages.param}: there is no record {given}")
            return at + 1
    if not given.startswith("cursor-"):
        raise _Refused(f"{pages.param} is no cursor of this API")
    return int(given.removeprefix("cursor-"))


def _following(pages: Pages, found: list[dict[str, Any]], end: int, size: int) -> Any:
    match pages.counts:
        case "rows":
            return end
        case "pages":
            return end // size + pages.first
        case "id":
            return found[-1][pages.field]
    return f"cursor-{end}"


def _target(query: Mapping[str, str], param: str, following: Any) -> str | None:
    return None if following is None else f"?{urlencode({**query, param: following})}"


def _within(records: str, rows: list[Any], beside: Mapping[str, Any]) -> Any:
    """The body: what is beside the records is in the same object."""
    if not records:
        return rows
    *outer, last = records.split(".")
    inner: dict[str, Any] = {last: rows}
    for place, value in beside.items():
        *names, name = place.split(".")
        at = inner
        for one in names:
            at = at.setdefault(one, {})
        at[name] = value
    for name in reversed(outer):
        inner = {name: inner}
    return inner
