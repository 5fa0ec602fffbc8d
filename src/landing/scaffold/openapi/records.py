"""Where a response has its list of records."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from landing.http.spelling import plain, plain_set
from landing.http.vocabulary import is_about_pages
from landing.scaffold.openapi.document import Schema
from landing.scaffold.openapi.names import ENVELOPES, KEYS, NOT_RECORDS, RECORDS, named

_ENVELOPES = plain_set(ENVELOPES)
_RECORDS = tuple(map(plain, RECORDS))
_SCALARS = {"string", "integer", "number", "boolean"}


@dataclass(frozen=True)
class RecordList:
    path: str
    record: Schema


def nouns(path: str, operation: str) -> frozenset[str]:
    """The last words of the path and of the operation's name, in singular and plural."""
    last = re.sub(r"\.\w+$", "", path.rstrip("/").rpartition("/")[2])
    pieces = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", re.sub(r"\W|_", " ", operation)).split()
    words = [plain(last), *(plain("".join(pieces[n:])) for n in range(len(pieces)))]
    return frozenset(form for word in words if word for form in _forms(word))


def _forms(word: str) -> Iterable[str]:
    yield from (word, word.removesuffix("s"), re.sub("ies$", "y", word), f"{word}s")


def record_list(
    body: Schema, path: str, names: frozenset[str], *, has_pages: bool
) -> RecordList | None:
    """The list that the endpoint is about; None if the response is a single record.

    A list beside other members may also be a part of a single record. It counts if its name or the
    endpoint's parameters suggest that it is the result.
    """
    if (record := _record_of(body)) is not None:
        return RecordList("", record)
    if path.rstrip("/").endswith("}"):
        return None
    lists = _lists(body.properties, "")
    for outer, schema in body.properties.items():
        if "object" in schema.kinds and _is_envelope(outer, body, names):
            lists |= _lists(schema.properties, f"{outer}.")

    is_of_list = _is_about(body, lists)

    def is_result(place: str) -> bool:
        last = plain(place.rpartition(".")[2])
        if last in names or ((has_pages or is_of_list) and last not in NOT_RECORDS):
            return True
        return last in _RECORDS and not _is_record(body)

    found = sorted(filter(is_result, lists), key=lambda at: _unlikelihood(at, lists[at], names))
    return RecordList(found[0], lists[found[0]]) if found else None


def _is_envelope(outer: str, body: Schema, names: frozenset[str]) -> bool:
    """Whether an object may have the list, rather than be a part of a single record."""
    if plain(outer) in _ENVELOPES or plain(outer) in names:
        return True
    others = {name for name in body.properties if name != outer}
    return is_about_pages(others) and not _is_record(body)


def _is_about(body: Schema, lists: Mapping[str, Schema]) -> bool:
    """Whether the body has a list, and else nothing but how it is paged."""
    others = {name for name in body.properties if plain(name) not in NOT_RECORDS} - {*lists}
    return len(body.properties) - len(others) > 0 and is_about_pages(others)


def _is_record(schema: Schema) -> bool:
    """Whether an object has a key of its own, as records have."""
    keys = {name for name in schema.properties if plain(name) in plain_set(KEYS[:8])}
    return any(schema.properties[name].kinds & _SCALARS for name in keys)


def _unlikelihood(
    path: str, record: Schema, names: frozenset[str]
) -> tuple[bool, bool, bool, int, int]:
    """Sort key: the endpoint's own noun, records with a key, shallow lists, well-known names."""
    last = plain(path.rpartition(".")[2])
    rank = _RECORDS.index(last) if last in _RECORDS else len(_RECORDS)
    has_no_key = named(record.properties, KEYS) is None
    return last not in names, has_no_key, last not in _RECORDS, path.count("."), rank


def _lists(members: Mapping[str, Schema], prefix: str) -> dict[str, Schema]:
    found = {}
    for name, member in members.items():
        if "." not in name and (record := _record_of(member)) is not None:
            found[f"{prefix}{name}"] = record
    return found


def _record_of(schema: Schema) -> Schema | None:
    items = schema.items if "array" in schema.kinds else None
    return items if items is not None and "object" in items.kinds else None
