"""Reduces a document to the facts that tell how its lists page, so that tests can replay them.

No text is taken over: of descriptions, only numbers and the words of a short list are kept.
"""

from __future__ import annotations

import json
import re
from typing import Any

from landing.http.spelling import plain, plain_set
from landing.scaffold.openapi import names
from tools.openapi_table.apis import Api
from tools.openapi_table.documents import ListEndpoint, Node, OpenApi, lists, response_of

_WORDS = frozenset(
    (
        *("and", "as", "at", "based", "be", "begins", "being", "between", "cannot"),
        *("counted", "cursor", "date", "datetime", "default", "defaults"),
        *("epoch", "equal", "exceed", "first", "for", "from", "header", "href", "id"),
        *("identifier", "ids", "if", "indexed", "is", "iso8601", "less", "link"),
        *("max", "maximum", "minimum", "more", "most", "no", "not", "null", "number"),
        *("object", "of", "one", "only", "page", "request", "response"),
        *("returned", "seconds", "set", "starting", "starts", "than", "the"),
        *("this", "through", "time", "timestamp", "to", "unix", "unless", "up"),
        *("uri", "url", "when", "with", "zero"),
    )
)
_PARAMETERS = plain_set(
    (
        *(*names.PAGE_SIZES, *names.PAGE_NUMBERS, *names.OFFSETS, *names.CURSORS),
        *(*names.KEYSETS, *names.IDS_OR_TIMES, *names.RANGES, *names.RANGES.values()),
    )
)
_FACTS = ("type", "format", "nullable", "minimum", "maximum", "exclusiveMaximum", "default")
_LEVELS = 3
_MOST = 4
"""Lists of a document."""


def reduced(document: OpenApi, api: Api) -> dict[str, Any]:
    """An OpenAPI document with a list of each kind that the document has."""
    endpoints = {one.path: one for one in lists(document, api)}
    paths: dict[str, Any] = {}
    seen: set[str] = set()
    for path, operation, parameters in document.gets():
        if (endpoint := endpoints.get(path)) is None:
            continue
        get = _get(endpoint, operation, parameters, api)
        kind = _kind(endpoint, get)
        if kind not in seen and len(seen) < _MOST:
            seen.add(kind)
            paths[path] = {"get": get}
    root = document.node
    schemes = root.get("components").get("securitySchemes")
    schemes = root.get("securityDefinitions") if schemes.value is None else schemes
    security = {
        name: {key: one.value[key] for key in ("type", "scheme", "in", "name") if key in one.value}
        for name, one in schemes.members()
    }
    return {
        "openapi": "3.0.3",
        "components": {"securitySchemes": security},
        "security": root.get("security").value or [],
        "paths": paths,
    }


def _kind(endpoint: ListEndpoint, get: dict[str, Any]) -> str:
    """What is the same for lists that page alike, whatever they are about."""
    shown = [{**one, "description": ""} for one in get["parameters"] if "required" not in one]
    beside = re.sub(rf'"{endpoint.records.rpartition(".")[2]}": .*?}}}}}}', "", json.dumps(get))
    words = sorted(set(re.findall(r'"(\w+)": {"type', beside)))
    return json.dumps([sorted(map(json.dumps, shown)), words, str(endpoint.pages)])


def _get(
    endpoint: ListEndpoint, operation: Node, parameters: list[Node], api: Api
) -> dict[str, Any]:
    answer, schema = response_of(operation)
    content = {"application/json": {"schema": _schema(schema, endpoint.records, endpoint, api)}}
    headers = {n: {} for n, _ in answer.get("headers").members() if n.lower() == "link"}
    own = {p for one in api.pages for p in (one.param, one.size, one.switch)}
    return {
        "operationId": operation.get("operationId").value,
        "parameters": [
            _parameter(p)
            for p in parameters
            if p.get("in").value == "query"
            and (
                p.get("required").value is True
                or p.get("name").value in own
                or plain(p.get("name").value) in _PARAMETERS
            )
        ],
        "responses": {"200": {"content": content, "headers": headers}},
    }


def _parameter(parameter: Node) -> dict[str, Any]:
    has_schema = parameter.get("schema").value is not None
    schema = parameter.get("schema") if has_schema else parameter
    facts = _facts(schema)
    if choices := schema.first("enum"):
        facts["enum"] = choices[:2]
    if isinstance(example := parameter.get("example").value or schema.first("example"), int):
        facts["example"] = example
    found = {"name": parameter.get("name").value, "in": "query", "schema": facts}
    if parameter.get("required").value is True:
        found["required"] = True
    return found | _described(parameter)


def _facts(schema: Node) -> dict[str, Any]:
    found = {key: schema.first(key) for key in _FACTS}
    return {key: value for key, value in found.items() if value is not None}


def _described(node: Node) -> dict[str, str]:
    words = re.findall(r"[a-z0-9]+(?:[-,.][a-z0-9]+)*", str(node.get("description").value).lower())
    kept = [w for w in words if {w, *w.split("-")} & _WORDS or w.replace(",", "").isdigit()]
    return {"description": " ".join(kept)} if kept else {}


def _schema(
    schema: Node, records: str, endpoint: ListEndpoint, api: Api, level: int = 0
) -> dict[str, Any]:
    """The body: the list at `records`, and the scalars beside it."""
    if not records and level == 0:
        return {"type": "array", "items": _record(endpoint, api)}
    members: dict[str, Any] = {}
    first, _, rest = records.partition(".")
    for name, one in schema.properties().items():
        if name == first and not rest:
            members[name] = {"type": "array", "items": _record(endpoint, api)}
        elif one.record() is not None:
            members[name] = {"type": "array", "items": {"type": "object", "properties": {}}}
        elif one.properties() and level < _LEVELS:
            inner = rest if name == first else "-"
            members[name] = _schema(one, inner, endpoint, api, level + 1)
        else:
            members[name] = _facts(one) | _described(one)
    return {"type": "object", "properties": members}


def _record(endpoint: ListEndpoint, api: Api) -> dict[str, Any]:
    """The fields that may be a key or a cursor, or else the first ones."""
    keys = plain_set((*names.KEYS, *api.keys))
    is_kept = [n for n in endpoint.fields if plain(n) in keys or names.CHANGED.fullmatch(plain(n))]
    kept = {n: endpoint.fields[n] for n in (is_kept or list(endpoint.fields)[:2])}
    return {"type": "object", "properties": {n: _field(kind) for n, kind in kept.items()}}


def _field(kind: str) -> dict[str, Any]:
    if kind.startswith("="):
        return {"type": "string", "enum": [kind[1:]]}
    if kind in ("date", "date-time"):
        return {"type": "string", "format": kind}
    return {"type": "integer" if kind == "epoch" else kind}
