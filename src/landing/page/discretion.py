"""Decides which values of a column the page may show.

More people read the page than the bucket, and it may be passed on. So it leaves out keys, fields
that are private or about persons, nested values, emails, URIs and UUIDs. Of the rest it shows only
ranges of numbers and times, and values that many rows share.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pyarrow as pa

from landing.catalog.fields import DELETED_AT
from landing.catalog.stream_config import StreamConfig

FREQUENT = 5
"""How many values are shown at most."""
FREQUENT_AT_LEAST = 5
"""How many rows must share a value for it to be shown."""
CATEGORIES = 50
"""How many distinct values a column of categories may have."""
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
    """Why no values are shown; None if they may be."""
    is_text: bool = False

    @property
    def shows_range(self) -> bool:
        """Not for text: its least and greatest values belong to single records."""
        return self.withheld is None and not self.is_text

    def shows_frequent(self, distinct: int) -> bool:
        return self.withheld is None and 0 < distinct <= CATEGORIES


def discretion_of(column: pa.Field, config: StreamConfig) -> Discretion:
    field = config.fields.get(column.name)
    if field is None and column.name != DELETED_AT:
        return Discretion("no longer in the config")
    if field is not None and field.is_private:
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
