"""Reads a cursor as a time, from which its lag behind now follows."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any


def moment_of(cursor: Any) -> datetime | None:
    """A cursor value as a time; None if it is not one, such as a number."""
    if isinstance(cursor, datetime):
        return cursor if cursor.tzinfo else cursor.replace(tzinfo=UTC)
    if isinstance(cursor, date):
        return datetime.combine(cursor, time(), UTC)
    if not isinstance(cursor, str):
        return None
    try:
        return moment_of(datetime.fromisoformat(cursor))
    except ValueError:
        return None
