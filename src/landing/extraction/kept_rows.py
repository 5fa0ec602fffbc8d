"""Lines of quarantine files: written with a row that does not fit, and read back.

A quarantined row is JSON that reads back to the same values, so that it can land once the config is
fixed. If JSON can't represent the values, it is Python's text of the row, for a person only.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from landing.columns.json_numbers import decimal_of
from landing.columns.json_text import Unreadable

if TYPE_CHECKING:
    from landing.columns.conversion import Row, RowError

NO_LINE = "a line that can't be read"

encode = msgspec.json.Encoder(decimal_format="number").encode


def kept_line(row: bytes, error: RowError, load_id: str, row_version: str) -> bytes:
    """One line of a quarantine file."""
    line: dict[str, Any] = {"row": msgspec.Raw(row)}
    line |= {"field": error.field, "reason": error.reason}
    if error.is_tombstone:
        line["deleted"] = True
    return encode({**line, "load_id": load_id, "_dlt_load_id": row_version}) + b"\n"


@dataclass(frozen=True)
class KeptRow:
    """A line of a quarantine file, read back."""

    line: bytes
    row: Row | str
    """A str if JSON could not represent it: Python's text of the row."""
    is_tombstone: bool
    field: str
    reason: str
    load_id: str
    row_version: str

    @property
    def text(self) -> str:
        return self.row if isinstance(self.row, str) else row_json(self.row).decode()


def read_line(line: bytes) -> KeptRow | None:
    """Parse a line of a quarantine file; None if it is not valid."""
    try:
        found = json.loads(line, parse_float=_exact)
        texts = [found[key] for key in ("field", "reason", "load_id", "_dlt_load_id")]
        is_tombstone = found.get("deleted") is True
        row = found["row"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(row, dict | str) or not all(isinstance(text, str) for text in texts):
        return None
    return KeptRow(line, row, is_tombstone, *texts)


def _exact(text: str) -> float | Decimal | Unreadable:
    """A float if it reproduces the text exactly, otherwise a Decimal if there is one."""
    number = float(text)
    if encode(number).decode() == text:
        return number
    decimal = decimal_of(text)
    return Unreadable(text.encode()) if decimal is None else decimal


def row_json(row: Row) -> bytes:
    """JSON that reads back to the row's values, or else a JSON string with Python's text."""
    try:
        return encode({n: v if _is_decimal(v) else _plain(v) for n, v in row.items()})
    except (TypeError, ValueError, UnicodeError, OverflowError, RecursionError):
        return encode("{" + ", ".join(f"{name!a}: {_text(v)}" for name, v in row.items()) + "}")


def _is_decimal(value: Any) -> bool:
    return isinstance(value, Decimal) and value.is_finite()


def _plain(value: Any) -> Any:
    """The value in a form that JSON can represent and that lands the same. Raises ValueError."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return value if _is_unicode(value) else msgspec.Raw(json.dumps(value).encode())
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(element) for element in value]
    if isinstance(value, datetime) and type(value) is not datetime:  # pandas' Timestamp or NaT
        return value.isoformat() if value == value else None
    if isinstance(value, date | time | timedelta | UUID | bytes):
        return value
    if isinstance(value, Unreadable) and value.is_number:
        return value.raw
    if _is_decimal(value):
        return str(value)  # as in the JSON text of its array or object
    raise ValueError


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _text(value: Any) -> str:
    try:
        return ascii(value)
    except (ValueError, RecursionError):  # thousands of digits, or of levels
        return f"<{type(value).__name__} that has no text form>"
