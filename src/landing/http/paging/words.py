"""Finds the words about pages in a response: in its headers, and in its body beside the records."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from landing.columns import json_path
from landing.http import vocabulary
from landing.http.spelling import is_end, plain, plain_set, whole_number, yes_or_no
from landing.http.vocabulary import Kind

_BODY = vocabulary.by_name(vocabulary.BODY)
_HEADERS = vocabulary.by_name(vocabulary.HEADERS)
_CONTAINERS = plain_set(vocabulary.CONTAINERS)
_INSIDE_NEXT = plain_set(vocabulary.INSIDE_NEXT)
_JSON_HEADERS = plain_set(("X-Pagination", "Pagination", "X-Paging"))
_RELATIONS: tuple[tuple[str, Kind], ...] = (
    ("next", "next"),
    ("prev", "previous"),
    ("previous", "previous"),
)
_DEEPEST = 4


@dataclass(frozen=True)
class Word:
    kind: Kind
    name: str
    place: str
    """A path in the body, or the name of a header."""
    value: Any
    is_header: bool = False


def of_headers(headers: Mapping[str, str]) -> Iterator[Word]:
    for name, value in headers.items():
        known = plain(name)
        for kind in _HEADERS.get(known, ()):
            yield Word(kind, name, name, value, is_header=True)
        if known in _JSON_HEADERS:
            yield from _of_json_header(name, value)


def of_body(content: bytes, records: str) -> list[Word]:
    """The words in a body. `records` is the path of the records, which are not decoded."""
    steps = tuple(map(str, json_path.parsed(records).steps))
    try:
        return list(_of_value(content, steps, "", 0))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []  # reading the records says what is wrong with the body


def _of_json_header(name: str, value: str) -> Iterator[Word]:
    try:
        members = json.loads(value)
    except ValueError:
        return
    for member, inner in members.items() if isinstance(members, dict) else ():
        for kind in _BODY.get(plain(member), ()):
            yield Word(kind, member, f"{name}: {member}", inner, is_header=True)


def _of_value(
    raw: bytes | msgspec.Raw, steps: tuple[str, ...], path: str, depth: int
) -> Iterator[Word]:
    """The words of an object, and of the objects in it that are about pages or contain the records,
    to which `steps` leads. Lists of records are never decoded."""
    first = json_path.first_byte(raw)
    if first == b"[" and steps and steps[0].isdecimal():
        # As the World Bank's: a list of what is about the pages, and the records.
        for place, item in enumerate(msgspec.json.decode(raw, type=list[msgspec.Raw])):
            if json_path.first_byte(item) == b"{":
                yield from _of_value(item, steps[1:], _below(path, str(place)), depth + 1)
    if first != b"{" or depth > _DEEPEST:
        return
    for name, member in json_path.members_of(raw).items():
        yield from _of_member(name, member, steps, path, depth)


def _of_member(
    name: str, raw: msgspec.Raw, steps: tuple[str, ...], path: str, depth: int
) -> Iterator[Word]:
    known, here, first = plain(name), _below(path, name), json_path.first_byte(raw)
    kinds = _BODY.get(known, ())
    is_on_the_way = bool(steps) and name == steps[0]
    if first == b"[":
        if known in ("link", "links"):
            yield from _of_links(raw, here)
        elif is_on_the_way:
            yield from _of_value(raw, steps[1:], here, depth)
    elif first == b"{":
        if "next" in kinds or known == "continue":
            yield from _of_next(raw, here)
        elif "previous" in kinds:
            yield from _inside(raw, "previous", name, here)
        elif "total" in kinds:
            yield from (Word("total", name, here, n) for n in _inner_number(raw))
        if is_on_the_way or known in _CONTAINERS:
            yield from _of_value(raw, steps[1:] if is_on_the_way else (), here, depth + 1)
    elif kinds:
        value = msgspec.json.decode(raw)
        for kind in kinds:
            if _fits(kind, known, value, path):
                yield Word(kind, name, here, value)


def _fits(kind: Kind, name: str, value: Any, path: str) -> bool:
    """Whether the value suits the kind of word that its name suggests."""
    owner = plain(path.rpartition(".")[2])
    if kind in ("first", "last", "more"):
        return isinstance(value, bool) or (kind == "more" and yes_or_no(value) is not None)
    if kind == "position":
        # A number repeats where this page begins; Facebook has `cursors.after` on the last too.
        return isinstance(value, str) and not value.isdecimal() and owner != "cursors"
    if name == "total" and owner == "pages":
        return False
    if name == "page" and owner == "links":
        return False
    if kind in ("remaining", "pages", "page", "total", "filtered", "count"):
        return whole_number(value) is not None
    return isinstance(value, str | int | bool) or value is None


def _of_next(raw: msgspec.Raw, path: str) -> Iterator[Word]:
    """The words of an object such as `{"next": {"after": "Mg=="}}`."""
    name = path.rpartition(".")[2]
    yield from _inside(raw, "next", name, path, is_any=name == "continue")


def _inside(
    raw: msgspec.Raw, kind: Kind, name: str, path: str, *, is_any: bool = False
) -> Iterator[Word]:
    for inner, value in msgspec.json.decode(raw).items():
        is_known = is_any or plain(inner) in _INSIDE_NEXT
        if is_known and isinstance(value, str | int) and not is_end(value):
            yield Word(kind, name, f"{path}.{inner}", value)
            return


def _of_links(raw: msgspec.Raw, path: str) -> Iterator[Word]:
    """The words of a list such as `[{"rel": "next", "href": "…"}]`."""
    for place, link in enumerate(msgspec.json.decode(raw)):
        if not isinstance(link, dict):
            continue
        rels = str(link.get("rel", link.get("relation"))).lower().split()
        name = next((name for name in ("href", "url", "uri") if link.get(name)), None)
        for rel, kind in _RELATIONS:
            if name and rel in rels:
                yield Word(kind, rel, f"{path}.{place}.{name}", link[name])


def _inner_number(raw: msgspec.Raw) -> list[int]:
    """The number in Elasticsearch's `{"value": 60, "relation": "eq"}`."""
    value = msgspec.json.decode(raw).get("value")
    return [] if whole_number(value) is None else [value]


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def is_url(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("http://", "https://", "/", "?"))
