"""Finds the lists of a document, by what `apis` says of the API."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.openapi_table.apis import Api, Pages

_DEEPEST = 6
_BESIDE = ("errors", "error", "warnings", "links", "included")
_SCALARS = ("integer", "number", "boolean", "string")


@dataclass(frozen=True)
class ListEndpoint:
    path: str
    records: str
    """Where its records are in the body; empty if the body is the list."""
    fields: Mapping[str, str]
    """The scalar members of a record: a type, a format, or `=` and the only value that is known."""
    pages: Pages | None
    """None if it returns all at once."""
    required: Sequence[str] = field(default_factory=list)
    """Query parameters without which it responds with 400."""


class OpenApi:
    """A document, whose references may lead to other files and in circles."""

    def __init__(self, file: Path) -> None:
        self._files: dict[Path, Any] = {}
        self._file = file.resolve()
        self.node = Node(self, self._load(self._file), self._file)

    def _load(self, file: Path) -> Any:
        if file not in self._files:
            text = file.read_text()
            if file.suffix == ".json":
                self._files[file] = json.loads(text)
            else:
                import yaml

                self._files[file] = yaml.load(text, Loader=yaml.CSafeLoader)
        return self._files[file]

    def gets(self) -> Iterator[tuple[str, Node, list[Node]]]:
        """Path, operation and parameters."""
        for path, item in self.node.get("paths").members():
            if (operation := item.get("get")).value is not None:
                yield path, operation, [*item.get("parameters"), *operation.get("parameters")]

    def resolve(self, value: Any, file: Path) -> tuple[Any, Path]:
        """A reference that leads nowhere is no value."""
        for _ in range(20):
            if not isinstance(value, Mapping) or not isinstance(value.get("$ref"), str):
                return value, file
            place, _, fragment = value["$ref"].partition("#")
            file = (file.parent / place).resolve() if place else file
            try:
                value = self._load(file)
                for key in filter(None, fragment.split("/")):
                    key = key.replace("~1", "/").replace("~0", "~")
                    value = value[int(key) if isinstance(value, list) else key]
            except (OSError, KeyError, ValueError, IndexError, TypeError):
                return None, file
        return None, file


class Node:
    """A value in a document, whose reference is followed."""

    def __init__(self, document: OpenApi, value: Any, file: Path) -> None:
        self._document = document
        self.value, self._file = document.resolve(value, file)

    def get(self, key: Any) -> Node:
        found = self.value.get(key) if isinstance(self.value, Mapping) else None
        return Node(self._document, found, self._file)

    def members(self) -> Iterator[tuple[str, Node]]:
        for name in self.value if isinstance(self.value, Mapping) else ():
            yield name, self.get(name)

    def __iter__(self) -> Iterator[Node]:
        for one in self.value if isinstance(self.value, list) else ():
            yield Node(self._document, one, self._file)

    def parts(self, depth: int = 0) -> Iterator[Node]:
        """The schema, and those that it is made of; the first of alternatives."""
        yield self
        if depth < _DEEPEST:
            firsts = [one for word in ("oneOf", "anyOf") for one in list(self.get(word))[:1]]
            for part in (*self.get("allOf"), *firsts):
                yield from part.parts(depth + 1)

    def properties(self) -> dict[str, Node]:
        return {n: one for part in self.parts() for n, one in part.get("properties").members()}

    def first(self, key: str) -> Any:
        return next((v for part in self.parts() if (v := part.get(key).value) is not None), None)

    def record(self) -> Node | None:
        """The schema of the items of a list of objects."""
        for part in self.parts():
            items = part.get("items")
            if items.value is not None:
                is_object = items.first("type") == "object" or bool(items.properties())
                return items if is_object else None
        return None


def lists(document: OpenApi, api: Api, *, below: bool = False) -> Iterator[ListEndpoint]:
    """The lists that need no value in their path; the others if `below`."""
    for path, operation, parameters in document.gets():
        if ("{" in path) != below or path in api.not_lists:
            continue
        _, body = response_of(operation)
        if (found := _records(body, path, api)) is None:
            continue
        place, record = found
        query = {p.get("name").value: p for p in parameters if p.get("in").value == "query"}
        yield ListEndpoint(
            path,
            place,
            {name: kind for name, one in record.properties().items() if (kind := _kind(name, one))},
            _pages(api, path, query),
            [name for name, p in query.items() if p.get("required").value is True],
        )


def response_of(operation: Node) -> tuple[Node, Node]:
    """The response with the list, and the schema of its body."""
    responses = operation.get("responses")
    for status in ("200", 200, "2XX", "default"):
        answer = responses.get(status)
        for kind, content in answer.get("content").members():
            if "json" in kind or kind == "*/*":
                return answer, content.get("schema")
        if answer.get("schema").value is not None:  # Swagger 2
            return answer, answer.get("schema")
    return responses, responses.get("none")


def _records(body: Node, path: str, api: Api) -> tuple[str, Node] | None:
    if api.records == "" and (record := body.record()) is not None:
        return "", record
    for pattern in (api.lists[path],) if path in api.lists else (api.records, *api.or_records):
        outer, _, last = pattern.rpartition(".")
        for place, schema in _below(body, outer):
            records = {
                name: record
                for name, one in schema.properties().items()
                if name.lower() not in _BESIDE and last in (name, "*")
                if (record := one.record()) is not None
            }
            if len(records) > 1 and "{" not in path:
                raise ValueError(f"{api.name} {path} has {', '.join(records)}: which is the list?")
            for name, record in records.items():
                return f"{place}{name}", record
    return None


def _below(body: Node, outer: str) -> Iterator[tuple[str, Node]]:
    if not outer:
        yield "", body
        return
    for name, one in body.properties().items():
        if outer in (name, "*"):
            yield f"{name}.", one


def _kind(name: str, schema: Node) -> str:
    """What a member has; empty if it is no scalar."""
    kind = schema.first("type")
    kind = next((one for one in kind if one != "null"), "") if isinstance(kind, list) else kind
    if choices := schema.first("enum"):
        return f"={choices[0]}" if kind == "string" else ""
    if kind not in _SCALARS:
        return ""
    is_time = re.search(r"(_at|_on|At|On|date|time|updated|modified|created)$", name, re.I)
    if kind == "string" and schema.first("format") in ("date", "date-time"):
        return str(schema.first("format"))
    if is_time and kind == "string":
        return "date-time"
    return "epoch" if is_time and kind in ("integer", "number") else kind


def _pages(api: Api, path: str, query: Mapping[str, Node]) -> Pages | None:
    for pages in api.pages:
        if pages.is_of(path, query):
            if (size := query.get(pages.size)) is None:
                return pages
            return pages.with_bounds(_whole(size, "default"), _whole(size, "maximum"))
    return None


def _whole(parameter: Node, key: str) -> int | None:
    value = parameter.get("schema").first(key) if parameter.get("schema").value else None
    value = parameter.get(key).value if value is None else value
    return value if isinstance(value, int) and value > 0 else None
