"""Times in headers, by the clock of the server that sent them."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_EPOCH = 1_000_000_000
"""Numbers above it are points in time, below it seconds from now."""


def seconds_until(text: str, sent: float) -> float | None:
    """Until what a server says in an answer that it sent at that time by its own clock."""
    number = number_of(text)
    if number is None:
        number = _timestamp(text)
        return None if number is None else max(0.0, number - sent)
    if number > _EPOCH * 1000:  # milliseconds
        number /= 1000
    return max(0.0, number - sent) if number > _EPOCH else number


def sent_at(headers: Mapping[str, str]) -> float:
    """By the server's clock, which may differ from this machine's: its times are of that clock."""
    try:
        return parsedate_to_datetime(headers.get("Date", "")).timestamp()
    except (TypeError, ValueError, OverflowError):
        return time.time()


def _timestamp(text: str) -> float | None:
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            at = parse(text.strip())
        except ValueError:
            continue
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    return None


def number_of(text: str | None) -> float | None:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*", text or "", re.ASCII)
    return float(match[1]) if match else None
