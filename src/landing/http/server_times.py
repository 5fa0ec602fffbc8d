"""Reads times in headers by the clock of the server that sent them."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_EPOCH = 1_000_000_000
"""Numbers above this are points in time, numbers below it seconds from now."""
_UNIT = re.compile(r"(?<=\d)\s*(s|secs?|seconds?)$", re.IGNORECASE)


def seconds_until(text: str, sent: float) -> float | None:
    """Seconds until the time that a header names; `sent` is when the server sent the response, by
    its own clock."""
    numbers = numbers_of(_UNIT.sub("", text))
    number = max(numbers) if numbers else None
    if number is None:
        number = _timestamp(text)
        return None if number is None else max(0.0, number - sent)
    if number > _EPOCH * 1000:  # milliseconds
        number /= 1000
    return max(0.0, number - sent) if number > _EPOCH else number


def sent_at(headers: Mapping[str, str]) -> float:
    """When a response was sent, by the server's clock, which may differ from this machine's."""
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
    """The values of a header, which may come several times, as from two gateways."""
    numbers = [number_of(each) for each in re.split(r",\s+", text or "")]
    return [n for n in numbers if n is not None] if None not in numbers else []


def number_of(text: str | None) -> float | None:
    """The number in a text; None for `-1`, `unlimited` and the like, and for very large numbers."""
    match = re.fullmatch(r"\s*(\d{1,15}(?:\.\d+)?)\s*", text or "", re.ASCII)
    return float(match[1]) if match else None
