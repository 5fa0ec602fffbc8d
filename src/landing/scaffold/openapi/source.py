"""A whole document as the plan of a source."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from landing.errors import UsageError, listed, nearest
from landing.scaffold.openapi.document import Document, at, children, elements, value
from landing.scaffold.openapi.endpoint import Endpoint
from landing.scaffold.openapi.references import foreign_reference
from landing.scaffold.plan import AuthPlan, SourcePlan, StreamPlan

if TYPE_CHECKING:
    from jsonschema_path import SchemaPath

_SHOWN = 3
_VERSION = re.compile(r"api|rest|v\d+(\.\d+)*", re.IGNORECASE)


@dataclass(frozen=True)
class FoundStreams:
    plan: SourcePlan
    notes: Sequence[str] = field(default_factory=list)
    """What was left out, and what a person has to do."""


def source_plan(
    document: Document,
    name: str,
    *,
    base_url: str | None,
    auth: AuthPlan | None,
    only: Sequence[str] = (),
) -> FoundStreams:
    """Raises UsageError if the document has no list that can be read, or not the named ones."""
    endpoints, notes = _endpoints(document)
    streams = _named_streams(endpoints)
    for wanted in only:
        if wanted not in streams:
            raise UsageError(
                f"{document.location} has no list '{wanted}'{nearest(wanted, streams)}; it has: "
                f"{listed(streams)}"
            )
    chosen = {stream: streams[stream] for stream in only} if only else streams
    if not chosen:
        message = "; ".join(notes) or "no GET of it answers with a list of objects"
        raise UsageError(f"{document.location}: no stream can be made of it: {message}")
    plan = SourcePlan(
        name,
        base_url or _base_url(document),
        auth or _auth(document),
        [_stream(stream, endpoint) for stream, endpoint in chosen.items()],
        title=document.title,
    )
    return FoundStreams(plan, [*notes, *_auth_notes(document, plan, is_given=auth is not None)])


def _endpoints(document: Document) -> tuple[list[Endpoint], list[str]]:
    """Those that give a list and need nothing for it, and what is to be said of the others."""
    from referencing.exceptions import Unresolvable

    found: list[Endpoint] = []
    needing: list[str] = []
    broken: list[str] = []
    foreign: list[str] = []
    for path, item in children(at(document.root, "paths")):
        try:
            if at(item, "get") is None:
                continue
            endpoint = Endpoint(path, item)
            if not endpoint.gives_a_list:
                continue
            if endpoint.missing:
                needing.append(f"{endpoint.shown} ({', '.join(endpoint.missing)})")
            else:
                found.append(endpoint)
        except (Unresolvable, TypeError, ValueError, KeyError, RecursionError) as error:
            if (reference := foreign_reference(error)) is not None:
                foreign.append(f"GET {path} ({reference})")
            else:
                broken.append(f"GET {path} ({type(error).__name__})")
    needs = "left out, as they need a value (docs/sources.md: a child of a parent)"
    contradicts = "left out, as the document contradicts itself there"
    elsewhere = "left out, as a reference there is not followed or can't be read"
    notes = [
        *_counted(needing, needs),
        *_counted(broken, contradicts),
        *_counted(foreign, elsewhere),
    ]
    return found, notes


def _counted(places: Sequence[str], what: str) -> Iterator[str]:
    if places:
        more = f" and {len(places) - _SHOWN:,} more" if len(places) > _SHOWN else ""
        yield f"{what}: {', '.join(places[:_SHOWN])}{more}"


def _named_streams(endpoints: Sequence[Endpoint]) -> dict[str, Endpoint]:
    """Each by the last part of its path, with parts before it where that is another's name."""
    named: dict[str, Endpoint] = {}
    for endpoint in sorted(endpoints, key=lambda one: one.path.count("/")):
        parts = _parts(endpoint.path)
        for count in range(1, len(parts) + 1):
            name = "_".join(parts[-count:])
            if name not in named:
                break
        else:
            name = next(f"{name}_{n}" for n in range(2, 10_000) if f"{name}_{n}" not in named)
        named[name] = endpoint
    return dict(sorted(named.items()))


def _parts(path: str) -> list[str]:
    """The words of a path that can be in a stream's name; not `api`, not its version."""
    pieces = [re.sub(r"\W+", "_", piece).strip("_") for piece in path.split("/")]
    words = [piece for piece in pieces if piece and not _VERSION.fullmatch(piece)]
    snake = [re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", word).lower() for word in words]
    return snake or ["records"]


def _stream(name: str, endpoint: Endpoint) -> StreamPlan:
    key = endpoint.primary_key
    return StreamPlan(
        name,
        endpoint.path.lstrip("/"),
        records=endpoint.records,
        paging=endpoint.paging,
        primary_key=[key] if key else [],
        cursor=endpoint.cursor,
        params=endpoint.params,
        description=endpoint.description,
        guesses=list(_guesses(endpoint)),
    )


def _guesses(endpoint: Endpoint) -> Iterator[str]:
    """What only the API's documentation can tell for sure."""
    key, cursor = endpoint.primary_key, endpoint.cursor
    yield f"Guess: the primary key is {key}." if key else "No field looks like a primary key."
    if cursor is not None:
        beyond = (
            ", which may leave out the value itself: ask for >=" if endpoint.asks_beyond else ""
        )
        yield f"Guess: the cursor is {cursor.field}, and {cursor.param} asks by it{beyond}."
    elif endpoint.changed_field:
        yield (
            f"Guess: {endpoint.changed_field} grows with every change. No parameter asks by it, "
            "but it can be the cursor_field of the stream config."
        )
    if endpoint.paging.kind == "none":
        yield "No paging was found: if the API has pages, say by `paging=` how it leads to them."
    else:
        yield f"Guess: paging by {endpoint.paging.kind}."


def _base_url(document: Document) -> str:
    """The first server, its variables replaced by their defaults. A relative one is below the
    document's own address."""
    server = next(elements(at(document.root, "servers")), None)
    url = "/" if server is None else str(value(server, "url") or "/")
    for name, variable in children(None if server is None else at(server, "variables")):
        url = url.replace(f"{{{name}}}", str(value(variable, "default")))
    if "://" not in url and document.location.startswith(("http://", "https://")):
        url = urljoin(document.location, url)
    if "://" not in url:
        raise UsageError(
            f"{document.location} does not say where the API is: add --base-url=https://…"
        )
    return url.rstrip("/")


def _auth(document: Document) -> AuthPlan:
    """The first scheme that all requests need, or else the first that is there at all."""
    schemes = dict(children(at(document.root, "components", "securitySchemes")))
    required = [
        name for one in elements(at(document.root, "security")) for name in one.read_value()
    ]
    for name in (*required, *schemes):
        if name in schemes and (plan := _scheme(schemes[name], document)) is not None:
            return plan
    return AuthPlan()


def _scheme(scheme: SchemaPath, document: Document) -> AuthPlan | None:
    match value(scheme, "type"), str(value(scheme, "scheme") or "").lower():
        case "http", "basic":
            return AuthPlan("basic")
        case ("http", "bearer") | ("openIdConnect", _):
            return AuthPlan("bearer")
        case "apiKey", _:
            where, name = value(scheme, "in"), str(value(scheme, "name"))
            if where == "query":
                return AuthPlan("api-key-in-query", {"name": name})
            return AuthPlan("api-key", {"name": name}) if where == "header" else None
        case "oauth2", _:
            return _oauth2(dict(children(at(scheme, "flows"))), document)
    return None


def _oauth2(flows: dict[str, SchemaPath], document: Document) -> AuthPlan:
    def url(flow: SchemaPath, name: str) -> str:
        said: Any = value(flow, name)
        remote = document.location.startswith("http")
        return urljoin(document.location, str(said)) if remote else str(said)

    if (flow := flows.get("clientCredentials")) is not None:
        return AuthPlan("oauth2-client", {"token_url": url(flow, "tokenUrl")})
    if (flow := flows.get("authorizationCode")) is not None:
        urls = {"token_url": url(flow, "tokenUrl"), "authorize_url": url(flow, "authorizationUrl")}
        return AuthPlan("oauth2-login", urls)
    return AuthPlan("bearer")


def _auth_notes(document: Document, plan: SourcePlan, *, is_given: bool) -> Iterator[str]:
    schemes = [name for name, _ in children(at(document.root, "components", "securitySchemes"))]
    if is_given:
        return
    if not schemes:
        yield "the document says nothing of credentials: is none needed? (--auth says which)"
    elif len(schemes) > 1 or plan.auth.kind == "none":
        yield f"of {listed(schemes)}, client.py has --auth={plan.auth.kind}; another can be said"
