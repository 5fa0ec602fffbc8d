"""Decodes the JSON files that a person writes into models.

A mistake raises one CatalogError. It names the file (as `shown`) and the place in it, says what is
wrong, and suggests the nearest valid word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, get_args

import msgspec

from landing.catalog.fields import FORMATS, MAX_DEPTH, Field
from landing.errors import CatalogError, nearest

Model = TypeVar("Model", bound=msgspec.Struct)


def parse(file: Path, shown: str) -> Any:
    """Raises CatalogError with line and column where the text is not JSON."""
    return parsed(file.read_bytes(), shown)


def parsed(content: bytes, shown: str, number: Callable[[str], Any] = float) -> Any:
    """As `parse`. `number` makes the values of numbers with a fraction or an exponent."""
    try:
        document = json.loads(
            content.decode("utf-8-sig"),
            parse_float=number,
            parse_constant=_no_number,
            object_pairs_hook=_once,
        )
        json.dumps(document, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise CatalogError(
            f"{shown}, line {error.lineno}, column {error.colno}: not valid JSON: {_reason(error)}"
        ) from None
    except UnicodeDecodeError as error:
        raise CatalogError(f"{shown}: not UTF-8 text: {error.reason}") from None
    except UnicodeEncodeError:
        raise CatalogError(f"{shown}: has half of a surrogate pair") from None
    except RecursionError:
        raise CatalogError(f"{shown}: nested too deeply") from None
    except ValueError as error:  # a number with thousands of digits, or NaN or Infinity
        raise CatalogError(f"{shown}: not valid JSON: {str(error).partition(';')[0]}") from None
    return document


def _reason(error: json.JSONDecodeError) -> str:
    """Python names what it expected, which says little where the fault is the comma before."""
    before, after = error.doc[: error.pos].rstrip(), error.doc[error.pos : error.pos + 1]
    if before.endswith(",") and after in ("}", "]", ","):
        return f"there is a comma too many before '{after}'"
    return error.msg


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"'{twice}' appears twice")
    return members


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is not a number in JSON")


def decode(file: Path, shown: str, model: type[Model]) -> Model:
    """Decodes the file into a model with `fields`. Raises CatalogError for the first mistake."""
    document = parse(file, shown)
    with in_file(shown):
        return decoded(document, model)


@contextmanager
def in_file(shown: str) -> Iterator[None]:
    """Names the file of a mistake that is found inside."""
    try:
        yield
    except CatalogError as error:
        raise CatalogError(f"{shown}: {error}") from None


def decoded(document: Any, model: type[Model]) -> Model:
    """The model of a parsed document. Raises CatalogError for the first mistake."""
    if not isinstance(document, dict):
        raise CatalogError("has to be a JSON object")
    # Fields are converted one by one, so that a message can name the field.
    header = _convert({**document, "fields": {}}, model, "")
    fields = document.get("fields")
    if not isinstance(fields, dict):
        raise CatalogError("fields: has to be an object of field names and their types")
    named = {name: _field(raw, f"fields.{name}") for name, raw in fields.items()}
    return msgspec.structs.replace(header, fields=named)


def _field(raw: Any, place: str, depth: int = 1) -> Field:
    if depth > MAX_DEPTH:
        raise CatalogError(f"{place[:80]}…: nested deeper than {MAX_DEPTH} levels")
    if not isinstance(raw, dict):
        raise CatalogError(f'{place}: has to be an object such as {{"type": "string"}}')
    flat = {key: value for key, value in raw.items() if key not in ("properties", "items")}
    field = _convert(flat, Field, place)
    _check_field(field, place)
    properties = raw.get("properties")
    if properties is not None:
        if not isinstance(properties, dict):
            raise CatalogError(f"{place}.properties: has to be an object")
        nested = {
            name: _field(value, f"{place}.properties.{name}", depth + 1)
            for name, value in properties.items()
        }
        field = msgspec.structs.replace(field, properties=nested)
    if raw.get("items") is not None:
        items = _field(raw["items"], f"{place}.items", depth + 1)
        if items.privacy == "drop":
            raise CatalogError(
                f"{place}.items.privacy: elements can't be dropped; set it on the array"
            )
        field = msgspec.structs.replace(field, items=items)
    return field


def _check_field(field: Field, place: str) -> None:
    if field.format is not None and field.format not in FORMATS:
        hint = nearest(field.format, FORMATS) or f"; known are {', '.join(FORMATS)}"
        raise CatalogError(f"{place}.format: '{field.format}' is not known{hint}")
    if field.type == []:
        raise CatalogError(f"{place}.type: is empty; name at least one type")
    if field.format is not None and "string" not in field.kinds:
        kind = " or ".join(sorted(field.kinds)) or "null"
        raise CatalogError(
            f"{place}.format: '{field.format}' is for strings, but the type is {kind}; "
            "make the type string, or leave the format out"
        )


def _convert(raw: Any, model: type[Model], place: str) -> Model:
    try:
        return msgspec.convert(raw, model)
    except msgspec.ValidationError as error:
        text, _, within = str(error).partition(" - at `$")
        where = ".".join(filter(None, (place, within.strip("`."))))
        message = _explained(text, within.strip("`."), model)
        raise CatalogError(f"{where}: {message}" if where else message) from None


def _explained(text: str, where: str, model: type[msgspec.Struct]) -> str:
    """msgspec's message in our words, followed by the nearest valid word."""
    key = where.rpartition(".")[2].partition("[")[0]
    if match := re.match(r"Object contains unknown field `(.*)`", text):
        known = _keys(_type_of(model, key), model)
        return f"unknown key '{match[1]}'{nearest(match[1], known)}"
    if match := re.match(r"Object missing required field `(.*)`", text):
        return f"'{match[1]}' is missing"
    if match := re.match(r"Invalid enum value '?(.*?)'?$", text):
        words = list(dict.fromkeys(_words(_type_of(model, *where.partition("[")[0].split(".")))))
        return f"'{match[1]}' is not known{nearest(match[1], words)}; known are {', '.join(words)}"
    for name, word in _WORDS.items():
        text = text.replace(f"`{name}`", word)
    hint = next((f"; write it as {form}" for name, form in _FORMS.items() if name == key), "")
    return text[0].lower() + text[1:] + hint


_FORMS = {
    "primary_key": '[["id"]]',
    "cursor_field": '["updated_at"]',
    "quarantine_limit": "0.05 for 5 % of a run's records",
    "expect": '{"rows_per_run": 100, "rows_per_day": 1000, "change": 0.5}',
    "rows_per_run": "100 for at least 100 rows in each run",
    "rows_per_day": "1000 for at least 1,000 rows in 24 hours",
    "change": "0.5 for at most 50 % less or more rows than usual",
}
_WORDS = {
    "str": "text",
    "int": "a number",
    "int | null": "a whole number",
    "float": "a number",
    "float | null": "a number",
    "object | null": "an object",
    "bool": "a boolean",
}


def _type_of(model: type[msgspec.Struct], *path: str) -> Any:
    """The declared type of a member, following the path as far as it exists."""
    found: Any = model
    for key in path:
        structs = [t for t in (found, *get_args(found)) if _is_struct(t)]
        members = {m.encode_name: m.type for t in structs for m in msgspec.structs.fields(t)}
        found = members.get(key, found)
    return found


def _is_struct(type_: Any) -> bool:
    return isinstance(type_, type) and issubclass(type_, msgspec.Struct)


def _keys(type_: Any, model: type[msgspec.Struct]) -> list[str]:
    structs = [t for t in (type_, *get_args(type_)) if _is_struct(t)] or [model]
    return [member.encode_name for t in structs for member in msgspec.structs.fields(t)]


def _words(type_: Any) -> Iterator[str]:
    """All strings of the Literals in a type."""
    for argument in get_args(type_):
        if isinstance(argument, str):
            yield argument
        else:
            yield from _words(argument)
