"""How far a cursor is behind now."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any


def moment_of(cursor: Any) -> datetime | None:
    """The time that a cursor's value is; None if it is none, such as a number."""
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
