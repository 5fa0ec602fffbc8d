"""An endpoint that returns a list: its parameters, its records, and guesses from both."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from landing.http.spelling import plain
from landing.scaffold.openapi.document import Schema, at, children, elements, value
from landing.scaffold.openapi.names import CHANGED, EXCLUSIVE, KEYS, SINCE, named
from landing.scaffold.openapi.paging import PagingGuess, has_pages, paging_guess
from landing.scaffold.openapi.parameters import Parameter, read_parameter
from landing.scaffold.openapi.records import RecordList, nouns, record_list
from landing.scaffold.plan import CursorPlan

if TYPE_CHECKING:
    from jsonschema_path import SchemaPath


class Endpoint:
    """A GET operation; a stream if its response has a list of objects."""

    def __init__(self, path: str, item: SchemaPath) -> None:
        self.path = path
        self._item = item
        self._get = item / "get"

    @property
    def shown(self) -> str:
        return f"GET {self.path}"

    @property
    def description(self) -> str:
        text = value(self._get, "summary") or value(self._get, "description") or ""
        return str(text).strip().partition("\n")[0]

    @cached_property
    def parameters(self) -> dict[str, Parameter]:
        """Query and path parameters by name. The operation's override the path item's."""
        found: dict[str, Parameter] = {}
        for owner in (self._item, self._get):
            for path in elements(at(owner, "parameters")):
                parameter = read_parameter(path)
                if parameter is not None and parameter.where in ("query", "path"):
                    found[parameter.name] = parameter
        return found

    @property
    def missing(self) -> list[str]:
        """Names of the path's parameters, which the records of another stream have."""
        return re.findall(r"{([^}]+)}", self.path)

    @property
    def params(self) -> dict[str, str | int]:
        """Required query parameters with the document's values."""
        values = {p.name: p.default for p in self._needed if p.default is not None}
        return {**values, **self.paging.switches}

    @property
    def asked(self) -> list[Parameter]:
        """Required query parameters whose values only a person knows."""
        return [p for p in self._needed if p.default is None]

    @property
    def _needed(self) -> Iterator[Parameter]:
        filled = set(map(str, self.paging.plan.arguments.values()))
        if self.cursor is not None:
            filled.add(self.cursor.param)
        for parameter in self._query.values():
            if parameter.is_required and parameter.name not in filled:
                yield parameter

    @cached_property
    def _answer(self) -> SchemaPath | None:
        for status in ("200", 200, "2XX", "2xx", "default"):
            if (found := at(self._get, "responses", status)) is not None:
                return found
        return None

    @cached_property
    def _body(self) -> Schema | None:
        if self._answer is None:
            return None
        for kind, path in children(at(self._answer, "content")):
            is_json = kind.partition(";")[0].endswith("json") or kind == "*/*"
            if is_json and (schema := at(path, "schema")) is not None:
                return Schema(schema)
        schema = at(self._answer, "schema")  # where Swagger 2 has it
        return None if schema is None else Schema(schema)

    @cached_property
    def _nouns(self) -> frozenset[str]:
        return nouns(self.path, str(value(self._get, "operationId") or ""))

    @cached_property
    def _list(self) -> RecordList | None:
        if self._body is None:
            return None
        return record_list(self._body, self.path, self._nouns, has_pages=has_pages(self._query))

    @property
    def gives_a_list(self) -> bool:
        return self._list is not None

    @property
    def records(self) -> str:
        """Path of the list in the body."""
        return self._list.path if self._list else ""

    @property
    def fields(self) -> Mapping[str, Schema]:
        return self._list.record.properties if self._list else {}

    @cached_property
    def primary_key(self) -> str | None:
        """A guess; None if no field is named like a key."""
        ids = [
            f"{noun}{key}" for key in ("id", "gid", "uuid", "sid") for noun in sorted(self._nouns)
        ]
        return named(self.fields, (*KEYS[:3], *ids, *KEYS[3:]), {"integer", "string"})

    @property
    def changed_field(self) -> str | None:
        """The field that seems to have the time of a record's last change."""
        for name, schema in self.fields.items():
            if CHANGED.fullmatch(plain(name)) and schema.kinds & {"string", "integer", "number"}:
                return name
        return None

    @property
    def cursor(self) -> CursorPlan | None:
        """A guess: a field for the last change, with a parameter that filters by it."""
        field = self.changed_field
        times = (n for n, p in self._query.items() if SINCE.fullmatch(plain(n)) and p.is_time)
        since = next(times, None)
        if since is None or field is None:
            return None
        schema = self.fields[field]
        if not schema.kinds & {"string"}:
            return CursorPlan(field, since, 0)
        is_date = schema.format == "date"
        return CursorPlan(field, since, "1970-01-01") if is_date else CursorPlan(field, since)

    @property
    def excludes_its_value(self) -> bool:
        """Whether the cursor's parameter seems to exclude the value itself."""
        return self.cursor is not None and bool(EXCLUSIVE.search(plain(self.cursor.param)))

    @cached_property
    def _query(self) -> dict[str, Parameter]:
        return {n: p for n, p in self.parameters.items() if p.where == "query"}

    @cached_property
    def paging(self) -> PagingGuess:
        key, has_link = self.primary_key, self._has_link_header
        return paging_guess(self._query, self._body, key, has_link=has_link)

    @property
    def _has_link_header(self) -> bool:
        headers = None if self._answer is None else at(self._answer, "headers")
        return any(name.lower() == "link" for name, _ in children(headers))
