"""Turns an OpenAPI document into the plan of a source."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from landing.errors import UsageError, listed, nearest
from landing.scaffold.openapi.document import Document, at, children
from landing.scaffold.openapi.endpoint import Endpoint
from landing.scaffold.openapi.paging import Sure
from landing.scaffold.openapi.parameters import Parameter
from landing.scaffold.openapi.references import foreign_reference
from landing.scaffold.openapi.servers import auth_of, base_url_of, security_schemes
from landing.scaffold.plan import AuthPlan, SourcePlan, StreamPlan

_SHOWN = 3
_TEMPLATE = re.compile(r"{[\w.-]+}")
_VERSION = re.compile(r"api|rest|v\d+(\.\d+)*", re.IGNORECASE)


@dataclass(frozen=True)
class FoundStreams:
    plan: SourcePlan
    notes: Sequence[str] = field(default_factory=list)
    """What was left out, and what is left to do."""


def source_plan(
    document: Document,
    name: str,
    *,
    base_url: str | None,
    auth: AuthPlan | None,
    only: Sequence[str] = (),
) -> FoundStreams:
    """Raises UsageError if the document has no readable list, or lacks one of `only`."""
    endpoints, left_out = _endpoints(document)
    notes = [*document.notes, *left_out]
    every = _named_streams(endpoints)
    streams = {name: endpoint for name, endpoint in every.items() if not endpoint.missing}
    below = {name: endpoint for name, endpoint in every.items() if endpoint.missing}
    chosen = dict(_chosen(wanted, every, document) for wanted in only) if only else streams
    if not only:
        notes += _below_notes(below)
    if not chosen:
        message = "; ".join(notes) or "none of its GETs returns a list of objects"
        raise UsageError(f"{document.location}: no stream can be made from it: {message}")
    plan = SourcePlan(
        name,
        base_url or base_url_of(document),
        auth or auth_of(document),
        [_stream(stream, endpoint) for stream, endpoint in chosen.items()],
        title=document.title,
    )
    notes += [*_paging_notes(chosen), *_value_notes(plan)]
    return FoundStreams(plan, [*notes, *_auth_notes(document, plan, is_given=auth is not None)])


def _chosen(wanted: str, every: Mapping[str, Endpoint], document: Document) -> tuple[str, Endpoint]:
    """The list that `NAME` or `NAME=PATH` means, with its name."""
    name, _, path = wanted.partition("=")
    by_path = {endpoint.path.strip("/"): endpoint for endpoint in every.values()}
    known = by_path if path else every
    found = known.get(path.strip("/") if path else name)
    if found is None:
        raise UsageError(
            f"{document.location} has no list '{path or name}'{nearest(path or name, known)}; "
            f"it has: {listed(known)}"
        )
    return name, found


def _endpoints(document: Document) -> tuple[list[Endpoint], list[str]]:
    """Endpoints that return a list, and notes about what can't be read."""
    from referencing.exceptions import Unresolvable

    found: list[Endpoint] = []
    broken: list[str] = []
    foreign: list[str] = []
    for path, item in children(at(document.root, "paths")):
        try:
            if at(item, "get") is None or not _is_below_the_api(path):
                continue
            endpoint = Endpoint(path, item)
            if endpoint.gives_a_list and _is_plain(endpoint):
                found.append(endpoint)
        except (Unresolvable, TypeError, ValueError, KeyError, RecursionError) as error:
            if (reference := foreign_reference(error)) is not None:
                foreign.append(f"GET {path} ({reference})")
            else:
                broken.append(f"GET {path} ({type(error).__name__})")
    contradicts = "left out, because the document contradicts itself there"
    elsewhere = "left out, because a reference is not allowed or can't be read"
    notes = [
        *_counted(broken, contradicts),
        *_counted(foreign, elsewhere),
    ]
    return found, notes


def _is_below_the_api(path: str) -> bool:
    """Whether it is a path: an address would get the credentials."""
    return path.startswith("/") and "://" not in path


def _is_plain(endpoint: Endpoint) -> bool:
    """Whether its path can be written with values in it."""
    rest = _TEMPLATE.sub("", endpoint.path)
    return not endpoint.missing or re.fullmatch(r"[\w/.,:;=@~+$-]*", rest) is not None


def _below_notes(below: Mapping[str, Endpoint]) -> Iterator[str]:
    shown = [f"{name}={endpoint.path}" for name, endpoint in below.items()]
    yield from _counted(
        shown,
        "left out, because their path needs a value: make them children of a parent "
        "(docs/sources.md), or add them to --streams to have it in an environment variable",
    )


def _counted(places: Sequence[str], what: str) -> Iterator[str]:
    if places:
        yield f"{what}: {_some(places)}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _named_streams(endpoints: Sequence[Endpoint]) -> dict[str, Endpoint]:
    """Endpoints by name: the last part of the path, with earlier parts if that name is taken. Those
    whose path needs no value come first."""
    named: dict[str, Endpoint] = {}
    for endpoint in sorted(endpoints, key=lambda one: (len(one.missing), one.path.count("/"))):
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
    """The words of a path for a stream's name, without `api` and versions."""
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
        paging=endpoint.paging.plan,
        primary_key=[key] if key else [],
        cursor=endpoint.cursor,
        params=endpoint.params,
        variables={
            **{name: f"{{{name}}} in the path {endpoint.path}" for name in endpoint.missing},
            **{parameter.name: _what(parameter) for parameter in endpoint.asked},
        },
        in_path=endpoint.missing,
        description=endpoint.description,
        guesses=list(_guesses(endpoint)),
    )


def _what(parameter: Parameter) -> str:
    choices = f"one of {listed(parameter.choices)}" if parameter.choices else ""
    about = textwrap.shorten(parameter.description, 60, placeholder=" …").rstrip(".")
    what = "; ".join(filter(None, (about, choices)))
    return f"the required parameter {parameter.name}" + (f": {what}" if what else "")


def _guesses(endpoint: Endpoint) -> Iterator[str]:
    """Comments on what only the API's documentation can confirm."""
    key, cursor = endpoint.primary_key, endpoint.cursor
    yield f"Guess: the primary key is {key}." if key else "No field looks like a primary key."
    if cursor is not None:
        beyond = (
            ", which may exclude the value itself: prefer >=" if endpoint.excludes_its_value else ""
        )
        yield f"Guess: the cursor is {cursor.field}, and {cursor.param} filters by it{beyond}."
    elif endpoint.changed_field:
        yield (
            f"Guess: {endpoint.changed_field} grows with every change. No parameter filters by it, "
            "but it can be the cursor_field of the stream config."
        )
    yield from endpoint.paging.reasons


def _paging_notes(streams: Mapping[str, Endpoint]) -> Iterator[str]:
    """How sure the paging of each stream is."""

    def those(sure: Sure) -> list[str]:
        return [name for name, endpoint in streams.items() if endpoint.paging.sure == sure]

    if documented := those("documented"):
        yield f"paging as the document has it: {_some(documented)}"
    if guessed := those("guessed"):
        yield f"paging guessed from names alone, which `landing check` tries: {_some(guessed)}"
    if unrecognized := those("unrecognized"):
        yield (
            f"paging not recognized, though there are parameters for it: {_some(unrecognized)}; "
            "write it in streams.py before you run them"
        )
    if none := those("none"):
        yield f"no paging in the document: {_some(none)}"


def _value_notes(plan: SourcePlan) -> Iterator[str]:
    if needing := [stream.name for stream in plan.streams if stream.variables]:
        names = sorted({plan.variable(n) for stream in plan.streams for n in stream.variables})
        yield f"required parameters without a value: set {_some(names)} for {_some(needing)}"


def _auth_notes(document: Document, plan: SourcePlan, *, is_given: bool) -> Iterator[str]:
    schemes = list(security_schemes(document))
    if is_given:
        return
    if not schemes:
        yield "the document has no security scheme: if the API needs credentials, set --auth"
    elif len(schemes) > 1 or plan.auth.kind == "none":
        yield f"of {listed(schemes)}, client.py uses --auth={plan.auth.kind}; --auth changes it"
