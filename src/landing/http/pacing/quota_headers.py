"""Reads the remaining rate limit from an API's response headers."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_ROUNDED = 1.0
"""Seconds added to resets, which are whole seconds and may have been rounded down."""
_EPOCH = 1_000_000_000
"""Higher resets are points in time, lower ones are seconds from now."""


@dataclass(frozen=True)
class Budget:
    """The requests that an API still allows."""

    remaining: int
    seconds: float | None
    """Until the limit resets; None if unknown."""


def read_budget(headers: Mapping[str, str]) -> Budget | None:
    """Read `RateLimit` of the IETF draft, its earlier form of three headers, or `X-RateLimit-*`
    with a reset in seconds or at a point in time. Of several policies, returns the one with the
    fewest requests left; None without such headers.
    """
    if "RateLimit" in headers and (found := _structured(headers["RateLimit"])):
        return found
    for prefix in ("RateLimit-", "X-RateLimit-", "X-Rate-Limit-"):
        remaining = _number(headers.get(f"{prefix}Remaining"))
        if remaining is not None:
            return Budget(int(remaining), _seconds(headers.get(f"{prefix}Reset")))
    return None


def _structured(value: str) -> Budget | None:
    """Parse `"default";r=50;t=30`, or the earlier form `limit=100, remaining=50, reset=30`."""
    if "remaining=" in value:
        found = dict(re.findall(r"(\w+)\s*=\s*(\d+)", value))
        return Budget(int(found["remaining"]), _seconds(found.get("reset")))
    budgets = []
    for policy in value.split(","):
        found = dict(re.findall(r";\s*(r|t)\s*=\s*(\d+)", policy))
        if "r" in found:
            budgets.append(Budget(int(found["r"]), _seconds(found.get("t"))))
    return min(budgets, key=lambda budget: budget.remaining, default=None)


def _seconds(reset: str | None) -> float | None:
    """Seconds until a reset, given in seconds or as a point in time: seconds or milliseconds since
    1970, ISO 8601 or an HTTP date."""
    number = _number(reset)
    if number is None:
        number = _timestamp(reset or "")
    if number is None:
        return None
    if number > _EPOCH * 1000:  # milliseconds
        number /= 1000
    seconds = number - time.time() if number > _EPOCH else number
    return max(0.0, seconds) + _ROUNDED


def _timestamp(text: str) -> float | None:
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            at = parse(text.strip())
        except ValueError:
            continue
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    return None


def _number(text: str | None) -> float | None:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*", text or "", re.ASCII)
    return float(match[1]) if match else None
