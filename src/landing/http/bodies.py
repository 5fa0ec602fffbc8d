"""What an API answers with, as a page of records: JSON, JSON lines, CSV, GraphQL; gzip or not."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from operator import attrgetter
from typing import Any, Protocol, TypeAlias

import msgspec

from landing.columns import json_path
from landing.columns.json_page import JsonPage
from landing.http import vocabulary

Row: TypeAlias = dict[str, Any]
Page: TypeAlias = JsonPage | list[Row]

_GZIP = b"\x1f\x8b"
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}


class Body(Protocol):
    """How the records of an answer are found in its body."""

    def page(self, content: bytes) -> Page:
        """Raises ValueError with what is wrong if the body is something else."""
        ...


@dataclass(frozen=True)
class Json:
    """`records` is where the list is in the body: a key, a path with dots, a JSONPath, or "" for
    the body."""

    records: str = ""

    @property
    def place(self) -> str:
        return self.records

    def page(self, content: bytes) -> JsonPage:
        try:
            return JsonPage(content, self.records)
        except ValueError as error:
            if _has_no_records(content, self.records):
                return JsonPage(b"[]")
            where = f"at '{self.records}'" if self.records else "as the whole body"
            raise ValueError(f"no JSON list of records {where} ({error})") from None


def _has_no_records(content: bytes, path: str) -> bool:
    """Whether there is null in their place, or an object that is about pages and nothing else:
    so some APIs write a list without any."""
    try:
        found = json_path.raw_at(content, path)
        if found is not None:
            return bytes(found).strip() == b"null"
        return vocabulary.is_about_pages(json_path.members_of(content))
    except ValueError:
        return False


@dataclass(frozen=True)
class JsonLines:
    """A JSON object in each line (NDJSON)."""

    def page(self, content: bytes) -> JsonPage:
        lines = (line for line in content.splitlines() if line.strip())
        try:
            return JsonPage(b"[" + b",".join(lines) + b"]")
        except ValueError as error:
            raise ValueError(f"no JSON object in each line ({error})") from None


@dataclass(frozen=True)
class Csv:
    """CSV with a line of names.

    All its values are text. `types` has the columns that are something else: `int`, `float` or
    `bool`. A value that is not what its column should be stays text, and goes to quarantine with
    its row. An empty value is null. Nothing is guessed: `00501` may be a number or a postcode.
    """

    types: Mapping[str, type] = field(default_factory=dict)
    delimiter: str = ","
    encoding: str = "utf-8-sig"

    def page(self, content: bytes) -> list[Row]:
        try:
            text = io.StringIO(content.decode(self.encoding), newline="")
            lines = csv.reader(text, delimiter=self.delimiter, strict=True)
            names = next(lines, [])
            return [self._row(names, values) for values in lines if values]
        except csv.Error as error:
            raise ValueError(f"no CSV ({error})") from None

    def _row(self, names: Sequence[str], values: Sequence[str]) -> Row:
        if len(values) != len(names):
            raise csv.Error(f"a line of {len(values)} values under {len(names)} names")
        return {
            name: _typed(value, self.types.get(name, str))
            for name, value in zip(names, values, strict=True)
        }


def _typed(value: str, type_: type) -> Any:
    if value == "":
        return None
    if type_ is str:
        return value
    try:
        return _BOOLEANS[value.lower()] if type_ is bool else type_(value)
    except (ValueError, KeyError):
        return value


def unpacked(content: bytes, most: int) -> bytes:
    """A `.gz` body as what is in it; `Content-Encoding: gzip` requests undoes itself.

    Raises ValueError if it is cut off, or unpacks to more than `most` bytes.
    """
    if not content.startswith(_GZIP):
        return content
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            plain = file.read(most + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"a damaged gzip body ({error})") from None
    if len(plain) > most:
        raise ValueError(
            f"a gzip body of more than {most >> 20:,} MB unpacked; ask for less at a time, or give "
            "the Api a Session with a larger max_page_mb"
        )
    return plain


def value_at(content: bytes, path: str) -> Any:
    """The value at a path in a JSON body, or None; nothing else is decoded."""
    if not content.strip():  # as with status 204
        return None
    parsed = json_path.parsed(path)
    value = _value_at_names(content, parsed.names) if parsed.names else None
    if value is None and (parsed.may_join or not parsed.names):
        raw = json_path.raw_at(content, path)
        value = None if raw is None else msgspec.json.decode(raw)
    return value


def has_place(content: bytes, path: str) -> bool:
    """Whether a JSON body has a value at a path, be it null."""
    try:
        return json_path.raw_at(content, path) is not None
    except ValueError:
        return False


def _value_at_names(content: bytes, names: tuple[str, ...]) -> Any:
    try:
        value = _value_decoder(names).decode(content)
    except msgspec.ValidationError:
        return None
    for _ in names:
        value = value and value.inner
    return value


@cache
def _value_decoder(keys: tuple[str, ...]) -> msgspec.json.Decoder[Any]:
    body: Any = Any
    for key in reversed(keys):
        member = ("inner", body if body is Any else body | None, None)
        body = msgspec.defstruct("Body", [member], rename={"inner": key})
    return msgspec.json.Decoder(body)


def identities(page: Page, fields: Sequence[str] = ()) -> list[int]:
    """A hash of each row, or of some of its fields, by which to know it again within a process."""
    if isinstance(page, JsonPage):
        if not fields:
            return [hash(bytes(raw)) for raw in page.decoded(msgspec.Raw)]
        # Undecoded, so that 1.0 and 1 or two spellings of a date stay apart.
        columns = [map(bytes, _members(page, name)) for name in fields]
        return list(map(hash, zip(*columns, strict=True)))
    return [
        hash(json.dumps([row.get(name) for name in fields] if fields else row, default=str))
        for row in page
    ]


def _members(page: JsonPage, name: str) -> Iterator[msgspec.Raw]:
    """A field of each row, undecoded; empty where a row has none."""
    return map(attrgetter("value"), page.decoded(_member_type(name)))


@cache
def _member_type(name: str) -> type[msgspec.Struct]:
    return msgspec.defstruct(
        "Row", [("value", msgspec.Raw, msgspec.Raw(b""))], rename={"value": name}
    )


def values_of(page: Page, name: str) -> list[Any]:
    """A field of each row; None where a row has none."""
    if not isinstance(page, JsonPage):
        return [row.get(name) for row in page]
    return [msgspec.json.decode(raw) if bytes(raw) else None for raw in _members(page, name)]


def from_row(page: Page, start: int) -> Page:
    """The page without its first `start` rows."""
    if isinstance(page, JsonPage):
        return page.without_first(start)
    return page[start:]
