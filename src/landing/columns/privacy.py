"""Replaces private values by nothing, a mask, or a keyed hash.

`private_fit` and `protection` are for columns, and raise ConversionError for a value that does not
fit its field. `row_protector` is for quarantine, which has such values, and never raises.
"""

from __future__ import annotations

import hmac
import os
import re
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

import msgspec

from landing.catalog.fields import Field, landing_fields
from landing.columns.fitting import (
    ConversionError,
    fit_boolean,
    fit_date,
    fit_integer,
    fit_number,
    fit_text,
    fit_timestamp,
    kind_in_words,
)
from landing.columns.json_text import pruned
from landing.errors import SettingsError

KEY_VARIABLE = "LANDING_PRIVACY_KEY"
SHORTEST_KEY = 32
MASK = "***"
HASH = "^[0-9a-f]{64}$"
"""The form of what is hashed."""
_WRITTEN = re.compile(rf"[0-9a-f]{{64}}|{re.escape(MASK)}")
_sorted_json = msgspec.json.Encoder(order="sorted").encode

Row = Mapping[str, Any]


def check_key(fields: Mapping[str, Field], origin: str) -> None:
    """Raises SettingsError if a field of `origin` is to be hashed and there is no key for it."""
    for name, field in fields.items():
        if _is_hashed(field):
            try:
                privacy_key()
            except SettingsError as error:
                raise SettingsError(f"{origin}: fields.{name}: {error}") from None
            return


def _is_hashed(field: Field) -> bool:
    inner = [*(field.properties or {}).values(), *([field.items] if field.items else [])]
    return field.privacy == "hash" or any(map(_is_hashed, inner))


def privacy_key() -> bytes:
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if len(key) < SHORTEST_KEY:
        state = "is too short" if key else "is not set"
        raise SettingsError(
            f'{KEY_VARIABLE} {state}, which "privacy": "hash" needs: set {SHORTEST_KEY} random '
            "characters or more, as from `openssl rand -hex 32` (environment or .env)"
        )
    return key.encode()


def private_fit(field: Field, *, is_protected: bool = False) -> Callable[[Any], str]:
    """The value that lands in place of a value (not null) of a masked or hashed field.

    With `is_protected`, a value that looks like a hash or mask stays.
    """
    if field.privacy == "mask":
        return lambda value: MASK
    key, text_of = privacy_key(), partial(canonical_text, field)

    def fit(value: Any) -> str:
        if is_protected and isinstance(value, str) and _WRITTEN.fullmatch(value):
            return value
        return hmac.digest(key, text_of(value).encode(), "sha256").hex()

    return fit


def canonical_text(field: Field, value: Any) -> str:
    """The text that is hashed, the same for values that are equal in the field's type.

    Values of different fields with the same text have the same hash, such as 1, 1.0 and "1" in
    fields of type integer, number and string. Raises ConversionError.
    """
    kinds = field.kinds
    if kinds == {"integer"}:
        return str(fit_integer(value))
    if kinds == {"number"}:
        number = fit_number(value)
        return str(int(number)) if number.is_integer() else repr(number)
    if kinds == {"boolean"}:
        return "true" if fit_boolean(value) else "false"
    if kinds == {"string"} and field.format == "date-time":
        return fit_timestamp(value).isoformat()
    if kinds == {"string"} and field.format == "date":
        return fit_date(value).isoformat()
    if isinstance(value, Mapping | list | tuple):
        return _sorted_text(pruned(value, field))
    return fit_text(value)


def _sorted_text(value: Any) -> str:
    try:
        return _sorted_json(value).decode()
    except (TypeError, ValueError, OverflowError, RecursionError):
        raise ConversionError(f"{kind_in_words(value)} that has no JSON form") from None


def protection(
    field: Field, *, is_protected: bool = False, is_lenient: bool = False
) -> Callable[[Any], Any]:
    """Values with only the properties that the field lists, and their private parts protected.

    A value that is not the configured object or array may have private parts anywhere: it raises
    ConversionError, or is masked as a whole if `is_lenient`.
    """
    if field.privacy is not None:
        fit = private_fit(field, is_protected=is_protected)
        fit = _lenient(fit, field) if is_lenient else fit
        return lambda value: None if value is None else fit(value)
    if not field.has_private_parts:
        return partial(pruned, field=field)
    inside = partial(protection, is_protected=is_protected, is_lenient=is_lenient)
    listed = field.properties
    members = {name: inside(nested) for name, nested in landing_fields(listed or {}).items()}
    element = inside(field.items) if field.items is not None else None
    described = {"an object": listed, "an array": element}
    expected = " or ".join(kind for kind, inner in described.items() if inner is not None)

    def protect(value: Any) -> Any:
        if isinstance(value, Mapping) and listed is not None:
            return {name: member(value[name]) for name, member in members.items() if name in value}
        if isinstance(value, list | tuple) and element is not None:
            return [element(item) for item in value]
        if value is None or is_lenient:
            return None if value is None else MASK
        raise ConversionError(
            f"{kind_in_words(value)} where {expected} with private parts is configured"
        )

    return protect


def _lenient(fit: Callable[[Any], str], field: Field) -> Callable[[Any], str]:
    """Values that do not fit are hashed as text, or masked if they have no text."""
    as_text = Field(type="string", privacy=field.privacy)
    fit_as_text = private_fit(as_text)

    def fit_anyhow(value: Any) -> str:
        for attempt in (fit, fit_as_text):
            try:
                return attempt(value)
            except ConversionError:
                continue
        return MASK

    return fit_anyhow


def row_protector(
    fields: Mapping[str, Field], known: Collection[str] | None = None
) -> Callable[[Row], dict[str, Any]]:
    """Protects whole rows, as in quarantine: keeps the fields that land, protected.

    With `known`, it also keeps the fields that are not among these names.
    """
    protections = {
        name: protection(field, is_lenient=True) for name, field in landing_fields(fields).items()
    }

    def protected(row: Row) -> dict[str, Any]:
        kept = {name: protect(row[name]) for name, protect in protections.items() if name in row}
        if known is not None:
            kept.update({n: value for n, value in row.items() if n not in known})
        return kept

    return protected
