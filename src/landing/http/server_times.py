"""Times in headers, by the clock of the server that sent them."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_EPOCH = 1_000_000_000
"""Numbers above it are points in time, below it seconds from now."""
_UNIT = re.compile(r"(?<=\d)\s*(s|secs?|seconds?)$", re.IGNORECASE)


def seconds_until(text: str, sent: float) -> float | None:
    """Until what a server says in an answer that it sent at that time by its own clock."""
    numbers = numbers_of(_UNIT.sub("", text))
    number = max(numbers) if numbers else None
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


def numbers_of(text: str | None) -> list[float]:
    """Of a header that came several times, as from two gateways, all; else the one, or none."""
    numbers = [number_of(each) for each in re.split(r",\s+", text or "")]
    return [n for n in numbers if n is not None] if None not in numbers else []


def number_of(text: str | None) -> float | None:
    """None of what is no number, such as `-1` or `unlimited`, or is too large to mean anything."""
    match = re.fullmatch(r"\s*(\d{1,15}(?:\.\d+)?)\s*", text or "", re.ASCII)
    return float(match[1]) if match else None
