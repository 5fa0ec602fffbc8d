"""Reads a cursor as a time, from which its lag behind now follows."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime, time
from typing import Any

_PER_SECOND = {"s": 1, "ms": 1_000}


def moment_of(cursor: Any, unit: str | None = None) -> datetime | None:
    """A cursor value as a time; None if it is not one, such as a number without a `unit`."""
    if isinstance(cursor, datetime):
        return cursor if cursor.tzinfo else cursor.replace(tzinfo=UTC)
    if isinstance(cursor, date):
        return datetime.combine(cursor, time(), UTC)
    if isinstance(cursor, int | float) and unit in _PER_SECOND:
        with suppress(ValueError, OverflowError, OSError):
            return datetime.fromtimestamp(cursor / _PER_SECOND[unit], UTC)
        return datetime.max.replace(tzinfo=UTC) if cursor > 0 else None
    if not isinstance(cursor, str):
        return None
    try:
        return moment_of(datetime.fromisoformat(cursor))
    except ValueError:
        return None
