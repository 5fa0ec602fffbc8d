"""Turns response bodies into pages of records: JSON, JSON lines, CSV, also packed with gzip."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import msgspec

from landing.columns import json_path
from landing.columns.expected_fields import expected_fields
from landing.columns.json_numbers import exact_number
from landing.columns.json_page import JsonPage
from landing.columns.text_encoding import as_utf8
from landing.http import vocabulary
from landing.http.api_messages import failure_in, message_in
from landing.http.shapes import shape_of

Row: TypeAlias = dict[str, Any]
Page: TypeAlias = JsonPage | list[Row]

_GZIP = b"\x1f\x8b"
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}


class Body(Protocol):
    """Finds the records in a response's body, which it gets in UTF-8."""

    @property
    def encoding(self) -> str | None:
        """The response's encoding, which overrides its Content-Type; None to go by Content-Type."""
        ...

    def page(self, content: bytes) -> Page:
        """The page in the body. Raises ValueError that says what is wrong with the body."""
        ...


@dataclass(frozen=True)
class Json:
    """A JSON body. `records` is the place of the list in it: a key, a path with dots or a JSONPath;
    "" if the body is the list."""

    records: str = ""
    encoding: str | None = None

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
    """Whether the list is null, or missing from an object that only describes pages: some APIs
    write an empty list in this way."""
    try:
        found = json_path.raw_at(content, path)
        if found is not None:
            return bytes(found).strip() == b"null"
        return vocabulary.is_about_pages(json_path.members_of(content))
    except ValueError:
        return False


@dataclass(frozen=True)
class JsonLines:
    """A body with a JSON object in each line (NDJSON)."""

    encoding: str | None = None

    def page(self, content: bytes) -> JsonPage:
        lines = (line for line in as_utf8(content).splitlines() if line.strip())
        try:
            return JsonPage(b"[" + b",".join(lines) + b"]")
        except ValueError as error:
            raise ValueError(f"no JSON object in each line ({error})") from None


@dataclass(frozen=True)
class Csv:
    """A CSV body, whose first line has the names of the columns.

    Values are text, except in the columns that `types` declares as `int`, `float` or `bool`. A
    value that does not parse stays text, and goes to quarantine with its row. An empty value is
    null. Types are never guessed: `00501` may be a number or a postcode.

    A body that is JSON or HTML is an error, and so is a single line with none of the stream's
    fields. If the stream renames the columns, list their names in the file as `names`. The encoding
    is that of a byte order mark, or else `encoding`, or else UTF-8 if the body is valid UTF-8, or
    else the charset of Content-Type.
    """

    types: Mapping[str, type] = field(default_factory=dict)
    delimiter: str = ","
    encoding: str | None = None
    names: Collection[str] = ()

    def page(self, content: bytes) -> list[Row]:
        try:
            text = as_utf8(content).decode()
            _refuse_other_kinds(text)
            # Of the process; it only ever goes up, as other threads may be reading.
            csv.field_size_limit(max(csv.field_size_limit(), 2**31 - 1))
            read = io.StringIO(text, newline="")
            lines = csv.reader(read, delimiter=self.delimiter, strict=True)
            names = next(lines, [])
            _check_names(names)
            rows = [self._row(names, values) for values in lines if values]
        except csv.Error as error:
            raise ValueError(f"no CSV ({error})") from None
        if names and not rows:
            self._check_known(names)
        return rows

    def _row(self, names: Sequence[str], values: Sequence[str]) -> Row:
        if len(values) != len(names):
            raise csv.Error(f"a line of {len(values)} values under {len(names)} names")
        return {
            name: _typed(value, self.types.get(name, str))
            for name, value in zip(names, values, strict=True)
        }

    def _check_known(self, names: Sequence[str]) -> None:
        """Raises ValueError if a body of one line is not a header, but perhaps an error message."""
        known = {*expected_fields(), *self.types, *self.names}
        if expected_fields() and not known & set(names):
            raise ValueError(
                f"one line with none of the stream's fields ({message_in(','.join(names))}); if it "
                "is the header of a CSV file whose columns the stream renames, pass their names as "
                "Csv(names=[…])"
            )


def _refuse_other_kinds(text: str) -> None:
    begin = text.lstrip()[:1]
    if begin == "<":
        raise ValueError("HTML or XML where CSV is expected")
    if begin in ("{", "["):
        try:
            found = msgspec.json.decode(text)
        except msgspec.MsgspecError:
            return
        message = failure_in(found) or shape_of(found)
        raise ValueError(f"JSON where CSV is expected: {message}")


def _check_names(names: Sequence[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise csv.Error(f"the name '{twice[0]}' is there {names.count(twice[0])} times")


def _typed(value: str, type_: type) -> Any:
    if value == "":
        return None
    if type_ is str:
        return value
    try:
        if "_" in value:  # Python also takes 1_000
            return value
        if type_ is float:
            number = exact_number(value)
            return number if isinstance(number, float) else value
        return _BOOLEANS[value.lower()] if type_ is bool else type_(value)
    except (ValueError, KeyError):
        return value


def unpacked(content: bytes, most: int) -> bytes:
    """The content of a `.gz` body; `requests` itself undoes `Content-Encoding: gzip`.

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
    return json_path.value_at(content, path) if content.strip() else None  # as with status 204


def has_place(content: bytes, path: str) -> bool:
    """Whether a JSON body has a value at a path, which may be null."""
    try:
        return json_path.raw_at(content, path) is not None
    except ValueError:
        return False
