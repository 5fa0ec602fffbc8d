"""Reads an OpenAPI document. References are resolved when they are followed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landing.errors import ApiError, UsageError
from landing.extraction.failures import request_failed
from landing.scaffold.openapi.postman import as_openapi, is_collection
from landing.scaffold.openapi.references import handlers
from landing.secrets import redacted

if TYPE_CHECKING:
    from jsonschema_path import SchemaPath

_SECONDS = 60
_NESTED = 500
_LONGEST = 2_000
_BRACKETS = re.compile(rb"[][{}]")
_DASHES = re.compile(rb"(?:- ){%d}" % _NESTED)
_DEEPEST = 6
"""Levels of `allOf`, `oneOf` and `anyOf` that are followed; schemas may contain themselves."""


@dataclass(frozen=True)
class Document:
    root: SchemaPath
    location: str
    """The file or URL that it was read from."""
    notes: Sequence[str] = ()
    """What could not be read of a Postman collection."""

    @property
    def title(self) -> str:
        return str(value(self.root, "info", "title") or "")


def read_document(location: str) -> Document:
    """Raises UsageError if it is no OpenAPI 3, Swagger 2 or Postman collection, ApiError if its
    server fails."""
    try:
        from jsonschema_path import SchemaPath
        from referencing import Specification
    except ImportError:
        raise UsageError(
            "reading OpenAPI documents needs jsonschema-path: pip install 'dlt-landing[openapi]'"
        ) from None
    is_remote = location.startswith(("http://", "https://"))
    text = _fetched(location) if is_remote else _read(Path(location))
    content, notes = _parsed(text, location), list[str]()
    if is_collection(content):
        content, notes = as_openapi(content)
    version = str(content.get("openapi") or content.get("swagger") or "unknown")
    if not version.startswith(("3.", "2.")):
        raise UsageError(f"{location} is of version {version}: OpenAPI 3 and Swagger 2 can be read")
    if not isinstance(content.get("paths"), dict):
        raise UsageError(f"{location} has no paths")
    base = location if is_remote else Path(location).resolve().as_uri()
    found = handlers(base, partial(_fetched, redirects=False), _parsed)
    # Opaque: what a member named `$id` has, or one whose schema is a text, is no matter here.
    root = SchemaPath.from_dict(
        content, specification=Specification.OPAQUE, base_uri=base, handlers=found
    )
    return Document(root, location, notes)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror or error}") from None


def _fetched(url: str, *, redirects: bool = True) -> bytes:
    import requests

    try:
        response = requests.get(url, timeout=_SECONDS, allow_redirects=redirects)
        response.raise_for_status()
    except requests.RequestException as error:
        why = redacted(request_failed(error))
        raise ApiError(
            f"the OpenAPI document could not be fetched: {why}; if a browser can open it, save it "
            "and pass the file"
        ) from None
    if response.is_redirect:
        raise UsageError("is redirected; refer to the address that it is redirected to")
    return response.content


def _parsed(text: bytes, location: str) -> dict[str, Any]:
    what = f"{location} is neither an OpenAPI document in JSON nor one in YAML"
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        content = _parsed_yaml(text, what, error)
    if not isinstance(content, dict):
        raise UsageError(what)
    return content


def _parsed_yaml(text: bytes, what: str, error_as_json: Exception) -> Any:
    """Raises UsageError with the line of the error; that of JSON if the text looks like JSON."""
    import yaml

    if _is_too_deep(text):  # libyaml would crash the process
        raise UsageError(f"{what}: it is nested more than {_NESTED:,} levels deep")
    try:
        return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, UnicodeError, RecursionError) as error:
        is_json = text.lstrip()[:1] in (b"{", b"[")
        broken = error_as_json if is_json else error
        match broken:
            case json.JSONDecodeError():
                where = f"line {broken.lineno}, column {broken.colno}: {broken.msg}"
            case yaml.MarkedYAMLError() if (mark := broken.problem_mark) is not None:
                where = f"line {mark.line + 1}, column {mark.column + 1}: {broken.problem}"
            case _:
                where = str(broken).partition("\n")[0]
        raise UsageError(f"{what}: {where}") from None


def _is_too_deep(text: bytes) -> bool:
    depth = deepest = 0
    for bracket in _BRACKETS.finditer(text):
        depth += 1 if bracket[0] in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest > _NESTED or _DASHES.search(text) is not None


def at(path: SchemaPath, *keys: str | int) -> SchemaPath | None:
    """The value below a place in the document; None if there is none."""
    for key in keys:
        if not path.is_traversable() or key not in path:
            return None
        path = path / key
    return path


def value(path: SchemaPath, *keys: str | int) -> Any:
    found = at(path, *keys)
    return None if found is None else found.read_value()


def children(path: SchemaPath | None) -> Iterator[tuple[str, SchemaPath]]:
    """The members of an object, by name."""
    if path is not None and isinstance(path.read_value(), Mapping):
        yield from ((str(name), path / name) for name in path.read_value())


def elements(path: SchemaPath | None) -> Iterator[SchemaPath]:
    if path is not None and isinstance(found := path.read_value(), list):
        yield from (path / index for index in range(len(found)))


def described(path: SchemaPath) -> str:
    """The beginning of a description: guesses look for words in it, and documents are foreign."""
    return str(value(path, "description") or "")[:_LONGEST]


@dataclass(frozen=True)
class Schema:
    """The parts of a JSON Schema that guesses need: type, properties and items."""

    path: SchemaPath
    depth: int = 0

    @cached_property
    def kinds(self) -> frozenset[str]:
        """The types without null; OpenAPI 3.1 allows a list of types."""
        kind = value(self.path, "type")
        names = set(kind) if isinstance(kind, list) else {kind} if isinstance(kind, str) else set()
        for part in self._parts:
            names |= part.kinds
        if not names and at(self.path, "properties") is not None:
            names = {"object"}
        if not names and at(self.path, "items") is not None:
            names = {"array"}
        return frozenset(names - {"null"})

    @cached_property
    def format(self) -> str:
        formats = (str(value(one.path, "format") or "") for one in (self, *self._parts))
        return next(filter(None, formats), "")

    @property
    def description(self) -> str:
        return described(self.path)

    @property
    def may_be_null(self) -> bool:
        kind = value(self.path, "type")
        return value(self.path, "nullable") is True or (isinstance(kind, list) and "null" in kind)

    @property
    def example(self) -> str:
        return str(value(self.path, "example") or "")

    @cached_property
    def properties(self) -> dict[str, Schema]:
        own = children(at(self.path, "properties"))
        found = {name: Schema(path, self.depth + 1) for name, path in own}
        for part in self._parts:
            found |= part.properties
        return found

    @cached_property
    def items(self) -> Schema | None:
        for one in (self, *self._parts):
            if (path := at(one.path, "items")) is not None:
                return Schema(path, self.depth + 1)
        return None

    @cached_property
    def _parts(self) -> list[Schema]:
        """All of `allOf`, and the first of `oneOf` and of `anyOf` that is not null."""
        if self.depth > _DEEPEST:
            return []
        found = [Schema(path, self.depth + 1) for path in elements(at(self.path, "allOf"))]
        for keyword in ("oneOf", "anyOf"):
            choices = [Schema(path, self.depth + 1) for path in elements(at(self.path, keyword))]
            found += [one for one in choices if value(one.path, "type") != "null"][:1]
        return found
