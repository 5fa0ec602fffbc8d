"""Turns a Postman collection (v2.0 or v2.1) into an OpenAPI document with what it says of lists.

A collection has no schemas. They are inferred from its saved example responses; a request without
one is left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_VARIABLE = re.compile(r"{{\s*([^{}]*?)\s*}}")
_HOST = re.compile(r"((?:https?://)?[^/?#]*)([^?#]*)")
_PLACEHOLDERS = {
    "<integer>": {"type": "integer"},
    "<long>": {"type": "integer"},
    "<number>": {"type": "number"},
    "<double>": {"type": "number"},
    "<boolean>": {"type": "boolean"},
    "<dateTime>": {"type": "string", "format": "date-time"},
    "<uri>": {"type": "string", "format": "uri"},
}
"""Values in collections that were converted from OpenAPI documents."""
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")
_REQUIRED = re.compile(r"\(required\)", re.IGNORECASE)
_MOST_ROWS = 5
_DEEPEST = 20


def is_collection(content: Mapping[str, Any]) -> bool:
    info = content.get("info")
    schema = info.get("schema") if isinstance(info, Mapping) else None
    return isinstance(schema, str) and "/json/collection/v2" in schema


def as_openapi(collection: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The document, and notes about requests that are left out."""
    values = {
        one.get("key"): str(one.get("value") or "") for one in _objects(collection.get("variable"))
    }
    paths: dict[str, Any] = {}
    unknown: list[str] = []
    elsewhere: list[str] = []
    server, auth = "", None
    for item in _requests(collection.get("item"), 0):
        request = item["request"]
        host, path = _address(request.get("url"))
        server, auth = server or host, auth or request.get("auth")
        answer = _answer(item)
        if host != server:
            elsewhere.append(path)
        elif answer is None:
            unknown.append(path)
        else:
            paths.setdefault(path, {"get": _operation(item, answer)})
    notes = [
        *_note(unknown, "left out, because they have no saved example response in JSON"),
        *_note(elsewhere, "left out, because they are of another host than the first request"),
    ]
    address = _VARIABLE.sub(lambda found: values.get(found[1]) or f"{{{found[1]}}}", server)
    document = {
        "openapi": "3.0.3",
        "info": {"title": collection["info"].get("name")},
        "servers": [{"url": address if "://" in address else f"https://{address}"}],
        "components": {"securitySchemes": _schemes(collection.get("auth") or auth)},
        "paths": paths,
    }
    return document, notes


def _note(paths: Sequence[str], what: str) -> Iterator[str]:
    if paths:
        more = f" and {len(paths) - 3:,} more" if len(paths) > 3 else ""
        yield f"{what}: {', '.join(f'GET {path}' for path in paths[:3])}{more}"


def _objects(found: Any) -> Iterator[Mapping[str, Any]]:
    yield from (one for one in (found if isinstance(found, list) else ()) if isinstance(one, dict))


def _requests(items: Any, depth: int) -> Iterator[Mapping[str, Any]]:
    """GETs in any folder."""
    for item in _objects(items):
        if depth < _DEEPEST:
            yield from _requests(item.get("item"), depth + 1)
        request = item.get("request")
        if isinstance(request, dict) and str(request.get("method", "GET")).upper() == "GET":
            yield item


def _address(url: Any) -> tuple[str, str]:
    """Host and path, with `{name}` for what the path needs a value of."""
    found = _HOST.match(_raw(url))
    host, path = (found[1], found[2]) if found else ("", "")
    parts = [f"{{{part[1:]}}}" if part.startswith(":") else part for part in path.split("/")]
    return host, _VARIABLE.sub(r"{\1}", "/".join(parts)).rstrip("/") or "/"


def _raw(url: Any) -> str:
    if not isinstance(url, Mapping):
        return str(url or "")
    if url.get("raw"):
        return str(url["raw"])
    host, path = url.get("host") or "", url.get("path") or []
    host = ".".join(map(str, host)) if isinstance(host, list) else str(host)
    protocol = f"{url['protocol']}://" if url.get("protocol") else ""
    return f"{protocol}{host}/" + "/".join(map(str, path if isinstance(path, list) else [path]))


def _operation(item: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
    url = item["request"].get("url")
    query = url.get("query") if isinstance(url, Mapping) else None
    headers: dict[str, Any] = {str(one.get("key")): {} for one in _objects(answer.get("header"))}
    schema = _schema(json.loads(answer["body"]), 0)
    return {
        "summary": str(item.get("name") or ""),
        "parameters": [_parameter(one) for one in _objects(query) if one.get("key")],
        "responses": {
            "200": {"headers": headers, "content": {"application/json": {"schema": schema}}}
        },
    }


def _parameter(one: Mapping[str, Any]) -> dict[str, Any]:
    description = one.get("description") or ""
    if isinstance(description, Mapping):
        description = description.get("content") or ""
    value = str(one.get("value") or "")
    schema: dict[str, Any] = _PLACEHOLDERS.get(value, {"type": "string"})
    if value.isdecimal():
        schema = {"type": "integer", "example": int(value)}
    return {
        "name": str(one["key"]),
        "in": "query",
        "required": bool(_REQUIRED.search(str(description))),
        "description": str(description),
        "schema": schema,
    }


def _answer(item: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The first saved response of a success with JSON."""
    for one in _objects(item.get("response")):
        code = one.get("code")
        if code is None or (isinstance(code, int) and 200 <= code < 300):
            try:
                json.loads(one.get("body") or "")
            except (ValueError, TypeError, RecursionError):
                continue
            return one
    return None


def _schema(value: Any, depth: int) -> dict[str, Any]:
    match value:
        case dict() if depth < _DEEPEST:
            members = {n: _schema(one, depth + 1) for n, one in value.items() if n != "$ref"}
            return {"type": "object", "properties": members}
        case list():
            rows = [_schema(one, depth + 1) for one in value[:_MOST_ROWS]]
            objects = [row for row in rows if row.get("type") == "object"]
            items = next(iter([*objects, *rows]), {"type": "object"})
            for row in objects[1:]:
                both = row.get("properties", {}) | items.get("properties", {})
                items = {**items, "properties": both}
            return {"type": "array", "items": items}
        case bool():
            return {"type": "boolean"}
        case int():
            return {"type": "integer"}
        case float():
            return {"type": "number"}
        case str():
            return _text(value)
    return {"type": "string", "nullable": True}


def _text(value: str) -> dict[str, Any]:
    if placeholder := _PLACEHOLDERS.get(value):
        return placeholder
    if value.startswith(("http://", "https://")):
        return {"type": "string", "format": "uri"}
    return {"type": "string", "format": "date-time"} if _TIME.match(value) else {"type": "string"}


def _schemes(auth: Any) -> dict[str, Any]:
    """By the way to authenticate of the collection, or of its first request that has one. Values
    of credentials are left behind."""
    kind = auth.get("type") if isinstance(auth, Mapping) else None
    match kind:
        case "bearer" | "basic":
            return {kind: {"type": "http", "scheme": kind}}
        case "oauth2" | "jwt":
            return {kind: {"type": "http", "scheme": "bearer"}}
        case "apikey":
            given = auth.get("apikey")
            pairs = {one.get("key"): one.get("value") for one in _objects(given)}
            given = given if isinstance(given, Mapping) else pairs  # v2.0 has an object
            where = "query" if given.get("in") == "query" else "header"
            name = str(given.get("key") or "X-API-Key")
            return {kind: {"type": "apiKey", "in": where, "name": name}}
    return {}
