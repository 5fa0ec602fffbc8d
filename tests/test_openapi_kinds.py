"""`landing new --openapi` with what public documents have: how they page, and what they leave open.

Each path is of the shape that the document of a public API has; the server pages as its text says.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from landing.scaffold.openapi.parameters import read_parameter
from tests.kit import Kit, Zone
from tests.servers.scripted import Exchange, serve

TEXT, NUMBER, BOOL = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}
RECORD = {"id": NUMBER, "name": TEXT}
Query = Mapping[str, str]


def obj(**members: Any) -> dict[str, Any]:
    return {"type": "object", "properties": members}


def rows(**members: Any) -> dict[str, Any]:
    return {"type": "array", "items": obj(**(members or RECORD))}


def query(name: str, schema: Mapping[str, Any] = TEXT, **more: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": dict(schema), **more}


def numbers(count: int, start: int, size: int, most: int) -> list[int]:
    if size > most:
        raise ValueError(f"at most {most} rows")
    return list(range(1, count + 1))[start : start + size]


def records(ids: Sequence[int], key: str = "id") -> list[dict[str, Any]]:
    return [{key: n if key == "id" else str(n), "name": f"n{n}"} for n in ids]


def by_page_from_0(q: Query) -> Any:  # Twilio: Page has the minimum 0
    page, size = int(q.get("Page", 0)), int(q.get("PageSize", 50))
    return {"accounts": records(numbers(COUNTS["accounts"], page * size, size, 60), "sid")}


def deep_after(q: Query) -> Any:  # HubSpot: paging.next.after
    found, after = _after(q, "contacts", "after", "limit", 30)
    more = {"paging": {"next": {"after": after}}} if after else {}
    return {"results": records(found), **more}


def marker(q: Query) -> Any:  # Box: next_marker
    found, after = _after(q, "webhooks", "marker", "limit", 40)
    return {"entries": records(found), "next_marker": after or ""}


def beside_errors(q: Query) -> Any:  # Square: `errors` beside the records
    found, after = _after(q, "payments", "cursor", "limit", 40)
    return {"payments": records(found), **({"cursor": after} if after else {})}


def text_offset(q: Query) -> Any:  # Asana: an offset that is a token
    found, after = _after(q, "projects", "offset", "limit", 40)
    following = {"offset": after, "uri": "x"} if after else None
    return {"data": records(found, "gid"), "next_page": following}


def starting_after(q: Query) -> Any:  # Intercom: a token, not the last row's id
    found, after = _after(q, "conversations", "starting_after", "per_page", 150)
    return {"conversations": records(found), "pages": {"next": {"starting_after": after}}}


def url_in_next(q: Query) -> Any:  # Spotify: a URL in `next`
    found, after = _after(q, "following", "after", "limit", 50)
    url = f"{q['_url']}/me/following?after={after}&limit={q['limit']}" if after else None
    return {"artists": {"items": records(found), "next": url, "cursors": {"after": after}}}


def since_an_id(q: Query) -> Any:  # GitHub: `since` is an id
    return records(numbers(COUNTS["repositories"], int(q.get("since", 0)), int(q["per_page"]), 30))


def last_id(q: Query) -> Any:  # Stripe: the bound is in the description
    size = int(q.get("limit", 10))
    found = numbers(COUNTS["invoices"], int(q.get("starting_after", 0)), size, 20)
    return {"data": records(found), "has_more": bool(found) and found[-1] < COUNTS["invoices"]}


def of_a_team(q: Query) -> Any:
    return records(range(1, 8)) if q.get("team") == "red" else []


def _after(q: Query, stream: str, param: str, size: str, most: int) -> tuple[list[int], str]:
    start = int(q[param].removeprefix("c")) if q.get(param) else 0
    found = numbers(COUNTS[stream], start, int(q[size]), most)
    end = start + len(found)
    return found, f"c{end}" if end < COUNTS[stream] else ""


COUNTS = {
    **{"accounts": 130, "contacts": 95, "webhooks": 100, "payments": 64, "projects": 90},
    **{"conversations": 170, "following": 60, "repositories": 70, "invoices": 45, "members": 7},
}
LIMIT = query("limit", {"type": "integer", "maximum": 40})
Answer = Callable[[Query], Any]
PATHS: dict[str, tuple[list[dict[str, Any]], dict[str, Any], Answer | None]] = {
    "/accounts": (
        [
            query("Page", {"type": "integer", "minimum": 0}),
            query("PageSize", {"type": "integer", "maximum": 60}),
        ],
        obj(accounts=rows(sid=TEXT, name=TEXT), page=NUMBER),
        by_page_from_0,
    ),
    "/contacts": (
        [query("limit", {"type": "integer", "default": 30}), query("after")],
        obj(results=rows(), paging=obj(next=obj(after=TEXT))),
        deep_after,
    ),
    "/webhooks": ([LIMIT, query("marker")], obj(entries=rows(), next_marker=TEXT), marker),
    "/payments": (
        [query("limit", NUMBER, description="At most 40."), query("cursor")],
        obj(
            errors=rows(code=TEXT, detail=TEXT),
            payments=rows(),
            cursor={**TEXT, "description": "See [Pagination](https://x.org/the-link)."},
        ),
        beside_errors,
    ),
    "/projects": (
        [LIMIT, query("offset")],
        obj(data=rows(gid=TEXT, name=TEXT), next_page=obj(offset=TEXT, uri=TEXT)),
        text_offset,
    ),
    "/conversations": (
        [query("per_page", {"type": "integer", "maximum": 150}), query("starting_after")],
        obj(conversations=rows(), pages=obj(next=obj(starting_after=TEXT))),
        starting_after,
    ),
    "/me/following": (
        [
            query("type", {"type": "string", "enum": ["artist"]}, required=True),
            query("after"),
            query("limit", {"type": "integer", "maximum": 50}),
        ],
        obj(
            artists=obj(
                items=rows(),
                next={**TEXT, "description": "URL to the next page of items."},
                cursors=obj(after=TEXT),
            )
        ),
        url_in_next,
    ),
    "/repositories": (
        [
            query(
                "since", NUMBER, description="An ID. Only those with an ID greater than this ID."
            ),
            query("per_page", {"type": "integer", "maximum": 30}),
        ],
        rows(id=NUMBER, name=TEXT, updated_at=TEXT),
        since_an_id,
    ),
    "/invoices": (
        [
            query(
                "limit",
                NUMBER,
                description="Limit can range between 1 and 20, and the default is 10.",
            ),
            query("starting_after", description="The id of the last object."),
        ],
        obj(data=rows(), has_more=BOOL, object=TEXT, url=TEXT),
        last_id,
    ),
    "/members": ([query("team", required=True, example="blue")], rows(), of_a_team),
    "/blocks": ([query("cursor"), LIMIT], obj(data=rows()), None),
    "/myself": ([], obj(key=TEXT, name=TEXT, groups=obj(size=NUMBER, items=rows())), None),
    "/account": ([], obj(id=TEXT, accounts=obj(data=rows(), has_more=BOOL)), None),
}


def openapi_3(url: str) -> dict[str, Any]:
    def get(parameters: Any, schema: Any) -> Any:
        content = {"application/json": {"schema": schema}}
        return {"parameters": parameters, "responses": {"200": {"content": content}}}

    paths = {path: {"get": get(*shape[:2])} for path, shape in PATHS.items()}
    bearer = {"securitySchemes": {"b": {"type": "http", "scheme": "bearer"}}}
    server = {"url": url}
    return {"openapi": "3.1.0", "servers": [server], "paths": paths, "components": bearer}


def swagger_2(url: str) -> dict[str, Any]:
    """The same, as Swagger 2 has it: parameters without a schema, and schemas without content."""

    def get(parameters: Any, schema: Any) -> Any:
        flat = [{k: v for k, v in p.items() if k != "schema"} | p["schema"] for p in parameters]
        return {"parameters": flat, "responses": {"200": {"schema": schema}}}

    paths = {path: {"get": get(*shape[:2])} for path, shape in PATHS.items()}
    scheme, _, host = url.partition("://")
    where = {"host": host, "basePath": "/", "schemes": [scheme]}
    basic = {"securityDefinitions": {"b": {"type": "basic"}}}
    return {"swagger": "2.0", **where, "paths": paths, **basic}


def answer(exchange: Exchange) -> None:
    seen = exchange.seen
    respond = PATHS[seen.path][2]
    if respond is None:
        return exchange.reply(404)
    try:
        url = f"http://{seen.headers['Host']}"
        return exchange.reply(200, json.dumps(respond({**seen.query, "_url": url})).encode())
    except ValueError as error:
        return exchange.reply(400, json.dumps({"message": str(error)}).encode())


@pytest.mark.parametrize("document", [openapi_3, swagger_2])
def test_the_unedited_source_lands_all_rows(
    kit: Kit,
    folder_zone: Zone,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    document: Callable[[str], dict[str, Any]],
) -> None:
    file = tmp_path / "openapi.json"
    with serve(answer) as server:
        file.write_text(json.dumps(document(server.url)))
        made = kit.landing("new", "kinds", f"--openapi={file}")
        assert made.code == 0, made.text
        assert "not recognized, though there are parameters for it: blocks" in made.out
        assert "set KINDS_TEAM for members" in made.out
        for name in ("URL", "TOKEN", "USER", "PASSWORD"):
            monkeypatch.setenv(f"KINDS_{name}", server.url if name == "URL" else "fixed-value-1")
        monkeypatch.setenv("KINDS_TEAM", "red")
        assert kit.discover("kinds", *COUNTS).code == 0
        for stream in COUNTS:
            chosen = {**kit.discovered("kinds", stream), "selected": True}
            kit.configure("kinds", stream, json.dumps(chosen))
        landed = kit.run("kinds", "--all")
        assert landed.code == 0, landed.text
    assert {name: folder_zone.count("kinds", name) for name in COUNTS} == COUNTS


def test_a_value_in_the_path_is_a_variable(
    kit: Kit, folder_zone: Zone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(exchange: Exchange) -> None:
        found = records(range(1, 4) if exchange.seen.path == "/teams/red/members" else [])
        exchange.reply(200, json.dumps(found).encode())

    file = tmp_path / "openapi.json"
    document = json.loads(json.dumps(openapi_3("https://x.org")))
    document["paths"] |= {
        "/teams/{teamId}/members": document["paths"]["/members"],
        "/teams/{teamId}/' + exit() + '": document["paths"]["/members"],
    }
    for parameter in document["paths"]["/members"]["get"]["parameters"]:
        parameter["required"] = False
    file.write_text(json.dumps(document))
    made = kit.landing("new", "all_kinds", f"--openapi={file}")
    assert "in an environment variable: team_id_members=/teams/{teamId}/members\n" in made.out
    with serve(answer) as server:
        for name, value in {"URL": server.url, "TOKEN": "token-of-kinds", "TEAM_ID": "red"}.items():
            monkeypatch.setenv(f"KINDS_{name}", value)
        chosen = "crew=/teams/{teamId}/members"
        made = kit.landing("new", "kinds", f"--openapi={file}", "--streams", chosen)
        assert made.code == 0, made.text
        assert "the first pages of 1 stream were read" in made.out
        assert kit.discover("kinds").code == 0
        config = {**kit.discovered("kinds", "crew"), "selected": True}
        kit.configure("kinds", "crew", json.dumps(config))
        assert kit.run("kinds", "--all").code == 0
    assert folder_zone.count("kinds", "crew") == 3
    unknown = kit.landing("new", "other", f"--openapi={file}", "--streams", "crew=/team/{id}")
    assert "has no list '/team/{id}'" in unknown.err


def test_what_is_written_says_where_it_is_from(kit: Kit, tmp_path: Path) -> None:
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(openapi_3("https://x.org")))
    assert kit.landing("new", "kinds", f"--openapi={file}").code == 0
    written = (kit.root / "dlt" / "sources" / "kinds" / "streams.py").read_text()
    for line in (
        "# Paging by Page, counted from 0 according to its minimum.",
        "# The page size is from the maximum of PageSize.",
        "# The page size is from the description of limit.",
        "# Paging: after takes the response's paging.next.after.",
        "# Paging: the response's artists.next is the next page's URL.",
        "# Guess: since takes the last row's id.",
        "# The paging is not recognized: there is a parameter cursor, and nothing",
        'params={"team": os.environ["KINDS_TEAM"]}',
        '"type": "artist"',
    ):
        assert line in written
    assert "def myself" not in written
    assert "def account(" not in written
    settings = (kit.root.parent / ".env.example").read_text()
    assert "# KINDS_TEAM=\n" in settings
    assert "blue" not in written + settings


def test_a_server_with_an_open_variable_is_asked_for(kit: Kit, tmp_path: Path) -> None:
    document = openapi_3("{scheme}://{region}.x.org/v1")
    document["servers"][0]["variables"] = {"scheme": {}, "region": {"default": "eu"}}
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(document))
    made = kit.landing("new", "kinds", f"--openapi={file}")
    assert made.code == 2
    assert "{scheme}://eu.x.org/v1, without a value of scheme: add --base-url=" in made.err


@pytest.mark.parametrize(
    ("parameter", "largest"),
    [
        (query("limit", {"type": "integer", "maximum": 50}), 50),
        (query("limit", {"type": "integer", "exclusiveMaximum": 101}), 100),
        (query("limit", {"type": "integer", "maximum": 101, "exclusiveMaximum": True}), 100),
        (query("limit", NUMBER, description="Between 1 and 100, and the default is 10."), 100),
        (query("limit", NUMBER, description="From **1** to `1,000`."), 1000),
        (query("limit", NUMBER, description="Results per page (max 100)."), 100),
        (query("limit", NUMBER, description="The maximum number of rows, up to 250"), 250),
        (query("limit", NUMBER, description="Maximum page size is 200."), 200),
        (query("limit", NUMBER, description="<p>May not exceed 30</p>"), 30),
        (query("limit", NUMBER, description="How many, 1-75"), 75),
        (query("limit", {"type": "integer", "default": 25}, description="How many"), 25),
        (query("limit", NUMBER, description="How many. Defaults to 15"), 15),
        (query("limit", NUMBER, description="How many `[default=60]`."), 60),
        (query("limit", NUMBER, description="How many"), None),
    ],
)
def test_the_most_rows_of_a_page(parameter: dict[str, Any], largest: int | None) -> None:
    from jsonschema_path import SchemaPath

    read = read_parameter(SchemaPath.from_dict(parameter))
    assert read is not None
    found = read.largest_page()
    assert (found and found[0]) == largest


@pytest.mark.parametrize(
    ("schema", "description", "first"),
    [
        ({"default": 0}, "", 0),
        ({"default": 1, "minimum": 0}, "", 1),
        ({"minimum": 1}, "", 1),
        ({"minimum": 0}, "", 0),
        ({"example": 0}, "", 0),
        ({"default": 1}, "Zero-based page index", 0),
        ({}, "Pages start at 1", 1),
        ({"maximum": 2147483647}, "The page's number, with `0` being the first page", 0),
        ({}, "The first page to return `[default=0]`", 0),
        ({"example": 3}, "The page", None),
    ],
)
def test_the_number_of_the_first_page(
    schema: dict[str, Any], description: str, first: int | None
) -> None:
    from jsonschema_path import SchemaPath

    parameter = query("page", {**NUMBER, **schema}, description=description)
    read = read_parameter(SchemaPath.from_dict(parameter))
    assert read is not None
    found = read.first_page()
    assert (found and found[0]) == first


def test_a_long_description_takes_no_time(kit: Kit, tmp_path: Path) -> None:
    document = openapi_3("https://x.org")
    (limit, *_) = document["paths"]["/payments"]["get"]["parameters"]
    limit["description"] = "<a " * 100_000 + "at most 7"
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(document))
    begun = time.process_time()
    assert kit.landing("new", "kinds", f"--openapi={file}").code == 0
    assert time.process_time() - begun < 5
