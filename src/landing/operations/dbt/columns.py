"""The columns of a stream, with their types in DuckDB: as they land, and as a model casts them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import pyarrow as pa

from landing.catalog.fields import DELETED_AT, Field, Privacy, landing_fields
from landing.catalog.stream_config import StreamConfig
from landing.columns.column_types import TIMESTAMP, column_of
from landing.columns.conversion import NEW_FIELDS
from landing.zone.lineage import LOAD_ID, ROW_ID

_TYPES = {
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.bool_(): "BOOLEAN",
    pa.string(): "VARCHAR",
    pa.date32(): "DATE",
    TIMESTAMP: "TIMESTAMP WITH TIME ZONE",
}
_JSON_KINDS = frozenset({"array", "object"})


@dataclass(frozen=True)
class DbtColumn:
    name: str
    landed: str
    """Its type in the files."""
    cast: str
    """Its type in a model."""
    description: str | None = None
    privacy: Privacy | None = None


def configured(config: StreamConfig) -> Iterator[DbtColumn]:
    """The columns of the stream's fields."""
    for name, field in landing_fields(config.fields).items():
        landed = _type_in_duckdb(column_of(_without_privacy(field)).type)
        cast = "JSON" if landed == "VARCHAR" and _is_json_text(field) else landed
        discovered = config.discovered.get(name)
        description = field.description or (discovered.description if discovered else None)
        yield DbtColumn(name, landed, cast, description, field.privacy)
    if config.on_drift == "land":
        meaning = "Fields of the record that the stream config does not have"
        yield DbtColumn(NEW_FIELDS, "VARCHAR", "JSON", meaning)


LINEAGE = (
    DbtColumn(LOAD_ID, "VARCHAR", "VARCHAR", "Version of the row, in the order of versions"),
    DbtColumn(ROW_ID, "VARCHAR", "VARCHAR", "Id of the landed row"),
)
TOMBSTONE = DbtColumn(
    DELETED_AT,
    _TYPES[TIMESTAMP],
    _TYPES[TIMESTAMP],
    "When the record was found deleted; null in rows of existing records",
)


def quoted(name: str) -> str:
    """As an identifier in a file that dbt renders."""
    return verbatim('"' + name.replace('"', '""') + '"')


def verbatim(text: str) -> str:
    """Text that dbt's rendering leaves as it is."""
    return re.sub(r"\{(?=[{%#])", "{{ '{' }}", text)


def _is_json_text(field: Field) -> bool:
    return field.privacy is None and bool(field.kinds) and field.kinds <= _JSON_KINDS


def _without_privacy(field: Field) -> Field:
    """What is private lands as text. Its own column would need the key for hashes."""
    if field.privacy is not None:
        return Field(type="string")
    members = landing_fields(field.properties or {})
    return msgspec.structs.replace(
        field,
        properties={name: _without_privacy(member) for name, member in members.items()} or None,
        items=None if field.items is None else _without_privacy(field.items),
    )


def _type_in_duckdb(type_: pa.DataType) -> str:
    if pa.types.is_list(type_):
        return f"{_type_in_duckdb(type_.value_type)}[]"
    if pa.types.is_struct(type_):
        members = [f"{quoted(member.name)} {_type_in_duckdb(member.type)}" for member in type_]
        return f"STRUCT({', '.join(members)})"
    return _TYPES[type_]
