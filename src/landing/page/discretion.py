"""Which values of a column a page may show that colleagues open, and that may be passed on.

A page is read by more people than the bucket is. So what tells records apart, and what is known to
be about persons, stays out unless a config says nothing against it and the values are shared by
many rows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pyarrow as pa

from landing.catalog.fields import DELETED_AT
from landing.catalog.stream_config import StreamConfig

FREQUENT = 5
"""Values that are shown at most."""
FREQUENT_AT_LEAST = 5
"""Rows that share a value which is shown."""
CATEGORIES = 50
"""Distinct values up to which a column is one of categories."""
_OF_PERSONS = re.compile(
    r"(?:^|_|\b)(?:e?mail|phone|mobile|fax|birth|born|dob|age|gender|sex|ssn|passport|tax|vat|iban|"
    r"bic|card|account|salary|wage|first_?name|last_?name|sur_?name|full_?name|user_?name|login|"
    r"street|zip|postal|postcode|address|lat|latitude|lon|lng|longitude|ip|note|notes|comment|"
    r"comments|message|password|secret|token|key)s?(?:$|_|\b|\d)",
    re.IGNORECASE,
)
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_FORMATS = ("email", "uri", "uuid")


@dataclass(frozen=True)
class Discretion:
    withheld: str | None = None
    """Why nothing is shown; None if something may be."""
    is_text: bool = False

    @property
    def shows_range(self) -> bool:
        """Of a text, the least and the most are values of single records."""
        return self.withheld is None and not self.is_text

    def shows_frequent(self, distinct: int) -> bool:
        return self.withheld is None and 0 < distinct <= CATEGORIES


def discretion_of(column: pa.Field, config: StreamConfig) -> Discretion:
    field = config.fields.get(column.name)
    if field is None and column.name != DELETED_AT:
        return Discretion("no longer in the config")
    if field is not None and (field.privacy is not None or field.has_private_parts):
        return Discretion("private")
    if column.name in config.primary_key:
        return Discretion("key")
    if _OF_PERSONS.search(_WORDS.sub("_", column.name)):
        return Discretion("sensitive by its name")
    if field is not None and (field.format in _FORMATS or field.kinds & {"object", "array"}):
        return Discretion("free text" if field.format is None else str(field.format))
    return Discretion(is_text=_is_text(column.type))


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
    )
