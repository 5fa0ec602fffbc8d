"""An endpoint that returns a list: its parameters, its records, and guesses from both."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from landing.scaffold.openapi.document import Schema, at, children, elements, value
from landing.scaffold.openapi.names import (
    CHANGED,
    CURSORS,
    EXCLUSIVE,
    KEYSETS,
    NEXT_CURSORS,
    NEXT_URLS,
    NUMBERS,
    OFFSETS,
    RECORDS,
    SINCE,
    SIZES,
    TOTALS,
    named,
    plain,
)
from landing.scaffold.openapi.parameters import Parameter, read_parameter
from landing.scaffold.plan import (
    DEFAULT_PAGE_ROWS,
    CursorPlan,
    PagingPlan,
    paging_plan,
)

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
        """Names of required parameters for which the document has no value."""
        of_path = re.findall(r"{([^}]+)}", self.path)
        of_query = [p.name for p in self._needed if p.default is None]
        return [*of_path, *of_query]

    @property
    def params(self) -> dict[str, str | int]:
        """Required query parameters with the document's values."""
        return {p.name: p.default for p in self._needed if p.default is not None}

    @property
    def _needed(self) -> Iterator[Parameter]:
        filled = set(map(str, self.paging.arguments.values()))
        if self.cursor is not None:
            filled.add(self.cursor.param)
        for parameter in self.parameters.values():
            is_needed = parameter.is_required and parameter.where == "query"
            if is_needed and parameter.name not in filled:
                yield parameter

    @cached_property
    def _answer(self) -> SchemaPath | None:
        for status in ("200", 200, "2XX", "2xx", "default"):
            if (found := at(self._get, "responses", status)) is not None:
                return found
        return None

    @cached_property
    def _body(self) -> Schema | None:
        content = None if self._answer is None else at(self._answer, "content")
        for kind, path in children(content):
            is_json = kind.partition(";")[0].endswith("json") or kind == "*/*"
            if is_json and (schema := at(path, "schema")) is not None:
                return Schema(schema)
        return None

    @cached_property
    def _list(self) -> tuple[str, Schema] | None:
        """The path of the list of records in the body, and the schema of a record.

        A list beside other members may also be a part of a single record. It counts if its name or
        the endpoint's parameters suggest that it is the result.
        """
        if self._body is None:
            return None
        if (record := _record_of(self._body)) is not None:
            return "", record
        if self.path.rstrip("/").endswith("}"):
            return None
        lists = _lists(self._body, "")
        for outer, schema in self._body.properties.items():
            if "object" in schema.kinds:
                lists |= _lists(schema, f"{outer}.")
        likely = sorted(filter(self._is_result, lists), key=_likelihood)
        return (likely[0], lists[likely[0]]) if likely else None

    def _is_result(self, member: str) -> bool:
        name = plain(member.rpartition(".")[2])
        has_pages = named(self._query, (*SIZES, *OFFSETS, *NUMBERS, *CURSORS))
        is_beside = "." not in member and has_pages is not None
        return is_beside or name in (*RECORDS, *self._nouns)

    @property
    def _nouns(self) -> set[str]:
        """The last word of the path, in singular and plural."""
        word = plain(re.sub(r"\.\w+$", "", self.path.rstrip("/").rpartition("/")[2]))
        return {word, word.removesuffix("s"), re.sub("ies$", "y", word)}

    @property
    def gives_a_list(self) -> bool:
        return self._list is not None

    @property
    def records(self) -> str:
        """Path of the list in the body."""
        return self._list[0] if self._list else ""

    @property
    def fields(self) -> Mapping[str, Schema]:
        return self._list[1].properties if self._list else {}

    @property
    def primary_key(self) -> str | None:
        """A guess; None if no field is named like a key."""
        wanted = [
            "id",
            "uuid",
            *(f"{name}id" for name in sorted(self._nouns)),
            "guid",
            "key",
            "slug",
            "code",
        ]
        return named(self.fields, wanted, {"integer", "string"})

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
        since = next((n for n in self._query if SINCE.fullmatch(plain(n))), None)
        field = self.changed_field
        if since is None or field is None:
            return None
        schema = self.fields[field]
        if not schema.kinds & {"string"}:
            return CursorPlan(field, since, 0)
        return (
            CursorPlan(field, since, "1970-01-01")
            if schema.format == "date"
            else CursorPlan(field, since)
        )

    @property
    def excludes_its_value(self) -> bool:
        """Whether the cursor's parameter seems to exclude the value itself."""
        return self.cursor is not None and bool(EXCLUSIVE.search(plain(self.cursor.param)))

    @property
    def _query(self) -> dict[str, Parameter]:
        return {n: p for n, p in self.parameters.items() if p.where == "query"}

    @cached_property
    def paging(self) -> PagingPlan:
        """A guess from the names of parameters, headers and the body's other members."""
        size = named(self._query, SIZES)
        rows = self._page_rows(size)
        kind, arguments = self._paging()
        key = "limit_param" if kind == "keyset" else "size"
        if size and kind != "none":
            arguments[key] = size
        return paging_plan(kind, arguments, rows)

    def _paging(self) -> tuple[str, dict[str, str]]:
        query, total = self._query, self._member(TOTALS, {"integer", "number"})
        if self._has_link_header:
            return "link", {}
        cursor, following = named(query, CURSORS), self._next_cursor
        if cursor and following:
            return "cursor", {"path": following, "param": cursor}
        next_url = self._member(NEXT_URLS, {"string"})
        if offset := named(query, OFFSETS):
            return "offset", {"offset": offset, "total": total or self._count_beside(next_url)}
        if next_url and self._schema_of(next_url).format.startswith("uri"):
            return "next-url", {"path": next_url}
        if number := named(query, NUMBERS):
            default = query[number].default
            first = {"first": str(default)} if default in (0, "0") else {}
            return "page", {"number": number, "total": total, **first}
        key = self.primary_key
        if key and (beyond := named(query, KEYSETS)):
            return "keyset", {"field": key, "param": beyond}
        return ("next-url", {"path": next_url}) if next_url else ("none", {})

    def _page_rows(self, size: str | None) -> int:
        """The API's maximum, capped at DEFAULT_PAGE_ROWS, or else its default."""
        if size is None:
            return DEFAULT_PAGE_ROWS
        parameter = self._query[size]
        if parameter.maximum is not None:
            return max(1, min(parameter.maximum, DEFAULT_PAGE_ROWS))
        default = str(parameter.default)
        return int(default) if default.isdecimal() and int(default) else DEFAULT_PAGE_ROWS

    @property
    def _has_link_header(self) -> bool:
        headers = None if self._answer is None else at(self._answer, "headers")
        return any(name.lower() == "link" for name, _ in children(headers))

    @property
    def _next_cursor(self) -> str:
        """Accepts `next` (unless it is a URL) and `cursor` too: there is a cursor parameter."""
        names = (*NEXT_CURSORS, "next", "nextpage", "cursor", "after")
        found = self._member(names, {"string", "integer"})
        return "" if found and self._schema_of(found).format.startswith("uri") else found

    def _count_beside(self, next_url: str) -> str:
        """`count` is the total if the body also has `next`, as in Django REST framework."""
        return self._member(("count",), {"integer"}) if next_url else ""

    def _member(self, names: tuple[str, ...], kinds: set[str]) -> str:
        """Path of the first such member of the body or of an object in it, or an empty text."""
        if self._body is None:
            return ""
        if name := named(self._body.properties, names, kinds):
            return name
        for outer, schema in self._body.properties.items():
            if "object" in schema.kinds and (name := named(schema.properties, names, kinds)):
                return f"{outer}.{name}"
        return ""

    def _schema_of(self, member: str) -> Schema:
        assert self._body is not None
        schema = self._body
        for name in member.split("."):
            schema = schema.properties[name]
        return schema


def _lists(schema: Schema, prefix: str) -> dict[str, Schema]:
    found = {}
    for name, member in schema.properties.items():
        if "." not in name and (record := _record_of(member)) is not None:
            found[f"{prefix}{name}"] = record
    return found


def _likelihood(member: str) -> tuple[int, int]:
    """Sort key: shallower lists first, then well-known names."""
    last = plain(member.rpartition(".")[2])
    rank = RECORDS.index(last) if last in RECORDS else len(RECORDS)
    return (member.count("."), rank)


def _record_of(schema: Schema) -> Schema | None:
    items = schema.items if "array" in schema.kinds else None
    return items if items is not None and "object" in items.kinds else None
