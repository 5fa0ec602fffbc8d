"""Infers field types from all values of sampled records."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from landing.catalog.fields import KINDS, MAX_DEPTH, Field, Kind
from landing.columns.fitting import ConversionError, fit_timestamp
from landing.columns.plain_values import fits_64_bits, plain

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
# fromisoformat also takes 20240101 and 2024-W01-1, which are as likely codes as dates.
_DATE_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}")


@dataclass
class Seen:
    """The kinds of one field's values so far, down to the depth that a file may have."""

    depth: int = 1

    kinds: set[Kind] = field(default_factory=set)
    formats: set[str | None] = field(default_factory=set)
    properties: dict[str, Seen] = field(default_factory=dict)
    items: Seen | None = None

    def add(self, value: Any) -> None:
        kind, format_ = kind_of(value)
        if kind == "null":
            return
        self.kinds.add(kind)
        if kind == "string":
            self.formats.add(format_)
        elif self.depth == MAX_DEPTH:
            return
        elif kind == "object":
            for name, nested in value.items():
                self.properties.setdefault(str(name), Seen(self.depth + 1)).add(nested)
        elif kind == "array":
            self.items = self.items or Seen(self.depth + 1)
            for element in value:
                self.items.add(element)

    def as_field(self) -> Field:
        return Field(
            type=self._type(),
            format=self._format(),
            properties={n: seen.as_field() for n, seen in self.properties.items()} or None,
            items=self.items.as_field() if self.items else None,
        )

    def _type(self) -> Kind | list[Kind]:
        kinds = set(self.kinds)
        if "number" in kinds:
            kinds.discard("integer")
        ordered = sorted(kinds, key=KINDS.index)
        if not ordered:
            return "null"
        return ordered[0] if len(ordered) == 1 else ordered

    def _format(self) -> str | None:
        if self.kinds != {"string"}:
            return None
        if self.formats == {"date"}:
            return "date"
        return "date-time" if self.formats and self.formats <= {"date", "date-time"} else None


def kind_of(value: Any) -> tuple[Kind, str | None]:
    """The JSON Schema kind of a value, and the format if it is text or a Python time."""
    match plain(value):
        case None:
            return "null", None
        case bool():
            return "boolean", None
        case int() if not fits_64_bits(value):
            return "string", None  # as text nothing is lost
        case int():
            return "integer", None
        case float() | Decimal():
            return "number", None
        case str():
            return "string", _format_of(value)
        case Mapping():
            return "object", None
        case list() | tuple():
            return "array", None
        case datetime():
            return "string", "date-time"
        case date():
            return "string", "date"
    return "string", None


def _format_of(text: str) -> str | None:
    looks = _DATE_TIME.match(text) or _DATE.fullmatch(text)
    if not looks:
        return None
    try:
        fit_timestamp(text)
    except ConversionError:
        return None
    return "date" if len(text) == len("2024-01-01") else "date-time"


def fields_of(records: list[Mapping[str, Any]]) -> dict[str, Field]:
    """All fields of the records, in the order in which they first appear."""
    seen: dict[str, Seen] = {}
    for record in records:
        for name, value in record.items():
            seen.setdefault(str(name), Seen()).add(value)
    return {name: values.as_field() for name, values in seen.items()}


_DECLARED: Mapping[str, Field] = {
    "text": Field(type="string"),
    "bigint": Field(type="integer"),
    "double": Field(type="number"),
    "decimal": Field(type="number"),
    "wei": Field(type="string"),
    "bool": Field(type="boolean"),
    "timestamp": Field(type="string", format="date-time"),
    "date": Field(type="string", format="date"),
    "time": Field(type="string", format="time"),
    "binary": Field(type="string"),
}


def declared_fields(columns: Mapping[str, Any], sampled: Mapping[str, Field]) -> dict[str, Field]:
    """Fields for dlt's column schemas, which take precedence over the sample, except for `json`."""
    fields = {}
    for name, column in columns.items():
        data_type = column.get("data_type")
        if data_type == "json":
            fields[name] = _nested(sampled.get(name))
        elif data_type in _DECLARED:
            fields[name] = _DECLARED[data_type]
    return fields


def _nested(sampled: Field | None) -> Field:
    """dlt's `json` may be an array or an object, which only values show."""
    return sampled if sampled is not None and sampled.kinds else Field(type=["array", "object"])
